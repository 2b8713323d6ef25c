//! Rosters: the organisations decide who opens, and nobody else.

use dawn_crypto::shamir::Threshold;
use dawn_crypto::vrf::VrfPublicKey;
use dawn_identity::{
    Admission, OrgId, Organisation, PublicKey, Roster, RosterError, RosterSignature, SecretKey,
    SignedRoster, StewardId, Validity, to_canonical,
};

use crate::fixture::{Fixture, NOW, organisation, refuse_every_change, vrf};

fn check(
    fixture: &Fixture,
    roster: Roster,
    signatures: Vec<RosterSignature>,
) -> Result<(), RosterError> {
    let signed = SignedRoster::assemble(roster, signatures)?;
    let read = SignedRoster::from_bytes(&signed.to_bytes())?;
    assert_eq!(read, signed);
    read.verify(&fixture.members()).map(|_| ())
}

#[test]
fn a_roster_is_verified() {
    let fixture = Fixture::new();
    let signed = fixture.signed_roster();
    assert!(signed.to_bytes().len() <= SignedRoster::MAX_BYTES);
    let verified = signed.verify(&fixture.members()).unwrap();
    assert_eq!(verified.digest(), fixture.roster().digest());
    assert_eq!(verified.federation(), fixture.federation.digest());
    assert_eq!(verified.epoch(), 1);
    assert_eq!(verified.threshold(), &Threshold::new(6, 1).unwrap());
    assert_eq!(verified.stewards().len(), 6);
    for (point, (org, steward)) in
        (1u8..).zip(fixture.organisations().iter().zip(&fixture.stewards))
    {
        let entry = verified.steward_at(point).unwrap();
        assert_eq!((entry.org, entry.steward), (org.id(), steward.public()));
        assert_eq!(verified.point_of(&entry.id()), Some(point));
    }
    assert_eq!(verified.steward_at(0), None);
    assert_eq!(verified.steward_at(7), None);
    let stranger = StewardId::of(&fixture.founders[0].id(), &fixture.stewards[1].public());
    assert_eq!(verified.point_of(&stranger), None);
}

#[test]
fn every_change_is_refused() {
    let fixture = Fixture::new();
    let members = fixture.members();
    refuse_every_change(&fixture.signed_roster().to_bytes(), |bytes| {
        SignedRoster::from_bytes(bytes).is_ok_and(|roster| roster.verify(&members).is_ok())
    });
}

#[test]
fn a_steward_needs_its_organisations_consent() {
    let fixture = Fixture::new();
    let roster = fixture.roster();
    for (left_out, org) in fixture.organisations().iter().enumerate() {
        let mut signatures = fixture.signatures(&roster);
        signatures.remove(left_out);
        assert_eq!(
            check(&fixture, roster.clone(), signatures),
            Err(RosterError::NoConsent(org.id()))
        );
    }
}

#[test]
fn only_founders_make_the_quorum() {
    let fixture = Fixture::new();
    // Stewards of one founder and two organisations that were let in: m = 3, f = 0.
    let mut roster = fixture.roster();
    roster.stewards.drain(1..4);
    roster.threshold = Threshold::new(3, 0).unwrap();
    let organisations = fixture.organisations();
    let sign = |who: &[usize]| {
        who.iter()
            .map(|n| roster.sign(organisations[*n].root()))
            .collect()
    };
    assert_eq!(
        check(&fixture, roster.clone(), sign(&[0, 4, 5])),
        Err(RosterError::NoQuorum {
            signed: 1,
            quorum: 3
        })
    );
    assert_eq!(
        check(&fixture, roster.clone(), sign(&[0, 1, 4, 5])),
        Err(RosterError::NoQuorum {
            signed: 2,
            quorum: 3
        })
    );
    assert_eq!(
        check(&fixture, roster.clone(), sign(&[0, 1, 2, 4, 5])),
        Ok(())
    );
    assert_eq!(
        check(&fixture, roster.clone(), sign(&[0, 1, 2, 3, 4, 5])),
        Ok(())
    );
}

