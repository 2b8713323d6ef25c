//! Secret keys encrypted under a passphrase: PKCS#8 with PBES2 (RFC 8018), as `openssl pkcs8 -topk8 -scrypt` writes it.
//!
//! Written with scrypt (`N = 2^14, r = 8, p = 5`, which is what OpenSSL's own limit on memory leaves of the usual
//! recommendations) and AES-256-CBC. Read with scrypt or PBKDF2-HMAC-SHA256, AES-256-CBC or AES-128-CBC, and only as much work
//! as [`MAX_PBKDF2_ITERATIONS`] and [`MAX_SCRYPT_BYTES`] allow: whoever gives somebody a file must not choose how long it is
//! computed on. PBES2 has no authentication of its own: a wrong passphrase shows as a key that cannot be read.

use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::pem::LineEnding;
use pkcs8::der::{Decode as _, SecretDocument};
use pkcs8::pkcs5::pbes2::{
    EncryptionScheme as Cipher, Kdf, Parameters, Pbkdf2Prf, Salt, ScryptParams,
};
use pkcs8::pkcs5::{self};
use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

use crate::keys::{KeyError, SecretKey};

/// Most iterations of PBKDF2 that a file may ask for.
pub const MAX_PBKDF2_ITERATIONS: u32 = 10_000_000;

/// Most memory that scrypt may take for a file, and, times its parallelism, most that it may fill: `128 N r`, in bytes.
pub const MAX_SCRYPT_BYTES: u64 = 256 << 20;

/// Most bytes of a file: the key takes 64, and what may be around it is short.
const MAX_TEXT_BYTES: usize = 16 << 10;

/// The label of such a file.
const PEM_LABEL: &str = "ENCRYPTED PRIVATE KEY";

const SCRYPT_COST: u64 = 1 << 14;
const SCRYPT_BLOCK: u16 = 8;
const SCRYPT_LANES: u16 = 5;

/// A passphrase: 1 to 1024 bytes of text. Wiped when dropped, never printed.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a text as it is, without its last line break.
    ///
    /// # Errors
    /// [`KeyError::Passphrase`] when nothing or too much is left.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, KeyError> {
        let mut text = text.into();
        if text.ends_with('\n') {
            text.pop();
        }
        if text.ends_with('\r') {
            text.pop();
        }
        if (1..=1024).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(KeyError::Passphrase("a passphrase has 1 to 1024 bytes"))
        }
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}

fn text_error(error: impl std::fmt::Display) -> KeyError {
    KeyError::Text(error.to_string())
}

/// Whether a text is a key that is encrypted under a passphrase.
pub fn is_encrypted(text: &str) -> bool {
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
}

impl SecretKey {
    /// The key as an encrypted PKCS#8 PEM file.
    ///
    /// # Errors
    /// [`KeyError::Text`]; not for any passphrase and key of these types.
    pub fn to_encrypted_pem<R: CryptoRng + ?Sized>(
        &self,
        passphrase: &Passphrase,
        rng: &mut R,
    ) -> Result<Zeroizing<String>, KeyError> {
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut iv);
        let kdf = ScryptParams {
            salt: Salt::new(salt).map_err(text_error)?,
            cost_parameter: SCRYPT_COST,
            block_size: SCRYPT_BLOCK,
            parallelization: SCRYPT_LANES,
            key_length: None,
        };
        let parameters = Parameters {
            kdf: Kdf::Scrypt(kdf),
            encryption: Cipher::Aes256Cbc { iv },
        };
        let mut pair = KeypairBytes {
            secret_key: *self.to_seed(),
            public_key: None,
        };
        let plain = pair.to_pkcs8_der();
        pair.secret_key.zeroize();
        let plain = plain.map_err(text_error)?;
        let data = parameters
            .encrypt(passphrase.0.as_bytes(), plain.as_bytes())
            .map_err(text_error)?;
        let info = pkcs8::EncryptedPrivateKeyInfo {
            encryption_algorithm: pkcs5::EncryptionScheme::from(parameters),
            encrypted_data: pkcs8::der::asn1::OctetStringRef::new(&data).map_err(text_error)?,
        };
        let document = SecretDocument::encode_msg(&info).map_err(text_error)?;
        document
            .to_pem(PEM_LABEL, LineEnding::LF)
            .map_err(text_error)
    }

    /// Reads an encrypted PKCS#8 PEM file.
    ///
    /// # Errors
    /// [`KeyError::Text`] when it is none, [`KeyError::Passphrase`] when it asks for more work or other algorithms than are
    /// allowed here, or the passphrase does not open it; [`KeyError::Mismatch`] as for plain files.
    pub fn from_encrypted_pem(text: &str, passphrase: &Passphrase) -> Result<Self, KeyError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(KeyError::Text("longer than any file of one key".into()));
        }
        let (label, document) = SecretDocument::from_pem(text).map_err(text_error)?;
        if label != PEM_LABEL {
            return Err(KeyError::Text(format!("a PEM file of a {label}")));
        }
        let info = EncryptedPrivateKeyInfoRef::from_der(document.as_bytes()).map_err(text_error)?;
        let pkcs5::EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
            return Err(KeyError::Passphrase("the file is not encrypted with PBES2"));
        };
        check_parameters(parameters)?;
        let mut buffer = Zeroizing::new(info.encrypted_data.as_bytes().to_vec());
        let wrong = KeyError::Passphrase("the passphrase does not open the file");
        let plain = parameters
            .decrypt_in_place(passphrase.0.as_bytes(), &mut buffer)
            .map_err(|_| wrong.clone())?;
        // One of 256 wrong passphrases leaves a valid padding.
        let pair = KeypairBytes::from_pkcs8_der(plain).map_err(|_| wrong)?;
        Self::from_pair(pair)
    }
}

/// Whether the file's algorithms are ones that are read here, and its work is bounded.
fn check_parameters(parameters: &Parameters) -> Result<(), KeyError> {
    match &parameters.kdf {
        Kdf::Pbkdf2(kdf) if kdf.prf != Pbkdf2Prf::HmacWithSha256 => {
            return Err(KeyError::Passphrase(
                "of PBKDF2 only HMAC-SHA256 is read: write the file again with -v2prf hmacWithSHA256",
            ));
        }
        Kdf::Pbkdf2(kdf) if kdf.iteration_count > MAX_PBKDF2_ITERATIONS => {
            return Err(KeyError::Passphrase(
                "the file asks for more than 10,000,000 iterations",
            ));
        }
        Kdf::Pbkdf2(_) => {}
        Kdf::Scrypt(kdf) => {
            let filled = kdf
                .cost_parameter
                .saturating_mul(128)
                .saturating_mul(u64::from(kdf.block_size))
                .saturating_mul(u64::from(kdf.parallelization));
            if filled > MAX_SCRYPT_BYTES {
                return Err(KeyError::Passphrase(
                    "the file asks scrypt to fill more than 256 MiB",
                ));
            }
        }
        _ => {
            return Err(KeyError::Passphrase(
                "of key derivations only scrypt and PBKDF2 are read",
            ));
        }
    }
    match parameters.encryption {
        Cipher::Aes128Cbc { .. } | Cipher::Aes256Cbc { .. } => Ok(()),
        _ => Err(KeyError::Passphrase(
            "of ciphers only AES-256-CBC and AES-128-CBC are read",
        )),
    }
}
