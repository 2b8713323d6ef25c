//! A federation with one device in a round of one task: what measurements of whole steps need. Everything in it goes
//! through the protocol's own checks.

use dawn_crypto::params::Sigma;
use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::Threshold;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{
    Admission, CredentialChain, Federation, FoundingDocument, Organisation, Roster, RosterEntry,
    SecretKey, Signed, SignedRoster, Validity,
};
use dawn_learn::{ModelSpec, Quantiser, TrainSpec};
use dawn_protocol::digests::model_digest;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    Closed, Deadlines, Endorsement, PROTOCOL_VERSION, Policy, PrivacyPlan, RoundChallenged,
    RoundOpen, SealingKey, Task, TaskContext,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// When everything happens, unix seconds.
const NOW: u64 = 1_800_000_000;

/// Any step of setting it up that fails.
pub type SceneError = Box<dyn std::error::Error + Send + Sync>;

/// Everybody, in a round that devices may submit to.
pub struct Scene {
    /// The round.
    pub open: RoundOpen,
    /// The device's credential.
    pub chain: CredentialChain,
    /// The device's key.
    pub device: SecretKey,
    /// The stewards' secret sealing keys, by point - 1.
    pub sealing: Vec<SealingSecretKey>,
    /// What is random in it.
    pub rng: ChaCha20Rng,
    stewards: Vec<(SecretKey, VrfSecretKey)>,
    aggregator: SecretKey,
}

/// The model with `dim` parameters, or with the next number below that a model has.
fn model(dim: usize) -> Result<ModelSpec, SceneError> {
    let classes = dim.div_ceil((1 << 16) + 1).max(2);
    Ok(ModelSpec::Logistic {
        inputs: u32::try_from((dim / classes).saturating_sub(1))?,
        classes: u32::try_from(classes)?,
    })
}

