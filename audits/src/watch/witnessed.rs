//! What stewards have cosigned is the log that is watched, or there are two.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle;
use dawn_protocol::tlog::{Checkpoint, SignedNote, TlogError, origin};

use super::{Look, Watch, WatchError, broken, kept, replace};
use crate::report::Witnesses;
use crate::witness::{self, CHECKPOINT_FILE};

impl Watch {
    /// The longest checkpoint of this log that was shown, and how many stewards of the roster that was the newest then have
    /// cosigned it.
    pub fn witnesses(&self) -> Option<&Witnesses> {
        self.checkpoint.as_ref().map(|(_, witnesses)| witnesses)
    }

    /// Compares a checkpoint with the entries, from which every root up to the last head follows: so it continues the one that
    /// was kept before.
    pub(super) fn compare(&mut self, note: &SignedNote, look: &mut Look) -> Result<(), WatchError> {
        let checkpoint = match self.signed_by_log(note) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                let what = format_args!("a checkpoint that the log's key did not sign: {error}");
                look.findings.push(broken(what));
                look.forked = true;
                return Ok(());
            }
        };
        let size = checkpoint.size;
        let Some(root) = self.root_at(size) else {
            look.findings.push(broken(format_args!(
                "a checkpoint over {size} entries is signed, and the head after it is over {}",
                self.size()
            )));
            return Ok(());
        };
        if root != checkpoint.root {
            let name = format!("checkpoint-{size}-{}", checkpoint.root);
            let file = (name, note.to_text().into_bytes());
            let what = format!(
                "a signed checkpoint over {size} entries is of another log than the signed head over {}",
                self.size()
            );
            return self.contradiction(&file, &what, look);
        }
        let witnesses = match witness::count(note, size, self.watched.members()) {
            Ok(witnesses) => witnesses,
            Err(error) => {
                let what = format_args!("a checkpoint with a wrong cosignature: {error}");
                look.findings.push(broken(what));
                return Ok(());
            }
        };
        // An older one, or one with fewer cosignatures, says nothing new.
        let known = self.witnesses().map(|known| (known.size, known.cosigned));
        if known >= Some((size, witnesses.cosigned)) {
            return Ok(());
        }
        replace(
            &self.folder.join(CHECKPOINT_FILE),
            note.to_text().as_bytes(),
        )?;
        self.checkpoint = Some((checkpoint, witnesses));
        Ok(())
    }

    /// Reads the checkpoint that was kept.
    pub(super) fn read_checkpoint(&mut self) -> Result<(), WatchError> {
        let path = self.folder.join(CHECKPOINT_FILE);
        let Some(bytes) = kept(&path)? else {
            return Ok(());
        };
        let foreign = |_: TlogError| WatchError::Foreign(self.folder.clone());
        let note = SignedNote::parse(&bytes).map_err(foreign)?;
        let checkpoint = self.signed_by_log(&note).map_err(foreign)?;
        if self.root_at(checkpoint.size) != Some(checkpoint.root) {
            return Err(WatchError::Foreign(self.folder.clone()));
        }
        let members = self.watched.members();
        let witnesses = witness::count(&note, checkpoint.size, members).map_err(foreign)?;
        self.checkpoint = Some((checkpoint, witnesses));
        Ok(())
    }

    fn signed_by_log(&self, note: &SignedNote) -> Result<Checkpoint, TlogError> {
        let name = origin(&self.federation.digest());
        self.watched.log_keys().checkpoint(note, &name)
    }

    /// The root of the first entries; none when there are fewer.
    fn root_at(&self, size: u64) -> Option<Digest> {
        if size == self.size() {
            return Some(self.frontier.root());
        }
        let size = usize::try_from(size).ok()?;
        self.leaves.get(..size).map(merkle::root)
    }
}
