//! What the choice of the accepted set guarantees, against liars, failing devices and large rounds.

use dawn_crypto::digest::Digest;
use dawn_crypto::norm::NormSeeds;
use dawn_crypto::shamir::Threshold;
use dawn_identity::{DeviceId, OrgId};
use proptest::prelude::*;

use super::{Ballot, Judgement, judge};
use crate::examine::{Examined, Finding};
use crate::roll::{Entry, Roll};
use crate::statements::{Decision, Outcome};
use crate::task::Policy;
use crate::terminal::AbortReason;
use crate::violation::{Culprit, Rule, Violation};

use Decision::{Accepted, BadHeader, OrganisationShare, OutsideOpeningSet, TooFewStewards};
use Outcome::{CommitmentMismatch as Bad, Ok as Good};

const ROOT: Digest = Digest([4; 32]);

fn number(index: usize) -> Digest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
    Digest(bytes)
}

/// A roll of devices of these organisations.
fn roll(organisations: impl IntoIterator<Item = usize>) -> Roll {
    let entry = |(index, org): (usize, usize)| Entry {
        device: DeviceId(number(index)),
        org: OrgId(number(org)),
        leaf: number(index),
        header: number(index),
        payload: number(index),
        noise: None,
        norm: NormSeeds {
            projection: number(index),
            joint: number(index),
        },
        refused: None,
    };
    Roll::from_entries(
        organisations.into_iter().enumerate().map(entry).collect(),
        dawn_identity::RegisterHead::empty(&dawn_crypto::digest::Digest([0; 32])),
    )
}

fn open_policy() -> Policy {
    Policy {
        min_accepted: 1,
        min_honest: 2,
        min_organisations: 1,
        max_org_share_permille: 1000,
        max_submissions: 50_000,
        target_submissions: 50_000,
    }
}

fn run(
    (m, f): (u8, u8),
    policy: &Policy,
    roll: &Roll,
    reports: &[(u8, Vec<Outcome>)],
) -> Result<Judgement, AbortReason> {
    run_with((m, f), policy, roll, reports, &honest(roll.len()))
}

fn run_with(
    (m, f): (u8, u8),
    policy: &Policy,
    roll: &Roll,
    reports: &[(u8, Vec<Outcome>)],
    findings: &[Finding],
) -> Result<Judgement, AbortReason> {
    let ballots: Vec<Ballot<'_>> = reports
        .iter()
        .map(|(point, outcomes)| Ballot {
            point: *point,
            outcomes,
        })
        .collect();
    judge(
        &Threshold::new(m, f).unwrap(),
        policy,
        0,
        &ROOT,
        roll,
        None,
        &ballots,
        findings,
    )
}

/// Everybody answers rightly, and every submission is valid.
fn honest(count: usize) -> Vec<Finding> {
    let honest = Finding {
        agreeing: u16::MAX,
        lied: 0,
        result: Examined::Valid,
    };
    vec![honest; count]
}

fn all_good(points: impl IntoIterator<Item = u8>, count: usize) -> Vec<(u8, Vec<Outcome>)> {
    points.into_iter().map(|p| (p, vec![Good; count])).collect()
}

#[test]
fn honest_reports_accept_everybody() {
    let roll = roll([0, 1, 2, 0, 1]);
    let judged = run((6, 1), &open_policy(), &roll, &all_good(1..=6, 5)).unwrap();
    assert_eq!(judged.decisions, [Accepted; 5]);
    assert_eq!(judged.openers, [1, 2, 3, 4, 5, 6]);
    let five = run((6, 1), &open_policy(), &roll, &all_good([1, 2, 4, 5, 6], 5)).unwrap();
    assert_eq!(five.openers, [1, 2, 4, 5, 6]);
    let four = run((6, 1), &open_policy(), &roll, &all_good(1..=4, 5));
    assert_eq!(four, Err(AbortReason::TooFewReports));
}

