//! Vectors of any width in plain Rust, lane by lane as [`Simd`] says, for tests: what holds of the kernels
//! here holds of them on a processor that this machine is not, if its intrinsics do what their names say.

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
