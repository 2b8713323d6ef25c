//! Everything that is refused about a task, at once and by everybody
//! (`docs/protocol.md`, section 4.1).

use dawn_crypto::norm::NormError;
use dawn_crypto::params::{MAX_DIM, MAX_STEWARDS, Parameters};
use dawn_identity::BrokenRule;
use dawn_identity::rule::check_name;
use dawn_learn::{Way, WayError};

use crate::PROTOCOL_VERSION;
use crate::functional::Functional;
use crate::statements::MAX_SUBMISSIONS;
use crate::task::{Deadlines, Policy, PrivacyPlan, Task};

/// Most rounds of a task.
pub const MAX_ROUNDS: u32 = 100_000;

/// Longest phase: 30 days.
pub const MAX_PHASE_MS: u32 = 30 * 24 * 60 * 60 * 1000;

/// The first rule that a task breaks.
pub(crate) fn check(task: &Task) -> Result<(), BrokenRule> {
    BrokenRule::unless(
        task.version == PROTOCOL_VERSION,
        "a task is of protocol version 1",
    )?;
    check_name(
        &task.name,
        "a task's name has between 1 and 64 printable bytes",
    )?;
    check_name(
        &task.data_source,
        "a task's data source has between 1 and 64 printable bytes",
    )?;
    BrokenRule::unless(
        task.issuer.peek().org == task.owner,
        "a task carries the issuer certificate of its owner",
    )?;
    check_model(task)?;
    BrokenRule::unless(
        (1..=MAX_ROUNDS).contains(&task.rounds),
        "a task has between 1 and 100,000 rounds",
    )?;
    check_policy(&task.policy)?;
    check_deadlines(&task.deadlines)?;
    check_privacy(&task.privacy)?;
    check_noise(task)?;
    check_sums(task)?;
    check_options(task)
}

fn check_model(task: &Task) -> Result<(), BrokenRule> {
    let broken = |rule| move |_| BrokenRule(rule);
    task.model
        .check()
        .map_err(|_| BrokenRule("a task's model is within the bounds of models"))?;
    let most = MAX_DIM - task.evaluation_coordinates();
    BrokenRule::unless(
        (1..=most).contains(&task.model.parameters()),
        "a task's model has between 1 and 2^24 parameters, with those of an evaluation",
    )?;
    task.train
        .check()
        .map_err(|_| BrokenRule("a task's training is within the bounds of training"))?;
    if let Some(evaluation) = &task.options.evaluation {
        evaluation.check(task.quantiser.clip)?;
    }
    if let Some(way) = &task.options.way {
        way.check(&task.model, &task.train).map_err(broken_way)?;
    }
    task.quantiser
        .check()
        .map_err(|_| BrokenRule("a task's quantiser is within the bounds of quantisers"))?;
    Parameters::with_error(task.sigma_error)
        .map(|_| ())
        .map_err(broken("a task's error deviation is at least 4.5 sqrt 2"))
}

fn broken_way(error: WayError) -> BrokenRule {
    BrokenRule(match error {
        WayError::Mu(_) => "the weight of a proximal term is above 0 and at most 16",
        WayError::Pull => {
            "the learning rate times the weight of a proximal term is at least 2^-24 and at most 1"
        }
        WayError::Layers { .. } => "a low-rank task has one rank for each layer of its model",
        WayError::Rank { .. } => "the rank of an adapter is below the inputs of its layer",
        WayError::Adapters { .. } => {
            "the adapters of a low-rank task have no more fixed numbers than its model has parameters"
        }
        WayError::Ranks => {
            "a low-rank task trains something, and at least one layer by an adapter or not at all"
        }
        WayError::Head { .. } => {
            "a personal head has at least one layer, and leaves at least one to be shared"
        }
        WayError::Convolution(_) => "only dense layers of a low-rank task have an adapter",
        WayError::Samples { .. } => {
            "a distillation has at least one public sample, at most 2^24 outputs and a public set of at most 4 MiB"
        }
        WayError::Student(_) => "the training of a distillation's student is within its bounds",
        WayError::Work(_) => {
            "the student of a distillation takes at most 2^36 multiplications a round"
        }
        WayError::Unreadable(_) => "a task's way of learning is one that there is",
    })
}

