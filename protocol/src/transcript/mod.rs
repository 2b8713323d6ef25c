//! The file of one round that an auditor reads (`docs/protocol.md`, section 5.1).
//!
//! ```text
//! "DWNT" | version u16 LE | records: kind u8 | length u64 LE | bytes
//! ```
//!
//! The last record is the digest of every byte before it. The order of records is fixed
//! ([`Kind::may_follow`]), so that a round has one transcript:
//!
//! | kind | record | how many |
//! |---|---|---|
//! | 1 | founding document | 1 |
//! | 2 | entries of the register, all up to the place that the round names | any |
//! | 3 | signed roster | 1 |
//! | 4 | signed task | 1 |
//! | 22 | the public set, where the task distils | at most 1 |
//! | 5, 6 | how the previous round ended: its result, or its abort | at most 1 |
//! | 7 | the model before | 1 |
//! | 8 | round specification | 1, unless aborted before |
//! | 9 | endorsements | any |
//! | 10, 11 | a submission's signed header, then its payload; all of them, in root order | any |
//! | 12 | closed statement | 1, unless aborted before |
//! | 18 | challenge | 1, unless aborted before |
//! | 13, 19 | a steward's report, then its answers; in increasing point | any |
//! | 14 | verdict | 1, unless aborted before |
//! | 15, 21 | openings, in increasing point, each followed by its sums over groups when it names some | any |
//! | 16, 17 | the round's result, or its abort | 1 |
//! | 255 | end: the digest | 1 |
//!
//! A *detached* transcript is the same without payloads and answers ([`Form::Detached`]): it begins with `"DWND"`, has their
//! digests (23, 24) in their places, and before its end the digest of the whole transcript (25), which it becomes again with
//! them ([`attach`]).
//!
//! Reading and writing are streaming: no more than one record is held. Nothing is verified here;
//! that is what [`crate::phase`] is for. Sealed packages are not part of it: they are deleted after
//! the round.

mod detached;
mod limit;
mod reader;
mod record;
mod writer;

pub use detached::{Part, Piece, attach, detach, pieces};
pub use limit::{max_bytes, max_detached_bytes};
pub use reader::TranscriptReader;
pub use record::Record;
pub use writer::TranscriptWriter;

use std::io;

use dawn_crypto::digest::Digest;

/// The first four bytes of a transcript.
pub const MAGIC: [u8; 4] = *b"DWNT";

/// The first four bytes of a transcript without payloads and answers.
pub const DETACHED_MAGIC: [u8; 4] = *b"DWND";

/// The version of the format.
pub const VERSION: u16 = 1;

/// Most entries of the register in a transcript.
pub const MAX_REGISTER_ENTRIES: usize = dawn_identity::register::MAX_ENTRIES as usize;

/// Whether a transcript has payloads and answers in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// With them.
    Whole,
    /// With their digests; they are beside it, or nowhere.
    Detached,
}

impl Form {
    /// The first four bytes of a file of this form.
    pub const fn magic(self) -> [u8; 4] {
        match self {
            Self::Whole => MAGIC,
            Self::Detached => DETACHED_MAGIC,
        }
    }

    /// The form of a file that begins with these bytes.
    pub const fn of_magic(magic: [u8; 4]) -> Option<Self> {
        match magic {
            MAGIC => Some(Self::Whole),
            DETACHED_MAGIC => Some(Self::Detached),
            _ => None,
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal => $name:literal,)*) => {
        /// What a record is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $variant = $code,)*
        }

