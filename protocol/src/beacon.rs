//! What nobody knows before a round is closed (`docs/protocol.md`, section 4.6): stewards' parts of
//! the beacon, and the challenge that they make.
//!
//! A part is the output of a verifiable random function under a key that the roster has fixed, of the
//! session and the closed root. A challenge has exactly T of them, so that an honest one is among
//! them and nobody could choose its submission, or its lies, by the questions.

use dawn_crypto::digest::{Digest, Hasher, hash, labels};
use dawn_crypto::params::MAX_STEWARDS;
use dawn_crypto::vrf::{VrfOutput, VrfProof};
use dawn_identity::{BrokenRule, SessionId, Signed, Statement, StewardId};
use minicbor::{Decode, Encode};

use crate::round_id::RoundId;
use crate::spec::check_round;

/// A steward's part of the beacon. Signed by the steward, once per round, after it has verified the
/// closed list.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct BeaconShare {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session.
    #[n(1)]
    pub session: SessionId,
    /// The closed root.
    #[n(2)]
    pub root: Digest,
    /// Whose part it is.
    #[n(3)]
    pub steward: StewardId,
    /// The proof of the output of [`beacon_input`] under the VRF key that the roster names.
    #[n(4)]
    pub proof: VrfProof,
}

impl Statement for BeaconShare {
    const KIND: &'static str = "beacon-share";
    const MAX_BYTES: usize = 512;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)
    }
}

/// The parts that make the beacon of a closed round. Signed by the aggregator, once per round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Challenge {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session.
    #[n(1)]
    pub session: SessionId,
    /// The closed root.
    #[n(2)]
    pub root: Digest,
    /// The parts of exactly T seated stewards, in increasing point.
    #[n(3)]
    pub shares: Vec<Signed<BeaconShare>>,
}

impl Statement for Challenge {
    const KIND: &'static str = "challenge";
    const MAX_BYTES: usize = 8192;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)?;
        BrokenRule::unless(
            (1..=MAX_STEWARDS).contains(&self.shares.len()),
            "a challenge has between 1 and 16 parts",
        )
    }
}

/// What the stewards' VRFs are asked: `hash(BEACON_INPUT, session, root)`.
pub fn beacon_input(session: &SessionId, root: &Digest) -> Digest {
    hash(labels::BEACON_INPUT, &[session.as_bytes(), &root.0])
}

/// The beacon: `hash(BEACON, session, root, one field an output)`, by increasing point.
pub fn beacon(session: &SessionId, root: &Digest, outputs: &[VrfOutput]) -> Digest {
    let mut hasher = Hasher::new(labels::BEACON);
    hasher.field(session.as_bytes()).field(&root.0);
    for output in outputs {
        hasher.field(output.as_bytes());
    }
    hasher.finalize()
}
