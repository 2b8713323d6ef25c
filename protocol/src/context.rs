//! A task in its federation, verified: what a party knows before it believes anything about a
//! round (`docs/protocol.md`, section 4.1).

mod aggregator_key;
mod public_set;
mod rosters;

use std::sync::{Arc, OnceLock};

use dawn_crypto::digest::Digest;
use dawn_crypto::norm::NormParams;
use dawn_crypto::params::Dimension;
use dawn_crypto::shamir::Threshold;
use dawn_identity::{
    Members, PublicKey, Signed, Statement, StewardId, TaskId, Verified, VerifiedFederation,
    VerifiedRoster,
};
use dawn_learn::{Model, PublicSet, RoundWay};

use crate::PROTOCOL_VERSION;
use crate::author::ProofParams;
use crate::digests;
use crate::dp::{self, CountedNoise, Spending};
use crate::functional::Functional;
use crate::round_id::RoundId;
use crate::spec::{RoundSpec, SealingKey};
use crate::task::Task;
use crate::terminal::{AbortReason, Aborted, Start, Terminal};
use crate::violation::{Culprit, Rule, Violation};

/// A verified task with its federation, under one of the rosters that its rounds may have. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TaskContext {
    inner: Arc<Inner>,
    /// The aggregator's key: as of the members, or of a round.
    aggregator: PublicKey,
}

#[derive(Debug)]
struct Inner {
    federation: VerifiedFederation,
    members: Arc<Members>,
    /// The one that the task names.
    first: Arc<VerifiedRoster>,
    roster: Arc<VerifiedRoster>,
    task: Verified<Task>,
    id: TaskId,
    dimension: Dimension,
    proofs: ProofParams,
    charge_micro_rho: u64,
    public: Arc<OnceLock<Arc<PublicSet>>>,
}

impl TaskContext {
    /// Verifies a task under a federation that the caller has pinned, under the roster that is in force for it as of
    /// `members`, those of the register as far as the caller knows it: the newest one that continues what the task names.
    ///
    /// A task stays what it is when its owner loses a key or leaves, and when a steward's keys are replaced: whether owner,
    /// issuer and roster count is asked for every round ([`crate::RoundContext::verify_register`]).
    ///
    /// # Errors
    /// A [`Violation`] of [`Rule::TaskBinding`], [`Rule::TaskOwner`], [`Rule::TaskIssuer`] or [`Rule::Signature`].
    pub fn verify(
        federation: &VerifiedFederation,
        members: &Members,
        task: &Signed<Task>,
    ) -> Result<Self, Violation> {
        let body = task.peek();
        let owner = Culprit::Organisation(body.owner);
        let member = members.get(&body.owner).ok_or_else(|| {
            Violation::new(owner, Rule::TaskOwner, "the task's owner is not a member")
        })?;
        Violation::unless(
            body.federation == federation.digest(),
            owner,
            Rule::TaskBinding,
            "the task names another federation",
        )?;
        let first = members.roster(&body.roster);
        let (first, roster) = first
            .zip(members.roster_in_force(&body.roster))
            .ok_or_else(|| {
                let detail = "the task names a roster that is not in the register";
                Violation::new(owner, Rule::TaskBinding, detail)
            })?;
        let issuer = member
            .verify_past_issuer(&body.issuer, body.created)
            .map_err(|e| Violation::new(owner, Rule::TaskIssuer, e))?;
        let task = task
            .verify(&issuer.key)
            .map_err(|e| Violation::new(owner, Rule::Signature, e))?;
        // All of it follows from the checks that every signed task has passed.
        let statement = |detail: String| Violation::new(owner, Rule::Statement, detail);
        let dimension = task.dimension().map_err(|e| statement(e.to_string()))?;
        let proofs = task.proof_params().map_err(|e| statement(e.to_string()))?;
        let charge_micro_rho = task
            .counted_noise(dp::honest_stewards(roster.threshold()))
            .charge_micro_rho(task.quantiser.clip)
            .map_err(|e| statement(e.to_string()))?;
        Ok(Self {
            aggregator: *members.aggregator(),
            inner: Arc::new(Inner {
                federation: federation.clone(),
                members: Arc::new(members.clone()),
                first: Arc::clone(first),
                roster: Arc::clone(roster),
                id: task.id(),
                task,
                dimension,
                proofs,
                charge_micro_rho,
                public: Arc::default(),
            }),
        })
    }

