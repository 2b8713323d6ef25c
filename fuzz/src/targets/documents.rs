//! Documents that are not statements of one signer, and lists of statements. What verifies is what its signers
//! signed, byte for byte.

use dawn_crypto::params::Sigma;
use dawn_crypto::shamir::Threshold;
use dawn_identity::{
    CredentialChain, FoundingDocument, Members, Register, SignedRoster, to_canonical,
};
use dawn_learn::{ModelSpec, Quantiser, TrainSpec};
use dawn_protocol::log::entries_from_bytes;
use dawn_protocol::work::{work_from_bytes, work_to_bytes};
use dawn_protocol::{
    Deadlines, Functional, PackagePage, Policy, PrivacyPlan, RoundAnnouncement, RoundId,
};

use super::canonical::{canonical, decoded};
use super::{Target, choose};
use crate::world::{NOW, honest};

/// Every kind of document by name; the place is the byte that chooses it.
pub const DOCUMENTS: &[(&str, Target)] = &[
    ("founding document", founding),
    ("roster", roster),
    ("credential chain", chain),
    ("announcement", |bytes| {
        decoded(
            bytes,
            RoundAnnouncement::from_bytes,
            RoundAnnouncement::to_bytes,
        )
        .is_some()
    }),
    ("work", |bytes| {
        decoded(bytes, work_from_bytes, work_to_bytes).is_some()
    }),
    ("package page", |bytes| {
        decoded(bytes, PackagePage::from_bytes, PackagePage::to_bytes).is_some()
    }),
    ("log entries", |bytes| {
        decoded(bytes, |bytes| entries_from_bytes(bytes, 1000), to_canonical).is_some()
    }),
    ("register", register),
    ("threshold", |bytes| {
        canonical::<Threshold>(bytes, 16).is_some_and(|threshold| {
            let (m, f, t, a) = (threshold.m(), threshold.f(), threshold.t(), threshold.a());
            assert!(2 * t > m + f && a == t + f && a <= m && (2..=16).contains(&m));
            true
        })
    }),
    ("deviation", |bytes| canonical::<Sigma>(bytes, 16).is_some()),
    ("model", |bytes| {
        canonical::<ModelSpec>(bytes, 128).is_some_and(|spec| {
            assert_eq!(spec.check(), Ok(()));
            true
        })
    }),
    ("training", |bytes| {
        canonical::<TrainSpec>(bytes, 64).is_some()
    }),
    ("quantiser", |bytes| {
        canonical::<Quantiser>(bytes, 64).is_some()
    }),
    ("policy", |bytes| canonical::<Policy>(bytes, 64).is_some()),
    ("deadlines", |bytes| {
        canonical::<Deadlines>(bytes, 64).is_some()
    }),
    ("privacy", |bytes| {
        canonical::<PrivacyPlan>(bytes, 64).is_some()
    }),
    ("functional", |bytes| {
        canonical::<Functional>(bytes, 64).is_some()
    }),
    ("round", |bytes| canonical::<RoundId>(bytes, 64).is_some()),
];

/// The first byte chooses the kind.
pub fn documents(data: &[u8]) -> bool {
    choose(DOCUMENTS, data).is_some_and(|((_, target), bytes)| target(bytes))
}

fn founding(bytes: &[u8]) -> bool {
    let decode = |bytes: &[u8]| FoundingDocument::from_bytes(bytes);
    let Some(document) = decoded(bytes, decode, FoundingDocument::to_bytes) else {
        return false;
    };
    let ours = honest().world.document();
    assert_eq!(document.federation.check(), Ok(()));
    assert_eq!(document.verify().is_ok(), document == *ours);
    let pinned = document.verify_pinned(&ours.digest()).is_ok();
    assert_eq!(pinned, document == *ours);
    true
}

fn roster(bytes: &[u8]) -> bool {
    let Some(roster) = decoded(bytes, SignedRoster::from_bytes, SignedRoster::to_bytes) else {
        return false;
    };
    let world = &honest().world;
    let members = Members::founders_of(&world.federation);
    let verified = roster.verify(&members).is_ok();
    assert_eq!(verified, roster == world.roster);
    true
}

/// The next entry of a register in which one guest has registered: what it takes changes it, and can be folded again.
fn register(bytes: &[u8]) -> bool {
    let world = &honest().world;
    let mut register = Register::new(&world.federation);
    let first = world.registrations[0].bytes();
    register.push(first).expect("an honest registration");
    let before = register.head();
    if register.push(bytes).is_err() {
        assert_eq!(register.head(), before);
        return false;
    }
    assert_eq!(register.head().entries, 2);
    let mut members = Members::founders_of(&world.federation);
    for entry in register.entries() {
        members.push(entry.bytes()).expect("verified before");
    }
    assert_eq!(Some(members), register.at(&register.head()));
    true
}

fn chain(bytes: &[u8]) -> bool {
    let Some(chain) = canonical::<CredentialChain>(bytes, CredentialChain::MAX_BYTES) else {
        return false;
    };
    let world = &honest().world;
    let members = Members::founders_of(&world.federation);
    let founded = |org| members.root(org).is_some();
    let known = |device: &crate::world::Device| device.chain == chain;
    let ours = world.devices.iter().any(known) && founded(&chain.claimed_org());
    let verified = chain.verify_member(&members, NOW);
    assert_eq!(verified.is_ok(), ours);
    assert!(verified.map_or(true, |device| device.device() == chain.claimed_device()));
    true
}
