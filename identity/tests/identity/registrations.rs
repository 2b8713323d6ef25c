//! Organisations and stewards present themselves: for one federation, with the keys that they name.

use dawn_crypto::digest::Digest;
use dawn_crypto::vrf::VrfPublicKey;
use dawn_identity::{
    EnrolmentError, EnvelopeError, IssuerError, OrgId, OrgRegistration, Organisation,
    RegistrationError, SecretKey, Signed, StewardEnrolment, StewardId, Validity,
};

use crate::fixture::{NOW, YEAR, organisation, refuse_every_change, vrf};

const HERE: Digest = Digest([1; 32]);
const ELSEWHERE: Digest = Digest([2; 32]);

#[test]
fn an_organisation_registers() {
    let org = organisation("Alpha", 1);
    let signed = org.register(&HERE, NOW).unwrap();
    let verified = signed.verify_registration(&HERE, NOW).unwrap();
    assert_eq!(verified.org(), org.id());
    assert_eq!(verified.name, "Alpha");
    assert_eq!(verified.issuer, *org.certificate());
    refuse_every_change(signed.bytes(), |bytes| {
        Signed::<OrgRegistration>::from_bytes(bytes)
            .is_ok_and(|signed| signed.verify_registration(&HERE, NOW).is_ok())
    });
}

#[test]
fn forged_registrations_are_refused() {
    let (alpha, beta) = (organisation("Alpha", 1), organisation("Beta", 2));
    let honest = alpha.register(&HERE, NOW).unwrap();
    assert!(matches!(
        honest.verify_registration(&ELSEWHERE, NOW),
        Err(RegistrationError::OtherFederation { .. })
    ));
    assert!(matches!(
        honest.verify_registration(&HERE, NOW + YEAR),
        Err(RegistrationError::Issuer(IssuerError::NotValidAt { .. }))
    ));
    // Beta registers with Alpha's root key: no proof of possession.
    let stolen = Signed::sign(honest.peek(), beta.root()).unwrap();
    assert!(matches!(
        stolen.verify_registration(&HERE, NOW),
        Err(RegistrationError::Signature {
            source: EnvelopeError::WrongSigner { .. },
            ..
        })
    ));
    // Beta registers with Alpha's issuer: Alpha's devices would count as Beta's.
    let mut borrowed = beta.register(&HERE, NOW).unwrap().peek().clone();
    borrowed.issuer = alpha.certificate().clone();
    let borrowed = Signed::sign(&borrowed, beta.root()).unwrap();
    assert!(matches!(
        borrowed.verify_registration(&HERE, NOW),
        Err(RegistrationError::Issuer(IssuerError::Signature { .. }))
    ));
    // The root key as issuer.
    let mut online = honest.peek().clone();
    let root = alpha.root();
    online.issuer = Organisation::certify(
        &OrgId::of(&root.public()),
        root,
        &root.public(),
        Validity::starting(NOW, 9),
        2,
    )
    .unwrap();
    assert!(matches!(
        Signed::sign(&online, root)
            .unwrap()
            .verify_registration(&HERE, NOW),
        Err(RegistrationError::Issuer(IssuerError::RootKeyReused(_)))
    ));
    // A name that plays with terminals.
    let mut named = honest.peek().clone();
    named.name = "Alpha\u{1b}[2J".into();
    assert!(Signed::sign(&named, root).is_err());
}

#[test]
fn a_steward_is_enrolled() {
    let org = organisation("Alpha", 1);
    let steward = SecretKey::from_seed(&[9; 32]);
    let signed = org.enrol_steward(&HERE, &steward, &vrf(8), NOW).unwrap();
    let verified = signed
        .verify_enrolment(&org.id(), &org.root().public(), &HERE)
        .unwrap();
    assert_eq!(verified.id(), StewardId::of(&org.id(), &steward.public()));
    refuse_every_change(signed.bytes(), |bytes| {
        Signed::<StewardEnrolment>::from_bytes(bytes).is_ok_and(|signed| {
            signed
                .verify_enrolment(&org.id(), &org.root().public(), &HERE)
                .is_ok()
        })
    });
}

#[test]
fn forged_enrolments_are_refused() {
    let (alpha, beta) = (organisation("Alpha", 1), organisation("Beta", 2));
    let steward = SecretKey::from_seed(&[9; 32]);
    let honest = alpha.enrol_steward(&HERE, &steward, &vrf(8), NOW).unwrap();
    let root = alpha.root().public();
    assert!(matches!(
        honest.verify_enrolment(&beta.id(), &beta.root().public(), &HERE),
        Err(EnrolmentError::Signature { .. })
    ));
    assert!(matches!(
        honest.verify_enrolment(&OrgId::of(&root), &root, &ELSEWHERE),
        Err(EnrolmentError::OtherFederation { .. })
    ));
    // Beta claims Alpha's steward: the steward has consented to Alpha only.
    let mut claimed = honest.peek().clone();
    claimed.org = beta.id();
    assert!(matches!(
        Signed::sign(&claimed, beta.root())
            .unwrap()
            .verify_enrolment(&beta.id(), &beta.root().public(), &HERE),
        Err(EnrolmentError::Proof { .. })
    ));
    // Beta signs an enrolment of Alpha.
    assert!(matches!(
        Signed::sign(honest.peek(), beta.root())
            .unwrap()
            .verify_enrolment(&beta.id(), &beta.root().public(), &HERE),
        Err(EnrolmentError::OtherOrganisation { .. })
    ));
    // A consent for another federation, with another key of the beacon, and none at all.
    for proof in [
        StewardEnrolment::prove(&ELSEWHERE, &alpha.id(), &steward, &vrf(8)),
        StewardEnrolment::prove(&HERE, &alpha.id(), &steward, &vrf(7)),
        StewardEnrolment::prove(&HERE, &alpha.id(), alpha.root(), &vrf(8)),
    ] {
        let mut unproven = honest.peek().clone();
        unproven.proof = proof;
        assert!(matches!(
            Signed::sign(&unproven, alpha.root())
                .unwrap()
                .verify_enrolment(&OrgId::of(&root), &root, &HERE),
            Err(EnrolmentError::Proof { .. })
        ));
    }
    // A key that signs cannot be the beacon's.
    let mut signing = honest.peek().clone();
    signing.vrf = VrfPublicKey::from_bytes(steward.public().as_bytes()).unwrap();
    assert!(Signed::sign(&signing, alpha.root()).is_err());
    let reused = alpha
        .enrol_steward(&HERE, alpha.root(), &vrf(8), NOW)
        .unwrap();
    assert!(matches!(
        reused.verify_enrolment(&OrgId::of(&root), &root, &HERE),
        Err(EnrolmentError::RootKeyReused(_))
    ));
}
