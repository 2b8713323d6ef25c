//! Masking, adding and unmasking one vector, in one thread.
//!
//! The limits are what no implementation of this design can go below: AES-128 in counter mode of 4d bytes
//! (the matrix), BLAKE3 of 4d bytes (the digest), and one addition of d words of 32 bits. Operations and
//! limits take turns, so that both see the same machine; every figure is a median.

use aes::Aes128;
use ctr::Ctr64LE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use dawn_crypto::backend::{self, BackendError, BackendKind};
use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::mask::{self, KeySum, MaskKey, PublicMatrix};
use dawn_crypto::noise::NoiseStream;
use dawn_crypto::params::{Dimension, N, ParameterError, Sigma};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde::Serialize;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sampling key and error, masking one update, its digest. Ratio: to AES, BLAKE3 and the addition together.
    Mask,
    /// Adding one masked vector to the running sum. Ratio: to the plain addition.
    Aggregate,
    /// Unmasking the whole sum. Ratio: to masking one update.
    Unmask,
}

/// A measurement and its limits: medians, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Coordinates, d.
    pub dim: usize,
    /// The backend that computed.
    pub backend: &'static str,
    /// The operation.
    pub ms: f64,
    /// AES-128 in counter mode, 4d bytes.
    pub aes_ms: f64,
    /// BLAKE3, 4d bytes.
    pub blake3_ms: f64,
    /// One plain addition of d words of 32 bits.
    pub add_ms: f64,
    /// The operation over its limit (see [`Operation`]).
    pub ratio: f64,
}

/// Why nothing was measured.
#[derive(Debug)]
pub enum BenchError {
    /// No vector has this dimension.
    Dimension(ParameterError),
    /// The backend cannot be had.
    Backend(BackendError),
}

impl std::fmt::Display for BenchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BenchError::Dimension(error) => error.fmt(f),
            BenchError::Backend(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BenchError {}

/// Everything that one vector's round needs, made beforehand.
pub struct Subject {
    dim: Dimension,
    matrix: PublicMatrix,
    sigma: Gaussian,
    update: Vec<i32>,
    payload: Vec<u32>,
    sum: Vec<u32>,
    key_sum: KeySum,
    plain: (Vec<u32>, Vec<u32>),
    bytes: Vec<u8>,
    rng: ChaCha20Rng,
}

impl Subject {
    /// A vector of `dim` coordinates.
    ///
    /// # Errors
    /// [`BenchError::Dimension`].
    pub fn new(dim: usize) -> Result<Subject, BenchError> {
        let dim = Dimension::new(dim).map_err(BenchError::Dimension)?;
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let d = dim.coordinates();
        let update = (0..d)
            .map(|_| (rng.next_u32() & 0xffff) as i32 - 0x8000)
            .collect();
        let mut coefficients = [0; N];
        dawn_crypto::expand::uniform(&mut rng, &mut coefficients);
        let words = |rng: &mut ChaCha20Rng, len: usize| {
            let mut words = vec![0; len];
            dawn_crypto::expand::uniform(rng, &mut words);
            words
        };
        Ok(Subject {
            matrix: PublicMatrix::from_seed(&[7; 32]),
            sigma: Gaussian::new(Sigma::ERROR_MIN),
            update,
            payload: words(&mut rng, dim.padded()),
            sum: words(&mut rng, dim.padded()),
            key_sum: KeySum::from_coefficients(coefficients),
            plain: (words(&mut rng, d), words(&mut rng, d)),
            bytes: vec![0; 4 * d],
            rng,
            dim,
        })
    }

    /// One operation.
    pub fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Mask => {
                let mut noise = NoiseStream::new(&mut self.rng);
                let key = MaskKey::sample(&mut noise);
                let (dim, x, sigma) = (&self.dim, &self.update, &self.sigma);
                let masked = mask::mask_once(&self.matrix, &key, dim, x, sigma, &mut noise, |v| {
                    black_box(v);
                });
                let _ = black_box(masked);
            }
            Operation::Aggregate => {
                mask::add_assign(&mut self.sum, &self.payload);
                black_box(&mut self.sum);
            }
            Operation::Unmask => {
                let opened = mask::unmask(&self.matrix, &self.dim, &self.sum, &self.key_sum);
                let _ = black_box(opened);
            }
        }
    }

    /// AES-128 in counter mode, 4d bytes.
    pub fn run_aes(&mut self) {
        let mut cipher = Ctr64LE::<Aes128>::new(&[3; 16].into(), &[0; 16].into());
        cipher.apply_keystream(&mut self.bytes);
        black_box(&mut self.bytes);
    }

    /// BLAKE3, 4d bytes.
    pub fn run_blake3(&mut self) {
        black_box(blake3::hash(&self.bytes));
    }

    /// One plain addition of d words.
    pub fn run_add(&mut self) {
        for (sum, term) in self.plain.0.iter_mut().zip(&self.plain.1) {
            *sum = sum.wrapping_add(*term);
        }
        black_box(&mut self.plain);
    }
}

