//! How a steward opens its package of a submission (`docs/protocol.md`, section 4.6).

use dawn_crypto::commit::key_commitment;
use dawn_crypto::declassify;
use dawn_crypto::seal::{self, SealingSecretKey};
use dawn_crypto::shamir::KeyShare;
use subtle::ConstantTimeEq;

use crate::round_context::{RoundContext, VerifiedSubmission};
use crate::statements::Outcome;
use crate::submission::{
    MAX_PACKAGE_BYTES, PackagePlaintext, package_aad, package_digest, seal_info,
};

/// Opens the package of the steward at an evaluation point and checks it against the commitment.
///
/// # Errors
/// What the steward reports instead of [`Outcome::Ok`]: [`Outcome::Unsealable`] when the package is
/// not the one that the header names or does not open, [`Outcome::Malformed`] when its plaintext is
/// not a share, [`Outcome::CommitmentMismatch`] when the share is not the committed one or not on one
/// polynomial with the others.
pub fn open_package(
    context: &RoundContext,
    submission: &VerifiedSubmission,
    package: &[u8],
    key: &SealingSecretKey,
    point: u8,
) -> Result<KeyShare, Outcome> {
    let header = submission.header();
    let seat = context.seat_index(point).ok_or(Outcome::Unsealable)?;
    let steward = context.seats()[seat].steward;
    let commitment = header
        .commitments
        .get(usize::from(point).wrapping_sub(1))
        .ok_or(Outcome::BadHeader)?;
    if package.len() > MAX_PACKAGE_BYTES
        || header.packages.get(seat) != Some(&package_digest(package))
    {
        return Err(Outcome::Unsealable);
    }
    let info = seal_info(&context.session());
    let aad = package_aad(&header.pre_header(), &steward, &context.roster().digest());
    let plaintext = seal::open(key, &info.0, &aad.0, package).map_err(|_| Outcome::Unsealable)?;
    let plaintext = PackagePlaintext::from_bytes(&plaintext)?;
    let share = plaintext.share.expand().map_err(|_| Outcome::Malformed)?;
    let found = key_commitment(point, &plaintext.blind, &share);
    // The commitment is public, but what is hashed is not. That they agree is reported.
    let committed = declassify::decision(found.0.ct_eq(&commitment.0).into());
    let threshold = context.threshold();
    let about = header.consistency_context();
    if committed
        && header
            .consistency
            .accepts(threshold, point, &plaintext.blind, &share, &about)
    {
        Ok(share)
    } else {
        Err(Outcome::CommitmentMismatch)
    }
}