/// A steward that complains about everybody costs nobody anything, wherever it sits.
#[test]
fn a_liar_that_complains_about_everybody_is_left_out() {
    let roll = roll([0; 7]);
    for (m, f) in [(6u8, 1u8), (8, 1), (11, 2), (16, 3)] {
        for liar in 1..=m {
            let mut reports = all_good(1..=m, 7);
            reports[usize::from(liar) - 1].1 = vec![Bad; 7];
            let judged = run((m, f), &open_policy(), &roll, &reports).unwrap();
            assert_eq!(judged.decisions, [Accepted; 7]);
            assert_eq!(judged.openers.len(), usize::from(m) - 1);
            assert!(!judged.openers.contains(&liar));
        }
    }
    // As many as may be away.
    let mut reports = all_good(1..=11, 7);
    reports[3].1 = vec![Bad; 7];
    reports[9].1 = vec![Outcome::Unsealable; 7];
    let judged = run((11, 2), &open_policy(), &roll, &reports).unwrap();
    assert_eq!(judged.decisions, [Accepted; 7]);
    assert_eq!(judged.openers, [1, 2, 3, 5, 6, 7, 8, 9, 11]);
}

#[test]
fn a_device_that_fails_at_one_steward_counts_and_at_two_does_not() {
    let roll = roll([0, 1, 2]);
    let mut reports = all_good(1..=6, 3);
    reports[5].1[0] = Bad;
    let judged = run((6, 1), &open_policy(), &roll, &reports).unwrap();
    assert_eq!(judged.decisions, [Accepted; 3]);
    assert_eq!(judged.openers, [1, 2, 3, 4, 5]);
    reports[4].1[0] = Bad;
    let judged = run((6, 1), &open_policy(), &roll, &reports).unwrap();
    assert_eq!(judged.decisions, [TooFewStewards, Accepted, Accepted]);
    assert_eq!(judged.openers, [1, 2, 3, 4, 5, 6]);
}

/// Devices that knock out different stewards cannot all be in one opening set.
#[test]
fn the_largest_common_set_wins_and_ties_go_to_the_first() {
    let roll = roll([0, 1, 2, 3, 4]);
    let mut reports = all_good(1..=6, 5);
    // Devices 0 and 1 fail at steward 6, device 2 at steward 1.
    reports[5].1[0] = Bad;
    reports[5].1[1] = Bad;
    reports[0].1[2] = Bad;
    let judged = run((6, 1), &open_policy(), &roll, &reports).unwrap();
    assert_eq!(
        judged.decisions,
        [Accepted, Accepted, OutsideOpeningSet, Accepted, Accepted]
    );
    assert_eq!(judged.openers, [1, 2, 3, 4, 5]);
    // One each: {1..5} without device 2, or {2..6} without device 0. The first wins.
    reports[5].1[1] = Good;
    let judged = run((6, 1), &open_policy(), &roll, &reports).unwrap();
    assert_eq!(
        judged.decisions,
        [Accepted, Accepted, OutsideOpeningSet, Accepted, Accepted]
    );
}

/// Who answers wrongly does not hold the submission, is named, and costs nobody anything.
#[test]
fn a_liar_about_everybody_or_somebody_is_named_and_left_out() {
    let roll = roll([0; 4]);
    let reports = all_good(1..=6, 4);
    let wrong = |liar: u8, from: usize| {
        let mut findings = honest(4);
        for finding in &mut findings[from..] {
            finding.lied = 1 << (liar - 1);
            finding.agreeing &= !finding.lied;
        }
        findings
    };
    for liar in 1..=6u8 {
        for from in [0, 3] {
            let judged =
                run_with((6, 1), &open_policy(), &roll, &reports, &wrong(liar, from)).unwrap();
            assert_eq!(judged.decisions, [Accepted; 4]);
            assert_eq!(judged.openers.len(), 5);
            assert!(!judged.openers.contains(&liar));
            assert_eq!(judged.liars, [liar]);
        }
    }
    // A lie about a submission that is not accepted: named, and holds all that is.
    let mut findings = wrong(2, 3);
    findings[3].result = Examined::Norm;
    let judged = run_with((6, 1), &open_policy(), &roll, &reports, &findings).unwrap();
    assert_eq!(judged.decisions[3], Decision::Norm);
    assert_eq!((judged.openers.len(), judged.liars), (6, vec![2]));
    // Findings about stewards that did not report Ok say nothing about them.
    let mut reports = reports;
    reports[1].1[3] = Bad;
    let judged = run_with((6, 1), &open_policy(), &roll, &reports, &findings).unwrap();
    assert!(judged.liars.is_empty());
}

