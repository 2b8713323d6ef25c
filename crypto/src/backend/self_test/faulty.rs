//! A backend of sixteen lanes in which one thing is wrong, as a wrong intrinsic would make it: what the self-test
//! must refuse.

use crate::backend::emulated::Emulated;
use crate::backend::simd::Simd;
use crate::backend::ternary::{self, LambdaTables};
use crate::backend::twiddles::{Tails, tails};
use crate::backend::{Backend, BackendKind, kernels, sampling};
use crate::gaussian::Cdt;
use crate::params::N;

pub(super) const L: usize = 16;
pub(super) type Words = [u32; L];
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
pub(super) struct FaultySimd(pub(super) Fault);

impl FaultySimd {
    pub(super) fn is(self, fault: Fault) -> bool {
        self.0 == fault
    }
    pub(super) fn word(self, operation: usize, mut words: Words) -> Words {
        words[L - 1] ^= u32::from(self.is(Fault::LastLane(operation)));
        words
    }
    fn bool(self, operation: usize, mut bools: Bools) -> Bools {
        bools[L - 1] ^= self.is(Fault::LastLane(operation));
        bools
    }
    pub(super) fn lanes<T>(self, f: impl Fn(usize) -> T) -> [T; L] {
        core::array::from_fn(f)
    }
}

pub(super) const E: Emulated<L> = Emulated;

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
