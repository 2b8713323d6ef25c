//! The submissions of a round as they pass by: headers into the roll, payloads into a sum (A07, A08).
//!
//! Which payloads belong into the sum is known only when the verdict comes, after all of them. So
//! all are added, one in memory at a time, and the rejected ones, usually few, are read again and taken
//! out.

use std::io::{Read, Seek};

use dawn_crypto::digest::Digest;
use dawn_crypto::mask::{self, PayloadHasher};
use dawn_crypto::merkle;
use dawn_identity::{Members, RegisterHead};
use dawn_protocol::roll::{NOBODY, Roll};
use dawn_protocol::{Closed, Groups, RoundOpen, Rule, Violation};

use crate::finding::{Finding, Party};
use crate::records::{Again, Records, Stop, take, take_if};
use crate::rule::AuditRule;
use crate::verify::Mode;

/// Everything that devices sent in a round.
pub(crate) struct Submissions {
    mode: Mode,
    /// Where the register ends with whose members the headers were verified.
    register: RegisterHead,
    roll: Roll,
    /// Over the headers as they are, whether or not they can be read.
    leaves: Vec<Digest>,
    /// Why the list is not one that can be closed. Told only when the root shows who made it.
    unlisted: Option<Violation>,
    /// The sum of the payloads of all headers that verify.
    total: Vec<u32>,
    /// Where every payload is in the transcript.
    payloads: Vec<u64>,
}

/// The submissions under the closed root.
pub(crate) struct Listed {
    pub(crate) roll: Roll,
    /// The sum of the payloads of all headers that verify.
    pub(crate) total: Vec<u32>,
    /// Where every payload is in the transcript.
    pub(crate) payloads: Vec<u64>,
}

/// A payload, or what a detached transcript has instead.
enum Shown {
    Bytes(Vec<u8>),
    Digest(Digest),
}

/// Reads all submissions of a round.
pub(crate) fn read<R: Read>(
    mode: Mode,
    records: &mut Records<R>,
    open: &RoundOpen,
    members: &Members,
) -> Result<Submissions, Stop> {
    let mut read = Submissions {
        mode,
        register: members.head(),
        roll: Roll::new(),
        leaves: Vec::new(),
        unlisted: None,
        total: vec![0; open.dimension().padded()],
        payloads: Vec::new(),
    };
    while let Some(header) = take_if!(records, Header) {
        read.payloads.push(records.at());
        let payload = match take_if!(records, PayloadDigest) {
            Some(digest) => Shown::Digest(digest),
            None => Shown::Bytes(take!(records, Payload)),
        };
        read.leaves.push(merkle::leaf_hash(&header));
        if read.unlisted.is_some() {
            continue;
        }
        match read.roll.push(open, members, &header) {
            Ok(_) => read.add(members, &payload)?,
            Err(violation) => read.unlisted = Some(violation),
        }
    }
    Ok(read)
}

impl Submissions {
    pub(crate) fn len(&self) -> usize {
        self.leaves.len()
    }

    pub(crate) fn roll(&self) -> &Roll {
        &self.roll
    }

    /// Checks the payload of the last entry and adds it.
    fn add(&mut self, members: &Members, payload: &Shown) -> Result<(), Finding> {
        let index = self.roll.len() - 1;
        let Some(entry) = self.roll.entries().last() else {
            return Ok(());
        };
        // A registration that is left out of the file must not make an honest verdict look false. Noise that does not
        // verify names no organisation, and counts for nothing.
        let nobody = entry.refused.is_some() && entry.org == NOBODY;
        Finding::unless(
            nobody || members.get(&entry.org).is_some(),
            AuditRule::Submissions,
            Party::Provider,
            format_args!(
                "organisation {} of submission {index} has no registration here",
                entry.org
            ),
        )?;
        let payload = match payload {
            Shown::Digest(digest) => {
                Finding::unless(
                    *digest == entry.payload,
                    AuditRule::Payloads,
                    Party::Provider,
                    format_args!("submission {index} has another payload's digest beside it"),
                )?;
                return Finding::unless(
                    self.mode == Mode::Light,
                    AuditRule::Payloads,
                    Party::Provider,
                    "the transcript is without payloads, and they are needed",
                );
            }
            Shown::Bytes(_) if self.mode == Mode::Light => return Ok(()),
            Shown::Bytes(bytes) => bytes,
        };
        let words = checked_payload(payload, &entry.payload, index)?;
        if entry.refused.is_none() {
            mask::add_assign(&mut self.total, &words);
        }
        Ok(())
    }

