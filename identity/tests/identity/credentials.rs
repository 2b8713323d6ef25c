//! From root key to device: every link is needed, and every link is checked.

use coset::{CborSerializable as _, cbor::value::Value, cwt::ClaimsSet};
use dawn_crypto::vrf::VrfPublicKey;
use dawn_identity::{
    BrokenRule, ChainError, CredentialChain, DecodeError, DeviceCredential, DeviceId,
    DeviceRequest, Envelope, EnvelopeError, IssuerCertificate, IssuerError, Members, OrgId,
    Organisation, SecretKey, Signed, Statement as _, Validity, attestation_digest, device_vrf,
    from_canonical, to_canonical,
};
use proptest::prelude::*;

use crate::fixture::{Fixture, NOW, YEAR, organisation, refuse_every_change};

const DAY: u64 = 86_400;

fn device() -> SecretKey {
    SecretKey::from_seed(&[77; 32])
}

fn chain(org: &Organisation) -> CredentialChain {
    org.issue_device(&device().public(), "watch 17", Validity::starting(NOW, DAY))
        .unwrap()
}

/// A chain whose credential is this one, signed by this key.
fn forged(org: &Organisation, credential: &DeviceCredential, key: &SecretKey) -> CredentialChain {
    CredentialChain {
        issuer: org.certificate().clone(),
        credential: Signed::sign(credential, key).unwrap(),
    }
}

#[test]
fn a_device_is_verified() {
    let org = organisation("Alpha", 1);
    let chain = chain(&org);
    let verified = chain.verify(&org.root().public(), NOW).unwrap();
    assert_eq!(verified.org(), org.id());
    assert_eq!(verified.key(), &device().public());
    assert_eq!(
        verified.device(),
        DeviceId::of(&org.id(), &device().public())
    );
    assert_eq!(verified.label(), "watch 17");
    assert_eq!(verified.expires(), NOW + DAY);
    assert_eq!(chain.claimed_org(), org.id());
    assert_eq!(chain.claimed_device(), verified.device());
    let bytes = to_canonical(&chain);
    assert!(bytes.len() <= CredentialChain::MAX_BYTES);
    assert_eq!(from_canonical::<CredentialChain>(&bytes).unwrap(), chain);
}

#[test]
fn only_members_have_devices() {
    let fixture = Fixture::new();
    let mut members = Members::founders_of(&fixture.federation);
    let (alpha, epsilon) = (&fixture.founders[0], &fixture.admitted[0]);
    assert!(chain(alpha).verify_member(&members, NOW).is_ok());
    assert_eq!(
        chain(epsilon).verify_member(&members, NOW),
        Err(ChainError::NotAMember(epsilon.id()))
    );
    let registration = epsilon.register(&fixture.federation.digest(), NOW).unwrap();
    members.push(registration.bytes()).unwrap();
    assert_eq!(
        chain(epsilon).verify_member(&members, NOW).unwrap().org(),
        epsilon.id()
    );
}

#[test]
fn the_largest_credential_fits_its_bound() {
    let org = organisation("Alpha", 1);
    let until = i64::MAX as u64;
    let validity = Validity {
        from: until - 1,
        until,
    };
    let chain = org
        .issue_device(&device().public(), &"ä".repeat(32), validity)
        .unwrap();
    assert!(from_canonical::<CredentialChain>(&to_canonical(&chain)).is_ok());
}

/// With both optional claims and the longest label.
fn full(org: &Organisation, validity: Validity) -> CredentialChain {
    let request = DeviceRequest {
        attestation: Some(attestation_digest(b"blob")),
        ..DeviceRequest::of(&device(), &"ä".repeat(32))
    };
    org.enrol_device(&request, validity).unwrap()
}

#[test]
fn a_credential_may_name_a_vrf_key_and_an_attestation() {
    let org = organisation("Alpha", 1);
    let until = i64::MAX as u64;
    let validity = Validity {
        from: until - 1,
        until,
    };
    let largest = full(&org, validity);
    assert!(largest.credential.body().len() <= DeviceCredential::MAX_BYTES);
    assert_eq!(
        from_canonical::<CredentialChain>(&to_canonical(&largest)).unwrap(),
        largest
    );
    let root = org.root().public();
    let chain = full(&org, Validity::starting(NOW, DAY));
    let verified = chain.verify(&root, NOW).unwrap();
    assert_eq!(verified.vrf(), Some(device_vrf(&device()).public()));
    let named = chain.credential.peek().attestation;
    assert_eq!(named, Some(attestation_digest(b"blob")));
    assert_ne!(named, Some(attestation_digest(b"other")));
    refuse_every_change(&to_canonical(&chain), |bytes| {
        from_canonical::<CredentialChain>(bytes)
            .is_ok_and(|chain| chain.verify(&root, NOW + 1).is_ok())
    });
    // The claims in another order are another encoding.
    let mut claims = ClaimsSet::from_slice(chain.credential.body()).unwrap();
    assert_eq!(claims.rest.len(), 4);
    claims.rest.swap(2, 3);
    let bytes = claims.to_vec().unwrap();
    assert!(from_canonical::<DeviceCredential>(&bytes).is_err());
    assert!(from_canonical::<DeviceCredential>(chain.credential.body()).is_ok());
}

