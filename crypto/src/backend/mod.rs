//! The seam behind which faster arithmetic is. The portable backend is the oracle: every other one gives
//! the same bytes on every input, and the crate's whole test suite runs once for each.
//!
//! | file | explains |
//! |---|---|
//! | `portable` | the operations in plain Rust |
//! | `simd` | what the vector kernels need of an instruction set |
//! | `kernels`, `sampling` | the same operations, written once for all of them |
//! | `bytes`, `ternary` | vectors as bytes, and products with a ternary matrix over them |
//! | `ternary_portable` | these products in plain Rust |
//! | `avx2`, `avx512`, `neon` | the instruction sets |
//! | `aes` | AES by the processor's instructions; with the instruction sets the only files with `unsafe` |
//! | `twiddles` | the transform's constants |
//! | `self_test` | what a vector backend must show before it is used |
//!
//! One backend serves a process: the fastest that the processor has and that passes its self-test, or the one that
//! the environment variable [`VARIABLE`] names. All inputs and outputs of all operations are canonical (below q), and their time is
//! independent of the values, except where an operation says that it is for public data.

#[cfg(all(target_arch = "x86_64", target_endian = "little"))]
mod aes;
mod bytes;
mod kernels;
mod portable;
mod sampling;
mod self_test;
mod simd;
pub(crate) mod ternary;
mod ternary_portable;
#[cfg(test)]
mod ternary_tests;
mod twiddles;

#[cfg(all(target_arch = "x86_64", target_endian = "little"))]
mod avx2;
#[cfg(all(target_arch = "x86_64", target_endian = "little"))]
mod avx512;
#[cfg(test)]
mod emulated;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
#[cfg(test)]
mod tests;

use crate::field;
use crate::gaussian::Cdt;
use crate::keystream::AesUnit;
use crate::params::N;
use core::cell::Cell;
use core::fmt;
use core::str::FromStr;
use std::sync::OnceLock;
use ternary::LambdaTables;

/// The environment variable that forces a backend: `portable`, `avx2`, `avx512` or `neon`.
pub const VARIABLE: &str = "DAWN_BACKEND";

/// What a backend computes.
pub(crate) trait Backend: Sync {
    /// Which one it is.
    fn kind(&self) -> BackendKind;
    /// Coefficients to the transform domain, in place; the order is [`crate::ring`]'s.
    fn forward(&self, a: &mut [u32; N]);
    /// The inverse of [`Backend::forward`], times N: [`multiplier`] takes care of that.
    fn inverse(&self, a: &mut [u32; N]);
    /// `a[i] = a[i] b[i] / 2^32`: the product, when b was prepared by [`multiplier`].
    fn mul_montgomery(&self, a: &mut [u32; N], b: &[u32; N]);
    /// `sum[i] += a[i] b[i]`.
    fn mul_add(&self, sum: &mut [u32; N], a: &[u32; N], b: &[u32; N]);
    /// `sum[i] += term[i]`, over equal lengths.
    fn add_assign(&self, sum: &mut [u32], term: &[u32]);
    /// `sum[i] -= term[i]`, over equal lengths.
    fn sub_assign(&self, sum: &mut [u32], term: &[u32]);
    /// `sum[i] += term[i] mod q`, over equal lengths.
    fn add_signed(&self, sum: &mut [u32], term: &[i32]);
    /// `out[i] = center(a[i] - b[i])`, over equal lengths.
    fn sub_center(&self, a: &[u32], b: &[u32], out: &mut [i32]);
    /// How many words come before the first that is q or more. Its time tells where that is, and nothing else of
    /// the words: for public data, and for streams, whose skipped words say nothing about those that are kept.
    fn canonical_prefix(&self, words: &[u32]) -> usize;
    /// Draws `out` from a table with 16 bytes a sample; `out` is a whole number of [`SAMPLES`].
    fn sample(&self, table: &Cdt, bytes: &[u8], out: &mut [i32]);
    /// Adds `R v` modulo `2^32` to `z`, whose rows are at their [`ternary::place`]s. `v` is a multiple of 64 long and at
    /// most [`ternary::CHUNK`]; `tiles` are its tiles of R, and are overwritten.
    fn project(&self, tiles: &mut [u8], v: &[i32], z: &mut [i32]);
    /// `out[i][j] = sum_row lambda_i[row] R[row][j] mod q` for whole tiles of R. For public data.
    fn combine(&self, tiles: &[u8], tables: &LambdaTables, out: [&mut [u32]; 2]);
    /// The processor's AES instructions, where it has some that this backend uses.
    fn aes(&self) -> Option<&'static dyn AesUnit> {
        None
    }
}

