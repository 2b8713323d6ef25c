//! How organisations come in under *approval*: by what founders sign, and nobody who knows no founder takes a place.

use dawn_identity::{
    Admission, ChainError, Change, MAX_OPEN_APPROVALS, OrgApproval, OrgRegistration, Organisation,
    RegisterError, SecretKey, Signed, to_canonical,
};
use proptest::prelude::*;

use crate::fixture::{Fixture, NOW, organisation, refuse_every_change};
use crate::story::{Story, chain, key, with_root};

/// Two of four founders let in.
fn story() -> Story {
    Story::of(Fixture::with_admission(Admission::Approval { k: 2 }))
}

fn alpha() -> Organisation {
    organisation("Alpha Clinic", 1)
}

fn beta() -> Organisation {
    organisation("Beta", 2)
}

fn registration(story: &Story, seed: u64) -> Signed<OrgRegistration> {
    let org = organisation("Newcomer", seed);
    org.register(&story.digest(), NOW).unwrap()
}

fn approve(
    story: &mut Story,
    by: &Organisation,
    registration: &Signed<OrgRegistration>,
) -> Result<(), RegisterError> {
    let approval = by.approve(registration, NOW).unwrap();
    push(story, approval.bytes())
}

/// What is refused leaves no trace.
fn push(story: &mut Story, entry: &[u8]) -> Result<(), RegisterError> {
    let before = story.register.members().clone();
    let done = story.register.push(entry).map(|_| ());
    assert_eq!(done.is_err(), before == *story.register.members());
    done
}

fn useless(result: Result<(), RegisterError>) -> bool {
    matches!(result, Err(RegisterError::Approval { .. }))
}

/// Whatever strangers say: the register and the places in it stay as they are.
#[test]
fn a_stranger_takes_no_place() {
    let mut story = story();
    let before = story.register.members().clone();
    for seed in 100..140 {
        let registration = registration(&story, seed);
        let refused = push(&mut story, registration.bytes());
        assert_eq!(
            refused,
            Err(RegisterError::Unapproved(registration.peek().org()))
        );
        // With an approval of its own, or of another stranger.
        let stranger = organisation("Another", 500 + seed);
        assert!(useless(approve(&mut story, &stranger, &registration)));
    }
    assert_eq!(*story.register.members(), before);
    assert_eq!(before.guests(), 0);
    // A founder needs nobody's approval, and gets none.
    let registration = beta().register(&story.digest(), NOW).unwrap();
    assert!(useless(approve(&mut story, &alpha(), &registration)));
    push(&mut story, registration.bytes()).unwrap();
    assert!(useless(approve(&mut story, &alpha(), &registration)));
}

#[test]
fn founders_let_in_what_they_have_signed() {
    let mut story = story();
    let epsilon = organisation("Epsilon", 11);
    let registration = epsilon.register(&story.digest(), NOW).unwrap();
    approve(&mut story, &alpha(), &registration).unwrap();
    let members = story.register.members();
    assert_eq!((members.approvals(&epsilon.id()), members.guests()), (1, 1));
    assert_eq!(members.pending(&epsilon.id()).unwrap().name, "Epsilon");
    let refused = chain(&epsilon, 50).verify_member(members, NOW);
    assert_eq!(refused, Err(ChainError::NotAMember(epsilon.id())));
    assert!(
        useless(approve(&mut story, &alpha(), &registration)),
        "once each"
    );
    // It does not approve itself, nor does one that waits as well.
    assert!(epsilon.approve(&registration, NOW).is_err());
    let zeta = organisation("Zeta", 12);
    let second = zeta.register(&story.digest(), NOW).unwrap();
    approve(&mut story, &alpha(), &second).unwrap();
    assert!(useless(approve(&mut story, &zeta, &registration)));
    // Another registration of the same organisation, though it has signed that too.
    let other = epsilon.register(&story.digest(), NOW + 1).unwrap();
    assert!(useless(approve(&mut story, &beta(), &other)));
    // In the name of a founder, by another one.
    let body = beta().approve(&registration, NOW).unwrap().peek().clone();
    let forged = Signed::sign(&body, alpha().root()).unwrap();
    let forged = push(&mut story, forged.bytes());
    assert!(matches!(forged, Err(RegisterError::Signature { .. })));
    approve(&mut story, &beta(), &registration).unwrap();
    let members = story.register.members();
    assert!(chain(&epsilon, 50).verify_member(members, NOW).is_ok());
    assert_eq!((members.guests(), members.approvals(&epsilon.id())), (2, 0));
    let gamma = organisation("Gamma", 3);
    assert!(
        useless(approve(&mut story, &gamma, &registration)),
        "it is in"
    );
}

