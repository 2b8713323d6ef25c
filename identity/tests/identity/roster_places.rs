//! Rosters in the register: which root keys count for one is decided as of its place, and epochs are one chain.

use dawn_identity::{
    Change, OrgId, Organisation, RegisterError, Roster, RosterError, RosterPosting, SecretKey,
    Signed, SignedRoster,
};

use crate::fixture::{Fixture, NOW, organisation, refuse_every_change, vrf};
use crate::story::{Story, key, with_root};

/// A federation whose admitted organisations have registered.
fn story() -> Story {
    let mut story = Story::new();
    for org in [organisation("Epsilon", 11), organisation("Zeta", 12)] {
        let registration = org.register(&story.digest(), NOW).unwrap();
        story.register.push(registration.bytes()).unwrap();
    }
    story
}

fn roster(story: &Story, epoch: u64) -> Roster {
    Roster {
        epoch,
        ..story.fixture.roster()
    }
}

/// Signed by these, posted by the first of them.
fn posting(roster: Roster, by: &[&Organisation]) -> Signed<RosterPosting> {
    // After a rotation an organisation's identifier is not that of its key.
    let signatures = by
        .iter()
        .map(|org| roster.sign_for(org.id(), org.root()))
        .collect();
    let signed = SignedRoster::assemble(roster, signatures).unwrap();
    by[0].post_roster(&signed, NOW).unwrap()
}

fn posted_by_all(story: &Story, epoch: u64) -> Signed<RosterPosting> {
    posting(roster(story, epoch), &story.fixture.organisations())
}

fn push(story: &mut Story, posting: &Signed<RosterPosting>) -> Result<(), RegisterError> {
    let before = story.register.head();
    let done = story.register.push(posting.bytes()).map(|_| ());
    assert_eq!(done.is_err(), before == story.register.head());
    done
}

