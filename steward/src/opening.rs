//! The steward's one answer to a verdict: the sum of its key shares over the accepted set
//! (`docs/protocol.md`, section 4.7).
//!
//! The verdict is judged again from the reports, the steward's own must be among them, and its own ledger must allow it.
//! The sum over everything that it reported as ok is on disk; submissions outside the accepted set are taken out of it,
//! after they have been fetched again and recognised.

use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::ShareSum;
use dawn_identity::{Digest, Members, Signed};
use dawn_protocol::package::open_package;
use dawn_protocol::roll::{Entry, Roll};
use dawn_protocol::{
    Closed, Decision, Judged, Outcome, PackageItem, PackagePage, PackageReport, RoundAnnouncement,
    RoundId, RoundOpen, SubmissionHeader, Verdict,
};
use rand_core::CryptoRng;

use crate::error::{Refusal, StewardError};
use crate::findings::Findings;
use crate::records::{AnswerKind, End};
use crate::secrets::SecretKind;
use crate::state::{StewardState, request};
use crate::vault::VaultError;

/// What a request for an opening needs next.
#[derive(Debug)]
pub enum OpenStep {
    /// Nothing: an identical request has been answered, with these bytes.
    Answered(Vec<u8>),
    /// The submissions that have to be taken out of the sum, if any: [`OpenWork::next_index`].
    Items(Box<OpenWork>),
}

/// An opening that is being made.
pub struct OpenWork {
    judged: Judged,
    request: Digest,
    members: Members,
    point: u8,
    key: SealingSecretKey,
    sum: ShareSum,
    /// Indices that were reported as ok and are outside the accepted set, still to be taken out; in decreasing order.
    outside: Vec<u32>,
}

impl std::fmt::Debug for OpenWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "OpenWork({}, {} to take out)",
            self.round(),
            self.outside.len()
        )
    }
}

impl StewardState {
    /// Verifies a verdict and begins the answer to it.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn open<R: CryptoRng>(
        &self,
        announcement: &RoundAnnouncement,
        closed: &Signed<Closed>,
        reports: &[Signed<PackageReport>],
        verdict: &Signed<Verdict>,
        rng: &mut R,
    ) -> Result<OpenStep, StewardError> {
        let task = self.task(&announcement.spec.peek().round.task)?;
        let open = RoundOpen::from_announcement(&task, announcement)?;
        open.verify_closed(closed)?;
        open.verify_aggregator(verdict)?;
        let round = open.round_id();
        // The verdict names task, round, session and root: its digest binds the answer to all of them.
        let list = request(&round, &[closed.body_digest()]);
        let request = request(&round, &[closed.body_digest(), verdict.body_digest()]);
        let gate = self.vault.write(rng, |change| {
            if let Some(bytes) = self.serve(change, &round, AnswerKind::Opening, &request)? {
                return Ok(Err(bytes));
            }
            if change.round(&round)?.session != Some(open.session()) {
                return Err(StewardError::from(Refusal::OtherSession(round)));
            }
            let report = change.answer(&round, AnswerKind::Report)?;
            let report = report.filter(|report| report.request == list);
            let report = report.ok_or(Refusal::NotReported(round))?;
            let findings = change
                .findings(&round)?
                .ok_or(VaultError::Damaged("the findings of a round"))?;
            let stated = Some(verdict.peek().spent_micro_rho);
            self.afford(change, &task, &round, stated)?;
            Ok(Ok((report.envelope, Findings::from_bytes(&findings)?)))
        })?;
        let (own_report, findings) = match gate {
            Ok(kept) => kept,
            Err(bytes) => return Ok(OpenStep::Answered(bytes)),
        };
        if !reports.iter().any(|report| report.bytes() == own_report) {
            return Err(Refusal::NotMyReport(round).into());
        }
        let point = self.point(&open)?;
        let members = self.members();
        let judged = open
            .close(closed, Roll::from_entries(findings.entries))?
            .adopt(reports, verdict)?;
        if !judged.verdict().openers.contains(&point) {
            return Err(Refusal::NotAnOpener(round).into());
        }
        let outside = outside(&findings.outcomes, &judged.verdict().decisions);
        let sum = self
            .vault
            .secret(&round, SecretKind::ShareSum)?
            .ok_or(Refusal::SecretErased(round))?;
        let sum = ShareSum::from_bytes(&sum)
            .map_err(|_| VaultError::Damaged("the sum of a round's shares"))?;
        let key = self.sealing_secret(&round)?;
        Ok(OpenStep::Items(Box::new(OpenWork {
            judged,
            request,
            members,
            point,
            key,
            sum,
            outside,
        })))
    }

    /// Signs the answer, charges the ledgers and ends the round for this steward, all in one change.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn finish_open<R: CryptoRng>(
        &self,
        work: OpenWork,
        rng: &mut R,
    ) -> Result<Vec<u8>, StewardError> {
        let round = work.round();
        if let Some(expected) = work.next_index() {
            return Err(Refusal::WrongPage {
                round,
                expected,
                found: 0,
            }
            .into());
        }
        let statement = work.judged.opening(self.id, work.sum);
        self.vault.write(rng, |change| {
            if let Some(bytes) = self.serve(change, &round, AnswerKind::Opening, &work.request)? {
                return Ok(bytes);
            }
            let spending = self.afford(
                change,
                work.judged.task_context(),
                &round,
                Some(work.judged.verdict().spent_micro_rho),
            )?;
            self.charge(change, work.judged.task_context(), spending)?;
            let bytes = self.keep(
                change,
                &round,
                AnswerKind::Opening,
                work.request,
                &statement,
            )?;
            let mut record = change.round(&round)?;
            record.verdict = Some(work.judged.verdict_digest());
            record.end = Some(End::Opened);
            change.put_round(&round, &record)?;
            Ok(bytes)
        })
    }
}

