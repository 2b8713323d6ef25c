//! A short list that is `Copy`, so that a specification is.

use core::fmt;
use core::ops::Deref;

/// At most `MOST` values, at most 255.
///
/// Places beyond the last value hold the default, so that equal lists are equal in memory too.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct List<T, const MOST: usize> {
    values: [T; MOST],
    len: u8,
}

impl<T: Copy + Default, const MOST: usize> List<T, MOST> {
    /// A list of these values; `None` where they are too many.
    #[must_use]
    pub fn new(values: &[T]) -> Option<Self> {
        const { assert!(MOST <= u8::MAX as usize) }
        let mut list = Self {
            values: [T::default(); MOST],
            len: u8::try_from(values.len()).ok()?,
        };
        list.values.get_mut(..values.len())?.copy_from_slice(values);
        Some(list)
    }
}

/// A list that is known to be short enough when it is compiled.
impl<T: Copy + Default, const MOST: usize, const LEN: usize> From<[T; LEN]> for List<T, MOST> {
    fn from(values: [T; LEN]) -> Self {
        const { assert!(LEN <= MOST && MOST <= u8::MAX as usize) }
        let mut list = Self {
            values: [T::default(); MOST],
            len: LEN as u8,
        };
        list.values[..LEN].copy_from_slice(&values);
        list
    }
}

impl<T, const MOST: usize> Deref for List<T, MOST> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[..usize::from(self.len)]
    }
}

impl<T: fmt::Debug, const MOST: usize> fmt::Debug for List<T, MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_holds_what_it_was_given_and_no_more_than_it_may() {
        let list = List::<u32, 3>::new(&[7, 8]).unwrap();
        assert_eq!(*list, [7, 8]);
        assert_eq!(list, List::from([7, 8]));
        assert_ne!(list, List::from([7, 8, 0]), "a zero is not nothing");
        assert_eq!(format!("{list:?}"), "[7, 8]");
        assert_eq!(List::<u32, 3>::new(&[1; 4]), None);
        assert!(List::<u32, 3>::new(&[]).unwrap().is_empty());
        assert_eq!(List::<u8, 255>::new(&[1; 256]), None);
    }
}
