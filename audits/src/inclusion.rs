//! What became of one device's submission: its own check, from its receipt and the round's transcript.
//!
//! The transcript is audited first: what it says of the submission counts only when it holds together. A receipt is the
//! aggregator's signed word that a submission was taken. A closed list without it is the aggregator's other word, so that both
//! together convict it.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use dawn_crypto::digest::{Digest, hash, labels};
use dawn_identity::{EnvelopeError, FederationEvent, ServerKey, SessionId, Signed, Statement};
use dawn_protocol::digests;
use dawn_protocol::transcript::{Record, TranscriptError, TranscriptReader};
use dawn_protocol::{Closed, Decision, Receipt, RoundId, RoundSpec, Terminal, Verdict};
use serde::Serialize;
use thiserror::Error;

use crate::report::AuditReport;
use crate::standing::Rests;
use crate::verify::{Options, verify_transcript};

/// What a device knows of its submission.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The round.
    pub round: RoundId,
    /// The session that it was made for.
    pub session: SessionId,
    /// Envelope digest of the signed header.
    pub header: Digest,
    /// The aggregator's receipt, when it came.
    pub receipt: Option<Signed<Receipt>>,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It is in the opened sum.
    Counted {
        /// Its place in the closed list, from 0.
        place: usize,
        /// How many devices' submissions are in the sum.
        accepted: u32,
    },
    /// It is in the closed list, and the verdict leaves it out.
    LeftOut {
        /// Its place in the closed list, from 0.
        place: usize,
        /// The verdict's reason.
        reason: String,
    },
    /// It was taken, and the round ended before there was a verdict: nobody was asked to open anything.
    NothingOpened {
        /// Why the round ended.
        reason: String,
    },
    /// The verdict accepted it, and the round ended without a result. Stewards were asked to open the sum that it is in.
    NoResult {
        /// Its place in the closed list, from 0.
        place: usize,
        /// Why the round ended.
        reason: String,
        /// The transcript has openings by T stewards: whoever has it can compute the sum. Otherwise that no more openings came is
        /// the aggregator's word.
        sum_is_open: bool,
    },
    /// It is not in the closed list.
    Missing {
        /// There is a receipt for it: evidence against the aggregator.
        receipt: bool,
        /// The round was closed. Otherwise nobody signed for the list, and that it is not there is no evidence.
        closed: bool,
    },
    /// It was made for another session of this round than the one here: with a receipt, evidence against the aggregator.
    OtherSession {
        /// There is a receipt for it.
        receipt: bool,
    },
    /// The transcript breaks a rule, and says nothing about the submission.
    Unsound,
}

