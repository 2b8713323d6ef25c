//! A19: a round is aborted only for a reason that holds. An aggregator that could abort at will could
//! throw away the sums that it does not like.

use dawn_identity::Signed;
use dawn_protocol::phase::JudgeError;
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    AbortReason, Aborted, Judged, Opening, PackageReport, RoundChallenged, RoundClosed,
    RoundContext, RoundId, RoundOpen, TaskContext, Terminal,
};

use crate::blame;
use crate::chain::Chain;
use crate::examination::Examination;
use crate::finding::{Finding, Party};
use crate::opening::Sums;
use crate::preamble::Preamble;
use crate::round::Told;
use crate::rule::AuditRule;

/// A round that ended before its specification still follows the round before.
pub(crate) fn check_unspecified(
    preamble: &Preamble,
    chain: &Chain,
    round: &RoundId,
) -> Result<(), Finding> {
    let known = chain.continues(preamble, round)?;
    let task = &preamble.context;
    let of = |violation| Finding::of(AuditRule::Model, violation);
    let expected = match &preamble.previous {
        Some(terminal) => {
            task.verify_leaves(terminal, known).map_err(of)?;
            terminal.model()
        }
        None => task.initial_model_digest().map_err(of)?,
    };
    Finding::unless(
        expected == preamble.model_digest,
        AuditRule::Model,
        Party::Provider,
        "the model is not the one that the rounds before left",
    )?;
    Finding::unless(
        preamble.direction.is_none(),
        AuditRule::Model,
        Party::Provider,
        "there is a model of a direction that is not asked for",
    )
}

/// What an abort leaves is what it found: the same end of the round before, and the same model.
/// The aggregator signed it, and for what it is compared with too.
pub(crate) fn check_left(preamble: &Preamble, aborted: &Signed<Aborted>) -> Result<(), Finding> {
    let body = aborted.peek();
    Finding::unless(
        body.previous == preamble.previous.as_ref().map(Terminal::digest),
        AuditRule::Continuity,
        Party::Aggregator,
        "the abort names another end of the round before",
    )?;
    Finding::unless(
        body.start() == preamble.start(),
        AuditRule::Model,
        Party::Aggregator,
        "the abort changes the model, the direction, or what devices are drawn from",
    )
}

/// A round that ended without a specification, or with one that too few endorsed.
pub(crate) fn check_early(
    chain: &mut Chain,
    preamble: &Preamble,
    context: Option<&RoundContext>,
    told: &Told,
    aborted: &Signed<Aborted>,
    specified: bool,
) -> Result<(), Finding> {
    let task = &preamble.context;
    match context {
        Some(context) => blame::aborted(context, &told.members, aborted)?,
        // Without a specification it is under whatever key the aggregator had then.
        None => blame::by_aggregator_ever(task, AuditRule::Abort, aborted)?,
    }
    let body = aborted.peek();
    match (context, &body.session) {
        (Some(context), Some(session)) => {
            blame::aggregator_about(context, AuditRule::Abort, &body.round, session)?;
        }
        (None, None) => {}
        _ => {
            return Err(aggregator(
                "the abort names a session without a specification, or none",
            ));
        }
    }
    match body.reason {
        AbortReason::TooFewEndorsements | AbortReason::KeyReplaced if specified => Ok(()),
        AbortReason::TooFewSealingKeys if !specified => Ok(()),
        AbortReason::BudgetExhausted => exhausted(chain, task, &body.round),
        reason => Err(untrue(reason)),
    }
}

/// A round that ended before it was closed.
pub(crate) fn check_collecting(
    chain: &mut Chain,
    open: &RoundOpen,
    roll: &Roll,
    aborted: &Signed<Aborted>,
) -> Result<(), Finding> {
    let reason = aborted.peek().reason;
    let devices = roll.entries().iter().filter(|entry| entry.noise.is_none());
    let candidates = open
        .task()
        .options
        .noise
        .map_or(0, |noise| noise.candidates);
    match reason {
        // The key that signed it shows that.
        AbortReason::KeyReplaced => Ok(()),
        AbortReason::TooLittleNoise
            if roll.complete_noise(candidates).len() < open.least_noise() =>
        {
            Ok(())
        }
        AbortReason::TooFewSubmissions
            if devices.count() < open.task().policy.min_accepted as usize =>
        {
            Ok(())
        }
        AbortReason::BudgetExhausted => exhausted(chain, open, &open.round_id()),
        reason => Err(untrue(reason)),
    }
}

