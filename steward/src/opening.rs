//! The steward's one answer to a verdict: the sum of its key shares over the accepted set,
//! or over every group of it when the task asks for groups (`docs/protocol.md`, section 4.7).
//!
//! The verdict is judged again from the reports and answers ([`crate::examination`]), the steward's own must be among
//! them, scalars of its own choice must be right ([`crate::recomputing`]), and its own ledger must allow it. The sum over everything that it reported as ok is on disk; submissions outside the accepted set are taken out of it,
//! after they have been fetched again and recognised.

use dawn_crypto::seal::SealingSecretKey;
use dawn_identity::{Digest, Members, Signed, Statement};
use dawn_protocol::package::open_package;
use dawn_protocol::roll::{Entry, Roll};
use dawn_protocol::{
    Challenge, Closed, Culprit, Decision, GroupSums, Groups, Judged, Outcome, PackageItem,
    PackagePage, PackageReport, RoundAnnouncement, RoundId, RoundOpen, RoundSpec, SubmissionHeader,
    Verdict,
};
use rand_core::CryptoRng;

use crate::answers::ScratchFile;
use crate::error::{Refusal, StewardError};
use crate::examination::{ExamineWork, Own};
use crate::findings::Findings;
use crate::recomputing::{ScalarWork, bound_to};
use crate::records::{AnswerKind, End};
use crate::report::{group_of, report_request};
use crate::secrets::SecretKind;
use crate::state::{StewardState, request};
use crate::vault::VaultError;

/// What a request for an opening needs next.
#[derive(Debug)]
pub enum OpenStep {
    /// Nothing: an identical request has been answered, with these bytes.
    Answered(Vec<u8>),
    /// Scalars and answers; then [`StewardState::begin_scalars`], payloads, and [`StewardState::begin_open`].
    Examine(Box<ExamineWork>),
}

/// An opening that is being made: submissions that have to be taken out of the sum, if any, from
/// [`OpenWork::next_index`] on.
pub struct OpenWork {
    judged: Judged,
    request: Digest,
    members: Members,
    point: u8,
    key: SealingSecretKey,
    /// Over the submissions of every group; one when there are no groups.
    sums: GroupSums,
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

/// What an aggregator shows when it asks for an opening.
#[derive(Clone, Copy, Debug)]
pub struct OpenRequest<'a> {
    /// The round's announcement.
    pub announcement: &'a RoundAnnouncement,
    /// The closed list.
    pub closed: &'a Signed<Closed>,
    /// The challenge.
    pub challenge: &'a Signed<Challenge>,
    /// The reports that were judged, in increasing point.
    pub reports: &'a [Signed<PackageReport>],
    /// The verdict.
    pub verdict: &'a Signed<Verdict>,
}

