//! Why a steward does not answer: somebody broke a rule, or this machine has a trouble.

use dawn_identity::{StewardId, TaskId};
use dawn_protocol::{RoundId, Violation};

use crate::records::{AnswerKind, End};
use crate::vault::VaultError;

/// The rule by which a steward refuses to answer. Every one of them holds after a restart too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another request of this kind has been answered in this round.
    #[error(
        "round {round}: another request for this steward's {kind} has been answered, and there is one per round"
    )]
    AnsweredAnother {
        /// The round.
        round: RoundId,
        /// What was asked for.
        kind: AnswerKind,
    },
    /// Nothing new is said in this round any more.
    #[error("round {round} is over for this steward: {}", end_text(.end))]
    Over {
        /// The round.
        round: RoundId,
        /// Why.
        end: End,
    },
    /// The round is one of those that may have been answered before a loss of memory, or is too old to remember.
    #[error("round {round}: this steward says nothing new in rounds up to {floor} of this task")]
    BelowFloor {
        /// The round.
        round: RoundId,
        /// The last round of the task that is refused.
        floor: u32,
    },
    /// A later round of the task has begun.
    #[error("round {round}: round {highest} of the task has begun")]
    LaterRound {
        /// The round that was asked about.
        round: RoundId,
        /// The highest round in which this steward has said something.
        highest: u32,
    },
    /// The task has not been shown to this steward.
    #[error("task {0} is not known to this steward")]
    UnknownTask(TaskId),
    /// The task was signed before the steward lost its guard, so that it may have answered in it.
    #[error(
        "task {task} was signed at {created}; since the loss of the guard only tasks from after {least} count"
    )]
    TaskTooOld {
        /// The task.
        task: TaskId,
        /// When its owner signed it, unix seconds.
        created: u64,
        /// The first second that would count.
        least: u64,
    },
    /// The task claims to be from the future, which would undo [`Refusal::TaskTooOld`].
    #[error("task {task} claims to be signed at {created}, which is in the future")]
    TaskFromFuture {
        /// The task.
        task: TaskId,
        /// When its owner claims to have signed it, unix seconds.
        created: u64,
    },
    /// The roster does not have this steward.
    #[error("steward {steward} is not in the roster of task {task}")]
    NotInRoster {
        /// The task.
        task: TaskId,
        /// This steward.
        steward: StewardId,
    },
    /// Somebody else was this organisation's steward when the task began, and left no memory here.
    #[error(
        "task {0} began under another key of this organisation's steward, of which this store remembers nothing: take part in tasks that begin under the new one, or bring the old store (`dawn steward replace-keys`)"
    )]
    ForgottenPast(TaskId),
    /// The specification names fewer entries of the register than this steward knew when it gave its sealing key.
    #[error(
        "round {round}: the specification names a register of {named} entries, there were {known} when this steward gave its sealing key"
    )]
    OldRegister {
        /// The round.
        round: RoundId,
        /// Entries that the specification names.
        named: u64,
        /// Entries that were known.
        known: u64,
    },
    /// The closing names fewer entries of the register than this steward knew when it endorsed the round.
    #[error(
        "round {round}: the closing names a register of {named} entries, and this steward knew {known} before: a revocation may be left out; \
         audit the round with the log"
    )]
    OldClosing {
        /// The round.
        round: RoundId,
        /// Entries that the closing names.
        named: u64,
        /// Entries that were known.
        known: u64,
    },
    /// The aggregator's key was replaced after the round was specified. Nobody is to blame for that.
    #[error(
        "round {0}: the aggregator's key was replaced after it was specified, so that it is over: whoever has the old key may speak with it"
    )]
    KeyReplaced(RoundId),
    /// The register is shorter than it was when this steward last spoke.
    #[error(
        "the register has shrunk: {known} entries were shown before, now there are {shown}; unless the aggregator's database was put back, \
         it leaves something out: keep this steward's files as evidence"
    )]
    RegisterShrank {
        /// Entries that are shown.
        shown: u64,
        /// Entries that were known.
        known: u64,
    },
    /// Fewer changes of the server's keys are shown than this steward has read, or other ones.
    #[error(
        "this register does not have change {known} of the server's keys, which this steward has read: whoever has stolen the key that was \
         replaced may show it"
    )]
    KeyChangeHidden {
        /// Number of the change.
        known: u64,
    },
    /// The task has fewer rounds.
    #[error("the task of round {0} does not have so many rounds")]
    NoSuchRound(RoundId),
    /// The specification states a time that is far from this steward's clock.
    #[error(
        "round {round} is said to last from {opened} to {ends}, this steward's clock says {now}"
    )]
    WrongTime {
        /// The round.
        round: RoundId,
        /// When the specification says that it was opened, unix seconds.
        opened: u64,
        /// When its collecting ends, unix seconds.
        ends: u64,
        /// This steward's clock, unix seconds.
        now: u64,
    },
    /// The specification does not have the sealing key that this steward published.
    #[error("the specification of round {0} does not have this steward's sealing key")]
    NotMySealingKey(RoundId),
    /// The statement that ended the round before is not the one that this steward knows of.
    #[error(
        "the specification of round {0} continues another history than the one this steward took part in"
    )]
    OtherHistory(RoundId),
    /// The ends of the earlier rounds that the log shows do not explain the model of the specification.
    #[error("the log does not explain why round {0} starts from its model")]
    Unexplained(RoundId),
    /// The result of an earlier round leaves something to draw devices from that this steward did not see come about, and
    /// that nothing proves.
    #[error(
        "what the result of round {0} leaves to draw devices from is not proven to this steward, which did not answer that round's challenge: \
         the log has to have the round's specification with its endorsements, its closing and its challenge, and they have to give this draw; \
         audit the round if they do not"
    )]
    UnprovenDraw(RoundId),
    /// This steward takes part in another session of this round.
    #[error("this steward takes part in another session of round {0}")]
    OtherSession(RoundId),
    /// This steward has said something about another closed list of this round.
    #[error("this steward has said something about another closed list of round {0}")]
    OtherList(RoundId),
    /// The roster names another VRF key for this steward than the one that it holds.
    #[error("the roster of round {0} has another VRF key of this steward")]
    NotMyVrfKey(RoundId),
    /// Something that a verdict is judged with has not been shown.
    #[error("not all that the verdict of round {0} was judged with has been shown")]
    NotExamined(RoundId),
    /// This steward has not reported on this root, or answered this challenge.
    #[error("this steward has not reported on this closed list and challenge of round {0}")]
    NotReported(RoundId),
    /// The payloads for another verdict of this round have been chosen.
    #[error(
        "round {0}: this steward has begun to examine another verdict, and looks at one per round"
    )]
    AnotherVerdict(RoundId),
    /// A scalar of the verdict was found to be wrong.
    #[error(
        "round {0}: this steward found a wrong scalar in the verdict and does not open the round"
    )]
    FalseScalars(RoundId),
    /// The report that is shown as this steward's is not the one that it gave, or there is none.
    #[error("the verdict of round {0} was not judged with the report that this steward gave")]
    NotMyReport(RoundId),
    /// This steward did not open every package of the accepted set.
    #[error("this steward is not an opener of round {0}")]
    NotAnOpener(RoundId),
    /// The task asks for no noise of stewards.
    #[error("the task of round {0} asks for no noise of stewards")]
    NoNoise(RoundId),
    /// The round's secrets are gone.
    #[error("the secrets of round {0} have been erased")]
    SecretErased(RoundId),
    /// A page of packages is not the one that was asked for.
    #[error("round {round}: a page begins with submission {found}, not with {expected}")]
    WrongPage {
        /// The round.
        round: RoundId,
        /// Index of the submission that was asked for.
        expected: u32,
        /// Index that the page claims.
        found: u32,
    },
    /// The pages hold more or fewer submissions than the closed list.
    #[error("round {round}: {found} submissions were shown, the closed list has {expected}")]
    WrongCount {
        /// The round.
        round: RoundId,
        /// The closed list's number.
        expected: u32,
        /// The number shown.
        found: u32,
    },
    /// A submission is not the one that was shown before.
    #[error("round {round}: submission {index} is not the one that this steward reported on")]
    SubmissionChanged {
        /// The round.
        round: RoundId,
        /// Its index in root order.
        index: u32,
    },
    /// The privacy budget does not cover the round.
    #[error(
        "round {round}: {spent} of {limit} micro-rho of {ledger} are spent, {charge} more do not fit"
    )]
    Budget {
        /// The round.
        round: RoundId,
        /// Which ledger: the task's, or a data source's.
        ledger: String,
        /// What is spent.
        spent: u64,
        /// What the round costs.
        charge: u64,
        /// The limit.
        limit: u64,
    },
    /// What was spent on a data source may have been forgotten.
    #[error("what was spent on data source {0:?} before the loss of the guard has not been stated")]
    LedgerUnknown(String),
    /// What is shown is not the federation's log, or does not show what it should.
    #[error("this is not the log: {0}")]
    NotTheLog(String),
    /// The log is smaller than it was.
    #[error(
        "the log has shrunk: this steward has cosigned {had} entries, and is shown {shown}; unless the aggregator's database was put back, \
         this is a second history: keep this steward's files as evidence"
    )]
    LogShrank {
        /// Entries that were cosigned.
        had: u64,
        /// Entries that are shown.
        shown: u64,
    },
    /// The log does not continue what it was.
    #[error(
        "the log of {shown} entries does not continue the one of {had} entries that this steward has cosigned ({why}): there are two histories; \
         keep this steward's files as evidence"
    )]
    LogForked {
        /// Entries that were cosigned.
        had: u64,
        /// Entries that are shown.
        shown: u64,
        /// Why.
        why: String,
    },
    /// A statement of the round has not been shown to be in the log.
    #[error("round {round}: the {kind} is not in a log that this steward has cosigned")]
    NotLogged {
        /// The round.
        round: RoundId,
        /// Which statement.
        kind: &'static str,
    },
    /// Somebody broke a rule of the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
}

fn end_text(end: &End) -> &'static str {
    match end {
        End::Opened => "it has said everything",
        End::Superseded => "a later round has begun",
        End::Restored => "its memory was restored from a backup while the round was going on",
        End::KeyUsedElsewhere => "the log has a statement of its key that it does not remember",
    }
}

/// Why a steward does not answer.
#[derive(Debug, thiserror::Error)]
pub enum StewardError {
    /// A rule forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its memory does not work.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A statement of its own could not be signed; it would be refused by every reader.
    #[error("the steward's own statement: {0}")]
    Own(String),
}

impl From<Violation> for StewardError {
    fn from(violation: Violation) -> Self {
        Self::Refused(Refusal::Violation(violation))
    }
}

impl StewardError {
    /// The rule by which the steward refused, when it did.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Vault(_) | Self::Own(_) => None,
        }
    }
}
