//! What devices are drawn from, for a steward that was kept away from the round that leaves it: with proof or not at all.

use dawn_identity::{SecretKey, Signed};
use dawn_protocol::{
    AbortReason, Aborted, Digest, Draw, DrawProof, RoundResult, RoundSpec, Rule, Selection,
    SessionId, Terminal, WorkItem,
};
use dawn_steward::{Refusal, StewardError, StewardState};

use crate::http::steward;
use crate::now;
use crate::server::{Script, Server};
use crate::world::{ClosedRound, Round, World, refusal};

/// What the results of these tests say that the next model is.
const MODEL: Digest = Digest([3; 32]);

/// A task that selects, at nearly every output: a device that was not selected would end the test.
fn world() -> World {
    let selection = Some(Selection { rate: u32::MAX });
    World::with_task(|task| task.options.selection = selection)
}

/// A round that everybody but the real steward takes part in, up to its challenge.
fn without_it(world: &mut World, state: &StewardState) -> (Round, ClosedRound) {
    let round = world.first_round(state);
    let closed = world.closed(&round, &[0, 1, 2, 3, 4]);
    (round, closed)
}

fn result(world: &World, number: u32, session: SessionId, draw: Draw) -> Terminal {
    Terminal::Result(world.by_aggregator(&RoundResult {
        round: world.id(number),
        session,
        verdict: Digest([2; 32]),
        openings: vec![Digest([1; 32]); 4],
        points: vec![1, 2, 3, 4],
        culprits: Vec::new(),
        accepted: 4,
        sum: Digest([2; 32]),
        model: MODEL,
        direction: None,
        draw: Some(draw),
        evaluation: None,
    }))
}

fn abort(world: &World, number: u32, previous: Option<&Terminal>, draw: Draw) -> Terminal {
    Terminal::Aborted(world.by_aggregator(&Aborted {
        round: world.id(number),
        session: None,
        reason: AbortReason::TooFewSealingKeys,
        detail: String::new(),
        model: previous.map_or_else(|| world.initial_model(), |_| MODEL),
        previous: previous.map(Terminal::digest),
        direction: None,
        draw: Some(draw),
    }))
}

fn proof(closed: &ClosedRound) -> DrawProof {
    DrawProof {
        announcement: closed.announcement.clone(),
        closed: closed.statement.clone(),
        challenge: closed.challenge.clone(),
    }
}

/// Asks to endorse the specification of a round that continues this history, as the history says.
fn endorse(
    world: &mut World,
    state: &StewardState,
    (number, own): (u32, &[u8]),
    history: &[Terminal],
) -> Result<Vec<u8>, StewardError> {
    let model = history.first().expect("an end").model();
    let next = world.round_with(own, number, history.first(), model);
    world.endorse_spec(state, &next.spec, history)
}

/// With another body, signed by the aggregator all the same.
fn with<T: dawn_identity::Statement + Clone>(
    world: &World,
    signed: &Signed<T>,
    change: impl FnOnce(&mut T),
) -> Signed<T> {
    let mut body = signed.peek().clone();
    change(&mut body);
    world.by_aggregator(&body)
}

fn violated(learnt: Result<(), StewardError>, rule: Rule) {
    match learnt.expect_err("no proof").refusal() {
        Some(Refusal::Violation(violation)) => assert_eq!(violation.rule, rule, "{violation}"),
        other => panic!("{other:?}"),
    }
}

/// The break that this is about: all honest stewards are kept from a round, and the aggregator signs the result that it likes.
#[test]
fn an_invented_result_leaves_nothing_to_draw_from() {
    let mut world = world();
    let state = world.start();
    let own = world.sealing_key(&state, 2).expect("key");
    let chosen = Draw {
        beacon: Digest([7; 32]),
        before: now() - 1000,
    };
    let invented = [result(&world, 1, SessionId(Digest([1; 32])), chosen)];
    let refused = refusal(endorse(&mut world, &state, (2, &own), &invented));
    assert_eq!(refused, Refusal::UnprovenDraw(world.id(1)));
    let advice = refused.to_string();
    assert!(
        advice.contains("endorsements") && advice.contains("audit"),
        "{advice}"
    );
}

