//! Seven shoulder exercises from a smartwatch: ten people, both arms, six axes of motion at 50 Hz (`dawn data fetch watch`).
//!
//! A recording is cut into windows of two seconds, one every second, and of a window 63 numbers describe what the wrist does. All of it
//! in integers, so that everybody makes the same features of the same file.

use super::npy::{self, Table};
use super::{DataError, Dataset, Split};
use std::path::Path;

/// What is exercised, by label: pendulum, abduction, forward elevation, internal and external rotation, trapezius extension, rowing.
pub const WATCH_ACTIVITIES: [&str; 7] = ["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"];
/// Features of a window: eight of each axis, and a correlation of each pair of axes.
pub const WATCH_INPUTS: usize = AXES * OF_AXIS + AXES * (AXES - 1) / 2;

/// Acceleration along three axes, in units of gravity, then turning about them, in radians a second.
const AXES: usize = 6;
const OF_AXIS: usize = 8;
/// Readings of a window, and from one to the next.
const WINDOW: usize = 100;
const STEP: usize = 50;
/// Readings are read with this many fraction bits: up to 32.
const READING_BITS: u8 = 10;
/// Features are between -8 and 8.
const EXPONENT: u8 = 12;
/// A reading in units of a feature: half the acceleration, and a quarter of the turning.
const SCALE: [i64; AXES] = [2, 2, 2, 1, 1, 1];
/// Most of both, far beyond what there is.
const MAX_READINGS: usize = 1 << 22;
const MAX_RECORDINGS: usize = 1 << 12;

/// The file of readings (`f8`, readings x 6 axes), one recording after the other.
const READINGS: &str = "readings.npy";
/// The file of recordings (`i4`, recordings x 4): number of readings, activity, person, arm.
const RECORDINGS: &str = "recordings.npy";

/// Where the watch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    /// On the left wrist.
    Left,
    /// On the right wrist.
    Right,
}

/// Whose window it is, and from which part of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The person, 1 to 10.
    pub person: u8,
    /// The arm.
    pub arm: Arm,
    /// Whether the window lies in the last fifth of its recording: to judge with, for a model that has learnt from this person. No
    /// reading is both in such a window and in another one.
    pub late: bool,
}

/// All windows: by person, by arm, by activity, then in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// One sample for each; the label is the place in [`WATCH_ACTIVITIES`].
    pub windows: Dataset,
    /// Where each comes from.
    pub origins: Vec<Origin>,
}

impl Watch {
    /// The windows whose origin is wanted.
    #[must_use]
    pub fn select(&self, wanted: impl Fn(&Origin) -> bool) -> Vec<u32> {
        let chosen = (0u32..).zip(&self.origins).filter(|(_, o)| wanted(o));
        chosen.map(|(sample, _)| sample).collect()
    }

    /// The early windows of everybody to learn from, the late ones to judge with.
    ///
    /// # Errors
    /// Never, for what [`watch`] has read.
    pub fn split(&self) -> Result<Split, DataError> {
        Ok(Split {
            train: self.windows.subset(&self.select(|origin| !origin.late))?,
            test: self.windows.subset(&self.select(|origin| origin.late))?,
        })
    }
}

/// Reads the folder that `dawn data fetch watch` makes.
///
/// # Errors
/// The files are not there (the message says how to get them), or are wrong.
pub fn watch(folder: &Path) -> Result<Watch, DataError> {
    let (readings, recordings) = (folder.join(READINGS), folder.join(RECORDINGS));
    if !readings.is_file() || !recordings.is_file() {
        return Err(DataError::NotFetched {
            data: "the watch data",
            folder: folder.display().to_string(),
            name: "watch",
        });
    }
    let open = |path: &Path, columns, most| {
        let name = path.display().to_string();
        let table = Table::open(&name, npy::open(path)?, most)?;
        if table.columns != columns {
            let what = format!("has {} columns instead of {columns}", table.columns);
            return Err(DataError::Npy { file: name, what });
        }
        Ok(table)
    };
    let table = open(&readings, AXES, MAX_READINGS)?.fixed(READING_BITS)?;
    let list = open(&recordings, 4, MAX_RECORDINGS)?.integers(0, MAX_READINGS as i64)?;
    windows(&table, &list).map_err(|what| DataError::Npy {
        file: recordings.display().to_string(),
        what,
    })
}

