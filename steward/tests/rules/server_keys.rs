//! The server's keys are replaced: what a steward says under which key, and which checkpoints it cosigns.

use dawn_identity::{
    SecretKey, ServerKey, ServerKeyChange, ServerRole, Signed, SignedServerKeyChange,
};
use dawn_protocol::{AbortReason, Aborted, Endorsement, Rule, Terminal};
use dawn_steward::{Refusal, StewardState};

use crate::world::{Round, World, body, refusal};
use crate::{assert_rule, now};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// The founders replace one of the server's keys; the steward is not shown it yet. The entry is in the log.
fn replace(world: &mut World, role: ServerRole, key: &SecretKey) {
    let federation = world.federation.digest();
    let (last, previous) = world.members.last_server_key_change();
    let change = ServerKeyChange {
        federation,
        sequence: last + 1,
        previous,
        new: ServerKey::prove(&federation, role, key),
        created: now(),
    };
    let orgs = world.organisations.iter();
    let signatures = orgs.map(|org| change.sign_for(org.id(), org.root()));
    let change = SignedServerKeyChange::assemble(change, signatures.collect()).expect("a change");
    let event = world.organisations[0]
        .post_server_key(&change)
        .expect("an event");
    world.members.push(event.bytes()).expect("follows");
    world.entries.push(event.bytes().to_vec());
    world.append(event.bytes());
    world.context = world
        .context
        .under_roster_in_force(&world.members)
        .expect("the same roster");
}

fn learn(world: &World, state: &StewardState) {
    let known = state.register_entries();
    let new = &world.entries[usize::try_from(known).expect("small")..];
    state.learn_register(known, new).expect("it grows");
}

fn resigned(round: &Round, key: &SecretKey) -> Round {
    Round {
        spec: Signed::sign(round.spec.peek(), key).expect("sign"),
        secrets: Vec::new(),
    }
}

#[test]
fn nothing_is_said_in_a_round_whose_key_was_replaced() {
    let mut world = World::new();
    let state = world.start();
    let round = world.first_round(&state);
    replace(&mut world, ServerRole::Aggregator, &key(70));
    // Who has not read the change cannot know; who has says nothing, whoever shows it the round.
    learn(&world, &state);
    let over = Refusal::KeyReplaced(world.id(1));
    assert_eq!(refusal(world.endorse(&state, &round)), over);
    // The new key does not take the round over at its old place.
    let moved = resigned(&round, &key(70));
    assert_rule!(refusal(world.endorse(&state, &moved)), Rule::Register);
    drop(state);
    // Also after a restart.
    let state = world.start();
    assert_eq!(refusal(world.endorse(&state, &round)), over);
    // The new key ends it, and the next round goes on under it.
    let ended = Aborted {
        round: world.id(1),
        session: Some(round.spec.peek().session()),
        reason: AbortReason::KeyReplaced,
        detail: String::new(),
        model: round.spec.peek().model,
        previous: None,
        direction: None,
        draw: None,
    };
    let ended = Terminal::Aborted(Signed::sign(&ended, &key(70)).expect("sign"));
    world.aggregator = key(70);
    let own = world.sealing_key(&state, 2).expect("the next round");
    let model = world.initial_model();
    let next = world.round_with(&own, 2, Some(&ended), model);
    let by_old = resigned(&next, &SecretKey::from_seed(&[71; 32]));
    let asked = world.endorse_spec(&state, &by_old.spec, std::slice::from_ref(&ended));
    assert_rule!(refusal(asked), Rule::Signature);
    let said = world
        .endorse_spec(&state, &next.spec, &[ended])
        .expect("under the new key");
    assert_eq!(body::<Endorsement>(&said).round, world.id(2));
}

