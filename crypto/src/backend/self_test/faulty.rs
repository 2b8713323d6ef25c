//! A backend of sixteen lanes in which one thing is wrong, as a wrong intrinsic would make it: what the self-test
//! must refuse.

use crate::backend::bytes::Bytes;
use crate::backend::emulated::Emulated;
use crate::backend::simd::Simd;
use crate::backend::ternary::{self, LambdaTables};
use crate::backend::twiddles::{Tails, tails};
use crate::backend::{Backend, BackendKind, kernels, sampling};
use crate::gaussian::Cdt;
use crate::params::N;

const L: usize = 16;
type Words = [u32; L];
type Bools = [bool; L];

/// What is wrong with a vector instruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    Nothing,
    /// The last lane of what the operation of this number gives is wrong.
    LastLane(usize),
    /// Comparisons of the other signedness, or that hold for equal words too.
    LessSigned,
    LessOrEqual,
    CountUnsigned,
    CountOrEqual,
    GreaterUnsigned,
    GreaterOrEqual,
    /// Shifts by one bit too many, or with the sign.
    LeftBy21,
    RightBy13,
    RightWithSign,
    /// As for eight lanes.
    RightBy3,
    /// Products: low and high exchanged; signed; only even lanes.
    HalvesExchanged,
    SignedProduct,
    EvenLanesOnly,
    /// Arguments in the other order.
    SelectReversed,
    KeepReversed,
    PermuteReversed,
    SubtractReversed,
    /// As two vectors of eight lanes.
    PermuteHalves,
    AnywhereInHalf,
    /// This exchange does nothing, or gives its results in the other order.
    NoExchange(usize),
    ExchangeReversed(usize),
    /// The transposition without its last step.
    TransposeOrder,
    Saturating,
    Both,
    Either,
    AndIsOr,
    XorIsOr,
    /// Bytes: all lanes look up in the first, or are given its table only.
    LookupFirstLane,
    BroadcastOnce,
    /// Subtracted the other way, as signed bytes, without one of the two, or saturating.
    DifferencesReversed,
    DifferencesSigned,
    DifferencesFirst,
    DifferencesSaturating,
    BytesSaturating,
    /// Shifts by one bit whatever is asked.
    RightByOne,
    LeftByOne,
    /// In the other order, or across the whole vector instead of in lanes.
    ZipReversed,
    ZipAcross,
    /// Pairs as bytes, bytes as pairs.
    ZipOtherUnit,
}

/// Operations whose last lane can be wrong.
const OPERATIONS: usize = 32;

/// All of them.
pub(super) fn faults() -> Vec<Fault> {
    use Fault::*;
    let mut all = vec![
        LessSigned,
        LessOrEqual,
        CountUnsigned,
        CountOrEqual,
        GreaterUnsigned,
        GreaterOrEqual,
        LeftBy21,
        RightBy13,
        RightWithSign,
        RightBy3,
        HalvesExchanged,
        SignedProduct,
        EvenLanesOnly,
        SelectReversed,
        KeepReversed,
        PermuteReversed,
        SubtractReversed,
        PermuteHalves,
        AnywhereInHalf,
        TransposeOrder,
        Saturating,
        Both,
        Either,
        AndIsOr,
        XorIsOr,
        LookupFirstLane,
        BroadcastOnce,
        DifferencesReversed,
        DifferencesSigned,
        DifferencesFirst,
        DifferencesSaturating,
        BytesSaturating,
        RightByOne,
        LeftByOne,
        ZipReversed,
        ZipAcross,
        ZipOtherUnit,
    ];
    all.extend((0..OPERATIONS).map(LastLane));
    for half in [1, 2, 4, 8] {
        all.extend([NoExchange(half), ExchangeReversed(half)]);
    }
    all
}

#[derive(Clone, Copy)]
struct FaultySimd(Fault);

impl FaultySimd {
    fn is(self, fault: Fault) -> bool {
        self.0 == fault
    }
    fn word(self, operation: usize, mut words: Words) -> Words {
        words[L - 1] ^= u32::from(self.is(Fault::LastLane(operation)));
        words
    }
    fn bool(self, operation: usize, mut bools: Bools) -> Bools {
        bools[L - 1] ^= self.is(Fault::LastLane(operation));
        bools
    }
    fn lanes<T>(self, f: impl Fn(usize) -> T) -> [T; L] {
        core::array::from_fn(f)
    }
}

