//! Proof that all committed shares lie on one polynomial (`docs/protocol.md`, section 4.3). Without it a device could
//! give one steward a share beside the polynomial of the others, and that steward's honest answer would look like a
//! lie (sections 4.6 and 4.7).
//!
//! A steward's share is everything that the device shares, one segment after the other: the mask key, and the digits and
//! proofs of the norm proof.
//!
//! Four repetitions, each with a fresh random polynomial `r` of degree `T - 1`. Steward `j` knows
//! `mask_j`, expanded from the blind of its commitment; `correction_j = r(j) - mask_j` is public. The
//! challenge `chi`, one uniform element for each of a share, follows from all commitments and corrections. The device
//! publishes `p = r + <chi, polynomial of the shares>` by its values at `1..=T`; steward `j` accepts when
//! `p(j) = correction_j + mask_j + <chi, share_j>`.
//!
//! *Sound*: stewards whose shares are not on one polynomial all accept with probability `1/q` a repetition,
//! `2^-128` together. *Hiding*: `p(0)` is `<chi, what is shared>` under the one-time pad `r(0)`, about which any `T - 1`
//! stewards know nothing.

use super::lagrange::coefficients_at;
use super::{ShamirError, Threshold};
use crate::declassify;
use crate::digest::{Hasher, labels};
use crate::expand;
use crate::field;
use crate::params::{MAX_STEWARDS, Q};
use crate::secret::SecretVec;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Independent repetitions.
const REPETITIONS: usize = 4;

/// One element a repetition.
type Row = [u32; REPETITIONS];

/// Everything that one steward is given, in the order in which it is committed.
pub type Segments<'a> = &'a [&'a [u32]];

/// The proof, in a submission's header. In CBOR two byte strings of little-endian words, 16 bytes a steward
/// (corrections, by point) and 16 bytes for each of the points `1..=T` (values).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsistencyProof {
    corrections: Vec<Row>,
    values: Vec<Row>,
}

