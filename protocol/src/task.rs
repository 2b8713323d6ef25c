//! A task: what the members agree to compute together (`docs/protocol.md`, section 4.1).

use dawn_crypto::digest::Digest;
use dawn_crypto::norm::{NormError, NormParams, Rows};
use dawn_crypto::params::{Dimension, MAX_STEWARDS, ParameterError, Q, Sigma};
use dawn_identity::{
    BrokenRule, IssuerCertificate, OrgId, Signed, Statement, TaskId, to_canonical,
};
use dawn_learn::way::dimension;
use dawn_learn::{ModelSpec, Quantiser, RoundWay, TrainSpec, WayError};
use minicbor::{Decode, Encode};

use crate::author::ProofParams;
use crate::dp;
use crate::task_options::TaskOptions;
use crate::task_rules;

/// What is trained, by whom, how often, under which policy and at which privacy. Signed by the
/// issuer key of the owner. Everything that can be refused about it is refused when it is read.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Task {
    /// [`crate::PROTOCOL_VERSION`].
    #[n(0)]
    pub version: u16,
    /// A name for people.
    #[n(1)]
    pub name: String,
    /// The organisation that asks.
    #[n(2)]
    pub owner: OrgId,
    /// The owner's issuer certificate, whose key signs the task.
    #[n(3)]
    pub issuer: Signed<IssuerCertificate>,
    /// Digest of the founding document.
    #[n(4)]
    pub federation: Digest,
    /// Digest of the roster whose stewards open.
    #[n(5)]
    pub roster: Digest,
    /// The model's shape.
    #[n(6)]
    pub model: ModelSpec,
    /// Seed of the initial weights.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub initial_seed: [u8; 32],
    /// How devices train.
    #[n(8)]
    pub train: TrainSpec,
    /// How an update becomes integers, with the clip bound C.
    #[n(9)]
    pub quantiser: Quantiser,
    /// Standard deviation of the error that every device adds; at least
    /// [`Sigma::ERROR_MIN`], larger when the privacy plan asks.
    #[n(10)]
    pub sigma_error: Sigma,
    /// Number of rounds; they are numbered 1 to this.
    #[n(11)]
    pub rounds: u32,
    /// Which sets of submissions may be opened.
    #[n(12)]
    pub policy: Policy,
    /// How long each phase lasts.
    #[n(13)]
    pub deadlines: Deadlines,
    /// How much privacy may be spent.
    #[n(14)]
    pub privacy: PrivacyPlan,
    /// Which data the devices train on: tasks with the same name share a budget at the stewards.
    #[n(15)]
    pub data_source: String,
    /// Unix seconds.
    #[n(16)]
    pub created: u64,
    /// Rows of the norm proof ([`Rows`]): 256, or 512 for a tighter bound; 128 for tests.
    #[n(17)]
    pub projections: u16,
    /// What the task asks for beyond that.
    #[cbor(n(18), with = "crate::task_options::codec", has_nil)]
    pub options: TaskOptions,
}

/// Which sets of submissions may be opened (`docs/protocol.md`, section 4.6). Every steward checks
/// it before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Policy {
    /// Fewest accepted submissions.
    #[n(0)]
    pub min_accepted: u32,
    /// How many of the accepted are counted on to be honest: what the accountant divides by. At
    /// least 2, which the estimate of the masks' strength counts on.
    #[n(1)]
    pub min_honest: u32,
    /// Fewest organisations among the accepted.
    #[n(2)]
    pub min_organisations: u16,
    /// Largest share of one organisation among the accepted, in thousandths.
    #[n(3)]
    pub max_org_share_permille: u16,
    /// Most submissions of a round.
    #[n(4)]
    pub max_submissions: u32,
    /// Collecting ends early at this number.
    #[n(5)]
    pub target_submissions: u32,
}

/// How long each phase of a round lasts, in milliseconds, each from the end of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Deadlines {
    /// Stewards publish sealing keys.
    #[n(0)]
    pub keying_ms: u32,
    /// Stewards endorse the specification.
    #[n(1)]
    pub endorsing_ms: u32,
    /// Devices submit.
    #[n(2)]
    pub collecting_ms: u32,
    /// Stewards give their parts of the beacon.
    #[n(3)]
    pub challenging_ms: u32,
    /// Stewards report on their packages.
    #[n(4)]
    pub reporting_ms: u32,
    /// Stewards answer.
    #[n(5)]
    pub opening_ms: u32,
    /// How much longer a phase waits for further stewards when A have answered.
    #[n(6)]
    pub grace_ms: u32,
}

/// How much privacy a task may spend (`docs/protocol.md`, section 4.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PrivacyPlan {
    /// Largest sum of the charges of all opened rounds, in micro-rho. None: no limit and no claim.
    #[n(0)]
    pub budget_micro_rho: Option<u64>,
    /// The delta that epsilon is stated at: `10^-k`, k between 1 and 30.
    #[n(1)]
    pub delta_exponent: u8,
}

