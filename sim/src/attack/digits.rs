//! What malicious devices prove about. A vector that is within the task's bound is proven honestly: nobody can tell it
//! from another, and the most that it does is what a vector of that length can do. For a longer one there is no proof, so
//! they forge one.

use dawn_crypto::norm::projection::Projection;
use dawn_crypto::norm::{Hidden, NormParams, NormProof, NormSeeds};
use dawn_crypto::params::Q;

use super::Attack;

impl Attack {
    /// The digits that it proves about, for the vector (all padded coordinates) that it masks.
    pub fn digits(self, params: &NormParams, context: &[u8], hidden: Hidden<'_>) -> Vec<u32> {
        match self {
            Self::ForgedDigits => stray_digits(params, context, hidden.v),
            Self::WrongSlack => spent_slack(params, context, hidden.v),
            _ => of_a_shorter_one(params, context, hidden),
        }
    }
}

/// A vector that can be proven about is proven as it is, and else a shorter one in its place.
fn of_a_shorter_one(params: &NormParams, context: &[u8], hidden: Hidden<'_>) -> Vec<u32> {
    let mut claimed = hidden.v.to_vec();
    loop {
        let hidden = Hidden {
            v: &claimed,
            ..hidden
        };
        match NormProof::digits(params, context, hidden) {
            Ok(digits) => return digits.to_vec(),
            Err(_) => claimed.iter_mut().for_each(|x| *x /= 2),
        }
    }
}

/// `R v` in 32-bit two's complement.
fn projections(params: &NormParams, context: &[u8], v: &[i32]) -> Vec<i32> {
    let seed = NormSeeds::new(context, &[]).projection;
    let projected = Projection::new(seed.0, params.rows()).and_then(|matrix| matrix.project(v));
    projected.map(|z| z.to_vec()).unwrap_or_default()
}

/// The true projections, each in the first digit of its row, and what makes the norm right in the first digit of
/// the slack: everything holds but that they are digits.
fn stray_digits(params: &NormParams, context: &[u8], v: &[i32]) -> Vec<u32> {
    let modulus = i64::from(Q);
    let (half, per_row) = (1i64 << (params.range_bits() - 1), params.digits_per_row());
    let mut digits = vec![0; params.digits()];
    for (row, z) in digits
        .chunks_exact_mut(per_row)
        .zip(projections(params, context, v))
    {
        row[0] = (i64::from(z) + half).rem_euclid(modulus) as u32;
    }
    // Without their upper digits all projections are in the lowest interval.
    let lowest = 1023i64 * 1023 * params.rows() as i64;
    let slack = (i64::from(params.bound()) - lowest).rem_euclid(modulus);
    digits[params.rows() * per_row] = slack as u32;
    digits
}

/// The true projections in true digits, and a slack of zero: the squares alone are more than the bound. Where a projection
/// has no digits, its lower ones.
fn spent_slack(params: &NormParams, context: &[u8], v: &[i32]) -> Vec<u32> {
    let (half, per_row) = (1i64 << (params.range_bits() - 1), params.digits_per_row());
    let mut digits = vec![0; params.digits()];
    for (row, z) in digits
        .chunks_exact_mut(per_row)
        .zip(projections(params, context, v))
    {
        let above = i64::from(z) + half;
        for (place, digit) in row.iter_mut().enumerate() {
            *digit = (above >> (2 * place)) as u32 & 3;
        }
    }
    digits
}
