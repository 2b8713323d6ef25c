//! Files of secret keys: for their owner alone, and encrypted where there is a passphrase. Organisations, stewards, the
//! aggregator and its log read theirs here. The only module of this crate that looks at a disk or the environment.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::keys::{KeyError, SecretKey};
use crate::passphrase::{Passphrase, is_encrypted};

/// The environment variable that names the file with the passphrase of encrypted keys.
pub const PASSPHRASE_FILE: &str = "DAWN_PASSPHRASE_FILE";

/// Most bytes of such a file.
const MAX_BYTES: u64 = 64 << 10;

/// Why a file gives no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("{0} is readable by others (mode {1:o}); run: chmod 600 {0}")]
    Exposed(PathBuf, u32),
    /// It is encrypted, and nothing says where the passphrase is.
    #[error("{0} is encrypted: let {PASSPHRASE_FILE} name a file with its passphrase")]
    NoPassphrase(PathBuf),
    /// The file with the passphrase has none.
    #[error("{path} holds no passphrase: {source}")]
    Passphrase {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
    /// The passphrase does not open it.
    #[error(
        "the passphrase in the file that {PASSPHRASE_FILE} names does not open {path}: {source}"
    )]
    Sealed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
    /// It is not a key.
    #[error("{path} holds no key: {source}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
}

/// Reads a secret key from PKCS#8 PEM. An encrypted one is opened with the passphrase in the file that the environment names.
///
/// # Errors
/// [`KeyFileError`].
pub fn read(path: &Path) -> Result<SecretKey, KeyFileError> {
    open(path, &read_private(path)?)
}

/// The secret key in the text of a file, as [`read`].
///
/// # Errors
/// [`KeyFileError`].
pub fn open(path: &Path, text: &str) -> Result<SecretKey, KeyFileError> {
    if !is_encrypted(text) {
        return SecretKey::from_pkcs8_pem(text).map_err(|source| KeyFileError::Key {
            path: path.to_owned(),
            source,
        });
    }
    SecretKey::from_encrypted_pem(text, &passphrase_of(path)?).map_err(|source| {
        KeyFileError::Sealed {
            path: path.to_owned(),
            source,
        }
    })
}

/// The text of a file that only its owner may use.
///
/// # Errors
/// [`KeyFileError::Io`], [`KeyFileError::Exposed`].
pub fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if let Some(mode) = exposed(&metadata) {
        return Err(KeyFileError::Exposed(path.to_owned(), mode));
    }
    if metadata.len() > MAX_BYTES {
        return Err(io(std::io::Error::other("it is too long for a key")));
    }
    // Reserved, so that no copy is left behind by growing.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize + 1));
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(io)?;
    Ok(text)
}

/// The passphrase of an encrypted file.
///
/// # Errors
/// [`KeyFileError`].
pub fn passphrase_of(path: &Path) -> Result<Passphrase, KeyFileError> {
    passphrase()?.ok_or_else(|| KeyFileError::NoPassphrase(path.to_owned()))
}

/// The passphrase in the file that the environment names; none when it names none.
///
/// # Errors
/// [`KeyFileError`].
pub fn passphrase() -> Result<Option<Passphrase>, KeyFileError> {
    let file = std::env::var_os(PASSPHRASE_FILE).filter(|file| !file.is_empty());
    file.map(|file| read_passphrase(Path::new(&file)))
        .transpose()
}

/// Reads a passphrase.
///
/// # Errors
/// [`KeyFileError`].
pub fn read_passphrase(path: &Path) -> Result<Passphrase, KeyFileError> {
    Passphrase::new(read_private(path)?).map_err(|source| KeyFileError::Passphrase {
        path: path.to_owned(),
        source,
    })
}

/// The text of a key's file, encrypted where there is a passphrase.
///
/// # Errors
/// As [`SecretKey::to_encrypted_pem`].
pub fn to_text<R: CryptoRng + ?Sized>(
    key: &SecretKey,
    passphrase: Option<&Passphrase>,
    rng: &mut R,
) -> Result<Zeroizing<String>, KeyError> {
    match passphrase {
        Some(passphrase) => key.to_encrypted_pem(passphrase, rng),
        None => Ok(key.to_pkcs8_pem()),
    }
}

/// The mode of a file that others than its owner may use.
#[cfg(unix)]
fn exposed(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Elsewhere permissions are not modes.
#[cfg(not(unix))]
fn exposed(_: &Metadata) -> Option<u32> {
    None
}