#[test]
fn a_vrf_key_is_valid_and_not_the_key_that_signs() {
    let org = organisation("Alpha", 1);
    let validity = Validity::starting(NOW, DAY);
    let own = VrfPublicKey::from_bytes(device().public().as_bytes()).unwrap();
    let request = DeviceRequest {
        vrf: Some(own),
        ..DeviceRequest::of(&device(), "x")
    };
    assert!(org.enrol_device(&request, validity).is_err());
    // Another key gives another VRF key, and the two are not the same even of one seed.
    let other = SecretKey::from_seed(&[99; 32]);
    assert_ne!(device_vrf(&other).public(), device_vrf(&device()).public());
    // Keys of small order are none, whoever signs for them.
    let chain = full(&org, validity);
    let mut claims = ClaimsSet::from_slice(chain.credential.body()).unwrap();
    let vrf = claims
        .rest
        .iter_mut()
        .find(|(name, _)| *name == coset::cwt::ClaimName::Text("vrf".into()));
    let mut small = vec![0; 32];
    small[0] = 1;
    vrf.unwrap().1 = Value::Bytes(small);
    assert!(from_canonical::<DeviceCredential>(&claims.to_vec().unwrap()).is_err());
}

#[test]
fn every_change_of_a_chain_is_refused() {
    let org = organisation("Alpha", 1);
    let root = org.root().public();
    refuse_every_change(&to_canonical(&chain(&org)), |bytes| {
        from_canonical::<CredentialChain>(bytes)
            .is_ok_and(|chain| chain.verify(&root, NOW + 1).is_ok())
    });
}

#[test]
fn the_credential_is_a_cbor_web_token() {
    let org = organisation("Alpha", 1);
    let chain = chain(&org);
    let claims = ClaimsSet::from_slice(chain.credential.body()).unwrap();
    assert_eq!(claims.issuer, Some(org.id().to_string()));
    assert_eq!(claims.subject, Some(chain.claimed_device().to_string()));
    assert_eq!(claims.rest.len(), 2);
}

#[test]
fn time_is_checked_at_both_ends_of_both_links() {
    let org = organisation("Alpha", 1);
    let root = org.root().public();
    let chain = chain(&org);
    for at in [NOW, NOW + DAY - 1] {
        assert!(chain.verify(&root, at).is_ok(), "{at}");
    }
    for at in [NOW - 1, NOW + DAY] {
        assert!(
            matches!(chain.verify(&root, at), Err(ChainError::NotValidAt { .. })),
            "{at}"
        );
    }
    for at in [0, NOW - 11, NOW - 10 + YEAR, u64::MAX] {
        assert!(
            matches!(
                chain.verify(&root, at),
                Err(ChainError::Issuer(IssuerError::NotValidAt { .. }))
            ),
            "{at}"
        );
    }
    // A credential that outlives its issuer ends with it.
    let long = org
        .issue_device(&device().public(), "x", Validity::starting(NOW, 10 * YEAR))
        .unwrap();
    assert_eq!(long.verify(&root, NOW).unwrap().expires(), NOW - 10 + YEAR);
}

#[test]
fn another_organisations_chain_is_refused() {
    let (alpha, beta) = (organisation("Alpha", 1), organisation("Beta", 2));
    assert!(matches!(
        chain(&alpha).verify(&beta.root().public(), NOW),
        Err(ChainError::Issuer(IssuerError::Signature {
            source: EnvelopeError::WrongSigner { .. },
            ..
        }))
    ));
    // Beta's issuer certificate with Alpha's credential, and the other way round.
    let mixed = CredentialChain {
        issuer: beta.certificate().clone(),
        credential: chain(&alpha).credential,
    };
    for root in [alpha.root().public(), beta.root().public()] {
        assert!(mixed.verify(&root, NOW).is_err());
    }
    // Beta's issuer signs for a device "of Alpha".
    let credential = DeviceCredential::new(alpha.id(), device().public(), "x".into(), NOW, NOW + 1);
    assert_eq!(
        forged(&beta, &credential, beta.issuer()).verify(&beta.root().public(), NOW),
        Err(ChainError::OtherOrganisation {
            issuer: beta.id(),
            named: alpha.id(),
        })
    );
    // Beta's root certifies an issuer "of Alpha".
    let certificate = IssuerCertificate {
        org: alpha.id(),
        ..beta.certificate().peek().clone()
    };
    let claimed = CredentialChain {
        issuer: Signed::sign(&certificate, beta.root()).unwrap(),
        credential: Signed::sign(&credential, beta.issuer()).unwrap(),
    };
    assert_eq!(
        claimed.verify(&beta.root().public(), NOW),
        Err(ChainError::Issuer(IssuerError::OtherOrganisation {
            root: beta.id(),
            named: alpha.id(),
        }))
    );
    assert!(claimed.verify(&alpha.root().public(), NOW).is_err());
}

