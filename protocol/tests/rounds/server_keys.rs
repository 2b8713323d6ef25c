//! The aggregator's key is replaced: a round lives under the one of the register that its specification names.

use dawn_identity::{
    SecretKey, ServerKey, ServerKeyChange, ServerRole, Signed, SignedServerKeyChange, Statement,
};
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    AbortReason, Aborted, Closed, Culprit, Receipt, RoundContext, RoundSpec, Rule, Terminal,
    Violation,
};

use crate::assert_violates;
use crate::world::{NOW, World};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// The founders replace the aggregator's key in the register.
fn replace(world: &mut World, key: &SecretKey) {
    let federation = world.federation.digest();
    let (last, previous) = world.members.last_server_key_change();
    let change = ServerKeyChange {
        federation,
        sequence: last + 1,
        previous,
        new: ServerKey::prove(&federation, ServerRole::Aggregator, key),
        created: NOW,
    };
    let orgs = world.organisations.iter();
    let signatures = orgs.map(|org| change.sign_for(org.id(), org.root()));
    let change = SignedServerKeyChange::assemble(change, signatures.collect()).unwrap();
    let event = world.organisations[0].post_server_key(&change).unwrap();
    world.members.push(event.bytes()).unwrap();
}

fn aborted(context: &RoundContext, reason: AbortReason) -> Aborted {
    Aborted {
        round: context.round_id(),
        session: Some(context.session()),
        reason,
        detail: String::new(),
        model: context.spec().model,
        previous: context.spec().previous,
        direction: None,
        draw: None,
    }
}

fn by<T: Statement>(statement: &T, key: &SecretKey) -> Signed<T> {
    Signed::sign(statement, key).unwrap()
}

#[test]
fn a_round_lives_under_the_key_of_its_register() {
    let mut world = World::new(6, 1);
    let model = world.initial_model();
    let (spec, _) = world.spec(1, None, model, &[1, 2, 3, 4, 5, 6]);
    let old = SecretKey::from_seed(&world.aggregator.to_seed());
    let before = world.members.clone();
    replace(&mut world, &key(70));
    let (new, after) = (key(70), world.members.clone());
    // Whatever a party knows, the key is that of the place.
    let known_before = world.context.clone();
    let known_after = known_before.under_roster_in_force(&after).unwrap();
    assert_eq!(known_after.aggregator(), &new.public());
    let named = |head| RoundSpec {
        register: head,
        ..spec.clone()
    };
    let old_place = by(&named(before.head()), &old);
    let new_place = by(&named(after.head()), &new);
    known_before
        .verify_spec(&old_place)
        .unwrap()
        .verify_register(&before)
        .unwrap();
    let old_round = known_after.verify_spec(&old_place).unwrap();
    old_round.verify_register(&before).unwrap();
    let new_round = known_after.verify_spec(&new_place).unwrap();
    new_round.verify_register(&after).unwrap();
    // Who has not read the change does not know the key.
    assert_violates!(
        known_before.verify_spec(&new_place),
        Rule::Signature,
        Culprit::Aggregator
    );
    // The old key names the place of the new one, and the other way round.
    for (head, key, members) in [(&after, &old, &after), (&before, &new, &before)] {
        let spec = by(&named(head.head()), key);
        let round = known_after.verify_spec(&spec).unwrap();
        assert_violates!(
            round.verify_register(members),
            Rule::Register,
            Culprit::Aggregator
        );
    }
    assert_violates!(
        known_after.verify_spec(&by(&named(after.head()), &key(99))),
        Rule::Signature,
        Culprit::Aggregator
    );
    // For whoever has read the change, the old round is over.
    old_round.verify_key_counts(&before).unwrap();
    assert_violates!(
        old_round.verify_key_counts(&after),
        Rule::Register,
        Culprit::Aggregator
    );
    new_round.verify_key_counts(&after).unwrap();
    assert!(new_round.verify_key_counts(&before).is_err());
}

