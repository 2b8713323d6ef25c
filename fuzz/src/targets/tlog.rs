//! The texts and files of the log that other programs read and write too. What is accepted is written the same again; what
//! verifies is what the keys of the world sign, and leads to the root by RFC 6962, section 2.1, read word by word.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::{empty_root, node_hash};
use dawn_identity::SecretKey;
use dawn_protocol::tlog::note::{
    Algorithm, MAX_SIGNATURES, NoteSignature, key_id, parse_signatures,
};
use dawn_protocol::tlog::tile::{self, HEIGHT, MAX_LEVEL, WIDTH, tile_bytes};
use dawn_protocol::tlog::{
    AddCheckpoint, Bundle, Checkpoint, SignedNote, TileId, TlogError, TlogProof, cosignature,
    cosigner,
};

use super::canonical::decoded;
use super::{Target, choose};
use crate::log::log;
use crate::world::{honest, key};

/// Every format by name; the place is the byte that chooses it.
pub const TLOG: &[(&str, Target)] = &[
    ("note", |bytes| note(bytes).is_some()),
    ("signatures", signatures),
    ("checkpoint", checkpoint),
    ("proof", proof),
    ("add-checkpoint", add_checkpoint),
    ("tile path", tile_path),
    ("bundle path", bundle_path),
    ("tile", tile_hashes),
    ("bundle", bundle_entries),
];

/// The first byte chooses the format.
pub fn tlog(data: &[u8]) -> bool {
    choose(TLOG, data).is_some_and(|((_, target), bytes)| target(bytes))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn note(bytes: &[u8]) -> Option<SignedNote> {
    let encode = |note: &SignedNote| note.to_text().into_bytes();
    let note = decoded(bytes, SignedNote::parse, encode)?;
    assert!((1..=MAX_SIGNATURES).contains(&note.signatures.len()));
    signed(&note);
    signed_anew(&note);
    Some(note)
}

/// What the log and the stewards are taken to say in a note is exactly what their keys say about its text.
fn signed(note: &SignedNote) -> Option<Checkpoint> {
    let (world, origin) = (&honest().world, &log().origin);
    let ours = SignedNote::sign(note.text.clone(), origin, &world.log);
    let lines = claimed(note, &ours.signatures[0]);
    let by_log = !lines.is_empty() && lines.iter().all(|line| **line == ours.signatures[0]);
    assert_eq!(note.verify(origin, &world.log.public()).is_ok(), by_log);
    let of_log = Checkpoint::parse(&note.text).is_ok_and(|read| read.origin == *origin);
    let checkpoint = Checkpoint::verify(note, origin, &world.log.public());
    assert_eq!(checkpoint.is_ok(), by_log && of_log);

    let mut expected = Some(Vec::new());
    let stewards = &world.roster.peek().stewards;
    for (entry, key) in stewards.iter().zip(&world.stewards) {
        let name = cosigner(&entry.id());
        let example = cosignature::cosign(&note.text, &name, key, 0);
        let lines = claimed(note, &example);
        let good = |line: &&NoteSignature| {
            let time = line.signature.first_chunk::<8>();
            let time = time.map_or(u64::MAX, |time| u64::from_be_bytes(*time));
            let same = cosignature::cosign(&note.text, &name, key, time) == **line;
            time <= i64::MAX as u64 && same
        };
        if !lines.iter().all(good) {
            expected = None;
        } else if let (Some(found), false) = (&mut expected, lines.is_empty()) {
            found.push(entry.id());
        }
    }
    let found = cosignature::cosigners(note, stewards).ok();
    let expected = expected.map(|found| found.into_iter().collect());
    assert_eq!(found, expected);
    checkpoint.ok()
}

/// The lines that claim to be of the key that made this one.
fn claimed<'a>(note: &'a SignedNote, by: &NoteSignature) -> Vec<&'a NoteSignature> {
    let same = |line: &&NoteSignature| line.name == by.name && line.key_id == by.key_id;
    note.signatures.iter().filter(same).collect()
}

/// A signature is over the whole text, under one name, by one key.
fn signed_anew(note: &SignedNote) {
    let (name, secret) = ("dawn/fuzz", key());
    let mut anew = SignedNote::sign(note.text.clone(), name, secret);
    assert!(anew.verify(name, &secret.public()).is_ok());
    assert!(anew.verify("dawn/other", &secret.public()).is_err());
    assert!(anew.verify(name, &honest().world.log.public()).is_err());
    if anew.to_text().len() <= dawn_protocol::tlog::note::MAX_NOTE_BYTES {
        assert_eq!(
            SignedNote::parse(anew.to_text().as_bytes()),
            Ok(anew.clone())
        );
    }
    let mut other = anew.clone();
    other.text.insert(0, 'x');
    assert!(other.verify(name, &secret.public()).is_err());
    let witness = cosignature::cosign(&note.text, name, secret, 7);
    assert_eq!(
        witness.key_id,
        key_id(name, Algorithm::Cosignature, &secret.public())
    );
    let seen = |text: &str| cosignature::verify(&witness, text, name, &secret.public());
    assert_eq!(seen(&note.text).map(|seen| seen.time), Ok(7));
    assert!(seen(&other.text).is_err());
    // A cosignature is no signature of a log, and the other way round.
    anew.signatures = vec![witness];
    assert!(anew.verify(name, &secret.public()).is_err());
}

