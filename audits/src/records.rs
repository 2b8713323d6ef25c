//! The records of one transcript, one ahead, and how reading ends.

use std::io::{self, Read, Seek, SeekFrom};

use dawn_crypto::digest::Digest;
use dawn_protocol::transcript::{Record, TranscriptError, TranscriptReader};

use crate::finding::{Finding, Party};
use crate::rule::AuditRule;

/// Why an audit stops.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A rule is broken.
    Broken(Box<Finding>),
    /// The input cannot be read; that says nothing about any party.
    Unreadable(io::Error),
}

impl From<Finding> for Stop {
    fn from(finding: Finding) -> Self {
        Self::Broken(Box::new(finding))
    }
}

impl From<TranscriptError> for Stop {
    fn from(error: TranscriptError) -> Self {
        match error {
            TranscriptError::Io(error) => Self::Unreadable(error),
            error => Finding::new(AuditRule::Container, Party::Provider, error).into(),
        }
    }
}

/// Bytes of a record before its content: kind and length.
const FRAME: u64 = 9;

/// A transcript's records with a look at the next one. Two records are held at most.
pub(crate) struct Records<R> {
    reader: TranscriptReader<R>,
    next: Option<Record>,
    /// Where the next record's content begins.
    at: u64,
}

impl<R: Read> Records<R> {
    pub(crate) fn new(input: R) -> Result<Self, Stop> {
        let mut records = Self {
            reader: TranscriptReader::new(input),
            next: None,
            at: 0,
        };
        records.advance()?;
        Ok(records)
    }

    fn advance(&mut self) -> Result<(), Stop> {
        self.at = self.reader.offset() + FRAME;
        self.next = self.reader.next_record()?;
        Ok(())
    }

    pub(crate) fn peek(&self) -> Option<&Record> {
        self.next.as_ref()
    }

    /// Where the content of the next record begins, in bytes from the beginning of the transcript. Not for
    /// the first, which comes after the magic.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    pub(crate) fn take(&mut self) -> Result<Record, Stop> {
        let record = self.next.take().ok_or_else(|| out_of_place("nothing"))?;
        self.advance()?;
        Ok(record)
    }

    /// Reads to the end without looking at the records: is at least the container whole? Gives the digest at its end.
    pub(crate) fn drain(mut self) -> Result<Option<Digest>, Stop> {
        let mut end = None;
        while let Some(record) = self.next.take() {
            if let Record::End(digest) = record {
                end = Some(digest);
            }
            self.advance()?;
        }
        Ok(end)
    }
}

/// A transcript that was read to its end, for what has to be read twice. Whoever reads again compares digests
/// again: it may be another file by now.
pub(crate) struct Again<'a, R> {
    input: &'a mut R,
    start: u64,
}

impl<'a, R: Read + Seek> Again<'a, R> {
    /// Of a transcript that begins at `start`.
    pub(crate) fn new(input: &'a mut R, start: u64) -> Self {
        Self { input, start }
    }

    /// Fills `bytes` from `at` bytes after the beginning of the transcript.
    pub(crate) fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), Stop> {
        self.input
            .seek(SeekFrom::Start(self.start + at))
            .and_then(|_| self.input.read_exact(bytes))
            .map_err(Stop::Unreadable)
    }
}

/// What the container's own order makes impossible, told as a broken container all the same.
pub(crate) fn out_of_place(what: &str) -> Stop {
    let detail = format_args!("{what} where another record should be").to_string();
    Finding::new(AuditRule::Container, Party::Provider, detail).into()
}

/// Takes the next record if it is of a kind.
macro_rules! take_if {
    ($records:expr, $variant:ident) => {
        match $records.peek() {
            Some(dawn_protocol::transcript::Record::$variant(_)) => match $records.take()? {
                dawn_protocol::transcript::Record::$variant(inner) => Some(inner),
                other => return Err($crate::records::out_of_place(other.kind().name())),
            },
            _ => None,
        }
    };
}

/// Takes the next record, which must be of a kind.
macro_rules! take {
    ($records:expr, $variant:ident) => {
        match $records.take()? {
            dawn_protocol::transcript::Record::$variant(inner) => inner,
            other => return Err($crate::records::out_of_place(other.kind().name())),
        }
    };
}

pub(crate) use {take, take_if};
