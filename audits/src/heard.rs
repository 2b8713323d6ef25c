//! Who said what in which round, as the log has it: two different things of one kind are two histories (A18), and a round that
//! came further than the reason of its abort says did not end for that reason (A19).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use dawn_crypto::digest::Digest;
use dawn_identity::{Envelope, KeyId, Members, Signed, Statement, TaskId};
use dawn_protocol::{
    AbortReason, Aborted, BeaconShare, Challenge, Closed, Endorsement, Opening, PackageReport,
    RoundId, RoundResult, RoundSpec, SealingKey, Task, Verdict,
};

use crate::finding::{Finding, Party};
use crate::rule::AuditRule;

/// A result and an abort are one kind.
pub(crate) const END: &str = "end";

/// What the aggregator says in a round, in the order in which it says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Spec,
    Closed,
    Challenge,
    Verdict,
    End,
}

impl Phase {
    /// Of a kind of statement; none for what stewards say.
    pub(crate) fn of(kind: &str) -> Option<Self> {
        match kind {
            RoundSpec::KIND => Some(Self::Spec),
            Closed::KIND => Some(Self::Closed),
            Challenge::KIND => Some(Self::Challenge),
            Verdict::KIND => Some(Self::Verdict),
            END | RoundResult::KIND | Aborted::KIND => Some(Self::End),
            _ => None,
        }
    }

    /// What the aggregator cannot have said yet in a round that it aborts for this reason.
    pub(crate) fn not_before(reason: AbortReason) -> Self {
        match reason {
            AbortReason::TooFewSealingKeys => Self::Spec,
            AbortReason::TooFewEndorsements | AbortReason::TooFewSubmissions => Self::Closed,
            AbortReason::TooFewBeaconShares => Self::Challenge,
            // Noise and the budget are looked at once more when the round is judged.
            AbortReason::TooFewReports
            | AbortReason::Policy
            | AbortReason::TooLittleNoise
            | AbortReason::BudgetExhausted => Self::Verdict,
            AbortReason::TooFewOpenings
            | AbortReason::NoSmallOpening
            | AbortReason::AmbiguousOpening
            | AbortReason::ModelOverflow
            | AbortReason::KeyReplaced => Self::End,
        }
    }
}

/// Who said what in which round.
#[derive(Debug)]
pub(crate) struct Heard {
    bodies: BTreeMap<(&'static str, RoundId, KeyId), Digest>,
    /// What the aggregator signed, by body.
    own: BTreeMap<(RoundId, Phase), Digest>,
    aborted: BTreeMap<RoundId, AbortReason>,
    /// The key that a round was specified with.
    keys: BTreeMap<RoundId, KeyId>,
    tasks: BTreeSet<TaskId>,
}

impl Heard {
    pub(crate) fn new() -> Self {
        Self {
            bodies: BTreeMap::new(),
            own: BTreeMap::new(),
            aborted: BTreeMap::new(),
            keys: BTreeMap::new(),
            tasks: BTreeSet::new(),
        }
    }

    /// Notes an entry if it is a statement about a round. Entries are what the aggregator acted on,
    /// so their signatures were verified where they are used; here only the signer's own envelope
    /// counts, and it is compared with itself. What is found counts once a signed head covers the entry.
    ///
    /// `members` are those of the register as of the entries before it: they say which key is the aggregator's here. It is one
    /// party, whatever key it has; with a key that was replaced it says nothing any more, or whoever has stolen it spoke.
    pub(crate) fn note(&mut self, envelope: &Envelope, members: &Members) -> Result<(), Finding> {
        if envelope.kind() == Task::KIND
            && let Ok(task) = Signed::<Task>::from_envelope(envelope.clone())
        {
            self.tasks.insert(task.peek().id());
        }
        let Some(About {
            kind,
            round,
            reason,
            by,
        }) = About::of(envelope, members)
        else {
            return Ok(());
        };
        Finding::unless(
            by != By::Replaced,
            AuditRule::Log,
            Party::Aggregator,
            format_args!(
                "the log has a {} of round {round} under a key of the aggregator that was replaced before it",
                envelope.kind()
            ),
        )?;
        let (signer, body) = (envelope.signer(), envelope.body_digest());
        let before = self.bodies.insert((kind, round, signer), body);
        let once = |before: Option<Digest>| {
            Finding::unless(
                before.is_none_or(|before| before == body),
                AuditRule::Log,
                Party::Aggregator,
                format_args!(
                    "the log has two different statements of kind {kind} by one party in round {round}"
                ),
            )
        };
        once(before)?;
        let Some(phase) = Phase::of(kind).filter(|_| by == By::Aggregator) else {
            return Ok(());
        };
        match self.own.entry((round, phase)) {
            Entry::Vacant(vacant) => {
                vacant.insert(body);
            }
            Entry::Occupied(known) => once(Some(*known.get()))?,
        }
        self.under_its_key(round, phase, reason, signer)?;
        if let Some(reason) = reason {
            self.aborted.insert(round, reason);
        }
        self.aborted_in_time(&round)
    }

