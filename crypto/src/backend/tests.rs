//! Every backend gives the bytes of the portable one, on random and on edge inputs, and the backend that a test
//! forces is the one that ran. `DAWN_BACKEND_CASES` sets how many inputs each operation is given.

use super::*;
use crate::expand;
use crate::gaussian::Gaussian;
use crate::mask;
use crate::params::{Dimension, Q, Sigma};
use crate::ring::RingElement;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::cell::RefCell;

thread_local! {
    static RAN: RefCell<Vec<BackendKind>> = const { RefCell::new(Vec::new()) };
}

/// Notes that a backend computed something on this thread.
pub(super) fn note(kind: BackendKind) {
    RAN.with_borrow_mut(|ran| {
        if !ran.contains(&kind) {
            ran.push(kind);
        }
    });
}

/// The backends that computed on this thread since the last time this was asked.
pub(super) fn ran() -> Vec<BackendKind> {
    RAN.take()
}

/// Runs `work` on a backend, and fails unless this one, and no other, computed.
pub(super) fn only_on<T>(kind: BackendKind, work: impl FnOnce() -> T) -> T {
    RAN.take();
    let result = with(kind, || {
        assert_eq!(current(), kind);
        work()
    });
    let ran = RAN.take();
    assert_eq!(ran, [kind], "other backends than the forced one ran");
    result.expect("supported")
}

/// The vector backends of this processor; the others are reported by name.
pub(super) fn others() -> Vec<BackendKind> {
    let (supported, skipped): (Vec<_>, Vec<_>) = BackendKind::ALL
        .into_iter()
        .filter(|&kind| kind != BackendKind::Portable)
        .partition(|kind| kind.is_supported());
    for kind in skipped {
        eprintln!("skipped: {kind} (this processor does not support it)");
    }
    for kind in &supported {
        eprintln!("compared with portable: {kind}");
    }
    supported
}

pub(super) fn cases(default: usize) -> usize {
    match std::env::var("DAWN_BACKEND_CASES") {
        Ok(text) => text.parse().expect("DAWN_BACKEND_CASES is a number"),
        Err(_) => default,
    }
}

const EDGES: [u32; 12] = [
    0,
    1,
    2,
    Q - 1,
    Q - 2,
    Q / 2,
    Q / 2 + 1,
    (1 << 20) - 1,
    1 << 20,
    (1 << 20) + 1,
    1 << 31,
    (1 << 31) - 1,
];

/// An input of `len` canonical words: uniform, or made of edges, or constant, or nearly zero.
fn input(rng: &mut ChaCha20Rng, len: usize) -> Vec<u32> {
    let mut words = vec![0; len];
    let edge = |rng: &mut ChaCha20Rng| EDGES[rng.next_u32() as usize % EDGES.len()];
    match rng.next_u32() % 8 {
        0 => words.fill_with(|| edge(rng)),
        1 => words.fill(edge(rng)),
        2 => words[rng.next_u32() as usize % len] = edge(rng),
        3 => {
            with(BackendKind::Portable, || expand::uniform(rng, &mut words)).expect("supported");
            for _ in 0..16 {
                words[rng.next_u32() as usize % len] = edge(rng);
            }
        }
        _ => with(BackendKind::Portable, || expand::uniform(rng, &mut words)).expect("supported"),
    }
    words
}

fn block(rng: &mut ChaCha20Rng) -> [u32; N] {
    input(rng, N).try_into().expect("N words")
}

/// The results of every operation on one set of inputs.
#[derive(PartialEq, Debug)]
struct Results(Vec<Vec<u32>>);

struct Inputs {
    a: [u32; N],
    b: [u32; N],
    c: [u32; N],
    /// Of any length.
    left: Vec<u32>,
    right: Vec<u32>,
    signed: Vec<i32>,
    any: Vec<u32>,
}

fn inputs(rng: &mut ChaCha20Rng) -> Inputs {
    let len = 1 + rng.next_u32() as usize % 100;
    let signed = |_| match rng.next_u32() % 4 {
        0 => [i32::MIN, -1, 0, 1, i32::MAX][rng.next_u32() as usize % 5],
        _ => rng.next_u32() as i32,
    };
    let signed = (0..len).map(signed).collect();
    let mut any = input(rng, len);
    if rng.next_u32() & 1 == 1 {
        any[rng.next_u32() as usize % len] = Q + rng.next_u32() % (u32::MAX - Q + 1);
    }
    Inputs {
        a: block(rng),
        b: block(rng),
        c: block(rng),
        left: input(rng, len),
        right: input(rng, len),
        signed,
        any,
    }
}