#[test]
fn what_is_found_decides() {
    let roll = roll([0; 5]);
    let mut findings = honest(5);
    let results = [
        Examined::Disagree,
        Examined::Projection,
        Examined::Norm,
        Examined::TooFew,
    ];
    for (finding, result) in findings.iter_mut().zip(results) {
        finding.result = result;
    }
    let reports = all_good(1..=6, 5);
    let judged = run_with((6, 1), &open_policy(), &roll, &reports, &findings).unwrap();
    let expected = [
        Decision::AnswersDisagree,
        Decision::Projection,
        Decision::Norm,
        TooFewStewards,
        Accepted,
    ];
    assert_eq!(judged.decisions, expected);
    assert_eq!(judged.openers, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn refused_headers_count_for_nothing_whatever_stewards_say() {
    let mut entries = roll([0, 1, 2]).entries().to_vec();
    let why = Violation::new(Culprit::Device(entries[1].device), Rule::Signature, "");
    entries[1].refused = Some(Box::new(why));
    let roll = Roll::from_entries(
        entries,
        dawn_identity::RegisterHead::empty(&dawn_crypto::digest::Digest([0; 32])),
    );
    let judged = run((6, 1), &open_policy(), &roll, &all_good(1..=6, 3)).unwrap();
    assert_eq!(judged.decisions, [Accepted, BadHeader, Accepted]);
    assert_eq!(judged.openers, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_victim_with_many_devices_of_one_organisation_is_not_opened() {
    // One device of organisation 0, forty of organisation 1.
    let roll = roll(std::iter::once(0).chain([1; 40]));
    let half = Policy {
        max_org_share_permille: 500,
        min_accepted: 3,
        min_organisations: 2,
        ..open_policy()
    };
    let judged = run((6, 1), &half, &roll, &all_good(1..=6, 41));
    assert_eq!(judged, Err(AbortReason::Policy));
    // With a third organisation the large one is cut to its share.
    let roll = self::roll([0; 10].into_iter().chain([1; 40]).chain([2; 10]));
    let judged = run((6, 1), &half, &roll, &all_good(1..=6, 60)).unwrap();
    let of = |org: usize, decision| {
        let entries = roll.entries().iter().zip(&judged.decisions);
        entries
            .filter(|(e, d)| e.org == OrgId(number(org)) && **d == decision)
            .count()
    };
    assert_eq!(
        (of(0, Accepted), of(1, Accepted), of(2, Accepted)),
        (10, 20, 10)
    );
    assert_eq!(of(1, OrganisationShare), 20);
    // Who stays depends on the root, not only on the devices' names.
    let other = judge(
        &Threshold::new(6, 1).unwrap(),
        &half,
        0,
        &Digest([5; 32]),
        &roll,
        None,
        &[1u8, 2, 3, 4, 5].map(|point| Ballot {
            point,
            outcomes: &[Good; 60],
        }),
        &honest(60),
    )
    .unwrap();
    assert_ne!(other.decisions, judged.decisions);
}

/// A set that misses the minima is passed over for a smaller one that meets them.
#[test]
fn minima_choose_among_the_sets() {
    let roll = roll([0, 0, 0, 0, 1, 1]);
    let two = Policy {
        min_organisations: 2,
        ..open_policy()
    };
    let mut reports = all_good(1..=6, 6);
    // Steward 1 misses organisation 1, steward 6 misses three of organisation 0.
    reports[0].1[4] = Bad;
    reports[0].1[5] = Bad;
    for device in 0..3 {
        reports[5].1[device] = Bad;
    }
    let judged = run((6, 1), &two, &roll, &reports).unwrap();
    assert_eq!(judged.openers, [2, 3, 4, 5, 6]);
    let judged = run((6, 1), &open_policy(), &roll, &reports).unwrap();
    assert_eq!(judged.openers, [1, 2, 3, 4, 5]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is reported: the accepted set is opened by at least A stewards that hold all of it,
    /// meets the policy, and no set of A stewards would allow a larger one.
    #[test]
    fn accepted_sets_are_held_allowed_and_largest(
        organisations in prop::collection::vec(0usize..4, 1..20),
        seed in prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.8), 20), 6),
        permille in 300u16..=1000,
        min_accepted in 1u32..6,
    ) {
        let count = organisations.len();
        let roll = roll(organisations.clone());
        let policy = Policy { max_org_share_permille: permille, min_accepted, ..open_policy() };
        let reports: Vec<(u8, Vec<Outcome>)> = (1u8..=6).zip(&seed).map(|(point, good)| {
            (point, good[..count].iter().map(|g| if *g { Good } else { Bad }).collect())
        }).collect();
        let holds = |point: u8, index: usize| reports[usize::from(point) - 1].1[index] == Good;
        // The size that the policy leaves of a set, by the definition.
        let size = |set: &[usize]| -> u64 {
            let counts: Vec<u64> = (0..4)
                .map(|org| set.iter().filter(|i| organisations[**i] == org).count() as u64)
                .collect();
            let total = |cap: u64| counts.iter().map(|n| (*n).min(cap)).sum::<u64>();
            let cap = (0..=20).rev().find(|c| 1000 * c <= u64::from(permille) * total(*c)).unwrap();
            if total(cap) >= u64::from(min_accepted) { total(cap) } else { 0 }
        };
        // With A = 5 of 6, a set S leaves out one steward.
        let best = (1u8..=6).map(|away| {
            let set: Vec<usize> = (0..count)
                .filter(|i| (1u8..=6).all(|p| p == away || holds(p, *i)))
                .collect();
            size(&set)
        }).max().unwrap();
        match run((6, 1), &policy, &roll, &reports) {
            Err(reason) => {
                prop_assert_eq!(reason, AbortReason::Policy);
                prop_assert_eq!(best, 0);
            }
            Ok(judged) => {
                let accepted: Vec<usize> =
                    (0..count).filter(|i| judged.decisions[*i] == Accepted).collect();
                prop_assert_eq!(accepted.len() as u64, best);
                prop_assert_eq!(size(&accepted), best);
                prop_assert!(judged.openers.len() >= 5);
                for point in 1u8..=6 {
                    let holds_all = accepted.iter().all(|i| holds(point, *i));
                    prop_assert_eq!(judged.openers.contains(&point), holds_all);
                }
            }
        }
    }
}

/// The largest round with the largest roster and reports that agree on little.
#[test]
fn the_largest_round_is_judged() {
    let count = 50_000;
    let roll = roll((0..count).map(|i| i % 40));
    let reports: Vec<(u8, Vec<Outcome>)> = (1u8..=16)
        .map(|point| {
            let bad = |i: usize| (i * 31 + usize::from(point) * 7).is_multiple_of(97);
            let outcomes = (0..count).map(|i| if bad(i) { Bad } else { Good });
            (point, outcomes.collect())
        })
        .collect();
    let judged = run((16, 1), &open_policy(), &roll, &reports).unwrap();
    let accepted = judged.decisions.iter().filter(|d| **d == Accepted).count();
    assert!(judged.openers.len() >= 10);
    assert!(accepted > 44_000, "{accepted}");
}
