//! Keys: one spelling, no low order, standard files, nothing secret printed.

use dawn_identity::{KeyError, KeyId, PublicKey, SecretKey, Signature};
use proptest::prelude::*;
use std::process::Command;

use crate::fixture::rng;

/// The eight points of small order in their canonical encodings (orders 1, 2, 4, 4, 8, 8, 8, 8).
const LOW_ORDER: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn rfc_8032_vector() {
    // RFC 8032, section 7.1, test 2.
    let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let key = SecretKey::from_seed(&seed.try_into().unwrap());
    assert_eq!(
        key.public().to_string(),
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    );
    let signature = key.sign(&[0x72]);
    assert_eq!(
        hex::encode(signature.as_bytes()),
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    );
    assert_eq!(key.public().verify(&[0x72], &signature), Ok(()));
    assert_eq!(
        key.public().verify(&[0x73], &signature),
        Err(KeyError::BadSignature(key.public().id()))
    );
}

#[test]
fn low_order_keys_are_refused() {
    for text in LOW_ORDER {
        assert_eq!(
            PublicKey::from_bytes(&bytes(text)),
            Err(KeyError::LowOrder),
            "{text}"
        );
    }
}

#[test]
fn non_canonical_keys_are_refused() {
    // y + p for every y that leaves room below 2^255: 2^255 - 19 + y, y in 0..19, both signs.
    let mut refused = 0;
    for y in 0..19u8 {
        for sign in [0x7f, 0xff] {
            let mut key = [0xff; 32];
            key[0] = 0xed + y;
            key[31] = sign;
            match PublicKey::from_bytes(&key) {
                Err(KeyError::NotCanonical) => refused += 1,
                Err(KeyError::NotAPoint) => {}
                other => panic!("{other:?} for y = {y}"),
            }
        }
    }
    assert!(refused > 10, "only {refused} of them are points");
    // x = 0 with the sign bit set: the second spelling of (0, 1) and (0, -1).
    for text in [
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        let refused = PublicKey::from_bytes(&bytes(text)).unwrap_err();
        assert!(
            matches!(refused, KeyError::NotCanonical | KeyError::NotAPoint),
            "{refused}"
        );
    }
}