    /// The federation.
    pub fn federation(&self) -> &VerifiedFederation {
        &self.inner.federation
    }

    /// The members that the task was verified with. A round is judged with those of the register that it names.
    pub fn verified_with(&self) -> &Members {
        &self.inner.members
    }

    /// Whether owner and issuer of the task count as of these members, and the issuer's certificate at a time (unix seconds),
    /// when a round is opened; if not, why. A round that is specified later is nobody's. The time that the task states is
    /// not enough: whoever has the key of an issuer that has ended chooses it.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn verify_standing(&self, members: &Members, at: u64) -> Result<(), String> {
        let task = self.task();
        let member = members.get(&task.owner);
        let member = member.ok_or("the task's owner is not a member")?;
        member
            .verify_issuer(&task.issuer, task.created)
            .and_then(|_| member.verify_issuer(&task.issuer, at))
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    /// The task.
    pub fn task(&self) -> &Verified<Task> {
        &self.inner.task
    }

    /// The task's identifier.
    pub fn id(&self) -> TaskId {
        self.inner.id
    }

    /// A round of this task.
    pub fn round(&self, number: u32) -> RoundId {
        RoundId::new(self.id(), number)
    }

    /// The update's dimension.
    pub fn dimension(&self) -> Dimension {
        self.inner.dimension
    }

    /// What the norm proofs of devices' submissions look like.
    pub fn norm_params(&self) -> &NormParams {
        &self.inner.proofs.device
    }

    /// What the norm proofs of all submissions look like.
    pub fn proof_params(&self) -> &ProofParams {
        &self.inner.proofs
    }

    /// Fewest stewards whose noise is in every sum: T when the task asks for noise, else none.
    pub fn least_noise(&self) -> usize {
        let asked = self.task().options.noise.is_some();
        if asked {
            usize::from(self.threshold().t())
        } else {
            0
        }
    }

    /// The noise that is counted on in every sum.
    pub fn counted_noise(&self) -> CountedNoise {
        self.task()
            .counted_noise(dp::honest_stewards(self.threshold()))
    }

    /// `gamma B`: no accepted vector of a device is longer, and so none of its coordinates is larger
    /// (`docs/protocol.md`, section 4.3).
    pub fn norm_bound(&self) -> u64 {
        self.inner.proofs.device.max_norm()
    }

    /// m, f, T and A.
    pub fn threshold(&self) -> &Threshold {
        self.inner.roster.threshold()
    }

    /// What each opened round costs, in micro-rho.
    pub fn charge_micro_rho(&self) -> u64 {
        self.inner.charge_micro_rho
    }

    /// Whether `charge_micro_rho` more would exceed the task's budget.
    pub fn exceeds_budget(&self, spent_before_micro_rho: u64) -> bool {
        let budget = self.task().privacy.budget_micro_rho;
        let spent = spent_before_micro_rho.checked_add(self.charge_micro_rho());
        budget.is_some_and(|budget| spent.is_none_or(|spent| spent > budget))
    }

    /// The epsilon that the task's verdicts have spent together, at the task's delta, when
    /// `spent_micro_rho` is the sum of their charges. `None` when it is not finite.
    pub fn epsilon(&self, spent_micro_rho: u64) -> Option<f64> {
        let task = self.task();
        // Every verdict of a task charges the same.
        let rounds = spent_micro_rho.div_ceil(self.charge_micro_rho().max(1));
        let spending = Spending {
            micro_rho: spent_micro_rho,
            rounds: u32::try_from(rounds).ok()?,
            padded_dimension: self.dimension().padded(),
            noise: self.counted_noise(),
        };
        dp::epsilon(&spending, task.privacy.delta_exponent)
    }

    /// Bytes of every model of the task, in its canonical encoding.
    pub fn model_bytes(&self) -> u64 {
        Model::encoded_len(self.task().model) as u64
    }

