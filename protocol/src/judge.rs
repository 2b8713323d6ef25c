//! Which submissions are in the sum (`docs/protocol.md`, section 4.6). A pure function of the
//! closed roll, the reports and the policy: everybody computes the same.
//!
//! 1. A submission is *valid* when its header verifies and at least A stewards report `Ok` on it.
//! 2. The opening set: among all sets S of exactly A reporting stewards, in lexicographic order of
//!    their points, take `U(S)` = the valid submissions on which all of S report `Ok`, cut by the
//!    policy ([`crate::policy`]). Sets whose `U(S)` misses the policy's minima are out. The largest
//!    `U(S)` is the accepted set, the first S wins ties. So a device that fails at one steward, or
//!    a steward that complains about everybody, costs at most itself.
//! 3. *Openers* are all reporting stewards with `Ok` on all of the accepted set: at least S.

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use crate::policy::{IndexSet, Trimmer};
use crate::roll::Roll;
use crate::statements::{Decision, Outcome};
use crate::task::Policy;
use crate::terminal::AbortReason;
use dawn_crypto::digest::Digest;
use dawn_crypto::shamir::Threshold;

/// The findings of one reporting steward.
#[derive(Clone, Copy, Debug)]
pub struct Ballot<'a> {
    /// The steward's evaluation point.
    pub point: u8,
    /// One finding per submission, in root order.
    pub outcomes: &'a [Outcome],
}

/// What follows from the reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// One decision per submission, in root order.
    pub decisions: Vec<Decision>,
    /// The points of the stewards that may open, increasing; at least A.
    pub openers: Vec<u8>,
}

/// Decides about every submission of a roll whose closed root is `root`.
///
/// `ballots` are of distinct stewards in increasing point, with one finding per submission;
/// [`crate::RoundClosed`] makes sure of that.
///
/// # Errors
/// [`AbortReason::TooFewReports`] with fewer than A ballots; [`AbortReason::Policy`] when no set
/// meets the policy.
pub fn judge(
    threshold: &Threshold,
    policy: &Policy,
    root: &Digest,
    roll: &Roll,
    ballots: &[Ballot<'_>],
) -> Result<Judgement, AbortReason> {
    let least = usize::from(threshold.a());
    if ballots.len() < least {
        return Err(AbortReason::TooFewReports);
    }
    let entries = roll.entries();
    let opened: Vec<IndexSet> = ballots
        .iter()
        .map(|ballot| {
            IndexSet::filter(entries.len(), |index| {
                entries[index].refused.is_none() && ballot.outcomes.get(index) == Some(&Outcome::Ok)
            })
        })
        .collect();
    let trimmer = Trimmer::new(policy, root, entries);
    let mut search = Search::new(&opened, least, &trimmer);
    search.run(entries.len());
    let Some((chosen, accepted)) = search.best else {
        return Err(AbortReason::Policy);
    };
    let decide = |index: usize| {
        let holders = opened.iter().filter(|set| set.contains(index)).count();
        if entries[index].refused.is_some() {
            Decision::BadHeader
        } else if holders < least {
            Decision::TooFewStewards
        } else if accepted.contains(index) {
            Decision::Accepted
        } else if chosen.iter().all(|place| opened[*place].contains(index)) {
            Decision::OrganisationShare
        } else {
            Decision::OutsideOpeningSet
        }
    };
    let openers = ballots.iter().zip(&opened);
    Ok(Judgement {
        decisions: (0..entries.len()).map(decide).collect(),
        openers: openers
            .filter(|(_, set)| accepted.is_subset(set))
            .map(|(ballot, _)| ballot.point)
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
