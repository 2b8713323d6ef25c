//! What is none of the formats, or shows nothing, is refused.

use dawn_crypto::merkle::leaf_hash;
use dawn_identity::SecretKey;
use proptest::prelude::*;

use super::note::{Algorithm, key_id, parse_signatures};
use super::tests::{entry, secret, vectors};
use super::*;

#[test]
fn other_spellings_of_a_path_are_refused() {
    for bad in [
        "",
        "0",
        "0/",
        "0/1",
        "0/01",
        "0/0001",
        "0/1000",
        "00/000",
        "8/000",
        "-1/000",
        "0/x000/001",
        "0/000/001",
        "0/x001/001.p",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000.p/1/2",
        "0/000/",
        "0/x001",
        "0/ 00",
        "0/x999/x999/x999/x999/x999/x999/x999/999",
        "0/+01",
        "entries/000",
    ] {
        assert!(TileId::parse(bad).is_err(), "{bad}");
    }
    assert!(Bundle::parse("x001/x234/067.p/8").is_ok());
    assert!(Bundle::parse("x001/x234/67").is_err());
}

/// A whole note after another is no note, and no checkpoint: what is signed is one text.
#[test]
fn many_notes_are_no_checkpoint() {
    let key = SecretKey::from_seed(&[7; 32]);
    let (log, text) = ("dawn/log/test", "just a note\n");
    let one = SignedNote::sign(text.to_owned(), log, &key).to_text();
    let many = one.repeat(60);
    assert!(many.len() <= note::MAX_NOTE_BYTES);
    // What stands before the last signatures is the text; nobody has signed that, and it is no checkpoint.
    let read = SignedNote::parse(many.as_bytes()).expect("some note");
    assert_eq!(read.signatures.len(), 1);
    assert!(read.verify(log, &key.public()).is_err());
    let refused = Checkpoint::verify(&read, log, &key.public()).expect_err("no checkpoint");
    assert_eq!(
        refused.to_string(),
        "not a checkpoint: it has not exactly three lines"
    );
    // As many signatures as a note may have, and one more.
    let signed = SignedNote::sign(text.to_owned(), log, &key);
    let with = |lines| {
        let signatures = vec![signed.signatures[0].clone(); lines];
        let text = signed.text.clone();
        SignedNote { text, signatures }.to_text()
    };
    let full = SignedNote::parse(with(note::MAX_SIGNATURES).as_bytes()).expect("so many");
    assert!(Checkpoint::verify(&full, log, &key.public()).is_err());
    let over = SignedNote::parse(with(note::MAX_SIGNATURES + 1).as_bytes());
    assert!(over.expect_err("one more").to_string().contains("64"));
    let long = SignedNote::parse(one.repeat(200).as_bytes());
    assert!(long.expect_err("too long").to_string().contains("16 KiB"));
    // In a proof, and in what stewards are shown.
    let proof = format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{many}");
    let proof = TlogProof::parse(proof.as_bytes()).expect("some proof");
    assert!(proof.verify(&leaf_hash(b"x"), log, &key.public()).is_err());
    let shown = AddCheckpoint::parse(format!("old 0\n\n{many}").as_bytes()).expect("some note");
    assert!(Checkpoint::verify(&shown.checkpoint, log, &key.public()).is_err());
}

#[test]
fn bundles_and_tiles_have_what_their_names_say() {
    let bundle = Bundle { index: 0, width: 2 };
    let mut bytes = Vec::new();
    tile::push_entry(&mut bytes, b"one").expect("short");
    assert!(bundle.entries(&bytes).is_err());
    tile::push_entry(&mut bytes, &[]).expect("short");
    assert_eq!(bundle.entries(&bytes).expect("two").len(), 2);
    assert!(bundle.entries(&bytes[..bytes.len() - 1]).is_err());
    tile::push_entry(&mut bytes, b"three").expect("short");
    assert!(bundle.entries(&bytes).is_err());
    tile::push_entry(&mut bytes, &[0; 65_535]).expect("the longest");
    assert!(tile::push_entry(&mut bytes, &[0; 65_536]).is_err());
    let tile = TileId {
        level: 0,
        index: 0,
        width: 2,
    };
    assert!(tile.hashes(&[0; 64]).is_ok());
    assert!(tile.hashes(&[0; 63]).is_err());
    assert!(tile.hashes(&[0; 96]).is_err());
}

