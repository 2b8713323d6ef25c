//! Reading a transcript, record by record, with bounded memory.

use std::io::{self, Read};

use crate::author::ProofParams;
use dawn_crypto::digest::{Hasher, labels};
use dawn_crypto::params::MAX_STEWARDS;
use dawn_learn::Model;

use super::limit::{max_group_sums, public_set_bytes};
use super::record::fixed_limit;
use super::{Form, Kind, MAX_REGISTER_ENTRIES, Part, Record, TranscriptError, VERSION};
use crate::answers::answers_len;
use crate::statements::MAX_SUBMISSIONS;

/// Reads the records of one transcript. Lengths are checked against the kind, for models and payloads
/// against the task, and for answers against their report, before anything is read; memory grows with what arrives, not with
/// what is announced.
#[derive(Debug)]
pub struct TranscriptReader<R> {
    input: R,
    hasher: Hasher,
    offset: u64,
    /// Known when the first bytes were read.
    form: Option<Form>,
    previous: Option<Kind>,
    /// Records in a row of the same kind; submissions count as one kind, and so do reports with their
    /// answers.
    repeated: usize,
    model_bytes: u64,
    payload_bytes: u64,
    proofs: Option<ProofParams>,
    answers_bytes: u64,
    /// Most bytes of sums over groups.
    group_sums_bytes: u64,
    public_set_bytes: u64,
    /// Nothing more is read after an error.
    failed: bool,
}

impl<R: Read> TranscriptReader<R> {
    /// A reader; nothing is read yet. Give it a buffered reader.
    pub fn new(input: R) -> Self {
        Self {
            input,
            hasher: Hasher::new(labels::TRANSCRIPT),
            offset: 0,
            form: None,
            previous: None,
            repeated: 0,
            model_bytes: 0,
            payload_bytes: 0,
            proofs: None,
            answers_bytes: 0,
            group_sums_bytes: 0,
            public_set_bytes: 0,
            failed: false,
        }
    }

    /// Whether payloads and answers are in it; `None` before the first record was read.
    pub fn form(&self) -> Option<Form> {
        self.form
    }

    /// Where the next record begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How long a part is that a record just read names by its digest: what the whole transcript has there.
    pub(super) fn part_bytes(&self, part: &Part) -> u64 {
        match part {
            Part::Payload(_) => self.payload_bytes,
            Part::Answers(_) => self.answers_bytes,
        }
    }

    /// The next record; none after the end. [`Record::End`] comes last, when the digest was compared
    /// and the input is known to end there.
    ///
    /// # Errors
    /// [`TranscriptError`]; afterwards there are no more records.
    pub fn next_record(&mut self) -> Result<Option<Record>, TranscriptError> {
        if self.failed || self.previous == Some(Kind::End) {
            return Ok(None);
        }
        let record = self.read_record();
        self.failed = record.is_err();
        record.map(Some)
    }

    fn read_record(&mut self) -> Result<Record, TranscriptError> {
        let form = match self.form {
            Some(form) => form,
            None => self.read_preamble()?,
        };
        let before = self.hasher.finalize();
        let offset = self.offset;
        let [code] = self.read_array()?;
        let kind = Kind::from_code(code).ok_or(TranscriptError::UnknownKind { offset, code })?;
        if !kind.may_follow(self.previous, form) {
            return Err(TranscriptError::Order { offset, kind });
        }
        self.count(kind, offset)?;
        let len = u64::from_le_bytes(self.read_array()?);
        self.check_length(kind, offset, len)?;
        let bytes = self.read_bytes(len)?;
        let record = Record::parse(kind, bytes).map_err(|reason| TranscriptError::Malformed {
            offset,
            kind,
            reason,
        })?;
        match &record {
            Record::Task(task) => {
                let task = task.peek();
                let malformed = |reason: String| TranscriptError::Malformed {
                    offset,
                    kind,
                    reason,
                };
                let dimension = task.dimension().map_err(|e| malformed(e.to_string()))?;
                self.payload_bytes = dimension.payload_bytes() as u64;
                self.model_bytes = Model::encoded_len(task.model) as u64;
                let proofs = task.proof_params().map_err(|e| malformed(e.to_string()))?;
                self.proofs = Some(proofs);
                self.group_sums_bytes = max_group_sums(task);
                self.public_set_bytes = public_set_bytes(task);
            }
            Record::Report(report) => {
                let outcomes = &report.peek().outcomes;
                let len = self.proofs.map(|proofs| answers_len(&proofs, outcomes));
                self.answers_bytes = len.unwrap_or(0) as u64;
            }
            Record::End(digest) => {
                if *digest != before {
                    return Err(TranscriptError::Digest);
                }
                let mut rest = Vec::new();
                if self.input.by_ref().take(1).read_to_end(&mut rest)? != 0 {
                    return Err(TranscriptError::Trailing);
                }
            }
            _ => {}
        }
        self.previous = Some(kind);
        Ok(record)
    }

