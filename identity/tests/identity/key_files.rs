//! Key files: JSON Web Keys, thumbprints, files under a passphrase; both ways with OpenSSL.

use std::path::Path;
use std::process::Command;

use dawn_identity::passphrase::is_encrypted;
use dawn_identity::{KeyError, Passphrase, PublicKey, SecretKey};
use proptest::prelude::*;

use crate::fixture::rng;

/// RFC 8037, appendix A.1 and A.3.
const RFC_8037: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const RFC_8037_THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned()).unwrap()
}

#[test]
fn rfc_8037_key_and_thumbprint() {
    let key = SecretKey::from_jwk(RFC_8037).unwrap();
    assert_eq!(key.public().thumbprint().to_string(), RFC_8037_THUMBPRINT);
    assert_eq!(
        key.public().to_jwk(),
        r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
    );
    let parsed: dawn_identity::Thumbprint = RFC_8037_THUMBPRINT.parse().unwrap();
    assert_eq!(parsed, key.public().thumbprint());
    // The last character carries two unused bits: another spelling of the same bytes is none.
    assert!(
        RFC_8037_THUMBPRINT
            .replace("S4k", "S4l")
            .parse::<dawn_identity::Thumbprint>()
            .is_err()
    );
}

#[test]
fn json_web_keys_round_trip_and_pass_over_what_they_do_not_need() {
    let key = SecretKey::generate(&mut rng(1));
    assert_eq!(
        SecretKey::from_jwk(&key.to_jwk()).unwrap().public(),
        key.public()
    );
    assert_eq!(
        PublicKey::from_jwk(&key.public().to_jwk()),
        Ok(key.public())
    );
    let more = RFC_8037.replace('{', r#"{"kid":"root","use":"sig","alg":"EdDSA","#);
    assert!(SecretKey::from_jwk(&more).is_ok());
}

#[test]
fn json_web_keys_of_another_form_are_refused() {
    let other = SecretKey::from_seed(&[3; 32]).public().to_jwk();
    let other_x = other.split('"').rev().nth(1).unwrap();
    let corrupted = [
        ("another type", RFC_8037.replace("OKP", "EC")),
        ("another curve", RFC_8037.replace("Ed25519", "X25519")),
        ("padding", RFC_8037.replace("yuf2A", "yuf2A=")),
        (
            "not url-safe",
            RFC_8037.replace("11qYAYKxCrfVS_7", "11qYAYKxCrfVS/7"),
        ),
        ("unused bits", RFC_8037.replace("yuf2A", "yuf2B")),
        ("too short", RFC_8037.replace("nWGxne_9", "nWGxne")),
        ("too long", RFC_8037.replace("nWGxne_9", "nWGxne_9nWGx")),
        (
            "twice",
            RFC_8037.replace(r#""kty":"OKP""#, r#""kty":"OKP","kty":"OKP""#),
        ),
        ("no x", RFC_8037.replace(r#""x":"#, r#""y":"#)),
        ("nothing", String::new()),
        ("an array", format!("[{RFC_8037}]")),
        ("more after it", format!("{RFC_8037} {{}}")),
        (
            "too much",
            RFC_8037.replace('{', &format!(r#"{{"kid":"{}","#, "k".repeat(5000))),
        ),
    ];
    for (what, text) in corrupted {
        assert!(
            matches!(SecretKey::from_jwk(&text), Err(KeyError::Text(_))),
            "{what}"
        );
    }
    let exchanged = RFC_8037.replace("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", other_x);
    assert_eq!(
        SecretKey::from_jwk(&exchanged).unwrap_err(),
        KeyError::Mismatch
    );
    // A key of low order is no key in this form either.
    let low = other.replace(other_x, "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(PublicKey::from_jwk(&low), Err(KeyError::LowOrder));
    // Secret and public are not mixed up.
    assert!(PublicKey::from_jwk(RFC_8037).is_err());
    assert!(SecretKey::from_jwk(&other).is_err());
    // An error never repeats the text.
    let error = SecretKey::from_jwk(&RFC_8037.replace("\"d\":\"", "\"d\":7,\"e\":\"")).unwrap_err();
    assert!(!error.to_string().contains("nWGx"), "{error}");
}

#[test]
fn a_passphrase_opens_what_it_closed() {
    let key = SecretKey::generate(&mut rng(2));
    let right = passphrase("correct horse\n");
    let text = key.to_encrypted_pem(&right, &mut rng(3)).unwrap();
    assert!(is_encrypted(&text) && !is_encrypted(&key.to_pkcs8_pem()));
    let opened = SecretKey::from_encrypted_pem(&text, &passphrase("correct horse")).unwrap();
    assert_eq!(opened.public(), key.public());
    // Another salt and another vector each time.
    assert_ne!(*text, *key.to_encrypted_pem(&right, &mut rng(4)).unwrap());
    assert!(matches!(
        SecretKey::from_pkcs8_pem(&text),
        Err(KeyError::Passphrase(_))
    ));
    for wrong in ["correct horse ", "Correct horse", "x"] {
        let error = SecretKey::from_encrypted_pem(&text, &passphrase(wrong)).unwrap_err();
        assert!(matches!(error, KeyError::Passphrase(_)), "{error}");
    }
    assert!(SecretKey::from_encrypted_pem(&key.to_pkcs8_pem(), &right).is_err());
    for none in ["", "\n", "\r\n"] {
        assert!(Passphrase::new(none.to_owned()).is_err());
    }
    assert!(!format!("{right:?}").contains("horse"));
}

#[test]
fn a_damaged_file_never_gives_a_key() {
    let key = SecretKey::generate(&mut rng(5));
    let right = passphrase("p");
    let text = key.to_encrypted_pem(&right, &mut rng(6)).unwrap();
    let begin = text.find('\n').unwrap() + 1;
    let end = text.rfind("-----END").unwrap();
    // Every 16th character of the body exchanged: the algorithms, the salt, the cipher text.
    for at in (begin..end).step_by(16) {
        let mut damaged = text.as_bytes().to_vec();
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        let damaged = String::from_utf8(damaged).unwrap();
        let read = SecretKey::from_encrypted_pem(&damaged, &right);
        // CBC lets a bit of the last block's neighbour through into the key: never into this key.
        assert!(
            read.is_err() || read.unwrap().public() != key.public(),
            "{at}"
        );
    }
}

/// DER of an encrypted key with these parameters, written by hand.
fn hostile(kdf: &[u8]) -> String {
    use base64::Engine as _;
    let sequence = |tag: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        let length = match body.len() as u8 {
            short @ 0..128 => vec![tag, short],
            long => vec![tag, 0x81, long],
        };
        [length, body].concat()
    };
    let aes = [
        &[
            0x30, 0x1d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a, 0x04,
            0x10,
        ][..],
        &[7; 16],
    ]
    .concat();
    let pbes2 = [
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d,
    ];
    let algorithm = sequence(0x30, &[&pbes2, &sequence(0x30, &[kdf, &aes])]);
    let data = sequence(0x04, &[&[9; 16]]);
    let der = sequence(0x30, &[&algorithm, &data]);
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{}\n-----END ENCRYPTED PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

#[test]
fn a_file_does_not_choose_how_long_it_is_computed_on() {
    let scrypt = |n: &[u8], r: u8, p: &[u8]| {
        let integer = |bytes: &[u8]| [&[0x02, bytes.len() as u8][..], bytes].concat();
        let parameters = [
            &[0x04, 0x08][..],
            &[1; 8],
            &integer(n),
            &integer(&[r]),
            &integer(p),
        ]
        .concat();
        let oid = [
            0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b,
        ];
        let inner = [&[0x30, parameters.len() as u8][..], &parameters].concat();
        [&[0x30, (oid.len() + inner.len()) as u8][..], &oid, &inner].concat()
    };
    let pbkdf2 = |count: &[u8], prf: u8| {
        let prf = [
            0x30, 0x0c, 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, prf, 0x05, 0x00,
        ];
        let parameters = [
            &[0x04, 0x08][..],
            &[1; 8],
            &[0x02, count.len() as u8],
            count,
            &prf,
        ]
        .concat();
        let oid = [
            0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c,
        ];
        let inner = [&[0x30, parameters.len() as u8][..], &parameters].concat();
        [&[0x30, (oid.len() + inner.len()) as u8][..], &oid, &inner].concat()
    };
    let read =
        |kdf: &[u8]| SecretKey::from_encrypted_pem(&hostile(kdf), &passphrase("p")).unwrap_err();
    let said = |kdf: &[u8], what: &str| {
        let begun = std::time::Instant::now();
        let error = read(kdf).to_string();
        assert!(error.contains(what), "{error}");
        assert!(begun.elapsed().as_secs() < 2);
    };
    said(&scrypt(&[0x40, 0, 0, 0], 8, &[1]), "256 MiB");
    said(&scrypt(&[0x40, 0], 8, &[0x7f, 0xff]), "256 MiB");
    said(&pbkdf2(&[0x00, 0x98, 0x96, 0x81], 9), "10,000,000");
    said(&pbkdf2(&[0x10], 7), "HMAC-SHA256");
    // What is within the bounds is computed, and does not open.
    said(&scrypt(&[0x10], 8, &[1]), "does not open");
    said(&pbkdf2(&[0x10], 9), "does not open");
}

/// Both ways with OpenSSL, where it is installed.
#[test]
fn openssl_opens_our_encrypted_keys_and_we_its() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("openssl is not installed: nothing compared");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .current_dir(&folder)
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let read = |name: &str| std::fs::read_to_string(Path::new(folder.path()).join(name)).unwrap();
    let ours = SecretKey::generate(&mut rng(7));
    let phrase = passphrase("ein Satz mit Umläuten");
    std::fs::write(
        folder.path().join("ours.pem"),
        ours.to_encrypted_pem(&phrase, &mut rng(8))
            .unwrap()
            .as_bytes(),
    )
    .unwrap();
    let pass = "pass:ein Satz mit Umläuten";
    assert_eq!(
        run(&["pkey", "-in", "ours.pem", "-passin", pass, "-pubout"]),
        ours.public().to_pem()
    );
    run(&["genpkey", "-algorithm", "ed25519", "-out", "plain.pem"]);
    let theirs = SecretKey::from_pkcs8_pem(&read("plain.pem")).unwrap();
    for (name, how) in [
        ("scrypt.pem", &["-scrypt"][..]),
        (
            "pbkdf2.pem",
            &[
                "-v2",
                "aes-256-cbc",
                "-v2prf",
                "hmacWithSHA256",
                "-iter",
                "2048",
            ],
        ),
        ("aes128.pem", &["-v2", "aes-128-cbc"]),
        ("default.pem", &[]),
    ] {
        let begin = [
            "pkcs8",
            "-topk8",
            "-in",
            "plain.pem",
            "-out",
            name,
            "-passout",
            pass,
        ];
        run(&[&begin[..], how].concat());
        let opened = SecretKey::from_encrypted_pem(&read(name), &phrase).unwrap();
        assert_eq!(opened.public(), theirs.public(), "{name}");
    }
    // What `openssl genpkey` encrypts by itself.
    run(&[
        "genpkey",
        "-algorithm",
        "ed25519",
        "-aes-256-cbc",
        "-pass",
        pass,
        "-out",
        "made.pem",
    ]);
    assert!(SecretKey::from_encrypted_pem(&read("made.pem"), &phrase).is_ok());
}

proptest! {
    #[test]
    fn hostile_key_files_never_panic(text in "(\\PC|\n){0,200}", body in "[A-Za-z0-9+/=\n]{0,300}") {
        let phrase = passphrase("p");
        let _ = SecretKey::from_jwk(&text);
        let _ = PublicKey::from_jwk(&text);
        let _ = SecretKey::from_encrypted_pem(&text, &phrase);
        let framed = format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n");
        let _ = SecretKey::from_encrypted_pem(&framed, &phrase);
    }
}
