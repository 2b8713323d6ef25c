//! Fuzz targets: one for every decoder of the project, and for the identities that it rests on.
//!
//! What decodes encodes to the same bytes; what is refused is an error; nothing panics; nothing takes more
//! memory than its bound. A target is a plain function of bytes, so that its seeds are also run by
//! `cargo test`, on a stable compiler. It returns whether the bytes were accepted.
//!
//! | module | explains |
//! |---|---|
//! | [`targets`] | what is fuzzed, and what must hold |
//! | [`seeds`] | a valid example of everything, to start from |
//! | [`world`] | a federation with its rounds, from which the seeds are |
//! | [`log`] | the log of all that was said in them |
//! | [`cbor`] | mutations that leave CBOR what it is |
//! | [`memory`] | an allocator that counts |

pub mod cbor;
pub mod log;
pub mod memory;
pub mod seeds;
pub mod targets;
pub mod world;

/// The program of one target: what is run, and how inputs are mutated besides what libFuzzer does.
#[macro_export]
macro_rules! fuzz {
    ($target:ident) => {
        libfuzzer_sys::fuzz_target!(
            init: $crate::seeds::write(stringify!($target)),
            |data: &[u8]| {
                $crate::targets::$target(data);
            }
        );
    };
    ($target:ident, $mutate:path) => {
        $crate::fuzz!($target);
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            let mut dice = $crate::cbor::Dice::new(seed.into());
            // Half of the time libFuzzer's own mutations.
            if dice.below(2) == 0
                && let Some(changed) = $mutate(&data[..size], &mut dice)
                && changed.len() <= max_size
            {
                data[..changed.len()].copy_from_slice(&changed);
                return changed.len();
            }
            libfuzzer_sys::fuzzer_mutate(data, size, max_size)
        });
    };
}
