//! What travels beside reports and verdicts as raw bytes (`docs/protocol.md`, section 4.6): a steward's
//! answers about every submission that it reports `Ok` on, in root order, and the public scalars of
//! every submission. Statements name their digests.

use std::io::{self, Read};

use dawn_crypto::digest::{Digest, Hasher, labels};
use dawn_crypto::norm::{Answer, NormError};
use dawn_crypto::params::Q;

use crate::author::ProofParams;
use crate::statements::Outcome;
use crate::violation::{Culprit, Rule, Violation};

/// Why bytes are not a steward's answers, or not the scalars of a round.
#[derive(Debug, thiserror::Error)]
pub enum AnswersError {
    /// They end too early.
    #[error("they end with submission {index}, too early")]
    Truncated {
        /// The submission that was being read, in root order.
        index: usize,
    },
    /// They go on after the last submission.
    #[error("there are bytes after the last submission")]
    Trailing,
    /// They are not canonical elements.
    #[error("submission {index}: {source}")]
    Malformed {
        /// The submission, in root order.
        index: usize,
        /// What is wrong.
        source: NormError,
    },
    /// They have another digest.
    #[error("they do not have the digest that was given")]
    Digest,
    /// A submission that nothing is asked about (its header does not verify, or it is noise that was not chosen) has scalars
    /// other than zero.
    #[error("submission {index} does not count and has scalars")]
    Refused {
        /// The submission, in root order.
        index: usize,
    },
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl AnswersError {
    /// The violation of a party that is to blame for a steward's answers: the steward that sends them,
    /// or the aggregator, which passes on or judges only answers that are whole.
    pub fn by(&self, culprit: Culprit) -> Violation {
        Violation::new(culprit, Rule::Answers, self)
    }

    /// The aggregator's violation, for scalars.
    pub fn by_aggregator(&self) -> Violation {
        Violation::new(Culprit::Aggregator, Rule::Scalars, self)
    }
}

/// Bytes of a steward's answers, given its findings.
pub fn answers_len(params: &ProofParams, outcomes: &[Outcome]) -> usize {
    let answered = outcomes.iter().filter_map(|outcome| params.of(*outcome));
    answered.map(|params| 4 * params.answer_len()).sum()
}

/// The digest of a steward's answers: `hash(ANSWERS, every byte)`, as they come.
#[derive(Debug)]
pub struct AnswersHasher(Hasher);

impl Default for AnswersHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl AnswersHasher {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self(Hasher::new(labels::ANSWERS))
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far.
    pub fn finalize(&self) -> Digest {
        self.0.finalize()
    }
}

/// The digest of a steward's answers.
pub fn answers_digest(bytes: &[u8]) -> Digest {
    let mut hasher = AnswersHasher::new();
    hasher.update(bytes);
    hasher.finalize()
}

/// Cuts a steward's answers submission by submission. Holds one answer at a time; what it gives counts
/// only when [`AnswerCursor::finish`] has compared the digest.
#[derive(Debug)]
pub struct AnswerCursor<'a, R> {
    params: ProofParams,
    outcomes: &'a [Outcome],
    input: R,
    hasher: AnswersHasher,
    next: usize,
    buffer: Vec<u8>,
}

impl<'a, R: Read> AnswerCursor<'a, R> {
    /// Reads the answers of a steward with these findings. Give it a buffered reader.
    pub fn new(params: &ProofParams, outcomes: &'a [Outcome], input: R) -> Self {
        Self {
            params: *params,
            outcomes,
            input,
            hasher: AnswersHasher::new(),
            next: 0,
            buffer: vec![0; params.max_answer_bytes()],
        }
    }

    /// The number of the submission that is next, in root order.
    pub fn index(&self) -> usize {
        self.next
    }

    /// The answer about the next submission; `None` when its outcome is no [ok](Outcome::is_ok), and after the last.
    ///
    /// # Errors
    /// [`AnswersError::Truncated`], [`AnswersError::Malformed`], [`AnswersError::Io`].
    pub fn next_answer(&mut self) -> Result<Option<Answer>, AnswersError> {
        let index = self.next;
        self.next += 1;
        let outcome = self.outcomes.get(index);
        let Some(params) = outcome.and_then(|outcome| self.params.of(*outcome)) else {
            return Ok(None);
        };
        let buffer = &mut self.buffer[..4 * params.answer_len()];
        let read = self.input.read_exact(buffer);
        read.map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => AnswersError::Truncated { index },
            _ => AnswersError::Io(e),
        })?;
        self.hasher.update(buffer);
        Answer::from_bytes(params, buffer)
            .map(Some)
            .map_err(|source| AnswersError::Malformed { index, source })
    }

    /// Reads what is left and compares the digest with that of the steward's report.
    ///
    /// # Errors
    /// [`AnswersError`].
    pub fn finish(mut self, expected: &Digest) -> Result<(), AnswersError> {
        while self.next < self.outcomes.len() {
            self.next_answer()?;
        }
        if self.input.read(&mut [0])? != 0 {
            return Err(AnswersError::Trailing);
        }
        if self.hasher.finalize() == *expected {
            Ok(())
        } else {
            Err(AnswersError::Digest)
        }
    }
}

/// Whether bytes are the answers of a steward with these findings, with this digest.
///
/// # Errors
/// [`AnswersError`].
pub fn check_answers(
    params: &ProofParams,
    outcomes: &[Outcome],
    bytes: impl Read,
    expected: &Digest,
) -> Result<(), AnswersError> {
    AnswerCursor::new(params, outcomes, bytes).finish(expected)
}

/// The digest of the scalars of all submissions: `hash(SCALARS, every byte)`.
pub fn scalars_digest(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(labels::SCALARS);
    hasher.update(bytes);
    hasher.finalize()
}

/// The public scalars `<w, c>` of every submission of a round, in root order; zeros where the header
/// does not verify and for noise that was not chosen. As bytes 8 a submission, little-endian words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalars(Vec<[u32; 2]>);

impl Scalars {
    /// Bytes a submission.
    pub const BYTES: usize = 8;

    /// Scalars that were computed.
    pub fn new(scalars: Vec<[u32; 2]>) -> Self {
        Self(scalars)
    }

    /// Reads the scalars of `count` submissions.
    ///
    /// # Errors
    /// [`AnswersError::Truncated`], [`AnswersError::Trailing`], [`AnswersError::Malformed`].
    pub fn from_bytes(bytes: &[u8], count: usize) -> Result<Self, AnswersError> {
        let (words, rest) = bytes.as_chunks::<4>();
        let (pairs, odd) = words.as_chunks::<2>();
        if pairs.len() < count {
            return Err(AnswersError::Truncated { index: pairs.len() });
        }
        if pairs.len() > count || !odd.is_empty() || !rest.is_empty() {
            return Err(AnswersError::Trailing);
        }
        let mut scalars = Vec::with_capacity(count);
        for (index, pair) in pairs.iter().enumerate() {
            let pair = pair.map(u32::from_le_bytes);
            if let Some(word) = pair.iter().position(|word| *word >= Q) {
                let source = NormError::NotCanonical { index: word };
                return Err(AnswersError::Malformed { index, source });
            }
            scalars.push(pair);
        }
        Ok(Self(scalars))
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let words = self.0.iter().flatten();
        words.flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The digest of the bytes, which verdicts name.
    pub fn digest(&self) -> Digest {
        scalars_digest(&self.to_bytes())
    }

    /// Both scalars of a submission.
    pub fn get(&self, index: usize) -> Option<[u32; 2]> {
        self.0.get(index).copied()
    }

    /// The number of submissions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
