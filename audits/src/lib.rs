//! Re-executes transcripts: PASS, or the first broken rule and the party to blame.
//!
//! The auditor trusts the digest of a founding document and nobody else. It calls the same pure
//! functions of `dawn_protocol` as everybody and knows nothing of the aggregator's code. The rules,
//! their checks and whom they blame: docs/audit.md; docs/protocol.md, section 5.
//!
//! | module | explains |
//! |---|---|
//! | [`rule`] | the numbered rules |
//! | [`finding`] | a broken rule and the party to blame |
//! | [`report`], `details`, [`checks`] | the answer, for people and as JSON |
//! | [`signed_report`] | the answer, signed by its auditor |
//! | [`inclusion`], [`standing`] | a device's own check, and who stands behind what it rests on |
//! | [`page`] | the answer as a page |
//! | [`verify`] | auditing a file or a directory |
//! | [`source`] | a transcript with its payloads in it, or beside it |
//! | [`service`] | auditing a running aggregator |
//! | [`watch`], `watched` | following a log that grows |
//! | [`log`], [`witness`] | the log in a file, and who stands behind it |
//! | `records`, `preamble`, `round`, `submissions`, `challenge`, `answers`, `ending`, `abort` | one transcript, in its order |
//! | `light` | the same without executing anything again |
//! | `examination` | what is read again: payloads, and the answers about them |
//! | `blame` | who said it, before anybody is blamed for it |
//! | `chain`, `said` | from round to round; what must be in the log |
//! | `heard`, `logged_round`, `logged_register` | what the log says, beside itself and beside the transcripts |

mod abort;
mod answers;
mod blame;
#[cfg(test)]
mod bytewise;
mod chain;
mod challenge;
pub mod checks;
mod details;
mod ending;
mod examination;
pub mod finding;
mod heard;
pub mod inclusion;
mod light;
pub mod log;
mod logged_register;
mod logged_round;
mod opening;
pub mod page;
mod preamble;
mod records;
pub mod report;
mod round;
pub mod rule;
mod said;
pub mod service;
pub mod signed_report;
pub mod source;
pub mod standing;
mod submissions;
pub mod verify;
pub mod watch;
mod watched;
pub mod witness;

pub use checks::Check;
pub use details::{OrganisationDetails, RoundDetails, StewardDetails};
pub use finding::{Finding, Party};
pub use report::{Answer, AuditReport, LogReport, RoundReport};
pub use rule::AuditRule;
pub use service::verify_service;
pub use signed_report::AuditStatement;
pub use source::Source;
pub use verify::{AuditError, DEFAULT_MAX_BYTES, Mode, Options, verify_path, verify_transcript};
pub use watch::{LogSource, Look, Watch, WatchError};
pub use watched::Told;
