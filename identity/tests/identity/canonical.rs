//! One encoding of every value, and bounds on names.

use dawn_identity::rule::check_name;
use dawn_identity::{DecodeError, from_canonical, from_canonical_bounded, to_canonical};
use minicbor::{Decode, Encode};
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
struct Sample {
    #[n(0)]
    number: u64,
    #[n(1)]
    name: String,
    #[n(2)]
    maybe: Option<u32>,
    #[n(3)]
    list: Vec<u16>,
}

fn refused(bytes: &[u8]) -> DecodeError {
    from_canonical::<Sample>(bytes).unwrap_err()
}

#[test]
fn other_spellings_are_refused() {
    let sample = Sample {
        number: 7,
        name: "a".into(),
        list: vec![1],
        maybe: None,
    };
    let bytes = to_canonical(&sample);
    assert_eq!(hex::encode(&bytes), "84076161f68101");
    assert_eq!(from_canonical::<Sample>(&bytes).unwrap(), sample);
    for (what, text) in [
        ("an integer that is longer than needed", "8418076161f68101"),
        (
            "a text length that is longer than needed",
            "8407780161f68101",
        ),
        ("an array of indefinite length", "84076161f69f01ff"),
        ("a record of indefinite length", "9f076161f68101ff"),
        ("a text of indefinite length", "84077f6161fff68101"),
        ("a field left out", "83076161f6"),
        ("a field too many", "85076161f6810100"),
        ("undefined in the place of null", "84076161f78101"),
        ("a byte after the end", "84076161f6810100"),
        ("a tag", "c184076161f68101"),
    ] {
        let bytes = hex::decode(text).unwrap();
        let error = refused(&bytes);
        assert!(
            matches!(error, DecodeError::NotCanonical | DecodeError::Malformed(_)),
            "{what}: {error}"
        );
    }
}

#[test]
fn declared_lengths_allocate_nothing() {
    // An array of 2^64 - 1 numbers, a text of 2^62 bytes: refused after a few bytes of input.
    for text in ["84076161f69bffffffffffffffff", "84077b4000000000000000"] {
        assert!(matches!(
            refused(&hex::decode(text).unwrap()),
            DecodeError::Malformed(_)
        ));
    }
}

#[test]
fn too_long_is_refused_before_decoding() {
    assert_eq!(
        from_canonical_bounded::<Sample>(&[0xff; 9], 8),
        Err(DecodeError::TooLarge {
            limit: 8,
            actual: 9
        })
    );
}

#[test]
fn names_are_printable_and_bounded() {
    let rule = "a name";
    let longest = "x".repeat(64);
    for good in ["a", "Charité Berlin", "St. Mary's (2)", "病院", &longest] {
        assert!(check_name(good, rule).is_ok(), "{good}");
    }
    let too_long = "x".repeat(65);
    for bad in [
        "",
        " a",
        "a ",
        " ",
        "a\nb",
        "a\tb",
        "a\u{0}b",
        "a\u{1b}[31mb",
        "a\u{202e}b",
        "a\u{200b}b",
        "a\u{feff}b",
        "a\u{a0}b",
        "a\u{2028}b",
        &too_long,
    ] {
        assert!(check_name(bad, rule).is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn round_trip(number: u64, name in ".{0,20}", list: Vec<u16>, maybe: Option<u32>) {
        let sample = Sample { number, name, list, maybe };
        prop_assert_eq!(from_canonical::<Sample>(&to_canonical(&sample)).unwrap(), sample);
    }

    #[test]
    fn what_is_accepted_is_the_canonical_encoding(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(sample) = from_canonical::<Sample>(&bytes) {
            prop_assert_eq!(to_canonical(&sample), bytes);
        }
    }
}
