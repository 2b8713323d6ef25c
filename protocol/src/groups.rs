//! The groups that a round's submissions are summed in, when the task asks for it (`docs/protocol.md`, section 4.7).
//!
//! Everybody in the closed list whose header verifies is in one group, drawn by the beacon: nobody knows it before the list
//! is closed, and nothing that is said afterwards moves anybody. What the judgement leaves out is missing in its group,
//! and no accepted set counts in which a group has fewer than the task's least number. So a coalition that
//! sees the beacon can shrink groups and cannot fill one with its own.

use dawn_crypto::digest::{Digest, hash, labels};
use dawn_identity::{BrokenRule, DeviceId};
use dawn_learn::RobustRule;
use minicbor::{Decode, Encode};

use crate::task::Policy;

/// Most coordinates of all group sums of a round together: what opening holds in memory, 4 bytes each.
const MAX_GROUP_WORDS: u64 = 1 << 25;

/// Sums over groups instead of one sum, and the robust rule that makes the next model of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct GroupRule {
    /// Most groups.
    #[n(0)]
    pub most: u8,
    /// Submissions a group: there are as many groups as the closed list has this number, at most `most`.
    #[n(1)]
    pub size: u32,
    /// Fewest accepted submissions of a group. What is between this and `size` is room for submissions that are refused.
    #[n(2)]
    pub least: u32,
    /// How many of a group's accepted are counted on to be honest: what the accountant divides by. At least 2.
    #[n(3)]
    pub honest: u32,
    /// How many of all accepted devices of a round are at most dishonest. Nobody knows in which groups they are, and who sees
    /// the beacon can leave out honest ones: so `honest + dishonest <= least`, and the former are there for certain.
    #[n(4)]
    pub dishonest: u32,
    /// What becomes of the groups' means.
    #[n(5)]
    pub rule: RobustRule,
}

impl GroupRule {
    /// How many groups a list of so many submissions with headers that verify has.
    pub fn count(&self, submissions: usize) -> usize {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX).max(1);
        (submissions / size).clamp(1, usize::from(self.most.max(1)))
    }

    /// The fewest groups of a round that the policy lets open.
    pub fn fewest(&self, policy: &Policy) -> usize {
        self.count(policy.min_accepted as usize)
    }

    /// Whether the groups can be what the task says, in every round that its policy lets open.
    pub(crate) fn check(&self, policy: &Policy, padded: usize) -> Result<(), BrokenRule> {
        BrokenRule::unless(
            2 <= self.honest && self.least <= self.size,
            "2 <= honest, and least <= size of a group",
        )?;
        BrokenRule::unless(
            u64::from(self.honest) + u64::from(self.dishonest) <= u64::from(self.least),
            "the least number of a group has its honest devices and all dishonest ones of a round",
        )?;
        BrokenRule::unless(
            policy.min_accepted.saturating_sub(policy.min_honest) <= self.dishonest,
            "groups count on as many dishonest devices as the policy does, or more",
        )?;
        self.rule
            .check(usize::from(self.most))
            .and_then(|()| self.rule.check(self.fewest(policy)))
            .map_err(|_| {
                BrokenRule("a task's robust rule works with the fewest groups of its policy and with the most")
            })?;
        BrokenRule::unless(
            u64::from(self.most) * padded as u64 <= MAX_GROUP_WORDS,
            "all group sums of a round together have at most 2^25 coordinates",
        )
    }
}

/// Who is in which group of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    of: Vec<Option<u8>>,
    count: usize,
    least: u32,
}

impl Groups {
    /// The groups of a closed list: its submissions with headers that verify, in the order of
    /// `hash(GROUP_ORDER, beacon, device)`; group `j` of `g` is the places from `floor(j n / g)` up to
    /// `floor((j+1) n / g)`.
    ///
    /// `devices` are those of the list in root order, none where the header does not verify.
    pub fn draw(
        rule: &GroupRule,
        beacon: &Digest,
        devices: impl IntoIterator<Item = Option<DeviceId>>,
    ) -> Self {
        let devices: Vec<Option<DeviceId>> = devices.into_iter().collect();
        let mut order: Vec<(Digest, usize)> = devices
            .iter()
            .enumerate()
            .filter_map(|(index, device)| {
                let fields = [&beacon.0[..], device.as_ref()?.as_bytes()];
                Some((hash(labels::GROUP_ORDER, &fields), index))
            })
            .collect();
        order.sort_unstable();
        let count = rule.count(order.len());
        let mut of = vec![None; devices.len()];
        for group in 0..count {
            let cut = |group: usize| group * order.len() / count;
            for (_, index) in &order[cut(group)..cut(group + 1)] {
                of[*index] = u8::try_from(group).ok();
            }
        }
        Self {
            of,
            count,
            least: rule.least,
        }
    }

    /// How many groups there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The group of a submission, by its number in root order; none when its header does not verify.
    pub fn of(&self, index: usize) -> Option<usize> {
        self.of.get(index).copied().flatten().map(usize::from)
    }

    /// How many of these submissions each group has.
    pub fn members(&self, indices: impl IntoIterator<Item = usize>) -> Vec<u32> {
        let mut members = vec![0; self.count];
        for group in indices.into_iter().filter_map(|index| self.of(index)) {
            members[group] += 1;
        }
        members
    }

    /// Whether every group has its least number of these submissions.
    pub(crate) fn allow(&self, indices: impl IntoIterator<Item = usize>) -> bool {
        self.members(indices)
            .iter()
            .all(|members| *members >= self.least)
    }
}