/// Samples are drawn in multiples of this, so that every backend's vectors are full.
pub(crate) const SAMPLES: usize = 32;

/// A factor made ready for [`Backend::mul_montgomery`] before an unscaled inverse: times `2^32 / N`.
pub(crate) fn multiplier(values: &mut [u32; N]) {
    const FACTOR: u32 = field::mul(field::inv(N as u32), twiddles::R);
    for value in values {
        *value = field::mul(*value, FACTOR);
    }
}

/// A set of instructions that the arithmetic is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// Plain Rust: the oracle.
    Portable,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
    /// 64-bit Arm.
    Neon,
}

impl BackendKind {
    /// All of them, the slowest first.
    pub const ALL: [BackendKind; 4] = [
        BackendKind::Portable,
        BackendKind::Neon,
        BackendKind::Avx2,
        BackendKind::Avx512,
    ];

    /// Its name, as in [`VARIABLE`].
    pub const fn name(self) -> &'static str {
        match self {
            BackendKind::Portable => "portable",
            BackendKind::Avx2 => "avx2",
            BackendKind::Avx512 => "avx512",
            BackendKind::Neon => "neon",
        }
    }

    /// Whether this processor has its instructions.
    pub fn is_supported(self) -> bool {
        self.get().is_some()
    }

    /// Compares it with the portable backend, the first time that it is asked for in a process (below a
    /// millisecond); remembers the answer.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] where the processor does not have it; [`BackendError::SelfTest`] when it
    /// gives other results.
    pub fn self_test(self) -> Result<(), BackendError> {
        self.tested().map(|_| ())
    }

    /// The backend, once it has passed its self-test.
    fn tested(self) -> Result<&'static dyn Backend, BackendError> {
        static TESTED: [OnceLock<Result<(), BackendError>>; BackendKind::ALL.len()] =
            [const { OnceLock::new() }; BackendKind::ALL.len()];
        let backend = self.require()?;
        TESTED[self as usize]
            .get_or_init(|| pass(backend).map(|_| ()))
            .clone()
            .map(|()| backend)
    }

    fn get(self) -> Option<&'static dyn Backend> {
        match self {
            BackendKind::Portable => Some(&portable::Portable),
            #[cfg(all(target_arch = "x86_64", target_endian = "little"))]
            BackendKind::Avx2 => avx2::Avx2::detect(),
            #[cfg(all(target_arch = "x86_64", target_endian = "little"))]
            BackendKind::Avx512 => avx512::Avx512::detect(),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            BackendKind::Neon => neon::Neon::detect(),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }

    fn require(self) -> Result<&'static dyn Backend, BackendError> {
        self.get().ok_or(BackendError::Unsupported(self))
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BackendKind {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<BackendKind, BackendError> {
        BackendKind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| BackendError::Unknown(name.chars().take(40).collect()))
    }
}