impl Task {
    /// The task's identifier, which does not depend on the signature.
    pub fn id(&self) -> TaskId {
        TaskId::of(&to_canonical(self))
    }

    /// The dimension of what a device sends: the number of the model's parameters, or what the task's way of learning sends of
    /// them, and three coordinates more when the task asks for evaluations.
    ///
    /// # Errors
    /// [`ParameterError`]; never for a task that [`Statement::check`] accepts.
    pub fn dimension(&self) -> Result<Dimension, ParameterError> {
        // A way that does not fit its model sends nothing, which is no dimension.
        let update = dimension(&self.model, self.options.way.as_ref()).unwrap_or(0);
        let evaluation = self.evaluation_coordinates();
        Dimension::new(if update == 0 { 0 } else { update + evaluation })
    }

    /// What a round of the task trains, sends and applies.
    ///
    /// # Errors
    /// [`WayError`]; never for a task that [`Statement::check`] accepts.
    pub fn round_way(&self, round: u32) -> Result<RoundWay, WayError> {
        let way = self.options.way.as_ref();
        RoundWay::new(&self.model, way, &self.initial_seed, round)
    }

    /// What each opened round costs at most, in micro-rho, whatever the roster: one honest steward's noise is counted, if
    /// stewards contribute any.
    ///
    /// # Errors
    /// [`dp::AccountingError`]; never for a task that [`Statement::check`] accepts.
    pub fn charge_micro_rho(&self) -> Result<u64, dp::AccountingError> {
        self.counted_noise(1).charge_micro_rho(self.quantiser.clip)
    }

    /// The noise that the accountant counts on when at least so many honest stewards contribute theirs
    /// ([`dp::honest_stewards`]).
    pub fn counted_noise(&self, honest_stewards: u32) -> dp::CountedNoise {
        dp::CountedNoise {
            min_honest: self.counted_honest(),
            sigma_error: self.sigma_error,
            stewards: self.options.noise.map(|noise| dp::CountedStewards {
                honest: honest_stewards,
                sigma: noise.sigma,
            }),
        }
    }

    /// How many honest devices' noise protects whatever is opened: of all accepted, or of a group when the task opens
    /// groups.
    pub fn counted_honest(&self) -> u32 {
        let groups = self.options.groups.as_ref();
        groups.map_or(self.policy.min_honest, |groups| groups.honest)
    }

    /// What the norm proofs of the task's submissions look like, with the task's functional, and how long a vector they let
    /// pass (`docs/protocol.md`, sections 4.3 and 4.5).
    ///
    /// # Errors
    /// [`NormError`]; never for a task that [`Statement::check`] accepts.
    pub fn norm_params(&self) -> Result<NormParams, NormError> {
        let rows = Rows::from_number(usize::from(self.projections))?;
        let dimension = self.dimension().map_err(|_| NormError::TooLarge)?;
        let clip = self.quantiser.clip;
        let norm = NormParams::derive(&dimension, u64::from(clip), self.sigma_error, rows)?;
        match self.options.functional {
            Some(functional) => functional.bound(norm, &dimension, self.update_quantiser().clip),
            None => Ok(norm),
        }
    }

    /// The same of everybody who submits: what is proven of a steward's noise is its length alone.
    ///
    /// # Errors
    /// [`NormError`]; never for a task that [`Statement::check`] accepts.
    pub fn proof_params(&self) -> Result<ProofParams, NormError> {
        let noise = self.options.noise.map(|noise| {
            let rows = Rows::from_number(usize::from(self.projections))?;
            let dimension = self.dimension().map_err(|_| NormError::TooLarge)?;
            NormParams::derive(&dimension, 0, noise.sigma, rows)
        });
        Ok(ProofParams {
            device: self.norm_params()?,
            noise: noise.transpose()?,
        })
    }

    /// How large a coordinate of a round's sum could be if every device, and 16 stewards that contribute noise, proved the
    /// most that passes: `max_submissions gamma B + 16 gamma B_s`. It is below `q/4` ([`Task::LARGEST_SUM`]), so that no sum wraps.
    ///
    /// # Errors
    /// As [`Task::proof_params`].
    pub fn largest_sum(&self) -> Result<u128, NormError> {
        let params = self.proof_params()?;
        let devices =
            u128::from(self.policy.max_submissions) * u128::from(params.device.max_norm());
        let noise = params.noise.map_or(0, |noise| u128::from(noise.max_norm()));
        Ok(devices + MAX_STEWARDS as u128 * noise)
    }

    /// What [`Task::largest_sum`] stays below: `q/4`.
    pub const LARGEST_SUM: u128 = (Q / 4) as u128;
}

impl Statement for Task {
    const KIND: &'static str = "task";
    const MAX_BYTES: usize = 4096;

    fn check(&self) -> Result<(), BrokenRule> {
        task_rules::check(self)
    }
}
