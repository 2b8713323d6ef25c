//! This steward's noise in a round (`docs/protocol.md`, section 4.8).
//!
//! All candidates follow from one secret, which is on disk before the first byte of one leaves: what is sent again, also
//! after a crash, is the same. The seeds of those that the beacon did not pick leave with the report, of which there is one
//! a round under one challenge; the secret itself never leaves, and is erased with the round.

use dawn_identity::Signed;
use dawn_protocol::noise::RevealedSeeds;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::{
    Candidate, NoiseSecret, Receipt, RoundAnnouncement, RoundChallenged, RoundId, RoundOpen,
    SubmissionHeader,
};
use rand_core::CryptoRng;

use crate::error::{Refusal, StewardError};
use crate::records::{Answer, AnswerKind};
use crate::secrets::SecretKind;
use crate::state::{StewardState, request};
use crate::vault::VaultError;

/// The candidates of a round that may leave.
#[derive(Debug)]
pub struct NoiseWork {
    open: RoundOpen,
    secret: NoiseSecret,
    candidates: u8,
}

impl NoiseWork {
    /// The round.
    pub fn round(&self) -> RoundId {
        self.open.round_id()
    }

    /// The number of candidates.
    pub fn candidates(&self) -> u8 {
        self.candidates
    }

    /// Verifies the aggregator's receipt for a candidate.
    ///
    /// # Errors
    /// [`Refusal::Violation`].
    pub fn verify_receipt(
        &self,
        receipt: &Signed<Receipt>,
        header: &Signed<SubmissionHeader>,
    ) -> Result<(), StewardError> {
        let verified = self.open.verify_receipt(receipt, header);
        verified.map(|_| ()).map_err(StewardError::from)
    }
}

impl StewardState {
    /// Begins to contribute noise to a round that at least T stewards endorsed, or goes on with it.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn noise<R: CryptoRng>(
        &self,
        announcement: &RoundAnnouncement,
        rng: &mut R,
    ) -> Result<NoiseWork, StewardError> {
        let task = self.task_of(&announcement.spec)?;
        let open = RoundOpen::from_announcement(&task, announcement)?;
        let round = open.round_id();
        let asked = task.task().options.noise;
        let candidates = asked.ok_or(Refusal::NoNoise(round))?.candidates;
        let request = request(&round, &[open.session().0]);
        let fresh = NoiseSecret::generate(rng);
        let made = self.vault.write(rng, |change| {
            if self
                .serve(change, &round, AnswerKind::Noise, &request)?
                .is_some()
            {
                return Ok::<_, StewardError>(false);
            }
            self.take_part(change, &open)?;
            change.put_secret(&round, SecretKind::Noise, fresh.as_bytes())?;
            let answer = Answer {
                request,
                envelope: Vec::new(),
                beside: None,
            };
            change.put_answer(&round, AnswerKind::Noise, &answer)?;
            Ok(true)
        })?;
        let secret = match made {
            true => fresh,
            false => self
                .noise_secret(&round)?
                .ok_or(Refusal::SecretErased(round))?,
        };
        Ok(NoiseWork {
            open,
            secret,
            candidates,
        })
    }

    /// Makes a candidate: the same bytes every time. Slow: as long as a submission of a device.
    ///
    /// # Errors
    /// [`StewardError::Own`].
    pub fn candidate(
        &self,
        work: &NoiseWork,
        index: u8,
    ) -> Result<PreparedSubmission, StewardError> {
        let candidate = Candidate {
            index,
            steward: self.id,
        };
        PreparedSubmission::noise(&work.open, &self.key, candidate, &work.secret)
            .map_err(|error| StewardError::Own(error.to_string()))
    }

    /// The seeds that go with this steward's report under a challenge; none when it contributed no noise.
    pub(crate) fn reveals(
        &self,
        challenged: &RoundChallenged,
        point: u8,
    ) -> Result<Option<RevealedSeeds>, StewardError> {
        let noise = challenged.task().options.noise;
        let (Some(noise), Some(chosen)) = (noise, challenged.chosen_candidate(point)) else {
            return Ok(None);
        };
        let secret = self.noise_secret(&challenged.round_id())?;
        Ok(secret.map(|secret| secret.reveal(noise.candidates, chosen)))
    }

    fn noise_secret(&self, round: &RoundId) -> Result<Option<NoiseSecret>, StewardError> {
        let Some(bytes) = self.vault.secret(round, SecretKind::Noise)? else {
            return Ok(None);
        };
        let bytes = bytes.as_slice().try_into();
        let bytes = bytes.map_err(|_| VaultError::Damaged("the secret of a round's noise"))?;
        Ok(Some(NoiseSecret::from_bytes(bytes)))
    }
}
