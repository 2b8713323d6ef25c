//! Keys as JSON Web Keys (RFC 7517) of the type `OKP` and the curve `Ed25519` (RFC 8037), and their thumbprints (RFC 7638),
//! by which signed HTTP requests name keys.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::keys::{KeyError, PublicKey, SecretKey};

/// Most bytes of a text that is read as a key.
const MAX_TEXT_BYTES: usize = 4096;

/// The members that matter. Others, such as `kid` or `use`, are passed over (RFC 7517, section 4); the same member twice is
/// refused.
#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
}

impl Drop for Jwk {
    fn drop(&mut self) {
        self.d.zeroize();
    }
}

/// 32 bytes in their one spelling: base64url without padding, unused bits zero.
fn bytes(text: &str, member: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut out = Zeroizing::new([0; 32]);
    // Longer than 32 bytes does not fit the buffer.
    match URL_SAFE_NO_PAD.decode_slice(text, out.as_mut_slice()) {
        Ok(32) if text.len() == 43 => Ok(out),
        _ => Err(KeyError::Text(format!(
            "the member {member} is not 32 bytes in base64url without padding"
        ))),
    }
}

fn parse(text: &str) -> Result<(PublicKey, Jwk), KeyError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(KeyError::Text("longer than any JSON Web Key".into()));
    }
    // The error of the parser may quote the text, which may hold a secret.
    let jwk: Jwk = serde_json::from_str(text).map_err(|e| {
        KeyError::Text(format!(
            "no JSON Web Key (line {}, column {})",
            e.line(),
            e.column()
        ))
    })?;
    if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
        return Err(KeyError::Text(
            "a key of another type than OKP, Ed25519".into(),
        ));
    }
    let public = PublicKey::from_bytes(bytes(&jwk.x, "x")?.as_slice())?;
    Ok((public, jwk))
}

impl PublicKey {
    /// The key as a JSON Web Key.
    pub fn to_jwk(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.as_bytes());
        // The members that RFC 7638 requires, in its order and without white space.
        format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
    }

    /// Reads a public JSON Web Key.
    ///
    /// # Errors
    /// [`KeyError::Text`] when it is none or has a secret part, which belongs into no public file; else as
    /// [`PublicKey::from_bytes`].
    pub fn from_jwk(text: &str) -> Result<Self, KeyError> {
        let (public, jwk) = parse(text)?;
        if jwk.d.is_some() {
            return Err(KeyError::Text(
                "a secret key where a public one is expected".into(),
            ));
        }
        Ok(public)
    }

    /// The key's thumbprint: SHA-256 over [`PublicKey::to_jwk`] (RFC 7638, RFC 8037 appendix A.3).
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint(Sha256::digest(self.to_jwk()).into())
    }
}

impl SecretKey {
    /// The key as a JSON Web Key with its secret part. Wiped when dropped.
    pub fn to_jwk(&self) -> Zeroizing<String> {
        let public = self.public();
        let x = URL_SAFE_NO_PAD.encode(public.as_bytes());
        let d = Zeroizing::new(URL_SAFE_NO_PAD.encode(self.to_seed().as_slice()));
        Zeroizing::new(format!(
            r#"{{"crv":"Ed25519","d":"{}","kty":"OKP","x":"{x}"}}"#,
            *d
        ))
    }

    /// Reads a secret JSON Web Key.
    ///
    /// # Errors
    /// [`KeyError::Text`] when it is none or has no secret part, [`KeyError::Mismatch`] when its public part is not that of
    /// its secret part.
    pub fn from_jwk(text: &str) -> Result<Self, KeyError> {
        let (public, jwk) = parse(text)?;
        let secret = jwk
            .d
            .as_deref()
            .ok_or_else(|| KeyError::Text("a public key where a secret one is expected".into()))?;
        let key = Self::from_seed(&*bytes(secret, "d")?);
        if key.public() == public {
            Ok(key)
        } else {
            Err(KeyError::Mismatch)
        }
    }
}

/// The thumbprint of a key. Text form: base64url without padding, 43 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// The SHA-256 digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl std::str::FromStr for Thumbprint {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        bytes(text, "thumbprint").map(|bytes| Self(*bytes))
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
