//! Proofs of inclusion that are verified offline (c2sp.org/tlog-proof): the place of an entry, its audit path, and the
//! checkpoint that it leads to with whatever cosignatures that has. Files are called `.tlog-proof`.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle;
use dawn_identity::PublicKey;

use super::checkpoint::Checkpoint;
use super::note::{MAX_NOTE_BYTES, SignedNote};
use super::{MAX_PROOF, TlogError, format, hash_text, parse_decimal, parse_hashes};

/// Most bytes of a proof.
pub const MAX_PROOF_BYTES: usize = MAX_NOTE_BYTES + 128 + MAX_PROOF * 45;

const HEADER: &str = "c2sp.org/tlog-proof@v1\n";
const WHAT: &str = "tlog-proof";

/// That an entry is in a log; not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// The entry's place, from 0.
    pub index: u64,
    /// From the leaf's sibling to the child of the root.
    pub path: Vec<Digest>,
    /// The checkpoint, with signatures.
    pub checkpoint: SignedNote,
}

impl TlogProof {
    /// The file's text.
    pub fn to_text(&self) -> String {
        let path: String = self
            .path
            .iter()
            .map(|hash| hash_text(hash) + "\n")
            .collect();
        let note = self.checkpoint.to_text();
        format!("{HEADER}index {}\n{path}\n{note}", self.index)
    }

    /// Reads a file of at most [`MAX_PROOF_BYTES`]. Extra data, which nothing authenticates, is refused.
    ///
    /// # Errors
    /// [`TlogError::Format`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogError> {
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(format(WHAT, "it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| format(WHAT, "it is not UTF-8"))?;
        let rest = text.strip_prefix(HEADER).ok_or(format(
            WHAT,
            "it does not begin with c2sp.org/tlog-proof@v1",
        ))?;
        let (index, rest) = rest
            .strip_prefix("index ")
            .and_then(|rest| rest.split_once('\n'))
            .ok_or(format(WHAT, "the second line is not an index"))?;
        let index =
            parse_decimal(index).ok_or(format(WHAT, "the index is not a decimal number"))?;
        let (path, note) = parse_hashes(rest, MAX_PROOF, WHAT)?;
        let checkpoint = SignedNote::parse(note.as_bytes())?;
        Ok(Self {
            index,
            path,
            checkpoint,
        })
    }

    /// Verifies that the leaf is in the tree of the checkpoint, which the log's key has signed. Who cosigned it:
    /// [`super::cosignature::cosigners`].
    ///
    /// # Errors
    /// [`TlogError`].
    pub fn verify(
        &self,
        leaf: &Digest,
        origin: &str,
        key: &PublicKey,
    ) -> Result<Checkpoint, TlogError> {
        let checkpoint = Checkpoint::verify(&self.checkpoint, origin, key)?;
        self.verify_in(leaf, checkpoint.size, &checkpoint.root)?;
        Ok(checkpoint)
    }

    /// Verifies that the leaf is in a tree that is known otherwise.
    ///
    /// # Errors
    /// [`TlogError::Proof`].
    pub fn verify_in(&self, leaf: &Digest, size: u64, root: &Digest) -> Result<(), TlogError> {
        merkle::verify_inclusion(leaf, self.index, size, &self.path, root)?;
        Ok(())
    }
}