#[test]
fn texts_with_another_spelling_are_refused() {
    let vectors = vectors();
    let tree = &vectors.trees[3];
    let whole = &tree.checkpoint;
    assert!(SignedNote::parse(whole.as_bytes()).is_ok());
    for bad in [
        whole.trim_end().to_owned(),
        whole.replace("\n\n", "\n"),
        whole.replace("\u{2014} ", "- "),
        whole.replace(" dawn/steward/", " dawn steward/"),
        whole.replace(" dawn/steward/", " dawn+steward/"),
        whole.replace('\n', "\r\n"),
        format!("{whole}\n"),
        format!("{whole}{}", "x".repeat(note::MAX_NOTE_BYTES)),
    ] {
        assert!(SignedNote::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let line = SignedNote::parse(whole.as_bytes())
        .expect("note")
        .signatures[0]
        .to_line();
    assert!(parse_signatures(&line.repeat(note::MAX_SIGNATURES)).is_ok());
    assert!(parse_signatures(&line.repeat(note::MAX_SIGNATURES + 1)).is_err());
    assert!(parse_signatures("").is_err());
    let text = SignedNote::parse(whole.as_bytes()).expect("note").text;
    for bad in [
        text.replace("\n7\n", "\n07\n"),
        text.replace("\n7\n", "\n+7\n"),
        text.replace("\n7\n", "\n\n"),
        text.replace("=\n", "\n"),
        format!("{text}an extension\n"),
        text[..text.len() - 1].to_owned(),
        text.replace(&origin(&vectors.federation), ""),
    ] {
        assert_ne!(bad, text);
        assert!(Checkpoint::parse(&bad).is_err(), "{bad}");
    }
    let other = origin(&Digest([1; 32]));
    let note = SignedNote::parse(whole.as_bytes()).expect("note");
    let log = secret(&vectors.seed).public();
    assert!(matches!(
        Checkpoint::verify(&note, &other, &log),
        Err(TlogError::OtherLog { .. })
    ));
    for bad in [
        tree.proof.replace("@v1", "@v2"),
        tree.proof.replace("index ", "extra AA==\nindex "),
        tree.proof.replace("index ", "index 0"),
        tree.proof.replace("=\n\n", "=\n"),
        tree.proof.replace("=\n\n", "=\nAAAA\n\n"),
    ] {
        assert_ne!(bad, tree.proof);
        assert!(TlogProof::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let hash = hash_text(&Digest([0; 32])) + "\n";
    let most = tree
        .add_checkpoint
        .replace("\n\n", &format!("\n{}\n", hash.repeat(MAX_PROOF)));
    assert!(AddCheckpoint::parse(most.as_bytes()).is_err());
}

/// A flipped bit anywhere in a proof file is either not a proof file or does not verify, or touches only what nobody
/// here verified: the cosignatures, which are compared with the stewards' keys.
#[test]
fn a_flipped_bit_never_verifies() {
    let vectors = vectors();
    let log = secret(&vectors.seed).public();
    let name = origin(&vectors.federation);
    let tree = &vectors.trees[3];
    let leaf = leaf_hash(&entry(tree.index));
    let cosigned = tree
        .proof
        .find("\u{2014} dawn/steward")
        .expect("a cosignature");
    for at in 0..tree.proof.len() {
        let mut bytes = tree.proof.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(proof) = TlogProof::parse(&bytes) else {
            continue;
        };
        if at < cosigned {
            assert!(proof.verify(&leaf, &name, &log).is_err(), "byte {at}");
            continue;
        }
        let verified = vectors.stewards.iter().filter(|steward| {
            let cosigner = cosigner(&steward.id);
            let lines = proof.checkpoint.signatures.iter();
            lines.filter(|line| line.name == cosigner).any(|line| {
                cosignature::verify(line, &proof.checkpoint.text, &cosigner, &steward.public)
                    .is_ok()
            })
        });
        assert_eq!(verified.count(), vectors.stewards.len() - 1, "byte {at}");
    }
}

/// A log's signature is no cosignature, and a cosignature of another text, time or key none of this one.
#[test]
fn cosignatures_are_of_one_text_time_and_key() {
    let key = SecretKey::from_seed(&[3; 32]);
    let name = cosigner(&StewardId(Digest([4; 32])));
    let text = "dawn/log/x\n1\nAAAA\n";
    let line = cosignature::cosign(text, &name, &key, 5);
    let check = |line: &NoteSignature, text: &str| {
        cosignature::verify(line, text, &name, &key.public()).is_ok()
    };
    assert!(check(&line, text));
    assert!(!check(&line, "dawn/log/x\n2\nAAAA\n"));
    let mut later = line.clone();
    later.signature[7] = 6;
    assert!(!check(&later, text));
    let mut far = line.clone();
    far.signature[0] = 0x80;
    assert!(!check(&far, text));
    let mut plain = SignedNote::sign(text.to_owned(), &name, &key).signatures[0].clone();
    assert!(!check(&plain, text));
    plain.key_id = key_id(&name, Algorithm::Cosignature, &key.public());
    assert!(!check(&plain, text));
    let other = SecretKey::from_seed(&[8; 32]);
    assert!(cosignature::verify(&line, text, &name, &other.public()).is_err());
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), text in ".{0,200}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            if let Ok(note) = SignedNote::parse(bytes) {
                let again = note.to_text();
                prop_assert_eq!(again.as_bytes(), bytes);
            }
            let _ = TlogProof::parse(bytes);
            let _ = AddCheckpoint::parse(bytes);
        }
        let _ = Checkpoint::parse(&text);
        if let Ok(tile) = TileId::parse(&text) {
            prop_assert_eq!(tile.path(), format!("tile/{text}"));
        }
    }
}