fn refused(story: &mut Story, posting: &Signed<RosterPosting>) -> RosterError {
    match push(story, posting) {
        Err(RegisterError::Roster(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn epochs_are_one_chain_without_gaps_forks_or_replays() {
    let mut story = story();
    let epoch = |newest, found| Err(RegisterError::Epoch { newest, found });
    let (one, two) = (posted_by_all(&story, 1), posted_by_all(&story, 2));
    assert_eq!(push(&mut story, &two), epoch(0, 2), "a skipped epoch");
    push(&mut story, &one).unwrap();
    assert_eq!(push(&mut story, &one), epoch(1, 1), "an old roster again");
    // Another roster of the same epoch, signed by everybody: the first one stays.
    let mut fork = roster(&story, 1);
    fork.created += 1;
    let fork = posting(fork, &story.fixture.organisations());
    assert_eq!(push(&mut story, &fork), epoch(1, 1), "a fork");
    push(&mut story, &two).unwrap();
    let last = posted_by_all(&story, u64::MAX);
    assert_eq!(push(&mut story, &last), epoch(2, u64::MAX));
    assert_eq!(push(&mut story, &one), epoch(2, 1), "an old roster again");
    let members = story.register.members();
    let epochs: Vec<_> = members.rosters().iter().map(|r| r.epoch()).collect();
    assert_eq!(epochs, [1, 2]);
    assert_eq!(members.newest_roster().unwrap().epoch(), 2);
}

/// What the register was for: the thief of a root key that was replaced signed rosters that passed.
#[test]
fn a_root_key_that_was_replaced_signs_no_roster_any_more() {
    let mut story = story();
    let one = posted_by_all(&story, 1);
    push(&mut story, &one).unwrap();
    // Signed while the old key was current, posted when it is not.
    let kept_back = posted_by_all(&story, 2);
    let alpha = organisation("Alpha Clinic", 1);
    let change = alpha.rotation(&story.digest(), &key(60));
    story.tell(&alpha, change).unwrap();
    // It stays in force: its place is before.
    assert_eq!(story.register.members().newest_roster().unwrap().epoch(), 1);
    // The thief posts it, with the stolen key or another organisation's.
    assert!(matches!(
        push(&mut story, &kept_back),
        Err(RegisterError::Signature { org, .. }) if org == alpha.id()
    ));
    let beta = organisation("Beta", 2);
    let by_beta = beta.post_roster(&kept_back.peek().roster, NOW).unwrap();
    assert!(matches!(
        refused(&mut story, &by_beta),
        RosterError::Signature { org, .. } if org == alpha.id()
    ));
    // With the new key it is a roster.
    let new = with_root(&alpha, key(60));
    let others = story.fixture.organisations();
    let by: Vec<_> = std::iter::once(&new)
        .chain(others.into_iter().skip(1))
        .collect();
    let two = posting(roster(&story, 2), &by);
    push(&mut story, &two).unwrap();
}

#[test]
fn who_left_and_who_was_revoked_is_in_no_new_roster() {
    let mut story = story();
    let one = posted_by_all(&story, 1);
    push(&mut story, &one).unwrap();
    let zeta = organisation("Zeta", 12);
    let steward = roster(&story, 1).stewards[5].id();
    story
        .tell(&zeta, Change::RevokeSteward { steward })
        .unwrap();
    let two = posted_by_all(&story, 2);
    assert!(matches!(refused(&mut story, &two), RosterError::Revoked(_)));
    let mut replaced = roster(&story, 2);
    replaced.stewards[5].steward = key(61).public();
    replaced.stewards[5].vrf = vrf(99);
    let two = posting(replaced, &story.fixture.organisations());
    push(&mut story, &two).unwrap();
    story.tell(&zeta, Change::RevokeOrganisation).unwrap();
    let three = posted_by_all(&story, 3);
    assert_eq!(
        refused(&mut story, &three),
        RosterError::ForeignSigner(zeta.id())
    );
    // The one that is there stays: whom it seats is another question.
    assert_eq!(story.register.members().newest_roster().unwrap().epoch(), 2);
    assert_eq!(
        push(
            &mut story,
            &zeta.post_roster(&two.peek().roster, NOW).unwrap()
        ),
        Err(RegisterError::NotAMember(zeta.id()))
    );
}

#[test]
fn only_a_signer_posts_and_only_to_its_federation() {
    let mut story = story();
    let signed = posted_by_all(&story, 1).peek().roster.clone();
    assert!(
        organisation("Stranger", 77)
            .post_roster(&signed, NOW)
            .is_err(),
        "has not signed it"
    );
    // With another's key under the name of a signer.
    let mut body = posted_by_all(&story, 1).peek().clone();
    let stranger = SecretKey::from_seed(&[3; 32]);
    let forged = Signed::sign(&body, &stranger).unwrap();
    assert!(matches!(
        push(&mut story, &forged),
        Err(RegisterError::Signature { .. })
    ));
    body.federation = dawn_identity::Digest([4; 32]);
    assert!(
        Signed::sign(&body, &stranger).is_err(),
        "of another federation"
    );
    let elsewhere = Fixture::with_admission(dawn_identity::Admission::Approval { k: 2 });
    let one = elsewhere.organisations()[0]
        .post_roster(&elsewhere.signed_roster(), NOW)
        .unwrap();
    assert!(matches!(
        push(&mut story, &one),
        Err(RegisterError::OtherFederation(_))
    ));
    let good = posted_by_all(&story, 1);
    push(&mut story, &good).unwrap();
}

#[test]
fn every_changed_byte_of_a_posting_is_refused() {
    let story = story();
    let posting = posted_by_all(&story, 1);
    refuse_every_change(posting.bytes(), |bytes| {
        story.register.members().verify_entry(bytes).is_ok()
    });
}

#[test]
fn what_goes_on_under_a_later_roster_has_the_same_organisations_and_thresholds() {
    let mut story = story();
    let organisations = story.fixture.organisations().len();
    let mut bodies = vec![roster(&story, 1)];
    // Another key of one steward; one steward fewer; the order changed; the same as the second again.
    let mut keys = roster(&story, 2);
    keys.stewards[2].steward = key(62).public();
    bodies.push(keys.clone());
    let mut fewer = roster(&story, 3);
    fewer.stewards.pop();
    fewer.threshold = dawn_crypto::shamir::Threshold::new(5, 1).unwrap();
    bodies.push(fewer);
    let mut order = roster(&story, 4);
    order.stewards.swap(0, 1);
    bodies.push(order);
    let mut crashes = roster(&story, 5);
    crashes.threshold = dawn_crypto::shamir::Threshold::new(6, 0).unwrap();
    bodies.push(crashes);
    keys.epoch = 6;
    bodies.push(keys);
    for (at, body) in bodies.iter().enumerate() {
        let posting = posting(body.clone(), &story.fixture.organisations());
        push(&mut story, &posting).unwrap();
        let members = story.register.members();
        let in_force = members.roster_in_force(&bodies[0].digest()).unwrap();
        let expected = [0, 1, 1, 1, 1, 5][at];
        assert_eq!(
            in_force.digest(),
            bodies[expected].digest(),
            "epoch {}",
            at + 1
        );
        // What names a roster is never carried back to one before it.
        let own = members.roster_in_force(&body.digest()).unwrap();
        assert_eq!(own.digest(), body.digest());
    }
    assert_eq!(organisations, 6);
    let members = story.register.members();
    assert_eq!(
        members.roster_in_force(&dawn_identity::Digest([9; 32])),
        None
    );
    let last: Vec<OrgId> = bodies[5].stewards.iter().map(|entry| entry.org).collect();
    assert_eq!(last.len(), 6);
}