    /// The model that round 1 starts from.
    ///
    /// # Errors
    /// [`Rule::Statement`]; never for a verified task.
    pub fn initial_model(&self) -> Result<Model, Violation> {
        let task = self.task();
        Model::initial(task.model, task.initial_seed)
            .map_err(|e| Violation::new(Culprit::Organisation(task.owner), Rule::Statement, e))
    }

    /// What a round trains, sends and applies (`docs/learning.md`, section 5.2): it follows from task and round number.
    pub fn round_way(&self, number: u32) -> RoundWay {
        let way = self.task().round_way(number);
        let way = way.expect("a verified task's way fits its model");
        match self.inner.public.get() {
            Some(set) => way
                .with_public_set(Arc::clone(set))
                .expect("it was compared with the task"),
            None => way,
        }
    }

    /// The evaluation point and key of a steward.
    ///
    /// # Errors
    /// [`Rule::RosterMember`].
    pub fn steward(&self, steward: &StewardId) -> Result<(u8, &PublicKey), Violation> {
        let roster = self.roster();
        let found = roster
            .point_of(steward)
            .and_then(|point| Some((point, &roster.steward_at(point)?.steward)));
        found.ok_or_else(|| {
            Violation::new(
                Culprit::Steward(*steward),
                Rule::RosterMember,
                "not a steward of the roster",
            )
        })
    }

    /// The identifier of the steward at an evaluation point.
    pub fn steward_id(&self, point: u8) -> Option<StewardId> {
        self.roster().steward_at(point).map(|entry| entry.id())
    }

    /// Verifies that the steward which a statement speaks for signed it; gives its point.
    ///
    /// # Errors
    /// [`Rule::RosterMember`], [`Rule::Signature`].
    pub(crate) fn verify_steward<T: Statement + Clone>(
        &self,
        signed: &Signed<T>,
        steward: &StewardId,
    ) -> Result<u8, Violation> {
        let (point, key) = self.steward(steward)?;
        signed
            .verify(key)
            .map_err(|e| Violation::new(Culprit::Steward(*steward), Rule::Signature, e))?;
        Ok(point)
    }

    /// Verifies that the aggregator signed a statement: with its key as of [`Self::verified_with`], in a round with that of
    /// its specification.
    ///
    /// # Errors
    /// [`Rule::Signature`].
    pub fn verify_aggregator<T: Statement + Clone>(
        &self,
        signed: &Signed<T>,
    ) -> Result<Verified<T>, Violation> {
        signed
            .verify(&self.aggregator)
            .map_err(|e| Violation::new(Culprit::Aggregator, Rule::Signature, e))
    }

    /// Verifies a steward's sealing key for a round; gives the steward's evaluation point.
    ///
    /// # Errors
    /// [`Rule::Round`], [`Rule::RosterMember`], [`Rule::Signature`].
    pub fn verify_sealing_key(
        &self,
        round: &RoundId,
        key: &Signed<SealingKey>,
    ) -> Result<u8, Violation> {
        let statement = key.peek();
        Violation::unless(
            statement.round == *round,
            Culprit::Steward(statement.steward),
            Rule::Round,
            "the sealing key is for another round",
        )?;
        self.verify_steward(key, &statement.steward)
    }

    /// The specification of a round, from the sealing keys that arrived, by evaluation point.
    /// Everything else in it follows, but for the register: it is that of [`Self::verified_with`], and the aggregator names
    /// the newest instead.
    ///
    /// # Errors
    /// [`AbortReason::TooFewSealingKeys`] with fewer than A keys.
    pub fn draft_spec(
        &self,
        number: u32,
        previous: Option<&Terminal>,
        model: Digest,
        keys: &[(u8, Signed<SealingKey>)],
        opened_ms: u64,
    ) -> Result<RoundSpec, AbortReason> {
        let mut places = vec![None; usize::from(self.threshold().m())];
        for (point, key) in keys {
            let place = usize::from(*point).wrapping_sub(1);
            if let Some(slot) = places.get_mut(place) {
                *slot = Some(key.clone());
            }
        }
        let seated = places.iter().flatten().count();
        if seated < usize::from(self.threshold().a()) {
            return Err(AbortReason::TooFewSealingKeys);
        }
        let round = self.round(number);
        Ok(RoundSpec {
            version: PROTOCOL_VERSION,
            round,
            federation: self.federation().digest(),
            roster: self.roster().digest(),
            previous: previous.map(Terminal::digest),
            model,
            dimension: self.dimension_u32(),
            matrix_seed: digests::matrix_seed(&round, &places),
            sealing_keys: places,
            charge_micro_rho: self.charge_micro_rho(),
            opened_ms,
            register: self.verified_with().head(),
            direction: previous.and_then(|terminal| terminal.next_start().direction),
            draw: match previous {
                Some(terminal) => terminal.next_start().draw,
                None => self.initial_draw(),
            },
        })
    }

