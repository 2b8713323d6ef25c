//! A round in its task, verified: its specification, its endorsements, and the headers of its
//! submissions (`docs/protocol.md`, sections 4.1 and 4.4).

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use dawn_crypto::norm::{FunctionalRow, NormParams};
use dawn_crypto::seal::SealingPublicKey;
use dawn_identity::{
    DeviceId, Members, OrgId, SessionId, Signed, Statement, StewardId, Verified, VerifiedDevice,
};
use dawn_learn::RoundWay;

use crate::author::Author;
use crate::context::TaskContext;
use crate::noise::Candidate;
use crate::roll::NoiseEntry;
use crate::round_id::RoundId;
use crate::spec::{Endorsement, RoundSpec};
use crate::submission::{Receipt, SubmissionHeader};
use crate::terminal::{Start, Terminal};
use crate::violation::{Culprit, Rule, Violation};

/// A steward that devices of this round send a package to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its evaluation point.
    pub point: u8,
    /// The steward.
    pub steward: StewardId,
    /// Its sealing key of this round.
    pub key: SealingPublicKey,
}

/// A verified specification in its task. Cheap to clone. That it is *the* specification of the
/// round is shown by endorsements: [`crate::RoundOpen`]. Dereferences to its [`TaskContext`].
#[derive(Clone, Debug)]
pub struct RoundContext {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    task: TaskContext,
    spec: Verified<RoundSpec>,
    session: SessionId,
    seats: Vec<Seat>,
    pub(crate) row: OnceLock<Arc<FunctionalRow>>,
}

impl Deref for RoundContext {
    type Target = TaskContext;

    fn deref(&self) -> &TaskContext {
        &self.inner.task
    }
}

/// A header that its author signed: a device that a member vouches for, or a seated steward. Only
/// [`RoundContext::verify_header`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedSubmission {
    header: Verified<SubmissionHeader>,
    org: OrgId,
    author: VerifiedAuthor,
}

/// Who signed a header.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all authors are devices; a box would gain nothing"
)]
pub enum VerifiedAuthor {
    /// A device of a member.
    Device(VerifiedDevice),
    /// The seated steward at a point: a candidate of its noise.
    Steward {
        /// Its evaluation point.
        point: u8,
        /// Which candidate.
        candidate: Candidate,
    },
}

impl VerifiedSubmission {
    /// The header.
    pub fn header(&self) -> &Verified<SubmissionHeader> {
        &self.header
    }

    /// Who signed it.
    pub fn author(&self) -> &VerifiedAuthor {
        &self.author
    }

    /// Under which identifier it is sorted and stored.
    pub fn submitter(&self) -> DeviceId {
        self.header.credential.claimed_device()
    }

    /// The author's organisation.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// Which candidate of a steward's noise it is; none of a device.
    pub fn noise(&self) -> Option<NoiseEntry> {
        match &self.author {
            VerifiedAuthor::Device(_) => None,
            VerifiedAuthor::Steward { point, candidate } => Some(NoiseEntry {
                point: *point,
                index: candidate.index,
            }),
        }
    }
}

impl RoundContext {
    /// A context whose specification has been verified.
    pub(crate) fn new(task: TaskContext, spec: Verified<RoundSpec>, seats: Vec<Seat>) -> Self {
        Self {
            inner: Arc::new(Inner {
                task,
                session: spec.session(),
                spec,
                seats,
                row: OnceLock::new(),
            }),
        }
    }

    /// The task's context.
    pub fn task_context(&self) -> &TaskContext {
        &self.inner.task
    }

    /// What this round trains, sends and applies.
    pub fn way(&self) -> RoundWay {
        self.round_way(self.spec().round.number)
    }

    /// The specification.
    pub fn spec(&self) -> &Verified<RoundSpec> {
        &self.inner.spec
    }

    /// The round.
    pub fn round_id(&self) -> RoundId {
        self.spec().round
    }

    /// The session.
    pub fn session(&self) -> SessionId {
        self.inner.session
    }

    /// The seated stewards in increasing point; packages travel in this order.
    pub fn seats(&self) -> &[Seat] {
        &self.inner.seats
    }

    /// The place of a point among the seats, which is the place of its package.
    pub fn seat_index(&self, point: u8) -> Option<usize> {
        self.seats().iter().position(|seat| seat.point == point)
    }

    /// Bytes of a payload.
    pub fn payload_bytes(&self) -> usize {
        self.dimension().payload_bytes()
    }

    /// When collecting ends, in unix milliseconds.
    pub fn submissions_close_ms(&self) -> u64 {
        let deadlines = &self.task().deadlines;
        self.spec()
            .opened_ms
            .saturating_add(u64::from(deadlines.endorsing_ms))
            .saturating_add(u64::from(deadlines.collecting_ms))
    }

    /// The time at which credentials must be valid, in unix seconds: when collecting ends. It is
    /// the same for everybody, whenever they look.
    pub fn credential_time(&self) -> u64 {
        self.submissions_close_ms() / 1000
    }

