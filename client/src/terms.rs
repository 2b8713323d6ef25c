//! What the embedding app lets a task ask of its device.
//!
//! A task is signed by a member organisation, so a device that trusts the federation could take
//! any. The app usually knows better what its users agreed to; a task that asks for more is
//! refused at [`crate::Client::join`], before anything is trained.

use dawn_crypto::params::Sigma;
use dawn_identity::OrgId;
use dawn_protocol::Task;
use thiserror::Error;

/// Limits on the tasks that this device takes part in. The default accepts every valid task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Owners whose tasks are accepted; none: every member's.
    pub owners: Option<Vec<OrgId>>,
    /// The data source that the app feeds; none: any name.
    pub data_source: Option<String>,
    /// Most rounds of a task.
    pub max_rounds: Option<u32>,
    /// Largest clip bound, in units of an update.
    pub max_clip: Option<u32>,
    /// Largest clip bound in multiples of the noise that the device itself adds (`sigma_error`):
    /// how much one update can stand out of its own noise.
    pub max_clip_to_noise: Option<u32>,
    /// Least noise that the device adds to every coordinate.
    pub min_sigma_error: Option<Sigma>,
    /// Least number of honest devices that the task counts on in every sum that is opened: of a group, when it asks for
    /// sums over groups.
    pub min_honest: Option<u32>,
    /// Least number of organisations in every sum that is opened. Of a group nothing is known but that it has one.
    pub min_organisations: Option<u16>,
    /// Most privacy loss over the whole task, in micro-rho. A task without a budget is refused.
    pub max_budget_micro_rho: Option<u64>,
}

/// The first limit that a task exceeds.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TermsError {
    /// The task's owner is not one of those that the app accepts.
    #[error("tasks of organisation {0} are not accepted")]
    Owner(OrgId),
    /// The task asks for other data than the app feeds.
    #[error("the task asks for the data source {asked:?}, the app feeds {fed:?}")]
    DataSource {
        /// What the task asks for.
        asked: String,
        /// What the app feeds.
        fed: String,
    },
    /// A number of the task is outside the app's limit.
    #[error("the task's {what} is {asked}; the app's limit is {limit}")]
    Limit {
        /// Which number.
        what: &'static str,
        /// What the task says.
        asked: u64,
        /// What the app accepts at most, or at least.
        limit: u64,
    },
    /// The app wants a privacy budget and the task states none.
    #[error("the task states no privacy budget; the app accepts at most {0} micro-rho")]
    NoBudget(u64),
}

impl Terms {
    /// Compares a task with the limits.
    ///
    /// # Errors
    /// The first limit that the task exceeds.
    pub fn check(&self, task: &Task) -> Result<(), TermsError> {
        if let Some(owners) = &self.owners
            && !owners.contains(&task.owner)
        {
            return Err(TermsError::Owner(task.owner));
        }
        if let Some(fed) = &self.data_source
            && *fed != task.data_source
        {
            let asked = task.data_source.clone();
            return Err(TermsError::DataSource {
                asked,
                fed: fed.clone(),
            });
        }
        at_most(
            "number of rounds",
            task.rounds.into(),
            self.max_rounds.map(u64::from),
        )?;
        let clip = u64::from(task.quantiser.clip);
        at_most("clip bound", clip, self.max_clip.map(u64::from))?;
        let sigma = task.sigma_error.get();
        let clip_to_noise = (clip << Sigma::FRACTION_BITS).div_ceil(sigma.max(1));
        at_most(
            "clip bound relative to the noise",
            clip_to_noise,
            self.max_clip_to_noise.map(u64::from),
        )?;
        at_least(
            "noise (in units of 2^-16)",
            sigma,
            self.min_sigma_error.map(Sigma::get),
        )?;
        let policy = &task.policy;
        at_least(
            "number of honest devices",
            task.counted_honest().into(),
            self.min_honest.map(u64::from),
        )?;
        let organisations = match task.options.groups {
            Some(_) => 1,
            None => policy.min_organisations,
        };
        at_least(
            "number of organisations",
            organisations.into(),
            self.min_organisations.map(u64::from),
        )?;
        match (self.max_budget_micro_rho, task.privacy.budget_micro_rho) {
            (Some(limit), None) => Err(TermsError::NoBudget(limit)),
            (limit, Some(asked)) => at_most("privacy budget in micro-rho", asked, limit),
            (None, None) => Ok(()),
        }
    }
}

fn at_most(what: &'static str, asked: u64, limit: Option<u64>) -> Result<(), TermsError> {
    match limit {
        Some(limit) if asked > limit => Err(TermsError::Limit { what, asked, limit }),
        _ => Ok(()),
    }
}

fn at_least(what: &'static str, asked: u64, limit: Option<u64>) -> Result<(), TermsError> {
    match limit {
        Some(limit) if asked < limit => Err(TermsError::Limit { what, asked, limit }),
        _ => Ok(()),
    }
}
