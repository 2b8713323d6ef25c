//! Which submissions are in the sum (`docs/protocol.md`, section 4.6). A pure function of the
//! closed roll, the reports, what the answers show ([`crate::examine`]) and the policy: everybody
//! computes the same.
//!
//! 1. A submission is *valid* when its header verifies, at least A stewards report `Ok` on it, and it
//!    is found valid. A steward *holds* a valid submission when it reports `Ok` and its answer is on
//!    the polynomial that decided.
//! 2. The opening set: among all sets S of exactly A reporting stewards, in lexicographic order of
//!    their points, take `U(S)` = the valid submissions that all of S hold, cut by the
//!    policy ([`crate::policy`]). Sets whose `U(S)` misses the policy's minima, those of the groups included
//!    ([`crate::groups`]), are out. The largest
//!    `U(S)` is the accepted set, the first S wins ties. So a device that fails at one steward, or
//!    a steward that complains about everybody or lies about everybody, costs at most itself.
//! 3. *Openers* are all reporting stewards that hold all of the accepted set: at least S.
//! 4. In a task whose stewards contribute noise, a set has the valid noise of at least T of them. Noise belongs to no
//!    organisation and is no submission of a device: the policy's numbers do not count it.
//! 5. *Liars* are the stewards that answered wrongly about some submission.

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use crate::examine::{Examined, Finding};
use crate::groups::Groups;
use crate::policy::{IndexSet, Trimmer};
use crate::roll::Roll;
use crate::statements::{Decision, Outcome};
use crate::task::Policy;
use crate::terminal::AbortReason;
use dawn_crypto::digest::Digest;
use dawn_crypto::shamir::Threshold;

/// What one reporting steward found in its packages.
#[derive(Clone, Copy, Debug)]
pub struct Ballot<'a> {
    /// The steward's evaluation point.
    pub point: u8,
    /// One outcome per submission, in root order.
    pub outcomes: &'a [Outcome],
}

/// What follows from the reports and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// One decision per submission, in root order.
    pub decisions: Vec<Decision>,
    /// The points of the stewards that may open, increasing; at least A.
    pub openers: Vec<u8>,
    /// The points of the reporting stewards that answered wrongly, increasing.
    pub liars: Vec<u8>,
}

impl Judgement {
    /// Adds the points, increasing, of stewards that lied in another way.
    pub(crate) fn add_liars(&mut self, points: &[u8]) {
        self.liars.extend_from_slice(points);
        self.liars.sort_unstable();
        self.liars.dedup();
    }
}

