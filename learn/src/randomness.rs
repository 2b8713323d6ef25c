//! Counter-based randomness for everything that must be repeatable: initial weights, shuffling, partitions.
//!
//! A number depends only on the label, the seed, the step and the index, never on the order of evaluation.

/// The labels (BLAKE3 `derive_key` contexts) of this crate.
pub mod labels {
    /// Initial weights of a model, from its seed.
    pub const INITIAL_WEIGHTS: &str = "dawn v1 learn initial weights";
    /// Order of the samples in an epoch, from the training seed.
    pub const SHUFFLE: &str = "dawn v1 learn shuffle";
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

impl Stream {
    pub(crate) fn new(label: &'static str, seed: &[u8; 32], step: u64) -> Self {
        let key = blake3::derive_key(label, seed);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(&step.to_le_bytes());
        Self {
            output: hasher.finalize_xof(),
            buffer: [0; 1024],
            used: 1024,
        }
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
/// follows from the counter alone.
pub(crate) fn permutation(
    label: &'static str,
    seed: &[u8; 32],
    step: u64,
    order: &mut Vec<(u64, u32)>,
    len: u32,
) {
    let mut stream = Stream::new(label, seed, step);
    order.clear();
    order.extend((0..len).map(|index| (stream.next_u64(), index)));
    order.sort_unstable();
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
            let order: Vec<u32> = order.into_iter().map(|(_, index)| index).collect();
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
