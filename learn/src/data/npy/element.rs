//! The elements of an NPY file, and from them to fixed point, exactly.

/// The type of an array's elements; little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    I64,
    F32,
    F64,
}

/// An element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    /// An `f32` is the same number as an `f64`.
    Float(f64),
}

impl Element {
    /// By NumPy's name, such as `<f4`.
    pub(super) fn named(descr: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "has elements of type `{}`: save it as one of u1, i1, u2, i2, u4, i4, i8, f4, f8",
                descr.chars().take(16).collect::<String>()
            )
        };
        let mut rest = descr.chars();
        let order = rest.next().filter(|order| "<>|=".contains(*order));
        let order = order.ok_or_else(unknown)?;
        let element = match rest.as_str() {
            "u1" => return Ok(Self::U8),
            "i1" => return Ok(Self::I8),
            "u2" => Self::U16,
            "i2" => Self::I16,
            "u4" => Self::U32,
            "i4" => Self::I32,
            "i8" => Self::I64,
            "f4" => Self::F32,
            "f8" => Self::F64,
            "O" => return Err("holds Python objects: save one plain array of numbers".into()),
            _ => return Err(unknown()),
        };
        match order {
            '<' => Ok(element),
            '>' => Err(format!(
                "is big-endian: save it with astype('<{}')",
                rest.as_str()
            )),
            _ => Err(unknown()),
        }
    }

    /// Bytes of one.
    pub(super) fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// From its bytes, as many as [`Element::size`] says, as the low end of eight.
    pub(super) fn number(self, bytes: [u8; 8]) -> Number {
        let [a, b, c, d, ..] = bytes;
        Number::Integer(match self {
            Self::U8 => a.into(),
            Self::I8 => i8::from_le_bytes([a]).into(),
            Self::U16 => u16::from_le_bytes([a, b]).into(),
            Self::I16 => i16::from_le_bytes([a, b]).into(),
            Self::U32 => u32::from_le_bytes([a, b, c, d]).into(),
            Self::I32 => i32::from_le_bytes([a, b, c, d]).into(),
            Self::I64 => i64::from_le_bytes(bytes),
            Self::F32 => return Number::Float(f32::from_le_bytes([a, b, c, d]).into()),
            Self::F64 => return Number::Float(f64::from_le_bytes(bytes)),
        })
    }
}

impl Number {
    /// The number times `2^fraction_bits`, rounded to nearest, ties to even. `fraction_bits` is at most 15.
    pub(super) fn fixed(self, fraction_bits: u8) -> Result<i16, String> {
        let fixed = match self {
            Self::Integer(value) => value
                .checked_mul(1 << fraction_bits)
                .and_then(|value| i16::try_from(value).ok()),
            Self::Float(value) if !value.is_finite() => {
                return Err(format!("{value} is not a finite number"));
            }
            Self::Float(value) => float(value, fraction_bits),
        };
        fixed.ok_or_else(|| match self {
            Self::Integer(value) => format!("{value} is out of range"),
            Self::Float(value) => format!("{value:e} is out of range"),
        })
    }
}

/// [`Number::fixed`] of a finite number, from its bits.
fn float(value: f64, fraction_bits: u8) -> Option<i16> {
    let bits = value.to_bits();
    let (exponent, fraction) = (bits >> 52 & 0x7ff, bits & ((1 << 52) - 1));
    // value = mantissa * 2^(exponent - 1075), with the mantissa below 2^53; numbers with exponent 0 have no implicit bit.
    let mantissa = if exponent == 0 {
        fraction
    } else {
        fraction | 1 << 52
    };
    let shift = 1075 - exponent.max(1) as i64 - i64::from(fraction_bits);
    let magnitude = match shift {
        // Below one half.
        54.. => 0,
        1..54 => {
            let (whole, rest) = (mantissa >> shift, mantissa & ((1 << shift) - 1));
            let half = 1 << (shift - 1);
            whole + u64::from(rest > half || (rest == half && whole & 1 == 1))
        }
        // At least 2^52.
        _ => return None,
    };
    let magnitude = i64::try_from(magnitude).ok()?;
    i16::try_from(if value < 0.0 { -magnitude } else { magnitude }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_numbers() {
        for (value, bits, fixed) in [
            (0.0, 15, Some(0)),
            (-0.0, 15, Some(0)),
            (0.5, 0, Some(0)),
            (1.5, 0, Some(2)),
            (2.5, 0, Some(2)),
            (-2.5, 0, Some(-2)),
            (-0.5, 1, Some(-1)),
            (1.0, 15, None),
            (-1.0, 15, Some(i16::MIN)),
            (32767.49, 0, Some(i16::MAX)),
            (32767.5, 0, None),
            (-32768.5, 0, Some(i16::MIN)),
            (-32768.51, 0, None),
            (f64::MAX, 0, None),
            (f64::MIN, 15, None),
            (f64::MIN_POSITIVE, 15, Some(0)),
            (5e-324, 15, Some(0)),
            // The nearest number below one half rounds down, although adding a half to it does not.
            (0.499_999_999_999_999_94, 0, Some(0)),
        ] {
            assert_eq!(Number::Float(value).fixed(bits).ok(), fixed, "{value}");
        }
        for (value, bits, fixed) in [
            (1, 14, Some(1 << 14)),
            (-2, 14, Some(i16::MIN)),
            (2, 14, None),
            (i64::MAX, 15, None),
            (i64::MIN, 0, None),
        ] {
            assert_eq!(Number::Integer(value).fixed(bits).ok(), fixed, "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = Number::Float(value).fixed(3).unwrap_err();
            assert!(error.ends_with("is not a finite number"), "{error}");
        }
    }

    proptest! {
        /// Scaling by a power of two is exact in floats, and so is rounding: they are the definition here.
        #[test]
        fn any_float_is_rounded_to_nearest_even(bits: u64, near in -40_000.0f64..40_000.0, fraction in 0u8..=15) {
            let scale = 2f64.powi(fraction.into());
            for value in [f64::from_bits(bits), near, near / scale, near.round() / (2.0 * scale)] {
                prop_assume!(value.is_finite());
                let rounded = (value * scale).round_ties_even();
                let expected = (-32768.0..=32767.0).contains(&rounded).then_some(rounded as i16);
                prop_assert_eq!(Number::Float(value).fixed(fraction).ok(), expected, "{}", value);
            }
        }

        #[test]
        fn integers_are_read_as_written(value: i64) {
            let bytes = value.to_le_bytes();
            let wide = |narrow: i64| Number::Integer(narrow);
            prop_assert_eq!(Element::I64.number(bytes), wide(value));
            prop_assert_eq!(Element::I32.number(bytes), wide((value as i32).into()));
            prop_assert_eq!(Element::U32.number(bytes), wide((value as u32).into()));
            prop_assert_eq!(Element::I16.number(bytes), wide((value as i16).into()));
            prop_assert_eq!(Element::U16.number(bytes), wide((value as u16).into()));
            prop_assert_eq!(Element::I8.number(bytes), wide((value as i8).into()));
            prop_assert_eq!(Element::U8.number(bytes), wide((value as u8).into()));
        }
    }
}
