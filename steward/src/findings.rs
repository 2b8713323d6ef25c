//! What a steward keeps of every submission from its part of the beacon to its opening: enough to answer and to judge
//! without asking for the headers again, and to recognise a package that it has to take out of its sum.

use dawn_crypto::norm::NormSeeds;
use dawn_identity::{DeviceId, Digest, OrgId};
use dawn_protocol::Outcome;
use dawn_protocol::roll::{Entry, NoiseEntry};
use dawn_protocol::violation::{Culprit, Rule, Violation};

use crate::vault::VaultError;

/// Bytes per submission: outcome, whether the header verified, the steward's point and the candidate of noise (twice 0 of
/// a device), and seven digests.
const RECORD: usize = 4 + 7 * 32;
/// In the place of an outcome, before the packages have been opened.
const UNOPENED: u8 = 0xff;

/// The findings of one round, in root order. Before its report a steward has no outcomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) entries: Vec<Entry>,
}

impl Findings {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * RECORD);
        for (index, entry) in self.entries.iter().enumerate() {
            let outcome = self.outcomes.get(index);
            bytes.push(outcome.map_or(UNOPENED, |outcome| *outcome as u8));
            bytes.push(u8::from(entry.refused.is_some()));
            let noise = entry
                .noise
                .map_or([0; 2], |noise| [noise.point, noise.index]);
            bytes.extend_from_slice(&noise);
            let digests = [
                &entry.device.0,
                &entry.org.0,
                &entry.leaf,
                &entry.header,
                &entry.payload,
                &entry.norm.projection,
                &entry.norm.joint,
            ];
            digests
                .iter()
                .for_each(|digest| bytes.extend_from_slice(&digest.0));
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, VaultError> {
        let damaged = || VaultError::Damaged("the findings of a round");
        let (records, rest) = bytes.as_chunks::<RECORD>();
        if !rest.is_empty() {
            return Err(damaged());
        }
        let mut findings = Self::default();
        for record in records {
            if record[0] != UNOPENED {
                let outcome = Outcome::ALL
                    .iter()
                    .find(|outcome| **outcome as u8 == record[0]);
                findings.outcomes.push(*outcome.ok_or_else(damaged)?);
            }
            let (digests, _) = record[4..].as_chunks::<32>();
            let [device, org, leaf, header, payload, projection, joint] = digests else {
                return Err(damaged());
            };
            let device = DeviceId(Digest(*device));
            let refused = (record[1] != 0).then(|| {
                Box::new(Violation::new(
                    Culprit::Device(device),
                    Rule::Statement,
                    "refused when this steward reported",
                ))
            });
            findings.entries.push(Entry {
                device,
                org: OrgId(Digest(*org)),
                noise: (record[2] != 0).then_some(NoiseEntry {
                    point: record[2],
                    index: record[3],
                }),
                leaf: Digest(*leaf),
                header: Digest(*header),
                payload: Digest(*payload),
                norm: NormSeeds {
                    projection: Digest(*projection),
                    joint: Digest(*joint),
                },
                refused,
            });
        }
        // Either all packages have been opened, or none.
        let opened = findings.outcomes.len();
        if opened != 0 && opened != findings.entries.len() {
            return Err(damaged());
        }
        Ok(findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(seed: u8, refused: bool) -> Entry {
        let digest = |n: u8| Digest([seed.wrapping_add(n); 32]);
        let device = DeviceId(digest(0));
        let violation = Violation::new(
            Culprit::Device(device),
            Rule::Statement,
            "refused when this steward reported",
        );
        Entry {
            device,
            org: OrgId(digest(1)),
            noise: (seed % 3 == 1).then_some(NoiseEntry {
                point: seed % 16 + 1,
                index: seed % 64,
            }),
            leaf: digest(2),
            header: digest(3),
            payload: digest(4),
            norm: NormSeeds {
                projection: digest(5),
                joint: digest(6),
            },
            refused: refused.then(|| Box::new(violation)),
        }
    }

    proptest! {
        #[test]
        fn findings_come_back(opened: bool, items in prop::collection::vec((any::<u8>(), any::<bool>(), 0..Outcome::ALL.len()), 0..20)) {
            let outcomes = items.iter().map(|(_, _, outcome)| Outcome::ALL[*outcome]);
            let findings = Findings {
                outcomes: outcomes.filter(|_| opened).collect(),
                entries: items.iter().map(|(seed, refused, _)| entry(*seed, *refused)).collect(),
            };
            prop_assert_eq!(Findings::from_bytes(&findings.to_bytes()).expect("decode"), findings);
        }

        #[test]
        fn findings_about_some_are_an_error(count in 2usize..10, outcomes in 1usize..10) {
            let findings = Findings {
                outcomes: vec![Outcome::Ok; outcomes.min(count - 1)],
                entries: (0..count).map(|_| entry(7, false)).collect(),
            };
            prop_assert!(Findings::from_bytes(&findings.to_bytes()).is_err());
        }

        #[test]
        fn damaged_findings_are_an_error(bytes in prop::collection::vec(any::<u8>(), 1..400)) {
            if bytes.len() % RECORD != 0 {
                prop_assert!(Findings::from_bytes(&bytes).is_err());
            }
        }
    }
}
