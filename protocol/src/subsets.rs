//! Sets of stewards' answers as bits, and all of one size in lexicographic order of the points.

/// All subsets of `size` of `0..count` as bits, in lexicographic order of the sorted elements.
pub(crate) struct Subsets {
    count: usize,
    next: Option<Vec<usize>>,
}

impl Subsets {
    pub(crate) fn new(count: usize, size: usize) -> Self {
        Self {
            count,
            next: (size <= count).then(|| (0..size).collect()),
        }
    }
}

impl Iterator for Subsets {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let current = self.next.take()?;
        let size = current.len();
        let bits = current.iter().fold(0, |bits, element| bits | 1 << element);
        let movable = (0..size)
            .rev()
            .find(|place| current[*place] < self.count - size + place);
        if let Some(place) = movable {
            let mut following = current;
            let moved = following[place] + 1;
            for (offset, element) in following[place..].iter_mut().enumerate() {
                *element = moved + offset;
            }
            self.next = Some(following);
        }
        Some(bits)
    }
}

/// The items whose bits are set.
pub(crate) fn chosen<T>(bits: u32, items: &[T]) -> impl Iterator<Item = &T> {
    let numbered = items.iter().enumerate();
    numbered
        .filter(move |(place, _)| bits >> place & 1 == 1)
        .map(|(_, item)| item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsets_are_all_and_in_order() {
        let numbers: Vec<u32> = (0..6).collect();
        let elements = |bits: u32| chosen(bits, &numbers).copied().collect::<Vec<_>>();
        let all: Vec<_> = Subsets::new(6, 4).map(elements).collect();
        assert_eq!(all.len(), 15);
        assert_eq!(all[0], [0, 1, 2, 3]);
        assert_eq!(all[14], [2, 3, 4, 5]);
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Subsets::new(3, 4).count(), 0);
        assert_eq!(Subsets::new(3, 0).collect::<Vec<_>>(), [0]);
        assert_eq!(Subsets::new(16, 9).count(), 11440);
    }
}
