//! The founding document: all founders, one digest.

use dawn_identity::{
    Admission, DecodeError, Federation, FederationError, FounderEntry, FoundingClaim,
    FoundingDocument, Members, OrgId, SecretKey, to_canonical,
};

use crate::fixture::{Fixture, NOW, organisation, refuse_every_change};

#[test]
fn a_federation_is_founded() {
    let fixture = Fixture::new();
    let bytes = fixture.founding.to_bytes();
    assert!(bytes.len() <= FoundingDocument::MAX_BYTES);
    let read = FoundingDocument::from_bytes(&bytes).unwrap();
    assert_eq!(read, fixture.founding);
    let verified = read.verify_pinned(&fixture.federation.digest()).unwrap();
    assert_eq!(verified, fixture.federation);
    assert_eq!(verified.name, "Test federation");
}

#[test]
fn what_a_document_claims_is_read_without_its_keys() {
    let fixture = Fixture::new();
    let bytes = fixture.founding.to_bytes();
    let claim = FoundingClaim::read(&bytes).unwrap();
    let federation = &fixture.founding.federation;
    assert_eq!(claim.digest, fixture.founding.digest());
    assert_eq!(&claim.aggregator, federation.aggregator.as_bytes());
    assert_eq!(&claim.log, federation.log.as_bytes());
    // Whatever is changed in the body: it is not this federation's claim any more. Signatures are not part of it.
    let body = to_canonical(federation).len();
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1;
        let same = FoundingClaim::read(&other).is_ok_and(|other| other == claim);
        assert_eq!(same, at > body, "{at}");
    }
    for end in 0..=body {
        assert!(FoundingClaim::read(&bytes[..end]).is_err(), "{end}");
    }
    // A key that is no point is not looked at; more founders than there may be are none.
    let root = *federation.founders[0].root.as_bytes();
    let at = bytes.windows(32).position(|window| window == root).unwrap();
    let mut other = bytes.clone();
    other[at..at + 32].copy_from_slice(&[0xff; 32]);
    assert!(FoundingClaim::read(&other).is_ok());
    assert!(FoundingDocument::from_bytes(&other).is_err());
    let mut many = federation.clone();
    let founder = many.founders[0].clone();
    for (count, read) in [(0, false), (1, true), (64, true), (65, false)] {
        many.founders = vec![founder.clone(); count];
        let document = FoundingDocument {
            federation: many.clone(),
            signatures: Vec::new(),
        };
        assert_eq!(FoundingClaim::read(&document.to_bytes()).is_ok(), read);
    }
    let long = vec![0x80; FoundingDocument::MAX_BYTES + 1];
    assert!(matches!(
        FoundingClaim::read(&long),
        Err(DecodeError::TooLarge { .. })
    ));
}

#[test]
fn every_change_is_refused() {
    let fixture = Fixture::new();
    refuse_every_change(&fixture.founding.to_bytes(), |bytes| {
        FoundingDocument::from_bytes(bytes).is_ok_and(|document| document.verify().is_ok())
    });
}

#[test]
fn every_founder_signs_in_its_place() {
    let fixture = Fixture::new();
    let change = |change: &dyn Fn(&mut FoundingDocument)| {
        let mut document = fixture.founding.clone();
        change(&mut document);
        document.verify().unwrap_err()
    };
    let missing = change(&|document| {
        document.signatures.pop();
    });
    assert!(matches!(
        missing,
        FederationError::SignatureCount {
            founders: 4,
            signatures: 3
        }
    ));
    assert!(matches!(
        change(&|document| document.signatures.clear()),
        FederationError::SignatureCount { .. }
    ));
    let more = change(&|document| document.signatures.push(document.signatures[0]));
    assert!(matches!(more, FederationError::SignatureCount { .. }));
    let swapped = change(&|document| document.signatures.swap(0, 1));
    let alpha = fixture.founders[0].id();
    assert!(matches!(swapped, FederationError::Signature { org, .. } if org == alpha));
    let repeated = change(&|document| document.signatures[1] = document.signatures[0]);
    assert!(matches!(repeated, FederationError::Signature { name, .. } if name == "Beta"));
    let stranger = SecretKey::from_seed(&[3; 32]);
    let forged = change(&|document| document.signatures[2] = document.federation.sign(&stranger));
    assert!(matches!(forged, FederationError::Signature { name, .. } if name == "Gamma"));
    let partial: Vec<_> = fixture.founders[..3].iter().collect();
    assert!(FoundingDocument::found(fixture.founding.federation.clone(), &partial).is_err());
}