/// A founder that approves brings in nobody who has not signed, or has signed something else.
#[test]
fn an_approval_is_as_good_as_the_registration_in_it() {
    let mut story = story();
    let registration = registration(&story, 11);
    // The founder makes up a name, an issuer, a date: the newcomer's key has not signed that.
    let body = registration.peek().clone();
    let other_issuer = organisation("Other", 12).certificate().clone();
    for changed in [
        OrgRegistration {
            name: "Alpha Clinic".into(),
            ..body.clone()
        },
        OrgRegistration {
            issuer: other_issuer,
            ..body.clone()
        },
        OrgRegistration {
            created: NOW + 1,
            ..body.clone()
        },
    ] {
        let forged = Signed::sign(&changed, alpha().root()).unwrap();
        assert!(matches!(
            approve(&mut story, &alpha(), &forged),
            Err(RegisterError::Registration(_))
        ));
    }
    // Before its issuer begins, and for another federation.
    let newcomer = organisation("Newcomer", 11);
    let early = newcomer.register(&story.digest(), NOW - 100).unwrap();
    assert!(matches!(
        approve(&mut story, &alpha(), &early),
        Err(RegisterError::Registration(_))
    ));
    let elsewhere = newcomer
        .register(&dawn_identity::Digest([9; 32]), NOW)
        .unwrap();
    assert_eq!(
        approve(&mut story, &alpha(), &elsewhere),
        Err(RegisterError::OtherFederation(alpha().id()))
    );
    approve(&mut story, &alpha(), &registration).unwrap();
    // Where admission is open nothing is approved.
    let mut open = Story::new();
    let registration = newcomer.register(&open.digest(), NOW).unwrap();
    assert!(useless(approve(&mut open, &alpha(), &registration)));
    push(&mut open, registration.bytes()).unwrap();
}

#[test]
fn every_changed_byte_of_an_approval_is_refused() {
    let story = story();
    let approval = alpha().approve(&registration(&story, 11), NOW).unwrap();
    assert!(approval.bytes().len() <= Signed::<OrgApproval>::MAX_BYTES);
    refuse_every_change(approval.bytes(), |bytes| {
        story.register.members().verify_entry(bytes).is_ok()
    });
}

/// The longest there can be fits its bound.
#[test]
fn the_largest_approval_fits() {
    let org = organisation(&"n".repeat(64), 11);
    let created = u64::MAX;
    let registration = org
        .register(&dawn_identity::Digest([0xff; 32]), created)
        .unwrap();
    let approval = alpha().approve(&registration, created).unwrap();
    assert!(to_canonical(approval.peek()).len() <= Signed::<OrgApproval>::MAX_BYTES);
    assert_eq!(
        Signed::<OrgApproval>::from_bytes(approval.bytes()),
        Ok(approval)
    );
}

#[test]
fn an_approval_ends_with_the_key_that_gave_it() {
    let mut story = story();
    let registration = registration(&story, 11);
    let waiting = registration.peek().org();
    let alpha = alpha();
    // With a stolen key; its owner replaces it, and the place that it took is free again.
    approve(&mut story, &alpha, &registration).unwrap();
    let change = alpha.rotation(&story.digest(), &key(60));
    story.tell(&alpha, change).unwrap();
    let members = story.register.members();
    assert_eq!((members.approvals(&waiting), members.guests()), (0, 0));
    assert_eq!(members.pending(&waiting), None);
    approve(&mut story, &beta(), &registration).unwrap();
    assert_eq!(story.register.members().approvals(&waiting), 1);
    // With its new key the founder says so again.
    let alpha = with_root(&alpha, key(60));
    approve(&mut story, &alpha, &registration).unwrap();
    assert!(story.register.members().root(&waiting).is_some());
}

#[test]
fn a_founder_that_leaves_takes_its_approvals_along() {
    let mut story = story();
    let registration = registration(&story, 11);
    approve(&mut story, &alpha(), &registration).unwrap();
    story.tell(&alpha(), Change::RevokeOrganisation).unwrap();
    assert_eq!(story.register.members().guests(), 0);
    assert!(useless(approve(&mut story, &alpha(), &registration)));
}

