//! Rounds of tasks that ask for sums over groups.

use std::collections::BTreeSet;

use dawn_crypto::field;
use dawn_crypto::mask::{add_assign, parse_payload};
use dawn_crypto::shamir::ShareSum;
use dawn_identity::Signed;
use dawn_identity::Statement as _;
use dawn_learn::{Aggregation, GroupSum, RobustRule, apply_mean, apply_update};
use dawn_protocol::digests::model_digest;
use dawn_protocol::phase::JudgeError;
use dawn_protocol::{
    AbortReason, Culprit, GroupRule, GroupSums, Judged, Opening, Outcome, Policy, Rule,
    SubmissionHeader, Task, TaskOptions,
};

use crate::assert_violates;
use crate::reporting::Reported;
use crate::world::{ClosedRound, Round, World};

pub const RULE: GroupRule = GroupRule {
    most: 3,
    size: 3,
    least: 2,
    honest: 2,
    dishonest: 0,
    rule: RobustRule {
        aggregation: Aggregation::Median,
        mixing: None,
    },
};

/// A task that asks for three groups of three devices or more.
pub fn in_groups(task: &mut Task) {
    task.policy.min_accepted = 9;
    task.policy.min_honest = 9;
    task.options.groups = Some(RULE);
}

/// Eleven devices of six organisations; device i submits i everywhere.
fn closed_round(world: &mut World) -> (Round, ClosedRound) {
    let round = world.first_round();
    let submissions = world.submissions(&round, &[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4]);
    let closed = world.close(&round, submissions);
    (round, closed)
}

/// What every device of [`closed_round`] submits, in root order: a world of the same seed makes the same devices.
fn submitted(closed: &ClosedRound) -> Vec<i64> {
    let mut world = World::with_task(6, 1, in_groups);
    let round = world.first_round();
    let again = world.submissions(&round, &[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4]);
    let device = |header: &Signed<SubmissionHeader>| header.peek().credential.claimed_device();
    let value = |header| {
        again
            .iter()
            .position(|made| device(&made.header) == device(header))
    };
    let values = closed.submissions.iter().map(|made| value(&made.header));
    values.map(|place| place.unwrap() as i64 + 1).collect()
}

fn group_of(closed: &ClosedRound, index: usize) -> usize {
    closed.challenged.groups().unwrap().of(index).unwrap()
}

impl World {
    /// A steward's honest sums.
    pub fn group_sums(
        &self,
        round: &Round,
        closed: &ClosedRound,
        judged: &Judged,
        point: u8,
    ) -> GroupSums {
        let mut sums = GroupSums::zero(3);
        for index in judged.verdict().accepted() {
            let share = self.package(round, closed, point, index).unwrap().key;
            let sum = sums.group_mut(group_of(closed, index)).unwrap();
            sum.add_assign(&share);
        }
        sums
    }

    pub fn group_opening(&self, judged: &Judged, point: u8, sums: &GroupSums) -> Signed<Opening> {
        self.by_steward(&judged.group_opening(self.steward_id(point), sums), point)
    }

    pub fn masked_sums(&self, closed: &ClosedRound, judged: &Judged) -> Vec<Vec<u32>> {
        let mut sums = vec![vec![0; self.context.dimension().padded()]; 3];
        for index in judged.verdict().accepted() {
            let words = parse_payload(&closed.submissions[index].payload).unwrap();
            add_assign(&mut sums[group_of(closed, index)], &words);
        }
        sums
    }
}

/// The round, judged, with all stewards' sums.
struct Case {
    world: World,
    closed: ClosedRound,
    judged: Judged,
    sums: Vec<GroupSums>,
}

