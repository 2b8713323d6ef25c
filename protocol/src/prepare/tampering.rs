//! What devices that lie send. Only in simulations.

use dawn_crypto::mask::MaskKey;
use dawn_crypto::norm::{NormError, NormParams, NormProof};
use dawn_crypto::params::N;
use dawn_identity::{SecretKey, Signed};
use rand_core::CryptoRng;

use super::{PrepareError, PreparedSubmission, assemble, mask_blocks, noise_of};
use crate::author::Author;
use crate::phase::RoundOpen;
use crate::shares::Shares;
use crate::submission::package_digest;

/// What is wrong about a submission's shares, commitments and packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tampering {
    /// Nothing.
    #[default]
    None,
    /// So many stewards' key shares are beside the polynomial of the others: at the points from T + 1 on, then at T, as
    /// far as there are. They are committed to, proven consistent and sealed as if they were right.
    MovedShares(u8),
    /// The commitments are those of another key: the device shares one that it chose after the projection.
    LateKey,
    /// The packages of the first two seats have changed places.
    SwappedPackages,
    /// The first seat's package does not open.
    SpoiltPackage,
}

impl PreparedSubmission {
    /// The submission of a device, or of a steward that contributes noise, that lies: it masks any `v`, all padded coordinates of it, and proves
    /// about digits of its choice, which `digits` makes from the parameters and the context of the
    /// proof. Everything else is as it should be.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub fn forged<R: CryptoRng>(
        round: &RoundOpen,
        author: impl Into<Author>,
        signer: &SecretKey,
        v: &[i32],
        digits: impl FnOnce(&NormParams, &[u8]) -> Vec<u32>,
        rng: &mut R,
    ) -> Result<Self, PrepareError> {
        let nothing = Tampering::None;
        Self::tampered(round, author, signer, v, digits, nothing, rng)
    }

    /// As [`Self::forged`], and something else is wrong.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub fn tampered<R: CryptoRng>(
        round: &RoundOpen,
        author: impl Into<Author>,
        signer: &SecretKey,
        v: &[i32],
        digits: impl FnOnce(&NormParams, &[u8]) -> Vec<u32>,
        tampering: Tampering,
        rng: &mut R,
    ) -> Result<Self, PrepareError> {
        let author = author.into();
        // Who is not selected sends no proof.
        let selection = match &author {
            Author::Device(chain) => round.select(chain, signer).ok().flatten(),
            Author::Steward(_) => None,
        };
        let noise = author.candidate().and_then(|_| noise_of(round));
        let params = noise.map_or(round.norm_params(), |(_, params)| params);
        let threshold = round.threshold();
        let key = MaskKey::sample(rng);
        let masked = mask_blocks(round, &key, &[], |block, out| {
            out.copy_from_slice(&v[block * N..(block + 1) * N]);
        })?;
        let mut shares = Shares::new(&key, threshold, rng)?;
        if let Tampering::MovedShares(count) = tampering {
            let (t, m) = (threshold.t(), threshold.m());
            for point in (t + 1..=m).chain([t]).take(usize::from(count)) {
                shares.move_key(point)?;
            }
        }
        let committed = match tampering {
            Tampering::LateKey => Shares::new(&MaskKey::sample(rng), threshold, rng)?.commitments(),
            _ => shares.commitments(),
        };
        let prove = |shares: &Shares, context: &[u8], _: &[i32], rng: &mut R| {
            let digits = digits(params, context);
            Ok::<NormProof, NormError>(shares.forge(params, threshold, context, &digits, rng))
        };
        let (mut header, mut packages) =
            assemble(round, author, shares, committed, &masked, prove, rng)?;
        match tampering {
            Tampering::SwappedPackages => packages.swap(0, 1),
            Tampering::SpoiltPackage => packages[0].fill(0x5a),
            _ => {}
        }
        header.packages = packages.iter().map(|p| package_digest(p)).collect();
        header.selection = selection;
        Ok(Self {
            header: Signed::sign(&header, signer)?,
            packages,
            payload: masked.payload,
        })
    }

    /// What was sent in an earlier round, under a header for this one.
    ///
    /// # Errors
    /// [`PrepareError::Sign`].
    pub fn replayed(&self, round: &RoundOpen, device: &SecretKey) -> Result<Self, PrepareError> {
        let mut header = self.header.peek().clone();
        header.round = round.round_id();
        header.session = round.session();
        Ok(Self {
            header: Signed::sign(&header, device)?,
            packages: self.packages.clone(),
            payload: self.payload.clone(),
        })
    }
}