#[test]
fn malleable_signatures_are_refused() {
    let key = SecretKey::from_seed(&[7; 32]);
    let signature = key.sign(b"message");
    // S + L is the classic second signature: RFC 8032 demands S < L.
    let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut second = *signature.as_bytes();
    let mut carry = 0u16;
    for (byte, add) in second[32..].iter_mut().zip(&order) {
        let sum = u16::from(*byte) + u16::from(*add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    let second = Signature::from_bytes(&second).unwrap();
    assert!(key.public().verify(b"message", &second).is_err());
    // R of low order, and S = 0: what a low-order key would accept for everything.
    for text in LOW_ORDER {
        let mut forged = [0u8; 64];
        forged[..32].copy_from_slice(&bytes(text));
        let forged = Signature::from_bytes(&forged).unwrap();
        assert!(key.public().verify(b"message", &forged).is_err());
    }
}

#[test]
fn labels_separate_signatures() {
    use dawn_crypto::digest::labels::{FEDERATION_SIGNATURE, ROSTER_SIGNATURE};
    let key = SecretKey::from_seed(&[1; 32]);
    let signature = key.sign_labelled(ROSTER_SIGNATURE, &[b"a", b"b"]);
    let public = key.public();
    assert_eq!(
        public.verify_labelled(ROSTER_SIGNATURE, &[b"a", b"b"], &signature),
        Ok(())
    );
    assert!(
        public
            .verify_labelled(FEDERATION_SIGNATURE, &[b"a", b"b"], &signature)
            .is_err()
    );
    assert!(
        public
            .verify_labelled(ROSTER_SIGNATURE, &[b"ab"], &signature)
            .is_err()
    );
    assert!(
        public
            .verify_labelled(ROSTER_SIGNATURE, &[b"ab", b""], &signature)
            .is_err()
    );
}

#[test]
fn secrets_are_not_printed() {
    let key = SecretKey::from_seed(&[0xab; 32]);
    let printed = format!("{key:?}");
    assert!(
        !printed.contains("abab") && !printed.contains("171, 171"),
        "{printed}"
    );
    assert!(printed.contains(&key.public().to_string()));
}

#[test]
fn pem_round_trips() {
    let key = SecretKey::generate(&mut rng(1));
    let text = key.to_pkcs8_pem();
    assert_eq!(
        *SecretKey::from_pkcs8_pem(&text).unwrap().to_seed(),
        *key.to_seed()
    );
    let public = key.public();
    assert_eq!(PublicKey::from_pem(&public.to_pem()), Ok(public));
    assert!(SecretKey::from_pkcs8_pem(&public.to_pem()).is_err());
    assert!(PublicKey::from_pem(&text).is_err());
    assert!(SecretKey::from_pkcs8_pem("").is_err());
}

#[test]
fn rfc_8410_files_are_read() {
    // RFC 8410, section 10.3: the same key without and with its public key.
    let short = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    let key = SecretKey::from_pkcs8_pem(short).unwrap();
    assert_eq!(
        key.public().to_string(),
        "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
    );
    assert_eq!(*key.to_pkcs8_pem(), short);
    let public = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";
    assert_eq!(key.public().to_pem(), public);
}

#[test]
fn a_file_with_somebody_elses_public_key_is_refused() {
    use ed25519_dalek::pkcs8::{EncodePrivateKey as _, KeypairBytes, PublicKeyBytes};
    let write = |public: [u8; 32]| {
        let pair = KeypairBytes {
            secret_key: [5; 32],
            public_key: Some(PublicKeyBytes(public)),
        };
        pair.to_pkcs8_pem(Default::default()).unwrap()
    };
    let own = *SecretKey::from_seed(&[5; 32]).public().as_bytes();
    let other = *SecretKey::from_seed(&[6; 32]).public().as_bytes();
    assert!(SecretKey::from_pkcs8_pem(&write(own)).is_ok());
    assert_eq!(
        SecretKey::from_pkcs8_pem(&write(other)).unwrap_err(),
        KeyError::Mismatch
    );
}

/// Both ways with OpenSSL, where it is installed.
#[test]
fn openssl_reads_and_writes_our_keys() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("openssl is not installed: nothing compared");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .args(arguments)
            .arg(&file)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let key = SecretKey::generate(&mut rng(2));
    std::fs::write(&file, key.to_pkcs8_pem().as_bytes()).unwrap();
    assert_eq!(openssl(&["pkey", "-pubout", "-in"]), key.public().to_pem());
    openssl(&["genpkey", "-algorithm", "ed25519", "-out"]);
    let made = SecretKey::from_pkcs8_pem(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(openssl(&["pkey", "-pubout", "-in"]), made.public().to_pem());
}

proptest! {
    #[test]
    fn public_keys_round_trip(seed: [u8; 32]) {
        let key = SecretKey::from_seed(&seed).public();
        prop_assert_eq!(PublicKey::from_bytes(key.as_bytes()), Ok(key));
        prop_assert_eq!(key.to_string().parse(), Ok(key));
        prop_assert_eq!(serde_json::from_str::<PublicKey>(&serde_json::to_string(&key).unwrap()).unwrap(), key);
        prop_assert_eq!(minicbor::decode::<PublicKey>(&minicbor::to_vec(key).unwrap()).unwrap(), key);
        let id = key.id();
        prop_assert_eq!(id.to_string().parse::<KeyId>().unwrap(), id);
        prop_assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
        prop_assert!(key.to_string().to_uppercase().parse::<PublicKey>().is_err());
    }

    #[test]
    fn hostile_bytes_and_text_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..70),
        text in ".{0,80}",
    ) {
        let _ = PublicKey::from_bytes(&bytes);
        let _ = Signature::from_bytes(&bytes);
        let _ = minicbor::decode::<PublicKey>(&bytes);
        let _ = text.parse::<PublicKey>();
        let _ = SecretKey::from_pkcs8_pem(&text);
    }
}