#[test]
fn a_draw_is_taken_with_proof_and_only_that_one() {
    let mut world = world();
    let state = world.start();
    let (round, closed) = without_it(&mut world, &state);
    let own = world.sealing_key(&state, 2).expect("key");
    let session = round.spec.peek().session();
    let right = closed.challenged.next_draw();
    let honest = [result(&world, 1, session, right)];
    let unproven = Refusal::UnprovenDraw(world.id(1));

    // An honest result is no proof of itself.
    assert_eq!(
        state.wants_draw(&honest).expect("read"),
        Some((world.id(1), session))
    );
    let refused = refusal(endorse(&mut world, &state, (2, &own), &honest));
    assert_eq!(refused, unproven);

    state.learn_draw(&proof(&closed)).expect("proven");
    assert_eq!(state.wants_draw(&honest).expect("read"), None);
    // It proves this draw of this session.
    let beacon = Digest([7; 32]);
    let before = right.before + 1;
    let lies = [
        result(&world, 1, session, Draw { beacon, ..right }),
        result(&world, 1, session, Draw { before, ..right }),
        result(&world, 1, session, round.spec.peek().draw.expect("initial")),
        result(&world, 1, SessionId(Digest([1; 32])), right),
    ];
    for lie in lies {
        let refused = refusal(endorse(&mut world, &state, (2, &own), &[lie]));
        assert_eq!(refused, unproven);
    }
    let next = world.round_with(&own, 2, honest.first(), MODEL);
    let endorsed = world.endorse_spec(&state, &next.spec, &honest);
    let endorsed = endorsed.expect("follows");
    drop(state);

    // After a restart what it has endorsed needs no other proof; another draw does.
    let state = world.start();
    assert_eq!(state.wants_draw(&honest).expect("read"), None);
    let again = world.endorse_spec(&state, &next.spec, &honest);
    assert_eq!(again.expect("the same"), endorsed);
}

#[test]
fn what_does_not_prove_a_draw() {
    let mut world = world();
    let state = world.start();
    let (round, closed) = without_it(&mut world, &state);
    let own = world.sealing_key(&state, 2).expect("key");
    let honest = proof(&closed);
    let change = |change: &dyn Fn(&mut DrawProof)| {
        let mut changed = honest.clone();
        change(&mut changed);
        changed
    };
    // Another list of the same round, and another specification of it, with everything that T stewards say about them.
    let submissions = closed.submissions[..4].to_vec();
    let other_list = world.close(&closed.announcement, submissions);
    let other_spec = with(&world, &round.spec, |spec: &mut RoundSpec| {
        spec.opened_ms += 1000
    });
    let stranger = SecretKey::generate(&mut world.rng);
    let cases = [
        // T - 1 endorsements; T of which two are one steward's; none of this specification.
        (
            Rule::Endorsements,
            change(&|proof| {
                proof.announcement.endorsements.pop();
            }),
        ),
        (
            Rule::Endorsements,
            change(&|proof| {
                proof.announcement.endorsements[3] = proof.announcement.endorsements[0].clone();
            }),
        ),
        (
            Rule::Endorsements,
            change(&|proof| {
                proof.announcement.spec = other_spec.clone();
            }),
        ),
        (
            Rule::Endorsements,
            change(&|proof| proof.announcement.endorsements.clear()),
        ),
        // T - 1 parts; one twice; parts for another list.
        (
            Rule::Challenge,
            change(&|proof| {
                proof.challenge = with(&world, &proof.challenge, |challenge| {
                    challenge.shares.pop();
                });
            }),
        ),
        (
            Rule::Challenge,
            change(&|proof| {
                proof.challenge = with(&world, &proof.challenge, |challenge| {
                    challenge.shares[3] = challenge.shares[2].clone();
                });
            }),
        ),
        (
            Rule::Challenge,
            change(&|proof| {
                proof.challenge = with(&world, &proof.challenge, |challenge| {
                    challenge.shares = other_list.challenge.peek().shares.clone();
                });
            }),
        ),
        // A part whose output its steward chose, and one that another has signed.
        (
            Rule::Challenge,
            change(&|proof| {
                proof.challenge = with(&world, &proof.challenge, |challenge| {
                    let mut share = challenge.shares[0].peek().clone();
                    share.proof = challenge.shares[1].peek().proof.clone();
                    challenge.shares[0] = world.by_steward(&share, 2);
                });
            }),
        ),
        (
            Rule::Challenge,
            change(&|proof| {
                proof.challenge = with(&world, &proof.challenge, |challenge| {
                    let share = challenge.shares[0].peek().clone();
                    challenge.shares[0] = world.by_steward(&share, 3);
                });
            }),
        ),
        // The closing of another list, and its challenge under this one's.
        (
            Rule::Root,
            change(&|proof| proof.closed = other_list.statement.clone()),
        ),
        (
            Rule::Root,
            change(&|proof| proof.challenge = other_list.challenge.clone()),
        ),
        // Of another session or round.
        (
            Rule::Session,
            change(&|proof| {
                proof.closed = with(&world, &proof.closed, |closed| {
                    closed.session = SessionId(Digest([1; 32]));
                });
            }),
        ),
        (
            Rule::Session,
            change(&|proof| {
                proof.challenge = with(&world, &proof.challenge, |challenge| {
                    challenge.session = SessionId(Digest([1; 32]));
                });
            }),
        ),
        (
            Rule::Round,
            change(&|proof| {
                proof.challenge = with(&world, &proof.challenge, |challenge| {
                    challenge.round = challenge.round.next();
                });
            }),
        ),
        // Of a register that this steward was not shown.
        (
            Rule::Register,
            change(&|proof| {
                proof.announcement.spec = with(&world, &proof.announcement.spec, |spec| {
                    spec.register.digest = Digest([1; 32]);
                });
            }),
        ),
        // Not the aggregator's.
        (
            Rule::Signature,
            change(&|proof| {
                proof.challenge = Signed::sign(proof.challenge.peek(), &stranger).expect("sign");
            }),
        ),
        (
            Rule::Signature,
            change(&|proof| {
                proof.closed = Signed::sign(proof.closed.peek(), &stranger).expect("sign");
            }),
        ),
    ];
    for (rule, proof) in &cases {
        violated(state.learn_draw(proof), *rule);
    }
    // Nothing of it has been learnt.
    let session = round.spec.peek().session();
    let draw = closed.challenged.next_draw();
    let end = [result(&world, 1, session, draw)];
    let refused = refusal(endorse(&mut world, &state, (2, &own), &end));
    assert_eq!(refused, Refusal::UnprovenDraw(world.id(1)));
    state.learn_draw(&honest).expect("the right one");
    endorse(&mut world, &state, (2, &own), &end).expect("follows");
}

