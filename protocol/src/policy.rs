//! Cutting a set of submissions down to what the task's policy allows
//! (`docs/protocol.md`, section 4.6).
//!
//! No organisation may have more than its share of the accepted set: a set of one victim and many
//! devices of one organisation would open the victim. The cut is to the *largest* cap `c` such that
//! `1000 c <= max_org_share_permille * sum over organisations of min(n_o, c)`. The right side is
//! concave in `c` and both sides are 0 at 0, so that the caps that fit are an interval from 0 and
//! the largest is found by bisection. Of an organisation with more than `c`, the `c` first in an
//! order that depends on the closed root stay, so that it is not always the same devices that go.

use std::collections::BTreeMap;

use dawn_crypto::digest::{Digest, hash, labels};
use dawn_identity::OrgId;

use crate::groups::Groups;
use crate::roll::Entry;
use crate::task::Policy;

/// A set of submissions, by their index in root order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexSet {
    words: Vec<u64>,
    len: usize,
}

impl IndexSet {
    /// Those of `0..len` that fulfil a condition.
    pub(crate) fn filter(len: usize, keep: impl Fn(usize) -> bool) -> Self {
        let mut set = Self {
            words: vec![0; len.div_ceil(64)],
            len,
        };
        for index in (0..len).filter(|index| keep(*index)) {
            set.words[index / 64] |= 1 << (index % 64);
        }
        set
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    fn remove(&mut self, index: usize) {
        self.words[index / 64] &= !(1 << (index % 64));
    }

    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Becomes the intersection of two sets of the same range.
    pub(crate) fn assign_intersection(&mut self, left: &Self, right: &Self) {
        for (out, (a, b)) in self
            .words
            .iter_mut()
            .zip(left.words.iter().zip(&right.words))
        {
            *out = a & b;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len).filter(|index| self.contains(*index))
    }

    pub(crate) fn is_subset(&self, of: &Self) -> bool {
        self.words.iter().zip(&of.words).all(|(a, b)| a & !b == 0)
    }
}

/// The policy applied to one round's submissions; prepared once, applied to many sets.
pub(crate) struct Trimmer<'a> {
    policy: &'a Policy,
    /// Fewest stewards whose noise is in a set.
    least_noise: usize,
    /// For each submission of a device, its organisation's number; none of a steward's noise, which belongs to none.
    org_of: Vec<Option<usize>>,
    /// For each organisation, its submissions in the order in which they stay.
    order: Vec<Vec<usize>>,
    groups: Option<&'a Groups>,
}

impl<'a> Trimmer<'a> {
    pub(crate) fn new(
        policy: &'a Policy,
        least_noise: usize,
        root: &Digest,
        entries: &[Entry],
        groups: Option<&'a Groups>,
    ) -> Self {
        let mut numbers: BTreeMap<OrgId, usize> = BTreeMap::new();
        let mut order: Vec<Vec<(Digest, usize)>> = Vec::new();
        let mut org_of = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            if entry.noise.is_some() {
                org_of.push(None);
                continue;
            }
            let number = *numbers.entry(entry.org).or_insert(order.len());
            if number == order.len() {
                order.push(Vec::new());
            }
            let rank = hash(labels::ORG_TRIM, &[&root.0, entry.device.as_bytes()]);
            order[number].push((rank, index));
            org_of.push(Some(number));
        }
        let order = order
            .into_iter()
            .map(|mut ranked| {
                ranked.sort_unstable();
                ranked.into_iter().map(|(_, index)| index).collect()
            })
            .collect();
        Self {
            policy,
            least_noise,
            org_of,
            order,
            groups,
        }
    }

    /// Cuts a set to the largest cap that fits. `None` when what is left misses the policy's minima.
    pub(crate) fn cut(&self, set: &IndexSet) -> Option<IndexSet> {
        let mut counts = vec![0u64; self.order.len()];
        let mut noise = 0;
        for index in set.iter() {
            match self.org_of[index] {
                Some(number) => counts[number] += 1,
                None => noise += 1,
            }
        }
        let cap = largest_cap(&counts, u64::from(self.policy.max_org_share_permille));
        let mut kept = set.clone();
        for (order, _) in self.order.iter().zip(&counts).filter(|(_, n)| **n > cap) {
            let cap = usize::try_from(cap).unwrap_or(usize::MAX);
            let members = order.iter().filter(|index| set.contains(**index));
            members.skip(cap).for_each(|index| kept.remove(*index));
        }
        let organisations = counts.iter().filter(|n| (**n).min(cap) > 0).count();
        let accepted: u64 = counts.iter().map(|n| (*n).min(cap)).sum();
        let meets = accepted >= u64::from(self.policy.min_accepted)
            && noise >= self.least_noise
            && organisations >= usize::from(self.policy.min_organisations)
            && self.groups.is_none_or(|groups| groups.allow(kept.iter()));
        meets.then_some(kept)
    }
}

/// The largest `c` with `1000 c <= permille * sum(min(n, c))`, at most the largest count.
fn largest_cap(counts: &[u64], permille: u64) -> u64 {
    let fits = |cap: u64| {
        let total: u64 = counts.iter().map(|n| (*n).min(cap)).sum();
        1000 * cap <= permille * total
    };
    let (mut low, mut high) = (0, counts.iter().copied().max().unwrap_or(0));
    while low < high {
        let middle = high - (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the definition: the largest cap of all.
        #[test]
        fn cap_is_the_largest_that_fits(
            counts in prop::collection::vec(0u64..200, 0..12),
            permille in 1u64..=1000,
        ) {
            let fits = |cap: &u64| {
                let total: u64 = counts.iter().map(|n| *n.min(cap)).sum();
                1000 * cap <= permille * total
            };
            let most = counts.iter().copied().max().unwrap_or(0);
            let expected = (0..=most).rev().find(fits).unwrap_or(0);
            prop_assert_eq!(largest_cap(&counts, permille), expected);
        }
    }

    #[test]
    fn equal_organisations_are_not_cut_and_a_lone_one_is_cut_to_nothing() {
        assert_eq!(largest_cap(&[10, 10, 10], 334), 10);
        assert_eq!(largest_cap(&[10, 10, 10], 333), 0);
        assert_eq!(largest_cap(&[100], 999), 0);
        assert_eq!(largest_cap(&[100], 1000), 100);
        assert_eq!(largest_cap(&[100, 10, 10, 10], 500), 30);
    }

    #[test]
    fn sets_count_and_intersect_across_words() {
        let even = IndexSet::filter(130, |i| i % 2 == 0);
        let third = IndexSet::filter(130, |i| i % 3 == 0);
        let mut both = even.clone();
        both.assign_intersection(&even, &third);
        assert_eq!(even.count(), 65);
        assert_eq!(
            both.iter().collect::<Vec<_>>(),
            (0..130).step_by(6).collect::<Vec<_>>()
        );
        assert!(both.is_subset(&third) && !third.is_subset(&both));
    }
}
