//! A second implementation of the arithmetic, from the definitions and nothing else: sums of words,
//! Lagrange interpolation with plain fractions, schoolbook products in `Z_q[X]/(X^n + 1)`. It shares
//! with the library only the expansion of the public matrix from its seed, which gives the matrix
//! by its values; the coefficients are computed from them by the definition, without a fast transform.

use dawn_crypto::mask::PublicMatrix;
use dawn_crypto::params::N;
use dawn_identity::Signed;
use dawn_protocol::digests::sum_digest;
use dawn_protocol::{Opening, Terminal};

use crate::audit;
use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::transcript;
use crate::common::{Plan, World};

const Q: u64 = 4_293_918_721;
/// The primitive 4096th root of unity of docs/crypto-table.md.
const PSI: u64 = 1_240_740_630;

fn power(base: u64, exponent: u64) -> u64 {
    (0..64).rev().fold(1, |result, bit| {
        let squared = result * result % Q;
        if exponent >> bit & 1 == 1 {
            squared * base % Q
        } else {
            squared
        }
    })
}

fn inverse(value: u64) -> u64 {
    power(value, Q - 2)
}

/// The coefficients of the polynomial whose value at `psi^(2 rev(i) + 1)` is `values[i]`.
fn coefficients(values: &[u32; N]) -> Vec<u64> {
    let back = inverse(PSI);
    // psi has order 4096: its powers, backwards.
    let powers: Vec<u64> = (0..4096).map(|exponent| power(back, exponent)).collect();
    let odd = |slot: usize| 2 * (slot.reverse_bits() >> (usize::BITS - 11)) + 1;
    let scale = inverse(N as u64);
    (0..N)
        .map(|j| {
            let terms = values.iter().enumerate();
            let sum = terms.fold(0, |sum, (slot, value)| {
                (sum + u64::from(*value) * powers[odd(slot) * j % 4096]) % Q
            });
            sum * scale % Q
        })
        .collect()
}

/// `a b mod (X^n + 1, q)`.
fn product(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut out = vec![0u64; N];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            let term = x * y % Q;
            if i + j < N {
                out[i + j] = (out[i + j] + term) % Q;
            } else {
                out[i + j - N] = (out[i + j - N] + Q - term) % Q;
            }
        }
    }
    out
}

/// The value at 0 of the polynomial through these answers, coefficient by coefficient.
fn at_zero(answers: &[(u64, &Opening)]) -> Vec<u64> {
    let weights: Vec<u64> = answers
        .iter()
        .map(|(x, _)| {
            answers
                .iter()
                .filter(|(y, _)| y != x)
                .fold(1, |weight, (y, _)| {
                    weight * y % Q * inverse((y + Q - x) % Q) % Q
                })
        })
        .collect();
    (0..N)
        .map(|i| {
            answers
                .iter()
                .zip(&weights)
                .fold(0, |sum, ((_, opening), weight)| {
                    (sum + u64::from(opening.share_sum.elements()[i]) * weight) % Q
                })
        })
        .collect()
}

fn sum_of_payloads(round: &PlayedRound) -> Vec<u64> {
    let accepted: Vec<usize> = round.verdict.as_ref().unwrap().peek().accepted().collect();
    let words = round.submissions[0].payload.len() / 4;
    (0..words)
        .map(|i| {
            accepted.iter().fold(0, |sum, place| {
                let bytes = &round.submissions[*place].payload[4 * i..4 * i + 4];
                (sum + u64::from(u32::from_le_bytes(bytes.try_into().unwrap()))) % Q
            })
        })
        .collect()
}

/// The opened sum, all of it, by the definitions.
fn opened(world: &World, round: &PlayedRound, points: &[u8]) -> Vec<i32> {
    let answer = |point: u8| -> &Opening {
        let id = world.steward_id(point);
        round
            .openings
            .iter()
            .map(Signed::peek)
            .find(|opening| opening.steward == id)
            .unwrap()
    };
    let answers: Vec<_> = points.iter().map(|p| (u64::from(*p), answer(*p))).collect();
    let key = at_zero(&answers);
    let matrix = PublicMatrix::from_seed(&round.spec.peek().matrix_seed);
    let masked = sum_of_payloads(round);
    let mut sum = vec![];
    for (block, words) in masked.chunks(N).enumerate() {
        let mask = product(&coefficients(matrix.block(block).values()), &key);
        sum.extend(words.iter().zip(mask).map(|(word, mask)| {
            let value = (word + Q - mask) % Q;
            let centred = if value > Q / 2 {
                value as i64 - Q as i64
            } else {
                value as i64
            };
            i32::try_from(centred).unwrap()
        }));
    }
    sum
}

#[test]
fn another_implementation_opens_the_same_sum_with_any_answers() {
    let plan = Plan {
        organisations: 4,
        faulty: 0,
        devices: 4,
        ..Plan::default()
    };
    let mut world = World::with(31, &plan);
    // Somebody's submission is rejected, so that the sum is not that of all payloads.
    let script = Script {
        complaints: vec![(1, 0), (2, 0)],
        ..Script::default()
    };
    let round = world.play(None, &script);
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    assert_eq!(
        (report.rounds[0].submitted, report.rounds[0].accepted),
        (4, 3)
    );
    let Terminal::Result(result) = &round.terminal else {
        panic!("no result")
    };
    let used = &result.peek().points;
    let t = usize::from(world.context.threshold().t());
    assert_eq!(used.len(), t);

    let sum = opened(&world, &round, used);
    let d = world.context.dimension().coordinates();
    assert_eq!(sum_digest(&sum[..d]), result.peek().sum);
    assert_eq!(report.rounds[0].sum, Some(result.peek().sum));
    // The check coordinates carry only the noise of three devices.
    assert!(sum[d..].iter().all(|value| value.abs() < 3 * 16 * 7));
    assert!(sum[d..].iter().any(|value| *value != 0));

    let openers = &round.verdict.as_ref().unwrap().peek().openers;
    let others: Vec<u8> = openers.iter().rev().copied().take(t).collect();
    assert_ne!(&others, used);
    assert_eq!(opened(&world, &round, &others), sum);
}