/// A thief of the old key waits until a steward starts again, and shows it the register from before the change.
#[test]
fn a_steward_that_starts_again_has_not_forgotten_the_change() {
    for refused_once in [false, true] {
        let mut world = World::new();
        let state = world.start();
        let round = world.first_round(&state);
        replace(&mut world, ServerRole::Aggregator, &key(70));
        learn(&world, &state);
        state.keep_server_keys(&mut world.rng).expect("remembers");
        if refused_once {
            let over = Refusal::KeyReplaced(world.id(1));
            assert_eq!(refusal(world.endorse(&state, &round)), over);
        }
        drop(state);
        let all = world.entries.clone();
        world.entries.truncate(all.len() - 1);
        let state = world.start();
        let asked = state.endorse(&round.spec, &[], now(), &mut world.rng);
        let hidden = Refusal::KeyChangeHidden { known: 1 };
        assert_eq!(refusal(asked), hidden);
        let kept = state.keep_server_keys(&mut world.rng);
        assert_eq!(refusal(kept.map(|()| Vec::new())), hidden);
        world.entries = all;
        learn(&world, &state);
        let over = Refusal::KeyReplaced(world.id(1));
        assert_eq!(refusal(world.endorse(&state, &round)), over);
    }
}

/// A thief of the old key names a place before the change, or after it: either is refused by whoever has read it.
#[test]
fn a_thief_of_the_old_key_gets_no_endorsement() {
    let mut world = World::new();
    let stolen = SecretKey::from_seed(&world.aggregator.to_seed());
    let before = world.members.head();
    let state = world.start();
    replace(&mut world, ServerRole::Aggregator, &key(70));
    learn(&world, &state);
    let own = world.sealing_key(&state, 1).expect("sealing key");
    let model = world.initial_model();
    let honest = world.round_with(&own, 1, None, model);
    let at_new_place = resigned(&honest, &stolen);
    assert_rule!(
        refusal(world.endorse(&state, &at_new_place)),
        Rule::Register
    );
    let mut spec = honest.spec.peek().clone();
    spec.register = before;
    let at_old_place = Round {
        spec: Signed::sign(&spec, &stolen).expect("sign"),
        secrets: Vec::new(),
    };
    // It gave its sealing key when it knew more.
    let refused = refusal(world.endorse(&state, &at_old_place));
    assert!(
        matches!(
            refused,
            Refusal::OldRegister { .. } | Refusal::KeyReplaced(_)
        ),
        "{refused}"
    );
    let honest = resigned(&honest, &key(70));
    world.endorse(&state, &honest).expect("the truth");
}

#[test]
fn only_the_newest_key_signs_the_log() {
    let mut world = World::new();
    for entry in 0..5 {
        world.append(&[entry]);
    }
    let state = world.start();
    let cosign = |world: &mut World, state: &StewardState, old, size| {
        let shown = world.to_cosign(old, size);
        let asked = state.cosign(&shown, now(), &mut world.rng);
        asked.map(|(size, _)| size.to_le_bytes().to_vec())
    };
    cosign(&mut world, &state, 0, 3).expect("the old key");
    replace(&mut world, ServerRole::Log, &key(70));
    let old = std::mem::replace(&mut world.log, key(70));
    // It has not read the change: the new key is unknown to it.
    let refused = refusal(cosign(&mut world, &state, 3, 6));
    assert!(matches!(refused, Refusal::NotTheLog(_)), "{refused}");
    learn(&world, &state);
    // The new key signs every size, the old one none.
    cosign(&mut world, &state, 3, 4).expect("a smaller size");
    for size in [4, 5, 6] {
        let new = std::mem::replace(&mut world.log, SecretKey::from_seed(&old.to_seed()));
        let refused = refusal(cosign(&mut world, &state, 4, size));
        assert!(
            matches!(&refused, Refusal::NotTheLog(why) if why.contains("replaced")),
            "{refused}"
        );
        world.log = new;
    }
    cosign(&mut world, &state, 4, 6).expect("with the change");
    drop(state);
    // The thief shows a register from before the change to a steward that has just started, and its own log.
    let all = world.entries.clone();
    world.entries.truncate(1);
    let new = std::mem::replace(&mut world.log, old);
    world.append(b"the thief's");
    let state = world.start();
    let refused = refusal(cosign(&mut world, &state, 6, 7));
    assert!(
        matches!(refused, Refusal::KeyChangeHidden { known: 1 }),
        "{refused}"
    );
    (world.entries, world.log) = (all, new);
    learn(&world, &state);
    cosign(&mut world, &state, 6, 7).expect("the truth");
}
