//! One verified round that this device has not submitted in: train, mask, submit.

use std::sync::Arc;

use dawn_identity::{Signed, Verified};
use dawn_learn::{Dataset, Delta, Model, train};
use dawn_protocol::prepare::PreparedSubmission as Message;
use dawn_protocol::{Receipt, RoundId, RoundOpen, SubmissionHeader};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::connection::Inner;
use crate::delivery::PreparedSubmission;
use crate::error::ClientError;
use crate::update::Update;

/// A round that is collecting: verified specification, enough endorsements, the right model.
pub struct OpenRound {
    pub(crate) inner: Arc<Inner>,
    pub(crate) open: RoundOpen,
    model: Model,
}

impl OpenRound {
    pub(crate) fn new(inner: Arc<Inner>, open: RoundOpen, model: Model) -> Self {
        Self { inner, open, model }
    }

    /// The round.
    pub fn id(&self) -> RoundId {
        self.open.round_id()
    }

    /// The verified round, for everything else that can be asked about it.
    pub fn verified(&self) -> &RoundOpen {
        &self.open
    }

    /// The model that everybody trains from.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// When collecting ends, in unix milliseconds of the aggregator's clock.
    pub fn closes_ms(&self) -> u64 {
        self.open.submissions_close_ms()
    }

    /// Trains on the device's data as the task says, clips and rounds (docs/protocol.md, section
    /// 4.2, step 1). Takes as long as training takes: call it off an async executor's threads.
    ///
    /// # Errors
    /// When the data does not fit the model.
    pub fn train<R: CryptoRng>(&self, data: &Dataset, rng: &mut R) -> Result<Update, ClientError> {
        let mut order = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *order);
        let delta = train(&self.model, data, &self.open.task().train, *order)?;
        self.quantise(&delta, rng)
    }

    /// Clips and rounds a weight difference of the app's own making.
    ///
    /// # Errors
    /// When it is too long for any round.
    pub fn quantise<R: CryptoRng>(
        &self,
        delta: &Delta,
        rng: &mut R,
    ) -> Result<Update, ClientError> {
        Ok(Update::new(
            self.open.task().quantiser.quantise(delta, rng)?,
        ))
    }

    /// Masks, shares, seals and signs (docs/protocol.md, sections 4.2 to 4.4), with a fresh mask key
    /// and fresh noise in every call. Nothing is sent yet.
    ///
    /// # Errors
    /// When the update does not fit the task.
    pub fn prepare<R: CryptoRng>(
        &self,
        update: &Update,
        rng: &mut R,
    ) -> Result<PreparedSubmission, ClientError> {
        let device = &self.inner.device;
        let message = Message::new(&self.open, &device.chain, &device.key, update.values(), rng)?;
        Ok(PreparedSubmission::new(message))
    }

    /// As [`OpenRound::prepare`], and `each` is shown what is hidden, `v = x + e`, block by block of 2048
    /// coordinates, the check coordinates last. Only in simulations.
    ///
    /// # Errors
    /// When the update does not fit the task.
    #[cfg(feature = "simulation")]
    pub fn prepare_observed<R: CryptoRng>(
        &self,
        update: &Update,
        rng: &mut R,
        each: impl FnMut(&[i32]),
    ) -> Result<PreparedSubmission, ClientError> {
        let (device, x) = (&self.inner.device, update.values());
        let message = Message::observed(&self.open, &device.chain, &device.key, x, rng, each)?;
        Ok(PreparedSubmission::new(message))
    }

    /// The submission of a device that lies: `make` is given the round, the device's credential and its key. Only in
    /// simulations.
    ///
    /// # Errors
    /// Those of `make`.
    #[cfg(feature = "simulation")]
    pub fn prepare_with(
        &self,
        make: impl FnOnce(
            &RoundOpen,
            &dawn_identity::CredentialChain,
            &dawn_identity::SecretKey,
        ) -> Result<Message, dawn_protocol::prepare::PrepareError>,
    ) -> Result<PreparedSubmission, ClientError> {
        let device = &self.inner.device;
        let message = make(&self.open, &device.chain, &device.key)?;
        Ok(PreparedSubmission::new(message))
    }

    /// Prepares, claims the round in the ledger, and sends until there is a receipt or the round
    /// closes. One-shot: the round and the update are used up.
    ///
    /// # Errors
    /// [`crate::ledger::LedgerError::AlreadyClaimed`] when this device has already submitted in the
    /// round; [`ClientError::Violation`] for a receipt that is not ours; [`ClientError::TooLate`].
    pub async fn submit<R: CryptoRng>(
        self,
        update: Update,
        rng: &mut R,
    ) -> Result<Verified<Receipt>, ClientError> {
        let prepared = self.prepare(&update, rng)?;
        drop(update);
        self.send(&prepared).await
    }

    pub(crate) fn verify_receipt(
        &self,
        receipt: &Signed<Receipt>,
        header: &Signed<SubmissionHeader>,
    ) -> Result<Verified<Receipt>, ClientError> {
        Ok(self.open.verify_receipt(receipt, header)?)
    }
}