const E: Emulated<L> = Emulated;

impl Simd for FaultySimd {
    const LANES: usize = L;
    type V = Words;
    type M = Bools;

    fn splat(self, word: u32) -> Words {
        self.word(0, E.splat(word))
    }
    fn load(self, from: &[u32]) -> Words {
        self.word(1, E.load(from))
    }
    fn store(self, to: &mut [u32], v: Words) {
        E.store(to, self.word(2, v));
    }
    fn add(self, a: Words, b: Words) -> Words {
        match self.0 {
            Fault::Saturating => self.lanes(|i| a[i].saturating_add(b[i])),
            _ => self.word(3, E.add(a, b)),
        }
    }
    fn sub(self, a: Words, b: Words) -> Words {
        match self.0 {
            Fault::SubtractReversed => E.sub(b, a),
            _ => self.word(4, E.sub(a, b)),
        }
    }
    fn and(self, a: Words, b: Words) -> Words {
        match self.0 {
            Fault::AndIsOr => self.lanes(|i| a[i] | b[i]),
            _ => self.word(5, E.and(a, b)),
        }
    }
    fn xor(self, a: Words, b: Words) -> Words {
        match self.0 {
            Fault::XorIsOr => self.lanes(|i| a[i] | b[i]),
            _ => self.word(6, E.xor(a, b)),
        }
    }
    fn shift_left_20(self, a: Words) -> Words {
        match self.0 {
            Fault::LeftBy21 => a.map(|a| a << 21),
            _ => self.word(7, E.shift_left_20(a)),
        }
    }
    fn shift_right_12(self, a: Words) -> Words {
        match self.0 {
            Fault::RightBy13 => a.map(|a| a >> 13),
            Fault::RightWithSign => a.map(|a| (a as i32 >> 12) as u32),
            _ => self.word(8, E.shift_right_12(a)),
        }
    }
    fn shift_right_lanes(self, a: Words) -> Words {
        match self.0 {
            Fault::RightBy3 => a.map(|a| a >> 3),
            _ => self.word(9, E.shift_right_lanes(a)),
        }
    }
    fn mul_wide(self, a: Words, b: Words) -> (Words, Words) {
        let (low, high) = E.mul_wide(a, b);
        let even = |words: Words| self.lanes(|i| words[i & !1]);
        match self.0 {
            Fault::HalvesExchanged => (high, low),
            Fault::SignedProduct => {
                let high = |i: usize| (i64::from(a[i] as i32) * i64::from(b[i] as i32)) >> 32;
                (low, self.lanes(|i| high(i) as u32))
            }
            Fault::EvenLanesOnly => (even(low), even(high)),
            _ => (self.word(10, low), self.word(11, high)),
        }
    }
    fn add_if_less(self, sum: Words, a: Words, b: Words, c: Words) -> Words {
        let chosen = |less: bool, i: usize| sum[i].wrapping_add(if less { c[i] } else { 0 });
        match self.0 {
            Fault::LessSigned => self.lanes(|i| chosen((a[i] as i32) < b[i] as i32, i)),
            Fault::LessOrEqual => self.lanes(|i| chosen(a[i] <= b[i], i)),
            _ => self.word(12, E.add_if_less(sum, a, b, c)),
        }
    }
    fn count_greater(self, count: Words, a: Words, b: Words) -> Words {
        match self.0 {
            Fault::CountUnsigned => self.lanes(|i| count[i] + u32::from(a[i] > b[i])),
            Fault::CountOrEqual => self.lanes(|i| count[i] + u32::from(a[i] as i32 >= b[i] as i32)),
            _ => self.word(13, E.count_greater(count, a, b)),
        }
    }
    fn greater(self, a: Words, b: Words) -> Bools {
        match self.0 {
            Fault::GreaterUnsigned => self.lanes(|i| a[i] > b[i]),
            Fault::GreaterOrEqual => self.lanes(|i| a[i] as i32 >= b[i] as i32),
            _ => self.bool(14, E.greater(a, b)),
        }
    }
    fn equal(self, a: Words, b: Words) -> Bools {
        self.bool(15, E.equal(a, b))
    }
    fn both(self, a: Bools, b: Bools) -> Bools {
        match self.0 {
            Fault::Both => E.either(a, b),
            _ => self.bool(16, E.both(a, b)),
        }
    }
    fn either(self, a: Bools, b: Bools) -> Bools {
        match self.0 {
            Fault::Either => E.both(a, b),
            _ => self.bool(17, E.either(a, b)),
        }
    }
    fn anywhere(self, m: Bools) -> bool {
        match self.0 {
            Fault::AnywhereInHalf => m[..L / 2].contains(&true),
            _ => E.anywhere(m),
        }
    }
    fn keep(self, m: Bools, a: Words) -> Words {
        match self.0 {
            Fault::KeepReversed => self.select(m, [0; L], a),
            _ => self.word(18, E.keep(m, a)),
        }
    }
    fn select(self, m: Bools, a: Words, b: Words) -> Words {
        match self.0 {
            Fault::SelectReversed => E.select(m, b, a),
            _ => self.word(19, E.select(m, a, b)),
        }
    }
    fn permute(self, table: Words, index: Words) -> Words {
        match self.0 {
            Fault::PermuteReversed => E.permute(index, table),
            Fault::PermuteHalves => self.lanes(|i| table[i & 8 | index[i] as usize & 7]),
            _ => self.word(20, E.permute(table, index)),
        }
    }
    fn exchange(self, half: usize, x: Words, y: Words) -> (Words, Words) {
        let right = E.exchange(half, x, y);
        match self.0 {
            Fault::NoExchange(at) if at == half => (x, y),
            Fault::ExchangeReversed(at) if at == half => (right.1, right.0),
            _ => right,
        }
    }
    fn transpose4(self, bytes: &[u8]) -> [Words; 4] {
        let right = E.transpose4(bytes);
        match self.0 {
            Fault::TransposeOrder => right.map(|words| self.lanes(|i| words[i % 4 * 4 + i / 4])),
            _ => right,
        }
    }
}

