//! What malicious devices mask instead of their update.

use dawn_crypto::params::Q;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::{Allies, Attack};

/// How much longer than honest ones long vectors are.
const STRETCH: f64 = 100.0;
/// How much longer a vector is whose projections still have digits: beyond gamma (2.5 with 256 rows), within the range.
const OUT_OF_BOUND: f64 = 3.0;
/// How far inner product manipulation goes back along the mean.
const IPM_EPSILON: f64 = 0.5;
/// The largest magnitude of an element of the field.
const HALF: i32 = (Q / 2) as i32;

impl Attack {
    /// What it masks instead of its update, noise aside: `honest` is what the device would send (of the data of
    /// [`Attack::data`]), `allies` what the malicious devices know together.
    pub fn update(self, honest: &[i32], allies: &Allies, clip: u32, seed: [u8; 32]) -> Vec<i32> {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let clip = f64::from(clip);
        match self {
            Self::LabelFlip
            | Self::OffPolynomial1
            | Self::OffPolynomial2
            | Self::OffPolynomial3
            | Self::SwappedPackages
            | Self::BadPackage
            | Self::Replay => honest.to_vec(),
            Self::WithinBound => of_length(honest, -clip),
            Self::SignFlip => of_length(honest, -STRETCH * clip),
            Self::Scale | Self::ForgedDigits | Self::ForeignProof | Self::LateKey => {
                of_length(honest, STRETCH * clip)
            }
            Self::WrongSlack => of_length(honest, OUT_OF_BOUND * clip),
            Self::Alie => within(allies.a_little(), clip),
            Self::Ipm => within(allies.mean.iter().map(|x| -IPM_EPSILON * x).collect(), clip),
            Self::Gaussian => {
                let deviation = STRETCH * clip / (honest.len() as f64).sqrt();
                let noise = honest.iter().map(|_| {
                    // Twelve uniform numbers: near enough for an attacker.
                    let uniform = |_| f64::from(rng.next_u32()) / 2f64.powi(32);
                    let sum: f64 = (0..12).map(uniform).sum();
                    to_field((sum - 6.0) * deviation)
                });
                noise.collect()
            }
            Self::HalfModulus => vec![HALF; honest.len()],
            Self::Random => {
                let uniform = honest.iter().map(|_| rng.next_u64() % u64::from(Q));
                uniform
                    .map(|x| (x as i64 - i64::from(HALF)) as i32)
                    .collect()
            }
            Self::Wrap => {
                // 65536^2 is 2^20 - 1 modulo q.
                let mut long = honest.to_vec();
                long.iter_mut().take(16).for_each(|x| *x = 1 << 16);
                long
            }
        }
    }
}

fn to_field(value: f64) -> i32 {
    value.clamp(f64::from(-HALF), f64::from(HALF)) as i32
}

/// The Euclidean norm.
pub fn norm(x: &[i32]) -> f64 {
    x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

/// A vector stretched to a length, with the opposite direction when that is negative; rounded towards zero, so that it
/// is not longer.
fn of_length(x: &[i32], length: f64) -> Vec<i32> {
    let factor = length / norm(x).max(1.0);
    x.iter().map(|x| to_field(f64::from(*x) * factor)).collect()
}

/// A vector shortened to a length when it is longer.
fn within(x: Vec<f64>, length: f64) -> Vec<i32> {
    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let factor = (length / norm.max(1.0)).min(1.0);
    x.into_iter().map(|x| to_field(x * factor)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::ATTACKS;
    use super::*;

    #[test]
    fn what_is_sent_is_long_but_for_what_stays_within_the_bound() {
        let honest: Vec<i32> = (0..3000).map(|i| i % 7 - 3).collect();
        let allies = Allies::of(
            &[honest.clone(), honest.iter().map(|x| 2 * x).collect()],
            10,
        );
        let clip = 500;
        for (name, attack) in ATTACKS {
            let sent = attack.update(&honest, &allies, clip, [1; 32]);
            let short = norm(&sent) <= f64::from(clip);
            assert_eq!(
                short,
                !attack.is_beyond_the_bound(),
                "{name}: {}",
                norm(&sent)
            );
            assert_eq!(sent.len(), honest.len());
        }
    }

    #[test]
    fn what_goes_backwards_goes_backwards() {
        let honest: Vec<i32> = (0..3000).map(|i| i % 7 - 2).collect();
        let allies = Allies::of(&[honest.clone(), honest.clone()], 10);
        for attack in [Attack::SignFlip, Attack::WithinBound, Attack::Ipm] {
            let sent = attack.update(&honest, &allies, 5000, [1; 32]);
            let along = |(a, b): (&i32, &i32)| i64::from(*a) * i64::from(*b);
            let product: i64 = sent.iter().zip(&honest).map(along).sum();
            assert!(product < 0, "{attack}: {product}");
        }
    }
}
