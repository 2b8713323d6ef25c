//! The hand-written digits that are built in (`data/README.md`): so that a demonstration runs anywhere.

use super::{CsvAnswers, CsvFormat, DataError, LabelColumn, Split, read_csv};

const DIGITS: &str = include_str!("../../../data/digits.csv");

/// Every fifth image, from the fifth, is a test image.
const TEST_EVERY: u32 = 5;

/// 1,797 images of 8 x 8 pixels in 17 shades (0 to 1 in sixteenths), ten classes: 1,438 to learn from and 359 to
/// judge with, a fixed split.
///
/// # Errors
/// Never, for the file that is built in; a test reads it.
pub fn digits() -> Result<Split, DataError> {
    let format = CsvFormat {
        inputs: 64,
        answers: CsvAnswers::Label { classes: 10 },
        fraction_bits: 0,
        scale_bits: 4,
        label: LabelColumn::Last,
        header: false,
        max_samples: 1797,
    };
    let all = read_csv(DIGITS.as_bytes(), &format)?;
    let samples = 0..u32::try_from(all.len()).unwrap_or(0);
    let (test, train): (Vec<u32>, Vec<u32>) =
        samples.partition(|sample| sample % TEST_EVERY == TEST_EVERY - 1);
    Ok(Split {
        train: all.subset(&train)?,
        test: all.subset(&test)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_fixed() {
        let Split { train, test } = digits().unwrap();
        assert_eq!((train.len(), test.len()), (1438, 359));
        assert_eq!((train.inputs(), train.exponent()), (64, 4));
        assert_eq!(train.labels()[..6], [0, 1, 2, 3, 5, 6]);
        assert_eq!(test.labels()[..2], [4, 9]);
        assert!((0..train.len()).all(|sample| {
            train
                .row(sample)
                .iter()
                .all(|pixel| (0..=16).contains(pixel))
        }));
    }
}
