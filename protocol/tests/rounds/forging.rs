//! Devices that lie: submissions about any vector, with a norm proof about digits of their choice.

use dawn_crypto::field;
use dawn_crypto::norm::projection::Projection;
use dawn_crypto::norm::{FunctionalRow, NormParams, NormSeeds};
use dawn_crypto::params::Q;
use dawn_protocol::prepare::PreparedSubmission;

use crate::world::{Device, Round, World};

/// How a device that lies chooses the digits.
#[derive(Clone, Copy, Debug)]
pub enum Digits {
    /// Those of a vector of zeros: a valid proof about something else.
    OfZeros,
    /// As near to the true projections as there are digits: what does not fit is in the last one.
    AsTrueAsPossible,
}

/// `z = R v` modulo q.
fn projections(params: &NormParams, context: &[u8], v: &[i32]) -> Vec<u32> {
    let seed = NormSeeds::new(context, &[]).projection;
    let projection = Projection::new(seed.0, params.rows()).unwrap();
    // In parts of 11 bits, whose projections do not wrap.
    let mut z = vec![0; params.rows()];
    for part in 0..3 {
        let bits: Vec<i32> = v
            .iter()
            .map(|v| ((i64::from(*v) + (1 << 32)) >> (11 * part)) as i32 & 2047)
            .collect();
        let scale = field::from_i32(1 << (11 * part));
        for (sum, z) in z.iter_mut().zip(projection.project(&bits).unwrap().iter()) {
            *sum = field::add(*sum, field::mul(scale, field::from_i32(*z)));
        }
    }
    // What was added to make them positive, `2^32` in all 33 bits.
    let ones = projection.project(&vec![1; v.len()]).unwrap();
    let added = field::mul(field::from_i32(1 << 16), field::from_i32(1 << 16));
    for (z, ones) in z.iter_mut().zip(ones.iter()) {
        *z = field::sub(*z, field::mul(added, field::from_i32(*ones)));
    }
    z
}

/// Digits of a value, all of it that is no digit in the last one.
fn write(out: &mut [u32], value: u32) {
    let last = out.len() - 1;
    for (i, digit) in out[..last].iter_mut().enumerate() {
        *digit = value >> (2 * i) & 3;
    }
    out[last] = value >> (2 * last);
}

pub fn digits(
    how: Digits,
    params: &NormParams,
    context: &[u8],
    v: &[i32],
    row: Option<&FunctionalRow>,
) -> Vec<u32> {
    let zeros = vec![0; v.len()];
    let z = projections(
        params,
        context,
        if matches!(how, Digits::OfZeros) {
            &zeros
        } else {
            v
        },
    );
    let (per_row, bits) = (params.digits_per_row(), params.range_bits());
    let mut digits = vec![0; params.digits()];
    let (rows, rest) = digits.split_at_mut(params.rows() * per_row);
    let (slack, differences) = rest.split_at_mut(params.slack_digits());
    let mut left = params.bound();
    for (row, z) in rows.chunks_exact_mut(per_row).zip(z) {
        let above = field::add(z, 1 << (bits - 1));
        write(row, above);
        let odd = field::sub(field::mul(2, above >> (bits - 10)), 1023);
        left = field::sub(left, field::mul(odd, odd));
    }
    write(slack, left);
    if let (Some(functional), Some(row)) = (params.functional(), row) {
        let product = match how {
            Digits::OfZeros => 0,
            Digits::AsTrueAsPossible => row.product(v),
        };
        let (lo, hi) = functional.proven().into_inner();
        let (above, below) = differences.split_at_mut(functional.digits());
        let modulo_q = |value: i64| value.rem_euclid(i64::from(Q)) as u32;
        write(above, modulo_q(product - lo));
        write(below, modulo_q(hi - product));
    }
    digits
}

pub fn forged(
    world: &mut World,
    round: &Round,
    device: &Device,
    v: &[i32],
    how: Digits,
) -> PreparedSubmission {
    let row = round.open.functional_row();
    PreparedSubmission::forged(
        &round.open,
        &device.credential,
        &device.key,
        v,
        |params, context| digits(how, params, context, v, row.as_deref()),
        &mut world.rng,
    )
    .unwrap()
}
