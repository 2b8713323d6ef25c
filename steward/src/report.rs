//! The steward's report on its packages of a closed round (`docs/protocol.md`, section 4.6).
//!
//! The submissions come in pages, in the order of the closed root. Of each the header is verified and the steward's
//! package opened; kept are five digests and a byte, and the running sum of the shares. The report is made only when the
//! headers seen are exactly those under the root.

use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::ShareSum;
use dawn_identity::{Members, Signed};
use dawn_protocol::package::open_package;
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    Closed, Outcome, PackageItem, PackagePage, RoundAnnouncement, RoundId, RoundOpen,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::error::{Refusal, StewardError};
use crate::findings::Findings;
use crate::records::AnswerKind;
use crate::secrets::SecretKind;
use crate::state::{StewardState, request};

/// What a request for a report needs next.
#[derive(Debug)]
pub enum ReportStep {
    /// Nothing: an identical request has been answered, with these bytes.
    Answered(Vec<u8>),
    /// The pages, from [`ReportWork::next_index`] on.
    Pages(Box<ReportWork>),
}

/// A report that is being made. Holds the round's sealing key; dropped without trace when something is wrong.
pub struct ReportWork {
    open: RoundOpen,
    closed: Signed<Closed>,
    members: Members,
    point: u8,
    key: SealingSecretKey,
    roll: Roll,
    outcomes: Vec<Outcome>,
    sum: ShareSum,
}

impl std::fmt::Debug for ReportWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ReportWork({}, {} of {})",
            self.round(),
            self.roll.len(),
            self.closed.peek().count
        )
    }
}

impl StewardState {
    /// Begins a report: the announcement has at least T endorsements and the aggregator has closed the round.
    ///
    /// A steward that was away when the round was endorsed takes part from here on: T endorsements make the session the
    /// only one that the round can have.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn report<R: CryptoRng>(
        &self,
        announcement: &RoundAnnouncement,
        closed: &Signed<Closed>,
        rng: &mut R,
    ) -> Result<ReportStep, StewardError> {
        let task = self.task(&announcement.spec.peek().round.task)?;
        let open = RoundOpen::from_announcement(&task, announcement)?;
        open.verify_closed(closed)?;
        let round = open.round_id();
        let known = self.vault.write(rng, |change| {
            let known = self.serve(
                change,
                &round,
                AnswerKind::Report,
                &request(&round, &[closed.body_digest()]),
            )?;
            if known.is_none() {
                self.take_part(change, &open)?;
            }
            Ok::<_, StewardError>(known)
        })?;
        if let Some(bytes) = known {
            return Ok(ReportStep::Answered(bytes));
        }
        Ok(ReportStep::Pages(Box::new(ReportWork {
            point: self.point(&open)?,
            key: self.sealing_secret(&round)?,
            members: self.members(),
            closed: closed.clone(),
            roll: Roll::new(),
            outcomes: Vec::new(),
            sum: ShareSum::zero(),
            open,
        })))
    }

    /// Signs the report when the pages were exactly the closed list, and keeps it with the sum of the shares.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn finish_report<R: CryptoRng>(
        &self,
        work: ReportWork,
        rng: &mut R,
    ) -> Result<Vec<u8>, StewardError> {
        let round = work.round();
        let expected = work.closed.peek().count;
        let found = u32::try_from(work.roll.len()).unwrap_or(u32::MAX);
        if found != expected {
            return Err(Refusal::WrongCount {
                round,
                expected,
                found,
            }
            .into());
        }
        let findings = Findings {
            outcomes: work.outcomes.clone(),
            entries: work.roll.entries().to_vec(),
        };
        let context = work.open.context().clone();
        let closed = work.open.close(&work.closed, work.roll)?;
        let statement = closed.report(self.id, work.outcomes);
        let request = request(&round, &[work.closed.body_digest()]);
        let sum = Zeroizing::new(work.sum.to_bytes());
        self.vault.write(rng, |change| {
            // Another request may have been answered while the pages were read.
            if let Some(bytes) = self.serve(change, &round, AnswerKind::Report, &request)? {
                return Ok(bytes);
            }
            self.take_part(change, &context)?;
            let bytes = self.keep(change, &round, AnswerKind::Report, request, &statement)?;
            change.put_findings(&round, &findings.to_bytes())?;
            change.put_secret(&round, SecretKind::ShareSum, &sum)?;
            Ok(bytes)
        })
    }

    /// The secret half of this steward's sealing key of a round.
    pub(crate) fn sealing_secret(&self, round: &RoundId) -> Result<SealingSecretKey, StewardError> {
        let seed = self.vault.secret(round, SecretKind::SealingKey)?;
        let seed = seed.ok_or(Refusal::SecretErased(*round))?;
        let seed: &[u8; 32] = seed
            .as_slice()
            .try_into()
            .map_err(|_| Refusal::SecretErased(*round))?;
        Ok(SealingSecretKey::from_bytes(seed))
    }
}

impl ReportWork {
    /// The round.
    pub fn round(&self) -> RoundId {
        self.open.round_id()
    }

    /// Index of the first submission of the next page; `None` when all have been seen.
    pub fn next_index(&self) -> Option<u32> {
        let next = u32::try_from(self.roll.len()).unwrap_or(u32::MAX);
        (next < self.closed.peek().count).then_some(next)
    }

    /// How many of the submissions seen so far are not ok.
    pub fn complaints(&self) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| **outcome != Outcome::Ok)
            .count()
    }

    /// Takes the next page. Slow: opens every package of it.
    ///
    /// # Errors
    /// [`Refusal`], all of them the aggregator's fault.
    pub fn page(&mut self, page: &PackagePage) -> Result<(), Refusal> {
        let round = self.round();
        let count = self.closed.peek().count;
        let seen = u32::try_from(self.roll.len()).unwrap_or(u32::MAX);
        if page.first != seen {
            return Err(Refusal::WrongPage {
                round,
                expected: seen,
                found: page.first,
            });
        }
        let found = seen.saturating_add(u32::try_from(page.items.len()).unwrap_or(u32::MAX));
        // An empty page would be asked for again and again.
        if found > count || page.items.is_empty() {
            return Err(Refusal::WrongCount {
                round,
                expected: count,
                found,
            });
        }
        page.items.iter().try_for_each(|item| self.item(item))
    }

    fn item(&mut self, item: &PackageItem) -> Result<(), Refusal> {
        let outcome = match self.roll.push(&self.open, &self.members, &item.header)? {
            None => Outcome::BadHeader,
            Some(submission) => {
                match open_package(
                    &self.open,
                    &submission,
                    &item.package,
                    &self.key,
                    self.point,
                ) {
                    Ok(share) => {
                        self.sum.add_assign(&share);
                        Outcome::Ok
                    }
                    Err(outcome) => outcome,
                }
            }
        };
        self.outcomes.push(outcome);
        Ok(())
    }
}