#[test]
fn a_valid_federation_that_is_not_the_pinned_one_is_refused() {
    let fixture = Fixture::new();
    let mut other = fixture.founding.federation.clone();
    other.created += 1;
    let founders: Vec<_> = fixture.founders.iter().collect();
    let other = FoundingDocument::found(other, &founders).unwrap();
    assert!(other.verify().is_ok());
    assert!(matches!(
        other.verify_pinned(&fixture.federation.digest()),
        Err(FederationError::NotPinned { .. })
    ));
}

#[test]
fn broken_rules_are_refused_everywhere() {
    let fixture = Fixture::new();
    let good = fixture.founding.federation.clone();
    let stranger = |seed: u8| SecretKey::from_seed(&[seed; 32]).public();
    let mut cases: Vec<(&str, Federation)> = Vec::new();
    let mut case = |what: &'static str, change: &dyn Fn(&mut Federation)| {
        let mut federation = good.clone();
        change(&mut federation);
        cases.push((what, federation));
    };
    case("no name", &|f| f.name.clear());
    case("a name of 65 bytes", &|f| f.name = "x".repeat(65));
    case("no founders", &|f| f.founders.clear());
    case("65 founders", &|f| {
        f.founders = (0..65)
            .map(|n| FounderEntry {
                name: format!("{n}"),
                root: stranger(n),
            })
            .collect();
        f.roster_quorum = 33;
    });
    case("a founder twice", &|f| {
        f.founders[1].root = f.founders[0].root
    });
    case("a name twice", &|f| {
        f.founders[1].name = f.founders[0].name.clone()
    });
    case("a founder's name with a line break", &|f| {
        f.founders[0].name = "a\nb".into()
    });
    case("quorum of half", &|f| f.roster_quorum = 2);
    case("quorum of none", &|f| f.roster_quorum = 0);
    case("quorum of more than all", &|f| f.roster_quorum = 5);
    case("no approvals", &|f| {
        f.admission = Admission::Approval { k: 0 }
    });
    case("too many approvals", &|f| {
        f.admission = Admission::Approval { k: 5 }
    });
    case("the aggregator founds", &|f| {
        f.aggregator = f.founders[2].root
    });
    case("the log founds", &|f| f.log = f.founders[2].root);
    for (what, federation) in cases {
        assert!(federation.check().is_err(), "{what}");
        let signatures =
            vec![federation.sign(fixture.founders[0].root()); federation.founders.len()];
        let document = FoundingDocument {
            federation,
            signatures,
        };
        assert!(
            matches!(
                document.verify(),
                Err(FederationError::Decode(DecodeError::Rule(_)))
            ),
            "{what}"
        );
        assert!(
            FoundingDocument::from_bytes(&to_canonical(&document)).is_err(),
            "{what}"
        );
    }
    let mut one_key = good;
    one_key.log = one_key.aggregator;
    assert!(
        one_key.check().is_ok(),
        "one key may serve as aggregator and log"
    );
}

#[test]
fn the_largest_federation_fits_its_bound() {
    let organisations: Vec<_> = (0..64)
        .map(|n| organisation(&format!("{n:x>64}"), 1000 + n))
        .collect();
    let references: Vec<_> = organisations.iter().collect();
    let aggregator = SecretKey::from_seed(&[1; 32]).public();
    let federation = Federation {
        name: "n".repeat(64),
        founders: organisations
            .iter()
            .map(|org| org.founder_entry())
            .collect(),
        aggregator,
        log: aggregator,
        admission: Admission::Approval { k: 64 },
        roster_quorum: 64,
        created: u64::MAX,
    };
    let document = FoundingDocument::found(federation, &references).unwrap();
    assert!(
        FoundingDocument::from_bytes(&document.to_bytes())
            .unwrap()
            .verify()
            .is_ok()
    );
    assert!(FoundingDocument::from_bytes(&vec![0x82; FoundingDocument::MAX_BYTES + 1]).is_err());
}

#[test]
fn members_are_founders_and_those_let_in() {
    let fixture = Fixture::new();
    let mut members = Members::founders_of(&fixture.federation);
    let (alpha, epsilon) = (&fixture.founders[0], &fixture.admitted[0]);
    assert_eq!(members.root(&alpha.id()), Some(&alpha.root().public()));
    assert!(members.is_founder(&alpha.id()));
    assert_eq!(members.root(&epsilon.id()), None);
    let digest = fixture.federation.digest();
    let registration = epsilon.register(&digest, NOW).unwrap();
    members.push(registration.bytes()).unwrap();
    assert_eq!(members.root(&epsilon.id()), Some(&epsilon.root().public()));
    assert!(!members.is_founder(&epsilon.id()));
    assert_eq!(members.iter().count(), 5);
    assert!(
        members
            .iter()
            .all(|member| member.org() == OrgId::of(member.root()))
    );
}
