//! Another key for the same steward: its memory goes with it (`docs/protocol.md`, section 4.11).
//!
//! What holds over several rounds of a task (one specification a round, one ledger, one history) holds because an
//! organisation's steward remembers. So a steward with new keys takes part in tasks that began under the old ones only when
//! its store is the one of those.

use std::path::Path;

use dawn_identity::KeyId;
use rand_core::CryptoRng;

use crate::tables;
use crate::vault::{Vault, VaultError};

impl Vault {
    /// Makes the memory of the steward with key `old` that of its new key, of which it has to be the successor in the same
    /// organisation. Rounds that are going on end for it; everything that it remembers stays. May be done again after a
    /// crash.
    ///
    /// # Errors
    /// [`VaultError`]; [`VaultError::OtherKey`] when the memory is neither key's.
    pub fn succeed<R: CryptoRng>(
        (data_dir, guard_dir): (&Path, &Path),
        old: KeyId,
        new: KeyId,
        now: u64,
        rng: &mut R,
    ) -> Result<(), VaultError> {
        match Self::open(data_dir, guard_dir, new, now, rng) {
            // Done before. It commits, so that the guard knows the new key as well.
            Ok(vault) if vault.former_keys()?.contains(&old) => {
                return vault.write(rng, |change| change.set_log_unread(true));
            }
            Ok(_) => return Err(VaultError::OtherKey(new)),
            Err(VaultError::OtherKey(owner)) if owner == old => {}
            Err(error) => return Err(error),
        }
        let vault = Self::open(data_dir, guard_dir, old, now, rng)?;
        let mut former = vault.former_keys()?;
        former.push(old);
        vault.write(rng, |change| change.succeed(&former, new))
    }

    /// The keys that this memory's steward has had before, oldest first.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn former_keys(&self) -> Result<Vec<KeyId>, VaultError> {
        tables::former_keys(&self.db)
    }
}
