//! What is of the log: its texts and tiles, and changes of it.

use dawn_protocol::tlog::tile::{WIDTH, push_entry, tile_bytes};
use dawn_protocol::tlog::{
    AddCheckpoint, NoteSignature, TileSet, TlogProof, subtree, tile::TileId,
};

use super::{Seed, chosen};
use crate::log::log;
use crate::targets::{TLOG, signed_by_world};

pub(super) fn tlog(seeds: &mut Vec<Seed>) {
    let log = log();
    let size = log.leaves.len();
    let id = TileId::of(0, 0, size as u64).expect("few entries are one tile");
    let tiles = TileSet::from([(id, log.leaves.clone())]);
    let note = |size: usize, cosigned| signed_by_world(log.checkpoint(size).text(), cosigned);
    let mut add = |name: &str, bytes: &[u8]| {
        let input = chosen(TLOG, name, |entry| entry.0, bytes);
        let label = format!("{name} {}", seeds.len());
        seeds.push(("tlog", label, input));
    };
    for (size, cosigned) in [(0, 0), (1, 1), (size, 3)] {
        let note = note(size, cosigned);
        add("note", note.to_text().as_bytes());
        add("checkpoint", note.text.as_bytes());
        let lines: String = note.signatures.iter().map(NoteSignature::to_line).collect();
        add("signatures", lines.as_bytes());
    }
    let other = "some text\n\nof two parts\n".to_owned();
    add("note", signed_by_world(other, 0).to_text().as_bytes());
    for index in [0, 5, size - 1] {
        let path = subtree::inclusion_proof(index as u64, size as u64, &tiles);
        let proof = TlogProof {
            index: index as u64,
            path: path.expect("the tile is there"),
            checkpoint: note(size, 2),
        };
        add("proof", proof.to_text().as_bytes());
    }
    for old in [0, 1, 6, size] {
        let proof = subtree::consistency_proof(old as u64, size as u64, &tiles);
        let shown = AddCheckpoint {
            old: old as u64,
            proof: proof.expect("the tile is there"),
            checkpoint: note(size, 0),
        };
        add("add-checkpoint", shown.to_text().as_bytes());
    }
    for rest in [
        "0/000",
        "0/x001/x234/067.p/8",
        "7/000.p/1",
        "3/x018/446/744.p/255",
    ] {
        let (level, place) = rest.split_once('/').expect("a level");
        // An element before the last begins with x.
        let place = place.replace("446/", "x446/");
        add("tile path", format!("{level}/{place}").as_bytes());
        add("bundle path", place.as_bytes());
    }
    for width in [1, 7, size.min(WIDTH as usize)] {
        let head = [width as u8];
        let hashes = tile_bytes(&log.leaves[..width]);
        add("tile", &[&head[..], &hashes].concat());
        let mut bundle = head.to_vec();
        for entry in &log.entries[..width] {
            push_entry(&mut bundle, entry).expect("an entry of a log");
        }
        add("bundle", &bundle);
    }
    let mut short = vec![0];
    (0..WIDTH).for_each(|_| push_entry(&mut short, &[7]).expect("short"));
    add("bundle", &short);
    add("tile", &[&[0][..], &[8; 32 * WIDTH as usize]].concat());
}

pub(super) fn logs(seeds: &mut Vec<Seed>) {
    for round in 0..3u8 {
        // Nothing is changed; with and without a checkpoint.
        let plain = [round, 1, 0, 0, 0, 0, 0, 0];
        seeds.push(("logs", format!("round {round}"), plain.to_vec()));
    }
}

pub(super) fn register(seeds: &mut Vec<Seed>) {
    seeds.push(("register", "honest".to_owned(), vec![]));
}