impl ConsistencyProof {
    /// Proves that `shares`, one for each point `1..=m` with the blind of its commitments, are consistent.
    /// `context` holds the commitments and whatever else the proof is about.
    ///
    /// # Panics
    /// When two shares have different lengths.
    pub fn new<R: rand_core::CryptoRng>(
        th: &Threshold,
        shares: &[(&[u8; 32], Segments<'_>)],
        context: &[u8],
        rng: &mut R,
    ) -> ConsistencyProof {
        let t = usize::from(th.t());
        let mut coefficients = SecretVec::<u32>::zeroed(t * REPETITIONS);
        expand::uniform(rng, &mut coefficients);
        let random_at = |point: u8| -> Zeroizing<Row> {
            let mut value = Zeroizing::new([0; REPETITIONS]);
            for row in coefficients.chunks_exact(REPETITIONS).rev() {
                for (value, coefficient) in value.iter_mut().zip(row) {
                    *value = field::add(field::mul(*value, u32::from(point)), *coefficient);
                }
            }
            value
        };
        let corrections = (1u8..)
            .zip(shares)
            .map(|(point, (blind, _))| combine(&random_at(point), &mask(blind), field::sub))
            .collect();
        let mut proof = ConsistencyProof {
            corrections,
            values: Vec::with_capacity(t),
        };
        let lengths: Vec<usize> = shares.iter().map(|(_, share)| length(share)).collect();
        assert!(
            lengths.iter().all(|len| *len == lengths[0]),
            "shares of different lengths"
        );
        let challenge = proof.challenge(context, lengths[0]);
        for (point, (_, share)) in (1u8..).zip(shares).take(t) {
            let product = inner_products(&challenge, share);
            proof
                .values
                .push(combine(&random_at(point), &product, field::add));
        }
        // One-time pads hide what is in both; they are sent in a header that everybody reads.
        declassify::published(&mut proof.corrections);
        declassify::published(&mut proof.values);
        proof
    }

    /// Whether the proof has one correction a steward and T values.
    pub fn fits(&self, th: &Threshold) -> bool {
        self.corrections.len() == usize::from(th.m()) && self.values.len() == usize::from(th.t())
    }

    /// Whether the share of the steward at `point`, under its commitment's blind, is on the polynomial that
    /// the proof is about. `false` when the proof does not fit the threshold.
    pub fn accepts(
        &self,
        th: &Threshold,
        point: u8,
        blind: &[u8; 32],
        share: Segments<'_>,
        context: &[u8],
    ) -> bool {
        let correction = self.corrections.get(usize::from(point).wrapping_sub(1));
        let Some(correction) = correction.filter(|_| self.fits(th)) else {
            return false;
        };
        let product = inner_products(&self.challenge(context, length(share)), share);
        let found = combine(
            &combine(correction, &mask(blind), field::add),
            &product,
            field::add,
        );
        let points: Vec<u8> = (1..=th.t()).collect();
        let mut expected = [0; REPETITIONS];
        for (weight, row) in coefficients_at(&points, point)
            .into_iter()
            .zip(&self.values)
        {
            for (sum, value) in expected.iter_mut().zip(row) {
                *sum = field::add(*sum, field::mul(weight, *value));
            }
        }
        // The steward reports it.
        declassify::decision(expected[..].ct_eq(&found[..]).into())
    }

    /// `chi`: an element for each of a share's `length`, for each repetition, from the stream of `SHARE_CHALLENGE` over the
    /// context and the corrections.
    fn challenge(&self, context: &[u8], length: usize) -> Vec<u32> {
        let mut hasher = Hasher::new(labels::SHARE_CHALLENGE);
        hasher.field(context).field(&to_bytes(&self.corrections));
        let mut challenge = vec![0; REPETITIONS * length];
        expand::stream_elements(&mut hasher.xof(), &mut challenge);
        challenge
    }
}

/// What a blind stands for: uniform elements from the stream of `SHARE_MASK`.
fn mask(blind: &[u8; 32]) -> Zeroizing<Row> {
    let mut hasher = Hasher::new(labels::SHARE_MASK);
    hasher.field(blind);
    let mut row = Zeroizing::new([0; REPETITIONS]);
    expand::stream_elements(&mut hasher.xof(), &mut row[..]);
    row
}

fn length(share: Segments<'_>) -> usize {
    share.iter().map(|segment| segment.len()).sum()
}

fn inner_products(challenge: &[u32], share: Segments<'_>) -> Zeroizing<Row> {
    let mut row = Zeroizing::new([0; REPETITIONS]);
    for (sum, chi) in row
        .iter_mut()
        .zip(challenge.chunks_exact(length(share).max(1)))
    {
        let elements = share.iter().flat_map(|segment| segment.iter());
        for (a, b) in chi.iter().zip(elements) {
            *sum = field::add(*sum, field::mul(*a, *b));
        }
    }
    row
}

fn combine(a: &Row, b: &Row, with: fn(u32, u32) -> u32) -> Row {
    let mut out = *a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = with(*out, *b);
    }
    out
}

fn to_bytes(rows: &[Row]) -> Vec<u8> {
    rows.iter()
        .flatten()
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

fn from_bytes(bytes: &[u8]) -> Result<Vec<Row>, ShamirError> {
    let (rows, rest) = bytes.as_chunks::<{ 4 * REPETITIONS }>();
    if rows.len() > MAX_STEWARDS || !rest.is_empty() {
        return Err(ShamirError::ProofLength { bytes: bytes.len() });
    }
    let mut out = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let mut words = [0; REPETITIONS];
        for (word, le) in words.iter_mut().zip(row.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*le);
            if *word >= Q {
                return Err(ShamirError::NotCanonical { index });
            }
        }
        out.push(words);
    }
    Ok(out)
}