/// Of a task that takes everybody nothing is to be proven, and nothing can be.
#[test]
fn a_task_that_takes_everybody_leaves_no_draw() {
    let mut world = World::new();
    let state = world.start();
    let (_, closed) = without_it(&mut world, &state);
    violated(state.learn_draw(&proof(&closed)), Rule::Selection);
}

/// An abort leaves what its round started with, so that claiming one chooses nothing: the last result before it is proven,
/// or the task.
#[test]
fn aborts_are_followed_back_to_a_draw_that_is_proven() {
    let mut world = world();
    let state = world.start();
    let (round, closed) = without_it(&mut world, &state);
    let own = world.sealing_key(&state, 3).expect("key");
    let initial = round.spec.peek().draw.expect("initial");
    let right = closed.challenged.next_draw();
    let chosen = Draw {
        beacon: Digest([7; 32]),
        ..right
    };
    let session = round.spec.peek().session();
    let (honest, invented) = (
        result(&world, 1, session, right),
        result(&world, 1, session, chosen),
    );
    let history =
        |world: &World, first: &Terminal, draw| [abort(world, 2, Some(first), draw), first.clone()];
    let unproven = Refusal::UnprovenDraw(world.id(1));
    let changed = |refused: Refusal| match refused {
        Refusal::Violation(violation) => assert_eq!(violation.rule, Rule::SpecModel, "{violation}"),
        other => panic!("{other}"),
    };
    for proven in [false, true] {
        // The abort names another draw than the result left: the aggregator's, or the first.
        for draw in [chosen, initial] {
            let history = history(&world, &honest, draw);
            changed(refusal(endorse(&mut world, &state, (3, &own), &history)));
        }
        // The result is invented, and the abort goes on with it.
        let lies = history(&world, &invented, chosen);
        assert_eq!(
            refusal(endorse(&mut world, &state, (3, &own), &lies)),
            unproven
        );
        // The round is said to have been aborted, and to have left what it never had.
        let first = abort(&world, 1, None, right);
        let mut lies = [abort(&world, 2, Some(&first), right), first];
        if let Terminal::Aborted(second) = &lies[0] {
            let initial = world.initial_model();
            lies[0] = Terminal::Aborted(with(&world, second, |second| second.model = initial));
        }
        changed(refusal(endorse(&mut world, &state, (3, &own), &lies)));
        let follows = history(&world, &honest, right);
        if proven {
            endorse(&mut world, &state, (3, &own), &follows).expect("follows");
        } else {
            let refused = refusal(endorse(&mut world, &state, (3, &own), &follows));
            assert_eq!(refused, unproven);
            state.learn_draw(&proof(&closed)).expect("proven");
        }
    }
}

