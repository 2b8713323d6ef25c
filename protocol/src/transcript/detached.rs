//! A transcript in two parts: what was said, and beside it payloads and answers, each under its digest
//! (`docs/protocol.md`, section 5.1). With all of them it is the whole transcript again, byte for byte.

use std::io::{self, Read, Write};

use dawn_crypto::digest::Digest;
use dawn_crypto::mask::PayloadHasher;

use super::{Form, Kind, Record, TranscriptError, TranscriptReader, TranscriptWriter};
use crate::answers::{AnswersHasher, answers_digest};

/// What a detached transcript names by its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A payload of a submission.
    Payload(Digest),
    /// A steward's answers.
    Answers(Digest),
}

impl Part {
    /// What a record names.
    pub fn of(record: &Record) -> Option<Self> {
        match record {
            Record::PayloadDigest(digest) => Some(Self::Payload(*digest)),
            Record::AnswersDigest(digest) => Some(Self::Answers(*digest)),
            _ => None,
        }
    }

    /// Its digest.
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Payload(digest) | Self::Answers(digest) => digest,
        }
    }

    /// What it is in the whole transcript.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Payload(_) => Kind::Payload,
            Self::Answers(_) => Kind::Answers,
        }
    }

    /// Whether these bytes are it.
    pub fn is(&self, bytes: &[u8]) -> bool {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finalize() == *self.digest()
    }

    /// The digest, of this kind, of bytes that are read to their end, and how many they are.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn digest_of<R: Read>(&self, input: &mut R) -> io::Result<(Digest, u64)> {
        let mut hasher = self.hasher();
        let mut buffer = vec![0; BUFFER];
        let mut bytes = 0;
        loop {
            let read = input.read(&mut buffer)?;
            if read == 0 {
                return Ok((hasher.finalize(), bytes));
            }
            hasher.update(&buffer[..read]);
            bytes += read as u64;
        }
    }

    fn hasher(&self) -> PartHasher {
        match self {
            Self::Payload(_) => PartHasher::Payload(PayloadHasher::new()),
            Self::Answers(_) => PartHasher::Answers(AnswersHasher::new()),
        }
    }
}

/// The digest that a part of either kind has.
enum PartHasher {
    Payload(PayloadHasher),
    Answers(AnswersHasher),
}

impl PartHasher {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Payload(hasher) => hasher.update(bytes),
            Self::Answers(hasher) => hasher.update(bytes),
        }
    }

    fn finalize(self) -> Digest {
        match self {
            Self::Payload(hasher) => hasher.finalize(),
            Self::Answers(hasher) => hasher.finalize(),
        }
    }
}

/// Bytes that are moved at a time.
const BUFFER: usize = 1 << 16;

fn payload_digest(bytes: &[u8]) -> Digest {
    let mut hasher = PayloadHasher::new();
    hasher.update(bytes);
    hasher.finalize()
}

/// Writes a whole transcript without its payloads and answers, and hands them out one by one. Gives the digest of what it
/// wrote.
///
/// # Errors
/// [`TranscriptError`]; [`TranscriptError::Magic`] for one that is detached already.
pub fn detach<R: Read, W: Write>(
    input: R,
    out: W,
    mut each: impl FnMut(Part, &[u8]) -> io::Result<()>,
) -> Result<Digest, TranscriptError> {
    let mut reader = TranscriptReader::new(input);
    let mut writer = TranscriptWriter::detached(out)?;
    while let Some(record) = reader.next_record()? {
        if reader.form() != Some(Form::Whole) {
            return Err(TranscriptError::Magic);
        }
        match &record {
            Record::Payload(bytes) => {
                let digest = payload_digest(bytes);
                writer.payload_digest(&digest)?;
                each(Part::Payload(digest), bytes)?;
            }
            Record::Answers(bytes) => {
                let digest = answers_digest(bytes);
                writer.answers_digest(&digest)?;
                each(Part::Answers(digest), bytes)?;
            }
            Record::End(whole) => writer.whole_digest(whole)?,
            other => writer.copy(other)?,
        }
    }
    Ok(writer.finish()?.0)
}

/// Writes the whole transcript again; `open` gives the bytes of a part, and how many they are. Gives its digest, which the
/// detached one names. What is written before an error is no longer than a whole transcript.
///
/// # Errors
/// [`TranscriptError`]: [`TranscriptError::Magic`] for one that is not detached; [`TranscriptError::Length`] and
/// [`TranscriptError::Part`] for a part that is not what its name says; [`TranscriptError::Digest`] when the whole is not the one
/// that is named: whoever wrote the file also wrote that.
pub fn attach<R: Read, W: Write, P: Read>(
    input: R,
    out: W,
    mut open: impl FnMut(Part) -> io::Result<(u64, P)>,
) -> Result<Digest, TranscriptError> {
    let mut reader = TranscriptReader::new(input);
    let mut writer = TranscriptWriter::new(out)?;
    let mut whole = None;
    let mut buffer = vec![0; BUFFER];
    while let Some(record) = reader.next_record()? {
        if reader.form() != Some(Form::Detached) {
            return Err(TranscriptError::Magic);
        }
        match (&record, Part::of(&record)) {
            (_, Some(part)) => {
                let (len, bytes) = open(part)?;
                let (kind, limit) = (part.kind(), reader.part_bytes(&part));
                if len != limit {
                    return Err(TranscriptError::Length {
                        offset: reader.offset(),
                        kind,
                        limit,
                        actual: len,
                    });
                }
                writer.begin_part(kind, len)?;
                let (mut bytes, mut left) = (bytes.take(len), len);
                let mut hasher = part.hasher();
                while left > 0 {
                    let read = bytes.read(&mut buffer)?;
                    if read == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                    hasher.update(&buffer[..read]);
                    writer.chunk(&buffer[..read])?;
                    left -= read as u64;
                }
                let digest = *part.digest();
                if hasher.finalize() != digest {
                    return Err(TranscriptError::Part { kind, digest });
                }
            }
            (Record::WholeDigest(digest), _) => whole = Some(*digest),
            (Record::End(_), _) => {}
            (other, _) => writer.copy(other)?,
        }
    }
    let (digest, _) = writer.finish()?;
    if whole != Some(digest) {
        return Err(TranscriptError::Digest);
    }
    Ok(digest)
}

/// A piece of the whole transcript, as it is put together again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the detached file: from where, how many.
    Kept(u64, u64),
    /// The head of a record, and then this part of so many bytes.
    Part(Part, u64),
    /// The digest at the end.
    End(Digest),
}

/// Of what a whole transcript is put together, for whoever reads it without writing it first. The first piece begins with the
/// magic of the detached file, in whose place is that of a whole one.
///
/// # Errors
/// [`TranscriptError`]: the detached transcript is damaged, or is whole.
pub fn pieces<R: Read>(input: R) -> Result<Vec<Piece>, TranscriptError> {
    let mut reader = TranscriptReader::new(input);
    let mut pieces = Vec::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(record) = reader.next_record()? {
        if reader.form() != Some(Form::Detached) {
            return Err(TranscriptError::Magic);
        }
        let piece = match (&record, Part::of(&record)) {
            (_, Some(part)) => Some(Piece::Part(part, reader.part_bytes(&part))),
            (Record::WholeDigest(digest), _) => Some(Piece::End(*digest)),
            _ => None,
        };
        if let Some(piece) = piece {
            pieces.push(Piece::Kept(kept, at - kept));
            pieces.push(piece);
            kept = reader.offset();
        }
        at = reader.offset();
    }
    Ok(pieces)
}
