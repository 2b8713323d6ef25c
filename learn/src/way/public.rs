//! The public samples of a distillation.

use crate::data::{DataError, Dataset, MAX_EXPONENT};
use crate::spec::{MAX_INPUTS, ModelSpec};
use crate::way::Way;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// Most bytes of a public set: 4 MiB.
pub const MAX_PUBLIC_BYTES: usize = 1 << 22;
/// Context of the digest of a public set.
const DIGEST: &str = "dawn v1 learn public set";
/// Bytes before the features: `"DWNP"`, inputs and samples as `u32`, the exponent.
const HEAD: usize = 13;
const MAGIC: [u8; 4] = *b"DWNP";

/// Samples without labels that everybody has: devices say what they would answer to them, and the student learns from the mean
/// of the answers.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicSet {
    /// With labels that mean nothing.
    samples: Dataset,
}

/// Why bytes are not the public set of a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicSetError {
    /// Not in the format of public sets.
    #[error("not a public set: {0}")]
    Unreadable(&'static str),
    /// Another set than the task names.
    #[error("this is another public set than the one that the task names")]
    Digest,
    /// Other numbers than the task's.
    #[error(
        "the task's public set has {samples} samples with {inputs} features, this one {found_samples} with {found_inputs}"
    )]
    Shape {
        /// The task's samples.
        samples: usize,
        /// The model's inputs.
        inputs: usize,
        /// Samples of the set.
        found_samples: usize,
        /// Features of its samples.
        found_inputs: usize,
    },
    /// The task's way needs none.
    #[error("only a task that distils has a public set")]
    NotNeeded,
    /// More bytes than a public set may have, or none.
    #[error("a public set has at least one sample and at most {MAX_PUBLIC_BYTES} bytes")]
    Size,
}

impl PublicSet {
    /// The samples of a data set; its labels are left out.
    ///
    /// # Errors
    /// [`PublicSetError::Size`].
    pub fn new(data: &Dataset) -> Result<Self, PublicSetError> {
        let features: Vec<i16> = (0..data.len())
            .flat_map(|row| data.row(row))
            .copied()
            .collect();
        Self::from_features(features, data.inputs(), data.exponent())
    }

    fn from_features(
        features: Vec<i16>,
        inputs: usize,
        exponent: u8,
    ) -> Result<Self, PublicSetError> {
        let samples = features.len() / inputs.max(1);
        if samples == 0 || encoded_len(samples, inputs) > MAX_PUBLIC_BYTES {
            return Err(PublicSetError::Size);
        }
        let shape = |_: DataError| PublicSetError::Unreadable("its sizes do not fit together");
        Dataset::new(features, inputs, exponent, vec![0; samples])
            .map(|samples| Self { samples })
            .map_err(shape)
    }

    /// The samples; their labels mean nothing.
    #[must_use]
    pub fn samples(&self) -> &Dataset {
        &self.samples
    }

    /// `"DWNP"`, inputs and samples as `u32` (little-endian, as all that follows), the exponent of the features as a byte, the
    /// features as `i16`, sample by sample.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (inputs, count) = (self.samples.inputs(), self.samples.len());
        let mut bytes = Vec::with_capacity(encoded_len(count, inputs));
        bytes.extend(MAGIC);
        for number in [inputs, count] {
            let number = u32::try_from(number).expect("at most 2^24");
            bytes.extend(number.to_le_bytes());
        }
        bytes.push(self.samples.exponent());
        for row in 0..count {
            bytes.extend(self.samples.row(row).iter().flat_map(|f| f.to_le_bytes()));
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] gave.
    ///
    /// # Errors
    /// [`PublicSetError::Unreadable`], [`PublicSetError::Size`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PublicSetError> {
        use PublicSetError::Unreadable;
        let (head, body) = bytes
            .split_at_checked(HEAD)
            .ok_or(Unreadable("it is cut off"))?;
        if head[..4] != MAGIC {
            return Err(Unreadable("it does not begin with DWNP"));
        }
        let number = |at: usize| {
            let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            u32::from_le_bytes(bytes) as usize
        };
        let (inputs, samples, exponent) = (number(4), number(8), head[12]);
        if inputs == 0 || inputs > MAX_INPUTS as usize || exponent > MAX_EXPONENT {
            return Err(Unreadable("its numbers are out of their bounds"));
        }
        if samples.checked_mul(2 * inputs) != Some(body.len()) {
            return Err(Unreadable("its length is not that of its samples"));
        }
        let (words, _) = body.as_chunks::<2>();
        let features = words.iter().map(|word| i16::from_le_bytes(*word));
        Self::from_features(features.collect(), inputs, exponent)
    }

    /// BLAKE3 of the bytes, in derive-key mode with the context `dawn v1 learn public set`.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(DIGEST);
        hasher.update(&self.to_bytes());
        *hasher.finalize().as_bytes()
    }
}

