//! The steward as a witness: it cosigns one history, and says nothing about what is not in it.

use std::collections::BTreeMap;
use std::fs;

use dawn_identity::Statement;
use dawn_protocol::tlog::{AddCheckpoint, Checkpoint, SignedNote, cosignature, cosigner};
use dawn_protocol::{Challenge, Closed, RoundSpec, Verdict, WorkItem};
use dawn_steward::evidence::{COSIGNED_FILE, EVIDENCE_FOLDER, MOST_OF_A_SORT, SHOWN_FILE};
use dawn_steward::{OpenRequest, Refusal, StewardError, StewardState};

use crate::http::steward;
use crate::now;
use crate::reporting::signed;
use crate::server::{Script, Server};
use crate::world::{World, refusal};

fn cosign(
    world: &mut World,
    state: &StewardState,
    shown: &AddCheckpoint,
) -> Result<Vec<u8>, StewardError> {
    let cosigned = state.cosign(shown, now(), &mut world.rng);
    cosigned.map(|(_, line)| line.to_line().into_bytes())
}

/// A world whose log has so many entries, and a steward that has cosigned some of them.
fn witnessed(entries: usize, cosigned: usize) -> (World, StewardState) {
    let mut world = World::new();
    for entry in 0..entries {
        world.append(&[entry as u8]);
    }
    let state = world.start();
    let shown = world.to_cosign(0, cosigned);
    cosign(&mut world, &state, &shown).expect("the first is believed");
    (world, state)
}

#[test]
fn the_same_checkpoint_gets_the_same_bytes_also_after_a_restart() {
    let (mut world, state) = witnessed(9, 5);
    let key = world.stewards[0].public();
    let next = world.to_cosign(5, 9);
    let line = cosign(&mut world, &state, &next).expect("it goes on");
    let read = dawn_protocol::tlog::note::parse_signatures(
        &String::from_utf8(line.clone()).expect("text"),
    );
    let read = &read.expect("a line")[0];
    let name = cosigner(&state.id());
    cosignature::verify(read, &next.checkpoint.text, &name, &key).expect("its own");
    let again = world.to_cosign(9, 9);
    drop(state);
    let state = world.start();
    assert_eq!(cosign(&mut world, &state, &again).expect("again"), line);
    let kept = state.witnessed().expect("read").expect("cosigned");
    assert_eq!((kept.size, kept.root), (9, world.checkpoint(9).root));
    // What is kept is evidence: signed by the log, and by this steward.
    let note = SignedNote::parse(kept.note.as_bytes()).expect("note");
    note.verify(&world.checkpoint(9).origin, &world.log.public())
        .expect("by the log");
    assert_eq!(note.signatures.len(), 2);
}

#[test]
fn what_is_not_the_log_is_not_cosigned() {
    let (mut world, state) = witnessed(9, 5);
    let honest = world.to_cosign(5, 9);
    // Another key, another origin, no signature of the log.
    let mut forged = honest.clone();
    forged.checkpoint = world.checkpoint(9).sign(&world.aggregator);
    let mut elsewhere = world.checkpoint(9);
    elsewhere.origin.push('x');
    let mut other = honest.clone();
    other.checkpoint = elsewhere.sign(&world.log);
    let mut changed = honest.clone();
    changed.checkpoint.text = changed.checkpoint.text.replace("\n9\n", "\n8\n");
    for bad in [forged, other, changed] {
        let refused = refusal(cosign(&mut world, &state, &bad));
        assert!(matches!(refused, Refusal::NotTheLog(_)), "{refused}");
    }
    assert_eq!(state.witnessed().expect("read").expect("cosigned").size, 5);
    cosign(&mut world, &state, &honest).expect("the truth");
}

/// Every way in which a log can be shown that does not go on, after a restart, a restore and a loss of the store.
#[test]
fn a_shrunken_or_forked_log_is_not_cosigned() {
    let (mut world, state) = witnessed(9, 5);
    drop(state);
    let backup = world.back_up();
    let state = world.start();
    let next = world.to_cosign(5, 7);
    cosign(&mut world, &state, &next).expect("it goes on");
    let check = |world: &mut World, state: &StewardState| {
        let small = world.to_cosign(5, 6);
        let shrank = Refusal::LogShrank { had: 7, shown: 6 };
        assert_eq!(refusal(cosign(world, state, &small)), shrank);
        let honest = std::mem::take(&mut world.leaves);
        let mut forks = Vec::new();
        // The same size, and a longer log, of which one entry is another; and one that was written anew.
        for entry in [0, 3, 6] {
            world.leaves = honest.clone();
            world.leaves[entry] = dawn_protocol::Digest([9; 32]);
            forks.extend([world.to_cosign(7, 7), world.to_cosign(7, 9)]);
        }
        world.leaves = honest;
        // The proof is about other sizes, or there is none.
        forks.extend([world.to_cosign(5, 9), world.to_cosign(0, 9)]);
        let mut without = world.to_cosign(7, 9);
        without.proof.clear();
        forks.push(without);
        for fork in forks {
            let refused = refusal(cosign(world, state, &fork));
            assert!(
                matches!(refused, Refusal::LogForked { had: 7, .. }),
                "{refused}"
            );
        }
    };
    check(&mut world, &state);
    drop(state);
    let state = world.start();
    check(&mut world, &state);
    drop(state);
    // An older store: the guard remembers.
    world.restore(&backup);
    let state = world.start();
    check(&mut world, &state);
    drop(state);
    std::fs::remove_dir_all(world.data_dir()).expect("lost");
    let state = world.start();
    check(&mut world, &state);
    let next = world.to_cosign(7, 9);
    cosign(&mut world, &state, &next).expect("the log goes on");
}

