//! Signed HTTP requests: the RFC's known answer, those of another implementation, and every way to be refused.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use dawn_identity::http_signature::{
    ClaimedRequest, HttpSignatureError as Error, Parameters, RequestParts, SignatureInput, sign,
    verify_any,
};
use dawn_identity::{PublicKey, SecretKey};
use proptest::prelude::*;
use serde_json::Value;

use crate::fixture::NOW;

const TAG: &str = "dawn-org-register";
const BODY: &[u8] = b"hello";

/// A request that owns its parts.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    scheme: String,
    authority: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn with<T>(&self, f: impl FnOnce(&RequestParts<'_>) -> T) -> T {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        f(&RequestParts {
            method: &self.method,
            scheme: &self.scheme,
            authority: &self.authority,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &headers,
        })
    }

    fn check(&self, key: &PublicKey, at: u64) -> Result<ClaimedRequest, Error> {
        let claimed = self.with(|parts| ClaimedRequest::read(parts, &self.body, TAG, at))?;
        claimed.verify(key)?;
        Ok(claimed)
    }

    fn header(&mut self, name: &str) -> &mut String {
        let found = self.headers.iter_mut().find(|(header, _)| header == name);
        &mut found.unwrap().1
    }

    fn header_of(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        &found.unwrap().1
    }

    fn replaced(&self, name: &str, from: &str, to: &str) -> Self {
        let mut changed = self.clone();
        let value = changed.header(name);
        assert!(value.contains(from), "{value} has no {from}");
        *value = value.replacen(from, to, 1);
        changed
    }

    fn json(&self, key: &PublicKey) -> Value {
        let headers: serde_json::Map<_, _> = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let query = self
            .query
            .as_ref()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        serde_json::json!({
            "method": self.method,
            "url": format!("{}://{}{}{query}", self.scheme, self.authority, self.path),
            "headers": headers,
            "body": hex::encode(&self.body),
            "key": key,
        })
    }

    fn from_json(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        let url = text("url");
        let (scheme, rest) = url.split_once("://").unwrap();
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        let at = rest.find('/').unwrap_or(rest.len());
        let headers = value["headers"].as_object().unwrap();
        Self {
            method: text("method"),
            scheme: scheme.to_owned(),
            authority: rest[..at].to_owned(),
            path: rest[at..].to_owned(),
            query,
            headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
            body: hex::decode(text("body")).unwrap(),
        }
    }
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

fn unsigned() -> Request {
    Request {
        method: "POST".into(),
        scheme: "https".into(),
        authority: "example.com".into(),
        path: "/v1/orgs".into(),
        query: Some("a=b".into()),
        headers: Vec::new(),
        body: BODY.to_vec(),
    }
}

fn signed_by(request: &Request, parameters: &Parameters<'_>, key: &SecretKey) -> Request {
    let made = request
        .with(|parts| sign(parts, "application/cbor", &request.body, parameters, key))
        .unwrap();
    let mut request = request.clone();
    request.headers = vec![
        ("content-type".into(), "application/cbor".into()),
        ("content-digest".into(), made.content_digest),
        ("signature-input".into(), made.signature_input),
        ("signature".into(), made.signature),
    ];
    request
}

const PARAMETERS: Parameters<'static> = Parameters {
    tag: TAG,
    nonce: "abc-123",
    created: NOW,
    expires: NOW + 240,
};

fn signed() -> Request {
    signed_by(&unsigned(), &PARAMETERS, &key())
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../test_vectors/http_signatures.json")).unwrap()
}

