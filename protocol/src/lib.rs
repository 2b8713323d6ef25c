//! What is said in a round, and what follows from it.
//!
//! Statements with one canonical encoding each, the contexts that everybody verifies them in, and
//! the pure functions that decide: [`judge`] which submissions count, [`open`] what their sum is.
//! Device, steward, aggregator and auditor call the same functions, so that they cannot disagree.
//! Sections cited below are those of `docs/protocol.md`.
//!
//! | module | explains | section |
//! |---|---|---|
//! | [`round_id`] | (task, round number), under which everything is said once | 4.1 |
//! | [`task`], [`task_options`], [`task_rules`] | what the members agree to compute, and what is refused at once | 4.1 |
//! | [`spec`] | the specification of one round, its sealing keys and endorsements | 4.1 |
//! | [`submission`], [`container`] | what a device sends, and its form on the wire | 4.4 |
//! | [`evaluation`] | accuracy and loss on the devices, through the same sum | 4.2 |
//! | [`upload`] | how many bytes a submission will have | 4.9 |
//! | [`prepare`], [`package`] | how a device makes it, how a steward opens its part | 4.2, 4.3 |
//! | [`beacon`] | what nobody knows before the round is closed | 4.6 |
//! | [`statements`], [`terminal`] | everything said after the round is closed | 4.6, 4.7 |
//! | [`answers`] | what stewards answer about submissions, and the public scalars, as bytes | 4.6 |
//! | [`digests`] | digests of models, sums and statements; the matrix seed | 3 |
//! | [`context`], [`round_context`], [`spec_rules`] | what is verified before anything is believed | 4.1 |
//! | [`roll`] | the closed list of submissions under its Merkle root | 4.6 |
//! | [`examine`] | what the answers about one submission show | 4.6 |
//! | [`policy`], [`judge`] | which submissions are in the sum | 4.6 |
//! | [`groups`], [`group_sums`] | sums over groups of submissions, when a task asks for them | 4.7 |
//! | [`open`] | the sum, and who answered wrongly | 4.7 |
//! | [`phase`] | the order of a round, in types | 4 |
//! | [`dp`] | what a round costs in privacy | 4.8 |
//! | [`author`], [`noise`] | submissions of stewards, which contribute noise | 4.8 |
//! | [`selection`] | which devices take part, when a task does not want all | 4.10 |
//! | [`log`], [`work`] | the log of statements; what stewards pull | 4.6 |
//! | [`tlog`] | the log in the formats of C2SP: checkpoints, tiles, proofs, cosignatures | 4.6.1 |
//! | [`transcript`] | the file that an auditor reads | 5 |
//! | [`violation`] | who broke which rule | 6 |

pub mod answers;
pub mod author;
pub mod beacon;
mod byte_code;
pub mod container;
pub mod context;
pub mod digests;
pub mod dp;
pub mod evaluation;
pub mod examine;
pub mod functional;
pub mod group_sums;
pub mod groups;
pub mod judge;
pub mod log;
pub mod noise;
pub mod open;
pub mod package;
pub mod phase;
pub mod policy;
pub mod prepare;
pub mod roll;
pub mod round_context;
pub mod round_id;
pub mod selection;
mod shares;
pub mod spec;
pub mod spec_rules;
pub mod statements;
pub mod submission;
mod subsets;
pub mod task;
pub mod task_options;
pub mod task_rules;
pub mod terminal;
pub mod tlog;
pub mod transcript;
pub mod upload;
pub mod violation;
pub mod work;

pub use author::Author;
pub use beacon::{BeaconShare, Challenge};
pub use context::TaskContext;
pub use dawn_crypto::digest::Digest;
pub use dawn_identity::{DeviceId, OrgId, SessionId, StewardId, TaskId};
pub use evaluation::{EvaluationRule, EvaluationSum, FederatedEvaluation};
pub use examine::{Examined, Finding, SubmissionVerifier};
pub use functional::Functional;
pub use group_sums::GroupSums;
pub use groups::{GroupRule, Groups};
pub use log::{LogEntry, LogHead};
pub use noise::{Candidate, NoiseSecret, StewardNoise};
pub use package::OpenedPackage;
pub use phase::{DrawProof, Judged, Opened, ProvenDraw, RoundChallenged, RoundClosed, RoundOpen};
pub use round_context::{RoundContext, Seat};
pub use round_id::RoundId;
pub use selection::{Draw, NotSelected, Selection};
pub use spec::{Endorsement, RoundAnnouncement, RoundSpec, SealingKey};
pub use statements::{Closed, Decision, Opening, Outcome, PackageReport, Verdict};
pub use submission::{PackagePlaintext, Receipt, SubmissionHeader};
pub use task::{Deadlines, Policy, PrivacyPlan, Task};
pub use task_options::TaskOptions;
pub use terminal::{AbortReason, Aborted, RoundResult, Start, Terminal};
pub use violation::{Culprit, Rule, Violation};
pub use work::{PackageItem, PackagePage, WorkItem};

/// Version of the protocol that this crate speaks. Another one is refused everywhere.
pub const PROTOCOL_VERSION: u16 = 1;

/// Difference between two honest clocks that is tolerated, in seconds: by so much may the time at which a task was created
/// or a round opened be ahead of a steward's clock (`docs/protocol.md`, sections 4.1 and 4.10).
pub const CLOCK_TOLERANCE: u64 = 600;

/// Most bytes of one signed statement, so that every statement fits a log entry
/// (`docs/protocol.md`, section 4.6).
pub const MAX_STATEMENT_BYTES: usize = 65_535;
