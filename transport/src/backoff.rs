//! When to try again: exponential backoff with full jitter.

use std::time::Duration;

use rand_core::{CryptoRng, UnwrapErr};

/// How often and how patiently a call is repeated.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included; 1 means never repeat.
    pub attempts: u32,
    /// Upper end of the first pause; it doubles with every attempt.
    pub first: Duration,
    /// Longest pause, also when the server asks for a longer one with `Retry-After`.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            first: Duration::from_millis(100),
            longest: Duration::from_secs(5),
        }
    }
}

impl RetryPolicy {
    /// Never repeats: for tests and for callers with their own loop.
    pub fn never() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }
}

/// The pauses of one call, or of a loop that must not hammer a server that is down.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts with no failures.
    pub fn new(policy: &RetryPolicy) -> Self {
        Self {
            first: policy.first,
            longest: policy.longest,
            failures: 0,
        }
    }

    /// Forgets the failures: something worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts one more failure and says how long to wait: uniform in `[ceiling/2, ceiling]`, where the ceiling
    /// doubles per failure, so that a thousand devices that lost a server together do not return together.
    pub fn next_pause<R: CryptoRng>(&mut self, rng: &mut R) -> Duration {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let ceiling = self
            .first
            .saturating_mul(1u32 << doublings)
            .min(self.longest);
        let half = ceiling / 2;
        let span = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1);
        // The bias of a remainder is irrelevant here: this is a pause, not a secret.
        half + Duration::from_nanos(rng.next_u64() % span)
    }

    /// As [`Backoff::next_pause`], with the system's generator.
    pub fn next_pause_os(&mut self) -> Duration {
        self.next_pause(&mut UnwrapErr(getrandom::SysRng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn pauses_grow_stay_bounded_and_start_again() {
        let policy = RetryPolicy {
            attempts: 9,
            first: Duration::from_millis(100),
            longest: Duration::from_secs(2),
        };
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut backoff = Backoff::new(&policy);
        for doubling in 0..40u32 {
            let ceiling = policy
                .first
                .saturating_mul(1 << doubling.min(16))
                .min(policy.longest);
            let pause = backoff.next_pause(&mut rng);
            assert!(
                pause >= ceiling / 2 && pause <= ceiling,
                "{pause:?} against {ceiling:?}"
            );
        }
        assert_eq!(backoff.failures(), 40);
        backoff.reset();
        assert!(backoff.next_pause(&mut rng) <= policy.first);
    }

    #[test]
    fn two_callers_do_not_pause_alike() {
        let policy = RetryPolicy::default();
        let one: Vec<_> = pauses(&policy, 1);
        let two: Vec<_> = pauses(&policy, 2);
        assert_ne!(one, two);
    }

    fn pauses(policy: &RetryPolicy, seed: u64) -> Vec<Duration> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut backoff = Backoff::new(policy);
        (0..4).map(|_| backoff.next_pause(&mut rng)).collect()
    }
}