/// The bytes of a vector.
fn bytes(v: Words) -> [u8; 4 * L] {
    core::array::from_fn(|i| v[i / 4].to_le_bytes()[i % 4])
}

impl Bytes for FaultySimd {
    const BIAS: u16 = 0;

    fn load_bytes(self, from: &[u8]) -> Words {
        self.word(21, E.load_bytes(from))
    }
    fn store_bytes(self, to: &mut [u8], v: Words) {
        E.store_bytes(to, self.word(22, v));
    }
    fn broadcast(self, from: &[u8; 16]) -> Words {
        let right = self.word(23, E.broadcast(from));
        let once = self.is(Fault::BroadcastOnce);
        self.lanes(|i| if once && i >= 4 { 0 } else { right[i] })
    }
    fn right(self, bits: usize, a: Words) -> Words {
        let bits = if self.is(Fault::RightByOne) { 1 } else { bits };
        self.word(24, E.right(bits, a))
    }
    fn left(self, bits: usize, a: Words) -> Words {
        let bits = if self.is(Fault::LeftByOne) { 1 } else { bits };
        self.word(25, E.left(bits, a))
    }
    fn lookup(self, table: Words, index: Words) -> Words {
        let first = self.is(Fault::LookupFirstLane);
        let table = self.lanes(|i| table[if first { i % 4 } else { i }]);
        let index = index.map(|index| index & 0x0f0f_0f0f);
        self.word(26, E.lookup(table, index))
    }
    fn add_bytes(self, a: Words, b: Words) -> Words {
        if self.is(Fault::BytesSaturating) {
            let (a, b) = (bytes(a), bytes(b));
            let sum: [u8; 4 * L] = core::array::from_fn(|i| a[i].saturating_add(b[i]));
            return E.load_bytes(&sum);
        }
        self.word(27, E.add_bytes(a, b))
    }
    fn add_differences(self, sum: Words, x: Words) -> Words {
        let (sums, xs) = (bytes(sum), bytes(x));
        let by = |f: &dyn Fn(i16, u8, u8) -> i16| {
            let wrong: [u8; 4 * L] = core::array::from_fn(|i| {
                let at = i & !1;
                let sum = i16::from_le_bytes([sums[at], sums[at + 1]]);
                f(sum, xs[at], xs[at + 1]).to_le_bytes()[i % 2]
            });
            E.load_bytes(&wrong)
        };
        let signed = |byte: u8| i16::from(byte as i8);
        let difference = |x: u8, y: u8| i16::from(x) - i16::from(y);
        match self.0 {
            Fault::DifferencesReversed => by(&|sum, x, y| sum.wrapping_add(difference(y, x))),
            Fault::DifferencesSigned => {
                by(&|sum, x, y| sum.wrapping_add(signed(x)).wrapping_sub(signed(y)))
            }
            Fault::DifferencesFirst => by(&|sum, x, _| sum.wrapping_add(i16::from(x))),
            Fault::DifferencesSaturating => by(&|sum, x, y| {
                let small = difference(x, y).clamp(-128, 127);
                sum.wrapping_add(small)
            }),
            _ => self.word(28, E.add_differences(sum, x)),
        }
    }
    fn zip_bytes(self, x: Words, y: Words) -> (Words, Words) {
        let right = E.zip_bytes(x, y);
        match self.0 {
            Fault::ZipReversed => (right.1, right.0),
            Fault::ZipOtherUnit => E.zip_pairs(x, y),
            Fault::ZipAcross => {
                let (x, y) = (bytes(x), bytes(y));
                let all = |from: usize| {
                    let both: [u8; 4 * L] = core::array::from_fn(|i| {
                        let at = from + i / 2;
                        if i % 2 == 0 { x[at] } else { y[at] }
                    });
                    E.load_bytes(&both)
                };
                (all(0), all(2 * L))
            }
            _ => (self.word(29, right.0), right.1),
        }
    }
    fn zip_pairs(self, x: Words, y: Words) -> (Words, Words) {
        let right = E.zip_pairs(x, y);
        match self.0 {
            Fault::ZipReversed => (right.1, right.0),
            Fault::ZipOtherUnit => E.zip_bytes(x, y),
            _ => (self.word(30, right.0), self.word(31, right.1)),
        }
    }
}