#[test]
fn a_device_key_cannot_be_substituted() {
    let org = organisation("Alpha", 1);
    let thief = SecretKey::from_seed(&[66; 32]);
    let honest = chain(&org).credential.peek().clone();
    // The identifier stays, the key changes.
    let substituted = DeviceCredential {
        key: thief.public(),
        ..honest.clone()
    };
    let rule = BrokenRule("a device's identifier follows from its organisation and key");
    assert_eq!(substituted.check(), Err(rule));
    assert!(matches!(
        Signed::sign(&substituted, org.issuer()),
        Err(EnvelopeError::Payload { source: DecodeError::Rule(broken), .. }) if broken == rule
    ));
    // Even when signed past our own checks.
    let envelope = Envelope::seal(
        "device-credential",
        to_canonical(&substituted),
        org.issuer(),
    )
    .unwrap();
    assert!(Signed::<DeviceCredential>::from_bytes(envelope.bytes()).is_err());
    // Another device of the organisation, or the device itself, cannot sign credentials.
    let own = DeviceCredential::new(org.id(), thief.public(), "x".into(), NOW, NOW + DAY);
    for key in [&thief, &device(), org.root()] {
        assert!(matches!(
            forged(&org, &own, key).verify(&org.root().public(), NOW),
            Err(ChainError::Signature { .. })
        ));
    }
}

#[test]
fn keys_have_one_purpose() {
    let org = organisation("Alpha", 1);
    let root = org.root().public();
    for key in [root, org.issuer().public()] {
        let credential = DeviceCredential::new(org.id(), key, "x".into(), NOW, NOW + DAY);
        assert_eq!(
            forged(&org, &credential, org.issuer()).verify(&root, NOW),
            Err(ChainError::KeyReused(org.id()))
        );
    }
    let certificate = Organisation::certify(
        &org.id(),
        org.root(),
        &root,
        Validity::starting(NOW, DAY),
        2,
    )
    .unwrap();
    assert_eq!(
        certificate
            .verify_issuer(&org.id(), &root, NOW)
            .unwrap_err(),
        IssuerError::RootKeyReused(org.id())
    );
}

#[test]
fn issuers_that_never_count_cannot_be_made() {
    let org = organisation("Alpha", 1);
    let key = org.issuer().public();
    for (from, until) in [(NOW, NOW), (NOW, NOW - 1)] {
        assert!(
            Organisation::certify(&org.id(), org.root(), &key, Validity { from, until }, 1)
                .is_err()
        );
        assert!(
            org.issue_device(&device().public(), "x", Validity { from, until })
                .is_err()
        );
    }
    let label = "x".repeat(65);
    for label in ["", "a\nb", &label] {
        let validity = Validity::starting(NOW, 1);
        assert!(
            org.issue_device(&device().public(), label, validity)
                .is_err()
        );
    }
    // A time that a claim cannot carry is an error, not a panic.
    let never = Validity {
        from: NOW,
        until: u64::MAX,
    };
    assert!(org.issue_device(&device().public(), "x", never).is_err());
}

#[test]
fn organisations_are_put_together_from_parts_that_belong_together() {
    let (alpha, beta) = (organisation("Alpha", 1), organisation("Beta", 2));
    let copy = |key: &SecretKey| SecretKey::from_seed(&key.to_seed());
    let parts = |name: &str, root, issuer, certificate: &Organisation| {
        Organisation::from_parts(
            name,
            copy(root),
            copy(issuer),
            certificate.certificate().clone(),
        )
    };
    assert!(parts("Alpha", alpha.root(), alpha.issuer(), &alpha).is_ok());
    assert!(parts("Alpha", alpha.root(), beta.issuer(), &alpha).is_err());
    assert!(parts("Alpha", alpha.root(), alpha.issuer(), &beta).is_err());
    assert!(parts(" ", alpha.root(), alpha.issuer(), &alpha).is_err());
}