#[test]
fn foreign_and_repeated_signatures_are_refused() {
    let fixture = Fixture::new();
    let roster = fixture.roster();
    let stranger = organisation("Stranger", 99);
    let mut foreign = fixture.signatures(&roster);
    foreign.push(roster.sign(stranger.root()));
    assert_eq!(
        check(&fixture, roster.clone(), foreign),
        Err(RosterError::ForeignSigner(stranger.id()))
    );
    let mut repeated = fixture.signatures(&roster);
    repeated.push(repeated[0]);
    assert!(matches!(
        check(&fixture, roster.clone(), repeated),
        Err(RosterError::Decode(_))
    ));
    // One organisation's signature under another's name.
    let mut renamed = fixture.signatures(&roster);
    renamed[0].signature = renamed[1].signature;
    assert!(matches!(
        check(&fixture, roster.clone(), renamed),
        Err(RosterError::Signature { org, .. }) if org == fixture.founders[0].id()
    ));
    // A signature on another roster.
    let other = Roster {
        epoch: 2,
        ..roster.clone()
    };
    let mut replayed = fixture.signatures(&roster);
    replayed[2] = other.sign(fixture.founders[2].root());
    assert!(matches!(
        check(&fixture, roster.clone(), replayed),
        Err(RosterError::Signature { org, .. }) if org == fixture.founders[2].id()
    ));
    // The issuer key is not the root key.
    let mut online = fixture.signatures(&roster);
    online[0].signature = roster.sign(fixture.founders[0].issuer()).signature;
    assert!(matches!(
        check(&fixture, roster, online),
        Err(RosterError::Signature { .. })
    ));
}

#[test]
fn signatures_in_another_order_are_another_encoding() {
    let fixture = Fixture::new();
    let signed = fixture.signed_roster();
    let mut signatures = signed.signatures().to_vec();
    signatures.swap(0, 1);
    let bytes = to_canonical(&(signed.peek().clone(), signatures));
    assert!(SignedRoster::from_bytes(&bytes).is_err());
    let bytes = to_canonical(&(signed.peek().clone(), signed.signatures().to_vec()));
    assert_eq!(SignedRoster::from_bytes(&bytes), Ok(signed));
}

#[test]
fn broken_rosters_are_refused() {
    let fixture = Fixture::new();
    let good = fixture.roster();
    let refused = |what: &str, change: &dyn Fn(&mut Roster)| {
        let mut roster = good.clone();
        change(&mut roster);
        let signatures = fixture.signatures(&roster);
        let error = check(&fixture, roster, signatures).expect_err(what);
        assert!(matches!(error, RosterError::Decode(_)), "{what}: {error}");
    };
    refused("epoch 0", &|r| r.epoch = 0);
    refused("no stewards", &|r| r.stewards.clear());
    refused("a threshold for 5 of 6", &|r| {
        r.threshold = Threshold::new(5, 0).unwrap()
    });
    refused("a steward missing", &|r| {
        r.stewards.pop();
    });
    refused("two stewards of one organisation", &|r| {
        r.stewards[1].org = r.stewards[0].org
    });
    refused("a steward twice", &|r| {
        r.stewards[1].steward = r.stewards[0].steward
    });
    refused("two stewards with one VRF key", &|r| {
        r.stewards[1].vrf = r.stewards[0].vrf.clone()
    });
    // Its seed signs as well, which gives it away.
    refused("a VRF key that is a steward's key", &|r| {
        let key = r.stewards[2].steward;
        r.stewards[1].vrf = VrfPublicKey::from_bytes(key.as_bytes()).unwrap()
    });
    refused("17 stewards", &|r| {
        r.stewards = (0..17u8)
            .map(|n| dawn_identity::RosterEntry {
                org: dawn_identity::OrgId(dawn_identity::Digest([n; 32])),
                steward: SecretKey::from_seed(&[n; 32]).public(),
                vrf: vrf(100 + n),
            })
            .collect();
    });
}

