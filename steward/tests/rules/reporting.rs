//! What stewards report and answer, and what an aggregator makes of it: honest unless a test changes it.

use std::collections::BTreeMap;
use std::ops::Deref;

use dawn_crypto::norm::Answer;
use dawn_crypto::norm::projection::PublicCheck;
use dawn_identity::{Digest, Signed};
use dawn_protocol::answers::{AnswerCursor, Scalars, answers_digest};
use dawn_protocol::{Finding, Judged, NoiseSecret, Outcome, PackageReport, Verdict};

use crate::world::{ClosedRound, Round, World};

/// What the candidates of another steward's noise follow from.
pub fn noise_secret(point: u8) -> NoiseSecret {
    NoiseSecret::from_bytes([point; 32])
}

/// A steward's report with the answers that it names.
#[derive(Clone)]
pub struct Reported {
    pub point: u8,
    pub signed: Signed<PackageReport>,
    pub answers: Vec<u8>,
}

impl Deref for Reported {
    type Target = Signed<PackageReport>;

    fn deref(&self) -> &Self::Target {
        &self.signed
    }
}

pub fn signed(reports: &[Reported]) -> Vec<Signed<PackageReport>> {
    reports.iter().map(|report| report.signed.clone()).collect()
}

/// What an aggregator shows beside a verdict.
#[derive(Clone)]
pub struct Shown {
    pub scalars: Vec<u8>,
    pub payloads: BTreeMap<Digest, Vec<u8>>,
    pub answers: BTreeMap<Digest, Vec<u8>>,
}

impl World {
    /// The report and answers of another steward, which may change each answer.
    pub fn report_with(
        &self,
        round: &Round,
        closed: &ClosedRound,
        point: u8,
        change: impl Fn(usize, &mut Vec<u32>),
    ) -> Reported {
        let mut outcomes = Vec::new();
        let mut answers = Vec::new();
        for index in 0..closed.submissions.len() {
            let expected = closed
                .challenged
                .expected_outcome(index)
                .expect("in the list");
            match self.package_of(round, closed, point, index) {
                _ if !expected.is_ok() => outcomes.push(expected),
                Err(outcome) => outcomes.push(outcome),
                Ok(opened) => {
                    let verifier = closed.challenged.verifier(index).expect("verifies");
                    let u = &closed.checks[index].as_ref().expect("verifies").u;
                    let answer = verifier.answer(&opened, u).expect("answer");
                    let mut elements = answer.elements().to_vec();
                    change(index, &mut elements);
                    answers.extend(elements.iter().flat_map(|element| element.to_le_bytes()));
                    outcomes.push(expected);
                }
            }
        }
        self.reported(closed, point, outcomes, answers)
    }

    /// The report of another steward that says this.
    pub fn reported(
        &self,
        closed: &ClosedRound,
        point: u8,
        outcomes: Vec<Outcome>,
        answers: Vec<u8>,
    ) -> Reported {
        let steward = self.context.steward_id(point).expect("steward");
        let digest = answers_digest(&answers);
        let mut report = closed.challenged.report(steward, outcomes, digest);
        if let Some(noise) = self.context.task().options.noise {
            let chosen = closed
                .challenged
                .chosen_candidate(point)
                .expect("asked for");
            report.reveals = Some(noise_secret(point).reveal(noise.candidates, chosen));
        }
        Reported {
            point,
            signed: self.by_steward(&report, point),
            answers,
        }
    }

    /// The same report with a complaint about the first submission.
    pub fn without_first(&self, closed: &ClosedRound, report: &Reported) -> Reported {
        let mut outcomes = report.peek().outcomes.clone();
        assert_eq!(outcomes[0], Outcome::Ok);
        outcomes[0] = Outcome::Unsealable;
        let answer = 4 * self.context.norm_params().answer_len();
        self.reported(
            closed,
            report.point,
            outcomes,
            report.answers[answer..].to_vec(),
        )
    }

    /// The real steward's report and those of others, in increasing point.
    pub fn reports(
        &self,
        round: &Round,
        closed: &ClosedRound,
        own: &[u8],
        others: &[u8],
    ) -> Vec<Reported> {
        let own: Signed<PackageReport> = Signed::from_bytes(own).expect("report");
        let unknown = vec![0; closed.challenged.answers_len(&own.peek().outcomes)];
        let answers = self.own_answers.get(&own.peek().answers);
        let mut reports = vec![Reported {
            point: 1,
            answers: answers.cloned().unwrap_or(unknown),
            signed: own,
        }];
        let others = others.iter();
        reports.extend(others.map(|point| self.report_with(round, closed, *point, |_, _| {})));
        reports
    }

    /// The true scalars.
    pub fn scalars(&self, closed: &ClosedRound) -> Scalars {
        let masked = |check: &Option<PublicCheck>| {
            let masked = check.as_ref().map(|check| check.masked.expect("payload"));
            masked.unwrap_or_default()
        };
        Scalars::new(closed.checks.iter().map(masked).collect())
    }

    pub fn findings(
        &self,
        closed: &ClosedRound,
        reports: &[Reported],
        scalars: &Scalars,
    ) -> Vec<Finding> {
        let params = self.context.proof_params();
        let mut readers: Vec<_> = reports
            .iter()
            .map(|r| {
                (
                    r.point,
                    AnswerCursor::new(params, &r.peek().outcomes, &r.answers[..]),
                )
            })
            .collect();
        let find = |index: usize| {
            let mut answers: Vec<(u8, Answer)> = Vec::new();
            for (point, reader) in &mut readers {
                let answer = reader.next_answer().expect("whole answers");
                answers.extend(answer.map(|answer| (*point, answer)));
            }
            let scalars = scalars.get(index).expect("one a submission");
            closed.challenged.examine(index, &answers, scalars)
        };
        (0..closed.submissions.len()).map(find).collect()
    }

    /// The verdict of an aggregator that believes in these scalars.
    pub fn verdict_with(
        &self,
        closed: &ClosedRound,
        reports: &[Reported],
        scalars: &Scalars,
    ) -> Verdict {
        let findings = self.findings(closed, reports, scalars);
        let reports = signed(reports);
        let verdict = closed
            .challenged
            .verdict(&reports, &findings, scalars.digest(), 0);
        verdict.expect("verdict")
    }

    /// The verdict that follows, when so much was spent before.
    pub fn verdict(
        &self,
        closed: &ClosedRound,
        reports: &[Reported],
        spent: u64,
    ) -> Signed<Verdict> {
        let mut verdict = self.verdict_with(closed, reports, &self.scalars(closed));
        verdict.spent_micro_rho += spent;
        self.by_aggregator(&verdict)
    }

    pub fn adopt(
        &self,
        closed: &ClosedRound,
        reports: &[Reported],
        verdict: &Signed<Verdict>,
    ) -> Judged {
        let scalars = self.scalars(closed);
        let findings = self.findings(closed, reports, &scalars);
        let challenged = closed.challenged.clone();
        let judged = challenged.adopt(&signed(reports), &findings, scalars.digest(), verdict);
        judged.expect("judged")
    }

    /// What an honest aggregator shows.
    pub fn shown(&self, closed: &ClosedRound, reports: &[Reported]) -> Shown {
        let payload = |s: &dawn_protocol::prepare::PreparedSubmission| {
            (s.header.peek().payload, s.payload.clone())
        };
        let answers = |r: &Reported| (r.peek().answers, r.answers.clone());
        Shown {
            scalars: self.scalars(closed).to_bytes(),
            payloads: closed.submissions.iter().map(payload).collect(),
            answers: reports.iter().map(answers).collect(),
        }
    }
}
