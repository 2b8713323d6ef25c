//! What stewards report and answer, and what follows from it: honest unless a test changes it.

use dawn_crypto::norm::Answer;
use dawn_crypto::norm::projection::PublicCheck;
use dawn_identity::Signed;
use dawn_protocol::answers::{Scalars, answers_digest};
use dawn_protocol::phase::JudgeError;
use dawn_protocol::{Finding, Judged, NoiseSecret, Outcome, PackageReport, Verdict, Violation};

use crate::world::{ClosedRound, Round, World};

/// What all candidates of a steward's noise follow from.
pub fn noise_secret(point: u8) -> NoiseSecret {
    NoiseSecret::from_bytes([point; 32])
}

/// What a steward reports and answers.
#[derive(Clone)]
pub struct Reported {
    pub point: u8,
    pub signed: Signed<PackageReport>,
    pub answers: Vec<Option<Answer>>,
}

pub fn signed(reports: &[Reported]) -> Vec<Signed<PackageReport>> {
    reports.iter().map(|report| report.signed.clone()).collect()
}

impl World {
    /// A steward's honest report and answers.
    pub fn honest(&self, round: &Round, closed: &ClosedRound, point: u8) -> Reported {
        let answer = |index: usize| {
            let expected = closed.challenged.expected_outcome(index).unwrap();
            if !expected.is_ok() {
                return Err(expected);
            }
            let opened = self.package(round, closed, point, index)?;
            let verifier = closed.challenged.verifier(index).unwrap();
            let u = &closed.checks[index].as_ref().unwrap().u;
            Ok(verifier.answer(&opened, u).unwrap())
        };
        let (outcomes, answers) = (0..closed.submissions.len())
            .map(|index| match answer(index) {
                Ok(answer) => (
                    closed.challenged.expected_outcome(index).unwrap(),
                    Some(answer),
                ),
                Err(outcome) => (outcome, None),
            })
            .unzip();
        self.reported(closed, point, outcomes, answers)
    }

    /// The report of a steward that says this.
    pub fn reported(
        &self,
        closed: &ClosedRound,
        point: u8,
        outcomes: Vec<Outcome>,
        answers: Vec<Option<Answer>>,
    ) -> Reported {
        let bytes: Vec<u8> = answers
            .iter()
            .flatten()
            .flat_map(Answer::to_bytes)
            .collect();
        assert_eq!(bytes.len(), closed.challenged.answers_len(&outcomes));
        let digest = answers_digest(&bytes);
        let mut report = closed
            .challenged
            .report(self.steward_id(point), outcomes, digest);
        if let Some(noise) = self.context.task().options.noise {
            let chosen = closed.challenged.chosen_candidate(point).unwrap();
            report.reveals = Some(noise_secret(point).reveal(noise.candidates, chosen));
        }
        Reported {
            point,
            signed: self.by_steward(&report, point),
            answers,
        }
    }

    pub fn reports(&self, round: &Round, closed: &ClosedRound, points: &[u8]) -> Vec<Reported> {
        let honest = |point: &u8| self.honest(round, closed, *point);
        points.iter().map(honest).collect()
    }

    /// The true scalars.
    pub fn scalars(&self, closed: &ClosedRound) -> Scalars {
        let masked = |check: &Option<PublicCheck>| {
            check.as_ref().map_or([0; 2], |check| check.masked.unwrap())
        };
        Scalars::new(closed.checks.iter().map(masked).collect())
    }

    /// What the answers show, with these scalars.
    pub fn findings(
        &self,
        closed: &ClosedRound,
        reports: &[Reported],
        scalars: &Scalars,
    ) -> Vec<Finding> {
        let find = |index: usize| {
            let answer = |r: &Reported| r.answers[index].clone().map(|a| (r.point, a));
            let answers: Vec<_> = reports.iter().filter_map(answer).collect();
            let scalars = scalars.get(index).unwrap();
            closed.challenged.examine(index, &answers, scalars)
        };
        (0..closed.submissions.len()).map(find).collect()
    }

    /// The verdict that follows from reports and answers, or why there is none.
    pub fn verdict(
        &self,
        closed: &ClosedRound,
        reports: &[Reported],
        spent: u64,
    ) -> Result<Verdict, JudgeError> {
        let scalars = self.scalars(closed);
        let findings = self.findings(closed, reports, &scalars);
        let reports = signed(reports);
        (closed.challenged).verdict(&reports, &findings, scalars.digest(), spent)
    }

    /// Whether somebody who recomputes everything takes a verdict.
    pub fn adopt(
        &self,
        closed: &ClosedRound,
        reports: &[Reported],
        verdict: &Signed<Verdict>,
    ) -> Result<Judged, Violation> {
        let scalars = self.scalars(closed);
        let findings = self.findings(closed, reports, &scalars);
        let (round, digest) = (closed.challenged.clone(), scalars.digest());
        round.adopt(&signed(reports), &findings, digest, verdict)
    }

    pub fn judge(&self, closed: &ClosedRound, reports: &[Reported]) -> (Judged, Signed<Verdict>) {
        let verdict = self.by_aggregator(&self.verdict(closed, reports, 0).unwrap());
        (self.adopt(closed, reports, &verdict).unwrap(), verdict)
    }
}
