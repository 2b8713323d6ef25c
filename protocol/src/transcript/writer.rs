//! Writing a transcript, record by record.

use std::io::Write;

use dawn_crypto::digest::{Digest, Hasher, labels};
use dawn_identity::{FoundingDocument, Signed, SignedRoster};

use super::{Form, Kind, Record, TranscriptError, VERSION};
use crate::beacon::Challenge;
use crate::spec::{Endorsement, RoundSpec};
use crate::statements::{Closed, Opening, PackageReport, Verdict};
use crate::task::Task;
use crate::terminal::Terminal;

/// Writes the records of one transcript in their order. Refuses a record in the wrong place, so that
/// nothing is written that no reader would read.
///
/// With a `Vec<u8>` as the writer it serves asynchronous callers too: they take the bytes out with
/// [`TranscriptWriter::get_mut`] between records.
#[derive(Debug)]
pub struct TranscriptWriter<W> {
    out: W,
    form: Form,
    hasher: Hasher,
    previous: Option<Kind>,
    offset: u64,
    /// Bytes of a payload or of answers that are still to come.
    missing: u64,
}

impl<W: Write> TranscriptWriter<W> {
    /// Begins a whole transcript.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(out: W) -> Result<Self, TranscriptError> {
        Self::of_form(out, Form::Whole)
    }

    /// Begins a transcript without payloads and answers.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn detached(out: W) -> Result<Self, TranscriptError> {
        Self::of_form(out, Form::Detached)
    }

    fn of_form(out: W, form: Form) -> Result<Self, TranscriptError> {
        let mut writer = Self {
            out,
            form,
            hasher: Hasher::new(labels::TRANSCRIPT),
            previous: None,
            offset: 0,
            missing: 0,
        };
        writer.put(&form.magic())?;
        writer.put(&VERSION.to_le_bytes())?;
        Ok(writer)
    }

    /// The writer underneath.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// The founding document.
    ///
    /// # Errors
    /// [`TranscriptError::Order`], or those of the writer; the same for every record.
    pub fn founding(&mut self, document: &FoundingDocument) -> Result<(), TranscriptError> {
        self.record(Kind::Founding, &document.to_bytes())
    }

    /// The next entry of the register.
    ///
    /// # Errors
    /// [`TranscriptError`].
    pub fn register(&mut self, entry: &[u8]) -> Result<(), TranscriptError> {
        self.record(Kind::Register, entry)
    }

    /// The signed roster.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn roster(&mut self, roster: &SignedRoster) -> Result<(), TranscriptError> {
        self.record(Kind::Roster, &roster.to_bytes())
    }

    /// The signed task.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn task(&mut self, task: &Signed<Task>) -> Result<(), TranscriptError> {
        self.record(Kind::Task, task.bytes())
    }

    /// The public set of a distillation.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn public_set(&mut self, set: &[u8]) -> Result<(), TranscriptError> {
        self.record(Kind::PublicSet, set)
    }

    /// How the previous round ended.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn previous(&mut self, terminal: &Terminal) -> Result<(), TranscriptError> {
        let kind = match terminal {
            Terminal::Result(_) => Kind::PreviousResult,
            Terminal::Aborted(_) => Kind::PreviousAborted,
        };
        self.record(kind, terminal.bytes())
    }

    /// The canonical bytes of the model before.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn model(&mut self, canonical_model: &[u8]) -> Result<(), TranscriptError> {
        self.record(Kind::Model, canonical_model)
    }

    /// The canonical bytes of the model that the last accepted update went from ([`crate::Start::direction`]).
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn direction(&mut self, canonical_model: &[u8]) -> Result<(), TranscriptError> {
        self.record(Kind::Direction, canonical_model)
    }

    /// The round specification.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn spec(&mut self, spec: &Signed<RoundSpec>) -> Result<(), TranscriptError> {
        self.record(Kind::Spec, spec.bytes())
    }

    /// An endorsement.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn endorsement(
        &mut self,
        endorsement: &Signed<Endorsement>,
    ) -> Result<(), TranscriptError> {
        self.record(Kind::Endorsement, endorsement.bytes())
    }

    /// A submission's signed header; its payload must follow.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn header(&mut self, signed_header: &[u8]) -> Result<(), TranscriptError> {
        self.record(Kind::Header, signed_header)
    }

    /// The whole payload of the header before.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn payload(&mut self, payload: &[u8]) -> Result<(), TranscriptError> {
        self.record(Kind::Payload, payload)
    }

    /// Begins a payload of `len` bytes that [`Self::chunk`] then brings.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn begin_payload(&mut self, len: u64) -> Result<(), TranscriptError> {
        self.begin_part(Kind::Payload, len)
    }

    /// The next bytes of a payload, or of answers, that were begun.
    ///
    /// # Errors
    /// [`TranscriptError::Length`] for more bytes than were announced, or those of the writer.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<(), TranscriptError> {
        let actual = bytes.len() as u64;
        self.missing = self
            .missing
            .checked_sub(actual)
            .ok_or(TranscriptError::Length {
                offset: self.offset,
                kind: self.previous.unwrap_or(Kind::Payload),
                limit: self.missing,
                actual,
            })?;
        self.put(bytes)
    }

    /// The closed statement.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn closed(&mut self, closed: &Signed<Closed>) -> Result<(), TranscriptError> {
        self.record(Kind::Closed, closed.bytes())
    }

    /// The challenge.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn challenge(&mut self, challenge: &Signed<Challenge>) -> Result<(), TranscriptError> {
        self.record(Kind::Challenge, challenge.bytes())
    }

    /// A package report; its answers must follow.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn report(&mut self, report: &Signed<PackageReport>) -> Result<(), TranscriptError> {
        self.record(Kind::Report, report.bytes())
    }

    /// The whole answers of the report before.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn answers(&mut self, answers: &[u8]) -> Result<(), TranscriptError> {
        self.record(Kind::Answers, answers)
    }

    /// Begins answers of `len` bytes that [`Self::chunk`] then brings.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn begin_answers(&mut self, len: u64) -> Result<(), TranscriptError> {
        self.begin_part(Kind::Answers, len)
    }

    /// The verdict.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn verdict(&mut self, verdict: &Signed<Verdict>) -> Result<(), TranscriptError> {
        self.record(Kind::Verdict, verdict.bytes())
    }

    /// An opening.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn opening(&mut self, opening: &Signed<Opening>) -> Result<(), TranscriptError> {
        self.record(Kind::Opening, opening.bytes())
    }

    /// The sums over groups of the opening before.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn group_sums(&mut self, sums: &[u8]) -> Result<(), TranscriptError> {
        self.record(Kind::GroupSums, sums)
    }

    /// The next entry of the register after those of [`Self::register`].
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn later(&mut self, entry: &[u8]) -> Result<(), TranscriptError> {
        self.record(Kind::Later, entry)
    }

    /// How the round ended.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn terminal(&mut self, terminal: &Terminal) -> Result<(), TranscriptError> {
        let kind = match terminal {
            Terminal::Result(_) => Kind::Result,
            Terminal::Aborted(_) => Kind::Aborted,
        };
        self.record(kind, terminal.bytes())
    }

    /// The digest of the payload of the header before, in a detached transcript.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn payload_digest(&mut self, digest: &Digest) -> Result<(), TranscriptError> {
        self.record(Kind::PayloadDigest, &digest.0)
    }

    /// The digest of the answers of the report before, in a detached transcript.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn answers_digest(&mut self, digest: &Digest) -> Result<(), TranscriptError> {
        self.record(Kind::AnswersDigest, &digest.0)
    }

    /// The digest of the whole transcript, in a detached one.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn whole_digest(&mut self, digest: &Digest) -> Result<(), TranscriptError> {
        self.record(Kind::WholeDigest, &digest.0)
    }

    /// A record that was read; not the end, which [`Self::finish`] writes.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn copy(&mut self, record: &Record) -> Result<(), TranscriptError> {
        match record.kind() {
            Kind::End => Err(self.out_of_order(Kind::End)),
            kind => self.record(kind, &record.to_bytes()),
        }
    }

    /// Writes the end and gives the transcript's digest and the writer back.
    ///
    /// # Errors
    /// As [`Self::founding`].
    pub fn finish(mut self) -> Result<(Digest, W), TranscriptError> {
        let digest = self.hasher.finalize();
        self.record(Kind::End, &digest.0)?;
        self.out.flush()?;
        Ok((digest, self.out))
    }

    pub(super) fn begin_part(&mut self, kind: Kind, len: u64) -> Result<(), TranscriptError> {
        self.begin(kind, len)?;
        self.missing = len;
        Ok(())
    }

    fn record(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), TranscriptError> {
        self.begin(kind, bytes.len() as u64)?;
        self.put(bytes)
    }

    fn begin(&mut self, kind: Kind, len: u64) -> Result<(), TranscriptError> {
        if self.missing > 0 || !kind.may_follow(self.previous, self.form) {
            return Err(self.out_of_order(kind));
        }
        self.previous = Some(kind);
        self.put(&[kind as u8])?;
        self.put(&len.to_le_bytes())
    }

    fn out_of_order(&self, kind: Kind) -> TranscriptError {
        TranscriptError::Order {
            offset: self.offset,
            kind,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), TranscriptError> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}