#[test]
fn rfc_9421_b_2_6() {
    let vector = &vectors()["rfc_9421_b_2_6"];
    let key = SecretKey::from_pkcs8_pem(vector["pem"].as_str().unwrap()).unwrap();
    let request = Request::from_json(vector);
    let verify = |request: &Request| request.with(|parts| verify_any(parts, &key.public()));
    assert_eq!(verify(&request), Ok(()));
    // It is deterministic: our signature over our base is the RFC's.
    let input = SignatureInput::parse(&request.headers[request.headers.len() - 1].1).unwrap();
    assert_eq!(input.label, "sig-b26");
    // Corrupted in everything that it covers, and in itself.
    for (name, from, to) in [
        ("date", "02:07:55", "02:07:56"),
        ("content-type", "json", "jsom"),
        ("content-length", "18", "19"),
        ("signature-input", "1618884473", "1618884474"),
        ("signature-input", "test-key-ed25519", "test-key-ed25518"),
        (
            "signature-input",
            r#""date" "@method""#,
            r#""@method" "date""#,
        ),
        ("signature", "wqcAq", "wqcAr"),
    ] {
        assert_eq!(
            verify(&request.replaced(name, from, to)),
            Err(Error::BadSignature),
            "{name}"
        );
    }
    let mut changed = request.clone();
    changed.method = "PUT".into();
    assert_eq!(verify(&changed), Err(Error::BadSignature));
    changed = request.clone();
    changed.path = "/fop".into();
    assert_eq!(verify(&changed), Err(Error::BadSignature));
    changed = request.clone();
    changed.authority = "example.org".into();
    assert_eq!(verify(&changed), Err(Error::BadSignature));
    // What it does not cover, anybody may change: why administrative requests must cover more.
    changed = request.clone();
    changed.query = None;
    assert_eq!(verify(&changed), Ok(()));
    let refused =
        request.with(|parts| ClaimedRequest::read(parts, &request.body, TAG, 1_618_884_480));
    assert_eq!(refused.unwrap_err(), Error::NotCovered("content-digest"));
}

#[test]
fn another_implementation_signs_what_is_accepted_here() {
    let vectors = vectors();
    for vector in vectors["accepted"].as_array().unwrap() {
        let request = Request::from_json(vector);
        let key: PublicKey = vector["key"].as_str().unwrap().parse().unwrap();
        let tag: &'static str = vector["tag"].as_str().unwrap().to_owned().leak();
        let at = vector["now"].as_u64().unwrap();
        let read = |request: &Request| {
            request
                .with(|parts| ClaimedRequest::read(parts, &request.body, tag, at))?
                .verify(&key)
        };
        assert_eq!(read(&request), Ok(()), "{}", vector["url"]);
        let mut changed = request.clone();
        changed.path.push('x');
        assert_eq!(read(&changed), Err(Error::BadSignature));
        changed = request.clone();
        changed.query = Some("other".into());
        assert_eq!(read(&changed), Err(Error::BadSignature));
        changed = request.clone();
        changed.body.push(0);
        assert_eq!(read(&changed), Err(Error::Digest));
        // Of an address that is covered in parts, the host has one spelling, whatever the header says.
        changed = request.clone();
        changed.authority = request.authority.to_uppercase();
        let in_parts = request.header_of("signature-input").contains("@authority");
        let same = in_parts || changed.authority == request.authority;
        assert_eq!(read(&changed).is_ok(), same, "{}", vector["url"]);
    }
}

