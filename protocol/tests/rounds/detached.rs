//! Transcripts without payloads and answers: what is beside them makes them whole again, and nothing else does.

use dawn_crypto::digest::{Hasher, labels};
use dawn_protocol::Digest;
use dawn_protocol::transcript::{
    Form, Kind, Part, Piece, Record, TranscriptError, TranscriptWriter, attach, detach, pieces,
};

use crate::transcripts::{layout, read, transcript};

/// A transcript without payloads and answers, and these.
fn taken_apart() -> (Vec<u8>, Vec<(Part, Vec<u8>)>) {
    let (mut file, mut parts) = (Vec::new(), Vec::new());
    let (whole, _) = transcript();
    detach(whole.as_slice(), &mut file, |part, bytes| {
        parts.push((part, bytes.to_vec()));
        Ok(())
    })
    .unwrap();
    (file, parts)
}

#[test]
fn payloads_and_answers_are_taken_out_and_put_back() {
    let (whole, digest) = transcript();
    let (file, parts) = taken_apart();
    // Three payloads, five stewards' answers.
    assert_eq!(parts.len(), 8);
    assert!(parts.iter().all(|(part, bytes)| part.is(bytes)));
    let records = read(&file).unwrap();
    assert_eq!(records[records.len() - 2], Record::WholeDigest(*digest));
    let kinds: Vec<Kind> = records.iter().map(Record::kind).collect();
    let mut expected: Vec<Kind> = read(whole).unwrap().iter().map(Record::kind).collect();
    for kind in &mut expected {
        *kind = match *kind {
            Kind::Payload => Kind::PayloadDigest,
            Kind::Answers => Kind::AnswersDigest,
            other => other,
        };
    }
    expected.insert(expected.len() - 1, Kind::WholeDigest);
    assert_eq!(kinds, expected);
    let put_back = |parts: &[(Part, Vec<u8>)]| {
        let mut again = Vec::new();
        let open = |part: Part| {
            let bytes = &parts.iter().find(|(other, _)| *other == part).unwrap().1;
            Ok((bytes.len() as u64, bytes.as_slice()))
        };
        attach(file.as_slice(), &mut again, open).map(|digest| (again, digest))
    };
    assert_eq!(put_back(&parts).unwrap(), (whole.clone(), *digest));
    for place in 0..parts.len() {
        let mut other = parts.clone();
        other[place].1[9] ^= 1;
        let wrong = put_back(&other);
        assert!(matches!(wrong, Err(TranscriptError::Part { kind, digest })
            if kind == other[place].0.kind() && digest == *other[place].0.digest()));
        other[place].1.pop();
        assert!(matches!(
            put_back(&other),
            Err(TranscriptError::Length { .. })
        ));
    }
    // A part that ends before its length.
    let len = parts[0].1.len();
    let short = attach(file.as_slice(), Vec::new(), |_| {
        Ok((len as u64, &parts[0].1[..len - 1]))
    });
    assert!(matches!(short, Err(TranscriptError::Io(_))));
    // What the file says of the whole one is compared, too.
    let mut draft = file.clone();
    let at = draft.len() - 41 - 32;
    draft[at] ^= 1;
    let before = draft.len() - 41;
    let mut hasher = Hasher::new(labels::TRANSCRIPT);
    hasher.update(&draft[..before]);
    draft[before + 9..].copy_from_slice(&hasher.finalize().0);
    let open = |part: Part| {
        let bytes = &parts.iter().find(|(other, _)| *other == part).unwrap().1;
        Ok((bytes.len() as u64, bytes.as_slice()))
    };
    let other = attach(draft.as_slice(), Vec::new(), open);
    assert!(matches!(other, Err(TranscriptError::Digest)));
}

/// A detached transcript with other names for its parts, and what it becomes with them, named as if that were the whole one.
fn renamed(rename: impl Fn(Part) -> Digest, parts: impl Fn(Part) -> Vec<u8>) -> Vec<u8> {
    let (file, _) = taken_apart();
    let (mut named, mut whole) = (
        TranscriptWriter::detached(Vec::new()).unwrap(),
        TranscriptWriter::new(Vec::new()).unwrap(),
    );
    for record in read(&file).unwrap() {
        match (&record, Part::of(&record)) {
            (Record::PayloadDigest(_), Some(part)) => {
                named.payload_digest(&rename(part)).unwrap();
                whole.payload(&parts(part)).unwrap();
            }
            (_, Some(part)) => {
                named.answers_digest(&rename(part)).unwrap();
                whole.answers(&parts(part)).unwrap();
            }
            (Record::WholeDigest(_) | Record::End(_), _) => {}
            (other, _) => {
                named.copy(other).unwrap();
                whole.copy(other).unwrap();
            }
        }
    }
    let (digest, _) = whole.finish().unwrap();
    named.whole_digest(&digest).unwrap();
    named.finish().unwrap().1
}