/// Decides about every submission of a roll whose closed root is `root`.
///
/// `ballots` are of distinct stewards in increasing point, with one outcome per submission;
/// [`crate::RoundChallenged`] makes sure of that.
///
/// # Errors
/// [`AbortReason::TooFewReports`] with fewer than A ballots; [`AbortReason::Policy`] when no set
/// meets the policy, or [`AbortReason::TooLittleNoise`] when fewer than `least_noise` stewards' noise is valid.
///
/// # Panics
/// When there is not one finding per submission.
#[expect(
    clippy::too_many_arguments,
    reason = "everything that a judgement follows from, and nothing else"
)]
pub fn judge(
    threshold: &Threshold,
    policy: &Policy,
    least_noise: usize,
    root: &Digest,
    roll: &Roll,
    groups: Option<&Groups>,
    ballots: &[Ballot<'_>],
    findings: &[Finding],
) -> Result<Judgement, AbortReason> {
    let least = usize::from(threshold.a());
    if ballots.len() < least {
        return Err(AbortReason::TooFewReports);
    }
    let entries = roll.entries();
    assert_eq!(findings.len(), entries.len(), "one finding per submission");
    let reported = |ballot: &Ballot<'_>, index: usize| {
        entries[index].refused.is_none()
            && ballot
                .outcomes
                .get(index)
                .is_some_and(|outcome| outcome.is_ok())
    };
    let held = |ballot: &Ballot<'_>| {
        IndexSet::filter(entries.len(), |index| {
            reported(ballot, index)
                && findings[index].result == Examined::Valid
                && findings[index].agrees(ballot.point)
        })
    };
    let held: Vec<IndexSet> = ballots.iter().map(held).collect();
    let trimmer = Trimmer::new(policy, least_noise, root, entries, groups);
    let mut search = Search::new(&held, least, &trimmer);
    search.run(entries.len());
    let Some((chosen, accepted)) = search.best else {
        let valid = entries.iter().zip(findings);
        let noise = valid
            .filter(|(entry, finding)| entry.noise.is_some() && finding.result == Examined::Valid);
        return Err(match noise.count() < least_noise {
            true => AbortReason::TooLittleNoise,
            false => AbortReason::Policy,
        });
    };
    let decide = |index: usize| {
        let reporting = ballots
            .iter()
            .filter(|ballot| reported(ballot, index))
            .count();
        if entries[index].refused.is_some() {
            return Decision::BadHeader;
        }
        if findings[index].result == Examined::NotChosen {
            return Decision::NotChosen;
        }
        if reporting < least {
            return Decision::TooFewStewards;
        }
        match findings[index].result {
            Examined::TooFew => Decision::TooFewStewards,
            Examined::Disagree => Decision::AnswersDisagree,
            Examined::Projection => Decision::Projection,
            Examined::Norm => Decision::Norm,
            Examined::NotChosen => Decision::NotChosen,
            Examined::Unproven => Decision::UnprovenNoise,
            Examined::Valid if accepted.contains(index) => match entries[index].noise {
                None => Decision::Accepted,
                Some(_) => Decision::Noise,
            },
            Examined::Valid if chosen.iter().all(|place| held[*place].contains(index)) => {
                Decision::OrganisationShare
            }
            Examined::Valid => Decision::OutsideOpeningSet,
        }
    };
    let lied = |ballot: &Ballot<'_>| {
        let mut findings = findings.iter().enumerate();
        findings.any(|(index, finding)| reported(ballot, index) && finding.lies(ballot.point))
    };
    let openers = ballots.iter().zip(&held);
    Ok(Judgement {
        decisions: (0..entries.len()).map(decide).collect(),
        openers: openers
            .filter(|(_, set)| accepted.is_subset(set))
            .map(|(ballot, _)| ballot.point)
            .collect(),
        liars: ballots
            .iter()
            .filter(|ballot| lied(ballot))
            .map(|ballot| ballot.point)
            .collect(),
    })
}

/// The enumeration of the sets S: at most C(16, 8) of them, each one intersection away from its
/// neighbour. A branch whose intersection is already not larger than the best set is left out: what
/// is below it can at most tie, and ties go to the first.
struct Search<'a> {
    opened: &'a [IndexSet],
    size: usize,
    trimmer: &'a Trimmer<'a>,
    /// The stewards chosen so far, as places in `opened`.
    chosen: Vec<usize>,
    best_count: usize,
    best: Option<(Vec<usize>, IndexSet)>,
}

impl<'a> Search<'a> {
    fn new(opened: &'a [IndexSet], size: usize, trimmer: &'a Trimmer<'a>) -> Self {
        Self {
            opened,
            size,
            trimmer,
            chosen: Vec::with_capacity(size),
            best_count: 0,
            best: None,
        }
    }

    fn run(&mut self, submissions: usize) {
        let all = IndexSet::filter(submissions, |_| true);
        self.extend(0, &all);
    }

    fn extend(&mut self, from: usize, common: &IndexSet) {
        if common.count() <= self.best_count {
            return;
        }
        if self.chosen.len() == self.size {
            if let Some(kept) = self.trimmer.cut(common)
                && kept.count() > self.best_count
            {
                self.best_count = kept.count();
                self.best = Some((self.chosen.clone(), kept));
            }
            return;
        }
        let missing = self.size - self.chosen.len();
        let mut narrower = common.clone();
        for place in from..=self.opened.len().saturating_sub(missing) {
            narrower.assign_intersection(common, &self.opened[place]);
            self.chosen.push(place);
            self.extend(place + 1, &narrower);
            self.chosen.pop();
        }
    }
}
