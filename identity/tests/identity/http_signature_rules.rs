//! What a signature of a request must say and how: times, coverage, spelling, hostile headers.

use dawn_identity::http_signature::{HttpSignatureError as Error, Parameters, SignatureInput};
use proptest::prelude::*;

use crate::fixture::NOW;
use crate::signed_request::{PARAMETERS, Request, TAG, key, signed, signed_by, unsigned};

#[test]
fn a_signature_counts_for_a_while() {
    let public = key().public();
    let at = |created: u64, expires: u64, now: u64| {
        let parameters = Parameters {
            created,
            expires,
            ..PARAMETERS
        };
        signed_by(&unsigned(), &parameters, &key())
            .check(&public, now)
            .map(|_| ())
    };
    assert_eq!(at(NOW, NOW + 300, NOW + 299), Ok(()));
    assert_eq!(
        at(NOW, NOW + 300, NOW + 300),
        Err(Error::Expired {
            expires: NOW + 300,
            now: NOW + 300
        })
    );
    assert_eq!(at(NOW + 60, NOW + 90, NOW), Ok(()));
    assert_eq!(
        at(NOW + 61, NOW + 90, NOW),
        Err(Error::Future {
            created: NOW + 61,
            now: NOW
        })
    );
    assert_eq!(at(NOW, NOW + 301, NOW), Err(Error::Lifetime));
    assert_eq!(at(NOW, NOW, NOW), Err(Error::Lifetime));
    assert_eq!(at(NOW, NOW - 1, NOW), Err(Error::Lifetime));
    assert!(matches!(
        at(999_999_999_999_000, 999_999_999_999_100, NOW),
        Err(Error::Future { .. })
    ));
}

#[test]
fn nothing_may_be_left_out_or_said_twice() {
    let public = key().public();
    for name in [
        "content-type",
        "content-digest",
        "signature-input",
        "signature",
    ] {
        let mut request = signed();
        request.headers.retain(|(header, _)| header != name);
        let error = request.check(&public, NOW).unwrap_err();
        assert!(
            matches!(error, Error::Missing(_) | Error::Component(_)),
            "{name}: {error}"
        );
        let mut request = signed();
        let twice = request
            .headers
            .iter()
            .find(|(header, _)| header == name)
            .unwrap()
            .clone();
        request.headers.push(twice);
        assert_eq!(
            request.check(&public, NOW).unwrap_err(),
            Error::Repeated(name.into())
        );
    }
    let request = signed();
    let without = |from: &str| {
        request
            .replaced("signature-input", from, "")
            .check(&public, NOW)
            .unwrap_err()
    };
    assert_eq!(without("\"@method\" "), Error::NotCovered("@method"));
    assert_eq!(
        without("\"content-digest\" "),
        Error::NotCovered("content-digest")
    );
    assert_eq!(
        without(" \"content-type\""),
        Error::NotCovered("content-type")
    );
    assert!(matches!(without("\"@target-uri\" "), Error::NotCovered(_)));
    assert_eq!(
        without(&format!(";created={NOW}")),
        Error::NoParameter("created")
    );
    assert_eq!(
        without(&format!(";expires={}", NOW + 240)),
        Error::NoParameter("expires")
    );
    assert_eq!(without(";nonce=\"abc-123\""), Error::NoParameter("nonce"));
    assert_eq!(
        without(&format!(";tag=\"{TAG}\"")),
        Error::NoParameter("tag")
    );
    assert_eq!(
        without(&format!(";keyid=\"{}\"", public.thumbprint())),
        Error::NoParameter("keyid")
    );
    let other = request.replaced("signature-input", "\"ed25519\"", "\"hmac-sha256\"");
    assert_eq!(other.check(&public, NOW).unwrap_err(), Error::Algorithm);
}