fn signatures(bytes: &[u8]) -> bool {
    let decode = |bytes: &[u8]| {
        text(bytes)
            .ok_or(())
            .and_then(|text| parse_signatures(text).map_err(drop))
    };
    let encode = |lines: &Vec<NoteSignature>| -> Vec<u8> {
        lines
            .iter()
            .flat_map(|line| line.to_line().into_bytes())
            .collect()
    };
    decoded(bytes, decode, encode).is_some_and(|lines| (1..=MAX_SIGNATURES).contains(&lines.len()))
}

fn checkpoint(bytes: &[u8]) -> bool {
    let decode = |bytes: &[u8]| {
        text(bytes)
            .ok_or(())
            .and_then(|text| Checkpoint::parse(text).map_err(drop))
    };
    let encode = |checkpoint: &Checkpoint| checkpoint.text().into_bytes();
    let Some(checkpoint) = decoded(bytes, decode, encode) else {
        return false;
    };
    let (origin, public) = (&checkpoint.origin, key().public());
    let note = checkpoint.sign(key());
    let verified = Checkpoint::verify(&note, origin, &public);
    assert_eq!(verified.as_ref(), Ok(&checkpoint));
    let other = Checkpoint::verify(&note, &format!("{origin}x"), &public);
    assert!(matches!(other, Err(TlogError::OtherLog { .. })));
    assert!(Checkpoint::verify(&note, origin, &honest().world.log.public()).is_err());
    // An origin that can name a key, and no other, makes a note.
    let plain = |c: char| !c.is_whitespace() && c != '+' && !c.is_control();
    let named = origin.len() <= 255 && origin.chars().all(plain);
    let again = SignedNote::parse(note.to_text().as_bytes());
    assert_eq!(again.is_ok(), named);
    assert!(again.map_or(true, |again| again == note));
    true
}

fn proof(bytes: &[u8]) -> bool {
    let encode = |proof: &TlogProof| proof.to_text().into_bytes();
    let Some(proof) = decoded(bytes, TlogProof::parse, encode) else {
        return false;
    };
    let log = log();
    let place = usize::try_from(proof.index).unwrap_or(usize::MAX);
    let leaf = *log.leaves.get(place).unwrap_or(&log.leaves[0]);
    let (index, path) = (proof.index, &proof.path);
    let verified = proof.verify(&leaf, &log.origin, &honest().world.log.public());
    let checkpoint = signed(&proof.checkpoint);
    let leads_to = |leaf: &Digest, size| included(leaf, index, size, path);
    let expected = checkpoint.filter(|seen| leads_to(&leaf, seen.size) == Some(seen.root));
    assert_eq!(verified.as_ref().ok(), expected.as_ref());
    if let Some(Checkpoint { size, root, .. }) = expected {
        // Another place, a shorter path, another hash: what they lead to is mostly another root. Not always: two neighbours
        // may be one hash.
        let judged = |other: &TlogProof| {
            let leads = included(&leaf, other.index, size, &other.path) == Some(root);
            assert_eq!(other.verify_in(&leaf, size, &root).is_ok(), leads);
            leads
        };
        let mut other = proof.clone();
        other.index ^= 1;
        judged(&other);
        other.index = index;
        if let Some(last) = other.path.pop() {
            assert!(!judged(&other));
            other.path.push(Digest(last.0.map(|byte| !byte)));
            assert!(!judged(&other));
        }
    }
    true
}

/// Where an audit path leads; `None` when a tree of this size has no such path.
pub(crate) fn included(leaf: &Digest, index: u64, size: u64, path: &[Digest]) -> Option<Digest> {
    if index >= size {
        return None;
    }
    if size == 1 {
        return path.is_empty().then_some(*leaf);
    }
    let (sibling, below) = path.split_last()?;
    let split = split(size);
    Some(if index < split {
        node_hash(&included(leaf, index, split, below)?, sibling)
    } else {
        let right = included(leaf, index - split, size - split, below)?;
        node_hash(sibling, &right)
    })
}

/// The roots before and after to which a consistency proof leads, `old` being the root before where nothing shows it.
pub(crate) fn continued(
    before: u64,
    after: u64,
    old: Option<&Digest>,
    proof: &[Digest],
) -> Option<(Digest, Digest)> {
    if before == 0 || before > after {
        return None;
    }
    if before == after {
        return match (old, proof) {
            (Some(old), []) => Some((*old, *old)),
            (None, [hash]) => Some((*hash, *hash)),
            _ => None,
        };
    }
    let (sibling, below) = proof.split_last()?;
    let split = split(after);
    Some(if before <= split {
        let (first, second) = continued(before, split, old, below)?;
        (first, node_hash(&second, sibling))
    } else {
        let (first, second) = continued(before - split, after - split, None, below)?;
        (node_hash(sibling, &first), node_hash(sibling, &second))
    })
}

