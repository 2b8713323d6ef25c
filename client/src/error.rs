//! Why the client refused, or could not.

use dawn_crypto::digest::Digest;
use dawn_identity::{ChainError, DeviceId, FederationError, OrgId, RegisterHead};
use dawn_learn::{ModelError, QuantiseError, TrainError};
use dawn_protocol::prepare::PrepareError;
use dawn_protocol::{NotSelected, RoundId, TaskId, Violation};
use dawn_transport::TransportError;
use thiserror::Error;

use crate::heads::HeadsError;
use crate::ledger::LedgerError;
use crate::terms::TermsError;

/// What an app brought does not fit together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// A part of the builder was not called.
    #[error("the client needs `{0}`")]
    Missing(&'static str),
    /// The secret key is not the one that the credential names.
    #[error("the secret key is not that of device {0}")]
    OtherKey(DeviceId),
    /// The credential is no longer valid.
    #[error("the credential of device {0} has expired: enrol the device again")]
    Expired(DeviceId),
}

/// What the server answered is not what was asked for. Nothing of it is used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ServerError {
    /// Another task came back.
    #[error("asked for task {asked}, got {got}")]
    OtherTask {
        /// What was asked for.
        asked: TaskId,
        /// What came.
        got: TaskId,
    },
    /// The server shows another register than the round names, or than it showed before.
    #[error("the server does not show the register with {} entries and head {} that the round names", .0.entries, .0.digest)]
    OtherRegister(RegisterHead),
    /// The round names less of the register than a round of the task that this device was shown before.
    #[error(
        "round {round} names a register of {named} entries, an earlier one of the task named {known}: a revocation may be left out; do not take part, and audit the task"
    )]
    OldRegister {
        /// The round.
        round: RoundId,
        /// Entries that its specification names.
        named: u64,
        /// Entries that were named before.
        known: u64,
    },
    /// The aggregator's key was replaced after the round was specified. The next round is under the new one.
    #[error(
        "the aggregator's key was replaced after round {0} was specified: whoever has the old one may speak with it; ask for the next round"
    )]
    KeyReplaced(RoundId),
    /// The round on offer is not after the ones already seen.
    #[error("the server offers round {0} again")]
    OldRound(RoundId),
    /// The model is of another shape than the task's.
    #[error("the model of round {0} is not of the task's shape")]
    OtherShape(RoundId),
    /// The public set is not the one that the task names.
    #[error("the server's public set: {0}")]
    PublicSet(dawn_learn::PublicSetError),
    /// The model's bytes are not those that everybody else gets.
    #[error("the model has digest {got}, the round names {expected}")]
    OtherModel {
        /// The digest in the specification.
        expected: Digest,
        /// The digest of what came.
        got: Digest,
    },
}

/// Every way in which the client refuses or fails.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The builder's parts do not fit together.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The founding document is not the pinned one, or not signed by its founders.
    #[error(transparent)]
    Federation(#[from] FederationError),
    /// The device's own credential does not verify.
    #[error("this device's credential: {0}")]
    Credential(#[from] ChainError),
    /// The device's organisation is not a member of the federation.
    #[error("organisation {0} of this device is not a member of the federation")]
    NotAMember(OrgId),
    /// The task asks for more than the app accepts.
    #[error("the task is refused: {0}")]
    Terms(#[from] TermsError),
    /// A party broke a rule of the protocol; it names the party and the rule.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The server's answer is not what was asked for.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The model does not decode.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Local training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The update cannot be quantised.
    #[error(transparent)]
    Quantise(#[from] QuantiseError),
    /// The device's own layers cannot be had or kept.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// The submission cannot be made.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The ledger refused or failed. Nothing was sent.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The server could not be reached or refused.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The device has no part in this round: it is not selected, or cannot be. Nothing was trained; ask for the next round.
    #[error("{round}: {reason}")]
    NotSelected {
        /// The round.
        round: RoundId,
        /// Why.
        reason: NotSelected,
    },
    /// The task has had its last round.
    #[error("task {0} has had its last round")]
    Ended(TaskId),
    /// Collecting ended before the submission was through.
    #[error("round {round} closed before the submission was through; last: {last}")]
    TooLate {
        /// The round.
        round: RoundId,
        /// What went wrong last.
        last: Box<TransportError>,
    },
}
