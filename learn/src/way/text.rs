//! Ways as people write them.

use super::rank::{Rank, Ranks};
use super::{MAX_MU, PublicSet, Way, WayError};
use crate::spec::{LayerShape, ModelSpec};
use crate::train::TrainSpec;
use alloc::vec::Vec;
use core::fmt;

impl Way {
    /// Reads `fedavg` (none), `fedprox:MU`, `low-rank:RANKS` or `personal:LAYERS`, for a model. (A distillation needs a public set:
    /// [`Way::public_samples`], [`Way::distillation`].)
    ///
    /// `RANKS` is one for each layer with `-` between them: 0 for nothing, a number for an adapter, `full`. A single number
    /// stands for adapters of this rank on all dense layers that have more inputs; the others are trained in full.
    ///
    /// # Errors
    /// [`WayError::Unreadable`], or what does not fit the model.
    pub fn parse(text: &str, model: &ModelSpec) -> Result<Option<Self>, WayError> {
        let unreadable = || WayError::Unreadable(text.chars().take(64).collect());
        let way = match text.split_once(':') {
            None if text == "fedavg" => return Ok(None),
            Some(("fedprox", mu)) => Self::Proximal {
                mu: fixed_point(mu).ok_or_else(unreadable)?,
            },
            Some(("low-rank", ranks)) => Self::LowRank {
                ranks: read_ranks(ranks, model).ok_or_else(unreadable)?,
            },
            Some(("personal", head)) => Self::Personal {
                head: digits(head).ok_or_else(unreadable)?,
            },
            _ => return Err(unreadable()),
        };
        way.check_shape(model)?;
        Ok(Some(way))
    }

    /// How many public samples `distillation:SAMPLES` asks for; none when the text is another way.
    ///
    /// # Errors
    /// [`WayError::Unreadable`].
    pub fn public_samples(text: &str) -> Result<Option<u32>, WayError> {
        let Some(count) = text.strip_prefix("distillation:") else {
            return Ok(None);
        };
        let count = digits(count).filter(|&count: &u32| count > 0);
        let unreadable = || WayError::Unreadable(text.chars().take(64).collect());
        count.map(Some).ok_or_else(unreadable)
    }

    /// A distillation over a public set, for a model.
    ///
    /// # Errors
    /// The set's samples are not the model's, or the way does not fit.
    pub fn distillation(
        model: &ModelSpec,
        set: &PublicSet,
        student: TrainSpec,
    ) -> Result<Self, WayError> {
        let samples = u32::try_from(set.samples().len()).unwrap_or(u32::MAX);
        let way = Self::Distillation {
            set: set.digest(),
            samples,
            student,
        };
        if set.samples().inputs() != model.inputs() {
            return Err(WayError::Samples { samples });
        }
        way.check(model, &student)?;
        Ok(way)
    }

    /// The kind alone, without numbers: `fedprox`, `low-rank`, `personal` or `distillation`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Proximal { .. } => "fedprox",
            Self::LowRank { .. } => "low-rank",
            Self::Personal { .. } => "personal",
            Self::Distillation { .. } => "distillation",
        }
    }
}

/// A decimal number in units of 2^-16, to nearest; none when it is 0 or above the largest weight.
fn fixed_point(text: &str) -> Option<u32> {
    let value: f64 = text.parse().ok()?;
    let units = value * 65536.0;
    // A conversion rounds down, and what is negative, infinite or not a number ends outside the bounds.
    let floor = units as u32;
    let nearest = floor.saturating_add(u32::from(units - f64::from(floor) >= 0.5));
    (1..=MAX_MU).contains(&nearest).then_some(nearest)
}

