//! Everything that a device does for its one message: key, noise, mask, digest, shares, proof of their consistency,
//! sealing to six stewards, signature. Beside it, in turns, masking alone.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dawn_crypto::backend::{self, BackendKind};
use dawn_crypto::digest::Digest;
use dawn_crypto::params::Sigma;
use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::Threshold;
use dawn_identity::{
    Admission, CredentialChain, Federation, FoundingDocument, Organisation, Roster, RosterEntry,
    SecretKey, Signed, SignedRoster, Validity,
};
use dawn_learn::{ModelSpec, Quantiser, TrainSpec};
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::{
    Deadlines, Endorsement, PROTOCOL_VERSION, Policy, PrivacyPlan, RoundOpen, SealingKey, Task,
    TaskContext, digests,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde::Serialize;

use crate::core::{BenchError, Operation, Subject, median};

/// Stewards, and how many of them may be malicious.
const STEWARDS: (u8, u8) = (6, 1);
/// Unix seconds.
const NOW: u64 = 1_800_000_000;

/// A device in front of an open round, with its update.
pub struct Device {
    round: RoundOpen,
    chain: CredentialChain,
    key: SecretKey,
    update: Vec<i32>,
    rng: ChaCha20Rng,
}

impl Device {
    /// A round whose model has `dim` parameters, or the next number below that is that of a model.
    ///
    /// # Panics
    /// For fewer than 4 coordinates, or more than 2^24.
    pub fn new(dim: usize) -> Device {
        const WHY: &str = "everything here is of our own making";
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let validity = Validity::starting(NOW - 1000, 1_000_000);
        let (m, f) = STEWARDS;
        let organisations: Vec<Organisation> = (0..m)
            .map(|i| Organisation::generate(&format!("Org {i}"), validity, &mut rng).expect(WHY))
            .collect();
        let stewards: Vec<SecretKey> = (0..m).map(|_| SecretKey::generate(&mut rng)).collect();
        let aggregator = SecretKey::generate(&mut rng);
        let federation = Federation {
            name: "Measurement".to_owned(),
            founders: organisations.iter().map(|o| o.founder_entry()).collect(),
            aggregator: aggregator.public(),
            log: SecretKey::generate(&mut rng).public(),
            admission: Admission::Open,
            roster_quorum: u16::from(m),
            created: NOW,
        };
        let founders: Vec<&Organisation> = organisations.iter().collect();
        let federation = FoundingDocument::found(federation, &founders)
            .and_then(|document| document.verify())
            .expect(WHY);
        let members = organisations.iter().zip(&stewards);
        let roster = Roster {
            federation: federation.digest(),
            epoch: 1,
            threshold: Threshold::new(m, f).expect(WHY),
            stewards: members
                .map(|(org, key)| RosterEntry {
                    org: org.id(),
                    steward: key.public(),
                })
                .collect(),
            created: NOW,
        };
        let signed = organisations.iter().map(|o| roster.sign(o.root()));
        let signatures = signed.collect();
        let roster = SignedRoster::assemble(roster, signatures).expect(WHY);
        let owner = &organisations[0];
        let task = task(dim, owner, federation.digest(), roster.peek().digest());
        let task = Signed::sign(&task, owner.issuer()).expect(WHY);
        let context = TaskContext::verify(&federation, &[], &roster, &task).expect(WHY);
        let round = announced(&context, &stewards, &aggregator, &mut rng);

        let key = SecretKey::generate(&mut rng);
        let chain = owner
            .issue_device(&key.public(), "device", validity)
            .expect(WHY);
        let update = (0..round.dimension().coordinates())
            .map(|_| (rng.next_u32() % 3) as i32 - 1)
            .collect();
        Device {
            round,
            chain,
            key,
            update,
            rng,
        }
    }

    /// Coordinates of the model.
    pub fn dim(&self) -> usize {
        self.update.len()
    }

    /// One submission, as the bytes that are sent.
    pub fn prepare(&mut self) -> Vec<u8> {
        let (round, rng) = (&self.round, &mut self.rng);
        PreparedSubmission::new(round, &self.chain, &self.key, &self.update, rng)
            .expect("the update fits the task")
            .into_bytes()
    }
}

fn task(dim: usize, owner: &Organisation, federation: Digest, roster: Digest) -> Task {
    let classes = dim.div_ceil((1 << 16) + 1).max(2);
    let inputs = dim / classes - 1;
    let narrow = |n: usize| u32::try_from(n).expect("at most 2^24");
    Task {
        version: PROTOCOL_VERSION,
        name: "Measurement".to_owned(),
        owner: owner.id(),
        issuer: owner.certificate().clone(),
        federation,
        roster,
        model: ModelSpec::Logistic {
            inputs: narrow(inputs),
            classes: narrow(classes),
        },
        initial_seed: [7; 32],
        train: TrainSpec {
            epochs: 1,
            batch: 8,
            learning_rate: 1 << 14,
            momentum: 0,
        },
        quantiser: Quantiser {
            update_shift: 10,
            clip: 1 << 13,
        },
        sigma_error: Sigma::ERROR_MIN,
        rounds: 1,
        policy: Policy {
            min_accepted: 2,
            min_honest: 2,
            min_organisations: 2,
            max_org_share_permille: 500,
            max_submissions: 100,
            target_submissions: 100,
        },
        deadlines: Deadlines {
            keying_ms: 1000,
            endorsing_ms: 1000,
            collecting_ms: 1000,
            reporting_ms: 1000,
            opening_ms: 1000,
            grace_ms: 100,
        },
        privacy: PrivacyPlan {
            budget_micro_rho: None,
            delta_exponent: 6,
        },
        data_source: "nothing".to_owned(),
        created: NOW,
    }
}

fn announced(
    context: &TaskContext,
    stewards: &[SecretKey],
    aggregator: &SecretKey,
    rng: &mut ChaCha20Rng,
) -> RoundOpen {
    const WHY: &str = "everything here is of our own making";
    let round = context.round(1);
    let points = || (1u8..).zip(stewards);
    let id = |point: u8| context.steward_id(point).expect(WHY);
    let keys: Vec<_> = points()
        .map(|(point, secret)| {
            let statement = SealingKey {
                round,
                steward: id(point),
                key: SealingSecretKey::generate(rng).public(),
            };
            (point, Signed::sign(&statement, secret).expect(WHY))
        })
        .collect();
    let model = digests::model_digest(&context.initial_model().expect(WHY).to_bytes());
    let spec = context
        .draft_spec(1, None, model, &keys, NOW * 1000)
        .expect(WHY);
    let spec = Signed::sign(&spec, aggregator).expect(WHY);
    let context = context.verify_spec(&spec).expect(WHY);
    let endorsements: Vec<_> = points()
        .map(|(point, secret)| {
            let statement = Endorsement {
                round,
                session: context.session(),
                steward: id(point),
            };
            Signed::sign(&statement, secret).expect(WHY)
        })
        .collect();
    RoundOpen::new(context, &endorsements).expect(WHY)
}

/// A measurement: medians, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Prepared {
    /// Coordinates, d.
    pub dim: usize,
    /// The backend that computed.
    pub backend: &'static str,
    /// Stewards that the key is shared among.
    pub stewards: u8,
    /// Bytes of the submission.
    pub bytes: usize,
    /// Preparing one submission.
    pub ms: f64,
    /// [`Operation::Mask`] alone.
    pub mask_ms: f64,
    /// The one over the other.
    pub ratio: f64,
}

