//! The bytes of the backend in which one thing is wrong.

use super::faulty::{E, Fault, FaultySimd, L, Words};
use crate::backend::bytes::Bytes;

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