/// The largest power of two below a size of at least 2.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

fn add_checkpoint(bytes: &[u8]) -> bool {
    let encode = |shown: &AddCheckpoint| shown.to_text().into_bytes();
    let Some(shown) = decoded(bytes, AddCheckpoint::parse, encode) else {
        return false;
    };
    let Some(checkpoint) = signed(&shown.checkpoint) else {
        return true;
    };
    // Whoever asks has kept the root of a tree that it has seen; here the log's own, or any.
    let old = shown.old;
    let kept = log().roots.get(usize::try_from(old).unwrap_or(usize::MAX));
    let roots = continued(old, checkpoint.size, kept, &shown.proof);
    for root in kept.into_iter().chain(roots.as_ref().map(|(old, _)| old)) {
        let roots = continued(old, checkpoint.size, Some(root), &shown.proof);
        let expected = match old {
            0 => shown.proof.is_empty() && *root == empty_root(),
            _ => roots == Some((*root, checkpoint.root)),
        };
        let verified = shown.verify_continues(&checkpoint, old, root);
        assert_eq!(verified.is_ok(), expected, "{verified:?}");
    }
    true
}

fn tile_path(bytes: &[u8]) -> bool {
    let Some(rest) = text(bytes) else {
        return false;
    };
    let Ok(found) = TileId::parse(rest) else {
        return false;
    };
    assert_eq!(found.path(), format!("tile/{rest}"));
    assert!(found.level <= MAX_LEVEL && (1..=WIDTH).contains(&u64::from(found.width)));
    assert_eq!(found.is_full(), !rest.contains(".p/"));
    // The smallest tree that has it, and none below.
    let hashes = found.index.checked_mul(WIDTH);
    let hashes = hashes.and_then(|before| before.checked_add(found.width.into()));
    let size = hashes.and_then(|hashes| hashes.checked_mul(1 << (HEIGHT * found.level)));
    let Some(size) = size else {
        assert!(!found.within(u64::MAX));
        return true;
    };
    assert_eq!(TileId::of(found.level, found.index, size), Some(found));
    assert!(found.within(size) && found.within(u64::MAX) && !found.within(size - 1));
    true
}

fn bundle_path(bytes: &[u8]) -> bool {
    let Some(rest) = text(bytes) else {
        return false;
    };
    let Ok(found) = Bundle::parse(rest) else {
        return false;
    };
    assert_eq!(found.path(), format!("tile/entries/{rest}"));
    let as_tile =
        TileId::parse(&format!("0/{rest}")).expect("bundles are beside the tiles of level 0");
    assert_eq!((as_tile.index, as_tile.width), (found.index, found.width));
    assert_eq!(as_tile.is_full(), found.is_full());
    for size in [found.first(), u64::MAX] {
        assert_eq!(as_tile.within(size), found.within(size));
    }
    true
}

/// The first byte is the width, 0 for 256.
fn width(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (width, rest) = bytes.split_first()?;
    Some((
        if *width == 0 {
            WIDTH as u16
        } else {
            (*width).into()
        },
        rest,
    ))
}

fn tile_hashes(bytes: &[u8]) -> bool {
    let Some((width, bytes)) = width(bytes) else {
        return false;
    };
    let (level, index) = (0, 0);
    let id = TileId {
        level,
        index,
        width,
    };
    let hashes = decoded(bytes, |bytes| id.hashes(bytes), |hashes| tile_bytes(hashes));
    assert_eq!(hashes.is_some(), bytes.len() == 32 * usize::from(width));
    hashes.is_some()
}

fn bundle_entries(bytes: &[u8]) -> bool {
    let Some((width, bytes)) = width(bytes) else {
        return false;
    };
    let bundle = Bundle { index: 0, width };
    let encode = |entries: &Vec<&[u8]>| {
        let mut bytes = Vec::new();
        for entry in entries {
            tile::push_entry(&mut bytes, entry).expect("as long as it was");
        }
        bytes
    };
    let found = crate::memory::within(crate::memory::for_decoding(bytes), || bundle.entries(bytes));
    let Ok(entries) = found else {
        return false;
    };
    assert_eq!(entries.len(), usize::from(width));
    assert_eq!(encode(&entries), bytes, "another encoding was accepted");
    true
}

/// Signs what a text says now, so that a change gets to the rules behind the signature: with the log's key and those of
/// as many stewards as the dice say.
pub(crate) fn signed_by_world(text: String, cosigned: usize) -> SignedNote {
    let world = &honest().world;
    let mut note = SignedNote::sign(text, &log().origin, &world.log);
    let stewards = world.roster.peek().stewards.iter();
    let keys: Vec<(String, &SecretKey)> = stewards
        .map(|entry| cosigner(&entry.id()))
        .zip(&world.stewards)
        .collect();
    for (name, key) in keys.into_iter().take(cosigned) {
        let line = cosignature::cosign(&note.text, &name, key, crate::world::NOW);
        note.signatures.push(line);
    }
    note
}
