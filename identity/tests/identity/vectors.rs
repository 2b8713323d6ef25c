//! Known answers made by an independent program, `test_vectors/identity.py`: what it accepts we make
//! byte for byte, and what it damaged we refuse.

use std::collections::BTreeMap;

use dawn_crypto::shamir::Threshold;
use dawn_identity::{
    Admission, CredentialChain, Digest, Federation, FoundingDocument, Members, OrgId, Organisation,
    PublicKey, Roster, RosterEntry, SecretKey, ServerKey, ServerKeyChange, ServerRole, Signed,
    SignedRoster, SignedServerKeyChange, StewardId, TaskId, Validity, from_canonical, to_canonical,
};
use serde::Deserialize;

use crate::fixture::vrf;

#[derive(Deserialize)]
struct Vectors {
    now: u64,
    identifiers: BTreeMap<String, String>,
    documents: BTreeMap<String, String>,
    register: Vec<String>,
    refused: Refused,
}

#[derive(Deserialize)]
struct Refused {
    credentials: BTreeMap<String, String>,
    rosters: BTreeMap<String, String>,
    registers: BTreeMap<String, Vec<String>>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../test_vectors/identity.json")).unwrap()
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// The world of the vectors, made by this crate.
struct World {
    organisations: Vec<Organisation>,
    founding: FoundingDocument,
    roster: SignedRoster,
    chain: CredentialChain,
}

fn world(now: u64) -> World {
    let validity = Validity {
        from: now - 10,
        until: now + 31_536_000,
    };
    let organisations: Vec<_> = ["Alpha", "Beta", "Gamma"]
        .into_iter()
        .zip(1..)
        .map(|(name, seed)| {
            let certificate = Organisation::certify(
                &OrgId::of(&key(seed).public()),
                &key(seed),
                &key(11).public(),
                validity,
                1,
            )
            .unwrap();
            Organisation::from_parts(name, key(seed), key(11), certificate).unwrap()
        })
        .collect();
    let federation = Federation {
        name: "Vectors".into(),
        founders: organisations
            .iter()
            .map(Organisation::founder_entry)
            .collect(),
        aggregator: key(13).public(),
        log: key(14).public(),
        admission: Admission::Open,
        roster_quorum: 2,
        created: now,
    };
    let references: Vec<_> = organisations.iter().collect();
    let founding = FoundingDocument::found(federation, &references).unwrap();
    let roster = Roster {
        federation: founding.digest(),
        epoch: 1,
        threshold: Threshold::new(3, 0).unwrap(),
        stewards: organisations
            .iter()
            .zip(21..)
            .map(|(org, seed)| RosterEntry {
                org: org.id(),
                steward: key(seed).public(),
                vrf: vrf(seed + 10),
            })
            .collect(),
        created: now,
    };
    let signatures = organisations
        .iter()
        .map(|org| roster.sign(org.root()))
        .collect();
    let chain = organisations[0]
        .issue_device(
            &key(12).public(),
            "Gerät 17",
            Validity::starting(now, 86_400),
        )
        .unwrap();
    World {
        organisations,
        founding,
        roster: SignedRoster::assemble(roster, signatures).unwrap(),
        chain,
    }
}

/// Another key of the aggregator, let in by the second and the third founder.
fn server_key(world: &World, now: u64) -> SignedServerKeyChange {
    let federation = world.founding.digest();
    let change = ServerKeyChange {
        federation,
        sequence: 1,
        previous: federation,
        new: ServerKey::prove(&federation, ServerRole::Aggregator, &key(42)),
        created: now,
    };
    let founders = world.organisations[1..].iter();
    let signatures = founders.map(|org| change.sign_for(org.id(), org.root()));
    SignedServerKeyChange::assemble(change, signatures.collect()).unwrap()
}

#[test]
fn documents_are_the_same_bytes() {
    let vectors = vectors();
    let world = world(vectors.now);
    let alpha = &world.organisations[0];
    let federation = world.founding.digest();
    let made = [
        ("issuer_certificate", alpha.certificate().bytes().to_vec()),
        ("credential_chain", to_canonical(&world.chain)),
        (
            "org_registration",
            alpha
                .register(&federation, vectors.now)
                .unwrap()
                .bytes()
                .to_vec(),
        ),
        (
            "steward_enrolment",
            alpha
                .enrol_steward(&federation, &key(21), &vrf(31), vectors.now)
                .unwrap()
                .bytes()
                .to_vec(),
        ),
        ("founding_document", world.founding.to_bytes()),
        ("roster", world.roster.to_bytes()),
        (
            "roster_posting",
            alpha
                .post_roster(&world.roster, vectors.now)
                .unwrap()
                .bytes()
                .to_vec(),
        ),
        (
            "federation_event",
            world.organisations[1]
                .post_server_key(&server_key(&world, vectors.now))
                .unwrap()
                .bytes()
                .to_vec(),
        ),
    ];
    assert_eq!(made.len(), vectors.documents.len());
    for (name, bytes) in made {
        assert_eq!(hex::encode(bytes), vectors.documents[name], "{name}");
    }
}

#[test]
fn identifiers_are_the_same() {
    let vectors = vectors();
    let world = world(vectors.now);
    let alpha = &world.organisations[0];
    let credential = &world.chain.credential;
    let digest = |digest: Digest| digest.to_string();
    let made = [
        ("key", alpha.root().public().id().to_string()),
        ("organisation", alpha.id().to_string()),
        ("device", world.chain.claimed_device().to_string()),
        (
            "steward",
            StewardId::of(&alpha.id(), &key(21).public()).to_string(),
        ),
        ("task", TaskId::of(b"body").to_string()),
        ("federation", digest(world.founding.digest())),
        ("roster", digest(world.roster.peek().digest())),
        (
            "server_key_change",
            digest(server_key(&world, vectors.now).peek().digest()),
        ),
        ("credential_body", digest(credential.body_digest())),
        ("credential_envelope", digest(credential.envelope_digest())),
        ("register", digest(register(&vectors).head().digest)),
    ];
    assert_eq!(made.len(), vectors.identifiers.len());
    for (name, text) in made {
        assert_eq!(text, vectors.identifiers[name], "{name}");
    }
}

#[test]
fn damaged_credentials_are_refused() {
    let vectors = vectors();
    let world = world(vectors.now);
    let root: PublicKey = world.organisations[0].root().public();
    assert!(world.chain.verify(&root, vectors.now).is_ok());
    assert!(vectors.refused.credentials.len() >= 19);
    for (what, text) in &vectors.refused.credentials {
        let accepted = Signed::from_bytes(&hex::decode(text).unwrap()).is_ok_and(|credential| {
            let issuer = world.chain.issuer.clone();
            CredentialChain { issuer, credential }
                .verify(&root, vectors.now)
                .is_ok()
        });
        assert!(!accepted, "{what}");
    }
}

#[test]
fn damaged_rosters_are_refused() {
    let vectors = vectors();
    let federation = world(vectors.now).founding.verify().unwrap();
    let accepted = |text: &str| {
        SignedRoster::from_bytes(&hex::decode(text).unwrap())
            .is_ok_and(|roster| roster.verify(&Members::founders_of(&federation)).is_ok())
    };
    assert!(accepted(&vectors.documents["roster"]));
    assert!(vectors.refused.rosters.len() >= 8);
    for (what, text) in &vectors.refused.rosters {
        assert!(!accepted(text), "{what}");
    }
    let chain: CredentialChain =
        from_canonical(&hex::decode(&vectors.documents["credential_chain"]).unwrap()).unwrap();
    assert!(
        chain
            .verify(&federation.founders[0].root, vectors.now)
            .is_ok()
    );
}

/// The register of the vectors: every entry is taken.
fn register(vectors: &Vectors) -> Members {
    let federation = world(vectors.now).founding.verify().unwrap();
    let mut members = Members::founders_of(&federation);
    for entry in &vectors.register {
        members.push(&hex::decode(entry).unwrap()).unwrap();
    }
    members
}

#[test]
fn registers_with_rosters_that_do_not_follow_are_refused() {
    let vectors = vectors();
    let members = register(&vectors);
    assert_eq!(members.newest_roster().unwrap().epoch(), 2);
    let federation = world(vectors.now).founding.verify().unwrap();
    assert_eq!(*members.aggregator(), key(42).public());
    assert_eq!(*members.log(), key(43).public());
    assert!(vectors.refused.registers.len() >= 30);
    for (what, entries) in &vectors.refused.registers {
        let mut members = Members::founders_of(&federation);
        let (last, before) = entries.split_last().unwrap();
        for entry in before {
            let taken = members.push(&hex::decode(entry).unwrap());
            assert!(taken.is_ok(), "{what}: {taken:?}");
        }
        let head = members.head();
        assert!(members.push(&hex::decode(last).unwrap()).is_err(), "{what}");
        assert_eq!(members.head(), head, "{what}");
    }
}
