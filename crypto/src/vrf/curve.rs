//! Points as bytes, and inputs as points.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::traits::IsIdentity;
use sha2::{Digest as _, Sha512};

/// `suite_string` (RFC 9381, section 5.5).
pub(super) const SUITE: u8 = 0x03;

/// `string_to_point` (RFC 9381, section 5.5; RFC 8032, section 5.1.3): canonical encodings only. The library's
/// decoder also takes a y of p or more and a negative zero x; both come out as other bytes.
pub(super) fn string_to_point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    let point = CompressedEdwardsY(*bytes).decompress()?;
    (point.compress().as_bytes() == bytes).then_some(point)
}

/// `ECVRF_encode_to_curve_try_and_increment` (RFC 9381, section 5.4.1.1) with the public key as the salt: a
/// point of prime order, and the counter that gave it. Its time depends on both arguments, which are public.
/// `None` when no counter gives a point: probability about `2^-256`, and as hard to bring about.
pub(super) fn encode_to_curve(public: &[u8; 32], alpha: &[u8]) -> Option<(EdwardsPoint, u8)> {
    let mut front = Sha512::new();
    front.update([SUITE, 0x01]);
    front.update(public);
    front.update(alpha);
    for counter in 0..=u8::MAX {
        let hash: [u8; 64] = front
            .clone()
            .chain_update([counter, 0x00])
            .finalize()
            .into();
        let (halves, _) = hash.as_chunks::<32>();
        let point = string_to_point(&halves[0]).map(|point| point.mul_by_cofactor());
        if let Some(point) = point.filter(|point| !point.is_identity()) {
            return Some((point, counter));
        }
    }
    None
}