fn results(i: &Inputs) -> Results {
    let backend = active();
    let of_block = |f: &dyn Fn(&mut [u32; N])| {
        let mut a = i.a;
        f(&mut a);
        a.to_vec()
    };
    let of_slice = |f: &dyn Fn(&mut [u32])| {
        let mut a = i.left.clone();
        f(&mut a);
        a
    };
    let mut centred = vec![0; i.left.len()];
    backend.sub_center(&i.left, &i.right, &mut centred);
    Results(vec![
        of_block(&|a| backend.forward(a)),
        of_block(&|a| backend.inverse(a)),
        of_block(&|a| backend.mul_montgomery(a, &i.b)),
        of_block(&|a| backend.mul_add(a, &i.b, &i.c)),
        of_slice(&|a| backend.add_assign(a, &i.right)),
        of_slice(&|a| backend.sub_assign(a, &i.right)),
        of_slice(&|a| backend.add_signed(a, &i.signed)),
        centred.iter().map(|&c| c as u32).collect(),
        vec![backend.canonical_prefix(&i.any) as u32],
    ])
}

#[test]
fn same_bytes_on_random_and_edge_inputs() {
    let others = others();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for case in 0..cases(1000) {
        let inputs = inputs(&mut rng);
        let expected = only_on(BackendKind::Portable, || results(&inputs));
        assert!(expected.0[..6].iter().flatten().all(|&word| word < Q));
        for &kind in &others {
            let got = only_on(kind, || results(&inputs));
            let first = got.0.iter().zip(&expected.0).position(|(a, b)| a != b);
            assert_eq!(first, None, "{kind}, case {case}: operation");
        }
    }
}

/// Tables of several deviations; numbers at, next to and between the entries, with every limb tied or not.
#[test]
fn same_samples_on_random_and_edge_numbers() {
    let others = others();
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let all_units = [1 << 16, 131_072, 294_912, 300_001, 417_069, (8 << 16) - 1];
    for units in all_units {
        let table = Cdt::of_deviation(units);
        assert!(table.limbs().is_some(), "{units}: no limbs");
        let entries = table.entries();
        for case in 0..cases(1000).div_ceil(4) {
            let mut bytes = [0u8; 16 * SAMPLES];
            rng.fill_bytes(&mut bytes);
            for sixteen in bytes.chunks_exact_mut(16) {
                let entry = entries[rng.next_u32() as usize % entries.len()];
                let keep = rng.next_u32() % 128;
                let noise = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
                // Bits 64 and 0 are not the number's.
                let near = match rng.next_u32() % 8 {
                    0 => entry,
                    1 => entry.saturating_sub(1),
                    2 => entry + 1,
                    3 => entry ^ 1 << (rng.next_u32() % 126),
                    4 => (1 << 126) - 1 - (noise >> (rng.next_u32() % 126 + 2)),
                    // As the entry in the high bits, anything below.
                    5 | 6 => entry ^ (noise >> 2 >> keep.min(125)),
                    _ => continue,
                };
                let near = near.min((1 << 126) - 1);
                let (high, low) = (near >> 63, near & ((1 << 63) - 1));
                let number = high << 65 | low << 1 | noise & (1 << 64 | 1);
                sixteen.copy_from_slice(&number.to_le_bytes());
            }
            let draw = || {
                let mut out = [0i32; SAMPLES];
                active().sample(&table, &bytes, &mut out);
                out
            };
            let expected = only_on(BackendKind::Portable, draw);
            for &kind in &others {
                assert_eq!(
                    only_on(kind, draw),
                    expected,
                    "{kind}, {units}, case {case}"
                );
            }
        }
    }
}

/// The whole way: matrix, key, noise, payload, digest, opening.
#[test]
fn same_masks() {
    let dim = Dimension::new(5000).expect("in range");
    let matrix = mask::PublicMatrix::from_seed(&[4; 32]);
    for units in [417_069, 18_000 << 16] {
        let run = || {
            let mut rng = ChaCha20Rng::seed_from_u64(units);
            let sigma = Gaussian::new(Sigma::new(units).expect("in range"));
            let key = mask::MaskKey::sample(&mut rng);
            let x: Vec<i32> = (0..5000).map(|i| i * 77 - 90_000).collect();
            let masked = mask::mask_once(&matrix, &key, &dim, &x, &sigma, &mut rng, |_| ());
            let masked = masked.expect("fits");
            let sum = mask::KeySum(Box::new(*key.to_ring().coefficients()));
            let opened = mask::unmask(&matrix, &dim, &masked.payload, &sum).expect("fits");
            (masked.payload, masked.digest, opened)
        };
        let expected = only_on(BackendKind::Portable, run);
        for kind in others() {
            assert!(only_on(kind, run) == expected, "{kind}");
        }
    }
}

