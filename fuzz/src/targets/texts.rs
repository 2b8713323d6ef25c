//! Everything that is read from text: identifiers, keys, key files, names, and JSON of a server.

use std::fmt::Display;
use std::str::FromStr;

use dawn_crypto::backend::BackendKind;
use dawn_crypto::digest::Digest;
use dawn_crypto::params::Sigma;
use dawn_identity::{OrgId, PublicKey, SecretKey};
use dawn_learn::{ModelSpec, Preset};
use dawn_transport::{AggregatorInfo, Problem};

use super::{Target, choose};

/// Every kind of text by name; the place is the byte that chooses it.
pub const TEXTS: &[(&str, Target)] = &[
    ("digest", |bytes| one_spelling::<Digest>(bytes)),
    ("identifier", |bytes| one_spelling::<OrgId>(bytes)),
    ("public key", |bytes| one_spelling::<PublicKey>(bytes)),
    ("public key file", |bytes| {
        let key = text(bytes).and_then(|text| PublicKey::from_pem(text).ok());
        key.is_some_and(|key| {
            assert_eq!(PublicKey::from_pem(&key.to_pem()), Ok(key));
            assert_eq!(PublicKey::from_bytes(key.as_bytes()), Ok(key));
            true
        })
    }),
    ("secret key file", |bytes| {
        let key = text(bytes).and_then(|text| SecretKey::from_pkcs8_pem(text).ok());
        key.is_some_and(|key| {
            let again = SecretKey::from_pkcs8_pem(&key.to_pkcs8_pem()).expect("as written");
            assert_eq!(again.public(), key.public());
            assert_eq!(
                PublicKey::from_pem(&key.public().to_pem()),
                Ok(key.public())
            );
            true
        })
    }),
    ("model", |bytes| {
        read::<ModelSpec>(bytes).is_some_and(|spec| {
            assert_eq!(spec.check(), Ok(()));
            assert_eq!(spec.to_string().parse(), Ok(spec));
            true
        })
    }),
    ("preset", |bytes| read::<Preset>(bytes).is_some()),
    ("backend", |bytes| one_spelling::<BackendKind>(bytes)),
    ("problem", problem),
    ("description", |bytes| {
        serde_json::from_slice::<AggregatorInfo>(bytes).is_ok_and(|info| {
            let again = serde_json::to_vec(&info).expect("plain data");
            assert_eq!(
                serde_json::from_slice::<AggregatorInfo>(&again).ok(),
                Some(info)
            );
            true
        })
    }),
    ("deviation", |bytes| {
        let Some(Ok(value)) = text(bytes).map(f64::from_str) else {
            return false;
        };
        Sigma::from_f64_ceil(value).is_ok_and(|sigma| {
            // Rounding never weakens noise, and adds less than a unit.
            let difference = sigma.to_f64() - value;
            assert!(
                (0.0..1.0 / 65_536.0).contains(&difference),
                "{value}: {difference}"
            );
            true
        })
    }),
];

/// The first byte chooses the kind.
pub fn texts(data: &[u8]) -> bool {
    choose(TEXTS, data).is_some_and(|((_, target), bytes)| target(bytes))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn read<T: FromStr>(bytes: &[u8]) -> Option<T> {
    text(bytes)?.parse().ok()
}

/// What is accepted is what would be written.
fn one_spelling<T: FromStr + Display>(bytes: &[u8]) -> bool {
    read::<T>(bytes).is_some_and(|value| {
        assert_eq!(value.to_string().as_bytes(), bytes);
        true
    })
}

/// Texts of a hostile server end on terminals.
fn problem(bytes: &[u8]) -> bool {
    let problem = Problem::parse(409, Some(1), bytes);
    assert_eq!((problem.status, problem.retry_after), (409, Some(1)));
    for text in [&problem.kind, &problem.title, &problem.detail] {
        assert!(text.chars().count() <= 1024);
        assert!(!text.chars().any(char::is_control));
    }
    problem.kind != "about:blank"
}