    /// Verifies that a statement is about this round and session.
    pub(crate) fn verify_session(
        &self,
        culprit: Culprit,
        round: &RoundId,
        session: &SessionId,
    ) -> Result<(), Violation> {
        Violation::unless(
            *round == self.round_id(),
            culprit,
            Rule::Round,
            "the statement is about another round",
        )?;
        Violation::unless(
            *session == self.session(),
            culprit,
            Rule::Session,
            "the statement is about another session",
        )
    }

    /// Verifies that a seated steward signed a statement; gives its point. A steward without a sealing
    /// key has no packages to answer about.
    pub(crate) fn verify_seated<T: Statement + Clone>(
        &self,
        signed: &Signed<T>,
        steward: &StewardId,
    ) -> Result<u8, Violation> {
        let point = self.verify_steward(signed, steward)?;
        Violation::unless(
            self.seat_index(point).is_some(),
            Culprit::Steward(*steward),
            Rule::RosterMember,
            "a steward without a sealing key has no part in this round",
        )?;
        Ok(point)
    }

    /// Verifies one endorsement; gives the steward's evaluation point.
    ///
    /// # Errors
    /// [`Rule::Round`], [`Rule::Session`], [`Rule::RosterMember`], [`Rule::Signature`].
    pub fn verify_endorsement(&self, endorsement: &Signed<Endorsement>) -> Result<u8, Violation> {
        let statement = endorsement.peek();
        self.verify_session(
            Culprit::Steward(statement.steward),
            &statement.round,
            &statement.session,
        )?;
        self.verify_steward(endorsement, &statement.steward)
    }

    /// Verifies that at least T distinct stewards endorsed this session.
    ///
    /// # Errors
    /// A [`Violation`] by the aggregator, who collected them.
    pub fn verify_endorsements(
        &self,
        endorsements: &[Signed<Endorsement>],
    ) -> Result<(), Violation> {
        let aggregator =
            |detail: String| Violation::new(Culprit::Aggregator, Rule::Endorsements, detail);
        let mut points = BTreeSet::new();
        for endorsement in endorsements {
            let point = self
                .verify_endorsement(endorsement)
                .map_err(|e| aggregator(e.to_string()))?;
            if !points.insert(point) {
                return Err(aggregator(format!("point {point} endorses twice")));
            }
        }
        let least = usize::from(self.threshold().t());
        if points.len() < least {
            return Err(aggregator(format!(
                "{} endorsements, at least {least} are needed",
                points.len()
            )));
        }
        Ok(())
    }

    /// Verifies that this round continues the one before: the specification names the statement
    /// that ended it and starts from what it left.
    ///
    /// `before` is what the previous round started from, when the caller knows it: an abort does not change it, and an
    /// abort of round 1 leaves the initial model; a result names its model, when directions are asked for. For round 1 both
    /// are `None`, and the model is the initial one.
    ///
    /// A caller that does not know it takes the aggregator's signed word for the model of an abort.
    /// Stewards follow the aborts back instead (section 4.1).
    ///
    /// # Errors
    /// [`Rule::SpecPrevious`], [`Rule::SpecModel`], [`Rule::Signature`], by the aggregator.
    pub fn verify_previous(
        &self,
        previous: Option<&Terminal>,
        before: Option<Start>,
    ) -> Result<(), Violation> {
        let rule =
            |holds, rule, detail| Violation::unless(holds, Culprit::Aggregator, rule, detail);
        let spec = self.spec();
        let expected = match previous {
            None => {
                rule(
                    spec.round.number == 1,
                    Rule::SpecPrevious,
                    "the end of the previous round is missing",
                )?;
                self.initial_start()?
            }
            Some(terminal) => {
                self.verify_terminal(terminal)?;
                rule(
                    terminal.round().next() == spec.round,
                    Rule::SpecPrevious,
                    "that statement did not end the round before this one",
                )?;
                rule(
                    spec.previous == Some(terminal.digest()),
                    Rule::SpecPrevious,
                    "the specification names another end of the previous round",
                )?;
                self.verify_leaves(terminal, before)?;
                terminal.next_start()
            }
        };
        rule(
            expected.model == spec.model,
            Rule::SpecModel,
            "the model is not the one that the rounds before left",
        )?;
        rule(
            expected == spec.start(),
            Rule::SpecModel,
            "the direction does not begin where the last accepted update did",
        )
    }

    /// What the norm proof of a verified submission looks like.
    pub fn params_of(&self, submission: &VerifiedSubmission) -> &NormParams {
        let proofs = self.proof_params();
        let noise = proofs.noise.as_ref();
        // Nobody's noise verifies in a task that asks for none.
        let noise = noise.filter(|_| submission.noise().is_some());
        noise.unwrap_or(&proofs.device)
    }

