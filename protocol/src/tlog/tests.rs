//! Known answers of Go's `sumdb/note` and of `test_vectors/tlog.py`. What must be refused: [`super::hostile`].

use std::collections::BTreeMap;

use dawn_crypto::merkle::{self, Frontier, MerkleError, leaf_hash};
use dawn_identity::{PublicKey, SecretKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::note::{Algorithm, verifier_key};
use super::*;

#[derive(Deserialize)]
pub(super) struct Vectors {
    pub(super) federation: Digest,
    pub(super) seed: String,
    verifier_key: String,
    time: u64,
    pub(super) stewards: Vec<Steward>,
    paths: Vec<Place>,
    pub(super) trees: Vec<Tree>,
}

#[derive(Deserialize)]
pub(super) struct Steward {
    pub(super) id: StewardId,
    seed: String,
    pub(super) public: PublicKey,
}

#[derive(Deserialize)]
struct Place {
    level: u8,
    index: u64,
    width: u16,
    path: String,
}

#[derive(Deserialize)]
pub(super) struct Tree {
    size: u64,
    root: Digest,
    pub(super) checkpoint: String,
    pub(super) index: u64,
    pub(super) proof: String,
    old: u64,
    old_root: Digest,
    pub(super) add_checkpoint: String,
    tiles: BTreeMap<String, Digest>,
    bundles: BTreeMap<String, Digest>,
}

pub(super) fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../test_vectors/tlog.json")).expect("tlog.json")
}

pub(super) fn secret(seed: &str) -> SecretKey {
    SecretKey::from_seed(&seed.parse::<Digest>().expect("seed").0)
}

pub(super) fn entry(index: u64) -> Vec<u8> {
    let hash: [u8; 32] = Sha256::digest(format!("entry {index}")).into();
    hash.repeat((index % 5) as usize)
}

fn leaves(size: u64) -> Vec<Digest> {
    (0..size).map(|index| leaf_hash(&entry(index))).collect()
}

