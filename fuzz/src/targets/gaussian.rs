//! Samplers: whatever bytes the generator gives, no sample is beyond the stated bound, and every backend draws the
//! same from the same bytes.

use std::convert::Infallible;

use arbitrary::{Result, Unstructured};
use dawn_crypto::backend::{self, BackendKind};
use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::params::{Parameters, Sigma};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};

/// Input: a deviation, a number of samples, then the generator's first bytes.
pub fn gaussian(data: &[u8]) -> bool {
    run(&mut Unstructured::new(data)).unwrap_or(false)
}

fn run(input: &mut Unstructured<'_>) -> Result<bool> {
    let units = match input.int_in_range(0..=3)? {
        0 => Sigma::KEY.get(),
        1 => Sigma::ERROR_MIN.get(),
        2 => input.int_in_range(Sigma::MIN.get()..=9 << 16)?,
        _ => input.arbitrary::<u64>()? >> input.int_in_range(0..=63)?,
    };
    let Ok(sigma) = Sigma::new(units) else {
        assert!(!(Sigma::MIN.get()..=Sigma::MAX.get()).contains(&units));
        return Ok(false);
    };
    let strong = Parameters::with_error(sigma).is_ok();
    assert_eq!(strong, sigma >= Sigma::ERROR_MIN);
    let count = input.int_in_range(0..=600)?;
    let first = input.peek_bytes(input.len()).unwrap_or_default();
    let sampler = Gaussian::new(sigma);
    let draw = || {
        let mut generator = Recorded {
            first,
            then: ChaCha20Rng::seed_from_u64(units),
        };
        sampler.sample_vec(count, &mut generator).to_vec()
    };
    let samples = backend::with(BackendKind::Portable, draw).expect("always there");
    for kind in BackendKind::ALL.into_iter().skip(1) {
        if let Ok(other) = backend::with(kind, draw) {
            assert_eq!(other, samples, "{kind} draws others");
        }
    }
    // In units of 2^-16, as the deviation.
    let bound = u128::from(Gaussian::MAX_DEVIATIONS) * u128::from(units);
    for sample in samples {
        assert!(
            u128::from(sample.unsigned_abs()) << 16 < bound,
            "{sample} at {units}"
        );
    }
    Ok(true)
}

/// A generator that begins as it is told.
struct Recorded<'a> {
    first: &'a [u8],
    then: ChaCha20Rng,
}

impl TryRng for Recorded<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> std::result::Result<u32, Infallible> {
        let mut le = [0; 4];
        self.try_fill_bytes(&mut le)?;
        Ok(u32::from_le_bytes(le))
    }

    fn try_next_u64(&mut self) -> std::result::Result<u64, Infallible> {
        let mut le = [0; 8];
        self.try_fill_bytes(&mut le)?;
        Ok(u64::from_le_bytes(le))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> std::result::Result<(), Infallible> {
        let told = out.len().min(self.first.len());
        let (now, later) = self.first.split_at(told);
        out[..told].copy_from_slice(now);
        self.first = later;
        self.then.fill_bytes(&mut out[told..]);
        Ok(())
    }
}

impl TryCryptoRng for Recorded<'_> {}
