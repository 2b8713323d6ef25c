//! Counter-based randomness for everything that must be repeatable: initial weights, shuffling, partitions, dropout, rounding.
//!
//! A number depends only on the label, the seed, the step and the index, never on the order of evaluation.

use alloc::vec;
use alloc::vec::Vec;

/// The labels (BLAKE3 `derive_key` contexts) of this crate.
pub mod labels {
    /// Initial weights of a model, from its seed.
    pub const INITIAL_WEIGHTS: &str = "dawn v1 learn initial weights";
    /// Order of the samples in an epoch, from the training seed.
    pub const SHUFFLE: &str = "dawn v1 learn shuffle";
    /// Hidden units that steps leave out, from the training seed.
    pub const DROPOUT: &str = "dawn v1 learn dropout";
    /// Stochastic rounding of weights, from the training seed.
    pub const ROUNDING: &str = "dawn v1 learn rounding";
    /// Signs of the adapters of a round, from the task's seed.
    pub const ADAPTERS: &str = "dawn v1 learn adapters";
    /// Order of the public samples in a distillation, from the task's seed and the round's number.
    pub const STUDENT: &str = "dawn v1 learn student";
    /// Partition of a data set over devices.
    pub const PARTITION: &str = "dawn v1 learn partition";
}

/// A stream of uniform numbers: BLAKE3 in XOF mode, keyed by (label, seed), over the 8 little-endian bytes of `step`.
///
/// Number `i` of the stream is the little-endian u64 at byte `8 i`.
pub(crate) struct Stream {
    output: blake3::OutputReader,
    /// Numbers are taken from here: BLAKE3 computes blocks, several at once.
    buffer: [u8; 1024],
    used: usize,
}

/// The key of the streams of a label and a seed.
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn new(label: &'static str, seed: &[u8; 32]) -> Self {
        Self(blake3::derive_key(label, seed))
    }

    pub(crate) fn stream(&self, step: u64) -> Stream {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&step.to_le_bytes());
        Stream {
            output: hasher.finalize_xof(),
            buffer: [0; 1024],
            used: 1024,
        }
    }
}

impl Stream {
    pub(crate) fn new(label: &'static str, seed: &[u8; 32], step: u64) -> Self {
        Key::new(label, seed).stream(step)
    }

    /// The next two bytes, little-endian; of a stream from which nothing else is taken.
    #[inline]
    pub(crate) fn next_u16(&mut self) -> u16 {
        if self.used == self.buffer.len() {
            self.output.fill(&mut self.buffer);
            self.used = 0;
        }
        let (halves, _) = self.buffer.as_chunks::<2>();
        let half = halves[self.used / 2];
        self.used += 2;
        u16::from_le_bytes(half)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        if self.used == self.buffer.len() {
            self.output.fill(&mut self.buffer);
            self.used = 0;
        }
        let (words, _) = self.buffer.as_chunks::<8>();
        let word = words[self.used / 8];
        self.used += 8;
        u64::from_le_bytes(word)
    }

    /// Number `index` of the stream, wherever it stands.
    fn number(&mut self, index: u64) -> u64 {
        let mut bytes = [0; 8];
        let at = self.output.position();
        self.output.set_position(8 * index);
        self.output.fill(&mut bytes);
        self.output.set_position(at);
        u64::from_le_bytes(bytes)
    }

    /// Uniform in `0..bound`, without bias: numbers beyond the largest multiple of `bound` are skipped.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let bound = bound.max(1);
        let limit = u64::MAX - (u64::MAX % bound + 1) % bound;
        loop {
            let number = self.next_u64();
            if number <= limit {
                return number % bound;
            }
        }
    }
}

/// The order of `0..len` in epoch `step`: sorted by (number of the stream, index), so that every index's place
/// follows from the counter alone. The index is the low half of each entry, see [`index`].
///
/// What is sorted is the high half of the number with the index, which is faster by half; the few numbers that agree in it
/// are compared in full.
pub(crate) fn permutation(
    label: &'static str,
    seed: &[u8; 32],
    step: u64,
    order: &mut Vec<u64>,
    len: u32,
) {
    let mut stream = Stream::new(label, seed, step);
    order.clear();
    order.extend((0..len).map(|index| stream.next_u64() >> 32 << 32 | u64::from(index)));
    sort_entries(order);
    sort_ties(order, |entry| stream.number(index(entry) as u64));
}

/// Bits of a digit of [`sort_entries`].
const DIGIT: u32 = 11;

