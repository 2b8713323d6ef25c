//! What opens a round: the stewards' sealing keys, the specification, and its endorsements
//! (`docs/protocol.md`, section 4.1).

use dawn_crypto::digest::Digest;
use dawn_crypto::params::MAX_STEWARDS;
use dawn_crypto::seal::SealingPublicKey;
use dawn_identity::{
    BrokenRule, DecodeError, RegisterHead, SessionId, Signed, Statement, StewardId,
    from_canonical_bounded, to_canonical,
};
use minicbor::{Decode, Encode};

use crate::digests;
use crate::round_id::RoundId;
use crate::selection::Draw;
use crate::terminal::Start;

/// A steward's sealing key for one round. Signed by the steward, once per round; the secret half is
/// erased after the round, so that keys stolen later open nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SealingKey {
    /// The round that the key is for, and no other.
    #[n(0)]
    pub round: RoundId,
    /// Whose key it is.
    #[n(1)]
    pub steward: StewardId,
    /// The X-Wing public key.
    #[n(2)]
    pub key: SealingPublicKey,
}

impl Statement for SealingKey {
    const KIND: &'static str = "sealing-key";
    const MAX_BYTES: usize = 2048;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)
    }
}

/// The specification of one round. Signed by the aggregator; nothing in it is its choice but the
/// time and which sealing keys arrived before the deadline.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RoundSpec {
    /// [`crate::PROTOCOL_VERSION`].
    #[n(0)]
    pub version: u16,
    /// The round.
    #[n(1)]
    pub round: RoundId,
    /// Digest of the founding document.
    #[n(2)]
    pub federation: Digest,
    /// Digest of the roster.
    #[n(3)]
    pub roster: Digest,
    /// Body digest of the previous round's terminal statement; none for round 1.
    #[n(4)]
    pub previous: Option<Digest>,
    /// Digest of the model that devices train from.
    #[n(5)]
    pub model: Digest,
    /// Number of coordinates `d`.
    #[n(6)]
    pub dimension: u32,
    /// Seed of the public matrix: [`digests::matrix_seed`], so nobody chooses it.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub matrix_seed: [u8; 32],
    /// The sealing keys by evaluation point (index + 1), one place per steward of the roster. A
    /// steward with a key here is *seated*: devices send it a package.
    #[cbor(n(8), decode_with = "decode_sealing_keys")]
    pub sealing_keys: Vec<Option<Signed<SealingKey>>>,
    /// What opening this round costs, in micro-rho ([`crate::dp::charge_micro_rho`]).
    #[n(9)]
    pub charge_micro_rho: u64,
    /// When the round was opened, in unix milliseconds.
    #[n(10)]
    pub opened_ms: u64,
    /// The register's end when the round was specified: who may be seated, and that owner and issuer of the task count.
    #[n(11)]
    pub register: RegisterHead,
    /// [`Start::direction`]; none in round 1.
    #[n(12)]
    pub direction: Option<Digest>,
    /// [`Start::draw`].
    #[n(13)]
    pub draw: Option<Draw>,
}

/// Reads the places for sealing keys. In memory an empty place takes some 250 times its byte, so their number comes
/// first.
fn decode_sealing_keys<C>(
    d: &mut minicbor::Decoder<'_>,
    context: &mut C,
) -> Result<Vec<Option<Signed<SealingKey>>>, minicbor::decode::Error> {
    check_announced(d, MAX_STEWARDS)?;
    d.decode_with(context)
}

impl RoundSpec {
    /// The session id: the labelled digest of the specification's canonical bytes, bound into
    /// everything said in this attempt at the round.
    pub fn session(&self) -> SessionId {
        digests::session(self)
    }

    /// What the round starts from.
    pub fn start(&self) -> Start {
        Start {
            model: self.model,
            direction: self.direction,
            draw: self.draw,
        }
    }

    /// The evaluation points of the seated stewards, increasing.
    pub fn seated(&self) -> impl Iterator<Item = u8> + '_ {
        (1u8..)
            .zip(&self.sealing_keys)
            .filter_map(|(point, key)| key.as_ref().map(|_| point))
    }

    /// Number of seated stewards.
    pub fn seated_count(&self) -> usize {
        self.seated().count()
    }
}

