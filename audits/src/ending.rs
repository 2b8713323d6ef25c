//! The second half of a round: closed list, challenge, answers, verdict, sum, and how it ended (A09 to A16, A19 to
//! A22).

use std::io::{Read, Seek};

use dawn_crypto::digest::Digest;
use dawn_identity::Signed;
use dawn_protocol::digests::model_digest;
use dawn_protocol::phase::JudgeError;
use dawn_protocol::{
    AbortReason, Aborted, Judged, RoundChallenged, RoundContext, RoundOpen, RoundResult, Terminal,
};

use crate::abort;
use crate::answers;
use crate::blame;
use crate::chain::{Chain, Link, Spent};
use crate::challenge;
use crate::details::RoundDetails;
use crate::examination::{self, Examination};
use crate::finding::{Finding, Party};
use crate::light;
use crate::opening::{self, Sums};
use crate::preamble::Preamble;
use crate::records::{Again, Stop};
use crate::report::RoundReport;
use crate::round::{Progress, ReadOnce, Told};
use crate::rule::AuditRule;
use crate::submissions::{self, Listed, Submissions};
use crate::verify::Mode;

/// Checks everything after collecting, and links the round to the chain.
pub(crate) fn check<R: Read + Seek>(
    input: &mut R,
    start: u64,
    mode: Mode,
    chain: &mut Chain,
    read: ReadOnce,
) -> Result<RoundReport, Stop> {
    let ReadOnce {
        preamble,
        context,
        progress,
        endorsed,
        told,
        ..
    } = read;
    let round = told.terminal.round();
    Finding::unless(
        round.task == preamble.context.id(),
        match &told.terminal {
            Terminal::Result(_) => AuditRule::Result,
            Terminal::Aborted(_) => AuditRule::Abort,
        },
        Party::Provider,
        "the end is of another task",
    )?;
    let mut report = RoundReport::new(&preamble, round);
    report.details = RoundDetails::of(&preamble, context.as_ref(), &endorsed, &told);
    if context.is_none() {
        abort::check_unspecified(&preamble, chain, &round)?;
    }
    report.details.detached = mode == Mode::Light && told.whole.is_some();
    chain.note_unknown(&preamble, &round);
    match (progress, &told.terminal) {
        (Progress::Announced(announced), _) => {
            let (open, submissions) = *announced;
            collected(
                input,
                start,
                mode,
                chain,
                &preamble,
                &mut report,
                open,
                submissions,
                &told,
            )?;
            if mode == Mode::Light {
                light::note(chain, &report, &told);
            }
        }
        (progress, Terminal::Aborted(aborted)) => {
            let specified = matches!(progress, Progress::Specified);
            abort::check_early(
                chain,
                &preamble,
                context.as_ref(),
                &told,
                aborted,
                specified,
            )?;
            report.aborted(aborted.peek().reason);
        }
        (_, Terminal::Result(_)) => {
            let detail = "a result of a round that was never announced";
            return Err(Finding::new(AuditRule::Result, Party::Provider, detail).into());
        }
    }
    if let Terminal::Aborted(aborted) = &told.terminal {
        abort::check_left(&preamble, aborted)?;
        abort::note_word(chain, &round, aborted.peek().reason);
    }
    if let Some(whole) = &told.whole {
        light::note_whole(chain, &round, whole);
    }
    // An abort because of its key holds at every stage: whoever hands it over may have left out a verdict, which charges what
    // every round does.
    let may_hide = context.is_some()
        && matches!(&told.terminal, Terminal::Aborted(aborted)
            if aborted.peek().reason == AbortReason::KeyReplaced);
    let before = chain.spent_before(&round);
    let spent = match report.spent_micro_rho {
        Some(spent) => Some(Spent::exactly(spent)),
        None if may_hide => {
            let charge = preamble.context.charge_micro_rho();
            before.map(|before| before.perhaps(charge))
        }
        None => before,
    };
    let link = Link {
        number: round.number,
        terminal: told.terminal.digest(),
        start: preamble.start(),
        spent,
    };
    report.finish(&preamble.context);
    chain.link(round.task, link);
    Ok(report)
}

