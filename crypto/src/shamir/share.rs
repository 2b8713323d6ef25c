//! A steward's share of a device's key, and the sum of its shares over the accepted set.

use super::lagrange::coefficients_at;
use super::{ShamirError, Threshold};
use crate::backend;
use crate::declassify;
use crate::digest::labels;
use crate::expand;
use crate::field;
use crate::mask::MaskKey;
use crate::params::N;
use crate::secret::SecretVec;
use core::fmt;
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of N encoded words.
const WORDS_BYTES: usize = 4 * N;

/// One steward's share of one device's key: N canonical elements.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct KeyShare(pub(crate) Box<[u32; N]>);

impl KeyShare {
    /// The elements, canonical.
    pub fn elements(&self) -> &[u32; N] {
        &self.0
    }

    /// Little-endian bytes of the elements: what a commitment covers.
    pub(crate) fn to_bytes(&self) -> zeroize::Zeroizing<Vec<u8>> {
        zeroize::Zeroizing::new(words_to_bytes(&self.0[..]))
    }
}

impl ConstantTimeEq for KeyShare {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0[..].ct_eq(&other.0[..])
    }
}

impl fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyShare(redacted)")
    }
}

/// How a share travels inside a sealed package: a seed that expands to it, or its elements. In CBOR a byte
/// string of 32 bytes or of 8192 (little-endian words, each below q).
#[derive(Zeroize, ZeroizeOnDrop)]
pub enum ShareEncoding {
    /// A seed, expanded under `SHARE_SEED`.
    Seed([u8; 32]),
    /// N canonical elements.
    Explicit(Vec<u32>),
}

impl ShareEncoding {
    /// The encoding that the content of its byte string says: a seed, or elements. Its length tells which, and
    /// the time depends on nothing else.
    ///
    /// # Errors
    /// [`ShamirError::EncodedLength`], [`ShamirError::NotCanonical`].
    pub fn from_bytes(bytes: &[u8]) -> Result<ShareEncoding, ShamirError> {
        if let Ok(seed) = <[u8; 32]>::try_from(bytes) {
            return Ok(ShareEncoding::Seed(seed));
        }
        let mut words = words_from_bytes(bytes)?;
        let encoding = ShareEncoding::Explicit(words.to_vec());
        words.zeroize();
        Ok(encoding)
    }

    /// The share itself.
    ///
    /// # Errors
    /// [`ShamirError::EncodedLength`] or [`ShamirError::NotCanonical`] when explicit elements are not N
    /// canonical ones (decoded encodings always are).
    pub fn expand(&self) -> Result<KeyShare, ShamirError> {
        let mut share = KeyShare(Box::new([0; N]));
        match self {
            ShareEncoding::Seed(seed) => expand::share_elements(seed, &mut share.0[..]),
            ShareEncoding::Explicit(elements) => {
                if elements.len() != N {
                    let bytes = 4 * elements.len();
                    return Err(ShamirError::EncodedLength { bytes });
                }
                check_canonical(elements)?;
                share.0.copy_from_slice(elements);
            }
        }
        Ok(share)
    }
}

impl ConstantTimeEq for ShareEncoding {
    fn ct_eq(&self, other: &Self) -> Choice {
        match (self, other) {
            (ShareEncoding::Seed(a), ShareEncoding::Seed(b)) => a[..].ct_eq(&b[..]),
            (ShareEncoding::Explicit(a), ShareEncoding::Explicit(b)) => a[..].ct_eq(&b[..]),
            // Which of the two forms it is follows from the steward's point, and is public.
            _ => Choice::from(0),
        }
    }
}

impl PartialEq for ShareEncoding {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for ShareEncoding {}

impl fmt::Debug for ShareEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ShareEncoding::Seed(_) => "ShareEncoding::Seed(redacted)",
            ShareEncoding::Explicit(_) => "ShareEncoding::Explicit(redacted)",
        })
    }
}

impl<C> minicbor::Encode<C> for ShareEncoding {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            ShareEncoding::Seed(seed) => e.bytes(seed)?.ok(),
            ShareEncoding::Explicit(elements) => {
                let bytes = zeroize::Zeroizing::new(words_to_bytes(elements));
                e.bytes(&bytes)?.ok()
            }
        }
    }
}

impl<'b, C> minicbor::Decode<'b, C> for ShareEncoding {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        ShareEncoding::from_bytes(d.bytes()?).map_err(minicbor::decode::Error::custom)
    }
}

/// Shares a key among `th.m()` stewards: index `i` is for the steward at point `i + 1`. The first `T - 1`
/// are fresh seeds, the others explicit.
pub fn share_key<R: rand_core::CryptoRng>(
    key: &MaskKey,
    th: &Threshold,
    rng: &mut R,
) -> Vec<ShareEncoding> {
    let seeded = th.t() - 1;
    let mut encodings = Vec::with_capacity(usize::from(th.m()));
    // The polynomial is fixed by its values at 0 (the key) and at 1..T-1 (the seeds' expansions).
    let key = key.to_ring();
    let mut values = Vec::with_capacity(usize::from(seeded));
    for _ in 0..seeded {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let mut share = SecretVec::zeroed(N);
        expand::share_elements(&seed, &mut share);
        values.push(share);
        encodings.push(ShareEncoding::Seed(seed));
        seed.zeroize();
    }
    for point in seeded + 1..=th.m() {
        encodings.push(ShareEncoding::Explicit(follow(
            key.coefficients(),
            &values,
            point,
        )));
    }
    encodings
}

