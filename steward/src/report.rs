//! The steward's report on its packages of a closed round, and its answers to the round's challenge
//! (`docs/protocol.md`, section 4.6).
//!
//! The submissions come in pages, in the order of the closed root. When the list itself is not known yet, a first pass
//! reads it: what a submission is asked depends on the beacon, and the beacon on the root. Then of each submission the
//! steward's package is opened and its answer computed, on all cores; kept are some digests and a byte, the running sum of
//! the shares, and the answers in a file. Whoever could choose what the key shares are multiplied with would read them: so
//! that is computed here, from the header and the beacon.

use std::path::PathBuf;

use dawn_crypto::mask::PublicMatrix;
use dawn_crypto::merkle;
use dawn_crypto::norm::Answer;
use dawn_crypto::norm::projection::{MatrixBlocks, MatrixCache};
use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::KeyShare;
use dawn_identity::{Members, Signed, Statement};
use dawn_protocol::package::open_package;
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    Challenge, Closed, Digest, GroupSums, Groups, Outcome, PackageItem, PackagePage,
    RoundAnnouncement, RoundChallenged, RoundClosed, RoundContext, RoundId, RoundOpen, RoundSpec,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::answers::AnswersWriter;
use crate::error::{Refusal, StewardError};
use crate::findings::Findings;
use crate::list::{ListWork, check_count, check_page, next_index};
use crate::parallel;
use crate::records::AnswerKind;
use crate::secrets::SecretKind;
use crate::state::{StewardState, request};
use crate::vault::VaultError;

/// What a request for a report needs next.
#[derive(Debug)]
pub enum ReportStep {
    /// Nothing: an identical request has been answered, with these bytes. The answers that go before them are
    /// [`StewardState::own_answers`].
    Answered(Vec<u8>),
    /// The list is not known: its pages, from [`ListWork::next_index`] on, and then [`StewardState::begin_report`].
    List(Box<ListWork>),
    /// The pages, from [`ReportWork::next_index`] on.
    Pages(Box<ReportWork>),
}

/// A report that is being made. Holds the round's sealing key; dropped without trace when something is wrong.
pub struct ReportWork {
    challenged: RoundChallenged,
    statement: Signed<Closed>,
    request: Digest,
    members: Members,
    point: u8,
    key: SealingSecretKey,
    matrix: MatrixCache,
    outcomes: Vec<Outcome>,
    /// Over the submissions of every group; one when there are no groups.
    sums: GroupSums,
    answers: AnswersWriter,
}

impl std::fmt::Debug for ReportWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seen, count) = (self.outcomes.len(), self.statement.peek().count);
        write!(f, "ReportWork({}, {seen} of {count})", self.round())
    }
}

/// What is asked: findings about this list, and answers to this challenge.
pub(crate) fn report_request(
    round: &RoundId,
    closed: &Signed<Closed>,
    challenge: &Signed<Challenge>,
) -> Digest {
    request(round, &[closed.body_digest(), challenge.body_digest()])
}

