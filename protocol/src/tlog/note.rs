//! Signed notes (c2sp.org/signed-note): a text, an empty line, and lines of signatures by named keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dawn_identity::{PublicKey, SecretKey, Signature};
use sha2::{Digest as _, Sha256};

use super::{TlogError, format};

/// Most bytes of a note: a checkpoint with the signatures of the log and of many witnesses.
pub const MAX_NOTE_BYTES: usize = 16 * 1024;
/// Most signature lines of a note.
pub const MAX_SIGNATURES: usize = 64;
/// Longest name of a key, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Begins a signature line: em dash, space.
const DASH: &str = "\u{2014} ";

const WHAT: &str = "signed note";

/// How a signature was made; the byte that goes into the key's identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Algorithm {
    /// Ed25519 over the text.
    Ed25519 = 1,
    /// A witness's cosignature, version 1.
    Cosignature = 4,
}

/// The identifier of a key in signature lines: the first four bytes of
/// `SHA-256(name || 0x0A || algorithm || public key)`.
pub fn key_id(name: &str, algorithm: Algorithm, key: &PublicKey) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', algorithm as u8])
        .chain_update(key.as_bytes())
        .finalize()
        .into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

/// A key as verifiers of other programs are given it: `name+identifier+base64(algorithm || key)`.
pub fn verifier_key(name: &str, algorithm: Algorithm, key: &PublicKey) -> String {
    let id = u32::from_be_bytes(key_id(name, algorithm, key));
    let material = [&[algorithm as u8], key.as_bytes().as_slice()].concat();
    format!("{name}+{id:08x}+{}", STANDARD.encode(material))
}

/// One signature line; not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's identifier.
    pub key_id: [u8; 4],
    /// What the algorithm made.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    /// The line, with its newline.
    pub fn to_line(&self) -> String {
        let bytes = [&self.key_id[..], &self.signature].concat();
        format!("{DASH}{} {}\n", self.name, STANDARD.encode(bytes))
    }

    /// Reads a line without its newline.
    fn parse(line: &str) -> Result<Self, TlogError> {
        let rest = line
            .strip_prefix(DASH)
            .ok_or(format(WHAT, "a signature line begins with an em dash"))?;
        let (name, encoded) = rest
            .split_once(' ')
            .ok_or(format(WHAT, "a signature line has a name and a signature"))?;
        check_name(name)?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| format(WHAT, "a signature is not base64"))?;
        let (key_id, signature) = bytes
            .split_first_chunk::<4>()
            .ok_or(format(WHAT, "a signature has no key identifier"))?;
        if signature.is_empty() {
            return Err(format(WHAT, "a signature is empty"));
        }
        Ok(Self {
            name: name.to_owned(),
            key_id: *key_id,
            signature: signature.to_vec(),
        })
    }
}

/// Reads signature lines, as a witness answers.
///
/// # Errors
/// [`TlogError::Format`].
pub fn parse_signatures(text: &str) -> Result<Vec<NoteSignature>, TlogError> {
    if text.len() > MAX_NOTE_BYTES {
        return Err(format(WHAT, "it is longer than 16 KiB"));
    }
    let lines = text
        .strip_suffix('\n')
        .ok_or(format(WHAT, "it does not end with a newline"))?;
    if lines.split('\n').count() > MAX_SIGNATURES {
        return Err(format(WHAT, "more than 64 signatures"));
    }
    lines.split('\n').map(NoteSignature::parse).collect()
}

/// A text and signatures over it, in the order of their lines. Nothing is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    /// The text with its last newline.
    pub text: String,
    /// The signature lines.
    pub signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Reads a note of at most [`MAX_NOTE_BYTES`] and [`MAX_SIGNATURES`].
    ///
    /// # Errors
    /// [`TlogError::Format`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(format(WHAT, "it is longer than 16 KiB"));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| format(WHAT, "it is not UTF-8"))?;
        if whole.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(format(WHAT, "it has control characters"));
        }
        let end = whole
            .rfind("\n\n")
            .ok_or(format(WHAT, "no empty line before the signatures"))?;
        let (text, rest) = whole.split_at(end + 1);
        let signatures = parse_signatures(rest.strip_prefix('\n').unwrap_or(rest))?;
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// The note's bytes.
    pub fn to_text(&self) -> String {
        let lines: String = self.signatures.iter().map(NoteSignature::to_line).collect();
        format!("{}\n{lines}", self.text)
    }

    /// Signs a text, which ends with a newline, under a name.
    pub fn sign(text: String, name: &str, key: &SecretKey) -> Self {
        let signature = NoteSignature {
            name: name.to_owned(),
            key_id: key_id(name, Algorithm::Ed25519, &key.public()),
            signature: key.sign(text.as_bytes()).as_bytes().to_vec(),
        };
        Self {
            text,
            signatures: vec![signature],
        }
    }

    /// Verifies the signatures of one key: there is one at least, and none is wrong. Those of other keys are ignored.
    ///
    /// # Errors
    /// [`TlogError::NotSigned`], [`TlogError::BadSignature`].
    pub fn verify(&self, name: &str, key: &PublicKey) -> Result<(), TlogError> {
        let mut signed = false;
        for line in self.lines_of(name, key_id(name, Algorithm::Ed25519, key)) {
            Signature::from_bytes(&line.signature)
                .and_then(|signature| key.verify(self.text.as_bytes(), &signature))
                .map_err(|error| TlogError::BadSignature {
                    name: name.to_owned(),
                    error,
                })?;
            signed = true;
        }
        if signed {
            Ok(())
        } else {
            Err(TlogError::NotSigned(name.to_owned()))
        }
    }

    /// The signature lines of one key.
    pub(super) fn lines_of<'a>(
        &'a self,
        name: &'a str,
        key_id: [u8; 4],
    ) -> impl Iterator<Item = &'a NoteSignature> {
        self.signatures
            .iter()
            .filter(move |line| line.name == name && line.key_id == key_id)
    }
}

fn check_name(name: &str) -> Result<(), TlogError> {
    let plain = |c: char| !c.is_whitespace() && c != '+' && !c.is_control();
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(plain) {
        return Err(format(
            WHAT,
            "a key's name is empty, long, or has a space or a plus",
        ));
    }
    Ok(())
}
