//! Another key of the aggregator or of the log takes over: who decides, what is refused, and what counts as of which place.

use dawn_identity::{
    Change, Digest, FederationEvent, MAX_SERVER_KEY_CHANGES, Members, OrgId, Organisation,
    RegisterError, RosterSignature, SecretKey, ServerKey, ServerKeyChange, ServerKeyError,
    ServerRole, Signed, SignedServerKeyChange,
};
use proptest::prelude::*;

use crate::fixture::{Fixture, NOW, organisation, refuse_every_change, vrf};
use crate::story::{Story, key, with_root};

const ROLES: [ServerRole; 2] = [ServerRole::Aggregator, ServerRole::Log];

fn next(story: &Story, role: ServerRole, key: &SecretKey) -> ServerKeyChange {
    let (last, previous) = story.register.members().last_server_key_change();
    ServerKeyChange {
        federation: story.digest(),
        sequence: last + 1,
        previous,
        new: ServerKey::prove(&story.digest(), role, key),
        created: NOW,
    }
}

fn signed(change: ServerKeyChange, by: &[&Organisation]) -> SignedServerKeyChange {
    let signatures = by.iter().map(|org| change.sign_for(org.id(), org.root()));
    SignedServerKeyChange::assemble(change, signatures.collect()).unwrap()
}

fn posted(change: ServerKeyChange, by: &[&Organisation]) -> Signed<FederationEvent> {
    by[0].post_server_key(&signed(change, by)).unwrap()
}

/// The quorum of the fixture: three of four.
fn quorum(fixture: &Fixture) -> Vec<&Organisation> {
    fixture.founders.iter().take(3).collect()
}

fn push(story: &mut Story, event: &Signed<FederationEvent>) -> Result<(), RegisterError> {
    let before = story.register.members().clone();
    let done = story.register.push(event.bytes()).map(|_| ());
    assert_eq!(done.is_err(), before == *story.register.members());
    done
}

