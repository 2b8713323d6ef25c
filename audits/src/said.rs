//! Every signed statement that a transcript contains, by its leaf in the log (A18).

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::leaf_hash;
use dawn_identity::{Entry, Signed, Statement};
use dawn_protocol::Terminal;

/// The leaves of the statements of a transcript, with what each is.
#[derive(Debug, Default)]
pub(crate) struct Said {
    leaves: Vec<(Digest, &'static str)>,
}

impl Said {
    pub(crate) fn note<T: Statement>(&mut self, signed: &Signed<T>) {
        self.leaves.push((leaf_hash(signed.bytes()), T::KIND));
    }

    pub(crate) fn note_entry(&mut self, entry: &Entry) {
        self.leaves.push((leaf_hash(entry.bytes()), entry.kind()));
    }

    pub(crate) fn note_terminal(&mut self, terminal: &Terminal) {
        match terminal {
            Terminal::Result(signed) => self.note(signed),
            Terminal::Aborted(signed) => self.note(signed),
        }
    }

    pub(crate) fn leaves(&self) -> &[(Digest, &'static str)] {
        &self.leaves
    }
}
