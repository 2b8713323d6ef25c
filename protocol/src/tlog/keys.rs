//! Which key signs a log of which size (`docs/protocol.md`, section 4.11.2).
//!
//! A log keeps its name when its key is replaced. From the size that has the register's entry of the change on, the new key
//! signs. It may sign every smaller size too, so that what was promised before can be shown when the old key is lost; the old
//! key signs nothing that has the entry in it.

use dawn_identity::{Members, PublicKey, Signed};

use super::TlogError;
use super::checkpoint::Checkpoint;
use super::note::SignedNote;
use crate::log::LogHead;

/// A key, and the least size from which on it is the newest.
type Since = (u64, PublicKey);

/// The keys of a log, each with the least size from which on it is the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKeys {
    keys: Vec<Since>,
    /// Keys that were replaced at a size that is not known here: they sign nothing.
    former: Vec<PublicKey>,
}

impl LogKeys {
    /// Of a log from its beginning on, with the key of the founding document. For whoever reads the entries.
    pub fn founded(key: &PublicKey) -> Self {
        Self {
            keys: vec![(0, *key)],
            former: Vec::new(),
        }
    }

    /// For whoever knows the register and not its places in the log: the newest key, which may sign all sizes.
    pub fn newest(members: &Members) -> Self {
        let former = members
            .logs()
            .split_last()
            .map_or(&[][..], |(_, rest)| rest);
        Self {
            keys: vec![(0, *members.log())],
            former: former.to_vec(),
        }
    }

    /// Notes the log's key as of the entries up to a size. Sizes only grow.
    pub fn note(&mut self, size: u64, key: &PublicKey) {
        if self.keys.last().is_none_or(|(_, last)| last != key) {
            self.keys.push((size, *key));
        }
    }

    /// The newest key.
    pub fn current(&self) -> Option<&PublicKey> {
        self.keys.last().map(|(_, key)| key)
    }

    /// Those that may sign a log of this size, and those that are replaced there.
    fn at(&self, size: u64) -> (&[Since], &[Since]) {
        let newest = self.keys.iter().rposition(|(from, _)| *from <= size);
        let (replaced, may_sign) = self.keys.split_at(newest.unwrap_or(0));
        (may_sign, replaced)
    }

    fn check(
        &self,
        size: u64,
        signed_by: impl Fn(&PublicKey) -> Result<(), TlogError>,
    ) -> Result<(), TlogError> {
        let (may_sign, replaced) = self.at(size);
        let mut wrong = None;
        for (_, key) in may_sign {
            match signed_by(key) {
                Ok(()) => return Ok(()),
                Err(error @ TlogError::BadSignature { .. }) => wrong = Some(error),
                Err(_) => {}
            }
        }
        let mut old = replaced.iter().map(|(_, key)| key).chain(&self.former);
        Err(match wrong {
            Some(error) => error,
            None if old.any(|key| signed_by(key).is_ok()) => TlogError::ReplacedKey(size),
            None => TlogError::UnknownKey(size),
        })
    }

    /// The checkpoint in a note, when it is of this log and a key has signed it that may.
    ///
    /// # Errors
    /// [`TlogError`].
    pub fn checkpoint(&self, note: &SignedNote, origin: &str) -> Result<Checkpoint, TlogError> {
        let checkpoint = Checkpoint::parse(&note.text)?;
        if checkpoint.origin != origin {
            return Err(TlogError::OtherLog {
                expected: origin.to_owned(),
                found: checkpoint.origin,
            });
        }
        self.check(checkpoint.size, |key| note.verify(origin, key))?;
        Ok(checkpoint)
    }

    /// Verifies that a key has signed a head that may.
    ///
    /// # Errors
    /// [`TlogError::ReplacedKey`], [`TlogError::UnknownKey`].
    pub fn head(&self, head: &Signed<LogHead>) -> Result<(), TlogError> {
        let size = head.peek().size;
        self.check(size, |key| {
            let verified = head.verify(key).map(|_| ());
            verified.map_err(|_| TlogError::UnknownKey(size))
        })
    }
}

#[cfg(test)]
mod tests {
    use dawn_crypto::digest::Digest;
    use dawn_identity::SecretKey;

    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    #[test]
    fn each_size_has_the_keys_that_may_sign_it() {
        let mut keys = LogKeys::founded(&key(1).public());
        for (size, seed) in [(1, 1), (5, 2), (6, 2), (9, 3), (9, 3)] {
            keys.note(size, &key(seed).public());
        }
        let origin = "dawn/log/here";
        let outcome = |size, seed| {
            let checkpoint = Checkpoint {
                origin: origin.to_owned(),
                size,
                root: Digest([7; 32]),
            };
            let root = Digest([7; 32]);
            let head = LogHead {
                size,
                root,
                time_ms: 1,
            };
            let head = keys.head(&Signed::sign(&head, &key(seed)).unwrap());
            let note = keys.checkpoint(&checkpoint.sign(&key(seed)), origin);
            assert_eq!(head, note.map(|_| ()));
            head
        };
        for size in [0, 4, 5, 8, 9, u64::MAX] {
            // Changed at 5 and at 9.
            let newest = match size {
                0..5 => 1,
                5..9 => 2,
                _ => 3,
            };
            for seed in 1..=3 {
                let expected = match seed < newest {
                    true => Err(TlogError::ReplacedKey(size)),
                    false => Ok(()),
                };
                assert_eq!(outcome(size, seed), expected, "size {size}, key {seed}");
            }
            assert_eq!(outcome(size, 4), Err(TlogError::UnknownKey(size)));
        }
        assert_eq!(keys.current(), Some(&key(3).public()));
    }

    #[test]
    fn a_wrong_signature_and_another_log_are_told_apart() {
        let keys = LogKeys::founded(&key(1).public());
        let checkpoint = Checkpoint {
            origin: "dawn/log/here".to_owned(),
            size: 3,
            root: Digest([7; 32]),
        };
        let mut note = checkpoint.sign(&key(1));
        assert!(matches!(
            keys.checkpoint(&note, "dawn/log/there"),
            Err(TlogError::OtherLog { .. })
        ));
        note.signatures[0].signature[9] ^= 1;
        assert!(matches!(
            keys.checkpoint(&note, "dawn/log/here"),
            Err(TlogError::BadSignature { .. })
        ));
    }
}