/// Sorts entries whose high halves are uniform: by their upper 22 bits digit by digit, least first, and then by insertion what
/// agrees in those, which of a few thousand entries is a pair at most times. Takes as much memory again while it sorts.
fn sort_entries(order: &mut Vec<u64>) {
    // Of fewer, the counters take longer than the entries.
    const FEW: usize = 256;
    if order.len() < FEW {
        order.sort_unstable();
        return;
    }
    let digit =
        |entry: u64, place: u32| (entry >> (64 - DIGIT * (2 - place))) as usize % (1 << DIGIT);
    let mut places = [[0u32; 1 << DIGIT]; 2];
    for &entry in order.iter() {
        places[0][digit(entry, 0)] += 1;
        places[1][digit(entry, 1)] += 1;
    }
    let mut sorted = vec![0; order.len()];
    for (place, places) in (0..).zip(&mut places) {
        let mut below = 0;
        for count in places.iter_mut() {
            (*count, below) = (below, below + *count);
        }
        for &entry in order.iter() {
            let to = &mut places[digit(entry, place)];
            sorted[*to as usize] = entry;
            *to += 1;
        }
        core::mem::swap(order, &mut sorted);
    }
    for from in 1..order.len() {
        let mut to = from;
        while to > 0 && order[to - 1] > order[to] {
            order.swap(to - 1, to);
            to -= 1;
        }
    }
}

/// The index that an entry of a permutation stands for.
pub(crate) fn index(entry: u64) -> usize {
    (entry & 0xffff_ffff) as usize
}

/// Sorts entries that agree in their high half by (number, index).
fn sort_ties(order: &mut [u64], mut number: impl FnMut(u64) -> u64) {
    for tied in order.chunk_by_mut(|a, b| a >> 32 == b >> 32) {
        if tied.len() > 1 {
            tied.sort_unstable_by_key(|&entry| (number(entry), entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_contains_every_index_once_and_depends_on_seed_and_step() {
        let mut orders = Vec::new();
        for (seed, step) in [([1; 32], 0), ([1; 32], 1), ([2; 32], 0), ([1; 32], 0)] {
            let mut order = Vec::new();
            permutation(labels::SHUFFLE, &seed, step, &mut order, 100);
            let order: Vec<usize> = order.into_iter().map(index).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..100));
            orders.push(order);
        }
        assert_eq!(orders[0], orders[3]);
        assert_ne!(orders[0], orders[1]);
        assert_ne!(orders[0], orders[2]);
    }

    #[test]
    fn entries_are_sorted_whatever_agrees_in_them() {
        let mut stream = Stream::new(labels::SHUFFLE, &[3; 32], 0);
        for (len, bits) in [
            (0, 32),
            (255, 32),
            (256, 32),
            (70_000, 32),
            (3000, 8),
            (3000, 24),
        ] {
            let number = |_| stream.next_u64() >> (64 - bits) << (64 - bits);
            let numbers: Vec<u64> = (0..len).map(number).collect();
            let entries = (0..).zip(numbers).map(|(index, number)| number | index);
            let mut order: Vec<u64> = entries.collect();
            let mut expected = order.clone();
            expected.sort_unstable();
            sort_entries(&mut order);
            assert_eq!(order, expected, "{len} entries of {bits} bits");
        }
    }

    #[test]
    fn a_permutation_is_sorted_by_number_and_index() {
        let mut order = Vec::new();
        permutation(labels::SHUFFLE, &[1; 32], 7, &mut order, 5000);
        let mut stream = Stream::new(labels::SHUFFLE, &[1; 32], 7);
        let mut pairs: Vec<(u64, usize)> =
            (0..5000).map(|index| (stream.next_u64(), index)).collect();
        for (number, place) in [(pairs[4321].0, 4321), (pairs[0].0, 0)] {
            assert_eq!(stream.number(place), number);
        }
        pairs.sort_unstable();
        assert!(
            order
                .into_iter()
                .map(index)
                .eq(pairs.into_iter().map(|(_, index)| index))
        );

        // Ties in the high half, which so few numbers do not have: by the number in full, then by the index.
        let numbers = [5, 9, 3, 3, 1];
        let mut order = vec![7 << 32, 7 << 32 | 1, 7 << 32 | 2, 7 << 32 | 3, 8 << 32 | 4];
        sort_ties(&mut order, |entry| numbers[index(entry)]);
        assert_eq!(
            order.into_iter().map(index).collect::<Vec<_>>(),
            [2, 3, 0, 1, 4]
        );
    }

    #[test]
    fn below_reaches_every_value_and_no_other() {
        let mut stream = Stream::new(labels::PARTITION, &[0; 32], 0);
        let mut seen = [0u32; 7];
        for _ in 0..7000 {
            seen[usize::try_from(stream.below(7)).unwrap()] += 1;
        }
        assert!(
            seen.iter().all(|&count| (800..1200).contains(&count)),
            "{seen:?}"
        );
        assert_eq!(stream.below(1), 0);
    }
}