/// Measures a device with `dim` coordinates, on `backend` or the one of the process.
///
/// # Errors
/// [`BenchError`].
pub fn measure(dim: usize, backend: Option<BackendKind>) -> Result<Prepared, BenchError> {
    // The smallest model of a task has four parameters.
    let dim = dim.max(4);
    let kind = match backend {
        Some(kind) => kind,
        None => backend::choose().map_err(BenchError::Backend)?,
    };
    let mut subject = Subject::new(dim)?;
    let here = || {
        let mut device = Device::new(dim);
        let (mut all, mut mask) = (Vec::new(), Vec::new());
        let bytes = device.prepare().len();
        let began = Instant::now();
        while all.len() < 7 || (all.len() < 200 && began.elapsed() < Duration::from_secs(3)) {
            let started = Instant::now();
            black_box(device.prepare());
            all.push(started.elapsed().as_secs_f64() * 1e3);
            let started = Instant::now();
            subject.run(Operation::Mask);
            mask.push(started.elapsed().as_secs_f64() * 1e3);
        }
        let (ms, mask_ms) = (median(all), median(mask));
        Prepared {
            dim: device.dim(),
            backend: backend::current().name(),
            stewards: STEWARDS.0,
            bytes,
            ms,
            mask_ms,
            ratio: ms / mask_ms,
        }
    };
    backend::with(kind, here).map_err(BenchError::Backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submissions_of_the_asked_for_size_are_prepared() {
        for (dim, of_a_model) in [(0, 4), (5, 4), (5000, 5000)] {
            let got = measure(dim, Some(BackendKind::Portable)).expect("measures");
            assert_eq!((got.dim, got.backend), (of_a_model, "portable"));
            assert!(got.ms > 0.0 && got.mask_ms > 0.0);
            assert!(got.bytes > 4 * 2048 * (of_a_model.div_ceil(2048) + 1));
        }
        assert!(measure((1 << 24) + 1, None).is_err());
    }
}