fn digits<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn read_ranks(text: &str, model: &ModelSpec) -> Option<Ranks> {
    if let Some(rank) = digits::<u16>(text) {
        let convolutions = model.convolutions().count();
        let of = |(index, layer): (usize, &LayerShape)| {
            if index >= convolutions && usize::from(rank) < layer.inputs {
                Rank::of(rank)
            } else {
                Rank::Full
            }
        };
        let layers = model.layers();
        return Some(Ranks::new(layers.iter().enumerate().map(of).collect()));
    }
    let each = text.split('-').map(|rank| match rank {
        "full" => Some(Rank::Full),
        rank => digits(rank).map(Rank::of),
    });
    each.collect::<Option<Vec<_>>>().map(Ranks::new)
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Proximal { mu } => write!(f, ":{}", f64::from(*mu) / 65536.0),
            Self::Personal { head } => write!(f, ":{head}"),
            Self::Distillation { samples, .. } => write!(f, ":{samples}"),
            Self::LowRank { ranks } => {
                for (place, rank) in ranks.as_slice().iter().enumerate() {
                    f.write_str(if place == 0 { ":" } else { "-" })?;
                    match rank {
                        Rank::Frozen => f.write_str("0")?,
                        Rank::Adapter(rank) => write!(f, "{rank}")?,
                        Rank::Full => f.write_str("full")?,
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAIN: TrainSpec = TrainSpec {
        epochs: 1,
        batch: 8,
        learning_rate: 1 << 12,
        momentum: 0,
        dropout: None,
        rounding: None,
    };

    fn mlp() -> ModelSpec {
        "mlp:64-32-10".parse().unwrap()
    }

    #[test]
    fn text_and_cbor_come_back_the_same() {
        for (text, bytes) in [
            ("fedprox:0.5", &[0x82, 0, 0x19, 0x80, 0][..]),
            ("low-rank:8-full", &[0x82, 1, 0x82, 8, 0xf6]),
            ("low-rank:0-4", &[0x82, 1, 0x82, 0, 4]),
            ("personal:1", &[0x82, 2, 1]),
        ] {
            let way = Way::parse(text, &mlp()).unwrap().unwrap();
            way.check(&mlp(), &TRAIN).unwrap();
            assert_eq!(way.to_string(), text);
            assert_eq!(minicbor::to_vec(&way).unwrap(), bytes, "{text}");
            assert_eq!(minicbor::decode::<Way>(bytes).unwrap(), way);
        }
        assert_eq!(Way::parse("fedavg", &mlp()), Ok(None));
        let one = |text| Way::parse(text, &mlp()).unwrap().unwrap().to_string();
        assert_eq!(one("low-rank:8"), "low-rank:8-8");
        assert_eq!(one("low-rank:33"), "low-rank:33-full");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "fedavg:1",
            "fedprox",
            "fedprox:0",
            "fedprox:17",
            "fedprox:nan",
            "fedprox:-1",
            "low-rank",
            "low-rank:",
            "low-rank:8-",
            "low-rank:+8",
            "low-rank:8-8-8",
            "low-rank:64-8",
            "low-rank:0-0",
            "low-rank:0",
            "low-rank:full-full",
            "low-rank:70000",
            "personal:0",
            "personal:2",
            "personal:256",
            "personal:-1",
        ] {
            assert!(Way::parse(text, &mlp()).is_err(), "{text}");
        }
        let proximal = |mu| Way::Proximal { mu }.check(&mlp(), &TRAIN);
        assert_eq!(proximal(0), Err(WayError::Mu(0)));
        assert_eq!(proximal(MAX_MU + 1), Err(WayError::Mu(MAX_MU + 1)));
        assert_eq!(proximal(MAX_MU), Ok(()));
        let fast = TrainSpec {
            learning_rate: (1 << 12) + 1,
            ..TRAIN
        };
        assert_eq!(
            Way::Proximal { mu: MAX_MU }.check(&mlp(), &fast),
            Err(WayError::Pull)
        );
        let slow = TrainSpec {
            learning_rate: 1,
            ..TRAIN
        };
        assert_eq!(
            Way::Proximal { mu: 1 }.check(&mlp(), &slow),
            Err(WayError::Pull)
        );
        let images: ModelSpec = "cnn:8x8x1-8k3-9-10".parse().unwrap();
        assert_eq!(
            Way::parse("low-rank:4-full-full", &images),
            Err(WayError::Convolution(images))
        );
        let way = Way::parse("low-rank:4", &images).unwrap().unwrap();
        assert_eq!(way.to_string(), "low-rank:full-4-4");
        let logistic = "logistic:64-10".parse().unwrap();
        assert!(matches!(
            Way::Personal { head: 1 }.check(&logistic, &TRAIN),
            Err(WayError::Head { layers: 1, .. })
        ));
        let hostile: [&[u8]; 6] = [
            &[0x82, 4, 1],                               // no such way
            &[0x82, 3, 1],                               // a distillation without most of it
            &[0x82, 1, 0x80],                            // no layers
            &[0x82, 1, 0x9b, 0xff, 0, 0, 0, 0, 0, 0, 0], // more layers than there is memory
            &[0x82, 1, 0x81, 0x1a, 0, 1, 0, 0],          // a rank of 17 bits
            &[0x82, 1, 0x9f, 8, 0xff],                   // indefinite length
        ];
        for bytes in hostile {
            assert!(minicbor::decode::<Way>(bytes).is_err(), "{bytes:?}");
        }
    }
}