/// Hands a backend out when it computes what the portable one does.
fn pass(backend: &'static dyn Backend) -> Result<&'static dyn Backend, BackendError> {
    let kind = backend.kind();
    if kind != BackendKind::Portable {
        self_test::check(backend).map_err(|operation| BackendError::SelfTest(kind, operation))?;
    }
    Ok(backend)
}

/// Why a backend cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// No backend has this name.
    #[error("there is no backend {0:?}; there are portable, avx2, avx512 and neon")]
    Unknown(String),
    /// The processor, or the build, does not have it.
    #[error("the backend {0} was asked for, and this processor does not support it")]
    Unsupported(BackendKind),
    /// It computes something else than the portable backend: in the operation that is named.
    #[error("the backend {0} failed its self-test on this processor and is not used: {1} differs")]
    SelfTest(BackendKind, &'static str),
}

/// The backend of this process: the one that [`VARIABLE`] names, else the fastest that passes its self-test.
/// Programs call this when they start, to report a wrong variable as an error; [`refused`] tells whether a faster
/// one was passed over.
///
/// # Errors
/// [`BackendError`] when the variable names none, or one that the processor does not support or that fails its
/// self-test.
pub fn choose() -> Result<BackendKind, BackendError> {
    process().map(Backend::kind)
}

fn process() -> Result<&'static dyn Backend, BackendError> {
    static CHOSEN: OnceLock<Result<&'static dyn Backend, BackendError>> = OnceLock::new();
    CHOSEN
        .get_or_init(|| match std::env::var(VARIABLE) {
            Ok(name) => select(&name, BackendKind::tested),
            Err(std::env::VarError::NotUnicode(_)) => Err(BackendError::Unknown("?".into())),
            Err(std::env::VarError::NotPresent) => select("", BackendKind::tested),
        })
        .clone()
}

/// The backend of this name, or without a name the fastest that `tested` hands out.
fn select(
    name: &str,
    tested: impl Fn(BackendKind) -> Result<&'static dyn Backend, BackendError>,
) -> Result<&'static dyn Backend, BackendError> {
    if !name.is_empty() {
        return tested(name.parse()?);
    }
    let mut fastest_first = BackendKind::ALL.into_iter().rev();
    let best = fastest_first.find_map(|kind| tested(kind).ok());
    Ok(best.unwrap_or(&portable::Portable))
}

/// The backends that this processor could run and that failed their self-test, for reports: each as
/// [`BackendError::SelfTest`]. Tests those that were not tested before.
pub fn refused() -> Vec<BackendError> {
    let errors = BackendKind::ALL
        .into_iter()
        .filter_map(|kind| kind.self_test().err());
    errors
        .filter(|error| matches!(error, BackendError::SelfTest(..)))
        .collect()
}

thread_local! {
    static FORCED: Cell<Option<&'static dyn Backend>> = const { Cell::new(None) };
}

/// Runs `work` with a backend of its own on this thread: for tests and measurements, which is why the self-test
/// is not asked (what a refused backend does wrong is found out here).
///
/// # Errors
/// [`BackendError::Unsupported`] where the processor does not have it.
pub fn with<T>(kind: BackendKind, work: impl FnOnce() -> T) -> Result<T, BackendError> {
    struct Restore(Option<&'static dyn Backend>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    let backend = kind.require()?;
    let _restore = Restore(FORCED.replace(Some(backend)));
    Ok(work())
}

/// The backend of this thread.
///
/// # Panics
/// When [`VARIABLE`] names a backend that cannot be had: a wrong one must not pass unnoticed.
pub(crate) fn active() -> &'static dyn Backend {
    FORCED.get().unwrap_or_else(|| match process() {
        Ok(backend) => backend,
        Err(error) => panic!("{VARIABLE}: {error}"),
    })
}

/// The backend that computes on this thread, for reports.
///
/// # Panics
/// As everything that computes, when [`VARIABLE`] is wrong; [`choose`] tells beforehand.
pub fn current() -> BackendKind {
    active().kind()
}

/// Notes that an operation ran: in tests only.
#[inline(always)]
fn record(kind: BackendKind) {
    #[cfg(test)]
    tests::note(kind);
    #[cfg(not(test))]
    let _ = kind;
}
