//! The federation, its members, tasks and rounds as verified values, from what the database holds.
//!
//! What is read back was verified before it was stored; it is verified again when it is read, because the
//! types of the protocol cannot be made otherwise, and because a database that somebody changed should stop
//! a round rather than spoil it. What never changes is kept in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use dawn_crypto::digest::Digest;
use dawn_identity::{
    FoundingDocument, Members, PublicKey, Register, RegisterHead, Signed, TaskId, Thumbprint,
    VerifiedFederation,
};
use dawn_identity::{ServerRole, Statement};
use dawn_protocol::{Finding, RoundClosed, RoundContext, RoundId, RoundSpec, Task, TaskContext};

use crate::app::App;
use crate::clock::now_s;
use crate::payloads::ObjectKey;
use crate::problem::Problem;
use crate::store::StoreError;

/// Verified tasks or rounds that are kept; the rest is verified again when it is needed.
const MOST: usize = 256;

/// The same for what has an entry a submission.
const MOST_LONG: usize = 8;

/// Entries of the register that are read at a time.
const REGISTER_PAGE: u32 = 500;

/// Why there is no such value.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// No founding document was posted yet.
    #[error("this aggregator has no federation yet; post its founding document to /v1/federation")]
    NoFederation,
    /// The database is of a federation with other keys: nobody would believe what this replica signs.
    #[error(
        "this replica's key of the {0} is not that of the federation in its database; give it keys/{0}.pem of the others, and the same objects; if it is lost or was replaced, see \"The server's key is lost or stolen\" in docs/operations.md"
    )]
    OtherKeys(ServerRole),
    /// A key that is here is not the server's yet.
    #[error(
        "this replica signs nothing as the {0} before the founders have let its new key in (dawn federation replace-key); see docs/operations.md"
    )]
    AwaitsKeys(ServerRole),
    /// The round is over.
    #[error(
        "the aggregator's key was replaced after the round was specified: the round is aborted"
    )]
    KeyReplaced,
    /// Unknown task.
    #[error("there is no such task")]
    NoTask,
    /// The round has not begun, or never will.
    #[error("the task has no such round yet")]
    NoRound,
    /// The round has no specification yet.
    #[error("the round has no specification yet")]
    NotSpecified,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored does not verify.
    #[error("the stored {0} does not verify: {1}")]
    Spoiled(&'static str, String),
}

impl From<ContextError> for Problem {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::NoFederation => Self::unavailable(error),
            ContextError::NoTask | ContextError::NoRound => Self::not_found(error),
            ContextError::NotSpecified => Self::wrong_phase(error),
            ContextError::Store(error) => error.into(),
            ContextError::OtherKeys(_) => {
                tracing::error!(%error, "nothing is signed");
                Self::unavailable("this replica is not set up")
            }
            ContextError::AwaitsKeys(_) => Self::unavailable(error),
            ContextError::KeyReplaced => Self::wrong_phase(error),
            ContextError::Spoiled(what, _) => {
                tracing::error!(%error, "the database is spoiled");
                Self::internal(format!("the stored {what} does not verify"))
            }
        }
    }
}

fn spoiled<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> ContextError {
    move |error| ContextError::Spoiled(what, error.to_string())
}

/// Keys by their thumbprints, each with the times (from, until) at which it may administer something.
type Administrators = HashMap<Thumbprint, (PublicKey, Vec<(u64, u64)>)>;

/// The same as of a place in the register.
type KeysAsOf = (RegisterHead, Arc<Administrators>);

/// What was verified.
#[derive(Debug, Default)]
pub struct Known {
    federation: Mutex<Option<Arc<VerifiedFederation>>>,
    register: tokio::sync::Mutex<Option<Register>>,
    members: Mutex<Option<Arc<Members>>>,
    /// The keys of these members by their thumbprints.
    keys: Mutex<Option<KeysAsOf>>,
    tasks: Mutex<HashMap<TaskId, TaskContext>>,
    rounds: Mutex<HashMap<RoundId, RoundContext>>,
    closed: Mutex<HashMap<RoundId, Arc<RoundClosed>>>,
    findings: Mutex<HashMap<RoundId, Arc<Findings>>>,
}

/// What was found about every submission of a round, and from what: when that is still the same, nothing is
/// examined again.
#[derive(Debug)]
pub(crate) struct Findings {
    /// Body digests of the reports, in increasing point.
    pub(crate) reports: Vec<Digest>,
    /// Digest of the public scalars.
    pub(crate) scalars: Digest,
    /// One finding a submission, in root order.
    pub(crate) findings: Vec<Finding>,
}

impl Known {
    pub(crate) fn closed(&self, id: &RoundId) -> Option<Arc<RoundClosed>> {
        get(&self.closed, id)
    }

    pub(crate) fn keep_closed(&self, id: RoundId, closed: &Arc<RoundClosed>) {
        put(&self.closed, MOST_LONG, id, closed);
    }

