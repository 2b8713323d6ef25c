//! A specification as people write it, which is its form in JSON too.

use super::{Convolution, Convolutions, Hidden, Image, KINDS, MAX_NUMBERS, ModelSpec, SpecError};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

impl fmt::Display for ModelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", KINDS[self.kind()])?;
        let sizes = self.sizes();
        if let Self::Cnn {
            image,
            convolutions,
            ..
        } = self
        {
            write!(f, "{}x{}x{}", image.height, image.width, image.channels)?;
            for convolution in &**convolutions {
                write!(f, "-{}k{}", convolution.channels, convolution.kernel)?;
            }
        } else {
            write!(f, "{}", sizes[0])?;
        }
        for size in &sizes[1..] {
            write!(f, "-{size}")?;
        }
        Ok(())
    }
}

impl FromStr for ModelSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let unreadable = || SpecError::Unreadable(text.chars().take(64).collect());
        let spec = read(text).ok_or_else(unreadable)?;
        spec.check()?;
        Ok(spec)
    }
}

fn read(text: &str) -> Option<ModelSpec> {
    let (name, sizes) = text.split_once(':')?;
    // More than there may be are not read.
    let parts: Vec<&str> = sizes.splitn(MAX_NUMBERS + 1, '-').collect();
    if name == "cnn" {
        return read_cnn(&parts);
    }
    let kind = KINDS.iter().position(|kind| *kind == name)?;
    ModelSpec::from_sizes(kind, &numbers(&parts)?)
}

/// `28x28x1`, `8k3`, ..., `64`, ..., `10`.
fn read_cnn(parts: &[&str]) -> Option<ModelSpec> {
    let (image, parts) = parts.split_first()?;
    let image: Vec<&str> = image.splitn(4, 'x').collect();
    let &[height, width, channels] = &*numbers(&image)? else {
        return None;
    };
    let dense = parts.iter().position(|part| !part.contains('k'))?;
    let (convolutions, dense) = parts.split_at(dense);
    let convolutions: Vec<Convolution> = convolutions
        .iter()
        .map(|part| {
            let (channels, kernel) = part.split_once('k')?;
            Some(Convolution {
                channels: number(channels)?,
                kernel: number(kernel)?,
            })
        })
        .collect::<Option<_>>()?;
    let dense = numbers(dense)?;
    let (&classes, hidden) = dense.split_last()?;
    Some(ModelSpec::Cnn {
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

fn numbers(parts: &[&str]) -> Option<Vec<u32>> {
    parts.iter().map(|part| number(part)).collect()
}

/// Decimal digits and nothing else.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

impl serde::Serialize for ModelSpec {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ModelSpec {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <alloc::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
