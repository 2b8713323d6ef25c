//! Stewards' noise in a round whose beacon is known (`docs/protocol.md`, section 4.8): which candidates count, and
//! whether what was not chosen was noise.

use std::borrow::Cow;

use dawn_identity::Signed;

use super::RoundChallenged;
use crate::examine::{Examined, Finding};
use crate::noise::{self, StewardNoise, candidate_payload};
use crate::roll::Entry;
use crate::statements::{Outcome, PackageReport};

/// What the reports show about stewards' noise, as evaluation points.
pub(super) struct ProvenNoise {
    /// Those whose candidates are all under the root and, but for the chosen one, were revealed and found to be noise.
    good: Vec<u8>,
    /// Those whose candidates are all under the root and whose report does not reveal them. Increasing.
    pub(super) liars: Vec<u8>,
}

impl RoundChallenged {
    /// What a steward reports about a submission when nothing is wrong with its package: the `ok` of its role, or
    /// why nothing is asked. `None` when there is no such submission.
    pub fn expected_outcome(&self, index: usize) -> Option<Outcome> {
        let entry = self.closed.roll.entries().get(index)?;
        Some(match entry.noise {
            _ if entry.refused.is_some() => Outcome::BadHeader,
            None => Outcome::Ok,
            Some(noise) if self.chosen_candidate(noise.point) == Some(noise.index) => {
                Outcome::OkNoise
            }
            Some(_) => Outcome::NotChosen,
        })
    }

    /// Which candidate of the steward at a point the beacon picks; none when the task asks for no noise.
    pub fn chosen_candidate(&self, point: u8) -> Option<u8> {
        let noise = self.task().options.noise?;
        let steward = self.steward_id(point)?;
        Some(noise::choice(&self.beacon, &steward, noise.candidates))
    }

    /// Whether a report answers exactly what is asked about noise, and reveals seeds only where they are asked for. Whether they
    /// are the right ones decides about its noise.
    pub(super) fn reports_noise_rightly(&self, report: &PackageReport) -> bool {
        let unasked = report.reveals.is_some() && self.task().options.noise.is_none();
        let mut outcomes = report.outcomes.iter().enumerate();
        !unasked
            && outcomes.all(|(index, outcome)| match self.expected_outcome(index) {
                Some(Outcome::NotChosen) => *outcome == Outcome::NotChosen,
                Some(Outcome::OkNoise) => !matches!(outcome, Outcome::Ok | Outcome::NotChosen),
                _ => !matches!(outcome, Outcome::OkNoise | Outcome::NotChosen),
            })
    }

    /// Recomputes every candidate that the reports reveal. Slow: as long as masking all of them.
    pub(super) fn proven_noise(&self, reports: &[Signed<PackageReport>]) -> ProvenNoise {
        let mut proven = ProvenNoise {
            good: Vec::new(),
            liars: Vec::new(),
        };
        let Some(noise) = self.task().options.noise else {
            return proven;
        };
        // Who submitted none, or of whose the aggregator left some out, contributes none and is not to blame.
        for point in self.closed.roll.complete_noise(noise.candidates) {
            let by_point = |report: &&Signed<PackageReport>| {
                self.steward_id(point) == Some(report.peek().steward)
            };
            let Some(report) = reports.iter().find(by_point) else {
                continue;
            };
            match self.reveals(noise, point, report.peek()) {
                true => proven.good.push(point),
                false => proven.liars.push(point),
            }
        }
        proven
    }

    /// Whether a report reveals the seeds of all candidates of its steward that were not chosen, and they give what was
    /// submitted.
    fn reveals(&self, noise: StewardNoise, point: u8, report: &PackageReport) -> bool {
        let chosen = self.chosen_candidate(point);
        let entries = self.closed.roll.entries().iter();
        let others = entries.filter(|entry| {
            let own = entry.noise.filter(|noise| noise.point == point);
            own.is_some_and(|noise| Some(noise.index) != chosen)
        });
        let mut others: Vec<&Entry> = others.collect();
        others.sort_by_key(|entry| entry.noise.map(|noise| noise.index));
        report.reveals.as_ref().is_some_and(|revealed| {
            revealed.len() == others.len()
                && others.iter().zip(revealed.seeds()).all(|(entry, seed)| {
                    candidate_payload(self, noise.sigma, &seed) == entry.payload
                })
        })
    }

    /// The findings, with the noise that nothing proves taken out.
    pub(super) fn with_proven<'a>(
        &self,
        findings: &'a [Finding],
        proven: &ProvenNoise,
    ) -> Cow<'a, [Finding]> {
        let mut known = Cow::Borrowed(findings);
        for (index, entry) in self.closed.roll.entries().iter().enumerate() {
            let unproven = entry
                .noise
                .filter(|noise| !proven.good.contains(&noise.point));
            if unproven.is_some() && findings[index].result == Examined::Valid {
                known.to_mut()[index].result = Examined::Unproven;
            }
        }
        known
    }
}
