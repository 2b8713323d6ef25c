//! The robust rules against byzfl, an independent implementation in floating point (`test_vectors/byzfl_rules.py`).

#![allow(clippy::unwrap_used)]

use dawn_learn::{Aggregation, GroupSum, RobustRule};

#[derive(serde::Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    members: Vec<u32>,
    sums: Vec<Vec<i32>>,
    results: Vec<Expected>,
}

#[derive(serde::Deserialize)]
struct Expected {
    rule: RobustRule,
    result: Vec<f64>,
}

/// How far a coordinate may be from byzfl's, for means up to `largest`: means and mixed means are rounded to 2^-16 each,
/// so that order statistics of them are within 2^-16, plus what byzfl itself rounds. Where all groups have one member and
/// nothing is mixed, nothing is rounded here. The geometric median is rounded in every iteration, with weights of 30 bits.
fn tolerance(case: &Case, rule: &RobustRule, largest: f64) -> f64 {
    let whole = case.members.iter().all(|members| *members == 1) && rule.mixing.is_none();
    match rule.aggregation {
        Aggregation::Median if whole => 0.0,
        Aggregation::Median | Aggregation::TrimmedMean { .. } => {
            f64::from(u8::from(!whole)) * 2f64.powi(-16) + largest * 2f64.powi(-46)
        }
        Aggregation::GeometricMedian { .. } => 2f64.powi(-13) + largest * 2f64.powi(-27),
    }
}

#[test]
fn rules_agree_with_byzfl() {
    let text = include_str!("../../test_vectors/byzfl_rules.json");
    let vectors: Vectors = serde_json::from_str(text).unwrap();
    assert_eq!(vectors.cases.len(), 8);
    let mut compared = 0;
    for case in &vectors.cases {
        let groups: Vec<GroupSum<'_>> = case
            .sums
            .iter()
            .zip(&case.members)
            .map(|(sum, members)| GroupSum {
                sum,
                members: *members,
            })
            .collect();
        let means = groups.iter().flat_map(|group| {
            let members = f64::from(group.members);
            group
                .sum
                .iter()
                .map(move |v| (f64::from(*v) / members).abs())
        });
        let largest = means.fold(1.0, f64::max);
        for Expected { rule, result } in &case.results {
            let got = rule.estimate(&groups).unwrap();
            assert_eq!(got.numerators.len(), result.len());
            for (numerator, expected) in got.numerators.iter().zip(result) {
                let value = *numerator as f64 / got.denominator as f64;
                let allowed = tolerance(case, rule, largest);
                let difference = (value - expected).abs();
                assert!(
                    difference <= allowed,
                    "{}: {rule:?}: {value} and {expected} differ by {difference}",
                    case.name
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "{compared}");
}
