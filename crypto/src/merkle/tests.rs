//! Known vectors of the Certificate Transparency reference implementation, and properties.

use super::*;
use proptest::prelude::*;

const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const PATHS: [(usize, usize, &[&str]); 4] = [
    (
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        3,
        &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    ),
    (
        1,
        5,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];

const CONSISTENCIES: [(usize, usize, &[&str]); 4] = [
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
    (8, 8, &[]),
];

fn known_leaves() -> Vec<Digest> {
    LEAVES
        .iter()
        .map(|hex| leaf_hash(&hex::decode(hex).expect("hexadecimal")))
        .collect()
}

fn digests(hex: &[&str]) -> Vec<Digest> {
    hex.iter().map(|h| h.parse().expect("a digest")).collect()
}

#[test]
fn known_roots() {
    let leaves = known_leaves();
    assert_eq!(
        empty_root().to_string(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    assert_eq!(root(&[]), empty_root());
    for (size, expected) in ROOTS.iter().enumerate() {
        assert_eq!(root(&leaves[..=size]).to_string(), *expected);
    }
}

#[test]
fn known_proofs() {
    let leaves = known_leaves();
    for (index, size, path) in PATHS {
        let proof = digests(path);
        assert_eq!(inclusion_proof(&leaves[..size], index), Ok(proof.clone()));
        let root = root(&leaves[..size]);
        let checked = verify_inclusion(&leaves[index], index as u64, size as u64, &proof, &root);
        assert_eq!(checked, Ok(()));
    }
    for (old, new, path) in CONSISTENCIES {
        let proof = digests(path);
        assert_eq!(consistency_proof(&leaves[..new], old), Ok(proof.clone()));
        let (old_root, new_root) = (root(&leaves[..old]), root(&leaves[..new]));
        let checked = verify_consistency(old as u64, &old_root, new as u64, &new_root, &proof);
        assert_eq!(checked, Ok(()));
    }
}

fn numbered(count: usize) -> Vec<Digest> {
    (0..count).map(|i| leaf_hash(&i.to_le_bytes())).collect()
}

/// Every leaf of every tree up to 40 leaves; every change to a proof, index or size is refused.
#[test]
fn inclusion_proofs_hold_and_only_they() {
    let leaves = numbered(40);
    for size in 1..=40 {
        let tree = &leaves[..size];
        let root = root(tree);
        for index in 0..size {
            let proof = inclusion_proof(tree, index).expect("in range");
            let check = |leaf, index, size, proof: &[Digest]| {
                verify_inclusion(leaf, index as u64, size as u64, proof, &root)
            };
            assert_eq!(check(&tree[index], index, size, &proof), Ok(()));
            for other in (0..size).filter(|&other| other != index) {
                assert!(check(&tree[other], index, size, &proof).is_err());
                assert!(check(&tree[index], other, size, &proof).is_err());
            }
            assert_eq!(
                check(&tree[index], size, size, &proof),
                Err(MerkleError::OutOfRange)
            );
            let mut longer = proof.clone();
            longer.push(Digest([0; 32]));
            assert!(check(&tree[index], index, size, &longer).is_err());
            for at in 0..proof.len() {
                let mut changed = proof.clone();
                changed[at].0[31] ^= 1;
                let refused = check(&tree[index], index, size, &changed);
                assert_eq!(refused, Err(MerkleError::RootMismatch));
                let shorter = [&proof[..at], &proof[at + 1..]].concat();
                assert!(check(&tree[index], index, size, &shorter).is_err());
            }
        }
        assert_eq!(inclusion_proof(tree, size), Err(MerkleError::OutOfRange));
    }
}

#[test]
fn consistency_proofs_hold_and_only_they() {
    let leaves = numbered(34);
    for new in 1..=34usize {
        let new_root = root(&leaves[..new]);
        for old in 1..=new {
            let old_root = root(&leaves[..old]);
            let proof = consistency_proof(&leaves[..new], old).expect("in range");
            let check = |old_root: &Digest, new_root: &Digest, proof: &[Digest]| {
                verify_consistency(old as u64, old_root, new as u64, new_root, proof)
            };
            assert_eq!(check(&old_root, &new_root, &proof), Ok(()));
            assert!(check(&Digest([1; 32]), &new_root, &proof).is_err());
            assert!(check(&old_root, &Digest([1; 32]), &proof).is_err());
            // Another history with the same sizes.
            let mut forged = leaves[..old].to_vec();
            forged[old - 1].0[0] ^= 1;
            assert!(check(&root(&forged), &new_root, &proof).is_err());
            let mut longer = proof.clone();
            longer.push(Digest([0; 32]));
            assert!(check(&old_root, &new_root, &longer).is_err());
            for at in 0..proof.len() {
                let mut changed = proof.clone();
                changed[at].0[0] ^= 1;
                assert!(check(&old_root, &new_root, &changed).is_err());
                let shorter = [&proof[..at], &proof[at + 1..]].concat();
                assert!(check(&old_root, &new_root, &shorter).is_err());
            }
        }
    }
    assert_eq!(consistency_proof(&leaves, 0), Err(MerkleError::OutOfRange));
    assert_eq!(consistency_proof(&leaves, 35), Err(MerkleError::OutOfRange));
}

#[test]
fn a_stored_frontier_goes_on() {
    let leaves = numbered(100);
    for stop in 0..100 {
        let mut frontier = Frontier::new();
        leaves[..stop].iter().for_each(|leaf| frontier.push(*leaf));
        let mut restored = Frontier::from_parts(frontier.size(), frontier.subtrees().to_vec())
            .expect("as it was stored");
        leaves[stop..].iter().for_each(|leaf| restored.push(*leaf));
        assert_eq!(restored.root(), root(&leaves));
        assert_eq!(restored.size(), 100);
    }
    assert_eq!(
        Frontier::from_parts(3, vec![leaves[0]]),
        Err(MerkleError::ProofLength)
    );
    assert_eq!(
        Frontier::from_parts(u64::MAX, vec![leaves[0]; 64]),
        Err(MerkleError::OutOfRange)
    );
}

#[test]
fn leaves_and_nodes_are_separated() {
    let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
    let joined = [a.0, b.0].concat();
    assert_ne!(leaf_hash(&joined), node_hash(&a, &b));
}

proptest! {
    #[test]
    fn hostile_proofs_never_panic(
        index in any::<u64>(),
        size in any::<u64>(),
        other in any::<u64>(),
        proof in prop::collection::vec(any::<[u8; 32]>().prop_map(Digest), 0..70),
        root in any::<[u8; 32]>().prop_map(Digest),
    ) {
        prop_assert!(verify_inclusion(&root, index, size, &proof, &Digest([0; 32])).is_err());
        prop_assert!(verify_consistency(index, &root, size, &Digest([0; 32]), &proof).is_err());
        prop_assert!(verify_consistency(other.min(size), &root, size, &Digest([0; 32]), &proof).is_err());
    }
}
