//! Everything that a device does for its one message: key, noise, mask, digest, norm proof, shares, proof of their
//! consistency, sealing to six stewards, signature. Beside it, in turns, masking alone.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dawn_crypto::backend::{self, BackendKind};
use rand_core::Rng;
use serde::Serialize;

use crate::core::{BenchError, Operation, Subject, median};
use crate::scene::Scene;

const STEWARDS: u8 = 6;
/// Rows of the norm proof.
const ROWS: u16 = 256;

/// A device in front of an open round, with its update.
pub struct Device {
    scene: Scene,
    update: Vec<i32>,
}

impl Device {
    /// A round whose model has `dim` parameters, or the next number below that is that of a model.
    ///
    /// # Panics
    /// For fewer than 4 coordinates, or more than 2^24.
    pub fn new(dim: usize) -> Device {
        let mut scene = Scene::new(dim, STEWARDS, ROWS).expect("a round of a valid dimension");
        let update = (0..scene.open.dimension().coordinates())
            .map(|_| (scene.rng.next_u32() % 3) as i32 - 1)
            .collect();
        Device { scene, update }
    }

    /// Coordinates of the model.
    pub fn dim(&self) -> usize {
        self.update.len()
    }

    /// One submission, as the bytes that are sent.
    pub fn prepare(&mut self) -> Vec<u8> {
        let submission = self.scene.prepare(&self.update);
        submission.expect("the update fits the task").into_bytes()
    }
}

/// A measurement: medians, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Prepared {
    /// Coordinates, d.
    pub dim: usize,
    /// The backend that computed.
    pub backend: &'static str,
    /// Stewards that the key is shared among.
    pub stewards: u8,
    /// Bytes of the submission.
    pub bytes: usize,
    /// Preparing one submission.
    pub ms: f64,
    /// [`Operation::Mask`] alone.
    pub mask_ms: f64,
    /// The one over the other.
    pub ratio: f64,
}

/// Measures a device with `dim` coordinates, on `backend` or the one of the process.
///
/// # Errors
/// [`BenchError`].
pub fn measure(dim: usize, backend: Option<BackendKind>) -> Result<Prepared, BenchError> {
    // The smallest model of a task has four parameters.
    let dim = dim.max(4);
    let kind = match backend {
        Some(kind) => kind,
        None => backend::choose().map_err(BenchError::Backend)?,
    };
    let mut subject = Subject::new(dim)?;
    let here = || {
        let mut device = Device::new(dim);
        let (mut all, mut mask) = (Vec::new(), Vec::new());
        let bytes = device.prepare().len();
        let began = Instant::now();
        while all.len() < 7 || (all.len() < 200 && began.elapsed() < Duration::from_secs(3)) {
            let started = Instant::now();
            black_box(device.prepare());
            all.push(started.elapsed().as_secs_f64() * 1e3);
            let started = Instant::now();
            subject.run(Operation::Mask);
            mask.push(started.elapsed().as_secs_f64() * 1e3);
        }
        let (ms, mask_ms) = (median(all), median(mask));
        Prepared {
            dim: device.dim(),
            backend: backend::current().name(),
            stewards: STEWARDS,
            bytes,
            ms,
            mask_ms,
            ratio: ms / mask_ms,
        }
    };
    backend::with(kind, here).map_err(BenchError::Backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submissions_of_the_asked_for_size_are_prepared() {
        for (dim, of_a_model) in [(0, 4), (5, 4), (5000, 5000)] {
            let got = measure(dim, Some(BackendKind::Portable)).expect("measures");
            assert_eq!((got.dim, got.backend), (of_a_model, "portable"));
            assert!(got.ms > 0.0 && got.mask_ms > 0.0);
            assert!(got.bytes > 4 * 2048 * (of_a_model.div_ceil(2048) + 1));
        }
        assert!(measure((1 << 24) + 1, None).is_err());
    }
}
