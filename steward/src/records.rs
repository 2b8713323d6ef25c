//! What the store keeps about answers, rounds and tasks.

use dawn_identity::{Digest, SessionId};
use dawn_protocol::{Draw, Start};
use minicbor::{Decode, Encode};

/// The six things that a steward says in a round, each at most once. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AnswerKind {
    /// Its sealing key for the round.
    SealingKey = 0,
    /// That this is the one specification of the round.
    Endorsement = 1,
    /// What it found in its packages, with its answers to the challenge.
    Report = 2,
    /// The sum of its shares.
    Opening = 3,
    /// Its part of the beacon.
    BeaconShare = 4,
    /// Its candidates of noise, which all follow from one secret: what is kept of the answer is the request.
    Noise = 5,
}

impl AnswerKind {
    /// Every kind, in the order in which they are said.
    pub const ALL: [Self; 6] = [
        Self::SealingKey,
        Self::Endorsement,
        Self::Noise,
        Self::BeaconShare,
        Self::Report,
        Self::Opening,
    ];

    /// The name in messages, which is also the statement's kind; noise is no statement.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SealingKey => "sealing-key",
            Self::Endorsement => "endorsement",
            Self::BeaconShare => "beacon-share",
            Self::Report => "report",
            Self::Opening => "opening",
            Self::Noise => "noise",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl std::fmt::Display for AnswerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// An answer that was given, or may be.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Answer {
    /// Digest of what was asked: an identical request gets identical bytes, another one is refused.
    #[n(0)]
    pub request: Digest,
    /// The signed statement.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub envelope: Vec<u8>,
    /// What goes with it, and is kept as it is: an opening's sums over groups.
    #[n(2)]
    pub beside: Option<minicbor::bytes::ByteVec>,
}

/// Why nothing new is said in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum End {
    /// Everything has been said.
    #[n(0)]
    Opened,
    /// A later round of the task has begun.
    #[n(1)]
    Superseded,
    /// The store was restored from a backup while the round was going on.
    #[n(2)]
    Restored,
    /// The log holds a statement of this steward's key that this store does not know.
    #[n(3)]
    KeyUsedElsewhere,
}

/// What the store knows about a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RoundRecord {
    /// The session that was endorsed.
    #[n(0)]
    pub session: Option<SessionId>,
    /// Body digest of the verdict that was answered.
    #[n(1)]
    pub verdict: Option<Digest>,
    /// Set when nothing new is said any more.
    #[n(2)]
    pub end: Option<End>,
    /// Body digest of the closed list that something was said about.
    #[n(3)]
    pub closed: Option<Digest>,
    /// Set before the first payload is asked for to recompute scalars.
    #[n(4)]
    pub recomputed: Option<Recomputed>,
    /// What the round's challenge leaves for the next to draw from, when the task selects devices.
    #[n(5)]
    pub next_draw: Option<Draw>,
    /// How many entries of the register were known when the sealing key was given.
    #[n(6)]
    pub register: Option<u64>,
    /// How many were known when the specification was endorsed.
    #[n(7)]
    pub endorsed: Option<u64>,
}

/// The one verdict of a round that is looked at any more, and whose scalars are recomputed for it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Recomputed {
    /// The verdict's body digest.
    #[n(0)]
    pub verdict: Digest,
    /// The secret choice, places in the closed list; none when all are recomputed.
    #[n(1)]
    pub drawn: Option<Vec<u32>>,
    /// Whether a scalar was found to be wrong: then the round is never opened.
    #[n(2)]
    pub lie: bool,
}

/// What the newest specification of a task that this steward has verified says about the rounds before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Known {
    /// The specification's round.
    #[n(0)]
    pub number: u32,
    /// Body digest of the statement that ended the round before.
    #[n(1)]
    pub previous: Option<Digest>,
    /// Digest of the model that the rounds before left.
    #[n(2)]
    pub model: Digest,
    /// Digest of the model that the last accepted update went from, when the task asks for it.
    #[n(3)]
    pub direction: Option<Digest>,
    /// What its devices are drawn from, when the task selects them.
    #[n(4)]
    pub draw: Option<Draw>,
}

impl Known {
    /// What that round started from.
    pub fn start(&self) -> Start {
        Start {
            model: self.model,
            direction: self.direction,
            draw: self.draw,
        }
    }
}

/// What the store knows about a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct TaskRecord {
    /// The highest round in which anything was said.
    #[n(0)]
    pub highest: u32,
    /// Nothing new is said in this round or any before it.
    #[n(1)]
    pub floor: u32,
    /// Micro-rho spent by the task, as far as this steward knows.
    #[n(2)]
    pub spent: u64,
    /// The history as far as this steward knows it. Kept when the rounds are forgotten.
    #[n(3)]
    pub known: Option<Known>,
}