/// The pairs that a steward has kept: their folders by name, with what was cosigned and what was shown.
fn evidence(world: &World) -> BTreeMap<String, [SignedNote; 2]> {
    let Ok(folder) = fs::read_dir(world.data_dir().join(EVIDENCE_FOLDER)) else {
        return BTreeMap::new();
    };
    let pairs = folder.map(|pair| {
        let pair = pair.expect("readable").path();
        let notes = [COSIGNED_FILE, SHOWN_FILE].map(|file| {
            let bytes = fs::read(pair.join(file)).expect("kept");
            assert!(bytes.len() < 4096, "{}", bytes.len());
            SignedNote::parse(&bytes).expect("a note")
        });
        let name = pair.file_name().expect("a name").to_string_lossy();
        (name.into_owned(), notes)
    });
    pairs.collect()
}

/// Two histories are no use to anybody when their proof is thrown away.
#[test]
fn a_fork_is_kept_as_evidence_that_anybody_can_verify() {
    let (mut world, state) = witnessed(9, 7);
    let key = world.log.public();
    let origin = world.checkpoint(7).origin;
    // What the log has not signed proves nothing, and nothing is written for it.
    let mut forged = world.to_cosign(7, 7);
    forged.checkpoint = world.checkpoint(9).sign(&world.aggregator);
    assert!(cosign(&mut world, &state, &forged).is_err());
    assert!(evidence(&world).is_empty());
    let honest = world.leaves.clone();
    world.leaves[3] = dawn_protocol::Digest([9; 32]);
    let fork = world.to_cosign(7, 7);
    for _ in 0..3 {
        assert!(cosign(&mut world, &state, &fork).is_err());
    }
    let kept = evidence(&world);
    assert_eq!(kept.len(), 1, "once");
    let (name, notes) = kept.first_key_value().expect("one");
    assert!(name.starts_with("fork-7-7-"), "{name}");
    let [cosigned, shown] = notes
        .each_ref()
        .map(|note| Checkpoint::verify(note, &origin, &key).expect("by the log"));
    assert_eq!(cosigned.size, shown.size);
    assert_ne!(cosigned.root, shown.root);
    // This steward's own word is with the one that it cosigned.
    let name = cosigner(&state.id());
    assert!(notes[0].signatures.iter().any(|line| line.name == name));
    // A longer log that does not continue it, and one that shrank, prove something together with the log's silence.
    let longer = world.to_cosign(7, 9);
    assert!(cosign(&mut world, &state, &longer).is_err());
    let smaller = world.to_cosign(6, 6);
    assert!(cosign(&mut world, &state, &smaller).is_err());
    let names = evidence(&world).into_keys();
    let sorts: Vec<_> = names
        .map(|name| name[..name.len() - 17].to_owned())
        .collect();
    assert_eq!(sorts, ["fork-7-7", "older-7-6", "unproven-7-9"]);
    // Who can sign one can sign many: a few of each sort are kept, over restarts, and none crowds out the other sort.
    drop(state);
    let state = world.start();
    for entry in 0..20 {
        world.leaves.clone_from(&honest);
        world.leaves[2] = dawn_protocol::Digest([entry; 32]);
        for size in [9, 7] {
            let shown = world.to_cosign(7, size);
            assert!(cosign(&mut world, &state, &shown).is_err());
        }
    }
    let count = |sort| {
        evidence(&world)
            .into_keys()
            .filter(|name| name.starts_with(sort))
            .count()
    };
    assert_eq!(
        (count("fork-"), count("unproven-")),
        (MOST_OF_A_SORT, MOST_OF_A_SORT)
    );
    world.leaves = honest;
    let next = world.to_cosign(7, 9);
    cosign(&mut world, &state, &next).expect("the log goes on");
}

