//! The records of a transcript, parsed but not verified.

use std::borrow::Cow;

use dawn_identity::register::MAX_ENTRY_BYTES;
use dawn_identity::{FoundingDocument, Signed, SignedRoster};

use super::Kind;
use crate::beacon::Challenge;
use crate::spec::{Endorsement, RoundSpec};
use crate::statements::{Closed, Opening, PackageReport, Verdict};
use crate::submission::SubmissionHeader;
use crate::task::Task;
use crate::terminal::{Aborted, RoundResult, Terminal};
use dawn_crypto::digest::Digest;

/// One record. Nothing in it is verified; statements are canonical and consistent in themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The founding document.
    Founding(Box<FoundingDocument>),
    /// An entry of the register, as bytes ([`dawn_identity::Register`]).
    Register(Vec<u8>),
    /// The signed roster.
    Roster(Box<SignedRoster>),
    /// The signed task.
    Task(Box<Signed<Task>>),
    /// The public set of a distillation, as bytes ([`dawn_learn::PublicSet`]).
    PublicSet(Vec<u8>),
    /// How the previous round ended.
    Previous(Box<Terminal>),
    /// The canonical bytes of the model before.
    Model(Vec<u8>),
    /// The canonical bytes of the model that the last accepted update went from.
    Direction(Vec<u8>),
    /// The round specification.
    Spec(Box<Signed<RoundSpec>>),
    /// An endorsement.
    Endorsement(Box<Signed<Endorsement>>),
    /// A submission's signed header, as bytes: its leaf is over them.
    Header(Vec<u8>),
    /// A submission's payload, as bytes.
    Payload(Vec<u8>),
    /// The closed statement.
    Closed(Box<Signed<Closed>>),
    /// The challenge.
    Challenge(Box<Signed<Challenge>>),
    /// A package report.
    Report(Box<Signed<PackageReport>>),
    /// The answers of the report before, as bytes ([`crate::answers::AnswerCursor`]).
    Answers(Vec<u8>),
    /// The verdict.
    Verdict(Box<Signed<Verdict>>),
    /// An opening.
    Opening(Box<Signed<Opening>>),
    /// The sums over groups of the opening before, as bytes ([`crate::GroupSums`]).
    GroupSums(Vec<u8>),
    /// An entry of the register that comes after those at the beginning, as bytes.
    Later(Vec<u8>),
    /// How the round ended.
    Terminal(Box<Terminal>),
    /// The digest of the payload of the header before; nobody has compared it.
    PayloadDigest(Digest),
    /// The digest of the answers of the report before; nobody has compared it.
    AnswersDigest(Digest),
    /// The digest of the whole transcript; nobody has compared it.
    WholeDigest(Digest),
    /// The digest of every byte before; it has been compared.
    End(Digest),
}