    /// Verifies the place in the register that the specification names, given the members as of it: the aggregator's key is the
    /// one that signed, the task's owner and issuer count, its roster is the one in force, and no steward is seated that was revoked (`docs/protocol.md`,
    /// sections 4.1 and 4.11).
    ///
    /// # Errors
    /// [`Rule::Register`], by the aggregator.
    pub fn verify_register(&self, members: &Members) -> Result<(), Violation> {
        let aggregator =
            |detail: String| Violation::new(Culprit::Aggregator, Rule::Register, detail);
        if members.head() != self.spec().register {
            return Err(aggregator(
                "these are not the members of the specification".into(),
            ));
        }
        self.verify_key_counts(members)?;
        self.task_context()
            .verify_standing(members, self.spec().opened_ms / 1000)
            .map_err(aggregator)?;
        let in_force = members.roster_in_force(&self.first_roster().digest());
        if in_force.map(|roster| roster.digest()) != Some(self.roster().digest()) {
            return Err(aggregator(
                "the roster is not the newest one that continues that of the task".into(),
            ));
        }
        for seat in self.seats() {
            let entry = self.roster().steward_at(seat.point);
            let member = entry.and_then(|entry| members.get(&entry.org));
            let member = member.ok_or_else(|| aggregator("a seat of nobody".into()))?;
            member
                .check_steward(&seat.steward)
                .map_err(|revoked| aggregator(revoked.to_string()))?;
        }
        Ok(())
    }

    /// Verifies a submission's header: it is about this round and session, has the right shape, and
    /// is signed by a device that a member organisation vouches for at [`Self::credential_time`] and has not revoked, or by
    /// a seated steward that the task asks for noise. The members are those of the closing; before it, those of now.
    ///
    /// # Errors
    /// A [`Violation`] by the author.
    pub fn verify_header(
        &self,
        header: &Signed<SubmissionHeader>,
        members: &Members,
    ) -> Result<VerifiedSubmission, Violation> {
        let body = header.peek();
        let culprit = match &body.credential {
            Author::Device(chain) => Culprit::Device(chain.claimed_device()),
            Author::Steward(candidate) => Culprit::Steward(candidate.steward),
        };
        self.verify_session(culprit, &body.round, &body.session)?;
        Violation::unless(
            body.commitments.len() == usize::from(self.threshold().m()),
            culprit,
            Rule::HeaderShape,
            "not one commitment per steward",
        )?;
        // As many commitments of the other kinds: the statement's own check.
        Violation::unless(
            body.consistency.fits(self.threshold()),
            culprit,
            Rule::HeaderShape,
            "the proof of the shares' consistency is not one for this roster",
        )?;
        Violation::unless(
            body.packages.len() == self.seats().len(),
            culprit,
            Rule::HeaderShape,
            "not one package per seated steward",
        )?;
        let chain = match &body.credential {
            Author::Device(chain) => chain,
            Author::Steward(candidate) => return self.verify_candidate(header, candidate),
        };
        let org = chain.claimed_org();
        let device = chain
            .verify_member(members, self.credential_time())
            .map_err(|e| Violation::new(culprit, Rule::Credential, e))?;
        let header = header
            .verify(device.key())
            .map_err(|e| Violation::new(culprit, Rule::Signature, e))?;
        self.verify_selection(header.selection.as_ref(), &device)?;
        Ok(VerifiedSubmission {
            header,
            org,
            author: VerifiedAuthor::Device(device),
        })
    }

    /// Who is a steward in the header signs as one: with the key of the roster, and only what the task asks for.
    fn verify_candidate(
        &self,
        header: &Signed<SubmissionHeader>,
        candidate: &Candidate,
    ) -> Result<VerifiedSubmission, Violation> {
        let culprit = Culprit::Steward(candidate.steward);
        let noise = self.task().options.noise;
        Violation::unless(
            noise.is_some_and(|noise| candidate.index < noise.candidates),
            culprit,
            Rule::Noise,
            "the task asks for no such candidate of noise",
        )?;
        Violation::unless(
            header.peek().selection.is_none(),
            culprit,
            Rule::Selection,
            "devices are selected, and not stewards",
        )?;
        let point = self.verify_seated(header, &candidate.steward)?;
        let (_, key) = self.steward(&candidate.steward)?;
        let header = header
            .verify(key)
            .map_err(|e| Violation::new(culprit, Rule::Signature, e))?;
        let entry = self.roster().steward_at(point);
        Ok(VerifiedSubmission {
            header,
            org: entry.expect("the roster has the steward's point").org,
            author: VerifiedAuthor::Steward {
                point,
                candidate: *candidate,
            },
        })
    }

    /// Verifies the aggregator's receipt for a header that was sent.
    ///
    /// # Errors
    /// A [`Violation`] by the aggregator.
    pub fn verify_receipt(
        &self,
        receipt: &Signed<Receipt>,
        header: &Signed<SubmissionHeader>,
    ) -> Result<Verified<Receipt>, Violation> {
        let receipt = self.verify_aggregator(receipt)?;
        self.verify_session(Culprit::Aggregator, &receipt.round, &receipt.session)?;
        Violation::unless(
            receipt.device == header.peek().credential.claimed_device()
                && receipt.header == header.envelope_digest(),
            Culprit::Aggregator,
            Rule::Receipt,
            "the receipt is for another submission",
        )?;
        Ok(receipt)
    }
}