#[test]
fn everything_that_is_said_in_a_round_is_under_its_key() {
    let mut world = World::new(6, 1);
    let old = SecretKey::from_seed(&world.aggregator.to_seed());
    let device = world.device(0);
    let round = world.first_round();
    replace(&mut world, &key(70));
    let submission = world.submit(&round, &device, &[0; 10]);
    let receipt = Receipt {
        round: round.open.round_id(),
        session: round.open.session(),
        device: device.credential.claimed_device(),
        header: submission.header.envelope_digest(),
        received_ms: 1,
    };
    round
        .open
        .verify_receipt(&by(&receipt, &old), &submission.header)
        .unwrap();
    assert_violates!(
        round
            .open
            .verify_receipt(&by(&receipt, &key(70)), &submission.header),
        Rule::Signature,
        Culprit::Aggregator
    );
    let mut roll = Roll::new();
    roll.push(&round.open, &world.members, submission.header.bytes())
        .unwrap();
    let closed = Closed {
        round: round.open.round_id(),
        session: round.open.session(),
        root: roll.root(),
        count: 1,
        closed_ms: 1,
        register: world.members.head(),
    };
    round.open.verify_closed(&by(&closed, &old)).unwrap();
    assert_violates!(
        round.open.verify_closed(&by(&closed, &key(70))),
        Rule::Signature,
        Culprit::Aggregator
    );
}

#[test]
fn a_round_whose_key_was_replaced_is_aborted_with_a_later_one_and_for_that_alone() {
    let mut world = World::new(6, 1);
    let old = SecretKey::from_seed(&world.aggregator.to_seed());
    let first = world.first_round();
    let before = world.members.clone();
    replace(&mut world, &key(70));
    let between = world.members.clone();
    replace(&mut world, &key(71));
    let members = &world.members;
    let verify = |reason, key: &SecretKey, members| {
        let context = first.open.context();
        let aborted = by(&aborted(context, reason), key);
        context.verify_aborted(&aborted, members).map(|_| ())
    };
    let replaced = AbortReason::KeyReplaced;
    verify(replaced, &key(70), members).unwrap();
    verify(replaced, &key(71), members).unwrap();
    verify(replaced, &key(70), &between).unwrap();
    let other = AbortReason::TooFewEndorsements;
    verify(other, &old, members).unwrap();
    let refused = |result: Result<(), Violation>| {
        assert_violates!(result, Rule::Signature, Culprit::Aggregator);
    };
    // The old key was not replaced as of then; it replaces itself; it is nobody's.
    refused(verify(replaced, &old, &before));
    refused(verify(replaced, &old, members));
    refused(verify(replaced, &key(70), &before));
    refused(verify(replaced, &key(71), &between));
    refused(verify(replaced, &key(99), members));
    refused(verify(other, &key(70), members));
    refused(verify(other, &key(71), members));
    // A later round is not ended by the key before it.
    world.context = world.context.under_roster_in_force(&between).unwrap();
    let model = world.initial_model();
    let (spec, _) = world.spec(1, None, model, &[1, 2, 3, 4, 5, 6]);
    let second = world.context.verify_spec(&by(&spec, &key(70))).unwrap();
    let aborted = by(&aborted(&second, replaced), &old);
    refused(second.verify_aborted(&aborted, &world.members).map(|_| ()));
}

#[test]
fn the_next_round_follows_an_end_under_the_key_before() {
    let mut world = World::new(6, 1);
    let old = SecretKey::from_seed(&world.aggregator.to_seed());
    let first = world.first_round();
    replace(&mut world, &key(70));
    let body = aborted(first.open.context(), AbortReason::TooFewSubmissions);
    let ended = |key: &SecretKey| Terminal::Aborted(by(&body, key));
    world.context = world.context.under_roster_in_force(&world.members).unwrap();
    world.aggregator = key(70);
    let model = world.initial_model();
    let second = world.round(2, Some(&ended(&old)), model, &[1, 2, 3, 4, 5, 6]);
    second.open.verify_register(&world.members).unwrap();
    // The specification names what was said, whichever key of the aggregator said it.
    second
        .open
        .verify_previous(Some(&ended(&old)), None)
        .unwrap();
    second
        .open
        .verify_previous(Some(&ended(&key(70))), None)
        .unwrap();
    assert_violates!(
        second.open.verify_previous(Some(&ended(&key(99))), None),
        Rule::Signature,
        Culprit::Aggregator
    );
}