#[expect(
    clippy::too_many_arguments,
    reason = "one call, from the function above"
)]
fn collected<R: Read + Seek>(
    input: &mut R,
    start: u64,
    mode: Mode,
    chain: &mut Chain,
    preamble: &Preamble,
    report: &mut RoundReport,
    open: RoundOpen,
    submissions: Submissions,
    told: &Told,
) -> Result<(), Stop> {
    report.submitted = submissions.len();
    let Some(closed) = &told.closed else {
        submissions.unclosed()?;
        let aborted = ending_abort(&open, told)?;
        abort::check_collecting(chain, &open, submissions.roll(), aborted)?;
        report.details.listed(preamble, submissions.roll(), &[]);
        report.aborted(aborted.peek().reason);
        return Ok(());
    };
    blame::by_aggregator(&open, AuditRule::Closed, closed)?;
    let body = closed.peek();
    blame::aggregator_about(&open, AuditRule::Closed, &body.round, &body.session)?;
    let Listed {
        roll,
        total,
        payloads,
    } = submissions.under(body)?;
    // The register in the file ends where the closing says: the key was not replaced by then.
    open.verify_key_counts(preamble.register.members())
        .map_err(|e| Finding::of(AuditRule::Closed, e))?;
    let round = open
        .close(closed, roll)
        .map_err(|e| Finding::of(AuditRule::Closed, e))?;
    report.details.listed(preamble, round.roll(), &[]);
    let Some(asked) = &told.challenge else {
        let aborted = ending_abort(&round, told)?;
        abort::check_challenging(chain, &round, aborted)?;
        report.aborted(aborted.peek().reason);
        return Ok(());
    };
    let round = challenge::check(round, asked)?;
    answers::check_reports(&round, &told.reports)?;
    answers::check_answers(&told.reports, &told.answers)?;
    if let Some(verdict) = &told.verdict {
        verdict_stands(&round, told, verdict)?;
    }
    if mode == Mode::Light {
        return light::check(chain, preamble, report, &round, told).map_err(Stop::from);
    }
    let mut again = Again::new(input, start);
    let decided = told.reports.len() >= usize::from(round.threshold().a());
    let examination = if decided || told.verdict.is_some() {
        examination::examine(&mut again, &round, &payloads, &told.reports, &told.answers)?
    } else {
        Examination::of_nothing(payloads.len())
    };
    let Some(verdict) = &told.verdict else {
        let aborted = ending_abort(&round, told)?;
        abort::check_reporting(chain, &round, &told.reports, &examination, aborted)?;
        report.aborted(aborted.peek().reason);
        return Ok(());
    };
    let judged = round
        .adopt(
            &told.reports,
            &examination.findings,
            examination.scalars.digest(),
            verdict,
        )
        .map_err(|e| Finding::of(AuditRule::Verdict, e))?;
    chain.check_spent(&judged.round_id(), judged.verdict())?;
    report.judged(&judged);
    let roll = judged.round_closed().roll();
    (report.details).listed(preamble, roll, &judged.verdict().decisions);
    let decisions = judged.verdict().decisions.iter().enumerate();
    let rejected = decisions.filter(|(_, decision)| !decision.is_summed());
    let rejected = rejected.map(|(index, _)| index);
    let roll = judged.round_closed().roll();
    let masked = match judged.round_challenged().groups() {
        Some(groups) => {
            let accepted = judged.verdict().accepted();
            submissions::by_group(&mut again, roll, &payloads, accepted, groups, total.len())?
        }
        None => {
            let mut sum = total;
            submissions::take_out(&mut again, roll, &payloads, rejected, &mut sum)?;
            vec![sum]
        }
    };
    answers::check_openings(&judged, &told.openings)?;
    let given = opening::check_group_sums(&judged, &told.openings, &told.group_sums)?;
    let sums = Sums { masked, given };
    match &told.terminal {
        Terminal::Result(result) => opened(preamble, report, &judged, told, &sums, result)?,
        Terminal::Aborted(_) => {
            let aborted = ending_abort(&judged, told)?;
            abort::check_opening(preamble, &judged, &told.openings, &sums, aborted)?;
            report.aborted(aborted.peek().reason);
        }
    }
    Ok(())
}

