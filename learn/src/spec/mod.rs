//! Which models there are. A task carries a [`ModelSpec`], so that server, device and auditor agree on every shape.

use alloc::string::String;
use alloc::vec::Vec;

mod cbor;
mod convolution;
mod list;
mod text;

pub(crate) use convolution::ConvolutionShape;
pub use convolution::{
    Convolution, Convolutions, Image, MAX_CHANNELS, MAX_CONVOLUTIONS, MAX_KERNEL, MAX_PATCHES,
    MAX_SIDE, MAX_SUMS,
};
pub use list::List;

/// Largest number of inputs of a model.
pub const MAX_INPUTS: u32 = 1 << 16;
/// Largest number of units of a hidden layer.
pub const MAX_HIDDEN: u32 = 1 << 16;
/// Largest number of hidden layers.
pub const MAX_HIDDEN_LAYERS: usize = 8;
/// Largest number of classes: a label is a `u8`.
pub const MAX_CLASSES: u32 = 256;
/// Largest number of values that a regressor predicts.
pub const MAX_OUTPUTS: u32 = 256;
/// Largest number of parameters: the largest dimension of a round (`docs/protocol.md`, section 3).
pub const MAX_PARAMETERS: usize = 1 << 24;
/// Most sizes of dense layers: inputs, hidden layers, classes or outputs.
const MAX_SIZES: usize = MAX_HIDDEN_LAYERS + 2;
/// Most numbers of an encoding after the kind: an image, how many convolutions, each with two numbers, hidden layers, classes.
const MAX_NUMBERS: usize = 4 + 2 * MAX_CONVOLUTIONS + MAX_HIDDEN_LAYERS + 1;

/// Units of every hidden layer, the first one first.
pub type Hidden = List<u32, MAX_HIDDEN_LAYERS>;
type Sizes = List<u32, MAX_SIZES>;
type Numbers = List<u32, MAX_NUMBERS>;

/// The names of the kinds, each at the number that it has in CBOR.
const KINDS: [&str; 5] = ["logistic", "mlp", "linear", "regressor", "cnn"];

/// The kind and shape of a model. Written `logistic:64-10`, `mlp:64-32-10` or, with more hidden layers, `mlp:64-64-32-10`;
/// models that predict numbers `linear:6-2` and `regressor:6-16-2`; `cnn:28x28x1-8k3-16k3-64-10` for images of 28 x 28 pixels and one
/// channel, with convolutions of 8 and 16 channels and kernels of 3 x 3, and a hidden layer of 64 units.
///
/// The fields are free to set; everything that decodes or parses a specification, or makes a model from one,
/// refuses what [`ModelSpec::check`] refuses. In CBOR an array `[kind, inputs, ..., outputs]`, the kinds numbered from 0 in the
/// order below; for images `[kind, height, width, channels, number of convolutions, channels, kernel, ..., hidden, ..., classes]`.
/// In JSON the written form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelSpec {
    /// Multinomial logistic regression.
    Logistic {
        /// Features of a sample.
        inputs: u32,
        /// Classes.
        classes: u32,
    },
    /// Hidden layers of rectified linear units, one to [`MAX_HIDDEN_LAYERS`].
    Mlp {
        /// Features of a sample.
        inputs: u32,
        /// Units of every hidden layer.
        hidden: Hidden,
        /// Classes.
        classes: u32,
    },
    /// Linear regression: numbers instead of classes, least squares.
    Linear {
        /// Features of a sample.
        inputs: u32,
        /// Numbers that are predicted for a sample.
        outputs: u32,
    },
    /// A multi-layer perceptron that predicts numbers.
    Regressor {
        /// Features of a sample.
        inputs: u32,
        /// Units of every hidden layer.
        hidden: Hidden,
        /// Numbers that are predicted for a sample.
        outputs: u32,
    },
    /// Convolutions, then hidden layers of rectified linear units, none to [`MAX_HIDDEN_LAYERS`].
    Cnn {
        /// What a sample is.
        image: Image,
        /// One to [`MAX_CONVOLUTIONS`], each with its pooling.
        convolutions: Convolutions,
        /// Units of every hidden layer.
        hidden: Hidden,
        /// Classes.
        classes: u32,
    },
}

/// Why a model specification is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not of a form that [`ModelSpec`] has.
    #[error(
        "`{0}` is not a model: write logistic:INPUTS-CLASSES or mlp:INPUTS-HIDDEN-CLASSES, for numbers instead of classes linear:INPUTS-OUTPUTS or regressor:INPUTS-HIDDEN-OUTPUTS, for images cnn:HEIGHTxWIDTHxCHANNELS-CHANNELSkKERNEL-HIDDEN-CLASSES, with one to {MAX_HIDDEN_LAYERS} hidden layers"
    )]
    Unreadable(String),
    /// A size is out of its range.
    #[error("{what} must be {least} to {most}, not {value}")]
    Size {
        /// Which size.
        what: &'static str,
        /// Its value.
        value: u32,
        /// Smallest allowed.
        least: u32,
        /// Largest allowed.
        most: u32,
    },
    /// More parameters than a round can carry.
    #[error("the model has {0} parameters, more than {MAX_PARAMETERS}")]
    TooLarge(u64),
}