impl Record {
    /// Reads a record's bytes.
    pub(super) fn parse(kind: Kind, bytes: Vec<u8>) -> Result<Self, String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        macro_rules! signed {
            ($type:ty) => {
                Signed::<$type>::from_bytes(&bytes).map_err(|e| text(&e))?
            };
        }
        Ok(match kind {
            Kind::Founding => Self::Founding(Box::new(
                FoundingDocument::from_bytes(&bytes).map_err(|e| text(&e))?,
            )),
            Kind::Register => Self::Register(bytes),
            Kind::Roster => Self::Roster(Box::new(
                SignedRoster::from_bytes(&bytes).map_err(|e| text(&e))?,
            )),
            Kind::Task => Self::Task(Box::new(signed!(Task))),
            Kind::PreviousResult => {
                Self::Previous(Box::new(Terminal::Result(signed!(RoundResult))))
            }
            Kind::PreviousAborted => Self::Previous(Box::new(Terminal::Aborted(signed!(Aborted)))),
            Kind::PublicSet => Self::PublicSet(bytes),
            Kind::Model => Self::Model(bytes),
            Kind::Direction => Self::Direction(bytes),
            Kind::Spec => Self::Spec(Box::new(signed!(RoundSpec))),
            Kind::Endorsement => Self::Endorsement(Box::new(signed!(Endorsement))),
            Kind::Header => Self::Header(bytes),
            Kind::Payload => Self::Payload(bytes),
            Kind::Closed => Self::Closed(Box::new(signed!(Closed))),
            Kind::Challenge => Self::Challenge(Box::new(signed!(Challenge))),
            Kind::Report => Self::Report(Box::new(signed!(PackageReport))),
            Kind::Answers => Self::Answers(bytes),
            Kind::Verdict => Self::Verdict(Box::new(signed!(Verdict))),
            Kind::Opening => Self::Opening(Box::new(signed!(Opening))),
            Kind::GroupSums => Self::GroupSums(bytes),
            Kind::Later => Self::Later(bytes),
            Kind::Result => Self::Terminal(Box::new(Terminal::Result(signed!(RoundResult)))),
            Kind::Aborted => Self::Terminal(Box::new(Terminal::Aborted(signed!(Aborted)))),
            Kind::PayloadDigest => Self::PayloadDigest(digest(&bytes)?),
            Kind::AnswersDigest => Self::AnswersDigest(digest(&bytes)?),
            Kind::WholeDigest => Self::WholeDigest(digest(&bytes)?),
            Kind::End => Self::End(digest(&bytes)?),
        })
    }

    /// What the record is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Founding(_) => Kind::Founding,
            Self::Register(_) => Kind::Register,
            Self::Roster(_) => Kind::Roster,
            Self::Task(_) => Kind::Task,
            Self::Previous(terminal) => match **terminal {
                Terminal::Result(_) => Kind::PreviousResult,
                Terminal::Aborted(_) => Kind::PreviousAborted,
            },
            Self::PublicSet(_) => Kind::PublicSet,
            Self::Model(_) => Kind::Model,
            Self::Direction(_) => Kind::Direction,
            Self::Spec(_) => Kind::Spec,
            Self::Endorsement(_) => Kind::Endorsement,
            Self::Header(_) => Kind::Header,
            Self::Payload(_) => Kind::Payload,
            Self::Closed(_) => Kind::Closed,
            Self::Challenge(_) => Kind::Challenge,
            Self::Report(_) => Kind::Report,
            Self::Answers(_) => Kind::Answers,
            Self::Verdict(_) => Kind::Verdict,
            Self::Opening(_) => Kind::Opening,
            Self::GroupSums(_) => Kind::GroupSums,
            Self::Later(_) => Kind::Later,
            Self::Terminal(terminal) => match **terminal {
                Terminal::Result(_) => Kind::Result,
                Terminal::Aborted(_) => Kind::Aborted,
            },
            Self::PayloadDigest(_) => Kind::PayloadDigest,
            Self::AnswersDigest(_) => Kind::AnswersDigest,
            Self::WholeDigest(_) => Kind::WholeDigest,
            Self::End(_) => Kind::End,
        }
    }

    /// The record's bytes, those that it was read from.
    pub(super) fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(match self {
            Self::Founding(document) => return Cow::Owned(document.to_bytes()),
            Self::Roster(roster) => return Cow::Owned(roster.to_bytes()),
            Self::Register(bytes)
            | Self::PublicSet(bytes)
            | Self::Model(bytes)
            | Self::Direction(bytes)
            | Self::Header(bytes)
            | Self::Payload(bytes)
            | Self::Answers(bytes)
            | Self::GroupSums(bytes)
            | Self::Later(bytes) => bytes,
            Self::Task(signed) => signed.bytes(),
            Self::Previous(terminal) | Self::Terminal(terminal) => terminal.bytes(),
            Self::Spec(signed) => signed.bytes(),
            Self::Endorsement(signed) => signed.bytes(),
            Self::Closed(signed) => signed.bytes(),
            Self::Challenge(signed) => signed.bytes(),
            Self::Report(signed) => signed.bytes(),
            Self::Verdict(signed) => signed.bytes(),
            Self::Opening(signed) => signed.bytes(),
            Self::PayloadDigest(digest)
            | Self::AnswersDigest(digest)
            | Self::WholeDigest(digest)
            | Self::End(digest) => &digest.0,
        })
    }
}

fn digest(bytes: &[u8]) -> Result<Digest, String> {
    <[u8; 32]>::try_from(bytes)
        .map(Digest)
        .map_err(|_| "not 32 bytes".to_owned())
}

/// Most bytes of a record of a kind whose length does not depend on the task.
pub(super) fn fixed_limit(kind: Kind) -> Option<usize> {
    Some(match kind {
        Kind::Founding => FoundingDocument::MAX_BYTES,
        Kind::Register | Kind::Later => MAX_ENTRY_BYTES,
        Kind::Roster => SignedRoster::MAX_BYTES,
        Kind::Task => Signed::<Task>::MAX_BYTES,
        Kind::PreviousResult | Kind::Result => Signed::<RoundResult>::MAX_BYTES,
        Kind::PreviousAborted | Kind::Aborted => Signed::<Aborted>::MAX_BYTES,
        Kind::Spec => Signed::<RoundSpec>::MAX_BYTES,
        Kind::Endorsement => Signed::<Endorsement>::MAX_BYTES,
        Kind::Header => Signed::<SubmissionHeader>::MAX_BYTES,
        Kind::Closed => Signed::<Closed>::MAX_BYTES,
        Kind::Challenge => Signed::<Challenge>::MAX_BYTES,
        Kind::Report => Signed::<PackageReport>::MAX_BYTES,
        Kind::Verdict => Signed::<Verdict>::MAX_BYTES,
        Kind::Opening => Signed::<Opening>::MAX_BYTES,
        Kind::PayloadDigest | Kind::AnswersDigest | Kind::WholeDigest | Kind::End => 32,
        Kind::Model
        | Kind::Direction
        | Kind::Payload
        | Kind::Answers
        | Kind::GroupSums
        | Kind::PublicSet => return None,
    })
}