/// A closed round that ended without a challenge.
pub(crate) fn check_challenging(
    chain: &mut Chain,
    round: &RoundClosed,
    aborted: &Signed<Aborted>,
) -> Result<(), Finding> {
    match aborted.peek().reason {
        AbortReason::TooFewBeaconShares | AbortReason::KeyReplaced => Ok(()),
        AbortReason::BudgetExhausted => exhausted(chain, round, &round.round_id()),
        reason => Err(untrue(reason)),
    }
}

/// A round that ended without a verdict.
pub(crate) fn check_reporting(
    chain: &mut Chain,
    round: &RoundChallenged,
    reports: &[Signed<PackageReport>],
    examination: &Examination,
    aborted: &Signed<Aborted>,
) -> Result<(), Finding> {
    let reason = aborted.peek().reason;
    match reason {
        AbortReason::BudgetExhausted => return exhausted(chain, round, &round.round_id()),
        AbortReason::KeyReplaced => return Ok(()),
        _ => {}
    }
    let spent = chain.spent_before(&round.round_id()).unwrap_or(0);
    let scalars = examination.scalars.digest();
    match round.verdict(reports, &examination.findings, scalars, spent) {
        Err(JudgeError::Abort(expected)) if expected == reason => Ok(()),
        Err(JudgeError::Violation(violation)) => Err(Finding::of(AuditRule::Reports, violation)),
        Err(JudgeError::Abort(expected)) => Err(aggregator(format_args!(
            "the abort says {reason}, but what follows is {expected}"
        ))),
        Ok(_) => Err(untrue(reason)),
    }
}

/// A judged round that was not opened.
pub(crate) fn check_opening(
    preamble: &Preamble,
    judged: &Judged,
    openings: &[Signed<Opening>],
    sums: &Sums,
    aborted: &Signed<Aborted>,
) -> Result<(), Finding> {
    let reason = aborted.peek().reason;
    if reason == AbortReason::KeyReplaced {
        return Ok(());
    }
    let opened = match sums.open(judged, openings) {
        Err(JudgeError::Abort(expected)) if expected == reason => return Ok(()),
        Err(JudgeError::Abort(expected)) => {
            return Err(aggregator(format_args!(
                "the abort says {reason}, but what follows is {expected}"
            )));
        }
        Err(JudgeError::Violation(violation)) => {
            return Err(Finding::of(AuditRule::Openings, violation));
        }
        Ok(opened) => opened,
    };
    match opened.next_model(&preamble.model) {
        Err(expected) if expected == reason => Ok(()),
        _ => Err(untrue(reason)),
    }
}

/// Notes what an abort leaves to the aggregator's word: that nothing more came before the deadline.
pub(crate) fn note_word(chain: &mut Chain, round: &RoundId, reason: AbortReason) {
    let what = match reason {
        AbortReason::TooFewSealingKeys => "sealing keys",
        AbortReason::TooFewEndorsements => "endorsements",
        AbortReason::TooFewSubmissions => "submissions",
        AbortReason::TooFewBeaconShares => "parts of the beacon",
        AbortReason::TooLittleNoise => "noise of stewards",
        AbortReason::TooFewReports => "reports",
        AbortReason::TooFewOpenings => "openings",
        AbortReason::Policy
        | AbortReason::KeyReplaced
        | AbortReason::BudgetExhausted
        | AbortReason::NoSmallOpening
        | AbortReason::AmbiguousOpening
        | AbortReason::ModelOverflow => return,
    };
    chain.unchecked().push(format!(
        "round {round}: that no more {what} came before the deadline is the aggregator's word alone"
    ));
}

fn exhausted(chain: &mut Chain, task: &TaskContext, round: &RoundId) -> Result<(), Finding> {
    match chain.spent_before(round) {
        Some(before) if task.exceeds_budget(before) => Ok(()),
        Some(_) => Err(untrue(AbortReason::BudgetExhausted)),
        None => {
            chain.unchecked().push(format!(
                "round {round}: whether the budget was exhausted follows from rounds that are not here"
            ));
            Ok(())
        }
    }
}

fn untrue(reason: AbortReason) -> Finding {
    aggregator(format_args!(
        "the round was aborted for a reason that does not hold: {reason}"
    ))
}

fn aggregator(detail: impl std::fmt::Display) -> Finding {
    Finding::new(AuditRule::Abort, Party::Aggregator, detail)
}
