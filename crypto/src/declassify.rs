//! The places where something that was computed from secrets is public from then on (`docs/crypto-table.md`,
//! section 9, lists them with their reasons).
//!
//! They do nothing. But `make ct` marks secrets as undefined for valgrind, which reports every branch and every
//! address that depends on them; with the feature `declassify-hook` it hears here what it may forget.

#[cfg(feature = "declassify-hook")]
mod hook {
    use std::sync::OnceLock;

    /// Is told address and length of what became public.
    pub type Hook = fn(*const u8, usize);

    static HOOK: OnceLock<Hook> = OnceLock::new();

    /// Sets who is told; only the first call does.
    pub fn set_hook(hook: Hook) {
        let _ = HOOK.set(hook);
    }

    pub(super) fn tell(start: *const u8, bytes: usize) {
        if let Some(hook) = HOOK.get() {
            hook(start, bytes);
        }
    }
}

#[cfg(feature = "declassify-hook")]
pub use hook::{Hook, set_hook};

/// A decision about secrets that everybody may know: the same value, public from here on.
#[inline(always)]
pub fn decision(value: bool) -> bool {
    #[cfg(feature = "declassify-hook")]
    let value = {
        // Through memory, where the hook finds it: the barrier keeps the compiler from using an older copy.
        let mut value = u8::from(value);
        hook::tell(core::hint::black_box(&raw mut value), 1);
        core::hint::black_box(value) != 0
    };
    value
}

/// Numbers that are about to be sent to everybody: public from here on.
#[inline(always)]
pub fn published<T: Copy>(values: &mut [T]) {
    #[cfg(feature = "declassify-hook")]
    {
        let start = core::hint::black_box(values.as_mut_ptr());
        hook::tell(start.cast(), size_of_val(values));
    }
    let _ = values;
}
