//! What a steward pulls from the aggregator. Not signed: every part that matters is, and the
//! steward verifies it before it answers.

use dawn_crypto::params::MAX_STEWARDS;
use dawn_identity::{
    BrokenRule, DecodeError, Signed, Statement, from_canonical_bounded, to_canonical,
};
use minicbor::{Decode, Encode};

use crate::beacon::Challenge;
use crate::round_id::RoundId;
use crate::spec::{RoundAnnouncement, RoundSpec, check_announced};
use crate::statements::{Closed, PackageReport, Verdict};
use crate::submission::{MAX_PACKAGE_BYTES, SubmissionHeader};

/// Something that a steward should look at. Each item carries what is needed beyond what the
/// steward can fetch by digest.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
#[expect(
    clippy::large_enum_variant,
    reason = "a list of work has at most 16 items; boxes would gain nothing"
)]
pub enum WorkItem {
    /// Publish a sealing key for this round.
    #[n(0)]
    PublishSealingKey {
        /// The round that is about to begin.
        #[n(0)]
        round: RoundId,
    },
    /// Endorse this specification.
    #[n(1)]
    Endorse {
        /// The specification.
        #[n(0)]
        spec: Signed<RoundSpec>,
    },
    /// Verify the closed list and give the part of the beacon.
    #[n(2)]
    ShareBeacon {
        /// The round's announcement.
        #[n(0)]
        announcement: RoundAnnouncement,
        /// The closed list.
        #[n(1)]
        closed: Signed<Closed>,
    },
    /// Open the packages of a closed round, answer the challenge and report.
    #[n(3)]
    Report {
        /// The round's announcement.
        #[n(0)]
        announcement: RoundAnnouncement,
        /// The closed list.
        #[n(1)]
        closed: Signed<Closed>,
        /// The challenge.
        #[n(2)]
        challenge: Signed<Challenge>,
    },
    /// Verify a verdict and answer with the sum of the shares.
    #[n(4)]
    Open {
        /// The round's announcement.
        #[n(0)]
        announcement: RoundAnnouncement,
        /// The closed list.
        #[n(1)]
        closed: Signed<Closed>,
        /// The challenge.
        #[n(2)]
        challenge: Signed<Challenge>,
        /// The reports that were judged, in increasing point.
        #[n(3)]
        reports: Vec<Signed<PackageReport>>,
        /// The verdict.
        #[n(4)]
        verdict: Signed<Verdict>,
    },
    /// Submit the candidates of noise that the task asks for.
    #[n(5)]
    ContributeNoise {
        /// The round's announcement.
        #[n(0)]
        announcement: RoundAnnouncement,
    },
}

impl WorkItem {
    /// The round that the item is about; not verified.
    pub fn round(&self) -> RoundId {
        match self {
            Self::PublishSealingKey { round } => *round,
            Self::Endorse { spec } => spec.peek().round,
            Self::ContributeNoise { announcement } => announcement.spec.peek().round,
            Self::ShareBeacon { closed, .. }
            | Self::Report { closed, .. }
            | Self::Open { closed, .. } => closed.peek().round,
        }
    }
}

/// Most items of one answer.
pub const MAX_WORK_ITEMS: usize = 16;

/// Most bytes of one answer.
pub const MAX_WORK_BYTES: usize =
    MAX_WORK_ITEMS * (RoundAnnouncement::MAX_BYTES + (MAX_STEWARDS + 3) * PackageReport::MAX_BYTES);

/// The canonical bytes of a list of work.
pub fn work_to_bytes(items: &Vec<WorkItem>) -> Vec<u8> {
    to_canonical(items)
}

/// Reads a list of work; nothing in it is verified.
///
/// # Errors
/// [`DecodeError`].
pub fn work_from_bytes(bytes: &[u8]) -> Result<Vec<WorkItem>, DecodeError> {
    check_items(bytes, MAX_WORK_ITEMS, "at most 16 items of work")?;
    from_canonical_bounded(bytes, MAX_WORK_BYTES)
}

