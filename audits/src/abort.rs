//! A19: a round is aborted only for a reason that holds. An aggregator that could abort at will could
//! throw away the sums that it does not like.
//!
//! An abort names its reason, and not what led to it. A file that stops before what the reason comes after may have been cut by
//! whoever hands it over: then the aggregator is not to blame for it.

use dawn_identity::{PublicKey, Signed};
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

/// How far a round came, as a file shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    Begun,
    Specified,
    Announced,
    Closed,
    Challenged,
    /// At least A reports.
    Reported,
    Judged,
    /// At least T openings.
    Opened,
}

impl Came {
    /// How far a round must have come that is aborted for a reason.
    fn before(task: &TaskContext, reason: AbortReason) -> Self {
        match reason {
            AbortReason::TooFewSealingKeys | AbortReason::BudgetExhausted => Self::Begun,
            AbortReason::TooFewEndorsements | AbortReason::KeyReplaced => Self::Specified,
            AbortReason::TooFewSubmissions => Self::Announced,
            AbortReason::TooFewBeaconShares => Self::Closed,
            AbortReason::TooFewReports => Self::Challenged,
            // Where nobody asks for noise, there is never too little.
            AbortReason::TooLittleNoise if task.task().options.noise.is_none() => Self::Begun,
            AbortReason::Policy | AbortReason::TooLittleNoise => Self::Reported,
            AbortReason::TooFewOpenings => Self::Judged,
            AbortReason::NoSmallOpening
            | AbortReason::AmbiguousOpening
            | AbortReason::ModelOverflow => Self::Opened,
        }
    }
}

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
        // Without a specification it is under whatever key the aggregator had then: none from before the last round's.
        None => {
            blame::by_aggregator_ever(task, AuditRule::Abort, aborted)?;
            let mut keys = task.verified_with().aggregators().iter().map(PublicKey::id);
            let last = preamble.previous.as_ref().map(Terminal::signer);
            let replaced = last.is_some_and(|last| {
                keys.find(|key| *key == last || *key == aborted.signer()) != Some(last)
            });
            Finding::unless(
                !replaced,
                AuditRule::Abort,
                Party::Provider,
                "the abort is under a key of the aggregator that was replaced before the round before ended",
            )?;
        }
    }
    let body = aborted.peek();
    match (context, &body.session) {
        (Some(context), Some(session)) => {
            blame::aggregator_about(context, AuditRule::Abort, &body.round, session)?;
        }
        (None, None) => {}
        (Some(_), None) => {
            let detail = "the abort of a round with a specification names no session";
            return Err(aggregator(detail));
        }
        (None, Some(_)) => {
            let detail = "the specification of the session that the abort names is not here";
            return Err(Finding::new(AuditRule::Abort, Party::Provider, detail));
        }
    }
    match body.reason {
        AbortReason::TooFewEndorsements | AbortReason::KeyReplaced if specified => Ok(()),
        AbortReason::TooFewSealingKeys if !specified => Ok(()),
        AbortReason::BudgetExhausted => exhausted(chain, task, &body.round),
        reason if specified => Err(untrue(task, Came::Specified, reason)),
        // It says itself that there was no specification: no session.
        reason => Err(untrue_whatever_is_missing(reason)),
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
        reason => Err(untrue(open, Came::Announced, reason)),
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
        reason => Err(untrue(round, Came::Closed, reason)),
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
    let before = chain.spent_before(&round.round_id());
    let spent = before.map_or(0, |before| before.least);
    let scalars = examination.scalars.digest();
    match round.verdict(reports, &examination.findings, scalars, spent) {
        Err(JudgeError::Abort(expected)) if expected == reason => Ok(()),
        Err(JudgeError::Violation(violation)) => Err(Finding::of(AuditRule::Reports, violation)),
        Err(JudgeError::Abort(expected)) => {
            let came = match expected {
                AbortReason::TooFewReports => Came::Challenged,
                _ => Came::Reported,
            };
            // With more reports there may have been enough noise.
            let quieter = expected == AbortReason::TooLittleNoise && reason == AbortReason::Policy;
            Err(other(round, came, quieter, reason, expected))
        }
        Ok(_) => Err(untrue(round, Came::Reported, reason)),
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
            let came = match expected {
                AbortReason::TooFewOpenings => Came::Judged,
                _ => Came::Opened,
            };
            // With more openings one may have been small.
            let larger = expected == AbortReason::NoSmallOpening
                && Came::before(judged, reason) == Came::Opened;
            return Err(other(judged, came, larger, reason, expected));
        }
        Err(JudgeError::Violation(violation)) => {
            return Err(Finding::of(AuditRule::Openings, violation));
        }
        Ok(opened) => opened,
    };
    match opened.next_model(&preamble.model) {
        Err(expected) if expected == reason => Ok(()),
        _ => Err(untrue(judged, Came::Opened, reason)),
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
        AbortReason::KeyReplaced => {
            chain.unchecked().push(format!(
                "round {round}: that nothing was said in it after what is here is the word of whoever hands it over: a round whose key was replaced ends at any stage"
            ));
            return;
        }
        AbortReason::Policy
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
        Some(before) if task.exceeds_budget(before.most) => Ok(()),
        Some(_) => Err(untrue_whatever_is_missing(AbortReason::BudgetExhausted)),
        None => {
            chain.unchecked().push(format!(
                "round {round}: whether the budget was exhausted follows from rounds that are not here"
            ));
            Ok(())
        }
    }
}

/// A reason that does not hold in a round that came so far. Whoever comes to it later may have come so far: the rest may have
/// been left out.
fn untrue(task: &TaskContext, came: Came, reason: AbortReason) -> Finding {
    if Came::before(task, reason) > came {
        return cut(reason);
    }
    untrue_whatever_is_missing(reason)
}

/// Another reason than the one that follows from what is here; `explained` when more of it could have led to it.
fn other(
    task: &TaskContext,
    came: Came,
    explained: bool,
    reason: AbortReason,
    expected: AbortReason,
) -> Finding {
    if explained || Came::before(task, reason) > came {
        return cut(reason);
    }
    aggregator(format_args!(
        "the abort says {reason}, but what follows is {expected}"
    ))
}

fn cut(reason: AbortReason) -> Finding {
    Finding::new(
        AuditRule::Abort,
        Party::Provider,
        format_args!("the transcript stops before what its abort comes after: {reason}"),
    )
}

fn untrue_whatever_is_missing(reason: AbortReason) -> Finding {
    aggregator(format_args!(
        "the round was aborted for a reason that does not hold: {reason}"
    ))
}

fn aggregator(detail: impl std::fmt::Display) -> Finding {
    Finding::new(AuditRule::Abort, Party::Aggregator, detail)
}
