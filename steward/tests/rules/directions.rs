//! Where the last accepted update began: a steward follows it back as it does the model.

use dawn_protocol::{
    AbortReason, Aborted, Digest, Functional, RoundResult, Rule, SessionId, Start, Terminal,
};
use dawn_steward::{StewardError, StewardState};

use crate::assert_rule;
use crate::world::{World, refusal};

const CHOSEN: Digest = Digest([0x66; 32]);

fn result(world: &World, session: SessionId, model: Digest, direction: Option<Digest>) -> Terminal {
    Terminal::Result(world.by_aggregator(&RoundResult {
        round: world.id(1),
        session,
        verdict: Digest([2; 32]),
        openings: vec![Digest([1; 32]); 4],
        points: vec![1, 2, 3, 4],
        culprits: Vec::new(),
        accepted: 4,
        sum: Digest([2; 32]),
        model,
        direction,
        draw: None,
        evaluation: None,
    }))
}

fn abort(world: &World, number: u32, previous: &Terminal, start: Start) -> Terminal {
    Terminal::Aborted(world.by_aggregator(&Aborted {
        round: world.id(number),
        session: None,
        reason: AbortReason::TooFewSealingKeys,
        detail: String::new(),
        model: start.model,
        previous: Some(previous.digest()),
        direction: start.direction,
        draw: None,
    }))
}

/// Asks to endorse a specification that continues this history and names this direction.
fn endorse(
    world: &mut World,
    state: &StewardState,
    (number, own): (u32, &[u8]),
    history: &[Terminal],
    start: Start,
) -> Result<Vec<u8>, StewardError> {
    let round = world.round_with(own, number, history.first(), start.model);
    let mut spec = round.spec.peek().clone();
    spec.direction = start.direction;
    let spec = world.by_aggregator(&spec);
    world.endorse_spec(state, &spec, history)
}

#[test]
fn a_specification_whose_direction_does_not_follow_is_not_endorsed() {
    let mut world = World::with_task(|task| task.options.functional = Some(Functional::Direction));
    let state = world.start();
    let first = world.first_round(&state);
    world
        .endorse_spec(&state, &first.spec, &[])
        .expect("there is no direction yet");
    let session = first.spec.peek().session();
    let initial = world.initial_model();
    let left = Digest([3; 32]);
    let start = |direction| Start {
        model: left,
        direction,
        draw: None,
    };
    let own = world.sealing_key(&state, 2).expect("key");
    let honest = [result(&world, session, left, Some(initial))];
    // The specification, the result, or both name another: this steward knows what round 1 started from.
    let lies = [
        (honest.clone(), start(None)),
        (honest.clone(), start(Some(CHOSEN))),
        ([result(&world, session, left, None)], start(None)),
        (
            [result(&world, session, left, Some(CHOSEN))],
            start(Some(CHOSEN)),
        ),
        (
            [result(&world, session, left, Some(CHOSEN))],
            start(Some(initial)),
        ),
    ];
    for (history, start) in &lies {
        let refused = refusal(endorse(&mut world, &state, (2, &own), history, *start));
        assert_rule!(refused, Rule::SpecModel);
    }
    let right = start(Some(initial));
    endorse(&mut world, &state, (2, &own), &honest, right).expect("follows");

    // Aborts leave it, also when this steward was away: after round 2, which it knows, and round 3, which it does not.
    let own = world.sealing_key(&state, 4).expect("key");
    let second = abort(&world, 2, &honest[0], right);
    let changed = abort(&world, 2, &honest[0], start(Some(CHOSEN)));
    for (second, start, follows) in [
        (&changed, start(Some(CHOSEN)), false),
        (&second, start(Some(CHOSEN)), false),
        (&second, right, true),
    ] {
        let third = abort(&world, 3, second, start);
        let history = [third, second.clone(), honest[0].clone()];
        let endorsed = endorse(&mut world, &state, (4, &own), &history, start);
        if follows {
            endorsed.expect("follows");
        } else {
            assert_rule!(refusal(endorsed), Rule::SpecModel);
        }
    }
}