/// A replica that lags shows what was true once, now and then over the years. That must not take the places of a fork.
#[test]
fn older_checkpoints_crowd_out_no_fork() {
    let (mut world, state) = witnessed(12, 9);
    for size in 1..9 {
        let older = world.to_cosign(size, size);
        let refused = refusal(cosign(&mut world, &state, &older));
        assert!(matches!(refused, Refusal::LogShrank { had: 9, .. }));
    }
    assert_eq!(evidence(&world).len(), MOST_OF_A_SORT);
    world.leaves[3] = dawn_protocol::Digest([9; 32]);
    let fork = world.to_cosign(9, 12);
    assert!(cosign(&mut world, &state, &fork).is_err());
    let kept = evidence(&world);
    let found = kept
        .iter()
        .find(|(name, _)| name.starts_with("unproven-9-12-"));
    let (_, [_, shown]) = found.expect("the fork is kept");
    assert_eq!(shown.text, fork.checkpoint.text);
}

#[test]
fn nothing_is_said_about_statements_that_are_not_in_the_log() {
    let mut world = World::new();
    let state = world.start();
    let round = world.first_round(&state);
    let id = world.id(1);
    let not_logged = |kind| Refusal::NotLogged { round: id, kind };
    let asked = state.endorse(&round.spec, &[], now(), &mut world.rng);
    assert_eq!(refusal(asked), not_logged(RoundSpec::KIND));
    world.endorse(&state, &round).expect("it is logged");

    let closed = world.closed(&round, &[0, 0, 0, 1, 2]);
    let announcement = &closed.announcement;
    let ask = |world: &mut World, state: &StewardState| {
        let asked = state.report(
            announcement,
            &closed.statement,
            &closed.challenge,
            &mut world.rng,
        );
        refusal(asked.map(|_| Vec::new()))
    };
    let beacon = state.share_beacon(announcement, &closed.statement, &mut world.rng);
    assert_eq!(
        refusal(beacon.map(|_| Vec::new())),
        not_logged(Closed::KIND)
    );
    assert_eq!(ask(&mut world, &state), not_logged(Closed::KIND));
    world.logged(&state, &[closed.statement.bytes()]);
    assert_eq!(ask(&mut world, &state), not_logged(Challenge::KIND));
    // What was shown is not remembered over a restart; the log is, and shows it again.
    drop(state);
    let state = world.start();
    assert_eq!(ask(&mut world, &state), not_logged(RoundSpec::KIND));
    let report = world.report(&state, &closed).expect("it is logged");

    let reports = world.reports(&round, &closed, &report, &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, 0);
    let request = OpenRequest {
        announcement,
        closed: &closed.statement,
        challenge: &closed.challenge,
        reports: &signed(&reports),
        verdict: &verdict,
    };
    let asked = state.open(&request, &mut world.rng).map(|_| Vec::new());
    assert_eq!(refusal(asked), not_logged(Verdict::KIND));
    // A proof of something else, or in a tree that this steward has not cosigned, shows nothing.
    let size = world.leaves.len();
    let elsewhere = world.proof(0, size);
    assert!(state.learn_logged(verdict.bytes(), &elsewhere).is_err());
    let index = world.append(verdict.bytes());
    let later = world.proof(index, size + 1);
    assert!(state.learn_logged(verdict.bytes(), &later).is_err());
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("it is logged");
}

#[tokio::test]
async fn over_http_the_log_is_cosigned_before_anything_is_said() {
    let mut world = World::new();
    let server = Server::start(Script::of(&world)).await;
    let round = world.id(1);
    server.work(vec![WorkItem::PublishSealingKey { round }]);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    let own = server.said("sealing-key");
    let model = world.initial_model();
    let round = world.round_with(&own, 1, None, model);
    let work = vec![WorkItem::Endorse {
        spec: round.spec.clone(),
    }];
    server.work_that_is_not_logged(work.clone());
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 0);
    assert_eq!(
        (server.try_said("endorsement"), server.cosignatures()),
        (None, 0)
    );
    server.work(work);
    let real = steward(&world, &server);
    assert_eq!(real.step_once().await.expect("step"), 1);
    assert_eq!(server.cosignatures(), 1);
    assert_eq!(real.step_once().await.expect("step"), 1, "again");
    assert_eq!(
        server.cosignatures(),
        1,
        "what has arrived is not sent again"
    );
    drop(real);
    // Another history, whatever it has.
    let other = Server::start(Script::of(&world)).await;
    let mut second = round.spec.peek().clone();
    second.opened_ms += 1;
    let spec = world.by_aggregator(&second);
    other.work(vec![WorkItem::Endorse { spec }]);
    assert_eq!(steward(&world, &other).step_once().await.expect("step"), 0);
    assert_eq!(
        (other.try_said("endorsement"), other.cosignatures()),
        (None, 0)
    );
    assert_eq!(evidence(&world).len(), 1);
}