    /// Without a closed root every header has to stand for itself: nobody signed for the list. But for its credential: nobody
    /// signed for a place in the register either, and a device may have been revoked before or after it submitted.
    pub(crate) fn unclosed(&self) -> Result<(), Finding> {
        let refused = self
            .roll
            .entries()
            .iter()
            .filter_map(|entry| entry.refused.as_deref())
            .find(|violation| violation.rule != Rule::Credential);
        match self.unlisted.as_ref().or(refused) {
            Some(violation) => Err(Finding::new(
                AuditRule::Submissions,
                Party::Provider,
                violation,
            )),
            None => Ok(()),
        }
    }

    /// The submissions under the closed root. Says who made a list that cannot be closed: the
    /// aggregator if its signed root covers it, else whoever changed it afterwards.
    pub(crate) fn under(self, closed: &Closed) -> Result<Listed, Finding> {
        Finding::unless(
            self.register == closed.register,
            AuditRule::Roster,
            Party::Provider,
            "the register in the file does not end where the closing says",
        )?;
        Finding::unless(
            merkle::root(&self.leaves) == closed.root,
            AuditRule::Closed,
            Party::Provider,
            "the submissions are not those under the closed root",
        )?;
        match self.unlisted {
            Some(violation) => Err(Finding::of(AuditRule::Submissions, violation)),
            None => Ok(Listed {
                roll: self.roll,
                total: self.total,
                payloads: self.payloads,
            }),
        }
    }
}

/// The words of a payload, which has this digest and no word that is not an element of the field.
pub(crate) fn checked_payload(
    payload: &[u8],
    expected: &Digest,
    index: usize,
) -> Result<Vec<u32>, Finding> {
    let mut hasher = PayloadHasher::new();
    hasher.update(payload);
    Finding::unless(
        hasher.finalize() == *expected,
        AuditRule::Payloads,
        Party::Provider,
        format_args!("the payload of submission {index} is not the one that its header names"),
    )?;
    // The device signed for these very bytes; the aggregator must not have taken them.
    mask::parse_payload(payload).map_err(|error| {
        let detail = format_args!("the payload of submission {index}: {error}").to_string();
        Finding::new(AuditRule::Payloads, Party::Aggregator, detail)
    })
}

/// The sums of the groups' accepted payloads of `padded` words, read again. The digests are compared again, in case the file
/// is another one by now.
pub(crate) fn by_group<R: Read + Seek>(
    again: &mut Again<'_, R>,
    roll: &Roll,
    payloads: &[u64],
    accepted: impl Iterator<Item = usize>,
    groups: &Groups,
    padded: usize,
) -> Result<Vec<Vec<u32>>, Stop> {
    let mut payload = vec![0; 4 * padded];
    let mut sums = vec![vec![0; padded]; groups.count()];
    for index in accepted {
        let Some(group) = groups.of(index) else {
            continue;
        };
        again.read(payloads[index], &mut payload)?;
        let expected = &roll.entries()[index].payload;
        mask::add_assign(
            &mut sums[group],
            &checked_payload(&payload, expected, index)?,
        );
    }
    Ok(sums)
}

/// Takes the payloads of the rejected submissions out of the sum. The digests are compared again, in case the
/// file is another one by now.
pub(crate) fn take_out<R: Read + Seek>(
    again: &mut Again<'_, R>,
    roll: &Roll,
    payloads: &[u64],
    rejected: impl Iterator<Item = usize>,
    sum: &mut [u32],
) -> Result<(), Stop> {
    let mut payload = vec![0; 4 * sum.len()];
    for index in rejected {
        let entry = &roll.entries()[index];
        if entry.refused.is_some() {
            continue;
        }
        again.read(payloads[index], &mut payload)?;
        mask::sub_assign(sum, &checked_payload(&payload, &entry.payload, index)?);
    }
    Ok(())
}