        impl Kind {
            /// The kind of a code.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The kind's name for people.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// The founding document.
    Founding = 1 => "founding document",
    /// An entry of the register.
    Register = 2 => "register entry",
    /// The signed roster.
    Roster = 3 => "roster",
    /// The signed task.
    Task = 4 => "task",
    /// The result of the previous round.
    PreviousResult = 5 => "previous result",
    /// The abort of the previous round.
    PreviousAborted = 6 => "previous abort",
    /// The model that devices trained from.
    Model = 7 => "model",
    /// The round specification.
    Spec = 8 => "round specification",
    /// An endorsement.
    Endorsement = 9 => "endorsement",
    /// A submission's signed header.
    Header = 10 => "submission header",
    /// The payload of the header before it.
    Payload = 11 => "payload",
    /// The closed statement.
    Closed = 12 => "closed statement",
    /// A package report.
    Report = 13 => "package report",
    /// The verdict.
    Verdict = 14 => "verdict",
    /// An opening.
    Opening = 15 => "opening",
    /// The round's result.
    Result = 16 => "result",
    /// The round's abort.
    Aborted = 17 => "abort",
    /// The challenge.
    Challenge = 18 => "challenge",
    /// The answers of the report before it.
    Answers = 19 => "answers",
    /// The model that the last accepted update went from.
    Direction = 20 => "model of the direction",
    /// The sums over groups of the opening before it.
    GroupSums = 21 => "group sums",
    /// The public set of a distillation.
    PublicSet = 22 => "public set",
    /// The digest of the payload of the header before it, in a detached transcript.
    PayloadDigest = 23 => "digest of a payload",
    /// The digest of the answers of the report before it, in a detached transcript.
    AnswersDigest = 24 => "digest of answers",
    /// The digest of the whole transcript, in a detached one.
    WholeDigest = 25 => "digest of the whole transcript",
    /// An entry of the register after those at the beginning, up to the key under which the round was aborted.
    Later = 26 => "later register entry",
    /// The digest of everything before.
    End = 255 => "end",
}

impl Kind {
    /// Whether a record of this kind may follow one of kind `previous` (none: the file begins) in a transcript of this form.
    pub const fn may_follow(self, previous: Option<Kind>, form: Form) -> bool {
        use Kind as K;
        let Some(previous) = previous else {
            return matches!(self, K::Founding);
        };
        match (previous, form) {
            (K::Founding | K::Register, _) => matches!(self, K::Register | K::Roster),
            (K::Roster, _) => matches!(self, K::Task),
            (K::Task, _) => matches!(
                self,
                K::PublicSet | K::PreviousResult | K::PreviousAborted | K::Model
            ),
            (K::PublicSet, _) => matches!(self, K::PreviousResult | K::PreviousAborted | K::Model),
            (K::PreviousResult | K::PreviousAborted, _) => matches!(self, K::Model),
            (K::Model, _) => matches!(self, K::Direction | K::Spec | K::Aborted),
            (K::Direction, _) => matches!(self, K::Spec | K::Aborted),
            (K::Spec, _) => matches!(self, K::Endorsement | K::Later | K::Aborted),
            (K::Endorsement, _) => {
                matches!(self, K::Endorsement | K::Header | K::Later | K::Aborted)
            }
            (K::Header, Form::Whole) => matches!(self, K::Payload),
            (K::Header, Form::Detached) => matches!(self, K::PayloadDigest),
            (K::Payload | K::PayloadDigest, _) => {
                matches!(self, K::Header | K::Closed | K::Later | K::Aborted)
            }
            (K::Closed, _) => matches!(self, K::Challenge | K::Later | K::Aborted),
            (K::Challenge, _) => matches!(self, K::Report | K::Later | K::Aborted),
            (K::Report, Form::Whole) => matches!(self, K::Answers),
            (K::Report, Form::Detached) => matches!(self, K::AnswersDigest),
            (K::Answers | K::AnswersDigest, _) => {
                matches!(self, K::Report | K::Verdict | K::Later | K::Aborted)
            }
            (K::Verdict, _) => matches!(self, K::Opening | K::Later | K::Aborted),
            (K::Opening, _) => matches!(
                self,
                K::Opening | K::GroupSums | K::Result | K::Later | K::Aborted
            ),
            (K::GroupSums, _) => matches!(self, K::Opening | K::Result | K::Later | K::Aborted),
            (K::Later, _) => matches!(self, K::Later | K::Aborted),
            (K::Result | K::Aborted, Form::Whole) => matches!(self, K::End),
            (K::Result | K::Aborted, Form::Detached) => matches!(self, K::WholeDigest),
            (K::WholeDigest, _) => matches!(self, K::End),
            (K::End, _) => false,
        }
    }
}

/// Why bytes are not a transcript, or cannot become one.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// Does not begin with the magic.
    #[error("not a transcript: it does not begin with DWNT or DWND")]
    Magic,
    /// Of another version.
    #[error("a transcript of version {0}, this reads version {VERSION}")]
    Version(u16),
    /// A kind that has no meaning.
    #[error("byte {offset}: {code} is not a kind of record")]
    UnknownKind {
        /// Where the record begins.
        offset: u64,
        /// The code found.
        code: u8,
    },
    /// A record in the wrong place.
    #[error("byte {offset}: a record of kind \"{}\" cannot be here", .kind.name())]
    Order {
        /// Where the record begins.
        offset: u64,
        /// What it is.
        kind: Kind,
    },
    /// More records of a kind than there can be.
    #[error("byte {offset}: too many records of kind \"{}\"", .kind.name())]
    TooMany {
        /// Where the record begins.
        offset: u64,
        /// What it is.
        kind: Kind,
    },
    /// A record that is longer (or, of fixed length, other) than it may be.
    #[error("byte {offset}: a {} of {actual} bytes, {limit} are allowed", .kind.name())]
    Length {
        /// Where the record begins.
        offset: u64,
        /// What it is.
        kind: Kind,
        /// Bytes allowed.
        limit: u64,
        /// Bytes announced.
        actual: u64,
    },
    /// A record that cannot be read as what it is.
    #[error("byte {offset}: not a {}: {reason}", .kind.name())]
    Malformed {
        /// Where the record begins.
        offset: u64,
        /// What it should be.
        kind: Kind,
        /// What is wrong.
        reason: String,
    },
    /// What lies under the name of a payload or of answers is something else.
    #[error("the {} beside the transcript is not {digest}, as its name says", .kind.name())]
    Part {
        /// What it should be.
        kind: Kind,
        /// Its name.
        digest: Digest,
    },
    /// The digest at the end is not that of the bytes before.
    #[error("the digest at the end is not that of the transcript")]
    Digest,
    /// Ends too early.
    #[error("the transcript ends at byte {0}, too early")]
    Truncated(u64),
    /// Goes on after its end.
    #[error("bytes after the end of the transcript")]
    Trailing,
    /// Reading or writing failed.
    #[error("transcript: {0}")]
    Io(#[from] io::Error),
}
