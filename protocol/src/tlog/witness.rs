//! What a witness is shown before it cosigns: the body of `add-checkpoint` (c2sp.org/tlog-witness). Stewards listen on
//! no port, so they fetch it; the bytes and the checks are those of the specification.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::{self, empty_root};

use super::checkpoint::Checkpoint;
use super::note::{MAX_NOTE_BYTES, SignedNote};
use super::{MAX_PROOF, TlogError, format, hash_text, parse_decimal, parse_hashes};

/// Most bytes of what a witness is shown.
pub const MAX_ADD_CHECKPOINT_BYTES: usize = MAX_NOTE_BYTES + 64 + MAX_PROOF * 45;

const WHAT: &str = "request for a cosignature";

/// A checkpoint, and the proof that it continues an older one; not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the older tree; 0 when there is none.
    pub old: u64,
    /// Consistency proof from the older tree.
    pub proof: Vec<Digest>,
    /// The checkpoint, signed by the log.
    pub checkpoint: SignedNote,
}

impl AddCheckpoint {
    /// The body's text.
    pub fn to_text(&self) -> String {
        let proof: String = self
            .proof
            .iter()
            .map(|hash| hash_text(hash) + "\n")
            .collect();
        format!("old {}\n{proof}\n{}", self.old, self.checkpoint.to_text())
    }

    /// Reads a body of at most [`MAX_ADD_CHECKPOINT_BYTES`].
    ///
    /// # Errors
    /// [`TlogError::Format`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogError> {
        if bytes.len() > MAX_ADD_CHECKPOINT_BYTES {
            return Err(format(WHAT, "it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| format(WHAT, "it is not UTF-8"))?;
        let (old, rest) = text
            .strip_prefix("old ")
            .and_then(|rest| rest.split_once('\n'))
            .ok_or(format(WHAT, "it does not begin with the old size"))?;
        let old = parse_decimal(old).ok_or(format(WHAT, "the old size is not a decimal number"))?;
        let (proof, note) = parse_hashes(rest, MAX_PROOF, WHAT)?;
        Ok(Self {
            old,
            proof,
            checkpoint: SignedNote::parse(note.as_bytes())?,
        })
    }

    /// Verifies that `checkpoint` continues the tree of `old` leaves under this root.
    ///
    /// # Errors
    /// [`TlogError::Proof`].
    pub fn verify_continues(
        &self,
        checkpoint: &Checkpoint,
        old: u64,
        root: &Digest,
    ) -> Result<(), TlogError> {
        if old == 0 {
            // There is nothing to prove, and no other root of nothing.
            let nothing = self.proof.is_empty() && *root == empty_root();
            return if nothing {
                Ok(())
            } else {
                Err(format(
                    WHAT,
                    "nothing proves that a tree continues the empty one",
                ))
            };
        }
        merkle::verify_consistency(old, root, checkpoint.size, &checkpoint.root, &self.proof)?;
        Ok(())
    }
}