/// One dense layer and the place of its parameters among all: `outputs x inputs` weights row by row, then
/// `outputs` biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayerShape {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) offset: usize,
}

impl LayerShape {
    pub(crate) fn weights(&self) -> core::ops::Range<usize> {
        self.offset..self.offset + self.inputs * self.outputs
    }

    pub(crate) fn biases(&self) -> core::ops::Range<usize> {
        let start = self.weights().end;
        start..start + self.outputs
    }
}

impl ModelSpec {
    /// Checks every size and the number of parameters.
    ///
    /// # Errors
    /// Names the size that is out of its range.
    pub fn check(&self) -> Result<(), SpecError> {
        let (inputs, hidden, outputs) = self.parts();
        size("inputs", inputs, 1, MAX_INPUTS)?;
        if let Self::Cnn {
            image,
            convolutions,
            ..
        } = self
        {
            convolution::check(*image, convolutions)?;
        }
        if let Self::Mlp { .. } | Self::Regressor { .. } = self {
            let layers = hidden.len() as u32;
            size("hidden layers", layers, 1, MAX_HIDDEN_LAYERS as u32)?;
        }
        for &units in hidden {
            size("hidden units", units, 1, MAX_HIDDEN)?;
        }
        if self.is_regressor() {
            size("outputs", outputs, 1, MAX_OUTPUTS)?;
        } else {
            size("classes", outputs, 2, MAX_CLASSES)?;
        }
        let parameters = self.parameters64();
        if parameters > MAX_PARAMETERS as u64 {
            return Err(SpecError::TooLarge(parameters));
        }
        Ok(())
    }

    /// Number of parameters (weights and biases): the dimension of an update.
    #[must_use]
    pub fn parameters(&self) -> usize {
        usize::try_from(self.parameters64()).unwrap_or(usize::MAX)
    }

    /// Multiplications of a forward pass over one sample; at least the number of parameters.
    pub(crate) fn multiplications(&self) -> u64 {
        let positions = self.convolutions().map(|c| c.convolved.positions() as u64);
        let positions = positions.chain(core::iter::repeat(1));
        let layers = self.layers().into_iter().zip(positions);
        // A model has at most 2^24 parameters and 2^22 positions.
        let of_layer = |(layer, positions): (LayerShape, u64)| {
            ((layer.inputs + 1) * layer.outputs) as u64 * positions
        };
        layers.map(of_layer).sum()
    }

