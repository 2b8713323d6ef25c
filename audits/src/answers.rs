//! What the stewards said: reports with their answers, and openings, each its steward's word, about this
//! round, once (A10, A12, A21).

use std::collections::BTreeSet;

use dawn_crypto::digest::Digest;
use dawn_crypto::params::Q;
use dawn_identity::Signed;
use dawn_protocol::answers::answers_digest;
use dawn_protocol::{Judged, Opening, PackageReport, RoundChallenged, Rule, Violation};

use crate::blame;
use crate::finding::{Finding, Party};
use crate::rule::AuditRule;

/// Statements of distinct stewards stand in increasing point.
pub(crate) fn in_order(rule: AuditRule, last: &mut u8, point: u8) -> Result<(), Finding> {
    Finding::unless(
        point > *last,
        rule,
        Party::Provider,
        format_args!(
            "the statement of the steward at point {point} is twice here, or out of order"
        ),
    )?;
    *last = point;
    Ok(())
}

/// The answers that came with a report, which are too many to be kept.
pub(crate) struct AnswersAt {
    /// Where they are in the transcript.
    pub(crate) at: u64,
    /// As computed, or as a detached transcript names it.
    digest: Digest,
    /// The first word that is not an element of the field.
    stray: Option<usize>,
}

impl AnswersAt {
    pub(crate) fn new(at: u64, bytes: &[u8]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        Self {
            at,
            digest: answers_digest(bytes),
            stray: words.iter().position(|word| u32::from_le_bytes(*word) >= Q),
        }
    }

    /// Of a transcript that only names them.
    pub(crate) fn named(at: u64, digest: Digest) -> Self {
        Self {
            at,
            digest,
            stray: None,
        }
    }
}

/// A21: the answers are those that their reports name. Their length is the container's matter.
pub(crate) fn check_answers(
    reports: &[Signed<PackageReport>],
    answers: &[AnswersAt],
) -> Result<(), Finding> {
    let rule = AuditRule::Answers;
    for (report, answers) in reports.iter().zip(answers) {
        let body = report.peek();
        let steward = body.steward;
        Finding::unless(
            answers.digest == body.answers,
            rule,
            Party::Provider,
            format_args!("the answers are not those that the report of steward {steward} names"),
        )?;
        // It signed for these very words, which no honest one computes.
        if let Some(word) = answers.stray {
            let detail = format_args!("word {word} of the answers is not below q").to_string();
            return Err(Finding::new(rule, Party::Steward(steward), detail));
        }
    }
    Ok(())
}

/// A10: every report is its steward's, about this root and challenge, and complete.
pub(crate) fn check_reports(
    round: &RoundChallenged,
    reports: &[Signed<PackageReport>],
) -> Result<(), Finding> {
    let rule = AuditRule::Reports;
    let mut last = 0;
    let mut same: Option<(u8, &Signed<PackageReport>)> = None;
    for report in reports {
        let body = report.peek();
        let point = blame::by_steward(round, rule, report, &body.steward)?;
        blame::steward_about(round, rule, &body.round, &body.session)?;
        if let Some((before, other)) = same
            && before == point
            && other.body_digest() != report.body_digest()
        {
            let detail = "a steward signed two different reports in one round";
            return Err(Finding::new(rule, Party::Steward(body.steward), detail));
        }
        in_order(rule, &mut last, point)?;
        round
            .verify_report(report)
            .map_err(|violation| elsewhere(rule, violation))?;
        same = Some((point, report));
    }
    Ok(())
}

/// A12: every opening is of a steward that may open, and answers this verdict.
pub(crate) fn check_openings(round: &Judged, openings: &[Signed<Opening>]) -> Result<(), Finding> {
    let rule = AuditRule::Openings;
    let mut last = 0;
    let mut same: Option<(u8, &Signed<Opening>)> = None;
    for opening in openings {
        let body = opening.peek();
        let point = blame::by_steward(round, rule, opening, &body.steward)?;
        blame::steward_about(round, rule, &body.round, &body.session)?;
        if let Some((before, other)) = same
            && before == point
            && other.body_digest() != opening.body_digest()
        {
            let detail = "a steward signed two different openings in one round";
            return Err(Finding::new(rule, Party::Steward(body.steward), detail));
        }
        in_order(rule, &mut last, point)?;
        // An honest steward answers the verdict that it is shown; this may not be it.
        Finding::unless(
            body.verdict == round.verdict_digest(),
            rule,
            Party::Provider,
            "an opening that answers another verdict",
        )?;
        round
            .verify_opening(opening)
            .map_err(|violation| elsewhere(rule, violation))?;
        same = Some((point, opening));
    }
    Ok(())
}

/// An honest steward speaks about the root and the challenge that it is shown; those here may be others.
fn elsewhere(rule: AuditRule, violation: Violation) -> Finding {
    match violation.rule {
        Rule::Root | Rule::Challenge => Finding::new(rule, Party::Provider, violation.detail),
        _ => Finding::of(rule, violation),
    }
}

/// The statements that a later one names by digest are all here, and no others.
pub(crate) fn all_named<T>(
    rule: AuditRule,
    present: &[Signed<T>],
    named: &[Digest],
    by: &str,
) -> Result<(), Finding> {
    let present: BTreeSet<Digest> = present.iter().map(Signed::body_digest).collect();
    let named: BTreeSet<Digest> = named.iter().copied().collect();
    Finding::unless(
        present == named,
        rule,
        Party::Provider,
        format_args!(
            "{} of those that the {by} names are missing, {} others are here",
            named.difference(&present).count(),
            present.difference(&named).count(),
        ),
    )
}
