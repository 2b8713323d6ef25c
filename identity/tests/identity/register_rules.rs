//! The register: one history for all, in one order and within its bounds, and everything that does not follow.

use dawn_identity::{
    Change, DeviceId, Digest, KeyId, Members, Register, RegisterError, RegisterHead, Signed,
    StewardId,
};
use proptest::prelude::*;

use crate::fixture::{NOW, organisation, vrf};
use crate::story::{Story, key};

#[test]
fn events_follow_one_another() {
    let mut story = Story::new();
    let alpha = organisation("Alpha Clinic", 1);
    let beta = organisation("Beta", 2);
    let digest = story.digest();
    let change = |seed| Change::RevokeDevices {
        devices: vec![DeviceId(Digest([seed; 32]))],
    };
    let (sequence, head) = story.last(&alpha);
    let of = |last, change| alpha.event(&digest, last, change, NOW).unwrap();
    // A gap, another past, another federation, somebody else's signature, somebody who has not registered.
    let sequence_of = |result| matches!(result, Err(RegisterError::Sequence { last: 0, .. }));
    assert!(sequence_of(
        story.push(&of((sequence + 1, head), change(1)))
    ));
    assert!(sequence_of(
        story.push(&of((sequence, Digest([1; 32])), change(1)))
    ));
    let elsewhere = alpha
        .event(&Digest([9; 32]), (sequence, head), change(1), NOW)
        .unwrap();
    assert_eq!(
        story.push(&elsewhere),
        Err(RegisterError::OtherFederation(alpha.id()))
    );
    let body = of((sequence, head), change(1)).peek().clone();
    let by_beta = Signed::sign(&body, beta.root()).unwrap();
    assert!(matches!(
        story.push(&by_beta),
        Err(RegisterError::Signature { .. })
    ));
    let silent = beta.event(&digest, (0, head), change(1), NOW).unwrap();
    assert_eq!(
        story.push(&silent),
        Err(RegisterError::NotAMember(beta.id()))
    );
    // Two that both would be the next: the second is not, whatever it says.
    let (first, second) = (
        of((sequence, head), change(1)),
        of((sequence, head), change(2)),
    );
    story.push(&first).unwrap();
    assert!(matches!(
        story.push(&second),
        Err(RegisterError::Sequence {
            last: 1,
            found: 1,
            ..
        })
    ));
    assert!(matches!(
        story.push(&first),
        Err(RegisterError::Sequence { .. })
    ));
    let registration = alpha.register(&digest, NOW + 1).unwrap();
    let twice = story.register.push(registration.bytes()).map(|_| ());
    assert_eq!(twice, Err(RegisterError::Registered(alpha.id())));
    // Other statements are none of its.
    let enrolment = alpha
        .enrol_steward(&digest, &key(20), &vrf(8), NOW)
        .unwrap();
    let other = story.register.push(enrolment.bytes()).map(|_| ());
    assert_eq!(other, Err(RegisterError::Kind("steward-enrolment".into())));
}

#[test]
fn heads_bind_everything_and_copies_only_grow() {
    let mut story = Story::new();
    let alpha = organisation("Alpha Clinic", 1);
    let one = story.register.head();
    story.tell(&alpha, Change::RevokeOrganisation).unwrap();
    let (two, register) = (story.register.head(), story.register.clone());
    assert_eq!((one.entries, two.entries), (1, 2));
    let empty = RegisterHead::empty(&story.digest());
    for head in [empty, one, two] {
        assert!(register.contains(&head));
        assert_eq!(register.at(&head).unwrap().head(), head);
    }
    for head in [
        RegisterHead { entries: 1, ..two },
        RegisterHead { entries: 3, ..two },
        RegisterHead {
            entries: u64::MAX,
            ..two
        },
        RegisterHead {
            digest: one.digest,
            ..empty
        },
    ] {
        assert!(!register.contains(&head) && register.at(&head).is_none());
    }
    // The same entries in another order are another register.
    let digest = story.digest();
    let registrations = [1, 2].map(|seed| {
        let name = ["Alpha Clinic", "Beta"][seed as usize - 1];
        organisation(name, seed).register(&digest, NOW).unwrap()
    });
    let fold = |order: [usize; 2]| {
        let mut members = Members::founders_of(&story.fixture.federation);
        for at in order {
            members.push(registrations[at].bytes()).unwrap();
        }
        members.head()
    };
    assert_ne!(fold([0, 1]), fold([1, 0]));
}