    /// Features of a sample.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.parts().0 as usize
    }

    /// Numbers that the model gives for a sample: a logit for each class, or what a regressor predicts.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.parts().2 as usize
    }

    /// Number of classes; 0 of a regressor, which has none.
    #[must_use]
    pub fn classes(&self) -> usize {
        if self.is_regressor() {
            0
        } else {
            self.outputs()
        }
    }

    /// Whether the model predicts numbers, so that its data needs targets instead of labels.
    #[must_use]
    pub fn is_regressor(&self) -> bool {
        matches!(self, Self::Linear { .. } | Self::Regressor { .. })
    }

    /// The convolutions, which come before all dense layers.
    pub(crate) fn convolutions(&self) -> impl Iterator<Item = ConvolutionShape> {
        let (image, convolutions) = match self {
            Self::Cnn {
                image,
                convolutions,
                ..
            } => (*image, &**convolutions),
            _ => (Image::default(), &[][..]),
        };
        convolution::shapes(image, convolutions)
    }

    /// Every layer: the convolutions, then the dense ones.
    pub(crate) fn layers(&self) -> Vec<LayerShape> {
        let mut layers: Vec<LayerShape> = self.convolutions().map(|shape| shape.layer).collect();
        let mut offset = layers.last().map_or(0, |last| last.biases().end);
        let sizes = self.sizes();
        for pair in sizes.windows(2) {
            let layer = LayerShape {
                inputs: pair[0] as usize,
                outputs: pair[1] as usize,
                offset,
            };
            offset = layer.biases().end;
            layers.push(layer);
        }
        layers
    }

    /// Inputs, units of the hidden layers, outputs.
    fn parts(&self) -> (u32, &[u32], u32) {
        match self {
            Self::Cnn {
                image,
                hidden,
                classes,
                ..
            } => (image.features(), hidden, *classes),
            Self::Logistic { inputs, classes } => (*inputs, &[], *classes),
            Self::Linear { inputs, outputs } => (*inputs, &[], *outputs),
            Self::Mlp {
                inputs,
                hidden,
                classes: outputs,
            }
            | Self::Regressor {
                inputs,
                hidden,
                outputs,
            } => (*inputs, hidden, *outputs),
        }
    }

    /// Sizes of the dense layers: inputs, or what the convolutions leave; hidden units; outputs.
    fn sizes(&self) -> Sizes {
        let (mut inputs, hidden, outputs) = self.parts();
        if let Self::Cnn {
            image,
            convolutions,
            ..
        } = self
        {
            let step = |image: Image, &convolution| image.convolved(convolution).pooled();
            inputs = convolutions.iter().fold(*image, step).features();
        }
        let mut sizes = [0; MAX_SIZES];
        let last = hidden.len() + 1;
        sizes[0] = inputs;
        sizes[1..last].copy_from_slice(hidden);
        sizes[last] = outputs;
        Sizes::new(&sizes[..=last]).expect("as many as there may be")
    }

    fn parameters64(&self) -> u64 {
        let dense =
            |inputs: u64, outputs: u32| inputs.saturating_add(1).saturating_mul(u64::from(outputs));
        let sizes = self.sizes();
        let pairs = sizes.windows(2);
        let mut all = pairs
            .map(|pair| dense(pair[0].into(), pair[1]))
            .fold(0, u64::saturating_add);
        if let Self::Cnn {
            image,
            convolutions,
            ..
        } = self
        {
            let mut before = u64::from(image.channels);
            for convolution in &**convolutions {
                let kernel = u64::from(convolution.kernel);
                let patch = kernel.saturating_mul(kernel).saturating_mul(before);
                all = all.saturating_add(dense(patch, convolution.channels));
                before = convolution.channels.into();
            }
        }
        all
    }

    /// All numbers but the kind, as in the encoding.
    fn numbers(&self) -> Numbers {
        let sizes = self.sizes();
        let mut numbers = Vec::with_capacity(MAX_NUMBERS);
        if let Self::Cnn {
            image,
            convolutions,
            ..
        } = self
        {
            numbers.extend([image.height, image.width, image.channels]);
            numbers.push(convolutions.len() as u32);
            numbers.extend(convolutions.iter().flat_map(|c| [c.channels, c.kernel]));
            numbers.extend(&sizes[1..]);
        } else {
            numbers.extend(&*sizes);
        }
        Numbers::new(&numbers).expect("as many as there may be")
    }

    fn from_numbers(kind: usize, numbers: &[u32]) -> Option<Self> {
        if KINDS.get(kind) != Some(&"cnn") {
            return Self::from_sizes(kind, numbers);
        }
        let (&[height, width, channels, count], rest) = numbers.split_first_chunk()?;
        let (convolutions, rest) = rest.split_at_checked(2 * usize::try_from(count).ok()?)?;
        let convolutions: Vec<Convolution> = convolutions
            .as_chunks()
            .0
            .iter()
            .map(|&[channels, kernel]| Convolution { channels, kernel })
            .collect();
        let (&classes, hidden) = rest.split_last()?;
        Some(Self::Cnn {
            image: Image {
                height,
                width,
                channels,
            },
            convolutions: Convolutions::new(&convolutions)?,
            hidden: Hidden::new(hidden)?,
            classes,
        })
    }

    fn from_sizes(kind: usize, sizes: &[u32]) -> Option<Self> {
        let &[inputs, ref hidden @ .., outputs] = sizes else {
            return None;
        };
        let deep = Hidden::new(hidden).filter(|hidden| !hidden.is_empty());
        match (kind, hidden) {
            (0, []) => Some(Self::Logistic {
                inputs,
                classes: outputs,
            }),
            (1, _) => Some(Self::Mlp {
                inputs,
                hidden: deep?,
                classes: outputs,
            }),
            (2, []) => Some(Self::Linear { inputs, outputs }),
            (3, _) => Some(Self::Regressor {
                inputs,
                hidden: deep?,
                outputs,
            }),
            _ => None,
        }
    }

    /// The place in [`KINDS`].
    fn kind(&self) -> usize {
        match self {
            Self::Logistic { .. } => 0,
            Self::Mlp { .. } => 1,
            Self::Linear { .. } => 2,
            Self::Regressor { .. } => 3,
            Self::Cnn { .. } => 4,
        }
    }
}

fn size(what: &'static str, value: u32, least: u32, most: u32) -> Result<(), SpecError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(SpecError::Size {
            what,
            value,
            least,
            most,
        })
    }
}

#[cfg(test)]
mod tests;
