//! What valgrind is told about memory. A secret is *undefined* to it: memcheck follows undefined bits through every
//! instruction and reports a branch or an address that depends on one (the method of Adam Langley's ctgrind).

#[cfg(feature = "valgrind")]
mod requests {
    use crabgrind::memcheck::{self, MemState};
    use crabgrind::{RunMode, count_errors, run_mode};

    /// Whether memcheck listens: to a mark, and to its being taken away.
    pub fn listens() -> bool {
        if run_mode() != RunMode::Valgrind {
            return false;
        }
        let mut probe = [0u8; 32];
        secret(&mut probe);
        let heard = is_secret(&probe);
        public(&mut probe);
        heard && !is_secret(&probe)
    }

    /// Everything in `values` is a secret from here on.
    pub fn secret<T>(values: &mut [T]) {
        mark(
            values.as_ptr().cast(),
            size_of_val(values),
            MemState::Undefined,
        );
    }

    /// Everything in `values` is public from here on.
    pub fn public<T>(values: &mut [T]) {
        forget(values.as_ptr().cast(), size_of_val(values));
    }

    fn forget(start: *const u8, bytes: usize) {
        mark(start, bytes, MemState::Defined);
    }

    fn mark(start: *const u8, bytes: usize, state: MemState) {
        // This version of crabgrind takes memcheck's "done" for an error; `listens` is what is asked instead.
        let _ = memcheck::mark_mem(start.cast_mut().cast(), bytes, state);
    }

    /// Listens to what the library declares public.
    pub fn listen_to_the_library() {
        dawn_crypto::declassify::set_hook(forget);
    }

    /// Whether any bit of `values` depends on a secret.
    pub fn is_secret<T>(values: &[T]) -> bool {
        let mut bits = vec![0u8; size_of_val(values)];
        let into = bits.as_mut_ptr().cast_const();
        memcheck::vbits(values.as_ptr().cast_mut().cast(), into, bits.len())
            .expect("the memory is ours");
        bits.iter().any(|bits| *bits != 0)
    }

    /// How often memcheck has complained so far.
    pub fn complaints() -> usize {
        count_errors()
    }
}

#[cfg(not(feature = "valgrind"))]
mod requests {
    /// Built without client requests: nothing can be shown.
    pub fn listens() -> bool {
        false
    }

    pub fn secret<T>(_: &mut [T]) {}

    pub fn public<T>(_: &mut [T]) {}

    pub fn listen_to_the_library() {}

    pub fn is_secret<T>(_: &[T]) -> bool {
        false
    }

    pub fn complaints() -> usize {
        0
    }
}

pub use requests::{complaints, is_secret, listen_to_the_library, listens, public, secret};
