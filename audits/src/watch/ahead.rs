//! Which key signs a head whose entries were read and not taken yet.

use std::io::{BufReader, Read, Seek, SeekFrom};

use dawn_identity::{Envelope, FederationEvent, Statement};
use dawn_protocol::MAX_STATEMENT_BYTES;
use dawn_protocol::tlog::LogKeys;

use super::{Watch, WatchError, at};

/// Whether an entry may replace a key of the server.
pub(super) fn may_replace(entry: &[u8]) -> bool {
    let envelope = Envelope::parse(entry, MAX_STATEMENT_BYTES);
    envelope.is_ok_and(|envelope| envelope.kind() == FederationEvent::KIND)
}

/// Reads the next entry of the kept file.
pub(super) fn next_kept(input: &mut impl Read) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    input.read_exact(&mut len).ok()?;
    let len = u32::from_le_bytes(len) as usize;
    if len > MAX_STATEMENT_BYTES {
        return None;
    }
    let mut entry = vec![0; len];
    input.read_exact(&mut entry).ok()?;
    Some(entry)
}

impl Watch {
    /// Which keys may sign which sizes as of the first `size` entries on the disk, those included that were not taken yet.
    pub(super) fn log_keys_ahead(&self, size: u64) -> Result<LogKeys, WatchError> {
        let mut keys = self.watched.log_keys().clone();
        let mut members = self.watched.members().clone();
        let mut input = BufReader::new(&self.entries);
        let start = SeekFrom::Start(self.bytes);
        input.seek(start).map_err(at(&self.folder))?;
        for index in self.frontier.size()..size {
            let entry = next_kept(&mut input);
            let entry = entry.ok_or_else(|| WatchError::Foreign(self.folder.clone()))?;
            if members.push(&entry).is_ok() {
                keys.note(index.saturating_add(1), members.log());
            }
        }
        Ok(keys)
    }
}