    pub(crate) fn findings(&self, id: &RoundId) -> Option<Arc<Findings>> {
        get(&self.findings, id)
    }

    pub(crate) fn keep_findings(&self, id: RoundId, findings: &Arc<Findings>) {
        put(&self.findings, MOST_LONG, id, findings);
    }

    /// Forgets what is long about a round that is over.
    pub(crate) fn forget(&self, id: &RoundId) {
        if let Ok(mut closed) = self.closed.lock() {
            closed.remove(id);
        }
        if let Ok(mut findings) = self.findings.lock() {
            findings.remove(id);
        }
        // With it goes the row of a functional, as long as a model.
        if let Ok(mut rounds) = self.rounds.lock() {
            rounds.remove(id);
        }
    }
}

fn get<K: Eq + std::hash::Hash, V: Clone>(map: &Mutex<HashMap<K, V>>, key: &K) -> Option<V> {
    map.lock().ok()?.get(key).cloned()
}

fn put<K: Eq + std::hash::Hash, V: Clone>(
    map: &Mutex<HashMap<K, V>>,
    most: usize,
    key: K,
    value: &V,
) {
    if let Ok(mut map) = map.lock() {
        if map.len() >= most {
            map.clear();
        }
        map.insert(key, value.clone());
    }
}

fn peek<T: Clone>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().ok()?.clone()
}

fn keep<T>(slot: &Mutex<Option<T>>, value: T) {
    if let Ok(mut slot) = slot.lock() {
        *slot = Some(value);
    }
}

impl App {
    /// The federation that this aggregator serves.
    ///
    /// # Errors
    /// There is none yet, or the database fails.
    pub async fn federation(&self) -> Result<Arc<VerifiedFederation>, ContextError> {
        if let Some(known) = peek(&self.known.federation) {
            return Ok(known);
        }
        let bytes = self
            .store
            .founding_document()
            .await?
            .ok_or(ContextError::NoFederation)?;
        let verified = FoundingDocument::from_bytes(&bytes)
            .and_then(|document| document.verify())
            .map_err(spoiled("founding document"))?;
        let verified = Arc::new(verified);
        keep(&self.known.federation, Arc::clone(&verified));
        Ok(verified)
    }

    /// The members as of now: after everything that is in the register, at whichever replica it came in.
    ///
    /// # Errors
    /// As [`App::federation`].
    pub async fn members(&self) -> Result<Arc<Members>, ContextError> {
        let federation = self.federation().await?;
        let mut known = self.known.register.lock().await;
        let register = known.get_or_insert_with(|| Register::new(&federation));
        loop {
            let entries = register.head().entries;
            let page = self.store.register_after(entries, REGISTER_PAGE).await?;
            for entry in &page {
                register.push(entry).map_err(spoiled("register"))?;
            }
            if page.len() < REGISTER_PAGE as usize {
                break;
            }
        }
        // Not what was read now: an earlier reader may have been cut off after its first page.
        let current = peek(&self.known.members).filter(|known| known.head() == register.head());
        Ok(current.unwrap_or_else(|| {
            let members = Arc::new(register.members().clone());
            keep(&self.known.members, Arc::clone(&members));
            members
        }))
    }

    /// The members as they were when this process last looked.
    pub(crate) fn known_members(&self) -> Option<Arc<Members>> {
        peek(&self.known.members)
    }

    /// A key that may administer something: a member's current root key, or an issuer key that it announced with a certificate
    /// that counts now. What it may do is another question.
    ///
    /// # Errors
    /// As [`App::federation`].
    pub async fn known_key(
        &self,
        thumbprint: &Thumbprint,
    ) -> Result<Option<PublicKey>, ContextError> {
        let members = self.members().await?;
        let known = peek(&self.known.keys).filter(|(head, _)| *head == members.head());
        let (_, keys) = known.unwrap_or_else(|| {
            let known = (members.head(), Arc::new(administrators(&members)));
            keep(&self.known.keys, known.clone());
            known
        });
        let now = now_s();
        let counts = |(from, until): &(u64, u64)| (*from..*until).contains(&now);
        let found = keys.get(thumbprint);
        Ok(found.and_then(|(key, times)| times.iter().any(counts).then_some(*key)))
    }

    /// The members as of a place that a round names.
    ///
    /// # Errors
    /// As [`App::federation`]; spoiled when the register has no such place.
    pub async fn members_at(&self, head: &RegisterHead) -> Result<Arc<Members>, ContextError> {
        let newest = self.members().await?;
        if newest.head() == *head {
            return Ok(newest);
        }
        let known = self.known.register.lock().await;
        let members = known.as_ref().and_then(|register| register.at(head));
        let members = members.ok_or_else(|| {
            ContextError::Spoiled("register", "a round names another one".to_owned())
        })?;
        Ok(Arc::new(members))
    }