#[test]
fn other_spellings_are_refused() {
    let public = key().public();
    let request = signed();
    let input = |from: &str, to: &str| {
        let error = request
            .replaced("signature-input", from, to)
            .check(&public, NOW)
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::Malformed {
                    header: "signature-input",
                    ..
                }
            ),
            "{from} {to}: {error}"
        );
    };
    input("dawn=", "Dawn=");
    input("dawn=", "dawn =");
    input("(\"@method\"", "( \"@method\"");
    input("\"@method\" ", "\"@method\"  ");
    input("\"@method\" ", "\"@method\" \"@method\" ");
    input("\"@method\"", "\"@Method\"");
    input("\"@method\"", "\"@method\";req");
    input("\"@method\"", "@method");
    input("\"@method\"", "\"@meth\\od\"");
    input("\"content-type\"", "\"signature\"");
    input(";created=", ";created=0");
    input(";created=", ";created=-");
    input(";created=", ";created=1.");
    input(";created=", "; created=");
    input(";created=", ";created=1;created=");
    input(";nonce=", ";other=");
    input(";nonce=\"abc", ";nonce=\"abc\\\"");
    input(";nonce=\"abc-123\"", ";nonce=abc");
    input(")", "), b=(\"@method\")");
    let mut two = request.clone();
    let again = two.header("signature-input").replace("dawn=", ", sig2=");
    two.header("signature-input").push_str(&again);
    assert!(matches!(
        two.check(&public, NOW),
        Err(Error::Malformed { .. })
    ));
    for (header, from, to) in [
        ("signature", "dawn=", "down="),
        ("signature", "=:", "="),
        ("signature", "=:", "=:A"),
        ("signature", "==:", ":"),
        ("content-digest", "sha-256", "sha-512"),
        ("content-digest", "sha-256", "SHA-256"),
        ("content-digest", "sha-256=", "sha-512=:AA==:, sha-256="),
        ("content-digest", "=:L", "=:"),
    ] {
        let error = request
            .replaced(header, from, to)
            .check(&public, NOW)
            .unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. } | Error::TooLong(_)),
            "{header} {to}: {error}"
        );
    }
    let mut long = request.clone();
    long.header("signature-input").push_str(&"x".repeat(3000));
    assert_eq!(
        long.check(&public, NOW).unwrap_err(),
        Error::TooLong("signature-input")
    );
    // A line break in a covered value would be a line of its own.
    let mut split = request.clone();
    *split.header("content-type") = "application/cbor\n\"@method\": PUT".into();
    assert!(matches!(
        split.check(&public, NOW),
        Err(Error::Component(_))
    ));
}

#[test]
fn signatures_of_low_order_and_of_another_spelling_are_refused() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let public = key().public();
    let request = signed();
    let with = |bytes: &[u8]| {
        let mut request = request.clone();
        *request.header("signature") = format!("dawn=:{}:", STANDARD.encode(bytes));
        request.check(&public, NOW).unwrap_err()
    };
    let text = request.headers[3].1.clone();
    let good = STANDARD
        .decode(text.trim_start_matches("dawn=:").trim_end_matches(':'))
        .unwrap();
    // S + L, which plain verification takes.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut second = good.clone();
    let mut carry = 0u16;
    for (byte, l) in second[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(with(&second), Error::BadSignature);
    let mut low = vec![0; 64];
    low[0] = 1;
    assert_eq!(with(&low), Error::BadSignature);
    for cut in [0, 1, 63, 65] {
        let mut other = good.clone();
        other.resize(cut, 0);
        assert!(matches!(with(&other), Error::Malformed { .. }), "{cut}");
    }
}

proptest! {
    #[test]
    fn hostile_headers_never_panic(
        input in "\\PC{0,120}",
        signature in "\\PC{0,60}",
        digest in "\\PC{0,60}",
        near in "dawn=\\(\"[a-z@\" )(;=0-9]{0,60}",
    ) {
        for text in [&input, &near] {
            let mut request = signed();
            *request.header("signature-input") = text.clone();
            *request.header("signature") = signature.clone();
            prop_assert!(request.check(&key().public(), NOW).is_err());
            let mut request = signed();
            *request.header("content-digest") = digest.clone();
            prop_assert!(request.check(&key().public(), NOW).is_err());
            // What is read is written again as it was.
            if let Ok(parsed) = SignatureInput::parse(text) {
                prop_assert_eq!(&parsed.serialise(), text);
            }
        }
    }

    #[test]
    fn whatever_is_signed_is_accepted(
        path in "/[a-z0-9/%.-]{0,40}",
        query in proptest::option::of("[a-z0-9=&%.-]{0,40}"),
        nonce in "[A-Za-z0-9_ .-]{1,60}",
        body in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let request = Request { path, query, body, ..unsigned() };
        let request = signed_by(&request, &Parameters { nonce: &nonce, ..PARAMETERS }, &key());
        let claimed = request.check(&key().public(), NOW).unwrap();
        prop_assert_eq!(claimed.nonce(), nonce);
    }
}