impl Way {
    /// Whether this is the public set that the way names, for a model.
    ///
    /// # Errors
    /// Names what differs.
    pub fn check_public_set(
        &self,
        model: &ModelSpec,
        set: &PublicSet,
    ) -> Result<(), PublicSetError> {
        let Self::Distillation {
            set: digest,
            samples,
            ..
        } = self
        else {
            return Err(PublicSetError::NotNeeded);
        };
        let (samples, inputs) = (*samples as usize, model.inputs());
        let (found_samples, found_inputs) = (set.samples.len(), set.samples.inputs());
        if (samples, inputs) != (found_samples, found_inputs) {
            return Err(PublicSetError::Shape {
                samples,
                inputs,
                found_samples,
                found_inputs,
            });
        }
        if *digest == set.digest() {
            Ok(())
        } else {
            Err(PublicSetError::Digest)
        }
    }

    /// The digest of the public set, and how many bytes it has, where one is needed.
    #[must_use]
    pub fn public_set(&self, model: &ModelSpec) -> Option<([u8; 32], usize)> {
        match self {
            Self::Distillation { set, samples, .. } => {
                Some((*set, encoded_len(*samples as usize, model.inputs())))
            }
            _ => None,
        }
    }
}

/// Bytes of a public set.
#[must_use]
pub fn encoded_len(samples: usize, inputs: usize) -> usize {
    samples.saturating_mul(2 * inputs).saturating_add(HEAD)
}

impl fmt::Debug for PublicSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (samples, inputs) = (self.samples.len(), self.samples.inputs());
        write!(f, "PublicSet({samples} samples, {inputs} features)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> PublicSet {
        let features = (0..12).map(|f| 100 * f - 500).collect();
        PublicSet::new(&Dataset::new(features, 4, 7, vec![3, 1, 2]).unwrap()).unwrap()
    }

    #[test]
    fn bytes_come_back_the_same_and_labels_are_gone() {
        let bytes = set().to_bytes();
        assert_eq!(bytes.len(), encoded_len(3, 4));
        let read = PublicSet::from_bytes(&bytes).unwrap();
        assert_eq!(read, set());
        assert_eq!(read.samples().labels(), [0, 0, 0]);
        assert_eq!(read.samples().row(2), [300, 400, 500, 600]);
        assert_eq!(read.digest(), set().digest());
    }

    #[test]
    fn wrong_bytes_are_refused() {
        let good = set().to_bytes();
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        for bytes in [
            vec![],
            good[..HEAD - 1].to_vec(),
            good[..good.len() - 1].to_vec(),
            [&good[..], &[0]].concat(),
            with(0, b'X'),
            with(4, 0),
            with(7, 0xff),
            with(8, 0),
            with(11, 0xff),
            with(12, 16),
            good[..HEAD].to_vec(),
        ] {
            assert!(PublicSet::from_bytes(&bytes).is_err(), "{bytes:?}");
        }
        let empty = [&b"DWNP\x01\0\0\0\0\0\0\0"[..], &[3]].concat();
        assert_eq!(PublicSet::from_bytes(&empty), Err(PublicSetError::Size));
        for (at, byte) in good.iter().enumerate() {
            let other = PublicSet::from_bytes(&with(at, byte ^ 1));
            assert!(
                other.is_err() || other.unwrap().digest() != set().digest(),
                "{at}"
            );
        }
    }
}
