use super::*;
use proptest::prelude::*;

const MEDIAN: Aggregation = Aggregation::Median;
const GEOMETRIC: Aggregation = Aggregation::GeometricMedian { iterations: 12 };

fn trimmed(cut: u8) -> Aggregation {
    Aggregation::TrimmedMean { cut }
}

fn plain(aggregation: Aggregation) -> RobustRule {
    RobustRule {
        aggregation,
        mixing: None,
    }
}

fn estimate(
    rule: &RobustRule,
    sums: &[Vec<i32>],
    members: &[u32],
) -> Result<Estimate, RobustError> {
    let groups: Vec<GroupSum<'_>> = sums
        .iter()
        .zip(members)
        .map(|(sum, members)| GroupSum {
            sum,
            members: *members,
        })
        .collect();
    rule.estimate(&groups)
}

fn one_each(rule: Aggregation, sums: &[Vec<i32>]) -> Vec<f64> {
    values(&estimate(&plain(rule), sums, &vec![1; sums.len()]).unwrap())
}

fn values(estimate: &Estimate) -> Vec<f64> {
    let denominator = estimate.denominator as f64;
    let numerators = estimate.numerators.iter();
    numerators.map(|n| *n as f64 / denominator).collect()
}

#[test]
fn rules_on_small_numbers() {
    let sums = [vec![1, -5], vec![2, 100], vec![40, 3], vec![3, 4]];
    assert_eq!(one_each(MEDIAN, &sums), [2.5, 3.5]);
    assert_eq!(one_each(MEDIAN, &sums[..3]), [2.0, 3.0]);
    assert_eq!(one_each(trimmed(1), &sums), [2.5, 3.5]);
    let five = [vec![1], vec![2], vec![3], vec![7], vec![-1000]];
    assert_eq!(one_each(trimmed(1), &five), [2.0]);
    assert_eq!(one_each(trimmed(2), &five), [2.0]);
}

/// Sums of groups of different sizes: 7/2, 10/3 and 11/3 have the median 7/2, not that of the sums; a third is rounded to
/// 2^-16.
#[test]
fn means_of_sizes_that_differ_are_compared() {
    let sums = [vec![7, 1], vec![10, 1], vec![11, 2]];
    let got = estimate(&plain(MEDIAN), &sums, &[2, 3, 3]).unwrap();
    assert_eq!(
        (got.numerators, got.denominator),
        (vec![7 << 15, 1 << 15], 1 << 16)
    );
    let got = estimate(&plain(MEDIAN), &sums, &[3, 3, 3]).unwrap();
    assert_eq!(got.numerators, [218_453, 21_845]);
}

#[test]
fn mixing_takes_the_nearest_and_itself() {
    let sums = [vec![0, 0], vec![2, 0], vec![10, 0], vec![11, 1]];
    let rule = RobustRule {
        aggregation: MEDIAN,
        mixing: Some(2),
    };
    // Means 1, 1, 10.5, 10.5; the median is the mean of those in the middle.
    let got = estimate(&rule, &sums, &[1; 4]).unwrap();
    assert_eq!(values(&got), [5.75, 0.25]);
    // All as far from the first: the ones that come first are nearer.
    let equal = [vec![5], vec![5], vec![5], vec![9]];
    let rule = RobustRule {
        mixing: Some(3),
        ..rule
    };
    assert_eq!(values(&estimate(&rule, &equal, &[1; 4]).unwrap()), [5.0]);
}

#[test]
fn equal_groups_give_themselves() {
    let sums = vec![vec![i32::MAX, i32::MIN, 0, 17]; 5];
    for rule in [MEDIAN, trimmed(2), GEOMETRIC] {
        for mixing in [None, Some(4)] {
            let rule = RobustRule {
                aggregation: rule,
                mixing,
            };
            let got = estimate(&rule, &sums, &[1; 5]).unwrap();
            let expected: Vec<f64> = sums[0].iter().map(|v| f64::from(*v)).collect();
            assert_eq!(values(&got), expected, "{rule:?}");
        }
    }
}

/// The most groups, of the fewest members, every number at an end of its range: nothing overflows (overflow
/// checks are on in tests) and nothing leaves the range of the means.
#[test]
fn nothing_overflows_at_the_extremes() {
    let sums: Vec<Vec<i32>> = (0..64)
        .map(|group| {
            let end = |i: i32| [i32::MIN, i32::MAX][usize::from((group + i) % 3 == 0)];
            (0..7).map(end).collect()
        })
        .collect();
    let members: Vec<u32> = (0..64).map(|group| 1 + group % 2).collect();
    for aggregation in [MEDIAN, trimmed(31), trimmed(1), GEOMETRIC] {
        for mixing in [None, Some(2), Some(64)] {
            let rule = RobustRule {
                aggregation,
                mixing,
            };
            let got = estimate(&rule, &sums, &members).unwrap();
            assert!(got.denominator <= 1 << 22);
            for value in values(&got) {
                assert!(
                    value.abs() <= f64::from(1u32 << 31) / f64::from(members[0]),
                    "{value}"
                );
            }
        }
    }
    // The longest vectors, without their memory: squares are summed in 128 bits.
    let (most, least) = (1i64 << 47, -(1i64 << 47));
    let squared = points::squared_distance(&[most; 1024], &[least; 1024]);
    assert_eq!(squared, 1u128 << 106);
    assert!(squared.checked_mul(1 << 14).is_some());
}

