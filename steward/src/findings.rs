//! What a steward keeps of every submission between its report and its opening: enough to judge again without asking
//! for the headers again, and to recognise a package that it has to take out of its sum.

use dawn_identity::{DeviceId, Digest, OrgId};
use dawn_protocol::Outcome;
use dawn_protocol::roll::Entry;
use dawn_protocol::violation::{Culprit, Rule, Violation};

use crate::vault::VaultError;

/// Bytes per submission: outcome, whether the header verified, and five digests.
const RECORD: usize = 2 + 5 * 32;

/// The findings of one round, in root order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) entries: Vec<Entry>,
}

impl Findings {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * RECORD);
        for (outcome, entry) in self.outcomes.iter().zip(&self.entries) {
            bytes.push(*outcome as u8);
            bytes.push(u8::from(entry.refused.is_some()));
            let digests = [
                &entry.device.0,
                &entry.org.0,
                &entry.leaf,
                &entry.header,
                &entry.payload,
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
            let outcome = Outcome::ALL
                .iter()
                .find(|outcome| **outcome as u8 == record[0]);
            findings.outcomes.push(*outcome.ok_or_else(damaged)?);
            let (digests, _) = record[2..].as_chunks::<32>();
            let [device, org, leaf, header, payload] = digests else {
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
                leaf: Digest(*leaf),
                header: Digest(*header),
                payload: Digest(*payload),
                refused,
            });
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
            leaf: digest(2),
            header: digest(3),
            payload: digest(4),
            refused: refused.then(|| Box::new(violation)),
        }
    }

    proptest! {
        #[test]
        fn findings_come_back(items in prop::collection::vec((any::<u8>(), any::<bool>(), 0..Outcome::ALL.len()), 0..20)) {
            let findings = Findings {
                outcomes: items.iter().map(|(_, _, outcome)| Outcome::ALL[*outcome]).collect(),
                entries: items.iter().map(|(seed, refused, _)| entry(*seed, *refused)).collect(),
            };
            prop_assert_eq!(Findings::from_bytes(&findings.to_bytes()).expect("decode"), findings);
        }

        #[test]
        fn damaged_findings_are_an_error(bytes in prop::collection::vec(any::<u8>(), 1..400)) {
            if bytes.len() % RECORD != 0 {
                prop_assert!(Findings::from_bytes(&bytes).is_err());
            }
        }
    }
}