impl StewardState {
    /// Verifies what can be verified of a verdict without the answers, and begins the answer to it.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn open<R: CryptoRng>(
        &self,
        asked: &OpenRequest<'_>,
        rng: &mut R,
    ) -> Result<OpenStep, StewardError> {
        let OpenRequest {
            announcement,
            closed,
            challenge,
            reports,
            verdict,
        } = *asked;
        let task = self.task_of(&announcement.spec)?;
        let open = RoundOpen::from_announcement(&task, announcement)?;
        open.verify_closed(closed)?;
        open.verify_aggregator(verdict)?;
        let round = open.round_id();
        // The verdict names task, round, session, root and challenge: its digest binds the answer to all of them.
        let reported = report_request(&round, closed, challenge);
        let request = request(&round, &[closed.body_digest(), verdict.body_digest()]);
        let gate = self.vault.write(rng, |change| {
            if let Some(bytes) = self.serve(change, &round, AnswerKind::Opening, &request)? {
                return Ok(Err(bytes));
            }
            self.check_key(change, &open)?;
            if change.round(&round)?.session != Some(open.session()) {
                return Err(StewardError::from(Refusal::OtherSession(round)));
            }
            bound_to(&change.round(&round)?, &round, &verdict.body_digest())?;
            let report = change.answer(&round, AnswerKind::Report)?;
            let report = report.filter(|report| report.request == reported);
            let report = report.ok_or(Refusal::NotReported(round))?;
            let findings = change
                .findings(&round)?
                .ok_or(VaultError::Damaged("the findings of a round"))?;
            let stated = Some(verdict.peek().spent_micro_rho);
            self.afford(change, &task, &round, stated)?;
            let needed = [
                (RoundSpec::KIND, announcement.spec.bytes()),
                (Closed::KIND, closed.bytes()),
                (Challenge::KIND, challenge.bytes()),
                (Verdict::KIND, verdict.bytes()),
            ];
            self.require_logged(&round, &needed)?;
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
        let challenged = open
            .close(
                closed,
                Roll::from_entries(findings.entries, closed.peek().register),
            )?
            .challenged(challenge)?;
        let own = Own {
            request,
            point,
            outcomes: findings.outcomes,
            answers: self.own_answers(&round),
        };
        let work = ExamineWork::new(challenged, reports, verdict, own)?;
        Ok(OpenStep::Examine(Box::new(work)))
    }

    /// A new file for the answers of another steward ([`ExamineWork::answers`]).
    ///
    /// # Errors
    /// [`StewardError::Vault`].
    pub fn scratch<R: CryptoRng>(&self, rng: &mut R) -> Result<ScratchFile, StewardError> {
        Ok(self.vault.scratch(rng)?)
    }

    /// Goes on with the opening when all scalars that were chosen have been recomputed.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn begin_open(&self, work: ScalarWork) -> Result<OpenWork, StewardError> {
        let round = work.round();
        if !work.finished() {
            return Err(Refusal::NotExamined(round).into());
        }
        let ScalarWork { judged, own, .. } = work;
        let sum = self
            .vault
            .secret(&round, SecretKind::ShareSum)?
            .ok_or(Refusal::SecretErased(round))?;
        let groups = judged.round_challenged().groups().map_or(1, Groups::count);
        let register = judged.round_closed().closed().register;
        let sums = GroupSums::from_bytes(&sum, groups, Culprit::Steward(self.id))
            .map_err(|_| VaultError::Damaged("the sum of a round's shares"))?;
        Ok(OpenWork {
            outside: outside(&own.outcomes, &judged.verdict().decisions),
            judged,
            request: own.request,
            members: self.members_at(&register)?,
            point: own.point,
            key: self.sealing_secret(&round)?,
            sums,
        })
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
        let grouped = work.judged.round_challenged().groups().is_some();
        let statement = if grouped {
            work.judged.group_opening(self.id, &work.sums)
        } else {
            work.judged.opening(self.id, work.sums.total())
        };
        let beside = grouped.then(|| work.sums.to_bytes());
        self.vault.write(rng, |change| {
            if let Some(bytes) = self.serve(change, &round, AnswerKind::Opening, &work.request)? {
                return Ok(bytes);
            }
            // It may have been replaced while the packages were read.
            self.check_key(change, &work.judged)?;
            let spending = self.afford(
                change,
                work.judged.task_context(),
                &round,
                Some(work.judged.verdict().spent_micro_rho),
            )?;
            self.charge(change, work.judged.task_context(), spending)?;
            let bytes = self.keep_with(
                change,
                &round,
                AnswerKind::Opening,
                work.request,
                &statement,
                beside,
            )?;
            let mut record = change.round(&round)?;
            bound_to(&record, &round, &work.judged.verdict_digest())?;
            record.verdict = Some(work.judged.verdict_digest());
            record.end = Some(End::Opened);
            change.put_round(&round, &record)?;
            Ok(bytes)
        })
    }
}

impl StewardState {
    /// What goes beside this steward's opening of a round: its sums over the groups, when the task asks for groups. From
    /// its opening on, always the same.
    ///
    /// # Errors
    /// [`StewardError::Vault`].
    pub fn own_group_sums(&self, round: &RoundId) -> Result<Option<Vec<u8>>, StewardError> {
        let opening = self.vault.answer(round, AnswerKind::Opening)?;
        Ok(opening.and_then(|opening| opening.beside).map(Into::into))
    }
}

/// Indices that were reported as ok and are not accepted, in decreasing order.
fn outside(outcomes: &[Outcome], decisions: &[Decision]) -> Vec<u32> {
    let both = outcomes.iter().zip(decisions).zip(0u32..);
    let mut outside: Vec<u32> = both
        .filter(|((outcome, decision), _)| outcome.is_ok() && !decision.is_summed())
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
        let group = group_of(self.judged.round_challenged(), index as usize);
        let sum = self.sums.group_mut(group).ok_or_else(changed)?;
        sum.sub_assign(&share.key);
        Ok(())
    }
}