fn case() -> Case {
    let mut world = World::with_task(6, 1, in_groups);
    let (round, closed) = closed_round(&mut world);
    let reports = world.reports(&round, &closed, &[1, 2, 3, 4, 5, 6]);
    let (judged, _) = world.judge(&closed, &reports);
    assert_eq!(judged.verdict().accepted_count(), 11);
    let sums = (1..=6).map(|point| world.group_sums(&round, &closed, &judged, point));
    Case {
        sums: sums.collect(),
        world,
        closed,
        judged,
    }
}

impl Case {
    fn open(&self, points: &[u8], sums: &[GroupSums]) -> Result<dawn_protocol::Opened, JudgeError> {
        let openings: Vec<_> = points
            .iter()
            .zip(sums)
            .map(|(point, sums)| self.world.group_opening(&self.judged, *point, sums))
            .collect();
        let masked = self.world.masked_sums(&self.closed, &self.judged);
        self.judged.open_groups(&masked, &openings, sums)
    }
}

/// A sum with `change` added to its first element.
fn off(sum: &ShareSum, change: u32) -> ShareSum {
    let mut words = sum.elements().to_vec();
    words[0] = field::add(words[0], change);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    ShareSum::from_bytes(&bytes).unwrap()
}

#[test]
fn every_group_opens_to_the_sum_of_its_devices() {
    let case = case();
    let members = case.judged.members().unwrap();
    assert_eq!(members.iter().sum::<u32>(), 11);
    assert!(members.iter().all(|members| [3, 4].contains(members)));
    let opened = case.open(&[1, 2, 3, 4, 5, 6], &case.sums).unwrap();
    assert!(opened.culprits().is_empty());
    assert_eq!(opened.points(), [1, 2, 3, 4]);
    let mut expected = [0i64; 3];
    for (index, value) in submitted(&case.closed).into_iter().enumerate() {
        expected[group_of(&case.closed, index)] += value;
    }
    for (sum, expected) in opened.sums().iter().zip(expected) {
        for value in sum {
            // 16 deviations of four devices.
            assert!(
                (i64::from(*value) - expected).abs() <= 4 * 102,
                "{value} {expected}"
            );
        }
    }
    let total = |i: usize| opened.sums().iter().map(|sum| sum[i]).sum::<i32>();
    assert!((0..10).all(|i| opened.sum()[i] == total(i)));

    // The model follows from the rule, and the result from both.
    let before = case.world.context.initial_model().unwrap();
    let next = opened.next_model(&before).unwrap();
    let groups: Vec<GroupSum<'_>> = opened
        .sums()
        .iter()
        .zip(&members)
        .map(|(sum, members)| GroupSum {
            sum,
            members: *members,
        })
        .collect();
    let mean = RULE.rule.estimate(&groups).unwrap();
    let shift = case.world.task.peek().quantiser.update_shift;
    let expected = apply_mean(&before, &mean.numerators, mean.denominator, shift).unwrap();
    assert_eq!(next, expected);
    let plain = apply_update(&before, opened.sum(), 11, shift).unwrap();
    assert_ne!(next, plain, "the median is not the mean");
    let digest = model_digest(&next.to_bytes());
    let result = case.world.by_aggregator(&opened.result(digest));
    opened.verify_result(&result, digest).unwrap();
    let mut other = result.peek().clone();
    other.sum = dawn_protocol::digests::sum_digest(opened.sum());
    assert_violates!(
        opened.verify_result(&case.world.by_aggregator(&other), digest),
        Rule::ResultSum,
        Culprit::Aggregator
    );
}

/// One group, or two whose errors cancel in the total: who lies about any is named, and the sums are right.
#[test]
fn a_lie_about_some_groups_is_a_lie() {
    let case = case();
    let honest = case.open(&[1, 2, 3, 4, 5, 6], &case.sums).unwrap();
    for lie in [
        [1, 0, 0],
        [0, 5, 0],
        [0, 0, 1 << 31],
        [7, 0, dawn_crypto::params::Q - 7],
    ] {
        let mut sums = case.sums.clone();
        let lied = sums[2]
            .sums()
            .iter()
            .zip(lie)
            .map(|(sum, change)| off(sum, change));
        sums[2] = GroupSums::new(lied.collect());
        let cancels = sums[2].total() == case.sums[2].total();
        assert_eq!(cancels, lie[0] == 7, "the last is about the groups alone");
        let opened = case.open(&[1, 2, 3, 4, 5, 6], &sums).unwrap();
        assert_eq!(opened.culprits(), [case.world.steward_id(3)]);
        assert_eq!(opened.sums(), honest.sums());
        assert_eq!(opened.points(), [1, 2, 4, 5]);
    }
}

