//! A table cut into limbs of 32 bits, as the vector backends search it (`backend/sampling.rs` says how).

/// Limbs of a number of 128 bits, and levels of a table.
pub(crate) const LEVELS: usize = 4;

/// Limbs are looked up in vectors of at most this many.
const PAD: usize = 16;

/// The complements `C_i = ~E_i` of a table's entries, `E_i = high 2^65 + low 2`, by the number of leading limbs
/// that are zero. Every limb has its top bit flipped, so that a signed comparison orders them.
pub(crate) struct LimbTable {
    /// Level `l`: entries whose first `l` limbs are zero and whose next is not.
    pub(crate) levels: [Level; LEVELS],
}

/// One level's entries.
#[derive(Default)]
pub(crate) struct Level {
    len: usize,
    /// Limb `k` after the zero ones, of each entry; filled up with zeros for whole vectors.
    pub(crate) limbs: Vec<Vec<u32>>,
}

impl Level {
    /// The first limb of every entry, strictly decreasing.
    #[inline(always)]
    pub(crate) fn entries(&self) -> &[u32] {
        &self.limbs[0][..self.len]
    }

    /// The entries, and one that is zero: where a count can point.
    #[inline(always)]
    pub(crate) fn padded(&self) -> usize {
        self.len + 1
    }
}

impl LimbTable {
    /// What flips the top bit.
    pub(crate) const SIGN: u32 = 1 << 31;

    /// Cuts a table of high and low halves of 63 bits. `None` when two entries of a level share their first
    /// limb: then one lookup would not be enough.
    pub(super) fn new(entries: &[(u64, u64)]) -> Option<LimbTable> {
        let mut levels: [Vec<[u32; LEVELS]>; LEVELS] = Default::default();
        for &(high, low) in entries {
            // Bits 64 and 0 belong to no entry: the first is cleared, the second stays set, so that no
            // complement is zero and "at most" becomes "less" for numbers that have it cleared.
            let complement = !(u128::from(high) << 65 | u128::from(low) << 1 | 1 << 64);
            let limbs: [u32; LEVELS] =
                core::array::from_fn(|k| (complement >> (96 - 32 * k)) as u32);
            let level = limbs.iter().take_while(|&&limb| limb == 0).count();
            levels.get_mut(level)?.push(limbs);
        }
        let decreasing = levels.iter().enumerate().all(|(level, entries)| {
            entries
                .windows(2)
                .all(|pair| pair[0][level] > pair[1][level])
        });
        let cut = |level: usize| {
            let entries: &Vec<[u32; LEVELS]> = &levels[level];
            let limbs = (level..LEVELS).map(|k| {
                let mut limb: Vec<u32> = entries.iter().map(|e| e[k]).collect();
                limb.resize((limb.len() + 1).next_multiple_of(PAD), 0);
                limb.iter().map(|word| word ^ LimbTable::SIGN).collect()
            });
            Level {
                len: entries.len(),
                limbs: limbs.collect(),
            }
        };
        decreasing.then(|| LimbTable {
            levels: core::array::from_fn(cut),
        })
    }
}