fn check_policy(policy: &Policy) -> Result<(), BrokenRule> {
    BrokenRule::unless(
        policy.min_honest >= 2,
        "a policy counts on at least 2 honest devices",
    )?;
    BrokenRule::unless(
        policy.min_honest <= policy.min_accepted
            && policy.min_accepted <= policy.target_submissions
            && policy.target_submissions <= policy.max_submissions
            && policy.max_submissions <= MAX_SUBMISSIONS,
        "min_honest <= min_accepted <= target_submissions <= max_submissions <= 50,000",
    )?;
    BrokenRule::unless(
        policy.min_organisations >= 1 && u32::from(policy.min_organisations) <= policy.min_accepted,
        "a policy asks for between 1 and min_accepted organisations",
    )?;
    // With k organisations the largest has at least 1/k: less could never be met by k equal ones.
    let share = u32::from(policy.max_org_share_permille);
    BrokenRule::unless(
        (1..=1000).contains(&share),
        "an organisation's largest share is between 1 and 1000 thousandths",
    )
}

fn check_deadlines(deadlines: &Deadlines) -> Result<(), BrokenRule> {
    let phases = [
        deadlines.keying_ms,
        deadlines.endorsing_ms,
        deadlines.collecting_ms,
        deadlines.challenging_ms,
        deadlines.reporting_ms,
        deadlines.opening_ms,
    ];
    BrokenRule::unless(
        phases.iter().all(|ms| (1..=MAX_PHASE_MS).contains(ms)),
        "every phase lasts between 1 ms and 30 days",
    )?;
    BrokenRule::unless(
        deadlines.grace_ms <= MAX_PHASE_MS,
        "the grace is at most 30 days",
    )
}

fn check_privacy(privacy: &PrivacyPlan) -> Result<(), BrokenRule> {
    BrokenRule::unless(
        (1..=30).contains(&privacy.delta_exponent),
        "delta is 10^-k with k between 1 and 30",
    )
}

/// Noise of stewards fits the proofs and the list, with as many stewards as a roster can have.
fn check_noise(task: &Task) -> Result<(), BrokenRule> {
    let Some(noise) = task.options.noise else {
        return Ok(());
    };
    noise.check()?;
    let candidates = MAX_STEWARDS as u32 * u32::from(noise.candidates);
    BrokenRule::unless(
        task.policy.max_submissions + candidates <= MAX_SUBMISSIONS,
        "the submissions of devices and of 16 stewards are at most 50,000",
    )
}

fn check_options(task: &Task) -> Result<(), BrokenRule> {
    if let Some(selection) = &task.options.selection {
        selection.check()?;
    }
    BrokenRule::unless(
        (task.options.quota).is_none_or(|quota| (1..=task.policy.max_submissions).contains(&quota)),
        "the quota of an organisation is between 1 and the most submissions of a round",
    )?;
    BrokenRule::unless(
        (task.options.way.is_none() && task.options.evaluation.is_none())
            || task.options.functional != Some(Functional::Counts),
        "a task asks for counts, or for another way of learning or evaluations: counts are of whole updates",
    )?;
    let way = task.options.way.as_ref();
    BrokenRule::unless(
        !matches!(way, Some(Way::Distillation { .. })) || task.options.functional.is_none(),
        "a task asks for a functional or distils: the answers to public samples have no direction",
    )?;
    if let Some(groups) = &task.options.groups {
        let padded = task.dimension().map_or(usize::MAX, |d| d.padded());
        groups.check(&task.policy, padded)?;
        BrokenRule::unless(
            task.options.noise.is_none(),
            "a task asks for noise of stewards or for groups: a steward's noise would be in one group alone",
        )?;
    }
    Ok(())
}

/// Sums never wrap and the ledger never overflows, whatever happens in the rounds.
fn check_sums(task: &Task) -> Result<(), BrokenRule> {
    let largest = task.largest_sum().map_err(|error| {
        BrokenRule(match error {
            NormError::Functional { .. } => {
                "the row of a functional fits the field of the proofs and is not too short to say something"
            }
            NormError::Slack => {
                "the clip bound leaves room for the noise and the rounding of a functional"
            }
            _ => "a norm proof has 128, 256 or 512 projections, which fit the field of the proofs",
        })
    })?;
    BrokenRule::unless(
        largest < Task::LARGEST_SUM,
        "max_submissions times the norm that proofs let pass, with the noise of 16 stewards, is less than q/4, so that no sum wraps",
    )?;
    let charge = task
        .charge_micro_rho()
        .map_err(|_| BrokenRule("the charge of a round fits 63 bits of micro-rho"))?;
    BrokenRule::unless(
        charge
            .checked_mul(u64::from(task.rounds))
            .is_some_and(|total| total <= i64::MAX as u64),
        "the charge of all rounds fits 63 bits of micro-rho",
    )
}