/// All tiles of a tree, by appending: what the aggregator keeps.
fn all_tiles(leaves: &[Digest]) -> TileSet {
    let mut levels: Vec<Vec<Digest>> = vec![Vec::new(); 4];
    let mut frontier = Frontier::new();
    for leaf in leaves {
        levels[0].push(*leaf);
        frontier.push_with(*leaf, |height, hash| {
            if height.is_multiple_of(8) {
                levels[usize::from(height / 8)].push(hash);
            }
        });
    }
    let mut tiles = TileSet::new();
    for (level, hashes) in levels.iter().enumerate() {
        for (index, part) in hashes.chunks(256).enumerate() {
            let id = TileId {
                level: level as u8,
                index: index as u64,
                width: part.len() as u16,
            };
            assert_eq!(
                TileId::of(id.level, id.index, leaves.len() as u64),
                Some(id)
            );
            tiles.insert(id, part.to_vec());
        }
    }
    tiles
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// From the documentation of golang.org/x/mod/sumdb/note.
#[test]
fn a_note_of_go() {
    let text = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n";
    let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let private = STANDARD
        .decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")
        .expect("base64");
    let key = SecretKey::from_seed(private[1..].try_into().expect("32 bytes"));
    let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(
        verifier_key("PeterNeumann", Algorithm::Ed25519, &key.public()),
        vkey
    );
    let signed = SignedNote::sign(text.to_owned(), "PeterNeumann", &key);
    assert_eq!(signed.to_text(), format!("{text}\n{line}"));
    let read = SignedNote::parse(signed.to_text().as_bytes()).expect("note");
    assert_eq!(read, signed);
    read.verify("PeterNeumann", &key.public()).expect("signed");
    let other = SecretKey::from_seed(&[7; 32]);
    assert_eq!(
        read.verify("PeterNeumann", &other.public()),
        Err(TlogError::NotSigned("PeterNeumann".to_owned()))
    );
    // Another line under the same name and identifier that does not verify spoils the note.
    let mut spoiled = read.clone();
    spoiled.signatures.push(NoteSignature {
        signature: vec![1; 64],
        ..read.signatures[0].clone()
    });
    assert!(matches!(
        spoiled.verify("PeterNeumann", &key.public()),
        Err(TlogError::BadSignature { .. })
    ));
}

#[test]
fn checkpoints_cosignatures_and_proofs_are_those_of_the_other_implementation() {
    let vectors = vectors();
    let log = secret(&vectors.seed);
    let name = origin(&vectors.federation);
    assert_eq!(
        verifier_key(&name, Algorithm::Ed25519, &log.public()),
        vectors.verifier_key
    );
    for tree in &vectors.trees {
        let leaves = leaves(tree.size);
        assert_eq!(merkle::root(&leaves), tree.root);
        let checkpoint = Checkpoint {
            origin: name.clone(),
            size: tree.size,
            root: tree.root,
        };
        let mut note = checkpoint.sign(&log);
        for (steward, time) in vectors.stewards.iter().zip(vectors.time..) {
            let key = secret(&steward.seed);
            assert_eq!(key.public(), steward.public);
            let line = cosignature::cosign(&note.text, &cosigner(&steward.id), &key, time);
            let said =
                cosignature::verify(&line, &note.text, &cosigner(&steward.id), &steward.public);
            assert_eq!(said, Ok(Cosignature { time }));
            note.signatures.push(line);
        }
        assert_eq!(note.to_text(), tree.checkpoint);
        let read = SignedNote::parse(tree.checkpoint.as_bytes()).expect("note");
        assert_eq!(read, note);
        assert_eq!(
            Checkpoint::verify(&read, &name, &log.public()),
            Ok(checkpoint.clone())
        );

        let tiles = all_tiles(&leaves);
        let proof = TlogProof {
            index: tree.index,
            path: subtree::inclusion_proof(tree.index, tree.size, &tiles).expect("proof"),
            checkpoint: note.clone(),
        };
        assert_eq!(proof.to_text(), tree.proof);
        let read = TlogProof::parse(tree.proof.as_bytes()).expect("proof");
        assert_eq!(read, proof);
        let leaf = leaf_hash(&entry(tree.index));
        assert_eq!(
            read.verify(&leaf, &name, &log.public()),
            Ok(checkpoint.clone())
        );
        assert!(
            read.verify(&leaf_hash(b"no entry"), &name, &log.public())
                .is_err()
        );

        let add = AddCheckpoint {
            old: tree.old,
            proof: subtree::consistency_proof(tree.old, tree.size, &tiles).expect("proof"),
            checkpoint: note,
        };
        assert_eq!(add.to_text(), tree.add_checkpoint);
        let read = AddCheckpoint::parse(tree.add_checkpoint.as_bytes()).expect("body");
        assert_eq!(read, add);
        read.verify_continues(&checkpoint, tree.old, &tree.old_root)
            .expect("consistent");
        let fork = leaf_hash(b"another history");
        assert!(read.verify_continues(&checkpoint, tree.old, &fork).is_err());
    }
}

#[test]
fn tiles_are_those_of_the_other_implementation() {
    let vectors = vectors();
    for place in &vectors.paths {
        let id = TileId {
            level: place.level,
            index: place.index,
            width: place.width,
        };
        assert_eq!(id.path(), place.path);
        let rest = place.path.strip_prefix("tile/").expect("prefix");
        assert_eq!(TileId::parse(rest), Ok(id));
    }
    for tree in &vectors.trees {
        let tiles = all_tiles(&leaves(tree.size));
        let named: BTreeMap<String, Digest> = tiles
            .iter()
            .map(|(id, hashes)| (id.path(), sha256(&tile::tile_bytes(hashes))))
            .collect();
        assert_eq!(named, tree.tiles);
        assert_eq!(subtree::root(tree.size, &tiles), Ok(tree.root));
        let mut named = BTreeMap::new();
        for index in 0..tree.size.div_ceil(256) {
            let bundle = Bundle::of(index, tree.size).expect("within");
            let mut bytes = Vec::new();
            let range = bundle.first()..bundle.first() + u64::from(bundle.width);
            let entries: Vec<Vec<u8>> = range.map(entry).collect();
            for entry in &entries {
                tile::push_entry(&mut bytes, entry).expect("short");
            }
            assert_eq!(bundle.entries(&bytes).expect("entries"), entries);
            let rest = bundle.path();
            let rest = rest.strip_prefix("tile/entries/").expect("prefix");
            assert_eq!(Bundle::parse(rest), Ok(bundle));
            named.insert(bundle.path(), sha256(&bytes));
        }
        assert_eq!(named, tree.bundles);
    }
}

/// Every index and every older size of trees around the borders of tiles, against the proofs from all leaves.
#[test]
fn proofs_from_tiles_are_those_from_leaves() {
    for size in [1, 2, 255, 256, 257, 511, 513, 700] {
        let leaves = leaves(size);
        let tiles = all_tiles(&leaves);
        assert_eq!(subtree::root(size, &tiles), Ok(merkle::root(&leaves)));
        for index in 0..size {
            let wanted = subtree::inclusion_tiles(index, size).expect("in range");
            let few: TileSet = tiles
                .iter()
                .filter(|(id, _)| wanted.contains(id))
                .map(|(id, hashes)| (*id, hashes.clone()))
                .collect();
            assert_eq!(few.len(), wanted.len());
            let proof = subtree::inclusion_proof(index, size, &few).expect("proof");
            let expected = merkle::inclusion_proof(&leaves, index as usize).expect("in range");
            assert_eq!(proof, expected);
        }
        for old in 1..=size {
            let wanted = subtree::consistency_tiles(old, size).expect("in range");
            let few: TileSet = tiles
                .iter()
                .filter(|(id, _)| wanted.contains(id))
                .map(|(id, hashes)| (*id, hashes.clone()))
                .collect();
            let proof = subtree::consistency_proof(old, size, &few).expect("proof");
            let expected = merkle::consistency_proof(&leaves, old as usize).expect("in range");
            assert_eq!(proof, expected);
        }
        assert_eq!(
            subtree::inclusion_tiles(size, size),
            Err(MerkleError::OutOfRange.into())
        );
        assert_eq!(
            subtree::consistency_tiles(size + 1, size),
            Err(MerkleError::OutOfRange.into())
        );
        if size > 1 {
            assert!(matches!(
                subtree::inclusion_proof(0, size, &TileSet::new()),
                Err(TlogError::NoTile(_))
            ));
        }
    }
}

/// Of a tree that is far too large to build: which tiles there are, and that none is asked for that there is not.
#[test]
fn places_in_large_trees() {
    let size = (1 << 40) + 70_000;
    assert_eq!(tile::width(0, 0, size), Some(256));
    assert_eq!(tile::width(0, size >> 8, size), Some((size & 0xff) as u16));
    assert_eq!(tile::width(0, (size >> 8) + 1, size), None);
    assert_eq!(tile::width(5, 0, size), Some(1));
    assert_eq!(tile::width(6, 0, size), None);
    assert_eq!(tile::width(8, 0, size), None);
    assert_eq!(tile::width(7, u64::MAX, u64::MAX), None);
    for index in [0, 1, 255, 256, 1 << 39, size - 1] {
        let tiles = subtree::inclusion_tiles(index, size).expect("in range");
        assert!(tiles.len() <= 12);
        assert!(tiles.iter().all(|tile| tile.within(size)));
    }
    for old in [1, 255, 256, 65_537, 1 << 40, size - 1, size] {
        let tiles = subtree::consistency_tiles(old, size).expect("in range");
        assert!(tiles.len() <= 12);
        assert!(tiles.iter().all(|tile| tile.within(size)));
    }
    // The example of the specification.
    let widths = |level| {
        (0..)
            .map_while(|index| tile::width(level, index, 70_000))
            .collect::<Vec<_>>()
    };
    assert_eq!((widths(0).len(), widths(0)[273]), (274, 112));
    assert_eq!(widths(1), [256, 17]);
    assert_eq!(widths(2), [1]);
}
