//! How a steward opens its package of a submission (`docs/protocol.md`, section 4.6).

use dawn_crypto::commit::{digit_commitment, key_commitment, proof_commitment};
use dawn_crypto::declassify;
use dawn_crypto::digest::Digest;
use dawn_crypto::norm::ProofShare;
use dawn_crypto::seal::{self, SealingSecretKey};
use dawn_crypto::shamir::KeyShare;
use subtle::{Choice, ConstantTimeEq};

use crate::round_context::{RoundContext, VerifiedSubmission};
use crate::statements::Outcome;
use crate::submission::{
    MAX_PACKAGE_BYTES, PackagePlaintext, package_aad, package_digest, seal_info,
};

/// What a steward has of a submission: its shares, which are the committed ones. Wiped when dropped.
#[derive(Debug)]
pub struct OpenedPackage {
    /// The share of the mask key.
    pub key: KeyShare,
    /// The shares of the norm proof.
    pub proof: ProofShare,
}

/// Opens the package of the steward at an evaluation point and checks it against the commitments.
///
/// # Errors
/// What the steward reports instead of [`Outcome::Ok`]: [`Outcome::Unsealable`] when the package is
/// not the one that the header names or does not open, [`Outcome::Malformed`] when its plaintext is
/// not of shares of the task's lengths, [`Outcome::CommitmentMismatch`] when a share is not the
/// committed one or not on one polynomial with the others.
pub fn open_package(
    context: &RoundContext,
    submission: &VerifiedSubmission,
    package: &[u8],
    key: &SealingSecretKey,
    point: u8,
) -> Result<OpenedPackage, Outcome> {
    let header = submission.header();
    let seat = context.seat_index(point).ok_or(Outcome::Unsealable)?;
    let steward = context.seats()[seat].steward;
    let place = usize::from(point).wrapping_sub(1);
    let committed = |list: &[Digest]| list.get(place).copied().ok_or(Outcome::BadHeader);
    let commitments = [
        committed(&header.commitments)?,
        committed(&header.digit_commitments)?,
        committed(&header.proof_commitments)?,
    ];
    if package.len() > MAX_PACKAGE_BYTES
        || header.packages.get(seat) != Some(&package_digest(package))
    {
        return Err(Outcome::Unsealable);
    }
    let info = seal_info(&context.session());
    let aad = package_aad(&header.pre_header(), &steward, &context.roster().digest());
    let plaintext = seal::open(key, &info.0, &aad.0, package).map_err(|_| Outcome::Unsealable)?;
    let params = context.params_of(submission);
    let plaintext = PackagePlaintext::from_bytes(params, &plaintext)?;
    let opened = plaintext.expand(params)?;
    let found = [
        key_commitment(point, &plaintext.blind, &opened.key),
        digit_commitment(point, &plaintext.blind, &opened.proof.digits),
        proof_commitment(point, &plaintext.blind, &opened.proof.proofs),
    ];
    // The commitments are public, but what is hashed is not. That they agree is reported.
    let same = found.iter().zip(&commitments);
    let same = same.fold(Choice::from(1), |all, (a, b)| all & a.0.ct_eq(&b.0));
    let committed = declassify::decision(same.into());
    let share: &[&[u32]] = &[
        opened.key.elements(),
        &opened.proof.digits,
        &opened.proof.proofs,
    ];
    let about = header.consistency_context();
    let consistent =
        header
            .consistency
            .accepts(context.threshold(), point, &plaintext.blind, share, &about);
    if committed && consistent {
        Ok(opened)
    } else {
        Err(Outcome::CommitmentMismatch)
    }
}
