//! A small federation to attack.

use dawn_crypto::shamir::Threshold;
use dawn_crypto::vrf::{VrfPublicKey, VrfSecretKey};
use dawn_identity::{
    Admission, Federation, FoundingDocument, Members, Organisation, Roster, RosterEntry,
    RosterSignature, SecretKey, SignedRoster, Validity, VerifiedFederation,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub const NOW: u64 = 1_800_000_000;
pub const YEAR: u64 = 31_536_000;

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn organisation(name: &str, seed: u64) -> Organisation {
    Organisation::generate(name, Validity::starting(NOW - 10, YEAR), &mut rng(seed)).unwrap()
}

/// A key of the beacon, from a seed.
pub fn vrf(seed: u8) -> VrfPublicKey {
    VrfSecretKey::from_seed(&[seed; 32]).public().clone()
}

/// Four founders, two organisations that were let in, a steward for each, m = 6, f = 1.
pub struct Fixture {
    pub founders: Vec<Organisation>,
    pub admitted: Vec<Organisation>,
    pub stewards: Vec<SecretKey>,
    pub aggregator: SecretKey,
    pub founding: FoundingDocument,
    pub federation: VerifiedFederation,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with_admission(Admission::Open)
    }

    pub fn with_admission(admission: Admission) -> Self {
        let names = ["Alpha Clinic", "Beta", "Gamma", "Delta"];
        let founders: Vec<_> = names
            .iter()
            .zip(1..)
            .map(|(n, s)| organisation(n, s))
            .collect();
        let admitted = vec![organisation("Epsilon", 11), organisation("Zeta", 12)];
        let stewards = (20..26).map(|s| SecretKey::generate(&mut rng(s))).collect();
        let aggregator = SecretKey::generate(&mut rng(30));
        let federation = Federation {
            name: "Test federation".into(),
            founders: founders.iter().map(Organisation::founder_entry).collect(),
            aggregator: aggregator.public(),
            log: SecretKey::generate(&mut rng(31)).public(),
            admission,
            roster_quorum: 3,
            created: NOW,
        };
        let organisations: Vec<_> = founders.iter().collect();
        let founding = FoundingDocument::found(federation, &organisations).unwrap();
        let federation = founding.verify().unwrap();
        Self {
            founders,
            admitted,
            stewards,
            aggregator,
            founding,
            federation,
        }
    }

    /// The organisations in roster order: founders, then those let in.
    pub fn organisations(&self) -> Vec<&Organisation> {
        self.founders.iter().chain(&self.admitted).collect()
    }

    pub fn roster(&self) -> Roster {
        let stewards = self
            .organisations()
            .into_iter()
            .zip(self.stewards.iter().zip(100..))
            .map(|(org, (steward, seed))| RosterEntry {
                org: org.id(),
                steward: steward.public(),
                vrf: vrf(seed),
            });
        Roster {
            federation: self.federation.digest(),
            epoch: 1,
            threshold: Threshold::new(6, 1).unwrap(),
            stewards: stewards.collect(),
            created: NOW,
        }
    }

    pub fn signatures(&self, roster: &Roster) -> Vec<RosterSignature> {
        let organisations = self.organisations();
        organisations
            .iter()
            .map(|org| roster.sign(org.root()))
            .collect()
    }

    /// The members when those that come in by themselves have registered.
    pub fn members(&self) -> Members {
        let mut members = Members::founders_of(&self.federation);
        let by_themselves = |org: &&Organisation| !members.needs_approval(&org.id());
        let admitted: Vec<_> = self.admitted.iter().filter(by_themselves).collect();
        for org in admitted {
            let registration = org.register(&self.federation.digest(), NOW).unwrap();
            members.push(registration.bytes()).unwrap();
        }
        members
    }

    pub fn signed_roster(&self) -> SignedRoster {
        let roster = self.roster();
        let signatures = self.signatures(&roster);
        SignedRoster::assemble(roster, signatures).unwrap()
    }
}

/// Every single-bit change of every byte, every byte inverted, every truncation, and some appended
/// bytes: `accepts` must refuse them all.
pub fn refuse_every_change(bytes: &[u8], accepts: impl Fn(&[u8]) -> bool) {
    assert!(accepts(bytes), "the unchanged bytes must be accepted");
    let mut changed = bytes.to_vec();
    for at in 0..bytes.len() {
        for mask in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
            changed[at] ^= mask;
            assert!(!accepts(&changed), "byte {at} changed by {mask:#04x}");
            changed[at] = bytes[at];
        }
        assert!(!accepts(&bytes[..at]), "truncated to {at} bytes");
        let mut without = bytes.to_vec();
        without.remove(at);
        assert!(!accepts(&without), "byte {at} left out");
    }
    for extra in [0x00, 0xff, 0xf6, 0x80] {
        let mut longer = bytes.to_vec();
        longer.push(extra);
        assert!(!accepts(&longer), "{extra:#04x} appended");
    }
}
