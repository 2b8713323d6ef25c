//! Vectors of any width in plain Rust, lane by lane as [`Simd`] says, for tests: what holds of the kernels
//! here holds of them on a processor that this machine is not, if its intrinsics do what their names say.

use super::bytes::Bytes;
use super::simd::Simd;

#[derive(Clone, Copy)]
pub(super) struct Emulated<const L: usize>;

fn zip<const L: usize>(a: [u32; L], b: [u32; L], f: impl Fn(u32, u32) -> u32) -> [u32; L] {
    core::array::from_fn(|i| f(a[i], b[i]))
}

fn choose<const L: usize>(f: impl Fn(usize) -> bool) -> [bool; L] {
    core::array::from_fn(f)
}

impl<const L: usize> Simd for Emulated<L> {
    const LANES: usize = L;
    type V = [u32; L];
    type M = [bool; L];

    fn splat(self, word: u32) -> [u32; L] {
        [word; L]
    }
    fn load(self, from: &[u32]) -> [u32; L] {
        core::array::from_fn(|i| from[i])
    }
    fn store(self, to: &mut [u32], v: [u32; L]) {
        to[..L].copy_from_slice(&v);
    }
    fn add(self, a: [u32; L], b: [u32; L]) -> [u32; L] {
        zip(a, b, u32::wrapping_add)
    }
    fn sub(self, a: [u32; L], b: [u32; L]) -> [u32; L] {
        zip(a, b, u32::wrapping_sub)
    }
    fn and(self, a: [u32; L], b: [u32; L]) -> [u32; L] {
        zip(a, b, |a, b| a & b)
    }
    fn xor(self, a: [u32; L], b: [u32; L]) -> [u32; L] {
        zip(a, b, |a, b| a ^ b)
    }
    fn shift_left_20(self, a: [u32; L]) -> [u32; L] {
        a.map(|a| a << 20)
    }
    fn shift_right_12(self, a: [u32; L]) -> [u32; L] {
        a.map(|a| a >> 12)
    }
    fn shift_right_lanes(self, a: [u32; L]) -> [u32; L] {
        a.map(|a| a / L as u32)
    }
    fn mul_wide(self, a: [u32; L], b: [u32; L]) -> ([u32; L], [u32; L]) {
        let product = |a: u32, b: u32| u64::from(a) * u64::from(b);
        (
            zip(a, b, |a, b| product(a, b) as u32),
            zip(a, b, |a, b| (product(a, b) >> 32) as u32),
        )
    }
    fn add_if_less(self, sum: [u32; L], a: [u32; L], b: [u32; L], c: [u32; L]) -> [u32; L] {
        core::array::from_fn(|i| sum[i].wrapping_add(if a[i] < b[i] { c[i] } else { 0 }))
    }
    fn count_greater(self, count: [u32; L], a: [u32; L], b: [u32; L]) -> [u32; L] {
        core::array::from_fn(|i| count[i] + u32::from(a[i] as i32 > b[i] as i32))
    }
    fn greater(self, a: [u32; L], b: [u32; L]) -> [bool; L] {
        choose(|i| a[i] as i32 > b[i] as i32)
    }
    fn equal(self, a: [u32; L], b: [u32; L]) -> [bool; L] {
        choose(|i| a[i] == b[i])
    }
    fn both(self, a: [bool; L], b: [bool; L]) -> [bool; L] {
        choose(|i| a[i] && b[i])
    }
    fn either(self, a: [bool; L], b: [bool; L]) -> [bool; L] {
        choose(|i| a[i] || b[i])
    }
    fn anywhere(self, m: [bool; L]) -> bool {
        m.contains(&true)
    }
    fn keep(self, m: [bool; L], a: [u32; L]) -> [u32; L] {
        self.select(m, a, [0; L])
    }
    fn select(self, m: [bool; L], a: [u32; L], b: [u32; L]) -> [u32; L] {
        core::array::from_fn(|i| if m[i] { a[i] } else { b[i] })
    }
    fn permute(self, table: [u32; L], index: [u32; L]) -> [u32; L] {
        index.map(|i| table[i as usize % L])
    }
    fn exchange(self, half: usize, x: [u32; L], y: [u32; L]) -> ([u32; L], [u32; L]) {
        (
            core::array::from_fn(|i| if i & half == 0 { x[i] } else { y[i - half] }),
            core::array::from_fn(|i| if i & half == 0 { x[i + half] } else { y[i] }),
        )
    }
    fn transpose4(self, bytes: &[u8]) -> [[u32; L]; 4] {
        core::array::from_fn(|k| {
            core::array::from_fn(|i| {
                let at = 16 * i + 4 * k;
                u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            })
        })
    }
}

