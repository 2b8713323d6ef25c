//! What a transcript says, to be compared with the log (A18, A19): every signed statement in it, and what the round was.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::leaf_hash;
use dawn_identity::{Entry, Signed, Statement, TaskId};
use dawn_protocol::{AbortReason, RoundContext, RoundId, Task, TaskContext, Terminal};

/// Who says something of which the log must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// An entry of the register.
    Register,
    /// The owner of a task.
    Task(TaskId),
    /// The aggregator or a steward, in a round.
    Round(RoundId),
}

/// A statement of a transcript.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SaidStatement {
    /// Its leaf in the log.
    pub(crate) leaf: Digest,
    /// What it says, whoever signed it again.
    pub(crate) body: Digest,
    pub(crate) kind: &'static str,
    pub(crate) about: About,
}

/// The round that a transcript is about.
#[derive(Clone, Debug)]
pub(crate) struct SaidRound {
    pub(crate) id: RoundId,
    pub(crate) task: TaskContext,
    /// None when it ended before its specification.
    pub(crate) context: Option<RoundContext>,
    /// Body digests of the challenge and of the verdict.
    pub(crate) challenge: Option<Digest>,
    pub(crate) verdict: Option<Digest>,
    /// None when there is a result.
    pub(crate) aborted: Option<AbortReason>,
}

/// The statements of a transcript, with what each is.
#[derive(Debug, Default)]
pub(crate) struct Said {
    statements: Vec<SaidStatement>,
    /// Known when the transcript was read to its end.
    pub(crate) round: Option<SaidRound>,
}

impl Said {
    /// Notes what the aggregator or a steward says in a round.
    pub(crate) fn note<T: Statement>(&mut self, signed: &Signed<T>, round: RoundId) {
        self.push(signed, About::Round(round));
    }

    pub(crate) fn note_task(&mut self, signed: &Signed<Task>) {
        self.push(signed, About::Task(signed.peek().id()));
    }

    fn push<T: Statement>(&mut self, signed: &Signed<T>, about: About) {
        self.statements.push(SaidStatement {
            leaf: leaf_hash(signed.bytes()),
            body: signed.body_digest(),
            kind: T::KIND,
            about,
        });
    }

    pub(crate) fn note_entry(&mut self, entry: &Entry) {
        self.statements.push(SaidStatement {
            leaf: leaf_hash(entry.bytes()),
            body: entry.envelope_digest(),
            kind: entry.kind(),
            about: About::Register,
        });
    }

    pub(crate) fn note_terminal(&mut self, terminal: &Terminal) {
        match terminal {
            Terminal::Result(signed) => self.note(signed, terminal.round()),
            Terminal::Aborted(signed) => self.note(signed, terminal.round()),
        }
    }

    pub(crate) fn statements(&self) -> &[SaidStatement] {
        &self.statements
    }

    /// Whether this was said, by whatever envelope.
    pub(crate) fn says(&self, body: &Digest) -> bool {
        self.statements.iter().any(|said| said.body == *body)
    }
}