#[test]
fn too_few_or_only_wrong_openings_open_nothing() {
    let case = case();
    let three = case.open(&[1, 2, 3], &case.sums[..3]);
    assert!(matches!(
        three,
        Err(JudgeError::Abort(AbortReason::TooFewOpenings))
    ));
    // Four answers, one of them wrong about the last group: no polynomial is small in all groups.
    let mut sums = case.sums[..4].to_vec();
    *sums[0].group_mut(2).unwrap() = off(&case.sums[0].sums()[2], 1);
    let wrong = case.open(&[1, 2, 3, 4], &sums);
    assert!(matches!(
        wrong,
        Err(JudgeError::Abort(AbortReason::NoSmallOpening))
    ));
}

#[test]
fn sums_that_are_not_those_of_the_opening_are_refused() {
    let case = case();
    let opening = case.world.group_opening(&case.judged, 1, &case.sums[0]);
    let steward = Culprit::Steward(case.world.steward_id(1));
    assert_eq!(case.judged.verify_opening(&opening).unwrap(), 1);
    let body = opening.peek();
    case.sums[0].verify(body, Culprit::Aggregator).unwrap();
    assert_violates!(
        case.sums[1].verify(body, Culprit::Aggregator),
        Rule::GroupSums,
        Culprit::Aggregator
    );
    // Signed, and not adding up to what is signed beside it.
    let mut lie = body.clone();
    lie.share_sum = off(&lie.share_sum, 1);
    assert_violates!(
        case.sums[0].verify(&lie, Culprit::Aggregator),
        Rule::GroupSums,
        steward
    );
    // Of another number of groups, cut, and with a word of q.
    let bytes = case.sums[0].to_bytes();
    let read = |bytes: &[u8]| GroupSums::from_bytes(bytes, 3, steward);
    assert_eq!(read(&bytes).unwrap(), case.sums[0]);
    let mut large = bytes.clone();
    large[..4].copy_from_slice(&dawn_crypto::params::Q.to_le_bytes());
    for wrong in [&bytes[..2 * ShareSum::BYTES], &bytes[1..], &large, &[]] {
        assert_violates!(read(wrong), Rule::GroupSums, steward);
    }
    // A round with groups takes no opening without, and is not opened without.
    let plain = case
        .judged
        .opening(case.world.steward_id(1), body.share_sum.clone());
    let plain = case.world.by_steward(&plain, 1);
    assert_violates!(case.judged.verify_opening(&plain), Rule::GroupSums, steward);
    let masked = case.world.masked_sum(&case.closed, &case.judged);
    let Err(JudgeError::Violation(violation)) = case.judged.open(&masked, &[plain]) else {
        panic!("opened");
    };
    assert_eq!(violation.rule, Rule::GroupSums);
}

#[test]
fn a_round_without_groups_takes_no_sums_over_groups() {
    let mut world = World::new(6, 1);
    let (round, closed) = closed_round(&mut world);
    let reports = world.reports(&round, &closed, &[1, 2, 3, 4, 5]);
    let (judged, _) = world.judge(&closed, &reports);
    assert!(closed.challenged.groups().is_none() && judged.members().is_none());
    let sums = GroupSums::new(vec![world.share_sum(&round, &closed, &judged, 1)]);
    let opening = world.group_opening(&judged, 1, &sums);
    let steward = Culprit::Steward(world.steward_id(1));
    assert_violates!(judged.verify_opening(&opening), Rule::GroupSums, steward);
    let masked = world.masked_sum(&closed, &judged);
    assert!(judged.open_groups(&[masked], &[opening], &[sums]).is_err());
}

