//! What is said between closing and opening (`docs/protocol.md`, sections 4.6 and 4.7). The lists
//! with one entry per submission are byte strings in root order.

use dawn_crypto::digest::Digest;
use dawn_crypto::params::MAX_STEWARDS;
use dawn_crypto::shamir::ShareSum;
use dawn_identity::{BrokenRule, RegisterHead, SessionId, Statement, StewardId};
use minicbor::{Decode, Encode};

use crate::byte_code::byte_code;
use crate::noise::RevealedSeeds;
use crate::round_id::RoundId;
use crate::spec::check_round;

/// Most submissions of one round: one code per submission has to fit a log entry.
pub const MAX_SUBMISSIONS: u32 = 50_000;

/// The closed list of submissions. Signed by the aggregator, once per round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Closed {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session.
    #[n(1)]
    pub session: SessionId,
    /// Merkle root over the leaf hashes of the signed headers, sorted by device.
    #[n(2)]
    pub root: Digest,
    /// Number of submissions.
    #[n(3)]
    pub count: u32,
    /// Unix milliseconds.
    #[n(4)]
    pub closed_ms: u64,
    /// The register's end when the list was closed: whose submissions count. It continues that of the specification.
    #[n(5)]
    pub register: RegisterHead,
}

impl Statement for Closed {
    const KIND: &'static str = "closed";
    const MAX_BYTES: usize = 512;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)?;
        BrokenRule::unless(
            (1..=MAX_SUBMISSIONS).contains(&self.count),
            "a closed round has between 1 and 50,000 submissions",
        )
    }
}

/// What a steward found in its package of one submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// Opened, and the shares match their commitments and the proof of consistency.
    Ok = 0,
    /// The package is missing, is not the one that the header names, or does not open.
    Unsealable = 1,
    /// It opens, but what is inside is not the canonical encoding of shares of these lengths.
    Malformed = 2,
    /// A share is not the committed one, or not on one polynomial with the others.
    CommitmentMismatch = 3,
    /// The header itself does not verify.
    BadHeader = 4,
    /// A candidate of a steward's noise that the beacon did not pick: nothing is answered.
    NotChosen = 5,
    /// As [`Self::Ok`], of a steward's noise, whose answers have another length.
    OkNoise = 6,
}

impl Outcome {
    /// Whether the steward holds its shares and answers.
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok | Self::OkNoise)
    }
}

byte_code!(Outcome {
    Ok = 0 => "ok",
    Unsealable = 1 => "unsealable",
    Malformed = 2 => "malformed",
    CommitmentMismatch = 3 => "commitment-mismatch",
    BadHeader = 4 => "bad-header",
    NotChosen = 5 => "not-chosen",
    OkNoise = 6 => "ok-noise",
});

/// A steward's findings about every submission of a closed round, and what it answers to the
/// challenge. Signed by the steward, once per round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PackageReport {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session.
    #[n(1)]
    pub session: SessionId,
    /// The root that the findings are about.
    #[n(2)]
    pub root: Digest,
    /// Who reports.
    #[n(3)]
    pub steward: StewardId,
    /// One finding per submission, in root order.
    #[cbor(n(4), with = "crate::byte_code")]
    pub outcomes: Vec<Outcome>,
    /// Body digest of the challenge that is answered.
    #[n(5)]
    pub challenge: Digest,
    /// Digest of the answers about all submissions that are `Ok`
    /// ([`crate::answers::AnswersHasher`]).
    #[n(6)]
    pub answers: Digest,
    /// The seeds of this steward's candidates of noise that the beacon did not pick; none when it contributed none.
    #[n(7)]
    pub reveals: Option<RevealedSeeds>,
}

impl Statement for PackageReport {
    const KIND: &'static str = "report";
    const MAX_BYTES: usize = 53_248;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)?;
        check_count(self.outcomes.len())?;
        self.reveals.as_ref().map_or(Ok(()), RevealedSeeds::check)
    }
}

/// Whether a submission is in the sum, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Decision {
    /// In the sum.
    Accepted = 0,
    /// Fewer than A stewards opened their package of it.
    TooFewStewards = 1,
    /// Valid, but not among those that all stewards of the chosen opening set hold.
    OutsideOpeningSet = 2,
    /// Valid, but its organisation already has its largest share.
    OrganisationShare = 3,
    /// The header does not verify.
    BadHeader = 4,
    /// The answers of no A stewards lie on one polynomial.
    AnswersDisagree = 5,
    /// The digits are not the projections of what is masked.
    Projection = 6,
    /// A digit is none, or the norm is above the bound.
    Norm = 7,
    /// A steward's noise, in the sum.
    Noise = 8,
    /// A candidate of a steward's noise that the beacon did not pick.
    NotChosen = 9,
    /// A steward's noise whose other candidates were not all submitted, revealed and found to be noise.
    UnprovenNoise = 10,
}

