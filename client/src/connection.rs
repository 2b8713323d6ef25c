//! A device's connection to one federation: which tasks it can join, which receipts it holds.

use std::sync::Arc;

use dawn_identity::{
    CredentialChain, DeviceId, Members, OrgId, Register, RegisterHead, SecretKey, Signed,
    VerifiedFederation,
};
use dawn_protocol::{Receipt, RoundContext, TaskContext, TaskId};
use dawn_transport::Api;
use tokio::sync::Mutex;

use crate::builder::ClientBuilder;
use crate::clock;
use crate::error::{ClientError, ServerError};
use crate::heads::Heads;
use crate::ledger::Ledger;
use crate::participation::Participation;
use crate::terms::Terms;

/// Who this device is.
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) org: OrgId,
    pub(crate) chain: CredentialChain,
    pub(crate) key: SecretKey,
}

/// A device in a federation. Cheap to clone; the clones share one ledger.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) api: Api,
    pub(crate) federation: VerifiedFederation,
    pub(crate) device: Device,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) heads: Heads,
    terms: Terms,
    /// What was seen of the register; it only grows.
    register: Mutex<Register>,
}

impl Client {
    /// Begins to build a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    pub(crate) fn new(
        api: Api,
        federation: VerifiedFederation,
        device: Device,
        (ledger, heads): (Arc<Ledger>, Heads),
        terms: Terms,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                api,
                register: Mutex::new(Register::new(&federation)),
                federation,
                device,
                ledger,
                heads,
                terms,
            }),
        }
    }

    /// This device.
    pub fn device(&self) -> DeviceId {
        self.inner.device.id
    }

    /// Its organisation.
    pub fn organisation(&self) -> OrgId {
        self.inner.device.org
    }

    /// Fetches a task and the register, which has its roster, and verifies both under the pinned federation
    /// (docs/protocol.md, section 4.1), then compares the task with the app's [`Terms`].
    ///
    /// # Errors
    /// [`ClientError::Violation`] names who broke a rule; [`ClientError::Terms`] what is too much.
    pub async fn join(&self, task: TaskId) -> Result<Participation, ClientError> {
        let inner = &self.inner;
        let signed = inner.api.task(&task).await?;
        let got = signed.peek().id();
        if got != task {
            return Err(ServerError::OtherTask { asked: task, got }.into());
        }
        let members = inner.newest_members().await?;
        let context = TaskContext::verify(&inner.federation, &members, &signed)?;
        inner.terms.check(context.task())?;
        if let Some((_, bytes)) = context.wanted_public_set() {
            let set = inner.api.public_set(&task, bytes as u64).await?;
            context
                .learn_public_set(&set)
                .map_err(ServerError::PublicSet)?;
        }
        let device = &inner.device;
        if members.root(&device.org).is_none() {
            return Err(ClientError::NotAMember(device.org));
        }
        device
            .chain
            .verify_member(&members, clock::unix_seconds())?;
        Ok(Participation::new(Arc::clone(&self.inner), context))
    }

    /// The receipts that this device holds, by round.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn receipts(&self) -> Result<Vec<Signed<Receipt>>, ClientError> {
        let claims = self.inner.ledger.claims()?;
        Ok(claims
            .into_iter()
            .filter_map(|claim| claim.receipt)
            .collect())
    }
}

impl Inner {
    /// The members after all that the register has now.
    async fn newest_members(&self) -> Result<Members, ClientError> {
        let mut register = self.register.lock().await;
        self.api.extend_register(&mut register, None).await?;
        Ok(register.members().clone())
    }

    /// Whether the key that a round was specified with is the aggregator's as far as this device has read the register.
    pub(crate) async fn key_counts(&self, round: &RoundContext) -> bool {
        let register = self.register.lock().await;
        round.verify_key_counts(register.members()).is_ok()
    }

    /// The members as of a place that a round names.
    pub(crate) async fn members_at(&self, head: &RegisterHead) -> Result<Members, ClientError> {
        let mut register = self.register.lock().await;
        self.api
            .extend_register(&mut register, Some(head.entries))
            .await?;
        register
            .at(head)
            .ok_or_else(|| ServerError::OtherRegister(*head).into())
    }
}