/// The beacon draws the groups: all verified submissions, sizes that differ by one at most, and other beacons others.
#[test]
fn the_beacon_puts_everybody_into_one_group() {
    let mut world = World::with_task(6, 1, in_groups);
    let (_, closed) = closed_round(&mut world);
    let all = |closed: &dawn_protocol::RoundChallenged| -> Vec<usize> {
        let groups = closed.groups().unwrap();
        assert_eq!(groups.count(), 3);
        let members = groups.members(0..11);
        assert_eq!(members.iter().sum::<u32>(), 11);
        assert!(members.iter().all(|n| [3, 4].contains(n)), "{members:?}");
        assert_eq!(groups.of(11), None);
        (0..11).map(|index| groups.of(index).unwrap()).collect()
    };
    let mut seen = BTreeSet::from([all(&closed.challenged)]);
    for points in [[1, 2, 3, 5], [2, 3, 4, 5], [3, 4, 5, 6]] {
        let challenge = world.challenge(&closed.closed, &points);
        let other = closed.closed.clone().challenged(&challenge).unwrap();
        seen.insert(all(&other));
    }
    assert_eq!(seen.len(), 4, "every beacon draws other groups");
}

/// What is left out after the beacon shrinks its group, and moves nobody. A group below its least number is not opened.
#[test]
fn groups_that_shrink_too_far_are_not_opened() {
    let mut world = World::with_task(6, 1, in_groups);
    let (round, closed) = closed_round(&mut world);
    let groups = closed.challenged.groups().unwrap();
    let members = groups.members(0..11);
    let honest = world.reports(&round, &closed, &[1, 2, 3, 4, 5, 6]);
    // Every steward complains about two submissions of a group: nine are left, which is what the policy asks for.
    let without_two_of = |group: usize| {
        let of_group = (0..11).filter(|index| groups.of(*index) == Some(group));
        let out: Vec<usize> = of_group.take(2).collect();
        let complain = |report: &Reported| {
            let mut outcomes = report.signed.peek().outcomes.clone();
            let mut answers = report.answers.clone();
            for index in &out {
                outcomes[*index] = Outcome::Unsealable;
                answers[*index] = None;
            }
            world.reported(&closed, report.point, outcomes, answers)
        };
        let reports: Vec<_> = honest.iter().map(complain).collect();
        world.verdict(&closed, &reports, 0)
    };
    let of_size = |size| members.iter().position(|members| *members == size).unwrap();
    let (large, small) = (of_size(4), of_size(3));
    let verdict = without_two_of(large).unwrap();
    let mut left = members.clone();
    left[large] = 2;
    assert_eq!(groups.members(verdict.accepted()), left);
    let refused = without_two_of(small);
    assert!(matches!(
        refused,
        Err(JudgeError::Abort(AbortReason::Policy))
    ));
}

