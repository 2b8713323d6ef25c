//! The seam behind which the fast arithmetic of training is. The portable backend is the oracle: every other one gives the
//! same bits on every input.
//!
//! | file | explains |
//! |---|---|
//! | `shapes` | what the kernels are given: packed operands, and what they may rely on |
//! | `portable` | the kernels in plain Rust |
//! | `simd` | what the vector kernels need of an instruction set |
//! | `lanes` | kernels in plain Rust, of which the compiler makes vectors |
//! | `vector` | the same kernels, written once for all instruction sets |
//! | `sse2`, `avx2`, `avx512`, `neon` | the instruction sets |
//! | `self_test` | what a vector backend must show before it is used |
//! | [`measure`] | products for measurements, beside the processor's peak |
//!
//! Bits cannot depend on the backend: every sum is a sum of integers that is known beforehand to fit an `i32`, in
//! whatever order it is added; `layer` and `rate` decide that from the magnitudes of the operands, and compute everything else
//! in 64 bits. One backend serves a process: the fastest that the processor has and that passes its self-test, or the one
//! that the environment variable [`VARIABLE`] names.

// Where there are no vector backends, the portable one uses a part of it.
#[cfg_attr(
    not(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_endian = "little")
    )),
    allow(dead_code)
)]
mod lanes;
pub mod measure;
mod portable;
mod self_test;
mod shapes;
#[cfg(test)]
mod tests;

#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_endian = "little")
))]
mod simd;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_endian = "little")
))]
mod vector;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_softmax;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
#[cfg(target_arch = "x86_64")]
mod sse2;

pub(crate) use portable::Portable;
pub(crate) use shapes::{
    Columns, Descent, LANES, Lines, Logits, Magnitudes, PANEL, Parameters, Product, ROWS, Scale,
};

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The environment variable that forces a backend, by its [`Backend::name`].
pub const VARIABLE: &str = "DAWN_LEARN_BACKEND";

/// What a backend computes. All of it is exact under the conditions that [`shapes`] states.
pub(crate) trait Kernels: Sync {
    /// `out[r][c] = start[c] + sum_k a[r][k] * b[c][k]`, the width of `out` being that of all panels.
    fn product(&self, product: &Product<'_>, out: &mut [i32]);
    /// The gradient of a layer's weights, the step against it, and the new weights' mantissas.
    fn descend(&self, descent: &Descent<'_>, parameters: &mut Parameters<'_>) -> Magnitudes;
    /// The mantissas of weights, as [`Kernels::descend`] leaves them; every weight is below 2^30.
    fn pack(&self, master: &[i32], width: usize, shift: u32, packed: &mut [i16]);
    /// Replaces negative values by zero. Returns the values' magnitudes, or-ed.
    fn rectify(&self, values: &mut [i32]) -> u32;
    /// Replaces values by zero where the activation is zero. Returns the values' magnitudes, or-ed.
    fn gate(&self, values: &mut [i32], activations: &[i16], lines: Lines) -> u32;
    /// Columns of a batch as the left operand of a product over the batch ([`Descent::inputs`]).
    fn interleave(&self, columns: &Columns<'_>, out: &mut [i16]);
    /// Columns of a batch as the right operand of a product over the batch ([`Descent::gradients`]).
    fn panels(&self, columns: &Columns<'_>, out: &mut [i16]);
    /// The sum of each column, whole panels.
    fn column_sums(&self, columns: &Columns<'_>, sums: &mut [i32]);
    /// The gradients of the cross-entropy by the logits, `p - onehot`, in units of 2^-24, in their place ([`crate::softmax`]).
    /// Returns the values' magnitudes, or-ed.
    fn gradient(&self, logits: &mut Logits<'_>, values: &mut [i32]) -> u32;
    /// `out[i] = values[i] / 2^shift` as `fixed` narrows, line by line; values are below 2^30, the shift is at most 30.
    fn narrow(&self, values: &[i32], shift: u32, out: &mut [i16], lines: Lines);
    /// Multiplies and adds pairs of mantissas in registers, and nothing else. Returns how many mantissas were multiplied, and a
    /// sum of all, which wraps.
    fn spin(&self, iterations: u64) -> (u64, i32);
}

/// A set of instructions that the kernels are written for. The choice never changes a bit of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// Plain Rust: the oracle.
    Portable,
    /// Every x86-64.
    Sse2,
    /// 64-bit Arm.
    Neon,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX2 and AVX-VNNI.
    AvxVnni,
    /// x86-64 with AVX-512 F, BW, DQ, VL and VNNI.
    Avx512,
}

impl Backend {
    /// All of them, the slowest first.
    pub const ALL: [Backend; 6] = [
        Backend::Portable,
        Backend::Sse2,
        Backend::Neon,
        Backend::Avx2,
        Backend::AvxVnni,
        Backend::Avx512,
    ];

    /// Its name, as in [`VARIABLE`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Portable => "portable",
            Backend::Sse2 => "sse2",
            Backend::Neon => "neon",
            Backend::Avx2 => "avx2",
            Backend::AvxVnni => "avx-vnni",
            Backend::Avx512 => "avx512",
        }
    }

    /// All backends that this processor has, the portable one first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut all = Self::ALL.to_vec();
        all.retain(|backend| backend.kernels().is_some());
        all
    }

    /// Compares it with the portable backend (below a millisecond), unless it has passed in this process before.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] where the processor does not have it; [`BackendError::SelfTest`] when it gives other
    /// results.
    pub fn self_test(self) -> Result<(), BackendError> {
        self.tested().map(|_| ())
    }

    /// The kernels, once they have passed their self-test.
    fn tested(self) -> Result<&'static dyn Kernels, BackendError> {
        static PASSED: [AtomicBool; Backend::ALL.len()] =
            [const { AtomicBool::new(false) }; Backend::ALL.len()];
        let kernels = self.require()?;
        let passed = &PASSED[self as usize];
        if !passed.load(Ordering::Relaxed) {
            self_test::check(kernels)
                .map_err(|operation| BackendError::SelfTest(self, operation))?;
            passed.store(true, Ordering::Relaxed);
        }
        Ok(kernels)
    }