/// Both ways with the PyPI package http-message-signatures, where it can be had: it goes into a virtual environment below
/// `target/`, once.
#[test]
fn another_implementation_verifies_what_is_signed_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/http-signatures-venv");
    let python = folder.join("bin/python");
    let run = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let has =
        |python: &Path| run(Command::new(python).args(["-c", "import http_message_signatures"]));
    if !has(&python) {
        let made = run(Command::new("python3").arg("-m").arg("venv").arg(&folder))
            && run(Command::new(&python).args([
                "-m",
                "pip",
                "install",
                "-q",
                "http-message-signatures==3.0.0",
            ]));
        if !made || !has(&python) {
            eprintln!(
                "http-message-signatures is not to be had: only its recorded answers were compared"
            );
            return;
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../test_vectors/http_signatures.py");
    let verifies = |request: &Request| {
        let mut child = Command::new(&python)
            .arg(&script)
            .arg("verify")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = request.json(&key().public()).to_string();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let fresh = Parameters {
        created: now,
        expires: now + 240,
        ..PARAMETERS
    };
    let request = signed_by(&unsigned(), &fresh, &key());
    let (good, said) = verifies(&request);
    assert!(good, "{said}");
    for part in [
        "@method",
        "@target-uri",
        "content-digest",
        "content-type",
        "abc-123",
        TAG,
    ] {
        assert!(said.contains(part), "{said}");
    }
    for changed in [
        request.replaced("content-type", "cbor", "json"),
        request.replaced("signature-input", TAG, "dawn-org-rotate"),
        request.replaced("content-digest", "sha-256=:L", "sha-256=:M"),
    ] {
        assert!(!verifies(&changed).0);
    }
    // And what it signs now is what is recorded.
    let output = Command::new(&python).arg(&script).output().unwrap();
    let written: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(written, vectors());
}

#[test]
fn what_is_signed_here_is_accepted_here() {
    let request = signed();
    let claimed = request.check(&key().public(), NOW + 10).unwrap();
    assert_eq!(claimed.nonce(), "abc-123");
    assert_eq!(*claimed.keyid(), key().public().thumbprint());
    assert_eq!(claimed.expires(), NOW + 240);
    // A nonce that cannot be written as a string is not signed.
    let quoted = Parameters {
        nonce: "a\";tag=\"b",
        ..PARAMETERS
    };
    let made = unsigned().with(|parts| sign(parts, "application/cbor", BODY, &quoted, &key()));
    assert!(matches!(made, Err(Error::Malformed { .. })));
}

#[test]
fn nothing_that_is_signed_can_be_changed() {
    let public = key().public();
    let bad = |request: &Request| request.check(&public, NOW + 10).unwrap_err();
    let mut changed = signed();
    changed.method = "PUT".into();
    assert_eq!(bad(&changed), Error::BadSignature);
    changed = signed();
    changed.scheme = "http".into();
    assert_eq!(bad(&changed), Error::BadSignature);
    changed = signed();
    changed.authority = "example.com:8443".into();
    assert_eq!(bad(&changed), Error::BadSignature);
    changed = signed();
    changed.query = None;
    assert_eq!(bad(&changed), Error::BadSignature);
    changed = signed();
    changed.body = b"hellp".to_vec();
    assert_eq!(bad(&changed), Error::Digest);
    // With the digest of the other body, the signature does not fit.
    *changed.header("content-digest") = dawn_identity::http_signature::content_digest(b"hellp");
    assert_eq!(bad(&changed), Error::BadSignature);
    let request = signed();
    assert_eq!(
        bad(&request.replaced("content-type", "cbor", "json")),
        Error::BadSignature
    );
    assert_eq!(
        bad(&request.replaced("signature-input", "abc-123", "abc-124")),
        Error::BadSignature
    );
    let later = format!("{}", NOW + 241);
    assert_eq!(
        bad(&request.replaced("signature-input", &format!("{}", NOW + 240), &later)),
        Error::BadSignature
    );
    // Under the tag of this purpose, but not signed so.
    let other = signed_by(
        &unsigned(),
        &Parameters {
            tag: "dawn-org-rotate",
            ..PARAMETERS
        },
        &key(),
    );
    assert!(matches!(bad(&other), Error::Tag { .. }));
    assert_eq!(
        bad(&other.replaced("signature-input", "dawn-org-rotate", TAG)),
        Error::BadSignature
    );
    // Another key: as another's, and under the name of this one.
    let theirs = SecretKey::from_seed(&[8; 32]);
    let forged = signed_by(&unsigned(), &PARAMETERS, &theirs);
    assert_eq!(bad(&forged), Error::OtherKey);
    let renamed = forged.replaced(
        "signature-input",
        &theirs.public().thumbprint().to_string(),
        &public.thumbprint().to_string(),
    );
    assert_eq!(bad(&renamed), Error::BadSignature);
}

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