/// The share at `point` of the polynomials whose values at 0 are `values` and at 1, 2, .. the `first` shares.
fn follow(values: &[u32], first: &[SecretVec<u32>], point: u8) -> Vec<u32> {
    let known: Vec<u8> = (0..=first.len() as u8).collect();
    let weights = coefficients_at(&known, point);
    let mut elements = vec![0u32; values.len()];
    for (i, element) in elements.iter_mut().enumerate() {
        let mut sum = field::mul(weights[0], values[i]);
        for (weight, share) in weights[1..].iter().zip(first) {
            sum = field::add(sum, field::mul(*weight, share[i]));
        }
        *element = sum;
    }
    elements
}

/// Shares the digits of a norm proof: all m shares, expanded; those of the first `T - 1` stewards from the seeds of
/// their key shares.
pub(crate) fn share_digits(
    digits: &[u32],
    keys: &[ShareEncoding],
    th: &Threshold,
) -> Vec<SecretVec<u32>> {
    share_beside(labels::DIGIT_SHARE_SEED, digits, keys, th)
}

/// Shares all repetitions' proofs, as [`share_digits`].
pub(crate) fn share_proofs(
    proofs: &[u32],
    keys: &[ShareEncoding],
    th: &Threshold,
) -> Vec<SecretVec<u32>> {
    share_beside(labels::PROOF_SHARE_SEED, proofs, keys, th)
}

fn share_beside(
    label: &'static str,
    values: &[u32],
    keys: &[ShareEncoding],
    th: &Threshold,
) -> Vec<SecretVec<u32>> {
    let mut shares = Vec::with_capacity(usize::from(th.m()));
    for key in keys {
        if let ShareEncoding::Seed(seed) = key {
            let mut share = SecretVec::zeroed(values.len());
            expand::seeded_elements(label, seed, &mut share);
            shares.push(share);
        }
    }
    debug_assert_eq!(shares.len(), usize::from(th.t()) - 1);
    let explicit: Vec<_> = (th.t()..=th.m())
        .map(|point| SecretVec::new(follow(values, &shares, point)))
        .collect();
    shares.extend(explicit);
    shares
}

/// The sum of a steward's shares over a set of devices: its answer at the opening. Over a set that the
/// round opens it is published; over one device it is that device's share, so it is redacted in `Debug` and
/// compared in constant time. In CBOR a byte string of 8192 bytes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ShareSum(pub(crate) Box<[u32; N]>);

impl ShareSum {
    /// Its encoded length.
    pub const BYTES: usize = WORDS_BYTES;

    /// The empty sum.
    pub fn zero() -> ShareSum {
        ShareSum(Box::new([0; N]))
    }

    /// Adds a device's share.
    pub fn add_assign(&mut self, share: &KeyShare) {
        backend::active().add_assign(&mut self.0[..], &share.0[..]);
    }

    /// Takes a device's share out again.
    pub fn sub_assign(&mut self, share: &KeyShare) {
        backend::active().sub_assign(&mut self.0[..], &share.0[..]);
    }

    /// The elements, canonical.
    pub fn elements(&self) -> &[u32; N] {
        &self.0
    }

    /// Little-endian words, 8192 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        words_to_bytes(&self.0[..])
    }

    /// The sum that `bytes` encode.
    ///
    /// # Errors
    /// [`ShamirError::EncodedLength`], [`ShamirError::NotCanonical`].
    pub fn from_bytes(bytes: &[u8]) -> Result<ShareSum, ShamirError> {
        words_from_bytes(bytes).map(ShareSum)
    }
}

impl ConstantTimeEq for ShareSum {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0[..].ct_eq(&other.0[..])
    }
}

impl PartialEq for ShareSum {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for ShareSum {}

impl fmt::Debug for ShareSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShareSum(redacted)")
    }
}

impl<C> minicbor::Encode<C> for ShareSum {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.to_bytes())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for ShareSum {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        ShareSum::from_bytes(d.bytes()?).map_err(minicbor::decode::Error::custom)
    }
}

pub(crate) fn words_to_bytes(words: &[u32]) -> Vec<u8> {
    // Reserved at once: a growing vector would leave copies of secrets behind.
    let mut bytes = Vec::with_capacity(4 * words.len());
    for word in words {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn words_from_bytes(bytes: &[u8]) -> Result<Box<[u32; N]>, ShamirError> {
    if bytes.len() != WORDS_BYTES {
        return Err(ShamirError::EncodedLength { bytes: bytes.len() });
    }
    let mut words = Box::new([0; N]);
    for (word, le) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([le[0], le[1], le[2], le[3]]);
    }
    check_canonical(&words[..]).inspect_err(|_| words.zeroize())?;
    Ok(words)
}

/// Refuses words of `q` or more. That there is one is said aloud; which one it is, only then looked for: it is
/// no share, and whoever made it knows it.
fn check_canonical(words: &[u32]) -> Result<(), ShamirError> {
    let wrong = |word: &u32| !field::is_canonical(*word);
    if declassify::decision(words.iter().fold(false, |any, word| any | wrong(word))) {
        let first = words
            .iter()
            .position(|word| declassify::decision(wrong(word)));
        let index = first.unwrap_or_default();
        return Err(ShamirError::NotCanonical { index });
    }
    Ok(())
}
