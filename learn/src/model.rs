//! A model: its specification and its master weights.

use crate::fixed::{MASTER_FRACTION_BITS, MASTER_MAX, to_master};
use crate::randomness::{Stream, labels};
use crate::spec::{LayerShape, ModelSpec, SpecError};
use alloc::vec;
use alloc::vec::Vec;

/// Longest canonical encoding of a specification.
const SPEC_BYTES_MAX: usize = 128;

/// A model specification with master weights.
///
/// A weight `w` is stored as `w * 2^24` ([`MASTER_FRACTION_BITS`]). The order is layer by layer: `outputs x inputs`
/// weights row by row, then the biases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    spec: ModelSpec,
    weights: Vec<i32>,
}

/// Why bytes or weights are not a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The specification is refused.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The bytes do not begin with a canonical specification.
    #[error("the model's bytes do not begin with a canonical specification")]
    UnreadableSpec,
    /// The number of weights does not follow from the specification.
    #[error("{spec} has {expected} parameters, not {found}")]
    Length {
        /// The specification.
        spec: ModelSpec,
        /// Parameters that follow from it.
        expected: usize,
        /// Weights that were given (of bytes: rounded up).
        found: usize,
    },
    /// A weight is outside the symmetric range.
    #[error("weight {0} is outside the symmetric range of master weights")]
    WeightRange(usize),
}

impl Model {
    /// The model that training starts from: zeros for one without hidden layers; else for hidden and output layers
    /// weights uniform within `sqrt(6 / inputs)` of the layer (He et al. 2015), biases zero.
    ///
    /// Weight `i` follows from word `i` of a counter-based stream over the seed: every party gets the same bits.
    ///
    /// # Errors
    /// The specification is out of its bounds.
    pub fn initial(spec: ModelSpec, seed: [u8; 32]) -> Result<Self, SpecError> {
        spec.check()?;
        let mut weights = vec![0; spec.parameters()];
        let layers = spec.layers();
        if layers.len() > 1 {
            for (step, layer) in layers.iter().enumerate() {
                fill_uniform(&mut weights[layer.weights()], layer, &seed, step as u64);
            }
        }
        Ok(Self { spec, weights })
    }

    /// A model from its parts.
    ///
    /// # Errors
    /// The specification is out of its bounds, or the weights do not fit it.
    pub fn from_weights(spec: ModelSpec, weights: Vec<i32>) -> Result<Self, ModelError> {
        spec.check()?;
        if weights.len() != spec.parameters() {
            return Err(ModelError::Length {
                spec,
                expected: spec.parameters(),
                found: weights.len(),
            });
        }
        match weights.iter().position(|&weight| weight < -MASTER_MAX) {
            Some(index) => Err(ModelError::WeightRange(index)),
            None => Ok(Self { spec, weights }),
        }
    }

    /// The specification.
    #[must_use]
    pub fn spec(&self) -> ModelSpec {
        self.spec
    }

    /// The master weights, in units of 2^-24.
    #[must_use]
    pub fn weights(&self) -> &[i32] {
        &self.weights
    }

    pub(crate) fn weights_mut(&mut self) -> &mut [i32] {
        &mut self.weights
    }

    /// The canonical bytes, of which the model's digest is taken: the specification in CBOR, then every weight as
    /// four little-endian bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = spec_bytes(self.spec);
        bytes.reserve_exact(4 * self.weights.len());
        for weight in &self.weights {
            bytes.extend_from_slice(&weight.to_le_bytes());
        }
        bytes
    }

    /// Length of the canonical bytes of every model of this specification: the bound for a reader.
    #[must_use]
    pub fn encoded_len(spec: ModelSpec) -> usize {
        spec_bytes(spec).len() + 4 * spec.parameters()
    }

    /// Reads canonical bytes. Nothing is allocated before the length is known to be right.
    ///
    /// # Errors
    /// The bytes are not what [`Model::to_bytes`] gives for some model.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let mut decoder = minicbor::Decoder::new(&bytes[..bytes.len().min(SPEC_BYTES_MAX)]);
        let spec: ModelSpec = decoder.decode().map_err(|_| ModelError::UnreadableSpec)?;
        let (head, body) = bytes.split_at(decoder.position());
        if head != spec_bytes(spec) {
            return Err(ModelError::UnreadableSpec);
        }
        if body.len() != 4 * spec.parameters() {
            return Err(ModelError::Length {
                spec,
                expected: spec.parameters(),
                found: body.len().div_ceil(4),
            });
        }
        let (words, _) = body.as_chunks::<4>();
        Self::from_weights(
            spec,
            words.iter().map(|word| i32::from_le_bytes(*word)).collect(),
        )
    }
}

