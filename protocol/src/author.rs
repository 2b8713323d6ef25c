//! Who a submission is by (`docs/protocol.md`, sections 4.4 and 4.8): a device that an organisation vouches for, or a
//! steward that contributes noise. The two have norm proofs of their own, and what is one never counts as the other.

use dawn_crypto::norm::NormParams;
use dawn_identity::{CredentialChain, DeviceId, OrgId};
use minicbor::data::Type;
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use minicbor::{Decode, Encode};

use crate::noise::Candidate;
use crate::statements::Outcome;

/// What the norm proofs of a task's submissions look like, by who submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofParams {
    /// Of devices.
    pub device: NormParams,
    /// Of stewards' noise; none when the task asks for none.
    pub noise: Option<NormParams>,
}

impl ProofParams {
    /// Those of a submission that a steward has this outcome of; none when it answers nothing.
    pub fn of(&self, outcome: Outcome) -> Option<&NormParams> {
        match outcome {
            Outcome::Ok => Some(&self.device),
            Outcome::OkNoise => self.noise.as_ref(),
            _ => None,
        }
    }

    /// Bytes of the longest answer.
    pub fn max_answer_bytes(&self) -> usize {
        let noise = self.noise.map_or(0, |params| params.answer_len());
        4 * noise.max(self.device.answer_len())
    }
}

/// What a header says about its author. A device's credential encodes as ever; a steward's candidate begins with an
/// integer, which no credential does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all authors are devices; a box would gain nothing"
)]
pub enum Author {
    /// A device, with its credential.
    Device(CredentialChain),
    /// A steward, with the candidate that it is.
    Steward(Candidate),
}

impl Author {
    /// Under which identifier the submission is sorted and stored; only claimed until the header is verified. A candidate
    /// has one of its own ([`Candidate::submitter`]).
    pub fn claimed_device(&self) -> DeviceId {
        match self {
            Self::Device(chain) => chain.claimed_device(),
            Self::Steward(candidate) => candidate.submitter(),
        }
    }

    /// The organisation that a device claims; a steward's follows from the roster.
    pub fn claimed_org(&self) -> Option<OrgId> {
        match self {
            Self::Device(chain) => Some(chain.claimed_org()),
            Self::Steward(_) => None,
        }
    }

    /// The candidate, of a steward.
    pub fn candidate(&self) -> Option<Candidate> {
        match self {
            Self::Device(_) => None,
            Self::Steward(candidate) => Some(*candidate),
        }
    }
}

impl From<CredentialChain> for Author {
    fn from(chain: CredentialChain) -> Self {
        Self::Device(chain)
    }
}

impl From<&CredentialChain> for Author {
    fn from(chain: &CredentialChain) -> Self {
        Self::Device(chain.clone())
    }
}

impl From<Candidate> for Author {
    fn from(candidate: Candidate) -> Self {
        Self::Steward(candidate)
    }
}

impl<C> Encode<C> for Author {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        match self {
            Self::Device(chain) => chain.encode(e, ctx),
            Self::Steward(candidate) => candidate.encode(e, ctx),
        }
    }
}

impl<'b, C> Decode<'b, C> for Author {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, DecodeError> {
        let mut ahead = d.probe();
        ahead.array()?;
        if matches!(
            ahead.datatype()?,
            Type::U8 | Type::U16 | Type::U32 | Type::U64
        ) {
            return Candidate::decode(d, ctx).map(Self::Steward);
        }
        CredentialChain::decode(d, ctx).map(Self::Device)
    }
}
