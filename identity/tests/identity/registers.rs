//! The register: how keys change and trust is taken back.

use dawn_identity::{
    ChainError, Change, DeviceId, Digest, IssuerError, KeyId, Organisation, RegisterError, Revoked,
    SecretKey, StewardId, Validity,
};

use crate::fixture::{NOW, organisation};
use crate::story::{Story, chain, key, with_root};

#[test]
fn a_root_key_is_replaced_and_what_was_announced_goes_on() {
    let mut story = Story::new();
    let old = organisation("Alpha Clinic", 1);
    let before = chain(&old, 50);
    assert!(before.verify_member(story.register.members(), NOW).is_ok());
    let change = old.rotation(&story.digest(), &key(60));
    story.tell(&old, change).unwrap();
    let members = story.register.members();
    let member = members.get(&old.id()).unwrap();
    assert_eq!(*member.root(), key(60).public());
    assert_eq!(members.root(&old.id()), Some(&key(60).public()));
    // Devices of the announced issuer need not notice.
    assert!(before.verify_member(members, NOW).is_ok());
    // Whoever has the old root key makes no issuer with it any more, and no event.
    let stolen = with_root(&old, SecretKey::from_seed(&old.root().to_seed()));
    let forged = chain(&stolen, 51).verify_member(members, NOW).unwrap_err();
    assert!(
        matches!(forged, ChainError::Issuer(IssuerError::Signature { .. })),
        "{forged}"
    );
    let late = story.event(&old, Change::RevokeOrganisation);
    assert!(matches!(
        story.push(&late),
        Err(RegisterError::Signature { .. })
    ));
    // The new one does both, and keeps the identifier.
    let new = with_root(&old, key(60));
    assert_eq!(new.id(), old.id());
    assert!(
        chain(&new, 52)
            .verify_member(story.register.members(), NOW)
            .is_ok()
    );
    let certificate = new.certificate().clone();
    story.tell(&new, Change::Issuer { certificate }).unwrap();
    story.tell(&new, Change::RevokeOrganisation).unwrap();
    let left = chain(&new, 52).verify_member(story.register.members(), NOW);
    assert!(matches!(
        left,
        Err(ChainError::Issuer(IssuerError::Revoked(
            Revoked::Organisation(_)
        )))
    ));
}

#[test]
fn a_new_root_key_consents_and_is_nobody_elses() {
    let mut story = Story::new();
    let alpha = organisation("Alpha Clinic", 1);
    let digest = story.digest();
    // Without its consent, with that for another organisation or federation.
    let good = alpha.rotation(&digest, &key(60));
    let Change::Root { proof, .. } = good.clone() else {
        unreachable!()
    };
    let stranger = Change::Root {
        key: key(61).public(),
        proof,
    };
    assert!(matches!(
        story.tell(&alpha, stranger),
        Err(RegisterError::Proof { .. })
    ));
    let for_beta = story.fixture.founders[1].rotation(&digest, &key(60));
    assert!(matches!(
        story.tell(&alpha, for_beta),
        Err(RegisterError::Proof { .. })
    ));
    let elsewhere = alpha.rotation(&Digest([9; 32]), &key(60));
    assert!(matches!(
        story.tell(&alpha, elsewhere),
        Err(RegisterError::Proof { .. })
    ));
    // A key that serves or has served: other roots, its own, its issuer's, the aggregator's.
    let beta = SecretKey::from_seed(&story.fixture.founders[1].root().to_seed());
    let aggregator = SecretKey::from_seed(&story.fixture.aggregator.to_seed());
    let issuer = SecretKey::from_seed(&alpha.issuer().to_seed());
    for used in [&beta, &aggregator, alpha.root(), &issuer] {
        let change = alpha.rotation(&digest, used);
        assert!(matches!(
            story.tell(&alpha, change),
            Err(RegisterError::KeyInUse { .. })
        ));
    }
    story.tell(&alpha, good).unwrap();
    let alpha = with_root(&alpha, key(60));
    let back = alpha.rotation(&digest, organisation("Alpha Clinic", 1).root());
    assert!(matches!(
        story.tell(&alpha, back),
        Err(RegisterError::KeyInUse { .. })
    ));
    // Nobody registers a key that took over somewhere, as duplicate of its thumbprint.
    let org = dawn_identity::OrgId::of(&key(60).public());
    let certificate = Organisation::certify(
        &org,
        &key(60),
        &key(70).public(),
        Validity::starting(NOW, 9),
        1,
    );
    let double =
        Organisation::from_parts("Double", key(60), key(70), certificate.unwrap()).unwrap();
    let registration = double.register(&digest, NOW).unwrap();
    let refused = story
        .register
        .push(registration.bytes())
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(refused, RegisterError::KeyInUse { .. }),
        "{refused}"
    );
}