fn spec_bytes(spec: ModelSpec) -> Vec<u8> {
    minicbor::to_vec(spec).expect("writing to memory cannot fail")
}

fn fill_uniform(weights: &mut [i32], layer: &LayerShape, seed: &[u8; 32], step: u64) {
    let mut stream = Stream::new(labels::INITIAL_WEIGHTS, seed, step);
    // sqrt(6 / inputs) in units of 2^-24.
    let limit = ((6u64 << (2 * MASTER_FRACTION_BITS)) / layer.inputs as u64).isqrt();
    let limit = i64::try_from(limit).expect("below 2^26");
    for weight in weights {
        let uniform = i64::try_from(stream.next_u64() >> 32).expect("32 bits") - (1 << 31);
        *weight = to_master((uniform * limit) >> 31);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mlp() -> Model {
        Model::initial("mlp:64-32-10".parse().unwrap(), [7; 32]).unwrap()
    }

    #[test]
    fn bytes_come_back_the_same() {
        for model in [
            mlp(),
            Model::initial("logistic:64-10".parse().unwrap(), [7; 32]).unwrap(),
        ] {
            let bytes = model.to_bytes();
            assert_eq!(bytes.len(), Model::encoded_len(model.spec()));
            assert_eq!(Model::from_bytes(&bytes).unwrap(), model);
        }
    }

    #[test]
    fn wrong_bytes_are_refused() {
        let bytes = mlp().to_bytes();
        assert_eq!(Model::from_bytes(&[]), Err(ModelError::UnreadableSpec));
        assert!(matches!(
            Model::from_bytes(&bytes[..bytes.len() - 1]),
            Err(ModelError::Length { .. })
        ));
        assert!(matches!(
            Model::from_bytes(&[&bytes[..], &[0]].concat()),
            Err(ModelError::Length { .. })
        ));
        let mut lowest = bytes.clone();
        let last = lowest.len() - 4;
        lowest[last..].copy_from_slice(&i32::MIN.to_le_bytes());
        assert_eq!(
            Model::from_bytes(&lowest),
            Err(ModelError::WeightRange(mlp().weights().len() - 1))
        );
        // 10 classes written in two bytes: readable, not canonical.
        let long = [&[0x83, 0, 24, 64, 24, 10][..], &vec![0; 4 * 650]].concat();
        assert_eq!(Model::from_bytes(&long), Err(ModelError::UnreadableSpec));
    }

    #[test]
    fn initial_weights_spread_over_the_stated_range() {
        let model = mlp();
        let first = &model.weights()[..64 * 32];
        let limit = f64::from(1 << 24) * (6.0f64 / 64.0).sqrt();
        let largest = f64::from(first.iter().map(|w| w.abs()).max().unwrap());
        assert!(largest <= limit && largest > 0.99 * limit);
        let mean = first.iter().map(|&w| f64::from(w)).sum::<f64>() / first.len() as f64;
        assert!(mean.abs() < 0.05 * limit);
        assert!(
            model.weights()[64 * 32..64 * 32 + 32]
                .iter()
                .all(|&bias| bias == 0)
        );
        assert_ne!(model, Model::initial(model.spec(), [8; 32]).unwrap());
    }
}
