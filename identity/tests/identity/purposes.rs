//! One key, one purpose: a steward's is never a root or an issuer key, nor the other way round.

use dawn_identity::{
    Change, OrgId, Organisation, PublicKey, RegisterError, RosterError, SecretKey, Signed,
    StewardId, Validity,
};

use crate::fixture::{NOW, organisation, vrf};
use crate::story::{Story, key};

/// A federation whose organisations have registered and whose first roster is in the register.
fn story() -> Story {
    let mut story = Story::new();
    let organisations = story.fixture.organisations();
    let registrations: Vec<_> = organisations[1..]
        .iter()
        .map(|org| org.register(&story.digest(), NOW).unwrap())
        .collect();
    for registration in registrations {
        story.register.push(registration.bytes()).unwrap();
    }
    let roster = story.fixture.signed_roster();
    let posting = story.fixture.founders[0].post_roster(&roster, NOW).unwrap();
    story.register.push(posting.bytes()).unwrap();
    story
}

fn steward(story: &Story, at: usize) -> SecretKey {
    SecretKey::from_seed(&story.fixture.stewards[at].to_seed())
}

/// A new organisation with this root key.
fn newcomer(root: SecretKey, issuer: SecretKey) -> Organisation {
    let org = OrgId::of(&root.public());
    let validity = Validity::starting(NOW, 100);
    let certificate = Organisation::certify(&org, &root, &issuer.public(), validity, 1).unwrap();
    Organisation::from_parts("Newcomer", root, issuer, certificate).unwrap()
}

fn announce(org: &Organisation, key: PublicKey) -> Change {
    let validity = Validity::starting(NOW, 100);
    Change::Issuer {
        certificate: Organisation::certify(&org.id(), org.root(), &key, validity, 2).unwrap(),
    }
}

fn in_use<T>(done: Result<T, RegisterError>) -> bool {
    matches!(done, Err(RegisterError::KeyInUse { .. }))
}

#[test]
fn the_key_of_a_steward_becomes_no_root_key() {
    let mut story = story();
    let (alpha, digest) = (organisation("Alpha Clinic", 1), story.digest());
    // Of its own organisation or of another, by rotating or registering.
    for at in [0, 1, 5] {
        let change = alpha.rotation(&digest, &steward(&story, at));
        assert!(in_use(story.tell(&alpha, change)));
        let registration = newcomer(steward(&story, at), key(9))
            .register(&digest, NOW)
            .unwrap();
        assert!(in_use(story.register.push(registration.bytes())));
    }
    // Neither that of its parts of beacons: as if its secret were known, the register compares the public halves.
    let beacon = PublicKey::from_bytes(vrf(100).as_bytes()).unwrap();
    let mut body = story
        .event(&alpha, alpha.rotation(&digest, &key(60)))
        .peek()
        .clone();
    let Change::Root { key: new, .. } = &mut body.change else {
        unreachable!()
    };
    *new = beacon;
    let event = Signed::sign(&body, alpha.root()).unwrap();
    assert!(in_use(story.push(&event)));
    // One that was revoked before it sat anywhere.
    let unseated = key(70);
    let id = StewardId::of(&alpha.id(), &unseated.public());
    story
        .tell(&alpha, Change::RevokeSteward { steward: id })
        .unwrap();
    let change = alpha.rotation(&digest, &unseated);
    assert!(in_use(story.tell(&alpha, change)));
    let change = alpha.rotation(&digest, &key(60));
    story.tell(&alpha, change).unwrap();
}

#[test]
fn the_key_of_a_steward_becomes_no_issuer_of_its_organisation() {
    let mut story = story();
    let alpha = organisation("Alpha Clinic", 1);
    for key in [
        steward(&story, 0).public(),
        PublicKey::from_bytes(vrf(100).as_bytes()).unwrap(),
        story.fixture.aggregator.public(),
        story.fixture.federation.log,
    ] {
        assert!(in_use(story.tell(&alpha, announce(&alpha, key))), "{key}");
    }
    // Whoever names another's does not hold it, and keeps nobody from anything.
    let beta = steward(&story, 1).public();
    story.tell(&alpha, announce(&alpha, beta)).unwrap();
    let roster = dawn_identity::Roster {
        epoch: 2,
        ..story.fixture.roster()
    };
    let signatures = story.fixture.signatures(&roster);
    let signed = dawn_identity::SignedRoster::assemble(roster, signatures).unwrap();
    let posting = alpha.post_roster(&signed, NOW).unwrap();
    story.register.push(posting.bytes()).unwrap();
    // At registration as well: of the federation's keys.
    let digest = story.digest();
    let aggregator = SecretKey::from_seed(&story.fixture.aggregator.to_seed());
    let registration = newcomer(key(80), aggregator)
        .register(&digest, NOW)
        .unwrap();
    assert!(in_use(story.register.push(registration.bytes())));
}

#[test]
fn a_root_or_issuer_key_becomes_no_stewards() {
    let mut story = story();
    let epsilon = organisation("Epsilon", 11);
    let second = key(71);
    story
        .tell(&epsilon, announce(&epsilon, second.public()))
        .unwrap();
    story
        .tell(
            &epsilon,
            Change::RevokeIssuer {
                issuer: epsilon.issuer().public().id(),
            },
        )
        .unwrap();
    let seat = |story: &mut Story, steward: &PublicKey, beacon: bool| {
        let mut roster = dawn_identity::Roster {
            epoch: 2,
            ..story.fixture.roster()
        };
        if beacon {
            roster.stewards[4].vrf =
                dawn_crypto::vrf::VrfPublicKey::from_bytes(steward.as_bytes()).unwrap();
        } else {
            roster.stewards[4].steward = *steward;
        }
        let signatures = story.fixture.signatures(&roster);
        let signed = dawn_identity::SignedRoster::assemble(roster, signatures).unwrap();
        let posting = story.fixture.founders[0].post_roster(&signed, NOW).unwrap();
        story.register.push(posting.bytes()).map(|_| ())
    };
    let refused = Err(RegisterError::Roster(Box::new(RosterError::KeyReused(
        epsilon.id(),
    ))));
    // Its own root, its issuers, revoked ones too, the root of a founder or of another in the roster.
    for key in [
        epsilon.root().public(),
        epsilon.issuer().public(),
        second.public(),
        story.fixture.founders[2].root().public(),
        story.fixture.admitted[1].root().public(),
        story.fixture.aggregator.public(),
    ] {
        for beacon in [false, true] {
            assert_eq!(seat(&mut story, &key, beacon), refused, "{key}");
        }
    }
    seat(&mut story, &key(72).public(), false).unwrap();
}