fn windows(readings: &[i16], recordings: &[i64]) -> Result<Watch, String> {
    let (readings, _) = readings.as_chunks::<AXES>();
    let (recordings, _) = recordings.as_chunks::<4>();
    let (mut features, mut labels, mut origins) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = readings;
    for (row, &[length, activity, person, arm]) in recordings.iter().enumerate() {
        let wrong = |what: &str| format!("row {}: {what}", row + 1);
        if activity >= WATCH_ACTIVITIES.len() as i64 {
            return Err(wrong("there is no such activity"));
        }
        let person = u8::try_from(person).map_err(|_| wrong("there is no such person"))?;
        let arm = match arm {
            0 => Arm::Left,
            1 => Arm::Right,
            _ => return Err(wrong("there is no such arm")),
        };
        let length = usize::try_from(length).ok();
        let Some((recording, others)) = length.and_then(|l| rest.split_at_checked(l)) else {
            return Err(wrong("there are not as many readings"));
        };
        rest = others;
        let (early, late) = recording.split_at(recording.len() / 5 * 4);
        for (part, late) in [(early, false), (late, true)] {
            for window in part.windows(WINDOW).step_by(STEP) {
                features.extend(describe(window));
                labels.push(activity as u8);
                origins.push(Origin { person, arm, late });
            }
        }
    }
    if !rest.is_empty() {
        return Err(format!("{} readings belong to no recording", rest.len()));
    }
    let windows = Dataset::new(features, WATCH_INPUTS, EXPONENT, labels);
    Ok(Watch {
        windows: windows.map_err(|error| error.to_string())?,
        origins,
    })
}

/// Of each axis the mean, standard deviation, least, lower quartile, median, upper quartile, largest, and four times the mean change
/// between readings; then the correlation of each pair of axes, in units of one. What is beyond an `i16` is its end.
fn describe(window: &[[i16; AXES]]) -> [i16; WATCH_INPUTS] {
    let n = window.len() as i64;
    // At most 2^16 in magnitude: with 100 readings every product of sums is below 2^46, times 2^12 below 2^58.
    let axes: [Vec<i64>; AXES] = core::array::from_fn(|axis| {
        let values = window.iter().map(|r| i64::from(r[axis]) * SCALE[axis]);
        values.collect()
    });
    let sums: [i64; AXES] = core::array::from_fn(|axis| axes[axis].iter().sum());
    // n^2 times the covariance.
    let covariance = |a: usize, b: usize| {
        let products = axes[a].iter().zip(&axes[b]).map(|(x, y)| x * y);
        n * products.sum::<i64>() - sums[a] * sums[b]
    };
    // n times the standard deviation.
    let deviations: [i64; AXES] = core::array::from_fn(|axis| covariance(axis, axis).isqrt());
    let mut features = Vec::with_capacity(WATCH_INPUTS);
    for (axis, values) in axes.iter().enumerate() {
        let change: i64 = values
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).abs())
            .sum();
        let mut sorted = values.clone();
        sorted.sort_unstable();
        let at = |quarter: usize| sorted[(quarter * sorted.len() / 4).min(sorted.len() - 1)];
        features.extend([divide(sums[axis], n), divide(deviations[axis], n)]);
        features.extend([at(0), at(1), at(2), at(3), at(4)]);
        features.push(divide(4 * change, n - 1));
    }
    for a in 0..AXES {
        for b in a + 1..AXES {
            // An axis that hardly moves has no direction: its deviation counts as a thousandth at least.
            let deviation = |axis: usize| deviations[axis].max(n << EXPONENT >> 10);
            let correlation = divide(covariance(a, b) << EXPONENT, deviation(a) * deviation(b));
            // Deviations are rounded down.
            features.push(correlation.clamp(-(1 << EXPONENT), 1 << EXPONENT));
        }
    }
    core::array::from_fn(|place| features[place].clamp(i16::MIN.into(), i16::MAX.into()) as i16)
}