    /// A18: everything in a round is under the key that it was specified with. A19: but for its end when that key was replaced,
    /// and only then.
    fn under_its_key(
        &mut self,
        round: RoundId,
        phase: Phase,
        reason: Option<AbortReason>,
        signer: KeyId,
    ) -> Result<(), Finding> {
        if phase == Phase::Spec {
            self.keys.insert(round, signer);
        }
        let key = self.keys.get(&round);
        if reason == Some(AbortReason::KeyReplaced) {
            return Finding::unless(
                key.is_some_and(|key| *key != signer),
                AuditRule::Abort,
                Party::Aggregator,
                format_args!(
                    "round {round} was aborted because its key was replaced, and it was not"
                ),
            );
        }
        Finding::unless(
            key.is_none_or(|key| *key == signer),
            AuditRule::Log,
            Party::Aggregator,
            format_args!(
                "the log has a statement in round {round} under another key than the round's"
            ),
        )
    }

    /// A19: nothing was said that an abort for its reason comes before.
    fn aborted_in_time(&self, round: &RoundId) -> Result<(), Finding> {
        let Some(reason) = self.aborted.get(round) else {
            return Ok(());
        };
        let from = (*round, Phase::not_before(*reason));
        let beyond = self.own.range(from..(*round, Phase::End)).next();
        Finding::unless(
            beyond.is_none(),
            AuditRule::Abort,
            Party::Aggregator,
            format_args!(
                "the log has what comes after that in round {round}, which was aborted: {reason}"
            ),
        )
    }

    /// The body of what the aggregator said in a phase.
    pub(crate) fn own(&self, round: RoundId, phase: Phase) -> Option<Digest> {
        self.own.get(&(round, phase)).copied()
    }

    /// What the aggregator said in a round.
    pub(crate) fn of_round(&self, round: RoundId) -> impl Iterator<Item = (Phase, Digest)> {
        let all = self.own.range((round, Phase::Spec)..=(round, Phase::End));
        all.map(|((_, phase), body)| (*phase, *body))
    }

    /// Whether the aggregator went on after this phase, in this round or a later one of the task.
    pub(crate) fn went_on(&self, round: RoundId, phase: Phase) -> bool {
        let after = (Bound::Excluded((round, phase)), Bound::Unbounded);
        let next = self.own.range(after).next();
        next.is_some_and(|((next, _), _)| next.task == round.task)
    }

    /// Whether the aggregator acts on a task that is not in the log.
    pub(crate) fn hides(&self, task: TaskId) -> bool {
        !self.tasks.contains(&task) && self.went_on(RoundId::new(task, 0), Phase::End)
    }

    /// Rounds that are over.
    pub(crate) fn ended(&self) -> BTreeSet<RoundId> {
        let ends = self.own.keys().filter(|(_, phase)| *phase == Phase::End);
        ends.map(|(round, _)| *round).collect()
    }
}

/// What a statement about a round is.
struct About {
    /// A kind under which a party speaks once. See [`END`].
    kind: &'static str,
    round: RoundId,
    /// Of an abort.
    reason: Option<AbortReason>,
    by: By,
}

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The aggregator, with its key as of here; it is one of its kinds.
    Aggregator,
    /// The same with a key that was replaced before.
    Replaced,
    /// A steward, or nobody who counts.
    Another,
}

impl By {
    fn of<T: Statement + Clone>(signed: &Signed<T>, kind: &str, members: &Members) -> Self {
        let key = members.aggregator_with(&signed.signer());
        match key.filter(|key| Phase::of(kind).is_some() && signed.verify(key).is_ok()) {
            None => Self::Another,
            Some(key) if key == members.aggregator() => Self::Aggregator,
            Some(_) => Self::Replaced,
        }
    }
}

impl About {
    fn of(envelope: &Envelope, members: &Members) -> Option<Self> {
        macro_rules! about {
            ($kind:expr, $type:ty, $reason:expr) => {{
                let signed = Signed::<$type>::from_envelope(envelope.clone()).ok()?;
                let reason: fn(&$type) -> Option<AbortReason> = $reason;
                Some(Self {
                    kind: $kind,
                    round: signed.peek().round,
                    reason: reason(signed.peek()),
                    by: By::of(&signed, $kind, members),
                })
            }};
            ($type:ty) => {
                about!(<$type>::KIND, $type, |_| None)
            };
        }
        match envelope.kind() {
            SealingKey::KIND => about!(SealingKey),
            RoundSpec::KIND => about!(RoundSpec),
            Endorsement::KIND => about!(Endorsement),
            Closed::KIND => about!(Closed),
            BeaconShare::KIND => about!(BeaconShare),
            Challenge::KIND => about!(Challenge),
            PackageReport::KIND => about!(PackageReport),
            Verdict::KIND => about!(Verdict),
            Opening::KIND => about!(Opening),
            RoundResult::KIND => about!(END, RoundResult, |_| None),
            Aborted::KIND => about!(END, Aborted, |aborted| Some(aborted.reason)),
            _ => None,
        }
    }
}
