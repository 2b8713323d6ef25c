//! The seam behind which faster arithmetic goes. The portable backend is the oracle: every other one
//! must agree with it on every input, and the crate's whole test suite runs once for each.
//!
//! A backend is a zero-sized value; [`active`] picks one per process. All inputs and outputs are
//! canonical (below q), in every backend, in time independent of their values.

pub(crate) mod portable;

use crate::params::N;

/// What a backend computes.
pub(crate) trait Backend: Sync {
    /// Its name, for reports and for the test that the expected one was chosen.
    fn name(&self) -> &'static str;
    /// Coefficients to the transform domain, in place; the order is [`crate::ring`]'s.
    fn forward(&self, a: &mut [u32; N]);
    /// The inverse of [`Backend::forward`], scaling included.
    fn inverse(&self, a: &mut [u32; N]);
    /// `a[i] = a[i] b[i]`.
    fn mul_assign(&self, a: &mut [u32; N], b: &[u32; N]);
    /// `sum[i] += term[i]`, over equal lengths.
    fn add_assign(&self, sum: &mut [u32], term: &[u32]);
    /// `sum[i] -= term[i]`, over equal lengths.
    fn sub_assign(&self, sum: &mut [u32], term: &[u32]);
}

/// The backend of this process.
pub(crate) fn active() -> &'static dyn Backend {
    &portable::Portable
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_portable_backend_is_active() {
        assert_eq!(super::active().name(), "portable");
    }
}
