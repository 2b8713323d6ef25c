//! One verified round that this device has not submitted in: train, mask, submit.

use std::borrow::Cow;
use std::sync::Arc;

use dawn_identity::{Signed, Verified};
use dawn_learn::{Dataset, Delta, Evaluation, Model, ModelSpec, RoundWay, evaluate};
use dawn_protocol::prepare::PreparedSubmission as Message;
use dawn_protocol::{Receipt, RoundId, RoundOpen, SubmissionHeader, TaskId};
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

    /// The model that this device uses: that of the round, and where the task leaves layers to the devices
    /// (docs/learning.md, section 5.2) this device's own in their place.
    ///
    /// # Errors
    /// When the device's own layers cannot be read.
    pub fn own_model(&self) -> Result<Model, ClientError> {
        own_model(
            &self.inner,
            &self.open.round_id().task,
            &self.open.way(),
            &self.model,
        )
    }

    /// Trains on the device's data as the task says, clips and rounds (docs/protocol.md, section
    /// 4.2, step 1). Samples with labels that the task's model does not know are left out, and a device without others sends zeros: who
    /// submits is public, and must not tell what is in the data. Layers that the task leaves to the devices are trained as well, and kept in the state directory. Takes
    /// as long as training takes: call it off an async executor's threads.
    ///
    /// # Errors
    /// When the data does not fit the model, or the device's own layers cannot be kept.
    ///
    /// Where the task asks for evaluations (docs/protocol.md, section 4.2.1) this device has none to give:
    /// [`OpenRound::train_and_evaluate`].
    pub fn train<R: CryptoRng>(&self, data: &Dataset, rng: &mut R) -> Result<Update, ClientError> {
        let mut order = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *order);
        self.train_in(*order, data, None, rng)
    }

    /// As [`OpenRound::train`]; before that, where the task asks for it, judges this device's model of the round
    /// ([`OpenRound::own_model`]) with samples of its own that it does not learn from, of which the first count, as many as the
    /// task says. What comes of it goes through the same secure sum.
    ///
    /// # Errors
    /// As [`OpenRound::train`].
    pub fn train_and_evaluate<R: CryptoRng>(
        &self,
        data: &Dataset,
        held_out: &Dataset,
        rng: &mut R,
    ) -> Result<Update, ClientError> {
        let mut order = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *order);
        self.train_in(*order, data, Some(held_out), rng)
    }

    fn train_in<R: CryptoRng>(
        &self,
        order: [u8; 32],
        data: &Dataset,
        held_out: Option<&Dataset>,
        rng: &mut R,
    ) -> Result<Update, ClientError> {
        let model = self.model.spec();
        let data = answerable(&model, data);
        let held_out = held_out.map(|held_out| answerable(&model, held_out));
        let evaluation = self.evaluate(held_out.as_deref())?;
        let (task, way) = (self.open.round_id().task, self.open.way());
        let heads = &self.inner.heads;
        let mut head = heads.load(&task, &way, &self.model)?;
        let spec = &self.open.task().train;
        let delta = if data.is_empty() {
            Delta::new(vec![0; way.dimension()])
        } else {
            way.train(&self.model, &mut head, &data, spec, order)?
        };
        heads.store(&task, &head)?;
        self.update(&delta, &evaluation, rng)
    }

    /// What this device says of its model of the round: zeros where it is not asked, or holds nothing out.
    fn evaluate(&self, held_out: Option<&Dataset>) -> Result<Evaluation, ClientError> {
        let rule = self.open.task().options.evaluation;
        let (Some(rule), Some(held_out)) = (rule, held_out) else {
            return Ok(Evaluation::default());
        };
        let most = usize::try_from(rule.samples).unwrap_or(usize::MAX);
        if held_out.is_empty() {
            return Ok(Evaluation::default());
        }
        let model = self.own_model()?;
        if held_out.len() <= most {
            return Ok(evaluate(&model, held_out)?);
        }
        let first: Vec<u32> = (0..rule.samples).collect();
        let first = held_out
            .subset(&first)
            .expect("fewer samples than there are");
        Ok(evaluate(&model, &first)?)
    }

    /// As [`OpenRound::train_and_evaluate`], in a given order of the samples. Only in simulations.
    ///
    /// # Errors
    /// As [`OpenRound::train`].
    #[cfg(feature = "simulation")]
    pub fn train_in_order<R: CryptoRng>(
        &self,
        order: [u8; 32],
        (data, held_out): (&Dataset, &Dataset),
        rng: &mut R,
    ) -> Result<Update, ClientError> {
        self.train_in(order, data, Some(held_out), rng)
    }

    /// The device's own layers: what a measurement evaluates. Only in simulations.
    ///
    /// # Errors
    /// As [`OpenRound::own_model`].
    #[cfg(feature = "simulation")]
    pub fn own_head(&self) -> Result<dawn_learn::Head, ClientError> {
        let task = self.open.round_id().task;
        Ok(self
            .inner
            .heads
            .load(&task, &self.open.way(), &self.model)?)
    }

    /// Clips and rounds a difference of the app's own making, one number for each coordinate that the task's devices send.
    ///
    /// # Errors
    /// When it is too long for any round.
    pub fn quantise<R: CryptoRng>(
        &self,
        delta: &Delta,
        rng: &mut R,
    ) -> Result<Update, ClientError> {
        self.update(delta, &Evaluation::default(), rng)
    }

    fn update<R: CryptoRng>(
        &self,
        delta: &Delta,
        evaluation: &Evaluation,
        rng: &mut R,
    ) -> Result<Update, ClientError> {
        Ok(Update::new(
            self.open.task().vector(delta, evaluation, rng)?,
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

/// A published model with the device's own layers in it.
pub(crate) fn own_model(
    inner: &Inner,
    task: &TaskId,
    way: &RoundWay,
    model: &Model,
) -> Result<Model, ClientError> {
    let head = inner.heads.load(task, way, model)?;
    Ok(way.personal(model, &head)?)
}

/// The samples that the model can learn from, whatever their labels are: a task maker chooses how many classes there are.
fn answerable<'a>(model: &ModelSpec, data: &'a Dataset) -> Cow<'a, Dataset> {
    let known = |label: u8| model.is_regressor() || usize::from(label) < model.classes();
    if data.labels().iter().all(|&label| known(label)) {
        return Cow::Borrowed(data);
    }
    let samples = (0u32..).zip(data.labels());
    let samples = samples.filter(|(_, label)| known(**label));
    let samples: Vec<u32> = samples.map(|(sample, _)| sample).collect();
    tracing::warn!(
        left_out = data.len() - samples.len(),
        "samples have labels that the task's model does not know"
    );
    let subset = data.subset(&samples);
    Cow::Owned(subset.expect("they are samples of it"))
}