    /// A task in its federation, under one of the rosters that it may have: for what does not depend on stewards' keys.
    ///
    /// # Errors
    /// Unknown, or the database fails.
    pub async fn task_context(&self, task: &TaskId) -> Result<TaskContext, ContextError> {
        if let Some(known) = get(&self.known.tasks, task) {
            return Ok(known);
        }
        let row = self.store.task(task).await?.ok_or(ContextError::NoTask)?;
        let signed = Signed::<Task>::from_bytes(&row.signed_task).map_err(spoiled("task"))?;
        let context = self.verify_task(&signed).await?.map_err(spoiled("task"))?;
        if let Some((digest, bytes)) = context.wanted_public_set() {
            let key = ObjectKey::public_set(&digest);
            let bytes = self.payloads.get(&key, bytes as u64).await;
            let set = bytes.map_err(spoiled("public set"))?;
            context
                .learn_public_set(&set)
                .map_err(spoiled("public set"))?;
        }
        put(&self.known.tasks, MOST, *task, &context);
        Ok(context)
    }

    /// Verifies a task under the members as of now.
    ///
    /// # Errors
    /// As [`App::federation`]; the inner error is the rule that the task breaks.
    pub async fn verify_task(
        &self,
        task: &Signed<Task>,
    ) -> Result<Result<TaskContext, dawn_protocol::Violation>, ContextError> {
        let federation = self.federation().await?;
        let members = self.members().await?;
        Ok(TaskContext::verify(&federation, &members, task))
    }

    /// A task under the roster that is in force for it as of these members: that of a round which is not specified yet.
    ///
    /// # Errors
    /// As [`App::task_context`].
    pub async fn task_in_force(
        &self,
        task: &TaskId,
        members: &Members,
    ) -> Result<TaskContext, ContextError> {
        self.task_context(task)
            .await?
            .under_roster_in_force(members)
            .map_err(spoiled("roster"))
    }

    /// A task under the roster of one of its rounds: the one that the specification names, or that is in force now.
    ///
    /// # Errors
    /// As [`App::task_context`].
    pub async fn task_of_round(&self, id: &RoundId) -> Result<TaskContext, ContextError> {
        match self.round_context(id).await {
            Ok(context) => Ok(context.task_context().clone()),
            Err(ContextError::NotSpecified) => {
                self.task_in_force(&id.task, self.members().await?.as_ref())
                    .await
            }
            Err(error) => Err(error),
        }
    }

    /// A round with its specification.
    ///
    /// # Errors
    /// Unknown, not specified yet, or the database fails.
    pub async fn round_context(&self, id: &RoundId) -> Result<RoundContext, ContextError> {
        if let Some(known) = get(&self.known.rounds, id) {
            return Ok(known);
        }
        let task = self.task_context(&id.task).await?;
        let Some(spec) = self.store.statements(id, RoundSpec::KIND).await?.pop() else {
            return Err(match self.store.round(id).await? {
                Some(_) => ContextError::NotSpecified,
                None => ContextError::NoRound,
            });
        };
        let signed =
            Signed::<RoundSpec>::from_bytes(&spec.envelope).map_err(spoiled("specification"))?;
        let context = task
            .under_roster(self.members().await?.as_ref(), &signed.peek().roster)
            .and_then(|task| task.verify_spec(&signed))
            .map_err(spoiled("specification"))?;
        put(&self.known.rounds, MOST, *id, &context);
        Ok(context)
    }

    /// The statements of one kind in a round, decoded.
    ///
    /// # Errors
    /// The database fails, or a stored statement does not decode.
    pub async fn statements<T: Statement>(
        &self,
        id: &RoundId,
    ) -> Result<Vec<Signed<T>>, ContextError> {
        self.store
            .statements(id, T::KIND)
            .await?
            .iter()
            .map(|row| Signed::from_bytes(&row.envelope).map_err(spoiled(T::KIND)))
            .collect()
    }

    /// The one statement of a kind that the aggregator makes in a round, if it has.
    ///
    /// # Errors
    /// As [`App::statements`].
    pub async fn own_statement<T: Statement>(
        &self,
        id: &RoundId,
    ) -> Result<Option<Signed<T>>, ContextError> {
        Ok(self.statements(id).await?.pop())
    }
}

/// The keys that may administer something, each with the times at which it may. Several organisations may have announced one
/// key, and nobody's certificate shortens another's.
fn administrators(members: &Members) -> Administrators {
    let mut keys = Administrators::new();
    for member in members.iter() {
        let root = (member.root(), &[(0, u64::MAX)][..]);
        for (key, times) in std::iter::once(root).chain(member.issuers_with_times()) {
            let known = keys.entry(key.thumbprint());
            let (_, all) = known.or_insert_with(|| (*key, Vec::new()));
            all.extend(times);
        }
    }
    keys
}