impl StewardState {
    /// Begins a report: the announcement has at least T endorsements, the aggregator has closed the round, and at least T
    /// stewards have made the beacon.
    ///
    /// A steward that was away before takes part from here on: T endorsements make the session the only one that the round
    /// can have.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn report<R: CryptoRng>(
        &self,
        announcement: &RoundAnnouncement,
        closed: &Signed<Closed>,
        challenge: &Signed<Challenge>,
        rng: &mut R,
    ) -> Result<ReportStep, StewardError> {
        let task = self.task_of(&announcement.spec)?;
        let open = RoundOpen::from_announcement(&task, announcement)?;
        open.verify_closed(closed)?;
        open.verify_aggregator(challenge)?;
        let round = open.round_id();
        let request = report_request(&round, closed, challenge);
        let gate = self.vault.write(rng, |change| {
            if let Some(bytes) = self.serve(change, &round, AnswerKind::Report, &request)? {
                return Ok(Err(bytes));
            }
            self.take_part(change, &open)?;
            self.check_list(change, &round, closed)?;
            let needed = [
                (RoundSpec::KIND, announcement.spec.bytes()),
                (Closed::KIND, closed.bytes()),
                (Challenge::KIND, challenge.bytes()),
            ];
            self.require_logged(&round, &needed)?;
            Ok::<_, StewardError>(Ok(change.findings(&round)?))
        })?;
        let list = match gate {
            Err(bytes) => return Ok(ReportStep::Answered(bytes)),
            Ok(None) => {
                let work = ListWork::new(
                    open,
                    closed.clone(),
                    self.members_at(&closed.peek().register)?,
                );
                return Ok(ReportStep::List(Box::new(work)));
            }
            Ok(Some(findings)) => Findings::from_bytes(&findings)?.entries,
        };
        let list = open.close(closed, Roll::from_entries(list, closed.peek().register))?;
        let work = self.answer_challenge(list, closed.clone(), challenge, rng)?;
        Ok(ReportStep::Pages(Box::new(work)))
    }

    /// Goes on with a report when the list has been read.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn begin_report<R: CryptoRng>(
        &self,
        list: ListWork,
        challenge: &Signed<Challenge>,
        rng: &mut R,
    ) -> Result<ReportWork, StewardError> {
        let statement = list.statement().clone();
        self.answer_challenge(list.finish()?, statement, challenge, rng)
    }

    fn answer_challenge<R: CryptoRng>(
        &self,
        closed: RoundClosed,
        statement: Signed<Closed>,
        challenge: &Signed<Challenge>,
        rng: &mut R,
    ) -> Result<ReportWork, StewardError> {
        let round = closed.round_id();
        let point = self.point(&closed)?;
        let key = self.sealing_secret(&round)?;
        let challenged = closed.challenged(challenge)?;
        let seed = PublicMatrix::from_seed(&challenged.spec().matrix_seed);
        let scratch = self.vault.scratch(rng)?;
        Ok(ReportWork {
            request: report_request(&round, &statement, challenge),
            members: self.members_at(&statement.peek().register)?,
            statement,
            point,
            key,
            matrix: MatrixCache::new(&seed, challenged.dimension().blocks()),
            outcomes: Vec::new(),
            sums: GroupSums::zero(challenged.groups().map_or(1, Groups::count)),
            challenged,
            answers: AnswersWriter::new(scratch).map_err(VaultError::from)?,
        })
    }

    /// Signs the report when the pages were exactly the closed list, and keeps it with the answers and the sum of the
    /// shares.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn finish_report<R: CryptoRng>(
        &self,
        work: ReportWork,
        rng: &mut R,
    ) -> Result<Vec<u8>, StewardError> {
        let round = work.round();
        check_count(round, work.outcomes.len(), work.statement.peek().count)?;
        let (file, digest) = work.answers.finish().map_err(VaultError::from)?;
        let findings = Findings {
            outcomes: work.outcomes,
            entries: work.challenged.round_closed().roll().entries().to_vec(),
        };
        let mut statement = work
            .challenged
            .report(self.id, findings.outcomes.clone(), digest);
        statement.reveals = self.reveals(&work.challenged, work.point)?;
        let sum = Zeroizing::new(work.sums.to_bytes());
        self.vault.write(rng, |change| {
            // Another request may have been answered while the pages were read.
            if let Some(bytes) = self.serve(change, &round, AnswerKind::Report, &work.request)? {
                return Ok(bytes);
            }
            self.take_part(change, &work.challenged)?;
            self.take_list(change, &round, &work.statement, &findings)?;
            let bytes = self.keep(change, &round, AnswerKind::Report, work.request, &statement)?;
            change.put_secret(&round, SecretKind::ShareSum, &sum)?;
            change.put_answers(&round, file)?;
            if work.challenged.selection().is_some() {
                let mut record = change.round(&round)?;
                record.next_draw = Some(work.challenged.next_draw());
                change.put_round(&round, &record)?;
            }
            Ok(bytes)
        })
    }

    /// The file of this steward's own answers of a round, from its report to the end of the round.
    pub fn own_answers(&self, round: &RoundId) -> Option<PathBuf> {
        self.vault.answers.own(round)
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

/// The group of a submission, by its place; all are in one when the task does not ask for groups.
pub(crate) fn group_of(challenged: &RoundChallenged, index: usize) -> usize {
    let groups = challenged.groups();
    groups.and_then(|groups| groups.of(index)).unwrap_or(0)
}

/// What cannot be: a group beyond the round's.
pub(crate) fn own_groups() -> StewardError {
    StewardError::Own("a submission is in no group".to_owned())
}

impl ReportWork {
    /// The round.
    pub fn round(&self) -> RoundId {
        self.challenged.round_id()
    }

    /// The round, for [the models](RoundContext::wanted_models) that its functional follows from. They have to be known
    /// before the first page.
    pub fn context(&self) -> &RoundContext {
        &self.challenged
    }

    /// Index of the first submission of the next page; `None` when all have been seen.
    pub fn next_index(&self) -> Option<u32> {
        next_index(self.outcomes.len(), self.statement.peek().count)
    }

    /// How many of the submissions seen so far are not ok.
    pub fn complaints(&self) -> usize {
        let complaint = |outcome: &&Outcome| !outcome.is_ok() && **outcome != Outcome::NotChosen;
        self.outcomes.iter().filter(complaint).count()
    }

    /// Takes the next page. Slow: opens every package of it, and answers.
    ///
    /// # Errors
    /// [`Refusal`], all of them the aggregator's fault; [`StewardError::Vault`].
    pub fn page(&mut self, page: &PackagePage) -> Result<(), StewardError> {
        let count = self.statement.peek().count;
        check_page(self.round(), page, self.outcomes.len(), count)?;
        let items: Vec<(u32, &PackageItem)> = (page.first..).zip(&page.items).collect();
        let found = parallel::map(&items, |(index, item)| self.item(*index, item));
        // Nothing of a page that is refused is taken.
        let found: Vec<_> = found.into_iter().collect::<Result<_, _>>()?;
        for found in found {
            let outcome = match found {
                Ok((share, answer)) => {
                    let group = group_of(&self.challenged, self.outcomes.len());
                    let sum = self.sums.group_mut(group).ok_or_else(own_groups)?;
                    sum.add_assign(&share);
                    self.answers.push(&answer).map_err(VaultError::from)?;
                    self.expected()?
                }
                Err(complaint) => complaint,
            };
            self.outcomes.push(outcome);
        }
        Ok(())
    }

    /// The outcome of the next submission when its package is as it should be.
    fn expected(&self) -> Result<Outcome, StewardError> {
        let expected = self.challenged.expected_outcome(self.outcomes.len());
        expected.ok_or_else(|| StewardError::Own("more submissions than the list has".to_owned()))
    }

    /// Opens one package: the share of the key with the answer, or what is wrong with the package.
    fn item(
        &self,
        index: u32,
        item: &PackageItem,
    ) -> Result<Result<(KeyShare, Answer), Outcome>, StewardError> {
        let changed = || Refusal::SubmissionChanged {
            round: self.round(),
            index,
        };
        let entries = self.challenged.round_closed().roll().entries();
        let entry = entries.get(index as usize).ok_or_else(changed)?;
        if merkle::leaf_hash(&item.header) != entry.leaf {
            return Err(changed().into());
        }
        match self.challenged.expected_outcome(index as usize) {
            Some(expected) if expected.is_ok() => {}
            // Nothing is asked about it.
            expected => return Ok(Err(expected.unwrap_or(Outcome::BadHeader))),
        }
        let header = Signed::from_bytes(&item.header).map_err(|_| changed())?;
        let submission = self.challenged.verify_header(&header, &self.members)?;
        let (package, context) = (&item.package, &self.challenged);
        let opened = match open_package(context, &submission, package, &self.key, self.point) {
            Ok(opened) => opened,
            Err(complaint) => return Ok(Err(complaint)),
        };
        let verifier = self.challenged.verifier(index as usize);
        let verifier = verifier.ok_or_else(changed)?;
        let own = |error: &dyn std::fmt::Display| StewardError::Own(error.to_string());
        let check = verifier
            .public_check(MatrixBlocks::Cached(&self.matrix), None)
            .map_err(|error| own(&error))?;
        let answer = verifier
            .answer(&opened, &check.u)
            .map_err(|error| own(&error))?;
        Ok(Ok((opened.key, answer)))
    }
}
