//! Which models there are. A task carries a [`ModelSpec`], so that server, device and auditor agree on every shape.

use minicbor::{Decode, Decoder, Encode, Encoder};
use std::fmt;
use std::str::FromStr;

/// Largest number of inputs of a model.
pub const MAX_INPUTS: u32 = 1 << 16;
/// Largest number of units of a hidden layer.
pub const MAX_HIDDEN: u32 = 1 << 16;
/// Largest number of classes: a label is a `u8`.
pub const MAX_CLASSES: u32 = 256;
/// Largest number of parameters: the largest dimension of a round (`docs/protocol.md`, section 3).
pub const MAX_PARAMETERS: usize = 1 << 24;

/// The kind and shape of a model. Written `logistic:64-10` or `mlp:64-32-10`.
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
    /// One hidden layer of rectified linear units.
    Mlp {
        /// Features of a sample.
        inputs: u32,
        /// Units of the hidden layer.
        hidden: u32,
        /// Classes.
        classes: u32,
    },
}

/// Why a model specification is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not of the form `logistic:INPUTS-CLASSES` or `mlp:INPUTS-HIDDEN-CLASSES`.
    #[error("`{0}` is not a model: write logistic:INPUTS-CLASSES or mlp:INPUTS-HIDDEN-CLASSES")]
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
        if let Self::Mlp { hidden, .. } = *self {
            size("hidden units", hidden, 1, MAX_HIDDEN)?;
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

    fn sizes(&self) -> Vec<u32> {
        match *self {
            Self::Logistic { inputs, classes } => vec![inputs, classes],
            Self::Mlp {
                inputs,
                hidden,
                classes,
            } => vec![inputs, hidden, classes],
        }
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
        let dense =
            |inputs: u32, outputs: u32| (u64::from(inputs) + 1).saturating_mul(u64::from(outputs));
        match *self {
            Self::Logistic { inputs, classes } => dense(inputs, classes),
            Self::Mlp {
                inputs,
                hidden,
                classes,
            } => dense(inputs, hidden).saturating_add(dense(hidden, classes)),
        }
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
            (1, &[inputs, hidden, classes]) => Some(Self::Mlp {
                inputs,
                hidden,
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

impl fmt::Display for ModelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        for (place, size) in self.sizes().iter().enumerate() {
            write!(f, "{}{size}", if place == 0 { ':' } else { '-' })?;
        }
        Ok(())
    }
}

impl FromStr for ModelSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let unreadable = || SpecError::Unreadable(text.chars().take(64).collect());
        let (name, sizes) = text.split_once(':').ok_or_else(unreadable)?;
        let kind = match name {
            "logistic" => 0,
            "mlp" => 1,
            _ => return Err(unreadable()),
        };
        let sizes: Vec<u32> = sizes
            .splitn(5, '-')
            .map(|size| {
                size.parse()
                    .ok()
                    .filter(|_| size.bytes().all(|b| b.is_ascii_digit()))
                    .ok_or_else(unreadable)
            })
            .collect::<Result<_, _>>()?;
        let spec = Self::from_sizes(kind, &sizes).ok_or_else(unreadable)?;
        spec.check()?;
        Ok(spec)
    }
}

impl<C> Encode<C> for ModelSpec {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let sizes = self.sizes();
        e.array(sizes.len() as u64 + 1)?.u32(self.kind())?;
        for size in sizes {
            e.u32(size)?;
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for ModelSpec {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let wrong = |what: String| minicbor::decode::Error::message(what);
        let count = match d.array()? {
            Some(count @ 3..=4) => count,
            _ => return Err(wrong("a model is an array of three or four numbers".into())),
        };
        let kind = d.u32()?;
        let mut sizes = [0; 3];
        let sizes = &mut sizes[..usize::from(count == 4) + 2];
        for size in sizes.iter_mut() {
            *size = d.u32()?;
        }
        let spec =
            Self::from_sizes(kind, sizes).ok_or_else(|| wrong("no such kind of model".into()))?;
        spec.check().map_err(|error| wrong(error.to_string()))?;
        Ok(spec)
    }
}

impl serde::Serialize for ModelSpec {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ModelSpec {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MLP: ModelSpec = ModelSpec::Mlp {
        inputs: 64,
        hidden: 32,
        classes: 10,
    };
    const LOGISTIC: ModelSpec = ModelSpec::Logistic {
        inputs: 64,
        classes: 10,
    };

    #[test]
    fn text_cbor_and_json_come_back_the_same() {
        for (spec, text) in [(LOGISTIC, "logistic:64-10"), (MLP, "mlp:64-32-10")] {
            assert_eq!(spec.to_string(), text);
            assert_eq!(text.parse(), Ok(spec));
            let bytes = minicbor::to_vec(spec).unwrap();
            assert_eq!(minicbor::decode::<ModelSpec>(&bytes).unwrap(), spec);
            let json = serde_json::to_string(&spec).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<ModelSpec>(&json).unwrap(), spec);
        }
        assert_eq!(
            minicbor::to_vec(MLP).unwrap(),
            [0x84, 1, 24, 64, 24, 32, 10]
        );
    }

    #[test]
    fn parameters_are_weights_and_biases() {
        assert_eq!(LOGISTIC.parameters(), 650);
        assert_eq!(MLP.parameters(), 64 * 32 + 32 + 32 * 10 + 10);
        let layers = MLP.layers();
        assert_eq!(layers[1].offset, 64 * 32 + 32);
        assert_eq!(layers[1].biases().end, MLP.parameters());
    }

    #[test]
    fn wrong_text_is_refused() {
        for text in [
            "",
            "mlp",
            "mlp:",
            "mlp:64-10",
            "logistic:64-32-10",
            "logistic:64-1",
            "logistic:0-10",
            "tree:1-2",
            "logistic:+64-10",
            "logistic:64-257",
            "mlp:1-2-3-4-5-6",
            "logistic:65537-10",
            "mlp:65536-65536-10",
            "logistic:99999999999-10",
        ] {
            assert!(text.parse::<ModelSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn wrong_cbor_is_refused() {
        let encodings: [&[u8]; 6] = [
            &[0x83, 0, 0, 10],                                  // no inputs
            &[0x83, 2, 24, 64, 10],                             // no such kind
            &[0x84, 0, 24, 64, 24, 32, 10], // a logistic model with a hidden layer
            &[0x9f, 0, 24, 64, 10, 0xff],   // indefinite length
            &[0x83, 0, 24, 64],             // cut
            &[0x84, 1, 0x1a, 0, 1, 0, 0, 0x1a, 0, 1, 0, 0, 10], // too large
        ];
        for bytes in encodings {
            assert!(minicbor::decode::<ModelSpec>(bytes).is_err(), "{bytes:?}");
        }
    }
}