#[test]
fn thresholds_that_do_not_follow_are_refused() {
    let fixture = Fixture::new();
    let bytes = fixture.signed_roster().to_bytes();
    // m = 6, f = 1, T = 4, A = 5 is 84 06 01 04 05 in the encoding.
    let at = bytes
        .windows(5)
        .position(|w| w == [0x84, 6, 1, 4, 5])
        .unwrap();
    for wrong in [
        [6, 1, 3, 5],
        [6, 1, 4, 4],
        [6, 0, 4, 5],
        [6, 1, 5, 5],
        [6, 3, 5, 8],
        [6, 6, 7, 13],
    ] {
        let mut changed = bytes.clone();
        changed[at + 1..at + 5].copy_from_slice(&wrong);
        assert!(
            matches!(
                SignedRoster::from_bytes(&changed),
                Err(RosterError::Decode(_))
            ),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_roster_of_another_federation_is_refused() {
    let fixture = Fixture::new();
    let elsewhere = Fixture::with_admission(Admission::Approval { k: 4 });
    let signed = fixture.signed_roster();
    assert!(matches!(
        signed.verify(&elsewhere.members()),
        Err(RosterError::OtherFederation { .. })
    ));
}

#[test]
fn members_that_need_approval_are_refused() {
    let fixture = Fixture::with_admission(Admission::Approval { k: 4 });
    let signed = fixture.signed_roster();
    assert!(matches!(
        signed.verify(&fixture.members()),
        Err(RosterError::ForeignSigner(_))
    ));
}

#[test]
fn stewards_have_keys_of_their_own() {
    let fixture = Fixture::new();
    let reused = |key: PublicKey| {
        let mut roster = fixture.roster();
        roster.stewards[3].steward = key;
        let signatures = fixture.signatures(&roster);
        check(&fixture, roster, signatures)
    };
    let delta = fixture.founders[3].id();
    for key in [
        fixture.aggregator.public(),
        fixture.federation.log,
        fixture.founders[3].root().public(),
        fixture.admitted[0].root().public(),
    ] {
        assert_eq!(reused(key), Err(RosterError::KeyReused(delta)));
    }
    assert_eq!(reused(SecretKey::from_seed(&[8; 32]).public()), Ok(()));
}

#[test]
fn nobody_undoes_a_roster_by_registering() {
    let fixture = Fixture::new();
    // A steward's owner registers the steward's key as the root key of one more organisation.
    let mut members = fixture.members();
    let (root, issuer) = (&fixture.stewards[5], SecretKey::from_seed(&[9; 32]));
    let org = OrgId::of(&root.public());
    let validity = Validity::starting(NOW, 100);
    let certificate = Organisation::certify(&org, root, &issuer.public(), validity, 1).unwrap();
    let root = SecretKey::from_seed(&root.to_seed());
    let org = Organisation::from_parts("Another", root, issuer, certificate).unwrap();
    let registration = org.register(&fixture.federation.digest(), NOW).unwrap();
    members.push(registration.bytes()).unwrap();
    assert!(fixture.signed_roster().verify(&members).is_ok());
}

#[test]
fn the_largest_roster_fits_its_bound() {
    let roster = Roster {
        federation: dawn_identity::Digest([0xff; 32]),
        epoch: u64::MAX,
        threshold: Threshold::new(16, 5).unwrap(),
        stewards: (0..16u8)
            .map(|n| dawn_identity::RosterEntry {
                org: dawn_identity::OrgId(dawn_identity::Digest([n; 32])),
                steward: SecretKey::from_seed(&[n; 32]).public(),
                vrf: vrf(100 + n),
            })
            .collect(),
        created: u64::MAX,
    };
    let signatures: Vec<_> = (0..80u8)
        .map(|n| roster.sign(&SecretKey::from_seed(&[100 + n; 32])))
        .collect();
    let signed = SignedRoster::assemble(roster.clone(), signatures.clone()).unwrap();
    assert_eq!(SignedRoster::from_bytes(&signed.to_bytes()), Ok(signed));
    let mut more = signatures;
    more.push(roster.sign(&SecretKey::from_seed(&[7; 32])));
    assert!(SignedRoster::assemble(roster, more).is_err());
}

proptest::proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        let _ = SignedRoster::from_bytes(&bytes);
        let _ = dawn_identity::FoundingDocument::from_bytes(&bytes);
    }
}
