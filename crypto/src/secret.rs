//! Vectors of secrets: wiped when dropped, never printed, never copied by accident.

use core::fmt;
use core::ops::{Deref, DerefMut};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Overwrites a buffer of secrets at the speed of a plain fill; the barrier keeps the compiler from leaving it
/// out. (`Zeroize` writes byte by byte, which here costs as much as the work.)
pub(crate) fn wipe<T: Copy + Default>(buffer: &mut [T]) {
    buffer.fill(T::default());
    zeroize::optimization_barrier(buffer);
}

/// A vector that is zeroised when dropped, has a redacted `Debug` and no `Clone`. Its length is public.
pub struct SecretVec<T: Zeroize>(Vec<T>);

impl<T: Zeroize> SecretVec<T> {
    /// Takes ownership of a vector of secrets.
    pub fn new(values: Vec<T>) -> SecretVec<T> {
        SecretVec(values)
    }
}

impl<T: Zeroize + Clone + Default> SecretVec<T> {
    /// `len` default values, to be filled in place.
    pub fn zeroed(len: usize) -> SecretVec<T> {
        SecretVec(vec![T::default(); len])
    }
}

impl<T: Zeroize> Deref for SecretVec<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Zeroize> DerefMut for SecretVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Zeroize> Drop for SecretVec<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> ZeroizeOnDrop for SecretVec<T> {}

impl<T: Zeroize> fmt::Debug for SecretVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretVec({} redacted)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_values() {
        let v = SecretVec::new(vec![123_456i32; 3]);
        assert_eq!(format!("{v:?}"), "SecretVec(3 redacted)");
        assert_eq!(v[2], 123_456);
    }
}
