//! A steward's sums over the groups of a round, which go beside its opening (`docs/protocol.md`, section 4.7). The opening
//! names their digest, and says their total itself.

use dawn_crypto::digest::{Digest, hash, labels};
use dawn_crypto::field;
use dawn_crypto::shamir::ShareSum;

use crate::statements::Opening;
use crate::violation::{Culprit, Rule, Violation};

/// The digest of group sums: `hash(GROUP_SUMS, every byte)`.
pub fn group_sums_digest(bytes: &[u8]) -> Digest {
    hash(labels::GROUP_SUMS, &[bytes])
}

/// Bytes of the sums of so many groups.
pub fn group_sums_len(groups: usize) -> usize {
    groups * ShareSum::BYTES
}

/// The sum of a steward's key shares over every group, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSums(Vec<ShareSum>);

impl GroupSums {
    /// Sums, group by group.
    pub fn new(sums: Vec<ShareSum>) -> Self {
        Self(sums)
    }

    /// Nothing, for as many groups.
    pub fn zero(groups: usize) -> Self {
        Self(vec![ShareSum::zero(); groups])
    }

    /// The sums that these bytes are.
    ///
    /// # Errors
    /// [`Rule::GroupSums`] by the culprit: not so many, or a word that is not below q.
    pub fn from_bytes(bytes: &[u8], groups: usize, culprit: Culprit) -> Result<Self, Violation> {
        let wrong = |detail: String| Violation::new(culprit, Rule::GroupSums, detail);
        if bytes.len() != group_sums_len(groups) {
            return Err(wrong(format!(
                "{} bytes are not the sums of {groups} groups",
                bytes.len()
            )));
        }
        bytes
            .chunks_exact(ShareSum::BYTES)
            .map(|sum| ShareSum::from_bytes(sum).map_err(|e| wrong(e.to_string())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Little-endian words, 8192 bytes a group.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Reserved at once: before they are published they are secret, and a growing vector would leave copies behind.
        let mut bytes = Vec::with_capacity(group_sums_len(self.0.len()));
        for sum in &self.0 {
            for element in sum.elements() {
                bytes.extend_from_slice(&element.to_le_bytes());
            }
        }
        bytes
    }

    /// Their digest.
    pub fn digest(&self) -> Digest {
        group_sums_digest(&self.to_bytes())
    }

    /// The sums.
    pub fn sums(&self) -> &[ShareSum] {
        &self.0
    }

    /// The sum of a group, to add to and to take from.
    pub fn group_mut(&mut self, group: usize) -> Option<&mut ShareSum> {
        self.0.get_mut(group)
    }

    /// The sum over all groups.
    pub fn total(&self) -> ShareSum {
        let mut words = ShareSum::zero().elements().to_vec();
        for sum in &self.0 {
            for (word, element) in words.iter_mut().zip(sum.elements()) {
                *word = field::add(*word, *element);
            }
        }
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        ShareSum::from_bytes(&bytes).expect("sums of elements are elements")
    }

    /// That these are the sums which a steward has signed for.
    ///
    /// # Errors
    /// [`Rule::GroupSums`]: another digest, by the `carrier` that brings them; not adding up to the total that the same
    /// steward signed, by the steward.
    pub fn verify(&self, opening: &Opening, carrier: Culprit) -> Result<(), Violation> {
        Violation::unless(
            opening.groups == Some(self.digest()),
            carrier,
            Rule::GroupSums,
            "the sums of the groups are not those whose digest the opening gives",
        )?;
        Violation::unless(
            self.total() == opening.share_sum,
            Culprit::Steward(opening.steward),
            Rule::GroupSums,
            "the sums of the groups do not add up to the opening's",
        )
    }
}