/// Indices that were reported as ok and are not accepted, in decreasing order.
fn outside(outcomes: &[Outcome], decisions: &[Decision]) -> Vec<u32> {
    let both = outcomes.iter().zip(decisions).zip(0u32..);
    let mut outside: Vec<u32> = both
        .filter(|((outcome, decision), _)| {
            **outcome == Outcome::Ok && **decision != Decision::Accepted
        })
        .map(|(_, index)| index)
        .collect();
    outside.reverse();
    outside
}

impl OpenWork {
    /// The round.
    pub fn round(&self) -> RoundId {
        self.judged.round_id()
    }

    /// Index of the next submission that has to be fetched again; `None` when the sum is complete.
    pub fn next_index(&self) -> Option<u32> {
        self.outside.last().copied()
    }

    /// Takes a page that begins with [`OpenWork::next_index`]. What is not to be taken out of the sum is passed over.
    ///
    /// # Errors
    /// [`Refusal`], all of them the aggregator's fault.
    pub fn page(&mut self, page: &PackagePage) -> Result<(), Refusal> {
        let round = self.round();
        let Some(expected) = self.next_index() else {
            return Ok(());
        };
        if page.first != expected || page.items.is_empty() {
            return Err(Refusal::WrongPage {
                round,
                expected,
                found: page.first,
            });
        }
        for (index, item) in (page.first..).zip(&page.items) {
            if self.next_index() == Some(index) {
                self.take_out(index, item)?;
                self.outside.pop();
            }
        }
        Ok(())
    }

    fn take_out(&mut self, index: u32, item: &PackageItem) -> Result<(), Refusal> {
        let changed = || Refusal::SubmissionChanged {
            round: self.judged.round_id(),
            index,
        };
        let entries = self.judged.round_closed().roll().entries();
        let entry: &Entry = entries.get(index as usize).ok_or_else(changed)?;
        let header = Signed::<SubmissionHeader>::from_bytes(&item.header).map_err(|_| changed())?;
        if header.envelope_digest() != entry.header {
            return Err(changed());
        }
        // The header is the one that was verified before, and it names the package by its digest.
        let submission = self.judged.verify_header(&header, &self.members)?;
        let share = open_package(
            &self.judged,
            &submission,
            &item.package,
            &self.key,
            self.point,
        )
        .map_err(|_| changed())?;
        self.sum.sub_assign(&share);
        Ok(())
    }
}
