//! A light audit: who signed what about what, and whether it hangs together; nothing is executed again. Neither payloads nor
//! answers are looked into, so that it costs hardly more than reading the file. What it does not say is in the report.

use dawn_crypto::digest::Digest;
use dawn_identity::Signed;
use dawn_protocol::{RoundChallenged, RoundId, Terminal, Verdict};

use crate::answers;
use crate::blame;
use crate::chain::Chain;
use crate::ending::{ending_abort, result_stands};
use crate::finding::{Finding, Party};
use crate::preamble::Preamble;
use crate::report::RoundReport;
use crate::round::Told;
use crate::rule::AuditRule;

/// Notes what a light audit leaves out of a round.
pub(crate) fn note(chain: &mut Chain, report: &RoundReport, told: &Told) {
    let round = RoundId::new(report.task, report.number);
    if report.submitted == 0 {
        return;
    }
    let mut what = "the payloads (A08)".to_owned();
    if told.whole.is_some() && !told.reports.is_empty() {
        what.push_str(", the answers (A21)");
    }
    if report.spent_micro_rho.is_some() {
        what.push_str(", the scalars (A22), the decisions (A11), what the openings hold (A12)");
    }
    what.push_str(match (report.aborted.is_some(), &told.challenge) {
        (true, Some(_)) => " and the reason of the abort (A19)",
        // Why it ended before, the statements show.
        (true, None) => "",
        (false, _) => ", the sum (A13), whose answers opened it (A14) and the next model (A15)",
    });
    if !(report.lying_stewards.is_empty() && report.wrong_stewards.is_empty()) {
        what.push_str(", and that stewards answered wrongly,");
    }
    chain.unchecked().push(format!(
        "round {round}: a light audit does not execute again: {what} are the aggregator's word"
    ));
}

/// Notes that nobody has put a transcript without payloads together again.
pub(crate) fn note_whole(chain: &mut Chain, round: &RoundId, whole: &Digest) {
    chain.unchecked().push(format!(
        "round {round}: the transcript is without payloads; that {whole} is the digest of the whole one was not checked"
    ));
}

/// Everything after the challenge, as far as signatures and digests tell.
pub(crate) fn check(
    chain: &Chain,
    preamble: &Preamble,
    report: &mut RoundReport,
    round: &RoundChallenged,
    told: &Told,
) -> Result<(), Finding> {
    let Some(verdict) = &told.verdict else {
        let aborted = ending_abort(round, told)?;
        report.aborted(aborted.peek().reason);
        return Ok(());
    };
    let root = told.closed.as_ref().map(|closed| closed.peek().root);
    self::verdict(chain, round, root, verdict)?;
    thresholds(round, told, verdict.peek())?;
    let roll = round.round_closed().roll();
    report.claimed(round, verdict.peek());
    report
        .details
        .listed(preamble, roll, &verdict.peek().decisions);
    openings(round, told, verdict)?;
    let Terminal::Result(result) = &told.terminal else {
        let aborted = ending_abort(round, told)?;
        report.aborted(aborted.peek().reason);
        return Ok(());
    };
    let rule = AuditRule::Result;
    result_stands(round, told, verdict.body_digest(), result)?;
    let body = result.peek();
    let aggregator = |holds, what: &str| Finding::unless(holds, rule, Party::Aggregator, what);
    aggregator(
        body.accepted == verdict.peek().accepted_count(),
        "the result is of another number of submissions than the verdict accepts",
    )?;
    let given = told.openings.len();
    let needed = round.threshold().t();
    aggregator(
        given >= usize::from(needed) && body.points.len() >= usize::from(needed),
        &format!("the result was opened with {given} openings, {needed} are needed"),
    )?;
    let opened = |point: &u8| {
        let steward = round.steward_id(*point);
        let mut all = told.openings.iter();
        all.any(|opening| Some(opening.peek().steward) == steward)
    };
    aggregator(
        body.points.iter().all(opened) && body.points.is_sorted_by(|one, next| one < next),
        "the result was opened with answers of stewards that did not open",
    )?;
    report.wrong_stewards.clone_from(&body.culprits);
    report.sum = Some(body.sum);
    report.next_model = body.model;
    Ok(())
}

/// A11 and A16 without what the verdict decides.
fn verdict(
    chain: &Chain,
    round: &RoundChallenged,
    root: Option<Digest>,
    verdict: &Signed<Verdict>,
) -> Result<(), Finding> {
    let body = verdict.peek();
    let closed = round.round_closed();
    Finding::unless(
        Some(body.root) == root
            && body.challenge == round.challenge_digest()
            && body.decisions.len() == closed.roll().len(),
        AuditRule::Verdict,
        Party::Aggregator,
        "the verdict is about another list or challenge",
    )?;
    let budget = round.task().privacy.budget_micro_rho;
    Finding::unless(
        body.charge_micro_rho == round.spec().charge_micro_rho
            && budget.is_none_or(|budget| body.spent_micro_rho <= budget),
        AuditRule::Budget,
        Party::Aggregator,
        "the verdict does not charge what the round costs, or spends more than the budget",
    )?;
    chain.check_spent(&round.round_id(), body)
}

/// A11: no verdict stands on fewer than A reports, nor lets fewer than A stewards open; the aggregator names both.
fn thresholds(round: &RoundChallenged, told: &Told, verdict: &Verdict) -> Result<(), Finding> {
    let (reports, needed) = (told.reports.len(), round.threshold().a());
    let openers = verdict.openers.len();
    Finding::unless(
        reports >= usize::from(needed) && openers >= usize::from(needed),
        AuditRule::Verdict,
        Party::Aggregator,
        format_args!(
            "the verdict stands on {reports} reports and names {openers} openers, {needed} of both are needed"
        ),
    )
}

/// A12 without what the openings and the group sums beside them hold.
fn openings(
    round: &RoundChallenged,
    told: &Told,
    verdict: &Signed<Verdict>,
) -> Result<(), Finding> {
    let rule = AuditRule::Openings;
    let mut last = 0;
    for opening in &told.openings {
        let body = opening.peek();
        let point = blame::by_steward(round, rule, opening, &body.steward)?;
        blame::steward_about(round, rule, &body.round, &body.session)?;
        answers::in_order(rule, &mut last, point)?;
        Finding::unless(
            body.verdict == verdict.body_digest(),
            rule,
            Party::Provider,
            "an opening that answers another verdict",
        )?;
        Finding::unless(
            verdict.peek().openers.contains(&point),
            rule,
            Party::Steward(body.steward),
            "a steward that may not open has answered",
        )?;
    }
    Ok(())
}