    pub(crate) fn require(self) -> Result<&'static dyn Kernels, BackendError> {
        self.kernels().ok_or(BackendError::Unsupported(self))
    }

    fn kernels(self) -> Option<&'static dyn Kernels> {
        match self {
            Backend::Portable => Some(&Portable),
            #[cfg(target_arch = "x86_64")]
            Backend::Sse2 => sse2::Sse2::detect(),
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2 => avx2::avx2(),
            #[cfg(target_arch = "x86_64")]
            Backend::AvxVnni => avx2::avx_vnni(),
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512 => avx512::Avx512::detect(),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Backend::Neon => neon::Neon::detect(),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Backend, BackendError> {
        Backend::ALL
            .into_iter()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| BackendError::Unknown(name.chars().take(40).collect()))
    }
}

/// Why a backend cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// No backend has this name.
    #[error(
        "there is no backend {0:?} for training; there are portable, sse2, neon, avx2, avx-vnni and avx512"
    )]
    Unknown(String),
    /// The processor, or the build, does not have it.
    #[error("the backend {0} was asked for, and this processor does not support it")]
    Unsupported(Backend),
    /// It computes something else than the portable backend: in the operation that is named.
    #[error("the backend {0} failed its self-test on this processor and is not used: {1} differs")]
    SelfTest(Backend, &'static str),
}

/// The backend of this process: the one that [`VARIABLE`] names, else the fastest that passes its self-test. Programs call
/// this when they start, to report a wrong variable as an error.
///
/// # Errors
/// [`BackendError`] when the variable names none, or one that the processor does not support or that fails its self-test.
pub fn choose() -> Result<Backend, BackendError> {
    // One more than its place in `ALL`. Two threads that choose at once choose the same.
    static CHOSEN: AtomicUsize = AtomicUsize::new(0);
    if let Some(place) = CHOSEN.load(Ordering::Relaxed).checked_sub(1) {
        return Ok(Backend::ALL[place]);
    }
    let backend = select(&forced()?)?;
    CHOSEN.store(backend as usize + 1, Ordering::Relaxed);
    Ok(backend)
}

/// The name that [`VARIABLE`] holds; empty where there is none, or no environment.
fn forced() -> Result<String, BackendError> {
    #[cfg(feature = "std")]
    match std::env::var(VARIABLE) {
        Ok(name) => return Ok(name),
        Err(std::env::VarError::NotUnicode(_)) => return Err(BackendError::Unknown("?".into())),
        Err(std::env::VarError::NotPresent) => {}
    }
    Ok(String::new())
}

/// The backend of this name, or without a name the fastest that passes its self-test.
fn select(name: &str) -> Result<Backend, BackendError> {
    if !name.is_empty() {
        let backend: Backend = name.parse()?;
        return backend.self_test().map(|()| backend);
    }
    let mut fastest_first = Backend::ALL.into_iter().rev();
    let best = fastest_first.find(|backend| backend.self_test().is_ok());
    Ok(best.unwrap_or(Backend::Portable))
}

/// The backends that this processor could run and that failed their self-test, for reports: each as
/// [`BackendError::SelfTest`]. Tests those that were not tested before.
#[must_use]
pub fn refused() -> Vec<BackendError> {
    let errors = Backend::ALL
        .into_iter()
        .filter_map(|backend| backend.self_test().err());
    errors
        .filter(|error| matches!(error, BackendError::SelfTest(..)))
        .collect()
}

/// The backend that computes in this process.
///
/// # Panics
/// When [`VARIABLE`] names a backend that cannot be had: a wrong one must not pass unnoticed. [`choose`] tells beforehand.
#[must_use]
pub fn current() -> Backend {
    match choose() {
        Ok(backend) => backend,
        Err(error) => panic!("{VARIABLE}: {error}"),
    }
}

/// Notes that a kernel ran: in tests only.
#[inline(always)]
fn record(backend: Backend) {
    #[cfg(test)]
    tests::note(backend);
    #[cfg(not(test))]
    let _ = backend;
}
