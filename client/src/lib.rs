//! The library inside an edge app: train locally, mask, submit once, keep the receipt.
//!
//! The device trusts one thing: the digest of the federation's founding document that ships with
//! the app. Everything else that the server shows is verified before anything is trained or sent
//! (docs/protocol.md, section 4.1). `examples/edge_app.rs` shows the whole embedding.
//!
//! | module | explains |
//! |---|---|
//! | [`builder`] | what an app has to bring |
//! | [`connection`] | a device in a federation: tasks to join, receipts held |
//! | [`terms`] | what the app lets a task ask of its device |
//! | [`participation`] | waiting for a task's rounds and verifying them |
//! | [`round`], [`update`] | one round: train, mask, submit |
//! | [`delivery`] | the same bytes until there is a receipt |
//! | [`ledger`] | what this device has said, on disk before it says it |
//! | [`heads`] | the layers that never leave this device, when a task has such |
//! | [`error`] | why the client refused, or could not |

pub mod builder;
mod clock;
pub mod connection;
pub mod delivery;
pub mod error;
pub mod heads;
pub mod ledger;
pub mod participation;
pub mod round;
pub mod terms;
pub mod update;

pub use builder::ClientBuilder;
pub use connection::Client;
pub use delivery::PreparedSubmission;
pub use error::{BuildError, ClientError, ServerError};
pub use heads::HeadsError;
pub use participation::Participation;
pub use round::OpenRound;
pub use terms::{Terms, TermsError};
pub use update::Update;