/// Measures `operation` with `dim` coordinates, on `backend` or the one of the process.
///
/// # Errors
/// [`BenchError`].
pub fn measure(
    operation: Operation,
    dim: usize,
    backend: Option<BackendKind>,
) -> Result<Measured, BenchError> {
    let kind = match backend {
        Some(kind) => kind,
        None => backend::choose().map_err(BenchError::Backend)?,
    };
    backend::with(kind, || measure_here(operation, dim)).map_err(BenchError::Backend)?
}

/// Longest that one measurement takes, unless its fewest rounds take longer.
const LONGEST: Duration = Duration::from_secs(3);

fn measure_here(operation: Operation, dim: usize) -> Result<Measured, BenchError> {
    const ROUNDS: std::ops::Range<usize> = 7..201;
    let mut subject = Subject::new(dim)?;
    let mut times: [Vec<f64>; 5] = Default::default();
    let began = Instant::now();
    // The first round only warms up.
    for round in 0.. {
        let enough = round > ROUNDS.start && began.elapsed() > LONGEST;
        if enough || round >= ROUNDS.end {
            break;
        }
        let mut time = |at: usize, work: &mut dyn FnMut(&mut Subject)| {
            let started = Instant::now();
            work(&mut subject);
            if round > 0 {
                times[at].push(started.elapsed().as_secs_f64() * 1e3);
            }
        };
        time(0, &mut |s| s.run(operation));
        time(1, &mut Subject::run_aes);
        time(2, &mut Subject::run_blake3);
        time(3, &mut Subject::run_add);
        if operation == Operation::Unmask {
            time(4, &mut |s| s.run(Operation::Mask));
        }
    }
    let [ms, aes_ms, blake3_ms, add_ms, mask_ms] = times.map(median);
    let limit = match operation {
        Operation::Mask => aes_ms + blake3_ms + add_ms,
        Operation::Aggregate => add_ms,
        Operation::Unmask => mask_ms,
    };
    Ok(Measured {
        dim,
        backend: backend::current().name(),
        ms,
        aes_ms,
        blake3_ms,
        add_ms,
        ratio: ms / limit,
    })
}

pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_what_is_measured() {
        for operation in [Operation::Mask, Operation::Aggregate, Operation::Unmask] {
            let got = measure(operation, 5000, Some(BackendKind::Portable)).expect("measures");
            assert_eq!((got.dim, got.backend), (5000, "portable"));
            assert!(got.ms > 0.0 && got.aes_ms > 0.0 && got.blake3_ms > 0.0 && got.ratio > 0.0);
        }
        assert!(measure(Operation::Mask, 0, None).is_err());
        for kind in BackendKind::ALL {
            let result = measure(Operation::Aggregate, 1, Some(kind));
            assert_eq!(result.is_ok(), kind.is_supported(), "{kind}");
        }
    }
}
