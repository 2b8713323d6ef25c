//! A malicious device's submission: what it masks, what it proves about it, and everything else that is wrong.

use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::norm::{Hidden, NormParams};
use dawn_crypto::params::Q;
use dawn_identity::{CredentialChain, SecretKey};
use dawn_protocol::RoundOpen;
use dawn_protocol::prepare::{PrepareError, PreparedSubmission};
use rand_core::CryptoRng;

use super::Attack;

/// A submission and what the sum has of it when it is accepted.
pub struct Crafted {
    /// What is sent.
    pub message: PreparedSubmission,
    /// `v`, all padded coordinates.
    pub vector: Vec<i32>,
}

impl Attack {
    /// Makes the submission of a device that masks `x` ([`Attack::update`]) and noise. `before` is its submission of the
    /// round before, if it made one.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub fn craft<R: CryptoRng>(
        self,
        round: &RoundOpen,
        credential: &CredentialChain,
        device: &SecretKey,
        x: &[i32],
        before: Option<&PreparedSubmission>,
        rng: &mut R,
    ) -> Result<Crafted, PrepareError> {
        let vector = noisy(round, x, rng);
        if let (Self::Replay, Some(before)) = (self, before) {
            let message = before.replayed(round, device)?;
            return Ok(Crafted { message, vector });
        }
        let row = round.functional_row();
        let hidden = Hidden {
            v: &vector,
            row: row.as_deref(),
        };
        let digits = |params: &NormParams, context: &[u8]| self.digits(params, context, hidden);
        let tampering = self.tampering();
        let message = PreparedSubmission::tampered(
            round, credential, device, &vector, digits, tampering, rng,
        )?;
        Ok(Crafted { message, vector })
    }
}

/// `x + e` modulo q.
fn noisy<R: CryptoRng>(round: &RoundOpen, x: &[i32], rng: &mut R) -> Vec<i32> {
    let mut vector = vec![0; round.dimension().padded()];
    Gaussian::new(round.task().sigma_error).fill(rng, &mut vector);
    for (v, x) in vector.iter_mut().zip(x) {
        *v = centred(i64::from(*v) + i64::from(*x));
    }
    vector
}

/// The representative modulo q that is nearest to zero.
pub fn centred(value: i64) -> i32 {
    let modulus = i64::from(Q);
    let residue = value.rem_euclid(modulus);
    let centred = if residue > modulus / 2 {
        residue - modulus
    } else {
        residue
    };
    i32::try_from(centred).expect("half the modulus fits")
}
