//! A specification as people write it, which is its form in JSON too.

use super::{KINDS, MAX_SIZES, ModelSpec, SpecError};
use std::fmt;
use std::str::FromStr;

impl fmt::Display for ModelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KINDS[self.kind()])?;
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
        let mut kinds = KINDS.iter();
        let kind = kinds
            .position(|kind| *kind == name)
            .ok_or_else(unreadable)?;
        // One more than there may be, which is then refused as no number.
        let sizes: Vec<u32> = sizes
            .splitn(MAX_SIZES + 1, '-')
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
