//! Rates of the discrete Gaussians beside OpenDP's exact sampler, in one run and one thread.

use dawn_crypto::backend;
use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::noise::NoiseStream;
use dawn_crypto::params::Sigma;
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

/// One exact sample of OpenDP's (Canonne, Kamath, Steinke 2020).
pub fn opendp(sigma: Sigma) -> i64 {
    let scale = sigma.to_f64().try_into().expect("a deviation is finite");
    let sample = opendp::traits::samplers::sample_discrete_gaussian(scale);
    i64::try_from(sample.expect("the system's generator works")).expect("within 2^63")
}

/// A sampler's rate beside the exact one's: medians, in nanoseconds a sample.
#[derive(Clone, Debug, Serialize)]
pub struct Rates {
    /// The deviation.
    pub sigma: f64,
    /// The backend that sampled.
    pub backend: &'static str,
    /// Ours, its random bytes included.
    pub ns: f64,
    /// OpenDP's.
    pub opendp_ns: f64,
    /// How many times faster ours is.
    pub speedup: f64,
}

/// Measures the sampler of `sigma` on this thread's backend; the two take turns.
pub fn rates(sigma: Sigma) -> Rates {
    const OURS: usize = 1 << 16;
    const EXACT: usize = 1 << 10;
    let sampler = Gaussian::new(sigma);
    let mut noise = NoiseStream::from_seed(&[1; 32]);
    let mut out = vec![0; OURS];
    let (mut ours, mut exact) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        let began = Instant::now();
        sampler.fill(&mut noise, black_box(&mut out));
        ours.push(began.elapsed().as_secs_f64() * 1e9 / OURS as f64);
        let began = Instant::now();
        for _ in 0..EXACT {
            black_box(opendp(sigma));
        }
        exact.push(began.elapsed().as_secs_f64() * 1e9 / EXACT as f64);
    }
    let (ns, opendp_ns) = (crate::core::median(ours), crate::core::median(exact));
    Rates {
        sigma: sigma.to_f64(),
        backend: backend::current().name(),
        ns,
        opendp_ns,
        speedup: opendp_ns / ns,
    }
}
