//! The roll of a closed round: who submitted what, in the order of the Merkle root
//! (`docs/protocol.md`, section 4.6).

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle;
use dawn_crypto::norm::NormSeeds;
use dawn_identity::{DeviceId, Members, OrgId, Signed};

use crate::round_context::{RoundContext, VerifiedSubmission};
use crate::statements::MAX_SUBMISSIONS;
use crate::submission::SubmissionHeader;
use crate::violation::{Culprit, Rule, Violation};

/// One submission of a roll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The device; only claimed when [`Entry::refused`] is set.
    pub device: DeviceId,
    /// Its organisation; only claimed when [`Entry::refused`] is set.
    pub org: OrgId,
    /// Leaf hash of the signed header's bytes.
    pub leaf: Digest,
    /// Digest of the signed header's envelope.
    pub header: Digest,
    /// Digest of the payload.
    pub payload: Digest,
    /// What verifying its norm proof needs of the header ([`SubmissionHeader::norm_seeds`]).
    pub norm: NormSeeds,
    /// Why the header does not verify; it then counts for nothing.
    pub refused: Option<Box<Violation>>,
}

/// The submissions of a closed round in increasing device. It is filled header by header, so that
/// nobody has to hold all headers, and becomes binding in [`crate::RoundOpen::close`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    entries: Vec<Entry>,
}

impl Roll {
    /// An empty roll.
    pub fn new() -> Self {
        Self::default()
    }

    /// A roll whose headers its holder has verified before and kept. Nothing is verified here;
    /// whether it is the closed one is, in [`crate::RoundOpen::close`].
    pub fn from_entries(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// Adds the next submission, given by the bytes of its signed header.
    ///
    /// A header that is readable but does not verify is entered as refused, and `None` is returned.
    ///
    /// # Errors
    /// [`Rule::Statement`], [`Rule::DeviceOrder`] or [`Rule::ClosedRoot`], all by the aggregator:
    /// no honest one would close such a list.
    pub fn push(
        &mut self,
        context: &RoundContext,
        members: &Members,
        header: &[u8],
    ) -> Result<Option<VerifiedSubmission>, Violation> {
        let index = self.entries.len();
        let aggregator = |rule, detail: String| Violation::new(Culprit::Aggregator, rule, detail);
        if index >= MAX_SUBMISSIONS as usize {
            return Err(aggregator(
                Rule::ClosedRoot,
                "more than 50,000 submissions".to_owned(),
            ));
        }
        let signed = Signed::<SubmissionHeader>::from_bytes(header)
            .map_err(|e| aggregator(Rule::Statement, format!("submission {index}: {e}")))?;
        let body = signed.peek();
        let device = body.credential.claimed_device();
        if self
            .entries
            .last()
            .is_some_and(|last| last.device >= device)
        {
            return Err(aggregator(
                Rule::DeviceOrder,
                format!("submission {index} is not after the one before"),
            ));
        }
        let verified = context.verify_header(&signed, members);
        self.entries.push(Entry {
            device,
            org: body.credential.claimed_org(),
            leaf: merkle::leaf_hash(header),
            header: signed.envelope_digest(),
            payload: body.payload,
            norm: body.norm_seeds(),
            refused: verified.as_ref().err().cloned().map(Box::new),
        });
        Ok(verified.ok())
    }

    /// The entries in root order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of submissions.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The Merkle root over the leaves.
    pub fn root(&self) -> Digest {
        let leaves: Vec<Digest> = self.entries.iter().map(|entry| entry.leaf).collect();
        merkle::root(&leaves)
    }
}