/// Whoever writes the file also writes what it says of the whole one. That must not make other bytes under a payload's or an
/// answer's name pass for it, nor bytes that no whole transcript of the task has, however many they are.
#[test]
fn what_lies_under_a_name_is_what_it_names() {
    let (_, kept) = taken_apart();
    let of = |part: Part| {
        kept.iter()
            .find(|(other, _)| *other == part)
            .unwrap()
            .1
            .clone()
    };
    let put_back = |file: &[u8], parts: &dyn Fn(Part) -> Vec<u8>| {
        let mut again = Vec::new();
        let open = |part: Part| {
            let bytes = parts(part);
            Ok((bytes.len() as u64, std::io::Cursor::new(bytes)))
        };
        let done = attach(file, &mut again, open);
        (done.map(|_| ()), again.len())
    };
    // As it was, by way of this test's own writer.
    let honest = renamed(|part| *part.digest(), of);
    assert!(put_back(&honest, &of).0.is_ok());
    let flipped = |part: Part| {
        let mut bytes = of(part);
        bytes[9] ^= 1;
        bytes
    };
    let file = renamed(|part| *part.digest(), flipped);
    let (done, _) = put_back(&file, &flipped);
    assert!(
        matches!(done, Err(TranscriptError::Part { .. })),
        "{done:?}"
    );
    // Of another length, under its right name: refused before anything of it is written.
    for longer in [1 << 20, 4] {
        let padded = |part: Part| [of(part), vec![0; longer]].concat();
        let name = |part: Part| part.digest_of(&mut padded(part).as_slice()).unwrap().0;
        let file = renamed(name, padded);
        let whole_parts: Vec<(Digest, Vec<u8>)> = (kept.iter())
            .map(|(part, _)| (name(*part), padded(*part)))
            .collect();
        let by_name = |part: Part| {
            let mut all = whole_parts.iter();
            all.find(|(digest, _)| digest == part.digest())
                .unwrap()
                .1
                .clone()
        };
        let (done, written) = put_back(&file, &by_name);
        assert!(
            matches!(done, Err(TranscriptError::Length { .. })),
            "{done:?}"
        );
        assert!(written < file.len(), "{written}");
        let expected = pieces(file.as_slice()).unwrap();
        let lens = expected.iter().filter_map(|piece| match piece {
            Piece::Part(_, bytes) => Some(*bytes),
            _ => None,
        });
        assert!(lens.eq(kept.iter().map(|(_, bytes)| bytes.len() as u64)));
    }
}

/// A file is of one form, from its first bytes to its last.
#[test]
fn the_two_forms_do_not_mix() {
    let (whole, _) = transcript();
    let (file, _) = taken_apart();
    for (bytes, form, kind) in [
        (whole, Form::Detached, Kind::Payload),
        (&file, Form::Whole, Kind::PayloadDigest),
    ] {
        let other = [&form.magic()[..], &bytes[4..]].concat();
        assert!(
            matches!(read(&other), Err(TranscriptError::Order { kind: found, .. }) if found == kind)
        );
    }
    let taken = detach(file.as_slice(), Vec::new(), |_, _| Ok(()));
    assert!(matches!(taken, Err(TranscriptError::Magic)));
    let put = attach(whole.as_slice(), Vec::new(), |_| Ok((0, &[][..])));
    assert!(matches!(put, Err(TranscriptError::Magic)));
    assert!(matches!(
        pieces(whole.as_slice()),
        Err(TranscriptError::Magic)
    ));
    for (start, _) in layout(&file) {
        for cut in [start, start + 1, start + 8, start + 9, start + 20] {
            let found = read(&file[..cut]);
            assert!(matches!(found, Err(TranscriptError::Truncated(_))), "{cut}");
            assert!(pieces(&file[..cut]).is_err(), "{cut}");
        }
    }
    for at in (0..file.len()).step_by(17) {
        let mut changed = file.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(read(&changed).is_err(), "{at}");
    }
}