impl Statement for RoundSpec {
    const KIND: &'static str = "round-spec";
    const MAX_BYTES: usize = 40_000;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)?;
        BrokenRule::unless(
            (1..=MAX_STEWARDS).contains(&self.sealing_keys.len()),
            "a round has between 1 and 16 places for sealing keys",
        )?;
        BrokenRule::unless(
            self.previous.is_none() == (self.round.number == 1),
            "round 1, and no other, has no previous round",
        )
    }
}

/// A steward's word that this is the one specification of the round that it takes part in. Signed
/// by the steward, once per round. At least T of them make a specification count: two of one round
/// cannot both have T, because `2T > m + f`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Endorsement {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session that the steward takes part in.
    #[n(1)]
    pub session: SessionId,
    /// Who endorses.
    #[n(2)]
    pub steward: StewardId,
}

impl Statement for Endorsement {
    const KIND: &'static str = "endorsement";
    const MAX_BYTES: usize = 512;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)
    }
}

/// A specification with its endorsements: what a device is shown. Not signed itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RoundAnnouncement {
    /// The specification.
    #[n(0)]
    pub spec: Signed<RoundSpec>,
    /// At least T endorsements by distinct stewards.
    #[n(1)]
    pub endorsements: Vec<Signed<Endorsement>>,
}

impl RoundAnnouncement {
    /// Most bytes of an announcement.
    pub const MAX_BYTES: usize = RoundSpec::MAX_BYTES + MAX_STEWARDS * 1024 + 64;

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads an announcement; nothing in it is verified.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let announcement: Self = from_canonical_bounded(bytes, Self::MAX_BYTES)?;
        BrokenRule::unless(
            announcement.endorsements.len() <= MAX_STEWARDS,
            "an announcement has at most one endorsement per steward",
        )?;
        Ok(announcement)
    }
}

/// Refuses a list that announces far more than `most` items before they are decoded: in memory an item may be many
/// times larger than the smallest encoding of one. Somewhat more are left to the rule on their number.
pub(crate) fn check_announced(
    d: &minicbor::Decoder<'_>,
    most: usize,
) -> Result<(), minicbor::decode::Error> {
    match minicbor::Decoder::new(d.input().get(d.position()..).unwrap_or_default()).array()? {
        Some(items) if items <= 4 * most as u64 => Ok(()),
        _ => Err(minicbor::decode::Error::message("a list is too long")),
    }
}

/// The rule on every statement's round.
pub(crate) fn check_round(round: &RoundId) -> Result<(), BrokenRule> {
    BrokenRule::unless(round.number >= 1, "rounds are numbered from 1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_identity::TaskId;

    /// As many empty places as fit the limit would take ten megabytes.
    #[test]
    fn too_many_places_are_refused_before_they_take_memory() {
        let spec = |places| RoundSpec {
            version: 1,
            round: RoundId::new(TaskId(Digest([1; 32])), 1),
            federation: Digest([2; 32]),
            roster: Digest([3; 32]),
            previous: None,
            model: Digest([4; 32]),
            dimension: 1,
            matrix_seed: [5; 32],
            sealing_keys: vec![None; places],
            charge_micro_rho: 0,
            opened_ms: 0,
            register: RegisterHead::empty(&Digest([2; 32])),
            direction: None,
            draw: None,
        };
        assert!(size_of::<Option<Signed<SealingKey>>>() > 200);
        let read = |places: usize| {
            let bytes = to_canonical(&spec(places));
            from_canonical_bounded::<RoundSpec>(&bytes, RoundSpec::MAX_BYTES)
        };
        assert_eq!(read(16), Ok(spec(16)));
        // The rule on their number is the statement's own.
        assert!(read(64).is_ok_and(|spec| spec.check().is_err()));
        for places in [65, 39_000] {
            let Err(DecodeError::Malformed(why)) = read(places) else {
                panic!("{places} places are read");
            };
            assert!(why.contains("a list is too long"), "{why}");
        }
    }
}