/// Byte `i` of a vector of 32-bit words.
fn byte(a: &[u32], i: usize) -> u8 {
    a[i / 4].to_le_bytes()[i % 4]
}

/// The vector whose byte `i` is `f(i)`.
fn of_bytes<const L: usize>(f: impl Fn(usize) -> u8) -> [u32; L] {
    core::array::from_fn(|i| u32::from_le_bytes(core::array::from_fn(|k| f(4 * i + k))))
}

/// The vector whose 16 bits `i` are `f(i)`.
fn of_halves<const L: usize>(f: impl Fn(usize) -> u16) -> [u32; L] {
    of_bytes(|i| f(i / 2).to_le_bytes()[i % 2])
}

/// 16 bits `i` of a vector of 32-bit words.
fn half(a: &[u32], i: usize) -> u16 {
    u16::from_le_bytes([byte(a, 2 * i), byte(a, 2 * i + 1)])
}

/// Units of `size` bytes of both in turns: of half `which` of every lane.
fn turns<const L: usize>(size: usize, which: usize, x: [u32; L], y: [u32; L]) -> [u32; L] {
    of_bytes(|i| {
        let (lane, unit, within) = (i / 16, i % 16 / size, i % size);
        let from = 16 * lane + 8 * which + unit / 2 * size + within;
        byte(if unit % 2 == 0 { &x } else { &y }, from)
    })
}

impl<const L: usize> Bytes for Emulated<L> {
    // As NEON at its width.
    const BIAS: u16 = if L == 4 { 255 } else { 0 };

    fn load_bytes(self, from: &[u8]) -> [u32; L] {
        of_bytes(|i| from[i])
    }
    fn store_bytes(self, to: &mut [u8], v: [u32; L]) {
        for (i, to) in to[..4 * L].iter_mut().enumerate() {
            *to = byte(&v, i);
        }
    }
    fn broadcast(self, from: &[u8; 16]) -> [u32; L] {
        of_bytes(|i| from[i % 16])
    }
    fn right(self, bits: usize, a: [u32; L]) -> [u32; L] {
        of_halves(|i| half(&a, i) >> bits)
    }
    fn left(self, bits: usize, a: [u32; L]) -> [u32; L] {
        of_halves(|i| half(&a, i) << bits)
    }
    fn lookup(self, table: [u32; L], index: [u32; L]) -> [u32; L] {
        of_bytes(|i| {
            let index = usize::from(byte(&index, i));
            assert!(index < 16, "instruction sets differ on larger indices");
            byte(&table, i / 16 * 16 + index)
        })
    }
    fn add_bytes(self, a: [u32; L], b: [u32; L]) -> [u32; L] {
        of_bytes(|i| byte(&a, i).wrapping_add(byte(&b, i)))
    }
    fn add_differences(self, sum: [u32; L], x: [u32; L]) -> [u32; L] {
        of_halves(|i| {
            let plus = u16::from(byte(&x, 2 * i)) + Self::BIAS;
            let minus = u16::from(byte(&x, 2 * i + 1));
            half(&sum, i).wrapping_add(plus).wrapping_sub(minus)
        })
    }
    fn zip_bytes(self, x: [u32; L], y: [u32; L]) -> ([u32; L], [u32; L]) {
        (turns(1, 0, x, y), turns(1, 1, x, y))
    }
    fn zip_pairs(self, x: [u32; L], y: [u32; L]) -> ([u32; L], [u32; L]) {
        (turns(2, 0, x, y), turns(2, 1, x, y))
    }
}
