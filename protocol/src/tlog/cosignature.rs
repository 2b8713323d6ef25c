//! Cosignatures, version 1 (c2sp.org/tlog-cosignature): that this is the largest tree that a witness has seen of the log,
//! and that it continues every tree that the witness has cosigned before.
//!
//! What is signed begins with `cosignature/v1`: no envelope (which begins with the byte 0x84) and no checkpoint of a
//! log (which begins with its origin) can be taken for it, so a steward cosigns with the key that it has.

use std::collections::BTreeSet;

use dawn_identity::{PublicKey, RosterEntry, SecretKey, Signature, StewardId};

use super::note::{Algorithm, NoteSignature, SignedNote, key_id};
use super::{TlogError, cosigner, format};

const WHAT: &str = "cosignature";

/// What a cosignature says, verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// When it was made, unix seconds.
    pub time: u64,
}

fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Cosigns a checkpoint's text at a time in unix seconds. The caller has verified that it continues the log.
pub fn cosign(text: &str, name: &str, key: &SecretKey, time: u64) -> NoteSignature {
    let signature = key.sign(message(text, time).as_bytes());
    NoteSignature {
        name: name.to_owned(),
        key_id: key_id(name, Algorithm::Cosignature, &key.public()),
        signature: [&time.to_be_bytes()[..], signature.as_bytes()].concat(),
    }
}

/// Verifies one line as the cosignature of this key over a checkpoint's text.
///
/// # Errors
/// [`TlogError::NotSigned`] when it is a line of another key; [`TlogError::BadSignature`].
pub fn verify(
    line: &NoteSignature,
    text: &str,
    name: &str,
    key: &PublicKey,
) -> Result<Cosignature, TlogError> {
    if line.name != name || line.key_id != key_id(name, Algorithm::Cosignature, key) {
        return Err(TlogError::NotSigned(name.to_owned()));
    }
    let (time, signature) = line
        .signature
        .split_first_chunk::<8>()
        .ok_or(format(WHAT, "it has no time"))?;
    let time = u64::from_be_bytes(*time);
    if time > i64::MAX as u64 {
        return Err(format(WHAT, "its time is 2^63 or later"));
    }
    Signature::from_bytes(signature)
        .and_then(|signature| key.verify(message(text, time).as_bytes(), &signature))
        .map_err(|error| TlogError::BadSignature {
            name: name.to_owned(),
            error,
        })?;
    Ok(Cosignature { time })
}

/// The stewards of a roster whose cosignatures a checkpoint carries. Lines of others are ignored; one that claims to be
/// of a steward and does not verify spoils the note.
///
/// # Errors
/// [`TlogError`].
pub fn cosigners(
    note: &SignedNote,
    stewards: &[RosterEntry],
) -> Result<BTreeSet<StewardId>, TlogError> {
    let mut found = BTreeSet::new();
    for steward in stewards {
        let name = cosigner(&steward.id());
        let id = key_id(&name, Algorithm::Cosignature, &steward.steward);
        for line in note.lines_of(&name, id) {
            verify(line, &note.text, &name, &steward.steward)?;
            found.insert(steward.id());
        }
    }
    Ok(found)
}