impl<C> minicbor::Encode<C> for ConsistencyProof {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?
            .bytes(&to_bytes(&self.corrections))?
            .bytes(&to_bytes(&self.values))?
            .ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for ConsistencyProof {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message(
                "a consistency proof is [corrections, values]",
            ));
        }
        let mut rows = || from_bytes(d.bytes()?).map_err(minicbor::decode::Error::custom);
        Ok(ConsistencyProof {
            corrections: rows()?,
            values: rows()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::MaskKey;
    use crate::params::N;
    use crate::shamir::{KeyShare, ShareEncoding, share_key};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    type Shares = Vec<(Zeroizing<[u8; 32]>, KeyShare)>;

    fn shares(th: &Threshold, rng: &mut ChaCha20Rng) -> Shares {
        let key = MaskKey::sample(rng);
        let encodings = share_key(&key, th, rng);
        let blinded = |share: ShareEncoding| {
            let mut blind = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *blind);
            (blind, share.expand().expect("our own share"))
        };
        encodings.into_iter().map(blinded).collect()
    }

    fn prove(
        th: &Threshold,
        shares: &Shares,
        context: &[u8],
        rng: &mut ChaCha20Rng,
    ) -> ConsistencyProof {
        // Two segments: how a share is cut changes nothing.
        let cut: Vec<_> = shares
            .iter()
            .map(|(_, s)| s.elements().split_at(5))
            .collect();
        let cut: Vec<_> = cut.iter().map(|(a, b)| [*a, *b]).collect();
        let given: Vec<(&[u8; 32], Segments<'_>)> = shares
            .iter()
            .zip(&cut)
            .map(|((blind, _), cut)| (&**blind, &cut[..]))
            .collect();
        ConsistencyProof::new(th, &given, context, rng)
    }

    fn accepts(
        proof: &ConsistencyProof,
        th: &Threshold,
        point: u8,
        blind: &[u8; 32],
        share: &KeyShare,
        context: &[u8],
    ) -> bool {
        proof.accepts(th, point, blind, &[&share.elements()[..]], context)
    }

    fn accepting(
        th: &Threshold,
        proof: &ConsistencyProof,
        shares: &Shares,
        context: &[u8],
    ) -> Vec<u8> {
        (1..=th.m())
            .filter(|point| {
                let (blind, share) = &shares[usize::from(*point) - 1];
                accepts(proof, th, *point, blind, share, context)
            })
            .collect()
    }

    #[test]
    fn honest_shares_are_accepted_by_all() {
        for (m, f) in [(2, 0), (3, 0), (6, 1), (11, 2), (16, 5)] {
            let th = Threshold::new(m, f).expect("allowed");
            let mut rng = ChaCha20Rng::seed_from_u64(u64::from(m));
            let shares = shares(&th, &mut rng);
            let proof = prove(&th, &shares, b"context", &mut rng);
            let all: Vec<u8> = (1..=m).collect();
            assert!(proof.fits(&th));
            assert_eq!(accepting(&th, &proof, &shares, b"context"), all);
            assert!(accepting(&th, &proof, &shares, b"other").is_empty());
            let bytes = minicbor::to_vec(&proof).expect("encodes");
            assert_eq!(
                minicbor::decode::<ConsistencyProof>(&bytes).expect("decodes"),
                proof
            );
        }
    }

    /// Whichever share is moved, also when it determines the published values: not all accept.
    #[test]
    fn a_share_beside_the_polynomial_is_refused_by_somebody() {
        let th = Threshold::new(6, 1).expect("allowed");
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        for moved in 1..=6u8 {
            for element in [0, N - 1] {
                let mut shares = shares(&th, &mut rng);
                let word = &mut shares[usize::from(moved) - 1].1.0[element];
                *word = field::add(*word, 1);
                let proof = prove(&th, &shares, b"", &mut rng);
                let accepting = accepting(&th, &proof, &shares, b"");
                // Those at 1..=T fix the values; the others then differ from them.
                assert!(accepting.len() < 6, "{moved}");
                if moved > th.t() {
                    assert_eq!(
                        accepting,
                        (1..=6).filter(|p| *p != moved).collect::<Vec<_>>()
                    );
                }
            }
        }
    }

    #[test]
    fn another_blind_share_point_or_shape_is_refused() {
        let th = Threshold::new(6, 1).expect("allowed");
        let mut rng = ChaCha20Rng::seed_from_u64(8);
        let shares = shares(&th, &mut rng);
        let proof = prove(&th, &shares, b"", &mut rng);
        let (blind, share) = &shares[2];
        assert!(accepts(&proof, &th, 3, blind, share, b""));
        assert!(!accepts(&proof, &th, 3, &[1; 32], share, b""));
        assert!(!accepts(&proof, &th, 3, blind, &shares[3].1, b""));
        for point in [0, 2, 4, 7, 255] {
            assert!(!accepts(&proof, &th, point, blind, share, b""), "{point}");
        }
        assert!(!accepts(
            &ConsistencyProof::default(),
            &th,
            3,
            blind,
            share,
            b""
        ));
        let mut longer = proof.clone();
        longer.values.push([0; REPETITIONS]);
        assert!(!longer.fits(&th) && !accepts(&longer, &th, 3, blind, share, b""));
    }

    /// Two proofs about the same shares have nothing in common: every part is freshly masked.
    #[test]
    fn proofs_are_fresh() {
        let th = Threshold::new(6, 1).expect("allowed");
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let shares = shares(&th, &mut rng);
        let [a, b] = [(); 2].map(|()| prove(&th, &shares, b"", &mut rng));
        let different = |a: &[Row], b: &[Row]| a.iter().zip(b).all(|(a, b)| a != b);
        assert!(different(&a.corrections, &b.corrections) && different(&a.values, &b.values));
    }

    #[test]
    fn other_encodings_are_refused() {
        let decode = |parts: &[Vec<u8>]| {
            let parts: Vec<_> = parts
                .iter()
                .cloned()
                .map(minicbor::bytes::ByteVec::from)
                .collect();
            let bytes = minicbor::to_vec(parts).expect("encodes");
            minicbor::decode::<ConsistencyProof>(&bytes)
        };
        assert!(decode(&[vec![0; 16], vec![0; 32]]).is_ok());
        assert!(decode(&[vec![0; 16 * 17], vec![]]).is_err());
        assert!(decode(&[vec![0; 15], vec![]]).is_err());
        assert!(decode(&[vec![0xff; 16], vec![]]).is_err());
        assert!(decode(&[vec![]]).is_err());
        assert!(decode(&[vec![], vec![], vec![]]).is_err());
    }
}
