//! Taking part in one task: waiting for its rounds, and believing none of them before it verifies.

use std::sync::Arc;
use std::time::Duration;

use dawn_learn::Model;
use dawn_protocol::{Digest, RoundOpen, Task, TaskContext, TaskId, digests};
use dawn_transport::RoundPoll;

use crate::connection::Inner;
use crate::error::{ClientError, ServerError};
use crate::round::{OpenRound, own_model};

/// A device's part in a task that it verified and accepted.
pub struct Participation {
    inner: Arc<Inner>,
    context: TaskContext,
    /// The newest round that was offered; older ones are not asked for again.
    seen: u32,
}

impl Participation {
    pub(crate) fn new(inner: Arc<Inner>, context: TaskContext) -> Self {
        Self {
            inner,
            context,
            seen: 0,
        }
    }

    /// The task.
    pub fn task(&self) -> &Task {
        self.context.task()
    }

    /// The task's identifier.
    pub fn task_id(&self) -> TaskId {
        self.context.id()
    }

    /// Waits, at most `wait`, for a round that is collecting and that this device has not claimed
    /// yet, and verifies it: the specification and its sealing keys, at least T endorsements, and
    /// that the model is the one whose digest everybody is given (docs/protocol.md, section 4.1).
    ///
    /// `None`: no such round within `wait`; ask again.
    ///
    /// Where the task selects devices, the device draws here: before a model is fetched and anything is trained.
    ///
    /// # Errors
    /// [`ClientError::NotSelected`] when the device has no part in the round; ask for the next one.
    /// [`ClientError::Ended`] after the last round; [`ClientError::Violation`] or [`ClientError::Server`] for a round that does not verify.
    pub async fn next_round(&mut self, wait: Duration) -> Result<Option<OpenRound>, ClientError> {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
        let announcement = match self
            .inner
            .api
            .open_round(&self.task_id(), self.seen, seconds)
            .await?
        {
            RoundPoll::Open(announcement) => announcement,
            RoundPoll::NotYet => return Ok(None),
            RoundPoll::Ended => return Err(ClientError::Ended(self.task_id())),
        };
        // As of the place that the specification names: stewards' keys may have been replaced since the task began.
        let spec = announcement.spec.peek();
        let members = self.inner.members_at(&spec.register).await?;
        let task = self.context.under_roster(&members, &spec.roster)?;
        let open = RoundOpen::from_announcement(&task, &announcement)?;
        open.verify_register(&members)?;
        let round = open.round_id();
        if !self.inner.key_counts(&open).await {
            return Err(ServerError::KeyReplaced(round).into());
        }
        if round.number <= self.seen {
            return Err(ServerError::OldRound(round).into());
        }
        self.check_register(&open).await?;
        if round.number == 1 {
            open.verify_previous(None, None)?;
        }
        if self.inner.ledger.find(round)?.is_some() {
            // Claimed before a restart: this device has spoken, whatever became of it.
            self.seen = round.number;
            return Ok(None);
        }
        let device = &self.inner.device;
        if let Err(reason) = open.select(&device.chain, &device.key) {
            self.seen = round.number;
            return Err(ClientError::NotSelected { round, reason });
        }
        let bytes = self.model(open.spec().model).await?;
        if let Some([from, _]) = open.wanted_models() {
            open.learn_models(&self.model(from).await?, &bytes)?;
        }
        let model = Model::from_bytes(&bytes)?;
        if model.spec() != self.task().model {
            return Err(ServerError::OtherShape(round).into());
        }
        self.seen = round.number;
        Ok(Some(OpenRound::new(Arc::clone(&self.inner), open, model)))
    }

    /// That a verified specification names the register that the ones before named, and no less of it, also before a
    /// restart of this device: then what was revoked stays revoked.
    async fn check_register(&self, open: &RoundOpen) -> Result<(), ClientError> {
        let (task, register) = (self.task_id(), &open.spec().register);
        if let Some(known) = self.inner.ledger.register(&task)? {
            if register.entries < known.entries {
                let (round, named, known) = (open.round_id(), register.entries, known.entries);
                return Err(ServerError::OldRegister {
                    round,
                    named,
                    known,
                }
                .into());
            }
            // Another register would not have that place.
            self.inner.members_at(&known).await?;
        }
        Ok(self.inner.ledger.keep_register(&task, register)?)
    }

    /// The model that this device uses, given a published one: where the task leaves layers to the devices
    /// (docs/learning.md, section 5.2) this device's own are put in their place.
    ///
    /// # Errors
    /// When the model is not of the task's shape, or the device's own layers cannot be read.
    pub fn own_model(&self, published: &Model) -> Result<Model, ClientError> {
        // Which layers are the devices' is the same in every round.
        let way = self.context.round_way(1);
        own_model(&self.inner, &self.task_id(), &way, published)
    }

    /// The canonical bytes of the model with this digest.
    async fn model(&self, expected: Digest) -> Result<Vec<u8>, ClientError> {
        let bytes = (self.inner.api)
            .model(&expected, self.context.model_bytes())
            .await?;
        let got = digests::model_digest(&bytes);
        if got != expected {
            return Err(ServerError::OtherModel { expected, got }.into());
        }
        Ok(bytes)
    }
}
