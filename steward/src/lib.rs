//! The opener that an organisation runs: small, durable, suspicious.
//!
//! A steward holds a share of every mask key of a round, and says five things about it, each at most once per (task,
//! round): its sealing key, which specification it takes part in, its part of the beacon, what it found in its packages
//! with its answers to the challenge, and the sum of its shares over the accepted set. Everything that the rest of the protocol promises rests on "at most once", so each
//! answer is on disk before it leaves, an identical request gets identical bytes, and another one is refused; also after
//! a crash, and after the store was put back from a backup (`docs/protocol.md`, sections 4.1, 4.6 and 4.7).
//!
//! | module | explains |
//! |---|---|
//! | [`state`] | the steward's decisions without HTTP: who it is, what it knows, the gate that every request passes |
//! | [`preparation`] | the sealing key and the endorsement |
//! | [`history`] | why a specification starts from the model that it names |
//! | [`drawing`] | what devices are drawn from, proven to a steward that was away |
//! | [`registering`] | the register, which only grows |
//! | [`list`] | reading the closed list |
//! | [`beacon`] | the part of the beacon |
//! | [`report`] | opening the packages of a closed round and answering the challenge |
//! | [`examination`] | judging again, from everybody's answers |
//! | [`recomputing`] | recomputing scalars of its own choice |
//! | [`opening`] | the answer to a verdict |
//! | [`witness`] | cosigning the log, and refusing what is not in it |
//! | [`evidence`] | what is kept of a second history |
//! | [`vault`], [`change`], [`tables`], [`records`] | the memory: one embedded database, every change synced |
//! | [`guard`] | how it is noticed that the memory was put back from a backup |
//! | [`secrets`] | the secrets of one round, and their end |
//! | [`answers`] | the files of answers |
//! | [`vrf_key`] | the file of the VRF key |
//! | [`run`], [`session`], `fetching`, `witnessing` | pulling work over HTTP and doing it |
//! | [`config`] | the configuration file |
//! | [`error`] | by which rule a steward refuses |
//!
//! What must be in agreement with the aggregator is in `dawn-protocol`; nothing of it is decided here.

pub mod answers;
pub mod beacon;
pub mod change;
pub mod config;
pub mod drawing;
mod durable;
pub mod error;
pub mod evidence;
pub mod examination;
mod fetching;
mod findings;
pub mod guard;
pub mod history;
mod ledger;
pub mod list;
pub mod noise;
pub mod opening;
mod parallel;
pub mod preparation;
pub mod recomputing;
pub mod records;
mod recovery;
pub mod registering;
pub mod report;
pub mod run;
pub mod secrets;
mod seen;
pub mod session;
pub mod state;
mod succession;
pub mod tables;
pub mod vault;
pub mod vrf_key;
pub mod witness;
mod witnessing;

pub use beacon::BeaconStep;
pub use config::StewardConfig;
pub use error::{Refusal, StewardError};
pub use examination::{ExamineWork, WantedAnswers};
pub use list::ListWork;
pub use opening::{OpenRequest, OpenStep, OpenWork};
pub use recomputing::ScalarWork;
pub use report::{ReportStep, ReportWork};
pub use run::{RunError, Steward};
pub use state::StewardState;
pub use vault::{Condition, Vault, VaultError};
pub use witness::Witnessed;