#[test]
fn what_is_revoked_does_not_count_from_there_on() {
    let mut story = Story::new();
    let alpha = organisation("Alpha Clinic", 1);
    let (stolen, other) = (chain(&alpha, 50), chain(&alpha, 51));
    let before = story.register.head();
    let devices = vec![stolen.claimed_device()];
    story
        .tell(
            &alpha,
            Change::RevokeDevices {
                devices: devices.clone(),
            },
        )
        .unwrap();
    let revoked = stolen.verify_member(story.register.members(), NOW);
    assert_eq!(
        revoked,
        Err(ChainError::Revoked(Revoked::Device(alpha.id(), devices[0])))
    );
    assert!(other.verify_member(story.register.members(), NOW).is_ok());
    // As of the place before it still does.
    let then = story.register.at(&before).unwrap();
    assert!(stolen.verify_member(&then, NOW).is_ok());
    // The same again changes nothing, and is refused.
    let again = story.tell(&alpha, Change::RevokeDevices { devices });
    assert!(matches!(again, Err(RegisterError::Nothing(_))));
    // The issuer takes all of its devices along; a new one does not bring them back.
    let issuer = alpha.issuer().public().id();
    story.tell(&alpha, Change::RevokeIssuer { issuer }).unwrap();
    let gone = other
        .verify_member(story.register.members(), NOW)
        .unwrap_err();
    assert_eq!(
        gone,
        ChainError::Issuer(Revoked::Issuer(alpha.id(), issuer).into())
    );
    let certificate = alpha.certificate().clone();
    let again = story.tell(&alpha, Change::Issuer { certificate });
    assert!(
        matches!(again, Err(RegisterError::Issuer(error)) if matches!(*error, IssuerError::Revoked(_)))
    );
    // Another organisation's devices are not touched.
    assert!(
        chain(&story.fixture.founders[1], 50)
            .verify_member(story.register.members(), NOW)
            .is_ok()
    );
    let steward = StewardId(Digest([3; 32]));
    story
        .tell(&alpha, Change::RevokeSteward { steward })
        .unwrap();
    let member = story.register.members().get(&alpha.id()).unwrap();
    assert_eq!(
        member.check_steward(&steward),
        Err(Revoked::Steward(alpha.id(), steward))
    );
    assert_eq!(member.check_steward(&StewardId(Digest([4; 32]))), Ok(()));
    story.tell(&alpha, Change::RevokeOrganisation).unwrap();
    let nothing = story.register.members().root(&alpha.id());
    assert_eq!(nothing, None);
    let after = alpha.event(
        &story.digest(),
        (4, Digest([0; 32])),
        Change::RevokeOrganisation,
        NOW,
    );
    assert_eq!(
        story.push(&after.unwrap()),
        Err(RegisterError::NotAMember(alpha.id()))
    );
}

#[test]
fn the_issuer_key_revokes_devices_and_nothing_else() {
    let mut story = Story::new();
    let alpha = organisation("Alpha Clinic", 1);
    let devices = |seed| vec![DeviceId(Digest([seed; 32]))];
    let by_issuer = |story: &Story, change| {
        alpha
            .online()
            .event(&story.digest(), story.last(&alpha), change, NOW)
            .unwrap()
    };
    let event = by_issuer(
        &story,
        Change::RevokeDevices {
            devices: devices(1),
        },
    );
    story.push(&event).unwrap();
    for change in [
        Change::RevokeOrganisation,
        Change::RevokeIssuer {
            issuer: KeyId(Digest([1; 32])),
        },
        Change::RevokeSteward {
            steward: StewardId(Digest([1; 32])),
        },
        alpha.rotation(&story.digest(), &key(60)),
    ] {
        let event = by_issuer(&story, change);
        assert!(matches!(
            story.push(&event),
            Err(RegisterError::Signature { .. })
        ));
    }
    let issuer = alpha.issuer().public().id();
    story.tell(&alpha, Change::RevokeIssuer { issuer }).unwrap();
    let event = by_issuer(
        &story,
        Change::RevokeDevices {
            devices: devices(2),
        },
    );
    assert!(matches!(
        story.push(&event),
        Err(RegisterError::Signature { .. })
    ));
}

/// Whoever has stolen an issuer key says as much as it may: the owner still takes it back.
#[test]
fn a_stolen_issuer_key_cannot_make_itself_irrevocable() {
    for (org, founder) in [
        (organisation("Alpha Clinic", 1), true),
        (organisation("Epsilon", 11), false),
    ] {
        let mut story = Story::new();
        if !founder {
            let registration = org.register(&story.digest(), NOW).unwrap();
            story.register.push(registration.bytes()).unwrap();
        }
        let mut said = 0_u64;
        loop {
            let mut id = [0; 32];
            id[24..].copy_from_slice(&said.to_be_bytes());
            let devices = vec![DeviceId(Digest(id))];
            let change = Change::RevokeDevices { devices };
            let event = org
                .online()
                .event(&story.digest(), story.last(&org), change, NOW);
            match story.push(&event.unwrap()) {
                Ok(()) => said += 1,
                Err(RegisterError::Full(_)) => break,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(said, if founder { 511 } else { 31 });
        let issuer = org.issuer().public().id();
        story.tell(&org, Change::RevokeIssuer { issuer }).unwrap();
        let steward = StewardId(Digest([9; 32]));
        story.tell(&org, Change::RevokeSteward { steward }).unwrap();
        let change = org.rotation(&story.digest(), &key(60));
        story.tell(&org, change).unwrap();
        let org = with_root(&org, key(60));
        let certificate = org.certificate().clone();
        story.tell(&org, Change::Issuer { certificate }).ok();
        let devices = vec![DeviceId(Digest([200; 32]))];
        story.tell(&org, Change::RevokeDevices { devices }).unwrap();
    }
}
