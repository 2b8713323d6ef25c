//! The same bytes, again and again, until there is a receipt.

use std::time::Duration;

use bytes::Bytes;
use dawn_identity::{Signed, Verified};
use dawn_protocol::prepare::PreparedSubmission as Message;
use dawn_protocol::{Receipt, SubmissionHeader};
use dawn_transport::{Backoff, RetryPolicy, SubmissionBody, TransportError};

use crate::clock;
use crate::error::ClientError;
use crate::round::OpenRound;

/// Pauses between attempts, on top of the few that the transport makes by itself: a device has
/// until the round closes.
const PATIENCE: RetryPolicy = RetryPolicy {
    attempts: u32::MAX,
    first: Duration::from_millis(250),
    longest: Duration::from_secs(15),
};

/// The type of the problem with which a server refuses what comes after collecting has ended.
const WRONG_PHASE: &str = "urn:dawn:problem:wrong-phase";

/// A signed submission with its wire bytes, fixed once and for all: a retry cannot say anything new.
pub struct PreparedSubmission {
    header: Signed<SubmissionHeader>,
    wire: Bytes,
}

impl PreparedSubmission {
    pub(crate) fn new(message: Message) -> Self {
        let header = message.header.clone();
        let wire = Bytes::from(message.into_bytes());
        Self { header, wire }
    }

    /// The signed header.
    pub fn header(&self) -> &Signed<SubmissionHeader> {
        &self.header
    }

    /// The whole container as it is sent (docs/protocol.md, section 4.4).
    pub fn wire(&self) -> &Bytes {
        &self.wire
    }
}

impl OpenRound {
    /// Claims the round for this submission and sends it until there is a receipt or the round
    /// closes. Calling it again with the same submission sends the same bytes; with another one it
    /// is refused.
    ///
    /// # Errors
    /// As [`OpenRound::submit`].
    pub async fn send(
        &self,
        prepared: &PreparedSubmission,
    ) -> Result<Verified<Receipt>, ClientError> {
        let (round, header) = (self.id(), prepared.header());
        let ledger = &self.inner.ledger;
        // Durable before the first byte leaves (docs/protocol.md, section 4.1).
        ledger.claim(round, header.peek().session, header.envelope_digest())?;
        let receipt = self.upload(prepared).await?;
        let receipt = self.verify_receipt(&receipt, header)?;
        ledger.keep_receipt(round, receipt.signed())?;
        Ok(receipt)
    }

    async fn upload(&self, prepared: &PreparedSubmission) -> Result<Signed<Receipt>, ClientError> {
        let mut backoff = Backoff::new(&PATIENCE);
        let body = SubmissionBody::Bytes(prepared.wire.clone());
        let (round, device) = (self.id(), self.inner.device.id);
        loop {
            let error = match self.inner.api.submit(&round, &device, &body).await {
                Ok(receipt) => return Ok(receipt),
                Err(error) if error.is_transient() || has_ended(&error) => error,
                Err(error) => return Err(error.into()),
            };
            // A round that has as many submissions as it wants ends before its time.
            if has_ended(&error) || clock::unix_millis() >= self.closes_ms() {
                return Err(ClientError::TooLate {
                    round,
                    last: Box::new(error),
                });
            }
            tracing::debug!(%error, %round, "sending the submission again");
            tokio::time::sleep(backoff.next_pause_os()).await;
        }
    }
}

fn has_ended(error: &TransportError) -> bool {
    matches!(error, TransportError::Problem(problem) if problem.kind == WRONG_PHASE)
}