byte_code!(Decision {
    Accepted = 0 => "accepted",
    TooFewStewards = 1 => "too-few-stewards",
    OutsideOpeningSet = 2 => "outside-opening-set",
    OrganisationShare = 3 => "organisation-share",
    BadHeader = 4 => "bad-header",
    AnswersDisagree = 5 => "answers-disagree",
    Projection = 6 => "projection",
    Norm = 7 => "norm",
    Noise = 8 => "noise",
    NotChosen = 9 => "not-chosen",
    UnprovenNoise = 10 => "unproven-noise",
});

impl Decision {
    /// Whether the submission is in the sum.
    pub const fn is_summed(self) -> bool {
        matches!(self, Self::Accepted | Self::Noise)
    }
}

/// The accepted set of a round. Signed by the aggregator; what it says follows from the headers,
/// the reports, the answers, the payloads and the task ([`crate::judge`]).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Verdict {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session.
    #[n(1)]
    pub session: SessionId,
    /// The root that was judged.
    #[n(2)]
    pub root: Digest,
    /// One decision per submission, in root order.
    #[cbor(n(3), with = "crate::byte_code")]
    pub decisions: Vec<Decision>,
    /// Evaluation points of all stewards that hold the whole accepted set (they reported `Ok`, and
    /// their answers are right), increasing; at least A. Each of them may answer.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub openers: Vec<u8>,
    /// Body digests of the reports that were judged, in increasing point.
    #[n(5)]
    pub reports: Vec<Digest>,
    /// What opening costs, in micro-rho.
    #[n(6)]
    pub charge_micro_rho: u64,
    /// What the task has spent with this round, in micro-rho: the sum over all its verdicts.
    #[n(7)]
    pub spent_micro_rho: u64,
    /// Body digest of the challenge.
    #[n(8)]
    pub challenge: Digest,
    /// Digest of the public scalars of all submissions ([`crate::answers::Scalars`]).
    #[n(9)]
    pub scalars: Digest,
    /// Evaluation points of the stewards that answered wrongly about some submission, or did not reveal what they had
    /// submitted as noise, increasing.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub liars: Vec<u8>,
}

impl Verdict {
    /// The number of accepted submissions of devices, `|U|`.
    pub fn accepted_count(&self) -> u32 {
        self.count(Decision::Accepted)
    }

    /// The number of stewards whose noise is in the sum.
    pub fn noise_count(&self) -> u32 {
        self.count(Decision::Noise)
    }

    fn count(&self, of: Decision) -> u32 {
        let count = self.decisions.iter().filter(|decision| **decision == of);
        u32::try_from(count.count()).expect("a verdict has at most 50,000 decisions")
    }

    /// The indices of the submissions in the sum, of devices and of stewards, in root order.
    pub fn accepted(&self) -> impl Iterator<Item = usize> + '_ {
        self.decisions
            .iter()
            .enumerate()
            .filter(|(_, decision)| decision.is_summed())
            .map(|(index, _)| index)
    }
}

impl Statement for Verdict {
    const KIND: &'static str = "verdict";
    const MAX_BYTES: usize = 51_200;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)?;
        check_count(self.decisions.len())?;
        check_points(&self.openers)?;
        check_points(&self.liars)?;
        BrokenRule::unless(
            self.reports.len() <= MAX_STEWARDS,
            "a verdict judges at most one report per steward",
        )?;
        BrokenRule::unless(
            self.charge_micro_rho <= self.spent_micro_rho,
            "what is spent includes this round's charge",
        )
    }
}

/// A steward's one answer: the sum of its key shares over the accepted set. Signed by the steward,
/// once per round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Opening {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session.
    #[n(1)]
    pub session: SessionId,
    /// The closed root.
    #[n(2)]
    pub root: Digest,
    /// Body digest of the verdict that is answered.
    #[n(3)]
    pub verdict: Digest,
    /// Who answers.
    #[n(4)]
    pub steward: StewardId,
    /// The sum of its shares.
    #[n(5)]
    pub share_sum: ShareSum,
    /// Digest of the sums of its shares over the groups, in a round of a task that asks for groups and in no other
    /// ([`crate::GroupSums`]). They add up to `share_sum`.
    #[n(6)]
    pub groups: Option<Digest>,
}

impl Statement for Opening {
    const KIND: &'static str = "opening";
    const MAX_BYTES: usize = 9216;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)
    }
}

fn check_count(count: usize) -> Result<(), BrokenRule> {
    BrokenRule::unless(
        (1..=MAX_SUBMISSIONS as usize).contains(&count),
        "there is one code per submission, between 1 and 50,000",
    )
}

/// The rule on a list of evaluation points: increasing, between 1 and 16.
pub(crate) fn check_points(points: &[u8]) -> Result<(), BrokenRule> {
    let increasing = points.windows(2).all(|pair| pair[0] < pair[1]);
    let in_range = points
        .iter()
        .all(|point| (1..=MAX_STEWARDS).contains(&usize::from(*point)));
    BrokenRule::unless(
        increasing && in_range,
        "evaluation points are increasing, between 1 and 16",
    )
}
