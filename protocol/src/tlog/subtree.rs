//! Inclusion and consistency proofs (RFC 6962, section 2.1) from tiles, in logarithmic time and memory.
//!
//! Every hash of a proof is the root of a range of leaves. A range is complete subtrees side by side, largest first, and
//! a complete subtree is the root of neighbouring hashes of one tile. So it is known which tiles a proof needs before any
//! is read: whoever has them in a database or behind HTTP fetches exactly those.

use std::collections::BTreeSet;
use std::ops::Range;

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::{MerkleError, empty_root, node_hash};

use super::TlogError;
use super::tile::{HEIGHT, TileId, TileSet};

/// A complete subtree: leaves from `index << height`, `1 << height` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Subtree {
    height: u8,
    index: u64,
}

impl Subtree {
    /// The tile that has it in a tree of this size, and which of its hashes.
    fn place(&self, size: u64) -> Option<(TileId, Range<usize>)> {
        let (level, below) = (self.height / HEIGHT, self.height % HEIGHT);
        let first = self.index << below;
        let tile = TileId::of(level, first >> HEIGHT, size)?;
        let first = (first & 0xff) as usize;
        Some((tile, first..first + (1 << below)))
    }

    fn hash(&self, size: u64, tiles: &TileSet) -> Result<Digest, TlogError> {
        let (tile, range) = self.place(size).ok_or(MerkleError::OutOfRange)?;
        let hashes = tiles.get(&tile).and_then(|hashes| hashes.get(range));
        let mut hashes = hashes.ok_or(TlogError::NoTile(tile.path()))?.to_vec();
        while hashes.len() > 1 {
            let pairs = hashes.as_chunks::<2>().0.iter();
            hashes = pairs.map(|[left, right]| node_hash(left, right)).collect();
        }
        hashes
            .first()
            .copied()
            .ok_or(TlogError::NoTile(tile.path()))
    }
}

/// The complete subtrees of a range of leaves that begins at a multiple of the power of two not below its length,
/// largest first.
fn subtrees(range: &Range<u64>) -> impl Iterator<Item = Subtree> {
    let (mut at, length) = (range.start, range.end - range.start);
    (0..64_u8).rev().filter_map(move |height| {
        if length >> height & 1 == 0 {
            return None;
        }
        let index = at >> height;
        at += 1 << height;
        Some(Subtree { height, index })
    })
}

fn range_hash(range: &Range<u64>, size: u64, tiles: &TileSet) -> Result<Digest, TlogError> {
    let parts: Result<Vec<Digest>, TlogError> = subtrees(range)
        .map(|subtree| subtree.hash(size, tiles))
        .collect();
    let parts = parts?;
    let mut from_right = parts.iter().rev();
    Ok(match from_right.next() {
        None => empty_root(),
        Some(last) => from_right.fold(*last, |hash, left| node_hash(left, &hash)),
    })
}

/// Where a range of at least two leaves is split: the largest power of two below its length.
fn split(range: &Range<u64>) -> u64 {
    let length = range.end - range.start;
    range.start + (1 << (63 - (length - 1).leading_zeros()))
}

/// The ranges whose roots are an inclusion proof, from the leaf upwards.
fn inclusion(index: u64, size: u64) -> Result<Vec<Range<u64>>, TlogError> {
    if index >= size || size > 1 << 63 {
        return Err(MerkleError::OutOfRange.into());
    }
    let (mut ranges, mut range) = (Vec::new(), 0..size);
    while range.end - range.start > 1 {
        let middle = split(&range);
        let (left, right) = (range.start..middle, middle..range.end);
        if index < middle {
            ranges.push(right);
            range = left;
        } else {
            ranges.push(left);
            range = right;
        }
    }
    ranges.reverse();
    Ok(ranges)
}

/// The ranges whose roots are a consistency proof. Nothing proves that a tree continues the empty one.
fn consistency(old: u64, size: u64) -> Result<Vec<Range<u64>>, TlogError> {
    if old > size || size > 1 << 63 {
        return Err(MerkleError::OutOfRange.into());
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let (mut ranges, mut range, mut whole) = (Vec::new(), 0..size, true);
    while old < range.end {
        let middle = split(&range);
        let (left, right) = (range.start..middle, middle..range.end);
        if old <= middle {
            ranges.push(right);
            range = left;
        } else {
            ranges.push(left);
            range = right;
            whole = false;
        }
    }
    // The root of the old tree itself is known to whoever verifies; any other subtree is not.
    if !whole {
        ranges.push(range);
    }
    ranges.reverse();
    Ok(ranges)
}

fn tiles_of(ranges: &[Range<u64>], size: u64) -> BTreeSet<TileId> {
    let subtrees = ranges.iter().flat_map(subtrees);
    subtrees
        .filter_map(|subtree| subtree.place(size).map(|(tile, _)| tile))
        .collect()
}

fn hashes_of(ranges: &[Range<u64>], size: u64, tiles: &TileSet) -> Result<Vec<Digest>, TlogError> {
    let hashes = ranges.iter().map(|range| range_hash(range, size, tiles));
    hashes.collect()
}

/// The tiles of a tree of this size that [`inclusion_proof`] needs.
///
/// # Errors
/// [`MerkleError::OutOfRange`] unless `index < size`.
pub fn inclusion_tiles(index: u64, size: u64) -> Result<BTreeSet<TileId>, TlogError> {
    Ok(tiles_of(&inclusion(index, size)?, size))
}

/// The audit path of leaf `index` in the tree of this size, from the leaf upwards.
///
/// # Errors
/// [`TlogError::NoTile`]; [`MerkleError::OutOfRange`] unless `index < size`.
pub fn inclusion_proof(index: u64, size: u64, tiles: &TileSet) -> Result<Vec<Digest>, TlogError> {
    hashes_of(&inclusion(index, size)?, size, tiles)
}

/// The tiles of a tree of this size that [`consistency_proof`] needs.
///
/// # Errors
/// [`MerkleError::OutOfRange`] unless `old <= size`.
pub fn consistency_tiles(old: u64, size: u64) -> Result<BTreeSet<TileId>, TlogError> {
    Ok(tiles_of(&consistency(old, size)?, size))
}

/// The proof that the tree of this size begins with the one of `old` leaves; empty for `old = 0`.
///
/// # Errors
/// [`TlogError::NoTile`]; [`MerkleError::OutOfRange`] unless `old <= size`.
pub fn consistency_proof(old: u64, size: u64, tiles: &TileSet) -> Result<Vec<Digest>, TlogError> {
    hashes_of(&consistency(old, size)?, size, tiles)
}

/// The tiles of a tree of this size that [`root`] needs.
pub fn root_tiles(size: u64) -> BTreeSet<TileId> {
    tiles_of(std::slice::from_ref(&(0..size)), size)
}

/// The root of the tree of this size.
///
/// # Errors
/// [`TlogError::NoTile`].
pub fn root(size: u64, tiles: &TileSet) -> Result<Digest, TlogError> {
    range_hash(&(0..size), size, tiles)
}
