//! How many bytes a submission will have, before there is one (`docs/protocol.md`, section 4.9).

use dawn_crypto::digest::Digest;
use dawn_crypto::seal;
use dawn_crypto::shamir::{ConsistencyProof, Threshold};
use dawn_crypto::vrf::VrfProof;
use dawn_identity::{CredentialChain, EnvelopeError, SecretKey, SessionId, Signed};
use minicbor::bytes::ByteVec;

use crate::container::ContainerHead;
use crate::round_id::RoundId;
use crate::submission::{PackagePlaintext, SubmissionHeader};
use crate::task::Task;

/// Bytes of one device's submission to a round with all stewards seated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadSize {
    /// The signed header.
    pub header: usize,
    /// All sealed packages.
    pub packages: usize,
    /// The masked vector.
    pub payload: usize,
    /// The whole container.
    pub total: usize,
}

/// Why there is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadSizeError {
    /// The task's vectors or norm proofs do not exist.
    #[error("the task's submissions cannot be made: {0}")]
    Task(#[from] dawn_crypto::norm::NormError),
    /// The header could not be signed.
    #[error("the header cannot be signed: {0}")]
    Sign(#[from] EnvelopeError),
}

impl UploadSize {
    /// The size for a device with this credential and key. Only the length of the credential matters, and with it that of
    /// the label that the issuer gave the device.
    ///
    /// # Errors
    /// [`UploadSizeError`]; never for a task that is valid.
    pub fn of(
        task: &Task,
        threshold: &Threshold,
        credential: &CredentialChain,
        device: &SecretKey,
    ) -> Result<UploadSize, UploadSizeError> {
        let norm = task.norm_params()?;
        let (m, t) = (usize::from(threshold.m()), usize::from(threshold.t()));
        let digests = vec![Digest([0; 32]); m];
        let proof = [16 * m, 16 * t].map(|bytes| ByteVec::from(vec![0; bytes]));
        let proof = minicbor::to_vec(proof).expect("encoding into memory does not fail");
        let consistency: ConsistencyProof = minicbor::decode(&proof)
            .expect("zeros are elements, and there are 16 stewards at most");
        let header = SubmissionHeader {
            round: RoundId::new(task.id(), task.rounds),
            session: SessionId(Digest([0; 32])),
            credential: credential.into(),
            payload: Digest([0; 32]),
            commitments: digests.clone(),
            digit_commitments: digests.clone(),
            proof_commitments: digests.clone(),
            consistency,
            packages: digests,
            selection: (task.options.selection)
                .and_then(|_| VrfProof::from_bytes(&[0; VrfProof::BYTES]).ok()),
        };
        let [seed, explicit] = PackagePlaintext::lengths(&norm);
        let sealed = |point| seal::OVERHEAD_BYTES + if point < t { seed } else { explicit };
        let head = ContainerHead {
            header: Signed::sign(&header, device)?.bytes().to_vec(),
            packages: (1..=m).map(|point| vec![0; sealed(point)]).collect(),
        };
        let dimension = task
            .dimension()
            .map_err(|_| dawn_crypto::norm::NormError::TooLarge)?;
        let payload = dimension.payload_bytes();
        Ok(UploadSize {
            header: head.header.len(),
            packages: head.packages.iter().map(Vec::len).sum(),
            payload,
            total: head.encoded_len() + payload,
        })
    }
}
