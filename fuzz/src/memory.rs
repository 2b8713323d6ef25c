//! How much memory a piece of work takes: an allocator that counts, so that "no allocation beyond the stated
//! bound" is an assertion and not a hope. It counts for each thread by itself.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Bytes that this thread has taken and not given back; negative when it gave back another's.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// A layout never has more than `isize::MAX` bytes.
fn count(taken: usize, returned: usize) {
    // Both at once are alive while a block moves.
    let with = LIVE.get() + taken as isize;
    PEAK.set(PEAK.get().max(with));
    LIVE.set(with - returned as isize);
}

// SAFETY: everything is the system allocator's; what is added touches no memory but two cells.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's contract is that of the system allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Does `work` and fails when it had more than `limit` bytes of new memory at any one time.
#[track_caller]
pub fn within<T>(limit: usize, work: impl FnOnce() -> T) -> T {
    let before = LIVE.get();
    PEAK.set(before);
    let value = work();
    let taken = usize::try_from(PEAK.get() - before).unwrap_or(0);
    assert!(
        taken <= limit,
        "{taken} bytes of memory, at most {limit} are allowed"
    );
    value
}

/// What decoding `bytes` may take: a small multiple of them. The value, its canonical encoding to
/// compare with, and for envelopes two copies of the payload; vectors grow by doubling. The claims of a credential, at
/// most 384 bytes, may be nested lists, which take some 50 times that.
pub fn for_decoding(bytes: &[u8]) -> usize {
    16 * bytes.len() + (64 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_at_its_peak() {
        within(0, || 1 + 1);
        within(1000, || drop(vec![0u8; 1000]));
        within(1000, || {
            drop(vec![1u8; 1000]);
            drop(Vec::<u8>::with_capacity(1000));
        });
        let too_much = || within(999, || vec![0u8; 1000]);
        assert!(std::panic::catch_unwind(too_much).is_err());
        let both = || within(1999, || (vec![0u8; 1000], vec![0u8; 1000]));
        assert!(std::panic::catch_unwind(both).is_err());
    }
}