/// Whoever has stolen a founder's root key takes as many places as that founder has, and no more.
#[test]
fn a_founder_has_sixty_four_open_approvals() {
    let mut story = story();
    let registrations: Vec<_> = (0..=MAX_OPEN_APPROVALS as u64)
        .map(|seed| registration(&story, 1000 + seed))
        .collect();
    let (last, first) = registrations.split_last().unwrap();
    for registration in first {
        approve(&mut story, &alpha(), registration).unwrap();
    }
    let full = Err(RegisterError::OpenApprovals(alpha().id()));
    assert_eq!(approve(&mut story, &alpha(), last), full);
    // Others have their own places, and what they let in makes room.
    approve(&mut story, &beta(), last).unwrap();
    approve(&mut story, &alpha(), last).unwrap();
    let more = registration(&story, 3000);
    assert_eq!(approve(&mut story, &alpha(), &more), full);
    approve(&mut story, &beta(), &first[0]).unwrap();
    approve(&mut story, &alpha(), &more).unwrap();
    assert_eq!(story.register.members().guests(), MAX_OPEN_APPROVALS + 2);
    // Another root key ends them all.
    let change = alpha().rotation(&story.digest(), &key(60));
    story.tell(&alpha(), change).unwrap();
    assert_eq!(story.register.members().guests(), 2);
    let alpha = with_root(&alpha(), key(60));
    for registration in &first[1..] {
        approve(&mut story, &alpha, registration).unwrap();
    }
}

/// One that waits for more founders keeps its root key for itself.
#[test]
fn a_root_key_that_waits_is_in_use() {
    let mut story = story();
    let waiting = with_key(&story, "Newcomer", 61);
    approve(&mut story, &alpha(), &waiting).unwrap();
    let change = alpha().rotation(&story.digest(), &key(61));
    assert!(matches!(
        story.tell(&alpha(), change),
        Err(RegisterError::KeyInUse { .. })
    ));
    // Who took a key over before keeps it, too.
    let change = alpha().rotation(&story.digest(), &key(62));
    story.tell(&alpha(), change).unwrap();
    let double = with_key(&story, "Double", 62);
    assert!(matches!(
        approve(&mut story, &beta(), &double),
        Err(RegisterError::KeyInUse { .. })
    ));
}

fn with_key(story: &Story, name: &str, seed: u8) -> Signed<OrgRegistration> {
    let root = key(seed);
    let org = dawn_identity::OrgId::of(&root.public());
    let validity = dawn_identity::Validity::starting(NOW, 9);
    let issuer = SecretKey::from_seed(&[seed + 100; 32]);
    let certificate = Organisation::certify(&org, &root, &issuer.public(), validity, 1).unwrap();
    let org = Organisation::from_parts(name, root, issuer, certificate).unwrap();
    org.register(&story.digest(), NOW).unwrap()
}

proptest! {
    /// Whoever approves and leaves in whatever order: everybody counts the same, at every place.
    #[test]
    fn everybody_counts_the_same(steps in prop::collection::vec((0usize..3, 0u64..4, 0u8..8), 0..24)) {
        let mut story = story();
        let mut founders = [alpha(), beta(), organisation("Gamma", 3)];
        for founder in &founders[1..] {
            let registration = founder.register(&story.digest(), NOW).unwrap();
            story.register.push(registration.bytes()).unwrap();
        }
        let mut heads = vec![story.register.members().clone()];
        let mut next = 60;
        for (who, whom, what) in steps {
            let pushed = match what {
                0 => {
                    next += 1;
                    let change = founders[who].rotation(&story.digest(), &key(next));
                    let done = story.tell(&founders[who], change);
                    if done.is_ok() {
                        founders[who] = with_root(&founders[who], key(next));
                    }
                    done
                }
                1 => story.tell(&founders[who], Change::RevokeOrganisation),
                _ => {
                    let registration = registration(&story, 200 + whom);
                    approve(&mut story, &founders[who], &registration)
                }
            };
            if pushed.is_ok() {
                heads.push(story.register.members().clone());
            }
            let members = story.register.members();
            for waiting in members.all_pending() {
                prop_assert_eq!(members.approvals(&waiting.org()), 1);
                prop_assert!(members.root(&waiting.org()).is_none());
            }
        }
        for members in &heads[1..] {
            let then = story.register.at(&members.head());
            prop_assert_eq!(then.as_ref(), Some(members));
        }
    }
}