    /// Verifies a terminal statement of this task: the aggregator signed it.
    ///
    /// # Errors
    /// [`Rule::Round`], [`Rule::Signature`].
    pub fn verify_terminal(&self, terminal: &Terminal) -> Result<(), Violation> {
        Violation::unless(
            terminal.round().task == self.id(),
            Culprit::Aggregator,
            Rule::Round,
            "the terminal statement is of another task",
        )?;
        // An earlier round may have had another key.
        match terminal {
            Terminal::Result(signed) => self.verify_aggregator_ever(signed).map(|_| ()),
            Terminal::Aborted(signed) => self.verify_aggregator_ever(signed).map(|_| ()),
        }
    }

    /// Whether rounds name the model that the last accepted update went from ([`Start::direction`]).
    pub fn names_directions(&self) -> bool {
        let functional = self.task().options.functional;
        functional.is_some_and(Functional::follows_models)
    }

    /// What round 1 starts from.
    ///
    /// # Errors
    /// As [`Self::initial_model`].
    pub fn initial_start(&self) -> Result<Start, Violation> {
        Ok(Start {
            model: self.initial_model_digest()?,
            direction: None,
            draw: self.initial_draw(),
        })
    }

    /// Digest of the model that round 1 starts from.
    ///
    /// # Errors
    /// As [`Self::initial_model`].
    pub fn initial_model_digest(&self) -> Result<Digest, Violation> {
        Ok(digests::model_digest(&self.initial_model()?.to_bytes()))
    }

    /// Verifies that an abort leaves what its round started from: `before` when the caller knows it, and for round 1 the
    /// initial model. The signature is not looked at.
    ///
    /// # Errors
    /// [`Rule::SpecModel`], by the aggregator.
    pub fn verify_stays(
        &self,
        aborted: &Signed<Aborted>,
        before: Option<Start>,
    ) -> Result<(), Violation> {
        let aborted = aborted.peek();
        let first = aborted.round.number == 1;
        let initial = first.then(|| self.initial_start()).transpose()?;
        Violation::unless(
            [before, initial]
                .iter()
                .flatten()
                .all(|known| *known == aborted.start()),
            Culprit::Aggregator,
            Rule::SpecModel,
            "an abort changes the model",
        )
    }

    /// Verifies what the end of a round says of the next one's start, as far as it follows from `before`, what that
    /// round started from, when the caller knows it. The signature is not looked at.
    ///
    /// # Errors
    /// [`Rule::SpecModel`], by the aggregator.
    pub fn verify_leaves(
        &self,
        terminal: &Terminal,
        before: Option<Start>,
    ) -> Result<(), Violation> {
        match terminal {
            Terminal::Aborted(aborted) => self.verify_stays(aborted, before),
            Terminal::Result(result) => {
                let named = result.peek().direction;
                // Everybody knows what the first round started from.
                let before = match terminal.round().number {
                    1 => Some(self.initial_start()?),
                    _ => before,
                };
                let right = match before {
                    Some(before) if self.names_directions() => named == Some(before.model),
                    _ => named.is_some() == self.names_directions(),
                };
                Violation::unless(
                    right,
                    Culprit::Aggregator,
                    Rule::SpecModel,
                    "a result names another model than its round started from",
                )?;
                Violation::unless(
                    result.peek().draw.is_some() == self.task().options.selection.is_some(),
                    Culprit::Aggregator,
                    Rule::Selection,
                    "a result leaves a beacon to draw from exactly when the task selects devices",
                )
            }
        }
    }

    pub(crate) fn dimension_u32(&self) -> u32 {
        u32::try_from(self.dimension().coordinates()).expect("a dimension is at most 2^24")
    }
}