impl Scene {
    /// A round of vectors with `dim` coordinates, or the next number below that a model has, with so many stewards
    /// and rows of the norm proof.
    ///
    /// # Errors
    /// When there is no such task.
    pub fn new(dim: usize, stewards: u8, rows: u16) -> Result<Self, SceneError> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let validity = Validity::starting(NOW - 1000, 1_000_000);
        let organisations = (0..stewards)
            .map(|i| Organisation::generate(&format!("Organisation {i}"), validity, &mut rng))
            .collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<(SecretKey, VrfSecretKey)> = (0..stewards)
            .map(|_| {
                (
                    SecretKey::generate(&mut rng),
                    VrfSecretKey::generate(&mut rng),
                )
            })
            .collect();
        let aggregator = SecretKey::generate(&mut rng);
        let founders: Vec<&Organisation> = organisations.iter().collect();
        let federation = Federation {
            name: "Measured".into(),
            founders: founders.iter().map(|org| org.founder_entry()).collect(),
            aggregator: aggregator.public(),
            log: SecretKey::generate(&mut rng).public(),
            admission: Admission::Open,
            roster_quorum: u16::from(stewards),
            created: NOW,
        };
        let federation = FoundingDocument::found(federation, &founders)?.verify()?;
        let malicious = (0..stewards)
            .rev()
            .find(|f| Threshold::new(stewards, *f).is_ok_and(|th| th.a() < stewards));
        let roster = Roster {
            federation: federation.digest(),
            epoch: 1,
            threshold: Threshold::new(stewards, malicious.unwrap_or(0))?,
            stewards: (organisations.iter().zip(&keys))
                .map(|(org, (steward, vrf))| RosterEntry {
                    org: org.id(),
                    steward: steward.public(),
                    vrf: vrf.public().clone(),
                })
                .collect(),
            created: NOW,
        };
        let signatures = founders.iter().map(|org| roster.sign(org.root())).collect();
        let roster = SignedRoster::assemble(roster, signatures)?;
        let owner = &organisations[0];
        let task = Task {
            version: PROTOCOL_VERSION,
            name: "measured".into(),
            owner: owner.id(),
            issuer: owner.certificate().clone(),
            federation: federation.digest(),
            roster: roster.peek().digest(),
            model: model(dim)?,
            initial_seed: [7; 32],
            train: TrainSpec {
                epochs: 1,
                batch: 8,
                learning_rate: 1 << 14,
                momentum: 0,
                dropout: None,
                rounding: None,
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
                min_organisations: 1,
                max_org_share_permille: 1000,
                max_submissions: 100,
                target_submissions: 100,
            },
            deadlines: Deadlines {
                keying_ms: 1000,
                endorsing_ms: 1000,
                collecting_ms: 1000,
                challenging_ms: 1000,
                reporting_ms: 1000,
                opening_ms: 1000,
                grace_ms: 100,
            },
            privacy: PrivacyPlan {
                budget_micro_rho: None,
                delta_exponent: 6,
            },
            data_source: "none".into(),
            created: NOW,
            projections: rows,
            options: Default::default(),
        };
        let task = Signed::sign(&task, owner.issuer())?;
        let mut members = dawn_identity::Members::founders_of(&federation);
        members.push(owner.post_roster(&roster, NOW)?.bytes())?;
        let task = TaskContext::verify(&federation, &members, &task)?;
        let round = task.round(1);
        let mut sealing = Vec::new();
        let mut published = Vec::new();
        for (point, (steward, _)) in (1..=stewards).zip(&keys) {
            let secret = SealingSecretKey::generate(&mut rng);
            let statement = SealingKey {
                round,
                steward: task.steward_id(point).ok_or("no such steward")?,
                key: secret.public(),
            };
            published.push((point, Signed::sign(&statement, steward)?));
            sealing.push(secret);
        }
        let first = model_digest(&task.initial_model()?.to_bytes());
        let spec = task
            .draft_spec(1, None, first, &published, NOW * 1000)
            .map_err(|reason| reason.to_string())?;
        let context = task.verify_spec(&Signed::sign(&spec, &aggregator)?)?;
        let mut endorsements = Vec::new();
        for (point, (steward, _)) in (1..=stewards).zip(&keys) {
            let statement = Endorsement {
                round,
                session: context.session(),
                steward: task.steward_id(point).ok_or("no such steward")?,
            };
            endorsements.push(Signed::sign(&statement, steward)?);
        }
        let device = SecretKey::generate(&mut rng);
        let chain = owner.issue_device(&device.public(), "device", validity)?;
        Ok(Self {
            open: RoundOpen::new(context, &endorsements)?,
            chain,
            device,
            sealing,
            rng,
            stewards: keys,
            aggregator,
        })
    }

    /// The device's message with this update.
    ///
    /// # Errors
    /// When the update does not fit the round.
    pub fn prepare(&mut self, update: &[i32]) -> Result<PreparedSubmission, SceneError> {
        let (open, rng) = (&self.open, &mut self.rng);
        Ok(PreparedSubmission::new(
            open,
            &self.chain,
            &self.device,
            update,
            rng,
        )?)
    }

    /// The round with this submission alone, closed and challenged.
    ///
    /// # Errors
    /// When the submission does not count.
    pub fn challenged(
        &self,
        submission: &PreparedSubmission,
    ) -> Result<RoundChallenged, SceneError> {
        let open = &self.open;
        let mut roll = Roll::new();
        roll.push(open, open.verified_with(), submission.header.bytes())?
            .ok_or("the header does not verify")?;
        let closed = Closed {
            round: open.round_id(),
            session: open.session(),
            root: roll.root(),
            count: 1,
            closed_ms: open.submissions_close_ms(),
            register: open.spec().register,
        };
        let round = open
            .clone()
            .close(&Signed::sign(&closed, &self.aggregator)?, roll)?;
        let mut parts = Vec::new();
        for (point, (steward, vrf)) in (1u8..).zip(&self.stewards) {
            let id = open.steward_id(point).ok_or("no such steward")?;
            parts.push(Signed::sign(&round.beacon_share(vrf, id), steward)?);
        }
        let challenge = round.challenge(&parts)?;
        Ok(round.challenged(&Signed::sign(&challenge, &self.aggregator)?)?)
    }
}
