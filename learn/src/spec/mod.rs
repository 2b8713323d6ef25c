//! Which models there are. A task carries a [`ModelSpec`], so that server, device and auditor agree on every shape.

mod cbor;
mod list;
mod text;

pub use list::List;

/// Largest number of inputs of a model.
pub const MAX_INPUTS: u32 = 1 << 16;
/// Largest number of units of a hidden layer.
pub const MAX_HIDDEN: u32 = 1 << 16;
/// Largest number of hidden layers.
pub const MAX_HIDDEN_LAYERS: usize = 8;
/// Largest number of classes: a label is a `u8`.
pub const MAX_CLASSES: u32 = 256;
/// Largest number of parameters: the largest dimension of a round (`docs/protocol.md`, section 3).
pub const MAX_PARAMETERS: usize = 1 << 24;
/// Most sizes of a specification: inputs, hidden layers, classes.
const MAX_SIZES: usize = MAX_HIDDEN_LAYERS + 2;

/// Units of every hidden layer, the first one first.
pub type Hidden = List<u32, MAX_HIDDEN_LAYERS>;
type Sizes = List<u32, MAX_SIZES>;

/// The kind and shape of a model. Written `logistic:64-10`, `mlp:64-32-10` or, with more hidden layers, `mlp:64-64-32-10`.
///
/// The fields are free to set; everything that decodes or parses a specification, or makes a model from one,
/// refuses what [`ModelSpec::check`] refuses. In CBOR an array `[kind, inputs, ..., classes]`, kind 0 is logistic,
/// 1 is a multi-layer perceptron. In JSON the written form.
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
}

/// Why a model specification is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not of the form `logistic:INPUTS-CLASSES` or `mlp:INPUTS-HIDDEN-...-CLASSES`.
    #[error(
        "`{0}` is not a model: write logistic:INPUTS-CLASSES or mlp:INPUTS-HIDDEN-CLASSES, with one to {MAX_HIDDEN_LAYERS} hidden layers"
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
    pub(crate) fn weights(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.inputs * self.outputs
    }

    pub(crate) fn biases(&self) -> std::ops::Range<usize> {
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
        size("inputs", self.inputs32(), 1, MAX_INPUTS)?;
        if let Self::Mlp { hidden, .. } = self {
            size(
                "hidden layers",
                hidden.len() as u32,
                1,
                MAX_HIDDEN_LAYERS as u32,
            )?;
            for &units in &**hidden {
                size("hidden units", units, 1, MAX_HIDDEN)?;
            }
        }
        size("classes", self.classes32(), 2, MAX_CLASSES)?;
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

    /// Features of a sample.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs32() as usize
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes32() as usize
    }

    pub(crate) fn layers(&self) -> Vec<LayerShape> {
        let mut layers = Vec::new();
        let mut offset = 0;
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

    /// Inputs, units of the hidden layers, classes.
    fn sizes(&self) -> Sizes {
        let (inputs, hidden, classes) = match self {
            Self::Logistic { inputs, classes } => (inputs, &[][..], classes),
            Self::Mlp {
                inputs,
                hidden,
                classes,
            } => (inputs, &**hidden, classes),
        };
        let mut sizes = [0; MAX_SIZES];
        let last = hidden.len() + 1;
        sizes[0] = *inputs;
        sizes[1..last].copy_from_slice(hidden);
        sizes[last] = *classes;
        Sizes::new(&sizes[..=last]).expect("as many as there may be")
    }

    fn inputs32(&self) -> u32 {
        match *self {
            Self::Logistic { inputs, .. } | Self::Mlp { inputs, .. } => inputs,
        }
    }

    fn classes32(&self) -> u32 {
        match *self {
            Self::Logistic { classes, .. } | Self::Mlp { classes, .. } => classes,
        }
    }

    fn parameters64(&self) -> u64 {
        let dense = |pair: &[u32]| (u64::from(pair[0]) + 1).saturating_mul(u64::from(pair[1]));
        self.sizes()
            .windows(2)
            .map(dense)
            .fold(0, u64::saturating_add)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Logistic { .. } => "logistic",
            Self::Mlp { .. } => "mlp",
        }
    }

    fn from_sizes(kind: u32, sizes: &[u32]) -> Option<Self> {
        match (kind, sizes) {
            (0, &[inputs, classes]) => Some(Self::Logistic { inputs, classes }),
            (1, &[inputs, ref hidden @ .., classes]) if !hidden.is_empty() => Some(Self::Mlp {
                inputs,
                hidden: Hidden::new(hidden)?,
                classes,
            }),
            _ => None,
        }
    }

    fn kind(&self) -> u32 {
        match self {
            Self::Logistic { .. } => 0,
            Self::Mlp { .. } => 1,
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
