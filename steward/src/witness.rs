//! The steward as a witness of the log (`docs/protocol.md`, section 4.6.1): it cosigns a checkpoint only when it continues
//! the one that it cosigned last, and says nothing about statements that are not in a log that it has cosigned.
//!
//! What it cosigned last is on disk before the cosignature leaves, in the store and in the guard, and never becomes
//! smaller: a store that is put back does not make the steward cosign a second history.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use dawn_crypto::merkle::leaf_hash;
use dawn_identity::Digest;
use dawn_protocol::RoundId;
use dawn_protocol::tlog::{
    AddCheckpoint, Checkpoint, LogKeys, NoteSignature, SignedNote, TlogProof, cosignature,
    cosigner, origin,
};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use crate::error::{Refusal, StewardError};
use crate::evidence;
use crate::state::StewardState;

/// Most statements that are remembered as logged; one that was forgotten is proven again.
const MOST_LOGGED: usize = 4096;

/// The log as this steward has cosigned it last.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Witnessed {
    /// Number of entries.
    #[n(0)]
    pub size: u64,
    /// Root over them.
    #[n(1)]
    pub root: Digest,
    /// The checkpoint as the log signed it, with this steward's cosignature: evidence, should the log ever show another.
    /// Empty when the store was lost and only the guard remembers size and root.
    #[n(2)]
    pub note: String,
}

impl Witnessed {
    /// This steward's signature line, which is the last.
    fn line(&self) -> Option<NoteSignature> {
        let note = SignedNote::parse(self.note.as_bytes()).ok()?;
        note.signatures.last().cloned()
    }
}

impl StewardState {
    /// What this steward has cosigned last; `None` before the first time.
    ///
    /// # Errors
    /// [`StewardError::Vault`].
    pub fn witnessed(&self) -> Result<Option<Witnessed>, StewardError> {
        Ok(self.vault.witnessed()?)
    }

    /// Cosigns a checkpoint that the log's key signed, the newest as far as the register is known, and that continues what this steward cosigned last. `now` in unix
    /// seconds. Gives its size and the cosignature; the one that was cosigned last gets the same bytes again.
    ///
    /// # Errors
    /// [`Refusal::NotTheLog`], [`Refusal::RegisterShrank`], [`Refusal::LogShrank`], [`Refusal::LogForked`];
    /// [`StewardError::Vault`].
    pub fn cosign<R: CryptoRng>(
        &self,
        shown: &AddCheckpoint,
        now: u64,
        rng: &mut R,
    ) -> Result<(u64, NoteSignature), StewardError> {
        let name = origin(&self.federation().digest());
        let verify = || {
            LogKeys::newest(&self.members())
                .checkpoint(&shown.checkpoint, &name)
                .map_err(|error| Refusal::NotTheLog(error.to_string()))
        };
        let checkpoint = verify()?;
        let size = checkpoint.size;
        let cosigned = self.vault.write(rng, |change| {
            // Whoever has a key that was replaced could show a register in which it was not, or a checkpoint just before.
            self.remember_register(change)?;
            verify()?;
            if let Some(last) = change.witnessed()? {
                if size < last.size {
                    let had = last.size;
                    return Err(Refusal::LogShrank { had, shown: size }.into());
                }
                let forked = |why: String| Refusal::LogForked {
                    had: last.size,
                    shown: size,
                    why,
                };
                // A proof from elsewhere says nothing about the tree that this steward knows.
                if shown.old != last.size {
                    return Err(forked("the proof is from another size".to_owned()).into());
                }
                shown
                    .verify_continues(&checkpoint, last.size, &last.root)
                    .map_err(|error| forked(error.to_string()))?;
                if let Some(line) = last.line().filter(|_| size == last.size) {
                    return Ok((size, line));
                }
            }
            let line = cosignature::cosign(
                &shown.checkpoint.text,
                &cosigner(&self.id()),
                &self.key,
                now,
            );
            let signed_by_log = shown.checkpoint.signatures.iter();
            let mut note = SignedNote {
                text: shown.checkpoint.text.clone(),
                signatures: signed_by_log.filter(|s| s.name == name).cloned().collect(),
            };
            note.signatures.push(line.clone());
            change.put_witnessed(&Witnessed {
                size,
                root: checkpoint.root,
                note: note.to_text(),
            })?;
            Ok((size, line))
        });
        if let Err(StewardError::Refused(Refusal::LogForked { .. } | Refusal::LogShrank { .. })) =
            &cosigned
        {
            self.keep_evidence(&checkpoint, &shown.checkpoint);
        }
        cosigned
    }

    /// Keeps a checkpoint that the log's key has signed and that was refused, beside the one that was cosigned last.
    fn keep_evidence(&self, checkpoint: &Checkpoint, shown: &SignedNote) {
        let Ok(Some(last)) = self.witnessed() else {
            return;
        };
        let (had, size, root) = (last.size, checkpoint.size, checkpoint.root);
        let kept = evidence::keep(
            self.vault.data_dir(),
            &last,
            checkpoint,
            shown,
            &checkpoint.origin,
        );
        let why = match evidence::is_proof(&last, checkpoint) {
            true => {
                "two logs of one size: publish both files, they prove by themselves that the log has two histories"
            }
            false => {
                "publish both files and ask the log for a consistency proof between them: when none verifies, it has two histories"
            }
        };
        match kept {
            Ok(evidence::Kept::Here(folder)) => {
                tracing::error!(had, shown = size, %root, folder = %folder.display(), "evidence is kept: {why}");
            }
            Ok(evidence::Kept::Before) => {}
            Ok(evidence::Kept::Full) => {
                tracing::error!(had, shown = size, %root, "evidence is not kept, there is enough of it: {why}");
            }
            Err(error) => {
                tracing::error!(had, shown = size, %root, %error, "evidence could not be kept");
            }
        }
    }

    /// Notes that a statement is in the log that this steward has cosigned last, and so in every later one.
    ///
    /// # Errors
    /// [`Refusal::NotTheLog`] when the proof does not show it; [`StewardError::Vault`].
    pub fn learn_logged(&self, statement: &[u8], proof: &TlogProof) -> Result<(), StewardError> {
        let none = || Refusal::NotTheLog("this steward has cosigned nothing yet".to_owned());
        let last = self.witnessed()?.ok_or_else(none)?;
        let leaf = leaf_hash(statement);
        proof
            .verify_in(&leaf, last.size, &last.root)
            .map_err(|error| Refusal::NotTheLog(error.to_string()))?;
        let mut logged = self.logged();
        if logged.len() >= MOST_LOGGED {
            logged.clear();
        }
        logged.insert(leaf);
        Ok(())
    }

    /// Whether a statement has been shown to be in the log ([`StewardState::learn_logged`]) since this steward started.
    pub fn is_logged(&self, statement: &[u8]) -> bool {
        self.logged().contains(&leaf_hash(statement))
    }

    /// Refuses to go on with a round while one of these statements has not been shown to be in the log.
    ///
    /// # Errors
    /// [`Refusal::NotLogged`].
    pub(crate) fn require_logged(
        &self,
        round: &RoundId,
        statements: &[(&'static str, &[u8])],
    ) -> Result<(), StewardError> {
        let logged = self.logged();
        match statements
            .iter()
            .find(|(_, bytes)| !logged.contains(&leaf_hash(bytes)))
        {
            None => Ok(()),
            Some((kind, _)) => Err(Refusal::NotLogged {
                round: *round,
                kind,
            }
            .into()),
        }
    }

    fn logged(&self) -> std::sync::MutexGuard<'_, BTreeSet<Digest>> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