/// What cannot work is refused when a task is made.
#[test]
fn group_rules_that_cannot_work_are_refused() {
    let mut task = World::new(6, 1).task.peek().clone();
    in_groups(&mut task);
    dawn_identity::Statement::check(&task).unwrap();
    let refused = |change: &dyn Fn(&mut GroupRule)| {
        let mut rule = RULE;
        change(&mut rule);
        let mut task = task.clone();
        task.options.groups = Some(rule);
        dawn_identity::Statement::check(&task).expect_err("refused")
    };
    refused(&|rule| rule.honest = 1);
    refused(&|rule| rule.honest = 3);
    refused(&|rule| rule.least = 4);
    // Two groups of the fewest accepted, or of the most groups, are too few to outvote one.
    refused(&|rule| rule.size = 4);
    refused(&|rule| rule.most = 2);
    refused(&|rule| rule.most = 65);
    refused(&|rule| rule.rule.aggregation = Aggregation::TrimmedMean { cut: 0 });
    refused(&|rule| rule.rule.aggregation = Aggregation::TrimmedMean { cut: 2 });
    refused(&|rule| rule.rule.aggregation = Aggregation::GeometricMedian { iterations: 0 });
    refused(&|rule| rule.rule.mixing = Some(1));
    refused(&|rule| rule.rule.mixing = Some(4));
    // 2^24 coordinates: the padded vectors of three groups are too many.
    let mut large = task.clone();
    large.model = dawn_learn::ModelSpec::Logistic {
        inputs: 65_535,
        classes: 256,
    };
    assert!(large.options.groups.is_some());
    assert!(dawn_identity::Statement::check(&large).is_err());
}

/// A group's noise is that of its honest devices alone.
#[test]
fn the_charge_counts_the_honest_of_a_group() {
    let grouped = World::with_task(6, 1, in_groups);
    let alone = World::with_task(6, 1, |task| {
        task.policy.min_accepted = 9;
        task.policy.min_honest = 2;
    });
    let all = World::with_task(6, 1, |task| {
        in_groups(task);
        task.options = TaskOptions::default();
    });
    let charge = |world: &World| world.context.charge_micro_rho();
    assert_eq!(charge(&grouped), charge(&alone));
    assert!(charge(&grouped) > 3 * charge(&all));
}

/// Whoever sees the beacon can leave out the honest devices of a group: all dishonest ones of the round may be in it.
#[test]
fn a_group_has_room_for_all_dishonest_devices_of_a_round() {
    let refused = |change: fn(&mut GroupRule, &mut Policy)| {
        let mut task = World::with_task(6, 1, in_groups).task.peek().clone();
        task.policy.min_accepted = 18;
        task.policy.min_honest = 16;
        let mut rule = GroupRule {
            size: 6,
            least: 4,
            dishonest: 2,
            ..RULE
        };
        change(&mut rule, &mut task.policy);
        task.options.groups = Some(rule);
        task.check().err().map(|broken| broken.0)
    };
    assert_eq!(refused(|_, _| ()), None);
    let room =
        "the least number of a group has its honest devices and all dishonest ones of a round";
    assert_eq!(refused(|rule, _| rule.dishonest = 3), Some(room));
    assert_eq!(refused(|rule, _| rule.dishonest = u32::MAX), Some(room));
    assert_eq!(refused(|rule, _| rule.honest = 3), Some(room));
    let policy = "groups count on as many dishonest devices as the policy does, or more";
    assert_eq!(refused(|_, policy| policy.min_honest = 15), Some(policy));
    assert!(refused(|rule, _| rule.honest = 1).is_some());
}

/// A task's option has one encoding, and none when nothing is asked for.
#[test]
fn options_without_groups_take_no_bytes() {
    let options = TaskOptions {
        groups: Some(RULE),
        ..TaskOptions::default()
    };
    let bytes = dawn_identity::to_canonical(&options);
    // [null, [3, 3, 2, 2, 0, [0, 0]]]
    assert_eq!(bytes, [0x82, 0xf6, 0x86, 3, 3, 2, 2, 0, 0x82, 0, 0]);
    let read: TaskOptions = dawn_identity::from_canonical_bounded(&bytes, 100).unwrap();
    assert_eq!(read, options);
    assert!(dawn_identity::to_canonical(&TaskOptions::default()).len() < bytes.len());
    // At the end of a task nothing stands for it: the vectors of tasks without options are those from before.
    let without = dawn_identity::to_canonical(World::new(3, 0).task.peek());
    let with = World::with_task(3, 0, in_groups);
    assert!(dawn_identity::to_canonical(with.task.peek()).ends_with(&bytes));
    assert_eq!(without[0], 0x92, "18 items");
}