#[test]
fn parameters_and_groups_that_do_not_fit_are_refused() {
    let sums = vec![vec![1, 2]; 4];
    let refused = |rule: &RobustRule, sums: &[Vec<i32>], members: &[u32]| {
        estimate(rule, sums, members).expect_err("refused")
    };
    for count in [0, 1, 2, 65] {
        let error = refused(&plain(MEDIAN), &vec![vec![1]; count], &vec![1; count]);
        assert_eq!(error, RobustError::Groups(count));
    }
    let geometric = |iterations| Aggregation::GeometricMedian { iterations };
    for aggregation in [trimmed(0), trimmed(2), geometric(0), geometric(65)] {
        let error = refused(&plain(aggregation), &sums, &[1; 4]);
        assert!(
            matches!(error, RobustError::Parameter(_)),
            "{aggregation:?}"
        );
    }
    for neighbours in [0, 1, 5] {
        let rule = RobustRule {
            aggregation: MEDIAN,
            mixing: Some(neighbours),
        };
        let error = refused(&rule, &sums, &[1; 4]);
        assert!(matches!(error, RobustError::Parameter(_)), "{neighbours}");
    }
    let rule = plain(MEDIAN);
    assert_eq!(refused(&rule, &sums, &[1, 1, 0, 1]), RobustError::Empty);
    let ragged = [vec![1], vec![2], vec![3, 4]];
    assert_eq!(refused(&rule, &ragged, &[1; 3]), RobustError::Lengths);
}

#[test]
fn rules_have_one_encoding() {
    for aggregation in [MEDIAN, trimmed(7), GEOMETRIC] {
        for mixing in [None, Some(9)] {
            let rule = RobustRule {
                aggregation,
                mixing,
            };
            let bytes = minicbor::to_vec(rule).unwrap();
            assert_eq!(minicbor::decode::<RobustRule>(&bytes).unwrap(), rule);
        }
    }
    // A median with a parameter, a fourth kind, one number, four, a number that is none of 8 bits.
    for bytes in [
        &[0x82, 0, 1][..],
        &[0x82, 3, 0],
        &[0x81, 0],
        &[0x84, 0, 0, 2, 2],
        &[0x82, 1, 0x19, 1, 0],
    ] {
        assert!(minicbor::decode::<RobustRule>(bytes).is_err(), "{bytes:?}");
    }
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

proptest! {
    /// Fewer groups than half, whatever they say, leave every coordinate of a median, and of a mean that cuts as many,
    /// within the range of the others.
    #[test]
    fn a_minority_does_not_leave_the_range_of_the_others(
        honest in prop::collection::vec(prop::collection::vec(-1000i32..1000, 3), 4..9),
        wrong in prop::collection::vec(prop::collection::vec(any::<i32>(), 3), 3),
    ) {
        let sums: Vec<Vec<i32>> = wrong.iter().chain(&honest).cloned().collect();
        for rule in [MEDIAN, trimmed(3)] {
            for (coordinate, value) in one_each(rule, &sums).into_iter().enumerate() {
                let at = honest.iter().map(|sum| f64::from(sum[coordinate]));
                prop_assert!(value >= at.clone().fold(f64::MAX, f64::min));
                prop_assert!(value <= at.fold(f64::MIN, f64::max));
            }
        }
    }

    /// The order of groups means nothing.
    #[test]
    fn the_order_of_groups_means_nothing(
        sums in prop::collection::vec(prop::collection::vec(any::<i32>(), 5), 5..12),
        turn in 1usize..5,
    ) {
        let mut turned = sums.clone();
        turned.rotate_left(turn);
        for aggregation in [MEDIAN, trimmed(2), GEOMETRIC] {
            for mixing in [None, Some(3)] {
                let rule = RobustRule { aggregation, mixing };
                let members = vec![4; sums.len()];
                prop_assert_eq!(
                    estimate(&rule, &sums, &members).unwrap(),
                    estimate(&rule, &turned, &members).unwrap()
                );
            }
        }
    }

    /// The geometric median minimises the sum of distances: no worse than the mean, the median and any of the points,
    /// as far as a dozen iterations get.
    #[test]
    fn the_geometric_median_has_a_small_sum_of_distances(
        sums in prop::collection::vec(prop::collection::vec(-100_000i32..100_000, 4), 5..12),
    ) {
        let points: Vec<Vec<f64>> =
            sums.iter().map(|sum| sum.iter().map(|v| f64::from(*v)).collect()).collect();
        let cost = |z: &[f64]| points.iter().map(|p| squared(p, z).sqrt()).sum::<f64>();
        let rule = Aggregation::GeometricMedian { iterations: 64 };
        let got = cost(&one_each(rule, &sums));
        let mean: Vec<f64> = (0..4)
            .map(|i| points.iter().map(|p| p[i]).sum::<f64>() / points.len() as f64)
            .collect();
        let others = [mean, one_each(MEDIAN, &sums)];
        for other in others.iter().chain(&points) {
            prop_assert!(got <= cost(other) * 1.001, "{} {}", got, cost(other));
        }
    }
}