    fn read_preamble(&mut self) -> Result<Form, TranscriptError> {
        let form = Form::of_magic(self.read_array()?).ok_or(TranscriptError::Magic)?;
        let version = u16::from_le_bytes(self.read_array()?);
        if version != VERSION {
            return Err(TranscriptError::Version(version));
        }
        self.form = Some(form);
        Ok(form)
    }

    fn count(&mut self, kind: Kind, offset: u64) -> Result<(), TranscriptError> {
        let most = match kind {
            Kind::Register | Kind::Later => MAX_REGISTER_ENTRIES,
            Kind::Header | Kind::Payload | Kind::PayloadDigest => 2 * MAX_SUBMISSIONS as usize,
            Kind::Report | Kind::Answers | Kind::AnswersDigest => 2 * MAX_STEWARDS,
            // An opening and its sums, or openings alone.
            Kind::Opening | Kind::GroupSums if self.group_sums_bytes > 0 => 2 * MAX_STEWARDS,
            _ => MAX_STEWARDS,
        };
        let pair = |kind| match kind {
            Kind::Payload | Kind::PayloadDigest => Kind::Header,
            Kind::Answers | Kind::AnswersDigest => Kind::Report,
            Kind::GroupSums => Kind::Opening,
            other => other,
        };
        let same = self.previous.map(pair) == Some(pair(kind));
        self.repeated = if same { self.repeated + 1 } else { 1 };
        if self.repeated > most {
            return Err(TranscriptError::TooMany { offset, kind });
        }
        Ok(())
    }

    fn check_length(&self, kind: Kind, offset: u64, actual: u64) -> Result<(), TranscriptError> {
        let (limit, exact) = match (kind, fixed_limit(kind)) {
            (Kind::Payload, _) => (self.payload_bytes, true),
            (Kind::Answers, _) => (self.answers_bytes, true),
            (Kind::PublicSet, _) => (self.public_set_bytes, true),
            (Kind::GroupSums, _) => (self.group_sums_bytes, false),
            (_, None) => (self.model_bytes, true),
            (_, Some(limit)) => (limit as u64, false),
        };
        if actual > limit || (exact && actual != limit) {
            return Err(TranscriptError::Length {
                offset,
                kind,
                limit,
                actual,
            });
        }
        Ok(())
    }

    fn read_array<const LEN: usize>(&mut self) -> Result<[u8; LEN], TranscriptError> {
        let mut array = [0; LEN];
        self.input
            .read_exact(&mut array)
            .map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => TranscriptError::Truncated(self.offset),
                _ => TranscriptError::Io(e),
            })?;
        self.hasher.update(&array);
        self.offset += LEN as u64;
        Ok(array)
    }

    /// Reads `len` bytes, whose limit has been checked; memory is taken as they arrive.
    fn read_bytes(&mut self, len: u64) -> Result<Vec<u8>, TranscriptError> {
        let mut bytes = Vec::new();
        self.input.by_ref().take(len).read_to_end(&mut bytes)?;
        self.offset += bytes.len() as u64;
        if (bytes.len() as u64) < len {
            return Err(TranscriptError::Truncated(self.offset));
        }
        self.hasher.update(&bytes);
        Ok(bytes)
    }
}