fn refused(story: &mut Story, change: ServerKeyChange, by: &[&Organisation]) -> ServerKeyError {
    match push(story, &posted(change, by)) {
        Err(RegisterError::ServerKey(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_key_is_replaced_and_counts_as_of_its_place() {
    let mut story = Story::new();
    let (aggregator, log) = (
        story.fixture.federation.aggregator,
        story.fixture.federation.log,
    );
    let before = story.register.head();
    let one = posted(
        next(&story, ServerRole::Aggregator, &key(70)),
        &quorum(&story.fixture),
    );
    push(&mut story, &one).unwrap();
    let between = story.register.head();
    let two = posted(
        next(&story, ServerRole::Log, &key(71)),
        &quorum(&story.fixture),
    );
    push(&mut story, &two).unwrap();
    let keys = |members: &Members| (*members.aggregator(), *members.log());
    let at = |head| keys(&story.register.at(&head).unwrap());
    assert_eq!(at(before), (aggregator, log));
    assert_eq!(at(between), (key(70).public(), log));
    let members = story.register.members();
    assert_eq!(keys(members), (key(70).public(), key(71).public()));
    assert_eq!(members.aggregators(), [aggregator, key(70).public()]);
    assert_eq!(members.logs(), [log, key(71).public()]);
    assert_eq!(
        members.last_server_key_change(),
        (2, two.peek().change.peek().digest())
    );
    assert_eq!(members.aggregator_with(&aggregator.id()), Some(&aggregator));
    assert_eq!(members.aggregator_with(&log.id()), None);
}

#[test]
fn founders_decide_and_nobody_else() {
    let mut story = Story::new();
    let digest = story.digest();
    for org in [organisation("Epsilon", 11), organisation("Zeta", 12)] {
        let registration = org.register(&digest, NOW).unwrap();
        story.register.push(registration.bytes()).unwrap();
    }
    let all = Fixture::new();
    for role in ROLES {
        let change = next(&story, role, &key(70));
        let few = refused(&mut story, change, &quorum(&all)[..2]);
        let wanted = ServerKeyError::NoQuorum {
            signed: 2,
            quorum: 3,
        };
        assert_eq!(few, wanted);
        // Members that were let in do not count, not even in addition.
        let mut by = quorum(&all);
        by.push(&all.admitted[0]);
        let guest = refused(&mut story, change, &by);
        assert_eq!(guest, ServerKeyError::NotAFounder(all.admitted[0].id()));
        // Who posts it must have signed it, and is a member.
        let change = signed(change, &quorum(&all));
        assert!(all.founders[3].post_server_key(&change).is_err());
        assert!(all.admitted[0].post_server_key(&change).is_err());
        let event = FederationEvent {
            org: all.founders[0].id(),
            change: change.clone(),
        };
        // The old key of the server has no say: neither has the new one.
        for thief in [&all.aggregator, &key(70), all.founders[1].root()] {
            let event = Signed::sign(&event, thief).unwrap();
            assert!(matches!(
                push(&mut story, &event),
                Err(RegisterError::Signature { .. })
            ));
        }
        // A signature under another founder's name.
        let change = *change.peek();
        let [a, b, c] = [0, 1, 2].map(|at| &all.founders[at]);
        let forged = RosterSignature {
            org: c.id(),
            ..change.sign_for(b.id(), b.root())
        };
        let signatures = vec![
            change.sign_for(a.id(), a.root()),
            change.sign_for(b.id(), b.root()),
            forged,
        ];
        let forged = SignedServerKeyChange::assemble(change, signatures).unwrap();
        let event = a.post_server_key(&forged).unwrap();
        assert!(matches!(
            push(&mut story, &event),
            Err(RegisterError::ServerKey(error)) if matches!(*error, ServerKeyError::Signature { org, .. } if org == c.id())
        ));
    }
}

#[test]
fn a_root_key_that_was_replaced_signs_no_change_whenever_it_was_made() {
    let mut story = Story::new();
    let all = Fixture::new();
    let kept_back = next(&story, ServerRole::Aggregator, &key(70));
    let alpha = &all.founders[0];
    let change = alpha.rotation(&story.digest(), &key(60));
    story.tell(alpha, change).unwrap();
    // Posted by the thief of the old root key, and by somebody whose key counts.
    assert!(matches!(
        push(&mut story, &posted(kept_back, &quorum(&all))),
        Err(RegisterError::Signature { org, .. }) if org == alpha.id()
    ));
    let mut by = quorum(&all);
    by.rotate_left(1);
    let error = refused(&mut story, kept_back, &by);
    assert!(matches!(error, ServerKeyError::Signature { org, .. } if org == alpha.id()));
    let new = with_root(alpha, key(60));
    let by = [&new, &all.founders[1], &all.founders[2]];
    push(&mut story, &posted(kept_back, &by)).unwrap();
}

#[test]
fn who_left_does_not_sign() {
    let mut story = Story::new();
    let all = Fixture::new();
    story
        .tell(&all.founders[0], Change::RevokeOrganisation)
        .unwrap();
    let change = next(&story, ServerRole::Log, &key(70));
    let mut by = quorum(&all);
    assert_eq!(
        push(&mut story, &posted(change, &by)),
        Err(RegisterError::NotAMember(all.founders[0].id()))
    );
    by.rotate_left(1);
    assert_eq!(
        refused(&mut story, change, &by),
        ServerKeyError::NotAFounder(all.founders[0].id())
    );
    let rest: Vec<_> = all.founders.iter().skip(1).collect();
    push(&mut story, &posted(change, &rest)).unwrap();
}

#[test]
fn changes_are_one_chain_without_gaps_forks_or_replays() {
    let mut story = Story::new();
    let all = Fixture::new();
    let by = quorum(&all);
    let one = next(&story, ServerRole::Aggregator, &key(70));
    let sequence = |last, found| ServerKeyError::Sequence { last, found };
    let gap = ServerKeyChange { sequence: 2, ..one };
    assert_eq!(refused(&mut story, gap, &by), sequence(0, 2));
    let past = ServerKeyChange {
        previous: Digest([3; 32]),
        ..one
    };
    assert_eq!(refused(&mut story, past, &by), sequence(0, 1));
    // Signed at the same time as the one that comes: once that is there, it is none.
    let fork = next(&story, ServerRole::Aggregator, &key(71));
    push(&mut story, &posted(one, &by)).unwrap();
    assert_eq!(refused(&mut story, one, &by), sequence(1, 1));
    assert_eq!(refused(&mut story, fork, &by), sequence(1, 1));
    let fork = ServerKeyChange {
        sequence: 2,
        ..fork
    };
    assert_eq!(refused(&mut story, fork, &by), sequence(1, 2));
    // Back to the first key: never.
    let back = next(&story, ServerRole::Aggregator, &all.aggregator);
    assert_eq!(
        refused(&mut story, back, &by),
        ServerKeyError::KeyInUse(all.aggregator.public().id())
    );
}

#[test]
fn a_change_belongs_to_its_federation_and_its_role() {
    let mut story = Story::new();
    let all = Fixture::new();
    let by = quorum(&all);
    let (digest, other) = (story.digest(), Digest([9; 32]));
    for role in ROLES {
        let change = next(&story, role, &key(70));
        let elsewhere = ServerKeyChange {
            federation: other,
            ..change
        };
        let wanted = ServerKeyError::OtherFederation {
            expected: digest,
            named: other,
        };
        assert_eq!(refused(&mut story, elsewhere, &by), wanted);
        // Consent for another federation, for the other role, of another key.
        let (ServerKey::Aggregator { proof, .. } | ServerKey::Log { proof, .. }) =
            ServerKey::prove(&digest, role, &key(70));
        let key_of = key(70).public();
        let swapped = match role {
            ServerRole::Aggregator => ServerKey::Log { key: key_of, proof },
            ServerRole::Log => ServerKey::Aggregator { key: key_of, proof },
        };
        let foreign = ServerKey::prove(&other, role, &key(70));
        let (ServerKey::Aggregator { proof, .. } | ServerKey::Log { proof, .. }) =
            ServerKey::prove(&digest, role, &key(71));
        let another = match role {
            ServerRole::Aggregator => ServerKey::Aggregator { key: key_of, proof },
            ServerRole::Log => ServerKey::Log { key: key_of, proof },
        };
        for new in [swapped, foreign, another] {
            let change = ServerKeyChange { new, ..change };
            let error = refused(&mut story, change, &by);
            assert!(matches!(error, ServerKeyError::Proof { .. }), "{error}");
        }
    }
}

#[test]
fn a_key_that_is_somebodys_takes_nothing_over() {
    let mut story = Story::new();
    let all = Fixture::new();
    let digest = story.digest();
    for org in &all.admitted {
        let registration = org.register(&digest, NOW).unwrap();
        story.register.push(registration.bytes()).unwrap();
    }
    let roster = all.signed_roster();
    let posting = all.founders[0].post_roster(&roster, NOW).unwrap();
    story.register.push(posting.bytes()).unwrap();
    let alpha = &all.founders[0];
    let change = alpha.rotation(&digest, &key(60));
    story.tell(alpha, change).unwrap();
    let new = with_root(alpha, key(60));
    let by = [&new, &all.founders[1], &all.founders[2]];
    // Of the log too: one key, one purpose.
    let log = SecretKey::generate(&mut crate::fixture::rng(31));
    assert_eq!(log.public(), all.federation.log);
    let taken = [
        &all.aggregator,
        &log,
        alpha.root(),
        new.root(),
        alpha.issuer(),
        all.founders[1].root(),
        all.admitted[1].root(),
        &all.stewards[5],
    ];
    for role in ROLES {
        for taken in taken {
            let change = next(&story, role, taken);
            assert_eq!(
                refused(&mut story, change, &by),
                ServerKeyError::KeyInUse(taken.public().id())
            );
        }
    }
    // An issuer key of one that was let in is announced without its consent: it keeps nobody out.
    let change = next(&story, ServerRole::Log, all.admitted[0].issuer());
    push(&mut story, &posted(change, &by)).unwrap();
    // And nobody takes a key of the server, the old ones included.
    let late = organisation("Late", 40);
    for key in [&all.aggregator, &log, all.admitted[0].issuer()] {
        let registration = with_root(&late, SecretKey::from_seed(&key.to_seed()));
        let registration = registration.register(&digest, NOW);
        // The issuer certificate names the organisation of the first key.
        let Ok(registration) = registration else {
            continue;
        };
        assert!(story.register.push(registration.bytes()).is_err());
        let beta = &all.founders[1];
        if story
            .register
            .members()
            .get(&beta.id())
            .unwrap()
            .head()
            .is_none()
        {
            let registration = beta.register(&digest, NOW).unwrap();
            story.register.push(registration.bytes()).unwrap();
        }
        let change = beta.rotation(&digest, key);
        assert_eq!(
            story.tell(beta, change),
            Err(RegisterError::KeyInUse {
                org: beta.id(),
                key: key.public().id()
            })
        );
    }
    // Nor is it a steward's.
    let mut roster = all.roster();
    roster.epoch = 2;
    roster.stewards[3].steward = all.admitted[0].issuer().public();
    roster.stewards[3].vrf = vrf(98);
    let orgs: Vec<_> = std::iter::once(&new)
        .chain(all.organisations().into_iter().skip(1))
        .collect();
    let signatures = orgs
        .iter()
        .map(|org| roster.sign_for(org.id(), org.root()))
        .collect();
    let roster = dawn_identity::SignedRoster::assemble(roster, signatures).unwrap();
    let posting = new.post_roster(&roster, NOW).unwrap();
    assert!(matches!(
        story.register.push(posting.bytes()),
        Err(RegisterError::Roster(error)) if matches!(*error, dawn_identity::RosterError::KeyReused(_))
    ));
}

#[test]
fn nobody_fills_the_register_with_keys() {
    let mut story = Story::new();
    let all = Fixture::new();
    let by = quorum(&all);
    for at in 0..MAX_SERVER_KEY_CHANGES {
        let new = SecretKey::from_seed(&[(at + 100) as u8; 32]);
        let change = next(&story, ROLES[(at % 2) as usize], &new);
        push(&mut story, &posted(change, &by)).unwrap();
    }
    let change = next(&story, ServerRole::Log, &key(99));
    assert_eq!(change.sequence, MAX_SERVER_KEY_CHANGES + 1);
    assert!(SignedServerKeyChange::assemble(change, Vec::new()).is_err());
    let change = ServerKeyChange {
        sequence: u64::MAX,
        ..change
    };
    assert!(SignedServerKeyChange::assemble(change, Vec::new()).is_err());
}

#[test]
fn signatures_are_gathered_one_after_the_other() {
    let story = Story::new();
    let all = Fixture::new();
    let change = next(&story, ServerRole::Log, &key(70));
    let mut gathered = SignedServerKeyChange::assemble(change, Vec::new()).unwrap();
    for org in quorum(&all) {
        gathered = SignedServerKeyChange::from_bytes(&gathered.to_bytes()).unwrap();
        gathered = gathered
            .with(change.sign_for(org.id(), org.root()))
            .unwrap();
        // Twice is once.
        gathered = gathered
            .with(change.sign_for(org.id(), org.root()))
            .unwrap();
    }
    assert_eq!(gathered, signed(change, &quorum(&all)));
    story
        .register
        .members()
        .verify_server_key_change(&gathered)
        .unwrap();
    let mut twice = gathered.signatures().to_vec();
    twice.push(twice[0]);
    assert!(SignedServerKeyChange::assemble(change, twice).is_err());
}

#[test]
fn any_change_of_a_byte_is_refused() {
    let story = Story::new();
    let all = Fixture::new();
    let change = next(&story, ServerRole::Aggregator, &key(70));
    let event = posted(change, &quorum(&all));
    let members = story.register.members();
    refuse_every_change(event.bytes(), |bytes| members.verify_entry(bytes).is_ok());
    let change = signed(change, &quorum(&all)).to_bytes();
    refuse_every_change(&change, |bytes| {
        SignedServerKeyChange::from_bytes(bytes)
            .is_ok_and(|change| members.verify_server_key_change(&change).is_ok())
    });
}

proptest! {
    /// Whatever is in a change and whoever signs it: no panic, and it counts exactly when it is the next one, its key is new and
    /// proven, and three founders have signed it.
    #[test]
    fn only_the_next_change_with_a_quorum_counts(
        sequence in 0_u64..4,
        right_past: bool,
        right_federation: bool,
        proven: bool,
        by in prop::collection::btree_set(0_usize..6, 0..5),
        seed in 68_u8..72,
        log: bool,
    ) {
        let mut story = Story::new();
        let all = Fixture::new();
        let first = next(&story, ServerRole::Aggregator, &key(69));
        push(&mut story, &posted(first, &quorum(&all))).unwrap();
        let role = ROLES[usize::from(log)];
        let proving = if proven { story.digest() } else { Digest([7; 32]) };
        let change = ServerKeyChange {
            sequence,
            previous: if right_past { first.digest() } else { story.digest() },
            federation: if right_federation { story.digest() } else { Digest([8; 32]) },
            new: ServerKey::prove(&proving, role, &key(seed)),
            created: NOW,
        };
        let orgs = all.organisations();
        let signatures = by.iter().map(|at| change.sign_for(orgs[*at].id(), orgs[*at].root()));
        let Ok(signed) = SignedServerKeyChange::assemble(change, signatures.collect()) else {
            prop_assert_eq!(sequence, 0);
            return Ok(());
        };
        let Some(first) = by.first() else { return Ok(()) };
        let event = orgs[*first].post_server_key(&signed).unwrap();
        let counts = sequence == 2
            && right_past
            && right_federation
            && proven
            && seed != 69
            && by.len() >= 3
            && by.iter().all(|at| *at < 4);
        prop_assert_eq!(push(&mut story, &event).is_ok(), counts);
    }

    #[test]
    fn hostile_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = SignedServerKeyChange::from_bytes(&bytes);
        let story = Story::new();
        let envelope = dawn_identity::Envelope::seal(
            <FederationEvent as dawn_identity::Statement>::KIND,
            bytes,
            Fixture::new().founders[0].root(),
        );
        if let Ok(envelope) = envelope {
            prop_assert!(story.register.members().verify_entry(envelope.bytes()).is_err());
        }
        let _: OrgId = story.fixture.founders[0].id();
    }
}
