//! The file of the steward's VRF key: a 32-byte seed of its own, never the signing key's, as 64
//! hexadecimal digits and a newline; or, encrypted under a passphrase, as other keys of the steward are: the seed as an Ed25519
//! key in PKCS#8.

use std::io::{self, Write as _};
use std::path::Path;

use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::key_file::{self, KeyFileError};
use dawn_identity::passphrase::is_encrypted;
use dawn_identity::{KeyError, Passphrase, SecretKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::durable;

/// Writes the key into a new file that only this user may read.
///
/// # Errors
/// When the file exists, or cannot be written.
pub fn create(path: &Path, key: &VrfSecretKey) -> io::Result<()> {
    let mut file = durable::private_options()
        .write(true)
        .create_new(true)
        .open(path)?;
    file.write_all(plain(key).as_bytes())?;
    file.sync_all()
}

/// The text of the key's file, encrypted where there is a passphrase.
///
/// # Errors
/// As [`SecretKey::to_encrypted_pem`].
pub fn to_text<R: CryptoRng + ?Sized>(
    key: &VrfSecretKey,
    passphrase: Option<&Passphrase>,
    rng: &mut R,
) -> Result<Zeroizing<String>, KeyError> {
    match passphrase {
        Some(passphrase) => SecretKey::from_seed(&key.to_seed()).to_encrypted_pem(passphrase, rng),
        None => Ok(plain(key)),
    }
}

fn plain(key: &VrfSecretKey) -> Zeroizing<String> {
    // Reserved, so that no copy is left behind by growing.
    let mut text = Zeroizing::new(String::with_capacity(65));
    for byte in key.to_seed().iter() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).expect("below 16"));
        }
    }
    text.push('\n');
    text
}

/// Reads the key, from a file that only its owner may use. An encrypted one is opened with the passphrase in the file that the
/// environment names ([`key_file::PASSPHRASE_FILE`]).
///
/// # Errors
/// [`KeyFileError`].
pub fn read(path: &Path) -> Result<VrfSecretKey, KeyFileError> {
    let text = key_file::read_private(path)?;
    if is_encrypted(&text) {
        let key = key_file::open(path, &text)?;
        return Ok(VrfSecretKey::from_seed(&key.to_seed()));
    }
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_ascii_end(), &mut *seed).map_err(|_| KeyFileError::Key {
        path: path.to_owned(),
        source: KeyError::Text("not the file of a VRF key".to_owned()),
    })?;
    Ok(VrfSecretKey::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_and_is_not_overwritten() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("vrf.key");
        let key = VrfSecretKey::from_seed(&[7; 32]);
        create(&path, &key).expect("create");
        assert_eq!(read(&path).expect("read").public(), key.public());
        assert!(create(&path, &key).is_err(), "there is one already");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = path.metadata().expect("metadata").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let text = std::fs::read_to_string(&path).expect("text");
        for wrong in [&text[1..], &text[..text.len() - 2], "", &text.repeat(2)] {
            std::fs::write(&path, wrong).expect("write");
            assert!(read(&path).is_err(), "{wrong}");
        }
    }

    #[test]
    fn encrypted_it_needs_its_passphrase() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("vrf.key");
        let key = VrfSecretKey::from_seed(&[7; 32]);
        let passphrase = Passphrase::new("correct horse".to_owned()).expect("one");
        let rng = &mut rand_core::UnwrapErr(getrandom::SysRng);
        let text = to_text(&key, Some(&passphrase), rng).expect("encrypts");
        let digits = hex::encode(key.to_seed().as_slice());
        assert!(is_encrypted(&text) && !text.contains(&digits));
        let mut file = durable::private_options()
            .write(true)
            .create_new(true)
            .open(&path)
            .expect("creates");
        file.write_all(text.as_bytes()).expect("writes");
        // The environment of the tests names no passphrase; processes with one: cli/tests/sealed_keys.rs.
        let refused = read(&path).expect_err("no passphrase");
        assert!(
            matches!(refused, KeyFileError::NoPassphrase(_)),
            "{refused}"
        );
        let opened = SecretKey::from_encrypted_pem(&text, &passphrase).expect("opens");
        let opened = VrfSecretKey::from_seed(&opened.to_seed());
        assert_eq!(opened.public(), key.public());
    }
}
