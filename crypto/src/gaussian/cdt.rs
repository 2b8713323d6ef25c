//! Cumulative distribution tables, scanned whole for every sample.

use super::fixed::{EXP_BITS, exp_neg, fraction};
use super::limbs::LimbTable;
use zeroize::Zeroize;

/// Samples that are scanned together, so that the compiler can use vector registers.
pub(super) const LANES: usize = 8;

/// Bits of a table's entries; a uniform number of as many bits is compared with each of them.
pub(super) const TABLE_BITS: u32 = 126;

/// The low half of an entry: halves of 63 bits, so that the top bit of a difference is its sign.
const HALF: u128 = (1 << 63) - 1;

/// Which magnitudes a table draws.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `|x|` for a discrete Gaussian `x`: zero once, everything else twice.
    Magnitude,
    /// The half-Gaussian: zero like everything else.
    Half,
}

/// A table: entry `i` is `P(value <= i)` scaled by `2^126`, without the last (which would be 1).
pub(crate) struct Cdt {
    /// High and low 63 bits of each entry.
    entries: Vec<(u64, u64)>,
    /// The same table, as the vector backends search it.
    limbs: Option<LimbTable>,
}

impl Cdt {
    /// The table of a Gaussian of deviation `sigma_units 2^-16`. Weights are computed to 120 bits and every
    /// entry is within `2^-112` of its value; what lies above the last entry has mass below `2^-112`.
    pub(super) fn new(sigma_units: u64, shape: Shape) -> Cdt {
        // rho(x) = exp(-x^2 2^32 / (2 sigma_units^2))
        let denominator = u128::from(sigma_units) * u128::from(sigma_units);
        let mut weights = Vec::new();
        for x in 0u128.. {
            let rho = exp_neg((x * x) << 31, denominator);
            if rho == 0 {
                break;
            }
            // One bit is given up, so that doubling cannot overflow the sum below.
            let once = x == 0 || shape == Shape::Half;
            weights.push(if once { rho >> 1 } else { rho });
        }
        let total: u128 = weights.iter().sum();
        debug_assert!(total < 1 << (EXP_BITS + 5));
        let mut sum = 0;
        let entries: Vec<(u64, u64)> = weights[..weights.len() - 1]
            .iter()
            .map(|weight| {
                sum += weight;
                let entry = fraction(sum, total, TABLE_BITS);
                ((entry >> 63) as u64, (entry & HALF) as u64)
            })
            .collect();
        let limbs = LimbTable::new(&entries);
        Cdt { entries, limbs }
    }

    /// The table for the vector backends, if it has the form that they need (all tables in use have).
    pub(crate) fn limbs(&self) -> Option<&LimbTable> {
        self.limbs.as_ref()
    }

    /// Fills `out`, a multiple of [`LANES`] long, from 16 bytes a sample: two halves of 63 bits, and the
    /// sign in one of the bits that are left (`docs/crypto-table.md`, section 5).
    pub(crate) fn sample(&self, bytes: &[u8], out: &mut [i32]) {
        for (bytes, out) in bytes
            .chunks_exact(16 * LANES)
            .zip(out.chunks_exact_mut(LANES))
        {
            let (mut high, mut low, mut sign) = ([0; LANES], [0; LANES], [0i32; LANES]);
            for (lane, sixteen) in bytes.chunks_exact(16).enumerate() {
                let mut le = [0; 16];
                le.copy_from_slice(sixteen);
                let number = u128::from_le_bytes(le);
                high[lane] = (number >> 65) as u64;
                low[lane] = (number >> 1) as u64 & (u64::MAX >> 1);
                sign[lane] = ((number & 1) as i32).wrapping_neg();
            }
            let mut magnitudes = self.scan(&high, &low);
            for (lane, value) in out.iter_mut().enumerate() {
                *value = ((magnitudes[lane] as i32) ^ sign[lane]).wrapping_sub(sign[lane]);
            }
            high.zeroize();
            low.zeroize();
            sign.zeroize();
            magnitudes.zeroize();
        }
    }

    /// The largest value that the table can draw.
    pub(super) fn max(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Draws [`LANES`] values from uniform numbers given by halves of 63 bits: how many entries are at
    /// most the number. Every entry is read and every operation done, whatever the numbers are.
    #[inline(always)]
    pub(super) fn scan(&self, high: &[u64; LANES], low: &[u64; LANES]) -> [u64; LANES] {
        let mut below = [0u64; LANES];
        for &(entry_high, entry_low) in &self.entries {
            for lane in 0..LANES {
                let borrow = low[lane].wrapping_sub(entry_low) >> 63;
                let difference = high[lane].wrapping_sub(entry_high).wrapping_sub(borrow);
                below[lane] = below[lane].wrapping_add(difference >> 63);
            }
        }
        let entries = self.entries.len() as u64;
        let values = below.map(|count| entries.wrapping_sub(count));
        below.zeroize();
        values
    }

    /// The table that [`super::Gaussian`] uses for a small deviation.
    pub(crate) fn of_deviation(sigma_units: u64) -> Cdt {
        Cdt::new(sigma_units, Shape::Magnitude)
    }

    /// The entries as numbers of 126 bits.
    pub(crate) fn entries(&self) -> Vec<u128> {
        self.entries
            .iter()
            .map(|&(high, low)| u128::from(high) << 63 | u128::from(low))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known tables from `docs/gaussian-table.py` (exact decimals, 80 digits), as hexadecimal.
    fn committed(text: &str) -> Vec<u128> {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| u128::from_str_radix(line, 16).expect("hexadecimal"))
            .collect()
    }

    #[test]
    fn tables_agree_with_exact_ones() {
        for (units, shape, text) in [
            (294_912, Shape::Magnitude, include_str!("cdt_key.txt")),
            (417_069, Shape::Magnitude, include_str!("cdt_error.txt")),
            (131_072, Shape::Half, include_str!("cdt_base.txt")),
        ] {
            let (table, exact) = (Cdt::new(units, shape).entries(), committed(text));
            assert!(table.len() <= exact.len() && table.len() + 3 > exact.len());
            for (i, (a, b)) in table.iter().zip(&exact).enumerate() {
                assert!(
                    a.abs_diff(*b) < 1 << (TABLE_BITS - 112),
                    "{units}: entry {i}"
                );
            }
            // What the shorter table leaves out is beyond its resolution.
            for entry in &exact[table.len()..] {
                assert!((1u128 << TABLE_BITS) - entry < 1 << (TABLE_BITS - 112));
            }
        }
    }

    #[test]
    fn scan_counts_entries_up_to_the_number() {
        let table = Cdt::new(294_912, Shape::Magnitude);
        let entries = table.entries();
        let split = |u: u128| ((u >> 63) as u64, (u & HALF) as u64);
        let mut numbers = vec![0, (1 << TABLE_BITS) - 1, 1 << 63, HALF];
        for &e in &entries {
            numbers.extend([e - 1, e, e + 1]);
        }
        for u in numbers {
            let u = u.min((1 << TABLE_BITS) - 1);
            let (high, low) = split(u);
            let expected = entries.iter().filter(|&&e| e <= u).count() as u64;
            assert_eq!(table.scan(&[high; LANES], &[low; LANES]), [expected; LANES]);
        }
    }
}