/// A steward that answered the challenge of a round knows its beacon. When the round fails all the same, the beacon is not
/// what the next one draws from.
#[test]
fn a_round_that_fails_after_its_challenge_leaves_the_draw_before() {
    let mut world = world();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    world.beacon(&state, &closed).expect("beacon");
    world.report(&state, &closed).expect("report");
    let own = world.sealing_key(&state, 2).expect("key");
    let failed = |world: &World, draw| {
        let mut body = match abort(world, 1, None, draw) {
            Terminal::Aborted(aborted) => aborted.peek().clone(),
            Terminal::Result(_) => panic!("an abort"),
        };
        body.session = Some(round.spec.peek().session());
        body.reason = AbortReason::TooFewOpenings;
        [Terminal::Aborted(world.by_aggregator(&body))]
    };
    let lie = failed(&world, closed.challenged.next_draw());
    match refusal(endorse(&mut world, &state, (2, &own), &lie)) {
        Refusal::Violation(violation) => assert_eq!(violation.rule, Rule::SpecModel),
        other => panic!("{other}"),
    }
    let honest = failed(&world, round.spec.peek().draw.expect("initial"));
    assert_eq!(state.wants_draw(&honest).expect("read"), None);
    endorse(&mut world, &state, (2, &own), &honest).expect("follows");
}

/// A steward that was away for a round comes back: it fetches the proof, and says nothing without it.
#[tokio::test]
async fn over_http_a_steward_that_was_away_fetches_the_proof() {
    let mut world = world();
    let server = Server::start(Script::of(&world)).await;
    server.work(vec![WorkItem::PublishSealingKey { round: world.id(1) }]);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    let key = server.said("sealing-key");
    let model = world.initial_model();
    let round = world.round_with(&key, 1, None, model);
    let closed = world.closed(&round, &[0, 1, 2, 3, 4]);
    // It is away until the next round is keyed.
    server.work(vec![WorkItem::PublishSealingKey { round: world.id(2) }]);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    let own = server.said("sealing-key");

    let session = round.spec.peek().session();
    let right = closed.challenged.next_draw();
    let chosen = Draw {
        beacon: Digest([7; 32]),
        ..right
    };
    let said = |end: &Terminal, proof: &DrawProof| {
        let DrawProof {
            announcement,
            closed,
            challenge,
        } = proof;
        let mut said = vec![announcement.spec.bytes().to_vec()];
        said.extend(announcement.endorsements.iter().map(|e| e.bytes().to_vec()));
        said.extend([closed.bytes().to_vec(), challenge.bytes().to_vec()]);
        said.push(end.bytes().to_vec());
        said
    };
    let whole = proof(&closed);
    let mut few = whole.clone();
    few.announcement.endorsements.pop();
    let honest = result(&world, 1, session, right);
    let invented = result(&world, 1, session, chosen);
    let cases = [
        (&invented, vec![invented.bytes().to_vec()], false),
        (&invented, said(&invented, &whole), false),
        (&honest, vec![honest.bytes().to_vec()], false),
        (&honest, said(&honest, &few), false),
        (&honest, said(&honest, &whole), true),
    ];
    for (end, log, follows) in cases {
        server.round(1, log);
        let next = world.round_with(&own, 2, Some(end), MODEL);
        server.work(vec![WorkItem::Endorse { spec: next.spec }]);
        let answered = steward(&world, &server).step_once().await.expect("step");
        assert_eq!(answered, usize::from(follows));
        assert_eq!(server.try_said("endorsement").is_some(), follows);
    }
}