/// The kernels over faulty instructions, as a backend that says that it is `kind`.
pub(super) struct Faulty {
    kind: BackendKind,
    simd: FaultySimd,
    tails: &'static Tails,
}

impl Faulty {
    pub(super) fn new(kind: BackendKind, fault: Fault) -> &'static Faulty {
        static TAILS: Tails = tails(L);
        Box::leak(Box::new(Faulty {
            kind,
            simd: FaultySimd(fault),
            tails: &TAILS,
        }))
    }
}

impl Backend for Faulty {
    fn kind(&self) -> BackendKind {
        self.kind
    }
    fn forward(&self, a: &mut [u32; N]) {
        kernels::forward(self.simd, self.tails, a);
    }
    fn inverse(&self, a: &mut [u32; N]) {
        kernels::inverse(self.simd, self.tails, a);
    }
    fn mul_montgomery(&self, a: &mut [u32; N], b: &[u32; N]) {
        kernels::mul_montgomery(self.simd, a, b);
    }
    fn mul_add(&self, sum: &mut [u32; N], a: &[u32; N], b: &[u32; N]) {
        kernels::mul_add(self.simd, sum, a, b);
    }
    fn add_assign(&self, sum: &mut [u32], term: &[u32]) {
        kernels::add(self.simd, sum, term);
    }
    fn sub_assign(&self, sum: &mut [u32], term: &[u32]) {
        kernels::sub(self.simd, sum, term);
    }
    fn add_signed(&self, sum: &mut [u32], term: &[i32]) {
        kernels::add_signed(self.simd, sum, term);
    }
    fn sub_center(&self, a: &[u32], b: &[u32], out: &mut [i32]) {
        kernels::sub_center(self.simd, a, b, out);
    }
    fn canonical_prefix(&self, words: &[u32]) -> usize {
        kernels::canonical_prefix(self.simd, words)
    }
    fn sample(&self, table: &Cdt, bytes: &[u8], out: &mut [i32]) {
        let limbs = table.limbs().expect("has limbs");
        sampling::sample(self.simd, limbs, bytes, out);
    }
    fn project(&self, tiles: &mut [u8], v: &[i32], z: &mut [i32]) {
        ternary::project(self.simd, tiles, v, z);
    }
    fn combine(&self, tiles: &[u8], tables: &LambdaTables, out: [&mut [u32]; 2]) {
        ternary::combine(self.simd, tiles, tables, out);
    }
}