/// A11 without what it decides: it is the aggregator's, about this round, and what it judged is here. Before
/// everything is computed again.
fn verdict_stands(
    round: &RoundChallenged,
    told: &Told,
    verdict: &Signed<dawn_protocol::Verdict>,
) -> Result<(), Finding> {
    let rule = AuditRule::Verdict;
    blame::by_aggregator(round, rule, verdict)?;
    let body = verdict.peek();
    blame::aggregator_about(round, rule, &body.round, &body.session)?;
    answers::all_named(AuditRule::Reports, &told.reports, &body.reports, "verdict")
}

/// A14 without what it says: it is the aggregator's, about this round and verdict, and what it was opened with is here.
pub(crate) fn result_stands(
    round: &RoundContext,
    told: &Told,
    verdict: Digest,
    result: &Signed<RoundResult>,
) -> Result<(), Finding> {
    let rule = AuditRule::Result;
    blame::by_aggregator(round, rule, result)?;
    let body = result.peek();
    blame::aggregator_about(round, rule, &body.round, &body.session)?;
    Finding::unless(
        body.verdict == verdict,
        rule,
        Party::Aggregator,
        "the aggregator's result is about another verdict than the one it signed here",
    )?;
    answers::all_named(
        AuditRule::Openings,
        &told.openings,
        &body.openings,
        "result",
    )
}

/// A13 to A15: the sum, the result and the next model.
fn opened(
    preamble: &Preamble,
    report: &mut RoundReport,
    judged: &Judged,
    told: &Told,
    sums: &Sums,
    result: &Signed<RoundResult>,
) -> Result<(), Finding> {
    let rule = AuditRule::Result;
    result_stands(judged, told, judged.verdict_digest(), result)?;
    let opened = sums
        .open(judged, &told.openings)
        .map_err(|error| match error {
            JudgeError::Abort(reason) => Finding::new(
                AuditRule::Sum,
                Party::Aggregator,
                format_args!("there is no result: the answers do not open the payloads ({reason})"),
            ),
            JudgeError::Violation(violation) => Finding::of(AuditRule::Openings, violation),
        })?;
    let next = opened.next_model(&preamble.model).map_err(|reason| {
        let detail = format_args!("there is no next model: {reason}").to_string();
        Finding::new(AuditRule::Model, Party::Aggregator, detail)
    })?;
    let next = model_digest(&next.to_bytes());
    opened
        .verify_result(result, next)
        .map_err(|e| Finding::of(rule, e))?;
    report.opened(&opened, next);
    Ok(())
}

/// The abort that must be here when there is no result.
pub(crate) fn ending_abort<'a>(
    context: &RoundContext,
    told: &'a Told,
) -> Result<&'a Signed<Aborted>, Finding> {
    let Terminal::Aborted(aborted) = &told.terminal else {
        let detail = "a result of a round without a verdict";
        return Err(Finding::new(AuditRule::Result, Party::Provider, detail));
    };
    blame::aborted(context, &told.members, aborted)?;
    let body = aborted.peek();
    let Some(session) = &body.session else {
        let detail = "the abort of an announced round names no session";
        return Err(Finding::new(AuditRule::Abort, Party::Aggregator, detail));
    };
    blame::aggregator_about(context, AuditRule::Abort, &body.round, session)?;
    Ok(aborted)
}
