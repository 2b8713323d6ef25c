//! The self-test, tested: whatever is wrong is refused, and the choice falls back to the next backend.

use super::faulty::{Fault, Faulty, faults};
use super::*;
use crate::backend::{BackendError, BackendKind, pass, refused, select, tests};
use crate::keystream::{AesUnit, RoundKeys};
use aes::cipher::{BlockCipherEncrypt, KeyInit};

/// The portable backend, wrong in one operation and there only where the test must look: in the last place of a
/// long input, or by an edge.
struct OneWrong(usize);

impl OneWrong {
    const OPERATIONS: [&'static str; 13] = [
        "the transform",
        "the inverse transform",
        "the product",
        "the sum of products",
        "the sum",
        "the difference",
        "the sum with signed numbers",
        "the centred difference",
        "the search for words that are not canonical",
        "the table sampler",
        "the combination of rows",
        "the projection",
        "the keystream",
    ];

    fn spoil<T: Copy>(&self, operation: usize, out: &mut [T], other: impl Fn(T) -> T) {
        if let Some(last) = out.last_mut().filter(|_| self.0 == operation) {
            *last = other(*last);
        }
    }
}

impl Backend for OneWrong {
    fn kind(&self) -> BackendKind {
        BackendKind::Avx512
    }
    fn forward(&self, a: &mut [u32; N]) {
        Portable.forward(a);
        self.spoil(0, a, |word| word ^ 1);
    }
    fn inverse(&self, a: &mut [u32; N]) {
        Portable.inverse(a);
        self.spoil(1, a, |word| word ^ 1);
    }
    fn mul_montgomery(&self, a: &mut [u32; N], b: &[u32; N]) {
        Portable.mul_montgomery(a, b);
        self.spoil(2, a, |word| word ^ 1);
    }
    fn mul_add(&self, sum: &mut [u32; N], a: &[u32; N], b: &[u32; N]) {
        Portable.mul_add(sum, a, b);
        self.spoil(3, sum, |word| word ^ 1);
    }
    fn add_assign(&self, sum: &mut [u32], term: &[u32]) {
        Portable.add_assign(sum, term);
        // Not canonical, but right modulo q.
        for word in sum.iter_mut().filter(|word| **word == 0) {
            *word = if self.0 == 4 { Q } else { 0 };
        }
    }
    fn sub_assign(&self, sum: &mut [u32], term: &[u32]) {
        Portable.sub_assign(sum, term);
        self.spoil(5, sum, |word| word ^ 1);
    }
    fn add_signed(&self, sum: &mut [u32], term: &[i32]) {
        Portable.add_signed(sum, term);
        for (word, term) in sum.iter_mut().zip(term) {
            *word ^= u32::from(self.0 == 6 && *term == i32::MIN);
        }
    }
    fn sub_center(&self, a: &[u32], b: &[u32], out: &mut [i32]) {
        Portable.sub_center(a, b, out);
        let largest = (Q / 2) as i32;
        for value in out.iter_mut().filter(|value| **value == largest) {
            *value = if self.0 == 7 { -largest } else { largest };
        }
    }
    fn canonical_prefix(&self, words: &[u32]) -> usize {
        let prefix = Portable.canonical_prefix(words);
        let missed = self.0 == 8 && prefix + 1 == words.len();
        prefix + usize::from(missed)
    }
    fn sample(&self, table: &Cdt, bytes: &[u8], out: &mut [i32]) {
        Portable.sample(table, bytes, out);
        self.spoil(9, out, i32::wrapping_neg);
        let largest = out.iter().copied().max().unwrap_or(0);
        for value in out.iter_mut().filter(|value| **value == largest) {
            *value -= i32::from(self.0 == 9);
        }
    }
    fn combine(&self, tiles: &[u8], tables: &LambdaTables, out: [&mut [u32]; 2]) {
        let [first, second] = out;
        Portable.combine(tiles, tables, [&mut *first, &mut *second]);
        self.spoil(10, second, |word| word ^ 1);
    }
    fn project(&self, tiles: &mut [u8], v: &[i32], z: &mut [i32]) {
        Portable.project(tiles, v, z);
        self.spoil(11, z, |value| value ^ 1 << 31);
    }
    fn aes(&self) -> Option<&'static dyn AesUnit> {
        (self.0 == 12).then_some(&WrongAes)
    }
}

/// The library's AES, whose counter does not carry beyond 32 bits.
struct WrongAes;

