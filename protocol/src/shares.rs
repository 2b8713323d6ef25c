//! What a device shares among the stewards, while it makes its submission (`docs/protocol.md`,
//! section 4.3): shares of the mask key and of the norm proof, under one blind a steward.

use dawn_crypto::commit::key_commitment;
use dawn_crypto::declassify;
use dawn_crypto::digest::Digest;
use dawn_crypto::mask::MaskKey;
use dawn_crypto::norm::{Hidden, NormParams, NormProof};
use dawn_crypto::seal;
use dawn_crypto::shamir::{
    ConsistencyProof, KeyShare, Segments, ShamirError, ShareEncoding, Threshold, share_key,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::phase::RoundOpen;
use crate::submission::{
    PackagePlaintext, SubmissionHeader, package_aad, package_digest, seal_info,
};

/// The shares of one mask key with their blinds, by point. Wiped when dropped.
pub(crate) struct Shares {
    blinds: Vec<Zeroizing<[u8; 32]>>,
    keys: Vec<ShareEncoding>,
    expanded: Vec<KeyShare>,
}

impl Shares {
    /// Shares a mask key.
    pub(crate) fn new<R: CryptoRng>(
        key: &MaskKey,
        threshold: &Threshold,
        rng: &mut R,
    ) -> Result<Self, ShamirError> {
        let keys = share_key(key, threshold, rng);
        let expanded = keys.iter().map(ShareEncoding::expand);
        let expanded = expanded.collect::<Result<Vec<_>, _>>()?;
        let blinds = keys.iter().map(|_| {
            let mut blind = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *blind);
            blind
        });
        Ok(Self {
            blinds: blinds.collect(),
            keys,
            expanded,
        })
    }

    /// Moves the first element of one steward's share beside the polynomial; it is given explicitly then.
    #[cfg(feature = "simulation")]
    pub(crate) fn move_key(&mut self, point: u8) -> Result<(), ShamirError> {
        let place = usize::from(point) - 1;
        let mut elements = self.expanded[place].elements().to_vec();
        elements[0] = dawn_crypto::field::add(elements[0], 1);
        self.keys[place] = ShareEncoding::Explicit(elements);
        self.expanded[place] = self.keys[place].expand()?;
        Ok(())
    }

    /// The commitments to the key's shares, by point.
    pub(crate) fn commitments(&self) -> Vec<Digest> {
        let shares = self.blinds.iter().zip(&self.expanded);
        (1u8..)
            .zip(shares)
            .map(|(point, (blind, share))| key_commitment(point, blind, share))
            .collect()
    }

    /// Proves that what is hidden is not too long, and within the bounds of the task's functional. `context` is the header's, with the commitments.
    pub(crate) fn prove<R: CryptoRng>(
        &self,
        params: &NormParams,
        threshold: &Threshold,
        context: &[u8],
        hidden: Hidden<'_>,
        rng: &mut R,
    ) -> Result<NormProof, dawn_crypto::norm::NormError> {
        NormProof::new(
            params,
            threshold,
            context,
            hidden,
            &self.keys,
            &self.blinds,
            rng,
        )
    }

    /// The proof of a device that lies: about digits of its choice.
    #[cfg(feature = "simulation")]
    pub(crate) fn forge<R: CryptoRng>(
        &self,
        params: &NormParams,
        threshold: &Threshold,
        context: &[u8],
        digits: &[u32],
        rng: &mut R,
    ) -> NormProof {
        NormProof::forged(
            params,
            threshold,
            context,
            digits,
            &self.keys,
            &self.blinds,
            rng,
        )
    }

    /// Fills in what is left of the header, and seals every seated steward's package.
    pub(crate) fn seal<R: CryptoRng>(
        self,
        round: &RoundOpen,
        header: &mut SubmissionHeader,
        proof: NormProof,
        rng: &mut R,
    ) -> Vec<Vec<u8>> {
        header.digit_commitments = proof.digit_commitments;
        header.proof_commitments = proof.proof_commitments;
        publish(header);
        let segments: Vec<[&[u32]; 3]> = (self.expanded.iter().zip(&proof.shares))
            .map(|(key, share)| [&key.elements()[..], &share.digits, &share.proofs])
            .collect();
        let shares: Vec<(&[u8; 32], Segments<'_>)> = (self.blinds.iter().zip(&segments))
            .map(|(blind, segments)| (&**blind, &segments[..]))
            .collect();
        let context = header.consistency_context();
        header.consistency = ConsistencyProof::new(round.threshold(), &shares, &context, rng);

        let plaintexts: Vec<PackagePlaintext> = self
            .blinds
            .iter()
            .zip(self.keys)
            .zip(&proof.shares)
            .map(|((blind, key), share)| PackagePlaintext::new(blind, key, share))
            .collect();
        let (info, roster) = (seal_info(&round.session()), round.roster().digest());
        let pre_header = header.pre_header();
        let sealed = round.seats().iter().map(|seat| {
            let aad = package_aad(&pre_header, &seat.steward, &roster);
            let plaintext = plaintexts[usize::from(seat.point) - 1].to_bytes();
            seal::seal(&seat.key, &info.0, &aad.0, &plaintext, rng).unwrap_or_default()
        });
        let packages: Vec<Vec<u8>> = sealed.collect();
        header.packages = packages.iter().map(|p| package_digest(p)).collect();
        publish(header);
        packages
    }
}

/// What is in the header is sent to everybody, and questions follow from it: it is public from here on.
pub(crate) fn publish(header: &mut SubmissionHeader) {
    declassify::published(&mut header.payload.0);
    let lists = [
        &mut header.commitments,
        &mut header.digit_commitments,
        &mut header.proof_commitments,
        &mut header.packages,
    ];
    for digest in lists.into_iter().flatten() {
        declassify::published(&mut digest.0);
    }
}
