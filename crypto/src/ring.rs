//! The ring `R_q = F_q[X]/(X^n + 1)` and its number-theoretic transform (`docs/protocol.md`, section 3).
//!
//! **Transform order.** Slot `i` of a transformed element is its value at `psi^(2 rev(i) + 1)`, where `rev`
//! reverses 11 bits and [`PSI`] is the 4096th root of unity `3925978153^256`; 3925978153 is the generator
//! of the `2^20`th roots that `prio::field::FieldPrio2` uses. The order matters on the wire: the public
//! matrix is expanded in the transform domain.

use crate::backend;
use crate::field;
use crate::params::N;
use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A primitive 4096th root of unity modulo q.
pub const PSI: u32 = field::pow(3_925_978_153, 256);

/// The name of the arithmetic backend that computes on this thread, for reports.
pub fn backend_name() -> &'static str {
    backend::current().name()
}

/// An element by its coefficients, canonical. May be a secret: wiped, not printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct RingElement(Box<[u32; N]>);

/// An element by its values in the transform domain, canonical. May be a secret: wiped, not printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Transformed(Box<[u32; N]>);

impl RingElement {
    /// An element from canonical coefficients.
    pub fn from_coefficients(coefficients: [u32; N]) -> RingElement {
        debug_assert!(coefficients.iter().all(|&c| field::is_canonical(c)));
        RingElement(Box::new(coefficients))
    }

    /// An element from small signed coefficients.
    pub fn from_signed(coefficients: &[i32; N]) -> RingElement {
        let mut element = RingElement(Box::new([0; N]));
        for (c, &s) in element.0.iter_mut().zip(coefficients) {
            *c = field::from_i32(s);
        }
        element
    }

    /// The coefficients, constant term first.
    pub fn coefficients(&self) -> &[u32; N] {
        &self.0
    }

    /// To the transform domain, where products are coordinate-wise.
    pub fn transform(mut self) -> Transformed {
        backend::active().forward(&mut self.0);
        Transformed(core::mem::replace(&mut self.0, Box::new([0; N])))
    }
}

impl Transformed {
    /// An element from its canonical values, in the module's order.
    pub fn from_values(values: [u32; N]) -> Transformed {
        debug_assert!(values.iter().all(|&c| field::is_canonical(c)));
        Transformed(Box::new(values))
    }

    /// The values, in the module's order.
    pub fn values(&self) -> &[u32; N] {
        &self.0
    }

    /// Multiplies by `other`.
    pub fn mul_assign(&mut self, other: &Transformed) {
        let mut product = Box::new([0; N]);
        backend::active().mul_add(&mut product, &self.0, &other.0);
        core::mem::swap(&mut self.0, &mut product);
        product.zeroize();
    }

    /// Adds the product of `a` and `b`.
    pub fn add_product(&mut self, a: &Transformed, b: &Transformed) {
        backend::active().mul_add(&mut self.0, &a.0, &b.0);
    }

    /// Back to coefficients.
    pub fn invert(mut self) -> RingElement {
        let mut one = Box::new([1; N]);
        backend::multiplier(&mut one);
        let backend = backend::active();
        backend.mul_montgomery(&mut self.0, &one);
        backend.inverse(&mut self.0);
        RingElement(core::mem::replace(&mut self.0, Box::new([0; N])))
    }

    /// Made ready to be multiplied with many elements.
    pub(crate) fn into_multiplier(mut self) -> Multiplier {
        backend::multiplier(&mut self.0);
        Multiplier(core::mem::replace(&mut self.0, Box::new([0; N])))
    }
}

/// An element that is multiplied with many others: its values in the transform domain, times the constant that
/// one product and one inverse transform divide by. May be a secret: wiped, not printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Multiplier(Box<[u32; N]>);

impl Multiplier {
    /// `a`, given by values in the transform domain, becomes the coefficients of its product with this.
    pub(crate) fn times(&self, a: &mut [u32; N]) {
        let backend = backend::active();
        backend.mul_montgomery(a, &self.0);
        backend.inverse(a);
    }
}

impl fmt::Debug for Multiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Multiplier(redacted)")
    }
}

impl fmt::Debug for RingElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingElement(redacted)")
    }
}

impl fmt::Debug for Transformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transformed(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::uniform;
    use crate::params::Q;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn random(rng: &mut ChaCha20Rng) -> [u32; N] {
        let mut a = [0; N];
        uniform(rng, &mut a);
        a
    }

    fn schoolbook(a: &[u32; N], b: &[u32; N]) -> [u32; N] {
        let mut out = [0; N];
        for i in 0..N {
            for j in 0..N {
                let p = field::mul(a[i], b[j]);
                if i + j < N {
                    out[i + j] = field::add(out[i + j], p);
                } else {
                    out[i + j - N] = field::sub(out[i + j - N], p);
                }
            }
        }
        out
    }

    fn product(a: &[u32; N], b: &[u32; N]) -> [u32; N] {
        let mut ta = RingElement::from_coefficients(*a).transform();
        ta.mul_assign(&RingElement::from_coefficients(*b).transform());
        *ta.invert().coefficients()
    }

    #[test]
    fn psi_is_a_primitive_4096th_root() {
        assert_eq!(PSI, 1_240_740_630);
        assert_eq!(field::pow(PSI, N as u64), Q - 1);
    }

    #[test]
    fn products_agree_with_schoolbook() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for _ in 0..4 {
            let (a, b) = (random(&mut rng), random(&mut rng));
            assert_eq!(product(&a, &b), schoolbook(&a, &b));
        }
        let extreme = [Q - 1; N];
        assert_eq!(product(&extreme, &extreme), schoolbook(&extreme, &extreme));
    }

    #[test]
    fn x_times_x_to_the_n_minus_one_is_minus_one() {
        let (mut a, mut b, mut minus_one) = ([0; N], [0; N], [0; N]);
        a[1] = 1;
        b[N - 1] = 1;
        minus_one[0] = Q - 1;
        assert_eq!(product(&a, &b), minus_one);
    }

    #[test]
    fn slots_hold_the_documented_values() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let a = random(&mut rng);
        let transformed = RingElement::from_coefficients(a).transform();
        for slot in [0usize, 1, 2, 3, 1000, 2047] {
            let reversed = slot.reverse_bits() >> (usize::BITS - 11);
            let point = field::pow(PSI, 2 * reversed as u64 + 1);
            let value = a
                .iter()
                .rev()
                .fold(0, |acc, &c| field::add(field::mul(acc, point), c));
            assert_eq!(transformed.values()[slot], value, "slot {slot}");
        }
    }

    #[test]
    fn transform_round_trips() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for a in [random(&mut rng), [0; N], [Q - 1; N]] {
            assert_eq!(
                *RingElement::from_coefficients(a)
                    .transform()
                    .invert()
                    .coefficients(),
                a
            );
        }
    }

    #[test]
    fn nothing_is_printed() {
        let element = RingElement::from_coefficients([77; N]);
        assert!(!format!("{element:?}").contains("77"));
    }
}
