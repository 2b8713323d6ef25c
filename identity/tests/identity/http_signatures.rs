//! Signed HTTP requests: the RFC's known answer, those of another implementation, and that nothing signed can be changed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use dawn_identity::http_signature::{
    ClaimedRequest, HttpSignatureError as Error, Parameters, SignatureInput, sign, verify_any,
};
use dawn_identity::{PublicKey, SecretKey};
use serde_json::Value;

use crate::fixture::NOW;
use crate::signed_request::{BODY, PARAMETERS, Request, TAG, key, signed, signed_by, unsigned};

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
    let refused = request.with(|parts| ClaimedRequest::read(parts, TAG, 1_618_884_480));
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
            let claimed = request.with(|parts| ClaimedRequest::read(parts, tag, at))?;
            claimed.verify_body(&request.body)?;
            claimed.verify(&key)
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