impl AesUnit for WrongAes {
    fn expand(&self, key: &[u8]) -> RoundKeys {
        let blocks: Vec<[u8; 16]> = key.as_chunks().0.to_vec();
        RoundKeys::new(&blocks)
    }
    fn keystream(&self, keys: &RoundKeys, counter: u64, out: &mut [u8]) {
        for (i, block) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let number = u64::from((counter as u32).wrapping_add(i as u32));
            let mut one = aes::Block::default();
            one[..8].copy_from_slice(&number.to_le_bytes());
            match keys.get() {
                [key] => Aes128::new(&(*key).into()).encrypt_block(&mut one),
                [low, high] => {
                    let key: [u8; 32] = [*low, *high].as_flattened().try_into().expect("32");
                    Aes256::new(&key.into()).encrypt_block(&mut one);
                }
                _ => unreachable!("a key of one or two blocks"),
            }
            block.copy_from_slice(&one);
        }
    }
}

#[test]
fn right_backends_pass() {
    assert_eq!(check(&Portable), Ok(()));
    let right = Faulty::new(BackendKind::Avx512, Fault::Nothing);
    assert_eq!(check(right), Ok(()));
    for kind in BackendKind::ALL {
        let expected = match kind.is_supported() {
            true => Ok(()),
            false => Err(BackendError::Unsupported(kind)),
        };
        assert_eq!(kind.self_test(), expected);
    }
    assert_eq!(refused(), []);
}

#[test]
fn every_wrong_instruction_is_noticed() {
    for fault in faults() {
        let broken = Faulty::new(BackendKind::Avx512, fault);
        assert!(check(broken).is_err(), "{fault:?}");
    }
}

#[test]
fn every_operation_is_tested_and_named() {
    for (number, operation) in OneWrong::OPERATIONS.into_iter().enumerate() {
        assert_eq!(check(&OneWrong(number)), Err(operation));
    }
    assert_eq!(check(&OneWrong(usize::MAX)), Ok(()));
}

/// A processor with AVX-512 that fails, with AVX2 that fails or not.
fn processor(
    avx512: Fault,
    avx2: Fault,
) -> impl Fn(BackendKind) -> Result<&'static dyn Backend, BackendError> {
    move |kind| {
        let backend: &'static dyn Backend = match kind {
            BackendKind::Avx512 => Faulty::new(kind, avx512),
            BackendKind::Avx2 => Faulty::new(kind, avx2),
            BackendKind::Portable => &Portable,
            BackendKind::Neon => return Err(BackendError::Unsupported(kind)),
        };
        pass(backend)
    }
}

#[test]
fn the_choice_falls_back_to_the_next_backend() {
    use BackendKind::{Avx2, Avx512};
    use Fault::{LessSigned, Nothing, PermuteReversed};
    let chosen = |avx512, avx2| select("", processor(avx512, avx2)).map(Backend::kind);
    assert_eq!(chosen(Nothing, Nothing), Ok(Avx512));
    assert_eq!(chosen(PermuteReversed, Nothing), Ok(Avx2));
    assert_eq!(
        chosen(PermuteReversed, LessSigned),
        Ok(BackendKind::Portable)
    );
    assert_eq!(chosen(Nothing, LessSigned), Ok(Avx512));
}

#[test]
fn what_is_forced_and_fails_is_an_error_that_names_it() {
    let forced =
        |name: &str, fault| select(name, processor(fault, Fault::Nothing)).map(Backend::kind);
    assert_eq!(forced("avx512", Fault::Nothing), Ok(BackendKind::Avx512));
    let error = forced("avx512", Fault::PermuteReversed).expect_err("refused");
    assert!(matches!(
        error,
        BackendError::SelfTest(BackendKind::Avx512, _)
    ));
    let text = error.to_string();
    assert!(
        text.contains("avx512") && text.contains("the table sampler"),
        "{text}"
    );
    // What is not forced does not matter.
    let avx2 = forced("avx2", Fault::PermuteReversed);
    assert_eq!(avx2, Ok(BackendKind::Avx2));
    let neon = forced("neon", Fault::Nothing);
    assert_eq!(neon, Err(BackendError::Unsupported(BackendKind::Neon)));
    assert!(matches!(
        forced("sse2", Fault::Nothing),
        Err(BackendError::Unknown(_))
    ));
}

#[test]
fn each_backend_is_tested_once() {
    for kind in BackendKind::ALL
        .into_iter()
        .filter(|kind| kind.is_supported())
    {
        assert_eq!(kind.self_test(), Ok(()));
        tests::ran();
        assert_eq!(kind.self_test(), Ok(()));
        assert_eq!(tests::ran(), [], "{kind} was tested twice");
    }
}
