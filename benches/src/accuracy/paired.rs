//! The mean of paired differences, with its confidence interval.

use serde::Serialize;

/// Quantiles of Student's t distribution at 97.5 %, for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2).
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// Differences between two that were measured together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Their mean.
    pub mean: f64,
    /// Where the true mean is, with 95 % confidence: `mean +- t s / sqrt(n)`.
    pub interval: (f64, f64),
    /// All of them.
    pub values: Vec<f64>,
}

impl Paired {
    /// Of two to 31 differences; nothing of others.
    #[must_use]
    pub fn of(values: Vec<f64>) -> Option<Self> {
        let student = STUDENT.get(values.len().checked_sub(2)?)?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let half = student * (squares / (n - 1.0) / n).sqrt();
        Some(Self {
            mean,
            interval: (mean - half, mean + half),
            values,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_known() {
        // Mean 2, deviation sqrt(2.5): 2.776 * sqrt(0.5) on either side.
        let found = Paired::of(vec![0.0, 1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(found.mean, 2.0);
        assert!((found.interval.0 - 0.037_07).abs() < 1e-4, "{found:?}");
        assert!((found.interval.1 - 3.962_93).abs() < 1e-4, "{found:?}");
        let same = Paired::of(vec![1.5; 31]).unwrap();
        assert_eq!(same.interval, (1.5, 1.5));
    }

    #[test]
    fn one_difference_has_no_interval() {
        assert_eq!(Paired::of(vec![]), None);
        assert_eq!(Paired::of(vec![1.0]), None);
        assert_eq!(Paired::of(vec![1.0; 32]), None);
        assert!(STUDENT.is_sorted_by(|a, b| a > b));
    }
}