/// The kernels on vectors of every width, emulated: also those that this processor does not have.
#[test]
fn kernels_are_right_at_every_width() {
    use super::emulated::Emulated;
    use super::simd::Simd;

    fn check<S: Simd>(s: S, rng: &mut ChaCha20Rng) {
        let tails = twiddles::tails(S::LANES);
        for _ in 0..cases(1000).div_ceil(100) {
            let i = inputs(rng);
            let expected = with(BackendKind::Portable, || results(&i)).expect("supported");
            let (mut forward, mut inverse, mut product, mut sum) = (i.a, i.a, i.a, i.a);
            kernels::forward(s, &tails, &mut forward);
            kernels::inverse(s, &tails, &mut inverse);
            kernels::mul_montgomery(s, &mut product, &i.b);
            kernels::mul_add(s, &mut sum, &i.b, &i.c);
            let (mut added, mut subtracted, mut shifted) =
                (i.left.clone(), i.left.clone(), i.left.clone());
            kernels::add(s, &mut added, &i.right);
            kernels::sub(s, &mut subtracted, &i.right);
            kernels::add_signed(s, &mut shifted, &i.signed);
            let mut centred = vec![0; i.left.len()];
            kernels::sub_center(s, &i.left, &i.right, &mut centred);
            let prefix = vec![kernels::canonical_prefix(s, &i.any) as u32];
            let got = Results(vec![
                forward.to_vec(),
                inverse.to_vec(),
                product.to_vec(),
                sum.to_vec(),
                added,
                subtracted,
                shifted,
                centred.iter().map(|&c| c as u32).collect(),
                prefix,
            ]);
            assert_eq!(got, expected, "{} lanes", S::LANES);
        }
        for units in [131_072, 294_912, 417_069] {
            let table = Cdt::of_deviation(units);
            let mut bytes = vec![0u8; 16 * 4 * SAMPLES];
            rng.fill_bytes(&mut bytes);
            // Small and large numbers too.
            for (i, sixteen) in bytes.chunks_exact_mut(16).enumerate().step_by(2) {
                let number = u128::from_le_bytes(sixteen.try_into().expect("16 bytes")) >> i;
                let number = if i % 4 == 0 { number } else { !number };
                sixteen.copy_from_slice(&number.to_le_bytes());
            }
            let (mut got, mut expected) = (vec![0; 4 * SAMPLES], vec![0; 4 * SAMPLES]);
            let limbs = table.limbs().expect("has limbs");
            sampling::sample(s, limbs, &bytes, &mut got);
            table.sample(&bytes, &mut expected);
            assert_eq!(got, expected, "{} lanes, {units}", S::LANES);
        }
    }

    let mut rng = ChaCha20Rng::seed_from_u64(3);
    check(Emulated::<4>, &mut rng);
    check(Emulated::<8>, &mut rng);
    check(Emulated::<16>, &mut rng);
}

#[test]
fn names_round_trip_and_wrong_ones_are_refused() {
    for kind in BackendKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    for wrong in ["", "AVX2", "sse2", "avx-512"] {
        let refused = wrong.parse::<BackendKind>().expect_err("refused");
        assert!(refused.to_string().contains(&format!("{wrong:?}")));
    }
}

#[test]
fn forcing_what_is_not_there_is_an_error_that_names_it() {
    for kind in BackendKind::ALL {
        let result = with(kind, || ());
        assert_eq!(result.is_ok(), kind.is_supported());
        if let Err(error) = result {
            assert_eq!(error, BackendError::Unsupported(kind));
            assert!(error.to_string().contains(kind.name()));
        }
    }
}

/// The whole suite runs with the backend that the variable names: this test fails when it was not taken.
#[test]
fn the_variable_is_obeyed() {
    match std::env::var(VARIABLE) {
        Ok(name) if !name.is_empty() => {
            assert_eq!(choose().map(BackendKind::name), Ok(name.as_str()))
        }
        _ => {
            let best = BackendKind::ALL
                .into_iter()
                .rfind(|kind| kind.is_supported());
            assert_eq!(choose().ok(), best);
        }
    }
    RAN.take();
    let transformed = RingElement::from_coefficients([1; N]).transform();
    assert!(transformed.values().iter().any(|&value| value != 1));
    assert_eq!(RAN.take(), [choose().expect("as above")]);
}

/// Forcing is undone, also by nesting and by a panic.
#[test]
fn forcing_ends_with_the_work() {
    let before = current();
    with(BackendKind::Portable, || {
        for kind in others() {
            with(kind, || assert_eq!(current(), kind)).expect("supported");
        }
        assert_eq!(current(), BackendKind::Portable);
    })
    .expect("supported");
    let panicked =
        std::panic::catch_unwind(|| with(BackendKind::Portable, || panic!("on purpose")));
    assert!(panicked.is_err());
    assert_eq!(current(), before);
}
