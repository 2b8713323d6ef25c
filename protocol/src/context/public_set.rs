//! The public set of a task that distils (`docs/learning.md`, section 5.2), which whoever verifies the task is given apart.

use std::sync::Arc;

use dawn_crypto::digest::Digest;
use dawn_learn::{PublicSet, PublicSetError};

use super::TaskContext;

impl TaskContext {
    /// The digest of the public set that the task's distillation needs, and how many bytes it has; none when the task does not
    /// distil.
    pub fn wanted_public_set(&self) -> Option<(Digest, usize)> {
        let task = self.task();
        let (digest, bytes) = task.options.way.as_ref()?.public_set(&task.model)?;
        Some((Digest(digest), bytes))
    }

    /// Gives the public set of a distillation to everything that was or will be cloned from this context. Without it nobody can
    /// train in a round, or tell which model follows from one.
    ///
    /// # Errors
    /// The bytes are not the set that the task names.
    pub fn learn_public_set(&self, bytes: &[u8]) -> Result<(), PublicSetError> {
        let way = self.task().options.way.as_ref();
        let way = way.ok_or(PublicSetError::NotNeeded)?;
        let set = PublicSet::from_bytes(bytes)?;
        way.check_public_set(&self.task().model, &set)?;
        self.inner.public.get_or_init(|| Arc::new(set));
        Ok(())
    }

    /// The public set, once it was given ([`Self::learn_public_set`]).
    pub fn public_set(&self) -> Option<&PublicSet> {
        self.inner.public.get().map(|set| &**set)
    }
}