/// Changes the claims of a credential and signs the result with the true issuer.
fn with_claims(change: impl Fn(&mut Vec<(Value, Value)>)) -> bool {
    let org = organisation("Alpha", 1);
    let payload = chain(&org).credential.body().to_vec();
    let Value::Map(mut claims) = coset::cbor::de::from_reader(&payload[..]).unwrap() else {
        panic!("the claims are a map");
    };
    change(&mut claims);
    let mut changed = Vec::new();
    coset::cbor::ser::into_writer(&Value::Map(claims), &mut changed).unwrap();
    let envelope = Envelope::seal("device-credential", changed, org.issuer()).unwrap();
    Signed::<DeviceCredential>::from_bytes(envelope.bytes()).is_ok_and(|credential| {
        let issuer = org.certificate().clone();
        CredentialChain { issuer, credential }
            .verify(&org.root().public(), NOW)
            .is_ok()
    })
}

#[test]
fn only_exactly_these_claims_are_accepted() {
    assert!(with_claims(|_| {}));
    for claim in 0..6 {
        assert!(
            !with_claims(|claims| {
                claims.remove(claim);
            }),
            "claim {claim} left out"
        );
        assert!(
            !with_claims(|claims| claims[claim].1 = Value::Null),
            "claim {claim} null"
        );
        assert!(
            !with_claims(|claims| claims.push(claims[claim].clone())),
            "claim {claim} twice"
        );
    }
    assert!(!with_claims(|claims| claims.swap(0, 1)));
    assert!(!with_claims(
        |claims| claims.push((Value::Text("more".into()), Value::Null))
    ));
    assert!(!with_claims(
        |claims| claims.insert(3, (Value::from(5), Value::from(NOW)))
    ));
    assert!(!with_claims(
        |claims| claims[2].1 = Value::Float((NOW + DAY) as f64)
    ));
    assert!(!with_claims(|claims| claims[2].1 = Value::from(-1)));
    let other = OrgId::of(&device().public()).to_string();
    assert!(!with_claims(
        |claims| claims[0].1 = Value::Text(other.clone())
    ));
    assert!(!with_claims(|claims| {
        claims[0].1 = Value::Text(claims[0].1.as_text().unwrap().to_uppercase());
    }));
    // The confirmation key: another curve, type, a second parameter, a low-order point.
    let cnf = |change: fn(&mut Vec<(Value, Value)>)| {
        with_claims(|claims| {
            let key = &mut claims[4].1.as_map_mut().unwrap()[0].1;
            change(key.as_map_mut().unwrap());
        })
    };
    assert!(cnf(|_| {}));
    assert!(!cnf(|key| key[0].1 = Value::from(2)));
    assert!(!cnf(|key| key[1].1 = Value::from(4)));
    assert!(!cnf(|key| key[2].1 = Value::Bytes(vec![0; 32])));
    assert!(!cnf(|key| key[2].1 = Value::Bytes(vec![9; 31])));
    assert!(!cnf(
        |key| key.push((Value::from(-4), Value::Bytes(vec![7; 32])))
    ));
    assert!(!cnf(|key| key.insert(1, (Value::from(3), Value::from(-8)))));
    assert!(!with_claims(|claims| {
        let cnf = claims[4].1.as_map_mut().unwrap();
        cnf.push((Value::from(3), Value::Bytes(vec![1])));
    }));
}

proptest! {
    #[test]
    fn round_trip(
        seed: [u8; 32],
        label in "[a-zA-Z0-9äöü]([ -~]{0,20}[a-zA-Z0-9])?",
        from in 0u64..1 << 62,
        seconds in 1u64..1 << 40,
    ) {
        let org = organisation("Alpha", 1);
        let key = SecretKey::from_seed(&seed).public();
        let chain = org.issue_device(&key, &label, Validity::starting(from, seconds)).unwrap();
        let again: CredentialChain = from_canonical(&to_canonical(&chain)).unwrap();
        prop_assert_eq!(&again, &chain);
        prop_assert_eq!(&again.credential.peek().label, &label);
        prop_assert_eq!(again.credential.peek().issued, from);
        prop_assert_eq!(again.credential.peek().expires, from + seconds);
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = from_canonical::<DeviceCredential>(&bytes);
        let _ = from_canonical::<IssuerCertificate>(&bytes);
        let _ = from_canonical::<CredentialChain>(&bytes);
        let org = organisation("Alpha", 1);
        let envelope = Envelope::seal("device-credential", bytes, org.issuer()).unwrap();
        let _ = Signed::<DeviceCredential>::from_bytes(envelope.bytes());
    }

    #[test]
    fn damaged_claims_never_panic(at in 0usize..250, with: [u8; 2]) {
        let org = organisation("Alpha", 1);
        let mut payload = chain(&org).credential.body().to_vec();
        let at = at.min(payload.len() - 2);
        payload[at..at + 2].copy_from_slice(&with);
        let before = payload.clone();
        let envelope = Envelope::seal("device-credential", payload, org.issuer()).unwrap();
        if let Ok(credential) = Signed::<DeviceCredential>::from_bytes(envelope.bytes()) {
            prop_assert_eq!(to_canonical(credential.peek()), before);
        }
    }
}
