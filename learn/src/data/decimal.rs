//! Decimal text to fixed point, exactly: no float in between.

/// Most digits of a number, leading zeros of the whole part aside.
const MAX_DIGITS: u32 = 33;

/// `text * 2^exponent` rounded to nearest, ties to even, as an `i16`. `exponent` is at most 15.
///
/// Accepts `[+-]digits[.digits][e[+-]digits]`, also `.5` and `5.`.
pub(super) fn parse(text: &str, exponent: u8) -> Result<i16, &'static str> {
    let (negative, rest) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let (number, power) = match rest.split_once(['e', 'E']) {
        Some((number, power)) => (number, parse_power(power)?),
        None => (rest, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err("is not a decimal number");
    }
    let mut digits = 0;
    let mut value: u128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return Err("is not a decimal number");
        }
        digits += u32::from(value != 0);
        if digits > MAX_DIGITS {
            return Err("has too many digits");
        }
        value = value * 10 + u128::from(byte - b'0');
    }
    let power = power - i64::try_from(fraction.len()).map_err(|_| "has too many digits")?;
    let magnitude = scaled(value, power, exponent).ok_or("is out of range")?;
    let signed = if negative { -magnitude } else { magnitude };
    i16::try_from(signed).map_err(|_| "is out of range")
}

fn parse_power(text: &str) -> Result<i64, &'static str> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("is not a decimal number");
    }
    text.parse().map_err(|_| "is not a decimal number")
}

/// `value * 10^power * 2^exponent`, or nothing when it is far out of range. `value` is below 10^34.
fn scaled(value: u128, power: i64, exponent: u8) -> Option<i64> {
    if value == 0 {
        return Some(0);
    }
    if power >= 0 {
        let factor = 10u128.checked_pow(u32::try_from(power).ok()?)?;
        return i64::try_from(value.checked_mul(factor)?.checked_mul(1 << exponent)?).ok();
    }
    // value * 2^15 < 10^34 * 2^15 < 2^128; below 10^-38 it is less than one half.
    let Some(divisor) = u32::try_from(-power)
        .ok()
        .and_then(|power| 10u128.checked_pow(power))
    else {
        return Some(0);
    };
    let product = value << exponent;
    let (quotient, rest) = (product / divisor, product % divisor);
    let up = match rest.cmp(&(divisor - rest)) {
        core::cmp::Ordering::Less => false,
        core::cmp::Ordering::Greater => true,
        core::cmp::Ordering::Equal => quotient & 1 == 1,
    };
    i64::try_from(quotient + u128::from(up)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_exactly() {
        for (text, exponent, value) in [
            ("0", 15, 0),
            ("16", 0, 16),
            ("-1", 15, -32768),
            ("0.5", 3, 4),
            (".5", 0, 0),
            ("1.5", 0, 2),
            ("2.5", 0, 2),
            ("-2.5", 0, -2),
            ("5.", 1, 10),
            ("1e2", 0, 100),
            ("1.25E-1", 4, 2),
            ("000000000000000000000000000000000000000001", 0, 1),
            ("1e-400", 15, 0),
            ("9.999999999999999999999999999999999e-1", 3, 8),
            ("+3", 2, 12),
        ] {
            assert_eq!(parse(text, exponent), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in [
            "",
            "nan",
            "NaN",
            "inf",
            "-inf",
            "-",
            "+",
            ".",
            "1,5",
            "0x10",
            "1e",
            "1e+",
            "--1",
            "1.2.3",
            "1e9999999",
            " 1",
            "1_000",
            "١",
            "1e--3",
        ] {
            assert!(parse(text, 4).is_err(), "{text}");
        }
        for text in [
            "1e300000",
            "99999999999999999999999999999999999999999",
            "40000",
            "-32769",
            "1e30",
        ] {
            assert!(parse(text, 0).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn close_to_the_float(value in -1.9f64..1.9, exponent in 0u8..=14) {
            let found = f64::from(parse(&format!("{value:.12}"), exponent).unwrap());
            prop_assert!((found - value * 2f64.powi(exponent.into())).abs() <= 0.5 + 1e-6);
        }

        #[test]
        fn never_panics(text in "[-+0-9.eE]{0,60}") {
            let _ = parse(&text, 15);
        }
    }
}
