//! The roll of a closed round: who submitted what, in the order of the Merkle root
//! (`docs/protocol.md`, section 4.6).

use std::collections::BTreeMap;

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle;
use dawn_crypto::norm::NormSeeds;
use dawn_crypto::params::MAX_STEWARDS;
use dawn_identity::{DeviceId, Members, OrgId, RegisterHead, Signed};

use crate::round_context::{RoundContext, VerifiedSubmission};
use crate::statements::MAX_SUBMISSIONS;
use crate::submission::SubmissionHeader;
use crate::violation::{Culprit, Rule, Violation};

/// In the place of the organisation of a header that names none and does not verify.
pub const NOBODY: OrgId = OrgId(Digest([0; 32]));

/// One submission of a roll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The device, or the identifier of a steward's candidate; only claimed when [`Entry::refused`] is set.
    pub device: DeviceId,
    /// Its organisation; only claimed when [`Entry::refused`] is set.
    pub org: OrgId,
    /// Which candidate of which steward's noise it is; none of a device, and when [`Entry::refused`] is set.
    pub noise: Option<NoiseEntry>,
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

/// A candidate of a steward's noise in a roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoiseEntry {
    /// The steward's evaluation point.
    pub point: u8,
    /// Which of its candidates.
    pub index: u8,
}

/// The submissions of a closed round in increasing device. It is filled header by header, so that
/// nobody has to hold all headers, and becomes binding in [`crate::RoundOpen::close`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    entries: Vec<Entry>,
    /// The place in the register with whose members the headers were verified; none before the first.
    register: Option<RegisterHead>,
}

impl Roll {
    /// An empty roll.
    pub fn new() -> Self {
        Self::default()
    }

    /// A roll whose headers its holder has verified before, as of this place in the register, and kept. Nothing is verified
    /// here; whether it is the closed one is, in [`crate::RoundOpen::close`].
    pub fn from_entries(entries: Vec<Entry>, register: RegisterHead) -> Self {
        Self {
            entries,
            register: Some(register),
        }
    }

    /// The place in the register with whose members the headers were verified; none when there are no headers.
    pub fn register(&self) -> Option<RegisterHead> {
        self.register
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
        // One list, one register: half a list as of another place would be nobody's.
        if *self.register.get_or_insert(members.head()) != members.head() {
            return Err(aggregator(
                Rule::Register,
                "the members changed while the list was read".to_owned(),
            ));
        }
        let verified = context.verify_header(&signed, members);
        self.entries.push(Entry {
            device,
            // A steward's organisation is in the roster, and counts only when its header verifies.
            org: match &verified {
                Ok(verified) => verified.org(),
                Err(_) => body.credential.claimed_org().unwrap_or(NOBODY),
            },
            noise: verified.as_ref().ok().and_then(VerifiedSubmission::noise),
            leaf: merkle::leaf_hash(header),
            header: signed.envelope_digest(),
            payload: body.payload,
            norm: body.norm_seeds(),
            refused: verified.as_ref().err().cloned().map(Box::new),
        });
        Ok(verified.ok())
    }

    /// The points, increasing, of the stewards all of whose `candidates` of noise are in it.
    pub fn complete_noise(&self, candidates: u8) -> Vec<u8> {
        let mut found = [0; MAX_STEWARDS + 1];
        let noise = self.entries.iter().filter_map(|entry| entry.noise);
        // A point is at most 16, and a steward has each candidate once.
        noise.for_each(|noise| {
            found[usize::from(noise.point)] += usize::from(candidates > noise.index)
        });
        let complete = |point: &u8| found[usize::from(*point)] == usize::from(candidates);
        (1..=MAX_STEWARDS as u8).filter(complete).collect()
    }

    /// The entries in root order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of submissions that are no steward's noise.
    pub fn devices(&self) -> usize {
        let noise = self.entries.iter().filter(|entry| entry.noise.is_some());
        self.entries.len() - noise.count()
    }

    /// Number of submissions of the organisation that has most, of devices whose headers verify.
    pub fn most_of_one(&self) -> usize {
        let mut counts = BTreeMap::new();
        let devices = |entry: &&Entry| entry.noise.is_none() && entry.refused.is_none();
        for entry in self.entries.iter().filter(devices) {
            *counts.entry(entry.org).or_insert(0) += 1;
        }
        counts.into_values().max().unwrap_or(0)
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