/// Refuses a list by the number of items that it announces. In memory an item is many times larger
/// than the smallest encoding of one, so this comes before decoding.
pub(crate) fn check_items(bytes: &[u8], most: usize, rule: &'static str) -> Result<(), BrokenRule> {
    let announced = minicbor::Decoder::new(bytes).array().ok().flatten();
    BrokenRule::unless(announced.is_some_and(|items| items <= most as u64), rule)
}

/// One submission's header and the asking steward's package of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PackageItem {
    /// The signed header's bytes.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub header: Vec<u8>,
    /// The sealed package's bytes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub package: Vec<u8>,
}

/// A page of a closed round's submissions, in root order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PackagePage {
    /// Index of the first item in root order.
    #[n(0)]
    pub first: u32,
    /// The items.
    #[cbor(n(1), decode_with = "decode_items")]
    pub items: Vec<PackageItem>,
    /// Index of the next page's first item; none at the end.
    #[n(2)]
    pub next: Option<u32>,
}

/// Reads the items of a page, of which the smallest has 3 bytes and takes 48 of memory.
fn decode_items<C>(
    d: &mut minicbor::Decoder<'_>,
    context: &mut C,
) -> Result<Vec<PackageItem>, minicbor::decode::Error> {
    check_announced(d, PackagePage::MAX_ITEMS)?;
    d.decode_with(context)
}

impl PackagePage {
    /// Most items of a page.
    pub const MAX_ITEMS: usize = 128;
    /// Most bytes of a page.
    pub const MAX_BYTES: usize =
        Self::MAX_ITEMS * (Signed::<SubmissionHeader>::MAX_BYTES + MAX_PACKAGE_BYTES + 16) + 64;

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads a page; nothing in it is verified.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let page: Self = from_canonical_bounded(bytes, Self::MAX_BYTES)?;
        BrokenRule::unless(
            page.items.len() <= Self::MAX_ITEMS,
            "a page has at most 128 items",
        )?;
        BrokenRule::unless(
            page.items.iter().all(|item| {
                item.header.len() <= Signed::<SubmissionHeader>::MAX_BYTES
                    && item.package.len() <= MAX_PACKAGE_BYTES
            }),
            "a page's headers and packages are bounded",
        )?;
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_identity::TaskId;

    fn keys(count: u32) -> Vec<u8> {
        let task = TaskId(dawn_crypto::digest::Digest([1; 32]));
        let item = |number| WorkItem::PublishSealingKey {
            round: RoundId::new(task, number),
        };
        work_to_bytes(&(1..=count).map(item).collect())
    }

    /// As many of the smallest items as fit the limit would take hundreds of megabytes.
    #[test]
    fn too_many_small_items_are_refused_before_they_take_memory() {
        let smallest = keys(2).len() - keys(1).len();
        let memory = MAX_WORK_BYTES / smallest * size_of::<WorkItem>();
        assert!(memory > 200 << 20, "{memory}");
        assert_eq!(work_from_bytes(&keys(16)).expect("16").len(), 16);
        // Were the items decoded first, the cut would be found and this be malformed.
        let bytes = keys(17);
        let cut = &bytes[..bytes.len() - 1];
        assert!(matches!(
            work_from_bytes(cut),
            Err(DecodeError::Rule(BrokenRule("at most 16 items of work")))
        ));
        let indefinite = [&[0x9f], &keys(16)[1..], &[0xff]].concat();
        assert!(work_from_bytes(&indefinite).is_err());
    }

    /// As many empty items as fit the limit would take fifty megabytes.
    #[test]
    fn too_many_items_of_a_page_are_refused_before_they_take_memory() {
        let page = |count| PackagePage {
            first: 0,
            items: vec![
                PackageItem {
                    header: Vec::new(),
                    package: Vec::new(),
                };
                count
            ],
            next: None,
        };
        let read = |count: usize| PackagePage::from_bytes(&page(count).to_bytes());
        assert_eq!(read(128), Ok(page(128)));
        assert!(matches!(read(129), Err(DecodeError::Rule(_))));
        for count in [513, 100_000] {
            let Err(DecodeError::Malformed(why)) = read(count) else {
                panic!("{count} items are read");
            };
            assert!(why.contains("a list is too long"), "{why}");
        }
    }
}
