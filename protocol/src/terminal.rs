//! How a round ends: with a result or aborted (`docs/protocol.md`, sections 4.1 and 4.7). The next
//! round's specification names the one statement that ended this one.

use dawn_crypto::digest::Digest;
use dawn_crypto::params::MAX_STEWARDS;
use dawn_identity::{BrokenRule, KeyId, SessionId, Signed, Statement, StewardId};
use minicbor::{Decode, Encode};

use crate::byte_code::byte_code;
use crate::evaluation::EvaluationSum;
use crate::round_id::RoundId;
use crate::selection::Draw;
use crate::spec::check_round;
use crate::statements::{MAX_SUBMISSIONS, check_points};

/// What a round starts from, by digests. The rounds before leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The model that devices train from.
    pub model: Digest,
    /// The model that the last round with a result started from: from it to `model` the last accepted update went. None
    /// before there is one, and for tasks without a functional that follows models (section 4.5).
    pub direction: Option<Digest>,
    /// What the round's devices are drawn from; none for tasks that take everybody (section 4.10).
    pub draw: Option<Draw>,
}

/// The opened sum and the next model. Signed by the aggregator; all of it can be recomputed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RoundResult {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session.
    #[n(1)]
    pub session: SessionId,
    /// Body digest of the verdict.
    #[n(2)]
    pub verdict: Digest,
    /// Body digests of all openings that were considered, in increasing point.
    #[n(3)]
    pub openings: Vec<Digest>,
    /// The evaluation points of the T answers that the sum was opened with.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub points: Vec<u8>,
    /// Stewards whose answers are not on the polynomial, in increasing point.
    #[n(5)]
    pub culprits: Vec<StewardId>,
    /// Number of accepted submissions.
    #[n(6)]
    pub accepted: u32,
    /// Digest of the sum's d coordinates ([`crate::digests::sum_digest`]).
    #[n(7)]
    pub sum: Digest,
    /// Digest of the next model.
    #[n(8)]
    pub model: Digest,
    /// Digest of the model that the round started from, when the task's functional follows models.
    #[n(9)]
    pub direction: Option<Digest>,
    /// What the next round's devices are drawn from: this round's beacon, when the task selects devices.
    #[n(10)]
    pub draw: Option<Draw>,
    /// What the devices' evaluations of the model that the round started from sum to, when the task asks for such.
    #[n(11)]
    pub evaluation: Option<EvaluationSum>,
}

impl RoundResult {
    /// What the next round starts from.
    pub fn next_start(&self) -> Start {
        Start {
            model: self.model,
            direction: self.direction,
            draw: self.draw,
        }
    }
}

impl Statement for RoundResult {
    const KIND: &'static str = "result";
    const MAX_BYTES: usize = 4096;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)?;
        check_points(&self.points)?;
        BrokenRule::unless(
            self.openings.len() <= MAX_STEWARDS && self.points.len() <= self.openings.len(),
            "a result considers at most one opening per steward, and every one that it uses",
        )?;
        BrokenRule::unless(
            self.culprits.len() <= MAX_STEWARDS,
            "a result names at most as many culprits as there are stewards",
        )?;
        BrokenRule::unless(
            (1..=MAX_SUBMISSIONS).contains(&self.accepted),
            "a result sums between 1 and 50,000 submissions",
        )
    }
}

/// Why a round ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
#[repr(u8)]
pub enum AbortReason {
    /// Fewer than A stewards published a sealing key.
    #[n(0)]
    TooFewSealingKeys = 0,
    /// Fewer than T stewards endorsed the specification.
    #[n(1)]
    TooFewEndorsements = 1,
    /// Fewer submissions than the policy's minimum.
    #[n(2)]
    TooFewSubmissions = 2,
    /// Fewer than A stewards reported.
    #[n(3)]
    TooFewReports = 3,
    /// No set of submissions meets the policy.
    #[n(4)]
    Policy = 4,
    /// The privacy budget does not cover another round.
    #[n(5)]
    BudgetExhausted = 5,
    /// Fewer than T stewards answered.
    #[n(6)]
    TooFewOpenings = 6,
    /// No T answers open to a small sum.
    #[n(7)]
    NoSmallOpening = 7,
    /// Different answers open to different small sums.
    #[n(8)]
    AmbiguousOpening = 8,
    /// The update does not fit the model's integers.
    #[n(9)]
    ModelOverflow = 9,
    /// Fewer than T stewards gave their part of the beacon.
    #[n(10)]
    TooFewBeaconShares = 10,
    /// The noise of fewer than T stewards.
    #[n(11)]
    TooLittleNoise = 11,
    /// The aggregator's key was replaced after the round was specified: a round lives under one key. The new one signs this.
    #[n(12)]
    KeyReplaced = 12,
}

