//! Merkle trees of RFC 6962, section 2.1 (proof verification as in RFC 9162, sections 2.1.3.2 and
//! 2.1.4.2), over SHA-256: the tree of a round's submissions (`docs/protocol.md`, section 4.6) and the log.

use crate::digest::Digest;
use sha2::{Digest as _, Sha256};

/// Why a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// The index or the sizes make no sense.
    #[error("index or size out of range")]
    OutOfRange,
    /// The proof has another length than the sizes ask for.
    #[error("the proof has the wrong length")]
    ProofLength,
    /// The proof leads to another root.
    #[error("the proof leads to another root")]
    RootMismatch,
}

/// The hash of a leaf: `SHA-256(0x00 || data)`.
pub fn leaf_hash(data: &[u8]) -> Digest {
    Digest(
        Sha256::new()
            .chain_update([0])
            .chain_update(data)
            .finalize()
            .into(),
    )
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let hash = Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right);
    Digest(hash.finalize().into())
}

/// The root of no leaves: `SHA-256("")`.
pub fn empty_root() -> Digest {
    Digest(Sha256::digest([]).into())
}

/// The root over hashed leaves, in order.
pub fn root(leaves: &[Digest]) -> Digest {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier.root()
}

/// The largest power of two below `size`, for `size >= 2`.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

/// The audit path of leaf `index`, from the leaf upwards.
///
/// # Errors
/// [`MerkleError::OutOfRange`] unless `index < leaves.len()`.
pub fn inclusion_proof(leaves: &[Digest], index: usize) -> Result<Vec<Digest>, MerkleError> {
    if index >= leaves.len() {
        return Err(MerkleError::OutOfRange);
    }
    let (mut proof, mut leaves, mut index) = (Vec::new(), leaves, index);
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if index < left.len() {
            proof.push(root(right));
            leaves = left;
        } else {
            proof.push(root(left));
            index -= left.len();
            leaves = right;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that `leaf` is the `index`th of `size` leaves under `expected`.
///
/// # Errors
/// The [`MerkleError`] that says why not.
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    proof: &[Digest],
    expected: &Digest,
) -> Result<(), MerkleError> {
    if index >= size {
        return Err(MerkleError::OutOfRange);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(MerkleError::ProofLength);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A node without a right sibling moves up until it is someone's right child.
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(MerkleError::ProofLength);
    }
    if hash == *expected {
        Ok(())
    } else {
        Err(MerkleError::RootMismatch)
    }
}

/// The proof that the first `old` leaves are a prefix of all of them.
///
/// # Errors
/// [`MerkleError::OutOfRange`] unless `1 <= old <= leaves.len()`.
pub fn consistency_proof(leaves: &[Digest], old: usize) -> Result<Vec<Digest>, MerkleError> {
    if old == 0 || old > leaves.len() {
        return Err(MerkleError::OutOfRange);
    }
    let (mut proof, mut leaves, mut old, mut whole) = (Vec::new(), leaves, old, true);
    while old < leaves.len() {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if old <= left.len() {
            proof.push(root(right));
            leaves = left;
        } else {
            proof.push(root(left));
            old -= left.len();
            leaves = right;
            whole = false;
        }
    }
    // The old tree's root itself is known to the verifier; any other subtree is not.
    if !whole {
        proof.push(root(leaves));
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that the tree of `old_size` leaves under `old_root` is a prefix of the one of `new_size`.
///
/// # Errors
/// The [`MerkleError`] that says why not.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Digest,
    new_size: u64,
    new_root: &Digest,
    proof: &[Digest],
) -> Result<(), MerkleError> {
    if old_size == 0 || old_size > new_size {
        return Err(MerkleError::OutOfRange);
    }
    if old_size == new_size {
        return match (proof.is_empty(), old_root == new_root) {
            (false, _) => Err(MerkleError::ProofLength),
            (true, false) => Err(MerkleError::RootMismatch),
            (true, true) => Ok(()),
        };
    }
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    // A complete old tree is a node of the new one, and its root starts the path.
    let (first, rest) = if node == 0 {
        (old_root, proof)
    } else {
        proof.split_first().ok_or(MerkleError::ProofLength)?
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(MerkleError::ProofLength);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(MerkleError::ProofLength);
    }
    if old_hash == *old_root && new_hash == *new_root {
        Ok(())
    } else {
        Err(MerkleError::RootMismatch)
    }
}

/// The roots of the complete subtrees of an append-only tree: enough to append and to give the root, in
/// logarithmic space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// One root for every bit that is set in `size`, largest subtree first.
    subtrees: Vec<Digest>,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Frontier {
        Frontier::default()
    }

    /// A tree as it was stored.
    ///
    /// # Errors
    /// [`MerkleError::OutOfRange`] for more than `2^63` leaves; [`MerkleError::ProofLength`] unless there is
    /// one subtree for every bit set in `size`.
    pub fn from_parts(size: u64, subtrees: Vec<Digest>) -> Result<Frontier, MerkleError> {
        if size > 1 << 63 {
            return Err(MerkleError::OutOfRange);
        }
        if subtrees.len() != size.count_ones() as usize {
            return Err(MerkleError::ProofLength);
        }
        Ok(Frontier { size, subtrees })
    }

    /// Appends a hashed leaf.
    pub fn push(&mut self, leaf: Digest) {
        self.push_with(leaf, |_, _| {});
    }

    /// Appends a hashed leaf, and tells of every subtree that becomes complete with it, from the smallest: its height, from
    /// 1, and its root. It is the one of its height that ends with this leaf.
    pub fn push_with(&mut self, leaf: Digest, mut completed: impl FnMut(u8, Digest)) {
        let mut hash = leaf;
        // Every trailing one of the size is a complete subtree that the new leaf completes to a larger one.
        for height in (1..).take(self.size.trailing_ones() as usize) {
            if let Some(left) = self.subtrees.pop() {
                hash = node_hash(&left, &hash);
                completed(height, hash);
            }
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest first: with the size, what to store.
    pub fn subtrees(&self) -> &[Digest] {
        &self.subtrees
    }

    /// The root.
    pub fn root(&self) -> Digest {
        let mut from_right = self.subtrees.iter().rev();
        match from_right.next() {
            None => empty_root(),
            Some(last) => from_right.fold(*last, |hash, left| node_hash(left, &hash)),
        }
    }
}

#[cfg(test)]
mod tests;