/// To nearest, ties upwards; the divisor is positive.
fn divide(value: i64, by: i64) -> i64 {
    (2 * value + by).div_euclid(2 * by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_do_not_cross_recordings_or_parts() {
        // 400 early readings and 100 late ones; then too few for any window.
        let mut readings = vec![0; 400 * AXES];
        readings.extend([100; 100 * AXES]);
        readings.extend([7; 99 * AXES]);
        let found = windows(&readings, &[500, 3, 2, 1, 99, 1, 9, 0]).unwrap();
        assert_eq!(found.windows.labels(), [3; 8]);
        let late: Vec<bool> = found.origins.iter().map(|origin| origin.late).collect();
        assert_eq!(late, [[false; 7].as_slice(), &[true]].concat());
        assert!(
            found
                .origins
                .iter()
                .all(|o| (o.person, o.arm) == (2, Arm::Right))
        );
        assert_eq!(found.windows.row(6), [0; WATCH_INPUTS]);
        assert_eq!(found.windows.row(7)[..2], [200, 0]);
        assert_eq!(found.select(|origin| origin.late), [7]);
        let split = found.split().unwrap();
        assert_eq!((split.train.len(), split.test.len()), (7, 1));
    }

    #[test]
    fn a_window_is_described() {
        // The first axis counts up, the fourth down, the others stand still.
        let window: Vec<[i16; AXES]> = (0..100).map(|i| [i, 5, 0, -i, 0, 0]).collect();
        let features = describe(&window);
        // 2 i: mean 99, deviation 2 sqrt((100^2 - 1) / 12) = 57.7, change 2.
        assert_eq!(features[..8], [99, 58, 0, 50, 100, 150, 198, 8]);
        assert_eq!(features[8..16], [10, 0, 10, 10, 10, 10, 10, 0]);
        assert_eq!(features[24..32], [-49, 29, -99, -74, -49, -24, 0, 4]);
        let correlations = &features[48..];
        assert_eq!(correlations[2], -(1 << EXPONENT));
        assert!(
            correlations
                .iter()
                .enumerate()
                .all(|(pair, &c)| pair == 2 || c == 0)
        );
    }

    #[test]
    fn extremes_fit() {
        for i in [i16::MIN, i16::MAX] {
            let still = describe(&[[i; AXES]; WINDOW]);
            assert_eq!(still[0], i);
            assert_eq!(still[1], 0);
        }
        let window: Vec<[i16; AXES]> = (0..WINDOW)
            .map(|place| [if place % 2 == 0 { i16::MIN } else { i16::MAX }; AXES])
            .collect();
        let features = describe(&window);
        assert_eq!(features[7], i16::MAX);
        assert!(
            features[48..]
                .iter()
                .all(|&correlation| correlation == 1 << EXPONENT)
        );
    }

    #[test]
    fn recordings_that_do_not_fit_are_refused() {
        let readings = [0; 100 * AXES];
        for (recordings, error) in [
            ([101, 0, 1, 0], "row 1: there are not as many readings"),
            ([99, 0, 1, 0], "1 readings belong to no recording"),
            ([100, 7, 1, 0], "row 1: there is no such activity"),
            ([100, 0, 256, 0], "row 1: there is no such person"),
            ([100, 0, 1, 2], "row 1: there is no such arm"),
        ] {
            assert_eq!(windows(&readings, &recordings), Err(error.into()));
        }
    }

    #[test]
    fn an_absent_data_set_says_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = watch(folder.path()).unwrap_err().to_string();
        assert!(error.contains("dawn data fetch watch"), "{error}");
    }
}