byte_code!(AbortReason {
    TooFewSealingKeys = 0 => "too-few-sealing-keys",
    TooFewEndorsements = 1 => "too-few-endorsements",
    TooFewSubmissions = 2 => "too-few-submissions",
    TooFewReports = 3 => "too-few-reports",
    Policy = 4 => "policy",
    BudgetExhausted = 5 => "budget-exhausted",
    TooFewOpenings = 6 => "too-few-openings",
    NoSmallOpening = 7 => "no-small-opening",
    AmbiguousOpening = 8 => "ambiguous-opening",
    ModelOverflow = 9 => "model-overflow",
    TooFewBeaconShares = 10 => "too-few-beacon-shares",
    TooLittleNoise = 11 => "too-little-noise",
    KeyReplaced = 12 => "key-replaced",
});

/// The end of a round without a result. Signed by the aggregator.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Aborted {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session, when the round got so far.
    #[n(1)]
    pub session: Option<SessionId>,
    /// Why.
    #[n(2)]
    pub reason: AbortReason,
    /// For people; at most 256 bytes.
    #[n(3)]
    pub detail: String,
    /// Digest of the model that stays: the one that this round started from and the next starts from.
    #[n(4)]
    pub model: Digest,
    /// Body digest of the previous round's terminal statement; none for round 1. An abort may come
    /// before any specification, and has to name what it continues all the same.
    #[n(5)]
    pub previous: Option<Digest>,
    /// [`Start::direction`] of this round, which stays as the model does.
    #[n(6)]
    pub direction: Option<Digest>,
    /// [`Start::draw`] of this round, which stays as the model does.
    #[n(7)]
    pub draw: Option<Draw>,
}

impl Aborted {
    /// What the round started from, and the next one starts from.
    pub fn start(&self) -> Start {
        Start {
            model: self.model,
            direction: self.direction,
            draw: self.draw,
        }
    }

    /// Most bytes of the text for people.
    pub const MAX_DETAIL_BYTES: usize = 256;
}

impl Statement for Aborted {
    const KIND: &'static str = "aborted";
    const MAX_BYTES: usize = 1024;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)?;
        BrokenRule::unless(
            self.detail.len() <= Self::MAX_DETAIL_BYTES
                && !self.detail.chars().any(char::is_control),
            "the text of an abort has at most 256 bytes and no control characters",
        )?;
        BrokenRule::unless(
            self.previous.is_none() == (self.round.number == 1),
            "round 1, and no other, has no previous round",
        )
    }
}

/// The one statement that ended a round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Terminal {
    /// With a sum.
    #[n(0)]
    Result(#[n(0)] Signed<RoundResult>),
    /// Without.
    #[n(1)]
    Aborted(#[n(0)] Signed<Aborted>),
}

impl Terminal {
    /// The round that it ended; not verified.
    pub fn round(&self) -> RoundId {
        match self {
            Self::Result(signed) => signed.peek().round,
            Self::Aborted(signed) => signed.peek().round,
        }
    }

    /// Digest of the model that the next round starts from; not verified.
    pub fn model(&self) -> Digest {
        self.next_start().model
    }

    /// What the next round starts from; not verified.
    pub fn next_start(&self) -> Start {
        match self {
            Self::Result(signed) => signed.peek().next_start(),
            Self::Aborted(signed) => signed.peek().start(),
        }
    }

    /// The body digest that the next specification names.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Result(signed) => signed.body_digest(),
            Self::Aborted(signed) => signed.body_digest(),
        }
    }

    /// The key that signed it, as it says; not verified.
    pub fn signer(&self) -> KeyId {
        match self {
            Self::Result(signed) => signed.signer(),
            Self::Aborted(signed) => signed.signer(),
        }
    }

    /// The signed bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Result(signed) => signed.bytes(),
            Self::Aborted(signed) => signed.bytes(),
        }
    }
}