/// Of many guests none fills the register, and leaving is always possible.
#[test]
fn an_organisation_has_only_so_many_events() {
    let mut story = Story::new();
    let epsilon = organisation("Epsilon", 11);
    let registration = epsilon.register(&story.digest(), NOW).unwrap();
    story.register.push(registration.bytes()).unwrap();
    let device = |n: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        DeviceId(Digest(bytes))
    };
    for n in 0..63 {
        story
            .tell(
                &epsilon,
                Change::RevokeDevices {
                    devices: vec![device(n)],
                },
            )
            .unwrap();
    }
    let more = story.tell(
        &epsilon,
        Change::RevokeDevices {
            devices: vec![device(99)],
        },
    );
    assert_eq!(more, Err(RegisterError::Full(epsilon.id())));
    story.tell(&epsilon, Change::RevokeOrganisation).unwrap();
    // A founder has more, and bytes are counted as well as events.
    let alpha = organisation("Alpha Clinic", 1);
    for n in 0..20u64 {
        let devices = (0..1000).map(|i| device(1000 * n + i)).collect();
        story
            .tell(&alpha, Change::RevokeDevices { devices })
            .unwrap();
    }
    let zeta = organisation("Zeta", 12);
    story
        .register
        .push(zeta.register(&story.digest(), NOW).unwrap().bytes())
        .unwrap();
    let devices = |n: u64| Change::RevokeDevices {
        devices: (0..1000).map(|i| device(1000 * n + i)).collect(),
    };
    story.tell(&zeta, devices(1)).unwrap();
    let more = story.tell(&zeta, devices(2));
    assert_eq!(more, Err(RegisterError::Full(zeta.id())));
    // The lists themselves are bounded and in one order.
    let sign = |devices: Vec<DeviceId>| {
        let change = Change::RevokeDevices { devices };
        alpha
            .event(&story.digest(), story.last(&alpha), change, NOW)
            .is_ok()
    };
    assert!(sign((0..1000).map(device).collect()) && !sign((0..1001).map(device).collect()));
    assert!(
        !sign(vec![]) && !sign(vec![device(2), device(1)]) && !sign(vec![device(1), device(1)])
    );
}

proptest! {
    /// Whatever happens in whatever order: who folds the entries one by one, all at once or as of a place gets the same.
    #[test]
    fn everybody_folds_the_same(steps in prop::collection::vec((0usize..4, 0u8..6, any::<u8>()), 0..24)) {
        let mut story = Story::new();
        let orgs: Vec<_> = (1..=4).zip(["Alpha Clinic", "Beta", "Gamma", "Delta"]).map(|(seed, name)| organisation(name, seed)).collect();
        let mut heads = vec![story.register.head()];
        for (who, what, seed) in steps {
            let org = &orgs[who];
            let known = story.register.members().get(&org.id()).unwrap();
            let pushed = match known.head() {
                None => {
                    let registration = org.register(&story.digest(), NOW).unwrap();
                    story.register.push(registration.bytes()).map(|_| ())
                }
                Some(_) => story.tell(org, match what {
                    0 => org.rotation(&story.digest(), &key(seed)),
                    1 => Change::RevokeDevices { devices: vec![DeviceId(Digest([seed; 32]))] },
                    2 => Change::RevokeIssuer { issuer: KeyId(Digest([seed; 32])) },
                    3 => Change::RevokeSteward { steward: StewardId(Digest([seed; 32])) },
                    4 => Change::Issuer { certificate: org.certificate().clone() },
                    _ => Change::RevokeOrganisation,
                }),
            };
            if pushed.is_ok() {
                heads.push(story.register.head());
            }
        }
        let mut again = Register::new(&story.fixture.federation);
        for (entry, head) in story.register.entries().iter().zip(&heads) {
            again.push(entry.bytes()).unwrap();
            prop_assert_eq!(again.head(), *head);
            prop_assert_eq!(story.register.at(head).unwrap(), again.members().clone());
        }
        prop_assert_eq!(again.members(), story.register.members());
    }

    #[test]
    fn hostile_entries_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at: usize, flip in 1u8..) {
        let mut story = Story::new();
        prop_assert!(story.register.push(&bytes).is_err());
        let alpha = organisation("Alpha Clinic", 1);
        let mut damaged = story.event(&alpha, alpha.rotation(&story.digest(), &key(60))).bytes().to_vec();
        let at = at % damaged.len();
        damaged[at] ^= flip;
        prop_assert!(story.register.push(&damaged).is_err());
    }
}
