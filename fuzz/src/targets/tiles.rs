//! Proofs that are computed from tiles: from exactly those that were named, what all leaves give; from others nothing that
//! verifies. Trees that are too large to build are asked for few tiles, which they have.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use arbitrary::{Arbitrary, Result, Unstructured};
use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::{self, leaf_hash};
use dawn_protocol::tlog::tile::{WIDTH, tile_bytes};
use dawn_protocol::tlog::{TileId, TileSet, TlogError, subtree};

/// Leaves of the largest tree that is built: three levels of tiles' borders are out of reach, two are not.
const LEAVES: usize = 1300;

/// Input: numbers of a large tree, then a size, places, and what is changed.
pub fn tiles(data: &[u8]) -> bool {
    run(&mut Unstructured::new(data)).unwrap_or(false)
}

fn run(input: &mut Unstructured<'_>) -> Result<bool> {
    large(input)?;
    let size = input.int_in_range(1..=LEAVES)?;
    let leaves = &leaves()[..size];
    let all = all_tiles(leaves);
    let (whole, total) = (merkle::root(leaves), size as u64);
    assert_eq!(
        subtree::root(total, &few(&all, &subtree::root_tiles(total))),
        Ok(whole)
    );

    let index = input.int_in_range(0..=size - 1)?;
    let named = subtree::inclusion_tiles(index as u64, total).expect("a leaf");
    let given = few(&all, &named);
    let proof = subtree::inclusion_proof(index as u64, total, &given).expect("as named");
    assert_eq!(merkle::inclusion_proof(leaves, index).as_ref(), Ok(&proof));
    let verify = |proof: &[Digest]| {
        merkle::verify_inclusion(&leaves[index], index as u64, total, proof, &whole).is_ok()
    };
    assert!(verify(&proof));
    damaged(input, &given, |tiles| {
        match subtree::inclusion_proof(index as u64, total, tiles) {
            Ok(other) => assert_eq!(verify(&other), other == proof),
            Err(error) => assert!(matches!(error, TlogError::NoTile(_))),
        }
    })?;

    let old = input.int_in_range(1..=size)?;
    let before = merkle::root(&leaves[..old]);
    let named = subtree::consistency_tiles(old as u64, total).expect("a prefix");
    let given = few(&all, &named);
    let proof = subtree::consistency_proof(old as u64, total, &given).expect("as named");
    assert_eq!(merkle::consistency_proof(leaves, old).as_ref(), Ok(&proof));
    let verify = |proof: &[Digest]| {
        merkle::verify_consistency(old as u64, &before, total, &whole, proof).is_ok()
    };
    assert!(verify(&proof));
    damaged(input, &given, |tiles| {
        match subtree::consistency_proof(old as u64, total, tiles) {
            Ok(other) => assert_eq!(verify(&other), other == proof),
            Err(error) => assert!(matches!(error, TlogError::NoTile(_))),
        }
    })?;
    Ok(true)
}

/// One of the tiles has a hash flipped, ends early, or is not there.
fn damaged(input: &mut Unstructured<'_>, tiles: &TileSet, look: impl Fn(&TileSet)) -> Result<()> {
    let Some(last) = tiles.len().checked_sub(1) else {
        return Ok(());
    };
    let id = *tiles
        .keys()
        .nth(input.int_in_range(0..=last)?)
        .expect("counted");
    let mut other = tiles.clone();
    let hashes = other.get_mut(&id).expect("of its keys");
    let place = input.int_in_range(0..=hashes.len() - 1)?;
    hashes[place].0[input.int_in_range(0..=31usize)?] ^= 1 << input.int_in_range(0..=7)?;
    look(&other);
    other.get_mut(&id).expect("of its keys").truncate(place);
    look(&other);
    other.remove(&id);
    look(&other);
    Ok(())
}

/// Any numbers: soon an answer, a proof of at most a hash for each level, and only tiles that there are.
fn large(input: &mut Unstructured<'_>) -> Result<()> {
    let [place, size] = <[u64; 2]>::arbitrary(input)?;
    let size = size >> input.int_in_range(0..=63)?;
    let place = place >> input.int_in_range(0..=63)?;
    let possible = size <= 1 << 63;
    let (leaf, prefix) = (
        subtree::inclusion_tiles(place, size),
        subtree::consistency_tiles(place, size),
    );
    assert_eq!(leaf.is_ok(), possible && place < size);
    assert_eq!(prefix.is_ok(), possible && place <= size);
    let whole = subtree::root_tiles(size);
    for tiles in [leaf, prefix, Ok(whole)].into_iter().flatten() {
        assert!(tiles.len() <= 16, "{} tiles", tiles.len());
        assert!(tiles.iter().all(|tile| tile.within(size)));
        for tile in &tiles {
            let path = tile.path();
            let rest = path.strip_prefix("tile/").expect("as documented");
            assert_eq!(TileId::parse(rest).as_ref(), Ok(tile));
        }
    }
    let nothing = TileSet::new();
    assert_eq!(subtree::root(size, &nothing).is_ok(), size == 0);
    let _ = subtree::inclusion_proof(place, size, &nothing);
    let _ = subtree::consistency_proof(place, size, &nothing);
    Ok(())
}

fn leaves() -> &'static [Digest] {
    static ALL: OnceLock<Vec<Digest>> = OnceLock::new();
    ALL.get_or_init(|| {
        (0..LEAVES)
            .map(|index| leaf_hash(&index.to_le_bytes()))
            .collect()
    })
}

/// By definition: a tile of the second level has the roots of full ones of the first.
fn all_tiles(leaves: &[Digest]) -> TileSet {
    let mut tiles = TileSet::new();
    let mut hashes = leaves.to_vec();
    for level in 0.. {
        for (index, hashes) in (0..).zip(hashes.chunks(WIDTH as usize)) {
            let width = hashes.len() as u16;
            let id = TileId {
                level,
                index,
                width,
            };
            // As they come from a file.
            let read = id.hashes(&tile_bytes(hashes)).expect("as written");
            tiles.insert(id, read);
        }
        hashes = hashes
            .as_chunks::<256>()
            .0
            .iter()
            .map(|full| merkle::root(full))
            .collect();
        if hashes.is_empty() {
            break;
        }
    }
    tiles
}

fn few(all: &TileSet, named: &BTreeSet<TileId>) -> TileSet {
    let few = named.iter().map(|id| (*id, all[id].clone()));
    few.collect()
}