/// An audited answer.
#[derive(Debug)]
pub struct Proof {
    /// The audit of the transcript.
    pub report: AuditReport,
    /// What became of the submission.
    pub outcome: Outcome,
    /// What that rests on; none when the transcript breaks a rule.
    pub rests: Option<Rests>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum InclusionError {
    /// The transcript cannot be read.
    #[error("the transcript cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is of another round.
    #[error("this is the transcript of round {found}, the submission was made in round {expected}")]
    OtherRound {
        /// The submission's round.
        expected: RoundId,
        /// The transcript's.
        found: RoundId,
    },
    /// The aggregator of this federation did not sign the receipt.
    #[error("the receipt is not this federation's aggregator's: {0}")]
    Receipt(#[from] EnvelopeError),
    /// The receipt is for something else.
    #[error("the receipt is for another submission than the one that is asked about")]
    OtherReceipt,
}

impl From<TranscriptError> for InclusionError {
    fn from(error: TranscriptError) -> Self {
        match error {
            TranscriptError::Io(error) => Self::Unreadable(error),
            other => Self::Unreadable(io::Error::other(other)),
        }
    }
}

impl Submitted {
    /// What a receipt says of its submission.
    pub fn of(receipt: &Signed<Receipt>) -> Self {
        let body = receipt.peek();
        Self {
            round: body.round,
            session: body.session,
            header: body.header,
            receipt: Some(receipt.clone()),
        }
    }
}

impl Outcome {
    /// Whether the aggregator broke its word.
    pub fn is_evidence(&self) -> bool {
        matches!(
            self,
            Self::Missing {
                receipt: true,
                closed: true
            } | Self::OtherSession { receipt: true }
        )
    }

    /// Whether the submission is in the sum.
    pub fn is_counted(&self) -> bool {
        matches!(self, Self::Counted { .. })
    }
}

/// Audits a transcript and finds a submission in it.
///
/// # Errors
/// [`InclusionError`].
pub fn prove<R: Read + Seek>(
    input: &mut R,
    options: &Options,
    submitted: &Submitted,
) -> Result<Proof, InclusionError> {
    let start = input.stream_position()?;
    let report = verify_transcript(input, options)?;
    if !report.passed() {
        return Ok(Proof {
            report,
            outcome: Outcome::Unsound,
            rests: None,
        });
    }
    input.seek(SeekFrom::Start(start))?;
    let (outcome, rests) = found(BufReader::new(input), submitted)?;
    Ok(Proof {
        report,
        outcome,
        rests,
    })
}

/// Looks a submission up in a transcript that was audited.
fn found<R: Read>(
    input: R,
    submitted: &Submitted,
) -> Result<(Outcome, Option<Rests>), InclusionError> {
    let mut reader = TranscriptReader::new(input);
    let (mut session, mut closed, mut place, mut count) = (None, false, None, 0);
    let mut decisions = None;
    let (mut t, mut openings) = (None, 0);
    let mut rests: Option<Rests> = None;
    let (mut keys, mut signer) = (Vec::new(), None);
    while let Some(record) = reader.next_record()? {
        if let Some(rests) = &mut rests {
            match &record {
                Record::Register(entry) => {
                    rests.register.push(entry).map_err(io::Error::other)?;
                }
                Record::Spec(spec) => rests.note(RoundSpec::KIND, spec.bytes()),
                Record::Closed(closed) => rests.note(Closed::KIND, closed.bytes()),
                Record::Verdict(verdict) => rests.note(Verdict::KIND, verdict.bytes()),
                Record::Terminal(terminal) => rests.note_terminal(terminal),
                _ => {}
            }
        }
        match record {
            Record::Founding(document) => {
                // The audit has verified the document.
                let federation = document.verify().map_err(io::Error::other)?;
                if let Some(receipt) = &submitted.receipt {
                    keys.push(federation.aggregator);
                    let body = receipt.peek();
                    if (body.round, body.session, body.header)
                        != (submitted.round, submitted.session, submitted.header)
                    {
                        return Err(InclusionError::OtherReceipt);
                    }
                }
                rests = Some(Rests::new(federation));
            }
            Record::Register(entry) => {
                if let Ok(event) = Signed::<FederationEvent>::from_bytes(&entry)
                    && let ServerKey::Aggregator { key, .. } = event.peek().change.peek().new
                {
                    keys.push(key);
                }
            }
            Record::Spec(spec) => {
                session = Some(digests::session(spec.peek()));
                signer = Some(spec.signer());
            }
            Record::Header(header) => {
                if hash(labels::ENVELOPE, &[&header]) == submitted.header {
                    place = Some(count);
                }
                count += 1;
            }
            Record::Roster(roster) => t = Some(usize::from(roster.peek().threshold.t())),
            Record::Opening(_) => openings += 1,
            Record::Closed(_) => closed = true,
            Record::Verdict(verdict) => decisions = Some(verdict.peek().decisions.clone()),
            Record::Terminal(terminal) => {
                let found = terminal.round();
                if found != submitted.round {
                    let expected = submitted.round;
                    return Err(InclusionError::OtherRound { expected, found });
                }
                if let Some(receipt) = &submitted.receipt {
                    // The audit has verified who signed the specification. A round has one key: one that was replaced before
                    // may be a thief's, who would have the aggregator convicted.
                    let signer = signer.unwrap_or(terminal.signer());
                    let key = keys.iter().find(|key| key.id() == signer).or(keys.first());
                    if let Some(key) = key {
                        receipt.verify(key)?;
                    }
                }
                let is_open = t.is_some_and(|t| openings >= t);
                let outcome = outcome(
                    submitted, session, closed, place, decisions, is_open, &terminal,
                );
                return Ok((outcome, rests));
            }
            _ => {}
        }
    }
    Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
}

fn outcome(
    submitted: &Submitted,
    session: Option<SessionId>,
    closed: bool,
    place: Option<usize>,
    decisions: Option<Vec<Decision>>,
    sum_is_open: bool,
    terminal: &Terminal,
) -> Outcome {
    let receipt = submitted.receipt.is_some();
    if session != Some(submitted.session) {
        return Outcome::OtherSession { receipt };
    }
    let Some(place) = place else {
        return Outcome::Missing { receipt, closed };
    };
    let decision = decisions.as_ref().and_then(|all| all.get(place));
    match (terminal, decision) {
        (_, Some(decision)) if *decision != Decision::Accepted => Outcome::LeftOut {
            place,
            reason: decision.name().to_owned(),
        },
        (Terminal::Result(result), _) => Outcome::Counted {
            place,
            accepted: result.peek().accepted,
        },
        (Terminal::Aborted(aborted), Some(_)) => Outcome::NoResult {
            place,
            reason: aborted.peek().reason.name().to_owned(),
            sum_is_open,
        },
        (Terminal::Aborted(aborted), None) => Outcome::NothingOpened {
            reason: aborted.peek().reason.name().to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use dawn_identity::{SecretKey, TaskId};
    use dawn_protocol::{AbortReason, Aborted};

    use super::*;

    /// A sum that enough stewards have opened is open, whatever the aggregator says of the round. Without a transcript: weights
    /// saturate, so that no round ends for this reason, and no audit passes one that says so. Rounds that end after their
    /// verdict are played in `inclusion::a_submission_is_counted_or_left_out_for_a_reason`.
    #[test]
    fn an_abort_after_the_verdict_does_not_say_that_nothing_was_opened() {
        let round = RoundId::new(TaskId(Digest([1; 32])), 1);
        let session = SessionId(Digest([2; 32]));
        let aborted = Aborted {
            round,
            session: Some(session),
            reason: AbortReason::ModelOverflow,
            detail: String::new(),
            model: Digest([3; 32]),
            previous: None,
            direction: None,
            draw: None,
        };
        let key = SecretKey::from_seed(&[4; 32]);
        let terminal = Terminal::Aborted(Signed::sign(&aborted, &key).expect("signed"));
        let submitted = Submitted {
            round,
            session,
            header: Digest([5; 32]),
            receipt: None,
        };
        let found = |decisions: Option<Vec<Decision>>, is_open| {
            let (session, place) = (Some(session), Some(0));
            outcome(
                &submitted, session, true, place, decisions, is_open, &terminal,
            )
        };
        let reason = AbortReason::ModelOverflow.name().to_owned();
        for sum_is_open in [true, false] {
            let expected = Outcome::NoResult {
                place: 0,
                reason: reason.clone(),
                sum_is_open,
            };
            assert_eq!(found(Some(vec![Decision::Accepted]), sum_is_open), expected);
        }
        assert_eq!(found(None, false), Outcome::NothingOpened { reason });
    }
}
