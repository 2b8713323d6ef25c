//! How likely a group of a round has fewer honest devices than the accountant counts on (`docs/protocol.md`, section 4.8).
//!
//! A policy counts on `min_honest` of any `min_accepted` accepted devices: at most `M = min_accepted - min_honest` of those
//! that submit are not honest. The beacon puts them into groups; what happens afterwards moves nobody, and leaves every
//! group that is opened at least `least` accepted devices. So a group has fewer than `honest` honest ones only if the beacon
//! put more than `least - honest` of the M into it: a hypergeometric tail, over all groups, and over all beacons that an
//! aggregator can choose from.

use dawn_crypto::shamir::Threshold;

use crate::groups::GroupRule;
use crate::task::Policy;

/// What rounding of logarithms and exponentials can add.
const ROUNDING: f64 = 1.0 + 1e-9;

/// The probability that of `drawn` out of `population`, of whom `marked` are marked, at least `least` are marked; within
/// a factor of `1 +- 10^-9`. 1 when there are not so many to draw or to mark.
pub fn hypergeometric_tail(population: u32, marked: u32, drawn: u32, least: u32) -> f64 {
    if least == 0 || marked > population || drawn > population {
        return 1.0;
    }
    let mut factorials = vec![0f64];
    let mut last = 0f64;
    for n in 1..=population {
        last += f64::from(n).ln();
        factorials.push(last);
    }
    let choose = |n: u32, k: u32| {
        let [n, k, rest] = [n, k, n - k].map(|i| factorials[i as usize]);
        n - k - rest
    };
    let all = choose(population, drawn);
    (least..=marked.min(drawn))
        .filter(|k| drawn - k <= population - marked)
        .map(|k| (choose(marked, k) + choose(population - marked, drawn - k) - all).exp())
        .sum::<f64>()
        .min(1.0)
}

impl GroupRule {
    /// How many of a group have to be dishonest for it to have fewer honest devices than counted on, and how many of a
    /// round are at most.
    fn dishonest(&self, policy: &Policy) -> (u32, u32) {
        let needed = self.least.saturating_sub(self.honest) + 1;
        (
            needed,
            policy.min_accepted.saturating_sub(policy.min_honest),
        )
    }

    /// A bound on the probability that some group of a round with so many submissions has fewer honest devices than counted
    /// on, for one beacon: exact for a group, added up over the groups.
    pub fn short_with(&self, policy: &Policy, submissions: u32) -> f64 {
        let (needed, dishonest) = self.dishonest(policy);
        let groups = self.count(submissions as usize) as u32;
        let largest = submissions.div_ceil(groups);
        let tail = hypergeometric_tail(submissions, dishonest.min(submissions), largest, needed);
        (f64::from(groups) * tail * ROUNDING).min(1.0)
    }

    /// A bound on the probability that some group of a round has fewer honest devices than counted on, for every number of
    /// submissions, by an aggregator that chooses which T of m parts make the beacon.
    ///
    /// A hypergeometric tail is at most `exp(-M KL(t/M, p))` when `t > M p`, `p` being the share of a group and KL the
    /// divergence of two coins (Hoeffding 1963); with `N` submissions in `g` groups `p <= 1/g + 1/N`.
    pub fn short(&self, policy: &Policy, threshold: &Threshold) -> f64 {
        let (needed, dishonest) = self.dishonest(policy);
        if needed > dishonest {
            return 0.0;
        }
        let beacons = (0..threshold.t()).fold(1.0, |product, i| {
            product * f64::from(threshold.m() - i) / f64::from(i + 1)
        });
        let share = f64::from(needed) / f64::from(dishonest);
        let of_groups = |groups: u32| {
            let submissions = policy.min_accepted.max(groups.saturating_mul(self.size));
            let p = 1.0 / f64::from(groups) + 1.0 / f64::from(submissions);
            if share <= p || p >= 1.0 {
                return 1.0;
            }
            let part = |a: f64, b: f64| if a > 0.0 { a * (a / b).ln() } else { 0.0 };
            let divergence = part(share, p) + part(1.0 - share, 1.0 - p);
            f64::from(groups) * (-f64::from(dishonest) * divergence).exp()
        };
        let fewest = self.fewest(policy) as u32;
        let worst = (fewest..=self.most.into())
            .map(of_groups)
            .fold(0.0, f64::max);
        (beacons * worst * ROUNDING).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_learn::{Aggregation, RobustRule};

    fn rule(size: u32, least: u32, honest: u32) -> GroupRule {
        GroupRule {
            most: 8,
            size,
            least,
            honest,
            rule: RobustRule {
                aggregation: Aggregation::Median,
                mixing: None,
            },
        }
    }

    fn policy(min_accepted: u32, min_honest: u32) -> Policy {
        Policy {
            min_accepted,
            min_honest,
            min_organisations: 1,
            max_org_share_permille: 1000,
            max_submissions: 50_000,
            target_submissions: 50_000,
        }
    }

    /// Of 5 with 2 marked, 3 drawn: none in 1 of 10, both in 3 of 10 ways.
    #[test]
    fn tails_are_those_of_counting() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(hypergeometric_tail(5, 2, 3, 0), 1.0);
        close(hypergeometric_tail(5, 2, 3, 1), 0.9);
        close(hypergeometric_tail(5, 2, 3, 2), 0.3);
        close(hypergeometric_tail(5, 2, 3, 3), 0.0);
        close(hypergeometric_tail(5, 5, 3, 3), 1.0);
        // Forty of two hundred, at least ten of the forty drawn: by exact fractions.
        close(hypergeometric_tail(200, 40, 40, 10), 0.249_081_550_837);
        assert_eq!(hypergeometric_tail(5, 6, 3, 1), 1.0);
    }

    /// The bound for all numbers of submissions is above the exact one for each.
    #[test]
    fn the_bound_is_above_every_exact_probability() {
        let threshold = Threshold::new(2, 0).expect("2 stewards");
        for (min_accepted, min_honest) in [(120, 100), (200, 160), (400, 390)] {
            let policy = policy(min_accepted, min_honest);
            for honest in [2, 10, 20, 29] {
                let rule = rule(40, 30, honest);
                let bound = rule.short(&policy, &threshold);
                for submissions in min_accepted..min_accepted + 400 {
                    let exact = rule.short_with(&policy, submissions);
                    assert!(exact <= bound, "{submissions} {honest}: {exact} {bound}");
                }
            }
        }
    }

    #[test]
    fn groups_that_cannot_be_short_are_not_and_choices_of_beacons_count() {
        let few = policy(200, 190);
        let six = Threshold::new(6, 1).expect("6 stewards");
        assert_eq!(rule(40, 30, 20).short(&few, &six), 0.0);
        let policy = policy(200, 160);
        let two = Threshold::new(2, 0).expect("2 stewards");
        let (one, many) = (
            rule(40, 30, 5).short(&policy, &two),
            rule(40, 30, 5).short(&policy, &six),
        );
        assert!(one > 0.0 && one < 1e-6, "{one}");
        // The aggregator chooses 4 parts of 6.
        assert!((many / one - 15.0).abs() < 1e-6, "{one} {many}");
        assert_eq!(rule(40, 30, 29).short(&policy, &six), 1.0);
    }
}
