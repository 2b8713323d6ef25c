//! Tasks, the open round and models.

use dawn_identity::http_signature::Purpose;
use dawn_identity::{SecretKey, Signed, TaskId};
use dawn_protocol::{RoundAnnouncement, Task};
use reqwest::{Method, StatusCode};
use tokio::io::AsyncWrite;

use crate::api::{Api, Call, MAX_WAIT_SECONDS};
use crate::codec::parse_signed;
use crate::error::TransportError;
use crate::limits;

/// What a long-poll for the open round found.
#[derive(Clone, Debug)]
pub enum RoundPoll {
    /// A round that devices may submit to. Unverified.
    Open(Box<RoundAnnouncement>),
    /// Nothing yet: ask again.
    NotYet,
    /// The task has had its last round.
    Ended,
}

impl Api {
    /// `POST /v1/tasks`: asks the federation to run a task, signed with the owner's root or issuer key.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn post_task(
        &self,
        task: &Signed<Task>,
        key: &SecretKey,
    ) -> Result<(), TransportError> {
        self.administer(
            Method::POST,
            "v1/tasks",
            task.bytes(),
            key,
            Purpose::CreateTask,
        )
        .await
    }

    /// [`Api::post_task`] for a task that distils, with its public set.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn post_task_with(
        &self,
        task: &Signed<Task>,
        public_set: &[u8],
        key: &SecretKey,
    ) -> Result<(), TransportError> {
        let length = u32::try_from(task.bytes().len()).unwrap_or(u32::MAX);
        let body = [b"DWND", &length.to_le_bytes()[..], task.bytes(), public_set].concat();
        let purpose = Purpose::CreateTask;
        self.administer(Method::POST, "v1/tasks", &body, key, purpose)
            .await
    }

    /// `GET /v1/tasks`: the tasks, as JSON for people.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn tasks(&self) -> Result<serde_json::Value, TransportError> {
        self.get_json("v1/tasks", "list of tasks", limits::JSON)
            .await
    }

    /// `GET /v1/tasks/{task}`. Unverified, and not even known to be the task asked for: the caller recomputes its
    /// identifier.
    ///
    /// # Errors
    /// [`TransportError`]; a 404 problem when the server does not know the task.
    pub async fn task(&self, task: &TaskId) -> Result<Signed<Task>, TransportError> {
        let answer = self
            .call(Call::get(&format!("v1/tasks/{task}"), limits::TASK))
            .await?;
        parse_signed(&answer.body, "task")
    }

    /// `GET /v1/tasks/{task}/public-set`: the public set of a task that distils, which has this many bytes. The caller compares
    /// it with the task.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn public_set(&self, task: &TaskId, bytes: u64) -> Result<Vec<u8>, TransportError> {
        let path = format!("v1/tasks/{task}/public-set");
        let answer = self.call(Call::get(&path, bytes)).await?;
        Ok(answer.body)
    }

    /// `GET /v1/tasks/{task}/status`: how far a task has come, as JSON for people.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn task_status(&self, task: &TaskId) -> Result<serde_json::Value, TransportError> {
        self.get_json(
            &format!("v1/tasks/{task}/status"),
            "task status",
            limits::JSON,
        )
        .await
    }

    /// `GET /v1/tasks/{task}/round`: the newest round that is collecting and has a number above `after`. Waits up to
    /// `wait_seconds` (at most [`MAX_WAIT_SECONDS`]) for one.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn open_round(
        &self,
        task: &TaskId,
        after: u32,
        wait_seconds: u32,
    ) -> Result<RoundPoll, TransportError> {
        let wait = wait_seconds.min(MAX_WAIT_SECONDS);
        let path = format!("v1/tasks/{task}/round");
        let query = [("after", u64::from(after)), ("wait", u64::from(wait))];
        let call = Call::get(&path, limits::ANNOUNCEMENT)
            .query(&query)
            .wait(wait);
        match self.call(call).await {
            Ok(answer) if answer.status == StatusCode::NO_CONTENT => Ok(RoundPoll::NotYet),
            Ok(answer) => open(&answer.body),
            Err(error) if error.status() == Some(StatusCode::GONE.as_u16()) => Ok(RoundPoll::Ended),
            Err(error) => Err(error),
        }
    }

    /// `GET /v1/models/{digest}`: a model's bytes, at most `max_bytes` (capped at [`limits::MODEL`]). The caller checks
    /// that they have this digest.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn model(
        &self,
        digest: &dawn_identity::Digest,
        max_bytes: u64,
    ) -> Result<Vec<u8>, TransportError> {
        let path = format!("v1/models/{digest}");
        let answer = self
            .call(Call::get(&path, max_bytes.min(limits::MODEL)))
            .await?;
        Ok(answer.body)
    }

    /// As [`Api::model`], written to `writer` while it arrives; says how many bytes it was. Not repeated after the first
    /// byte was written.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn download_model<W: AsyncWrite + Unpin>(
        &self,
        digest: &dawn_identity::Digest,
        max_bytes: u64,
        writer: &mut W,
    ) -> Result<u64, TransportError> {
        self.download(
            &format!("v1/models/{digest}"),
            max_bytes.min(limits::MODEL),
            writer,
        )
        .await
    }
}

fn open(body: &[u8]) -> Result<RoundPoll, TransportError> {
    let announcement =
        RoundAnnouncement::from_bytes(body).map_err(|error| TransportError::Malformed {
            what: "round announcement",
            why: error.to_string(),
        })?;
    Ok(RoundPoll::Open(Box::new(announcement)))
}
