//! Envelopes: one spelling, one signer, one kind; nothing else gets through.

use coset::{CborSerializable as _, CoseSign1, TaggedCborSerializable as _, cbor::value::Value};
use dawn_crypto::digest::labels;
use dawn_identity::envelope::OVERHEAD_BYTES;
use dawn_identity::signed::statement_digest;
use dawn_identity::{
    BrokenRule, DecodeError, Envelope, EnvelopeError, SecretKey, Signed, Statement, to_canonical,
};
use minicbor::{Decode, Encode};
use proptest::prelude::*;

use crate::fixture::refuse_every_change;

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
struct Note {
    #[n(0)]
    number: u64,
    #[n(1)]
    text: String,
}

impl Statement for Note {
    const KIND: &'static str = "note";
    const MAX_BYTES: usize = 64;

    fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(self.number < 1000, "a note's number is below 1000")
    }
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
struct Other {
    #[n(0)]
    number: u64,
    #[n(1)]
    text: String,
}

impl Statement for Other {
    const KIND: &'static str = "other";
    const MAX_BYTES: usize = 64;

    fn check(&self) -> Result<(), BrokenRule> {
        Ok(())
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn note() -> Note {
    Note {
        number: 7,
        text: "hello".into(),
    }
}

fn signed() -> Signed<Note> {
    Signed::sign(&note(), &key(1)).unwrap()
}

#[test]
fn sign_read_verify() {
    let signed = signed();
    let read = Signed::<Note>::from_bytes(signed.bytes()).unwrap();
    assert_eq!(read, signed);
    assert_eq!(read.peek(), &note());
    assert_eq!(read.body(), to_canonical(&note()));
    assert_eq!(read.signer(), key(1).public().id());
    let verified = read.verify(&key(1).public()).unwrap();
    assert_eq!(verified.number, 7);
    assert_eq!(verified.signed().bytes(), signed.bytes());
    assert!(signed.bytes().len() <= signed.body().len() + OVERHEAD_BYTES);
    let nested: Vec<Signed<Note>> = vec![signed.clone(), signed];
    let bytes = to_canonical(&nested);
    assert_eq!(
        dawn_identity::from_canonical::<Vec<Signed<Note>>>(&bytes).unwrap(),
        nested
    );
}

#[test]
fn every_change_is_refused() {
    let public = key(1).public();
    refuse_every_change(signed().bytes(), |bytes| {
        Signed::<Note>::from_bytes(bytes).is_ok_and(|signed| signed.verify(&public).is_ok())
    });
}

#[test]
fn blame_is_assigned() {
    let signed = signed();
    assert_eq!(
        signed.verify(&key(2).public()).unwrap_err(),
        EnvelopeError::WrongSigner {
            kind: "note".into(),
            expected: key(2).public().id(),
            found: key(1).public().id(),
        }
    );
    let mut bytes = signed.bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(
        Signed::<Note>::from_bytes(&bytes)
            .unwrap()
            .verify(&key(1).public())
            .unwrap_err(),
        EnvelopeError::BadSignature {
            kind: "note".into(),
            signer: key(1).public().id(),
        }
    );
}

#[test]
fn a_key_identifier_does_not_make_a_signer() {
    // Signed by key 2, claiming key 1.
    let mut message = CoseSign1::from_tagged_slice(signed().bytes()).unwrap();
    let signature = key(2).sign(&message.tbs_data(labels::ENVELOPE_AAD.as_bytes()));
    message.signature = signature.as_bytes().to_vec();
    let forged = Signed::<Note>::from_bytes(&message.to_tagged_vec().unwrap()).unwrap();
    assert!(matches!(
        forged.verify(&key(1).public()),
        Err(EnvelopeError::BadSignature { .. })
    ));
    assert!(matches!(
        forged.verify(&key(2).public()),
        Err(EnvelopeError::WrongSigner { .. })
    ));
}

#[test]
fn a_statement_of_another_kind_is_refused_even_with_the_same_bytes() {
    let other = Other {
        number: 7,
        text: "hello".into(),
    };
    let signed_other = Signed::sign(&other, &key(1)).unwrap();
    assert_eq!(signed_other.body(), signed().body());
    assert_eq!(
        Signed::<Note>::from_bytes(signed_other.bytes()).unwrap_err(),
        EnvelopeError::WrongKind {
            expected: "note",
            found: "other".into(),
        }
    );
    assert_ne!(signed_other.body_digest(), signed().body_digest());
    // The kind is under the signature: exchanging it breaks it.
    let text = String::from_utf8_lossy(signed_other.bytes()).into_owned();
    assert!(text.contains("kind=other"));
}

#[test]
fn the_label_is_under_the_signature() {
    // A COSE_Sign1 made elsewhere with the same key and header, without our external data.
    let mut message = CoseSign1::from_tagged_slice(signed().bytes()).unwrap();
    message.signature = key(1).sign(&message.tbs_data(b"")).as_bytes().to_vec();
    let foreign = Signed::<Note>::from_bytes(&message.to_tagged_vec().unwrap()).unwrap();
    assert!(foreign.verify(&key(1).public()).is_err());
}

#[test]
fn other_spellings_of_the_envelope_are_refused() {
    let signed = signed();
    let message = || CoseSign1::from_tagged_slice(signed.bytes()).unwrap();
    let sealed = |mut message: CoseSign1| {
        // Signed properly, so that only the spelling can be the reason.
        message.protected.original_data = None;
        let signature = key(1).sign(&message.tbs_data(labels::ENVELOPE_AAD.as_bytes()));
        message.signature = signature.as_bytes().to_vec();
        message.to_tagged_vec().unwrap()
    };
    assert_eq!(
        sealed(message()),
        signed.bytes(),
        "the attack itself is sound"
    );

    let mut refused: Vec<(&str, Vec<u8>)> = Vec::new();
    refused.push(("untagged", message().to_vec().unwrap()));
    let mut tagged_twice = vec![0xd2];
    tagged_twice.extend(signed.bytes());
    refused.push(("tagged twice", tagged_twice));
    let mut unprotected = message();
    unprotected.unprotected.key_id = b"free".to_vec();
    refused.push(("an unprotected header", sealed(unprotected)));
    let mut detached = message();
    detached.payload = None;
    refused.push(("a detached payload", sealed(detached)));
    let mut algorithm = message();
    algorithm.protected.header.alg =
        Some(coset::Algorithm::Assigned(coset::iana::Algorithm::ES256));
    refused.push(("another algorithm", sealed(algorithm)));
    let mut none = message();
    none.protected.header.alg = None;
    refused.push(("no algorithm", sealed(none)));
    let mut extra = message();
    extra
        .protected
        .header
        .rest
        .push((coset::Label::Int(99), Value::Null));
    refused.push(("an unknown header entry", sealed(extra)));
    let mut short = message();
    short.protected.header.key_id.pop();
    refused.push(("a short key identifier", sealed(short)));
    for kind in [
        "application/cbor",
        "application/dawn+cbor; kind=",
        "application/dawn+cbor; kind=A b",
    ] {
        let mut content = message();
        content.protected.header.content_type = Some(coset::ContentType::Text(kind.into()));
        refused.push(("another content type", sealed(content)));
    }
    let mut long = message();
    long.signature.push(0);
    refused.push(("a signature of 65 bytes", long.to_tagged_vec().unwrap()));

    // Longer-than-needed integers, by hand: the tag, the array, the algorithm.
    let plain = signed.bytes();
    assert_eq!(&plain[..3], &[0xd2, 0x84, 0x58]);
    let spelled = |replaced: usize, with: &[u8]| {
        let mut bytes = with.to_vec();
        bytes.extend_from_slice(&plain[replaced..]);
        bytes
    };
    refused.push(("a tag in two bytes", spelled(1, &[0xd8, 18])));
    refused.push(("an array length in two bytes", spelled(2, &[0xd2, 0x98, 4])));
    refused.push(("an array of indefinite length", {
        let mut bytes = spelled(2, &[0xd2, 0x9f]);
        bytes.push(0xff);
        bytes
    }));
    refused.push((
        "a header length in three bytes",
        spelled(4, &[0xd2, 0x84, 0x59, 0, plain[3]]),
    ));

    // A protected header with its entries in another order, or one of them twice, signed properly.
    let header = Value::Map(vec![
        (
            Value::from(4),
            Value::Bytes(signed.signer().as_bytes().to_vec()),
        ),
        (Value::from(1), Value::from(-8)),
        (
            Value::from(3),
            Value::Text("application/dawn+cbor; kind=note".into()),
        ),
    ]);
    let Value::Map(mut twice) = header.clone() else {
        unreachable!()
    };
    twice.push((Value::from(1), Value::from(-8)));
    for (what, header) in [
        ("reordered header", header),
        ("repeated entry", Value::Map(twice)),
    ] {
        let mut original = Vec::new();
        coset::cbor::ser::into_writer(&header, &mut original).unwrap();
        let mut reordered = message();
        reordered.protected.original_data = Some(original);
        let signature = key(1).sign(&reordered.tbs_data(labels::ENVELOPE_AAD.as_bytes()));
        reordered.signature = signature.as_bytes().to_vec();
        refused.push((what, reordered.to_tagged_vec().unwrap()));
    }
    for (what, bytes) in refused {
        assert!(Signed::<Note>::from_bytes(&bytes).is_err(), "{what}");
    }
}

#[test]
fn the_payload_is_checked_and_bounded() {
    let seal = |payload: Vec<u8>| Envelope::seal("note", payload, &key(1)).unwrap();
    let refused =
        |payload: Vec<u8>| match Signed::<Note>::from_bytes(seal(payload).bytes()).unwrap_err() {
            EnvelopeError::Payload {
                kind: "note",
                signer,
                source,
            } => {
                assert_eq!(signer, key(1).public().id());
                source
            }
            other => panic!("{other}"),
        };
    let broken = Note {
        number: 1000,
        text: String::new(),
    };
    let rule = DecodeError::Rule(BrokenRule("a note's number is below 1000"));
    assert_eq!(refused(to_canonical(&broken)), rule);
    assert!(matches!(
        Signed::sign(&broken, &key(1)),
        Err(EnvelopeError::Payload { source, .. }) if source == rule
    ));
    let long = Note {
        number: 1,
        text: "x".repeat(100),
    };
    assert!(matches!(
        refused(to_canonical(&long)),
        DecodeError::TooLarge { limit: 64, .. }
    ));
    assert!(Signed::sign(&long, &key(1)).is_err());
    assert_eq!(
        refused(vec![0x82, 0x18, 0x07, 0x60]),
        DecodeError::NotCanonical
    );
    assert!(matches!(refused(vec![0xa0]), DecodeError::Malformed(_)));
    assert!(matches!(
        Signed::<Note>::from_bytes(&[0; 1000]),
        Err(EnvelopeError::TooLarge { limit, actual: 1000 }) if limit == Signed::<Note>::MAX_BYTES
    ));
}

#[test]
fn body_digest_is_of_what_is_said_and_envelope_digest_of_the_whole() {
    let (one, two) = (signed(), Signed::sign(&note(), &key(2)).unwrap());
    assert_eq!(one.body_digest(), two.body_digest());
    assert_eq!(one.body_digest(), statement_digest(&note()));
    assert_ne!(one.envelope_digest(), two.envelope_digest());
    let other = Signed::sign(
        &Note {
            number: 8,
            ..note()
        },
        &key(1),
    )
    .unwrap();
    assert_ne!(one.body_digest(), other.body_digest());
}

#[test]
fn the_untyped_view_shows_kind_signer_and_payload() {
    let signed = signed();
    let envelope = Envelope::parse(signed.bytes(), 1000).unwrap();
    assert_eq!(envelope.kind(), "note");
    assert_eq!(envelope.signer(), key(1).public().id());
    assert_eq!(envelope.payload(), to_canonical(&note()));
    assert_eq!(envelope.body_digest(), signed.body_digest());
    assert!(envelope.verify(&key(1).public()).is_ok());
    assert_eq!(&envelope, signed.envelope());
    assert!(matches!(
        Envelope::parse(signed.bytes(), signed.bytes().len() - 1),
        Err(EnvelopeError::TooLarge { .. })
    ));
    let long = "k".repeat(41);
    for kind in ["", "Note", "a b", "a/b", &long] {
        assert!(Envelope::seal(kind, vec![], &key(1)).is_err(), "{kind}");
    }
    let longest = Envelope::seal(&"k".repeat(40), vec![0; 70_000], &key(1)).unwrap();
    assert!(longest.bytes().len() <= 70_000 + OVERHEAD_BYTES);
    assert_eq!(Envelope::parse(longest.bytes(), 80_000).unwrap(), longest);
}

proptest! {
    #[test]
    fn round_trip(number in 0u64..1000, text in "[a-z]{0,50}", seed: u8) {
        let note = Note { number, text };
        let signed = Signed::sign(&note, &key(seed)).unwrap();
        let read = Signed::<Note>::from_bytes(signed.bytes()).unwrap();
        prop_assert_eq!(&*read.verify(&key(seed).public()).unwrap(), &note);
        prop_assert_eq!(read.bytes(), signed.bytes());
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Envelope::parse(&bytes, 1000);
        let _ = Signed::<Note>::from_bytes(&bytes);
        let mut prefixed = vec![0xd2, 0x84, 0x58, 0x20];
        prefixed.extend(bytes);
        let _ = Envelope::parse(&prefixed, 1000);
    }

    #[test]
    fn what_parses_encodes_to_itself(at in 0usize..150, with: [u8; 3]) {
        let mut bytes = signed().bytes().to_vec();
        let at = at.min(bytes.len() - 3);
        bytes[at..at + 3].copy_from_slice(&with);
        if let Ok(envelope) = Envelope::parse(&bytes, 1000) {
            prop_assert_eq!(envelope.bytes(), &bytes[..]);
        }
    }
}
