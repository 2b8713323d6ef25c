//! The known answers of `test_vectors/protocol.py`, which judges by brute force.

use dawn_crypto::digest::Digest;
use dawn_crypto::norm::NormSeeds;
use dawn_crypto::shamir::Threshold;
use dawn_identity::{DeviceId, OrgId};
use serde::Deserialize;

use super::{Ballot, judge};
use crate::examine::{Examined, Finding};
use crate::roll::{Entry, NoiseEntry, Roll};
use crate::statements::{Decision, Outcome};
use crate::task::Policy;
use crate::violation::{Culprit, Rule, Violation};

#[derive(Deserialize)]
struct Vectors {
    judgements: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    m: u8,
    f: u8,
    root: Digest,
    policy: PolicyVector,
    #[serde(default)]
    least_noise: usize,
    submissions: Vec<Submission>,
    reports: Vec<Report>,
    findings: Vec<FindingVector>,
    expected: Expected,
}

#[derive(Deserialize)]
struct PolicyVector {
    min_accepted: u32,
    min_organisations: u16,
    max_org_share_permille: u16,
}

#[derive(Deserialize)]
struct Submission {
    device: DeviceId,
    org: u8,
    refused: bool,
    /// Point and index of a candidate of a steward's noise.
    noise: Option<[u8; 2]>,
}

#[derive(Deserialize)]
struct Report {
    point: u8,
    outcomes: Vec<usize>,
}

#[derive(Deserialize)]
struct FindingVector {
    agreeing: Vec<u8>,
    lied: Vec<u8>,
    result: String,
}

impl FindingVector {
    fn finding(&self) -> Finding {
        let bits = |points: &[u8]| points.iter().fold(0, |bits, point| bits | 1 << (point - 1));
        Finding {
            agreeing: bits(&self.agreeing),
            lied: bits(&self.lied),
            result: match self.result.as_str() {
                "valid" => Examined::Valid,
                "too-few" => Examined::TooFew,
                "disagree" => Examined::Disagree,
                "projection" => Examined::Projection,
                "norm" => Examined::Norm,
                "not-chosen" => Examined::NotChosen,
                "unproven" => Examined::Unproven,
                other => panic!("{other}"),
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Judged {
        decisions: Vec<usize>,
        openers: Vec<u8>,
        liars: Vec<u8>,
    },
    Aborted {
        abort: String,
    },
}

#[test]
fn judgements_are_those_of_another_program() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../../test_vectors/protocol.json")).unwrap();
    assert_eq!(vectors.judgements.len(), 120);
    for (number, vector) in vectors.judgements.into_iter().enumerate() {
        let entries = vector.submissions.into_iter().map(|submission| Entry {
            device: submission.device,
            org: OrgId(Digest([submission.org; 32])),
            leaf: submission.device.0,
            header: submission.device.0,
            payload: submission.device.0,
            noise: submission
                .noise
                .map(|[point, index]| NoiseEntry { point, index }),
            norm: NormSeeds {
                projection: submission.device.0,
                joint: submission.device.0,
            },
            refused: submission.refused.then(|| {
                let device = Culprit::Device(submission.device);
                Box::new(Violation::new(device, Rule::Signature, ""))
            }),
        });
        let roll = Roll::from_entries(
            entries.collect(),
            dawn_identity::RegisterHead::empty(&dawn_crypto::digest::Digest([0; 32])),
        );
        let outcomes: Vec<Vec<Outcome>> = vector
            .reports
            .iter()
            .map(|report| {
                report
                    .outcomes
                    .iter()
                    .map(|code| Outcome::ALL[*code])
                    .collect()
            })
            .collect();
        let ballots: Vec<Ballot<'_>> = vector
            .reports
            .iter()
            .zip(&outcomes)
            .map(|(report, outcomes)| Ballot {
                point: report.point,
                outcomes,
            })
            .collect();
        let policy = Policy {
            min_accepted: vector.policy.min_accepted,
            min_honest: 2,
            min_organisations: vector.policy.min_organisations,
            max_org_share_permille: vector.policy.max_org_share_permille,
            max_submissions: 100,
            target_submissions: 100,
        };
        let findings: Vec<Finding> = vector.findings.iter().map(FindingVector::finding).collect();
        let threshold = Threshold::new(vector.m, vector.f).unwrap();
        let found = judge(
            &threshold,
            &policy,
            vector.least_noise,
            &vector.root,
            &roll,
            None,
            &ballots,
            &findings,
        );
        match (found, vector.expected) {
            (
                Ok(found),
                Expected::Judged {
                    decisions,
                    openers,
                    liars,
                },
            ) => {
                let expected: Vec<Decision> =
                    decisions.iter().map(|code| Decision::ALL[*code]).collect();
                assert_eq!(found.decisions, expected, "judgement {number}");
                assert_eq!(found.openers, openers, "judgement {number}");
                assert_eq!(found.liars, liars, "judgement {number}");
            }
            (Err(reason), Expected::Aborted { abort }) => assert_eq!(reason.name(), abort),
            _ => panic!("judgement {number} ends otherwise"),
        }
    }
}
