//! Putting one secret key of an organisation in the place of another, so that a run that breaks off anywhere loses neither.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dawn_identity::{IssuerCertificate, PublicKey, SecretKey, Signed};
use rand_core::UnwrapErr;
use zeroize::Zeroizing;

use crate::files;

/// The certificate that belongs to the next key.
const NEXT_CERTIFICATE: &str = "issuer.next.cose";

/// The key that is to take the place of `NAME.pem`: the one in `NAME.next.pem` when a run before this one broke off, else a
/// new one, which is written there. It is encrypted under the same passphrase when the one before is.
pub fn next_key(dir: &Path, name: &str) -> Result<SecretKey> {
    let (path, next) = (file(dir, name), file(dir, &format!("{name}.next")));
    let passphrase = files::passphrase_like(&path)?;
    if next.exists() {
        let key = files::read_key(&next)?;
        if passphrase.is_some() && files::passphrase_like(&next)?.is_none() {
            let text = files::sealed(&key, passphrase.as_ref())?;
            files::overwrite(&next, text.as_bytes(), 0o600)?;
        }
        return Ok(key);
    }
    let key = SecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
    files::write_sealed(&next, &key, passphrase.as_ref())?;
    Ok(key)
}

/// Puts `NAME.next.pem` in the place of `NAME.pem`, and the issuer's certificate with it. The key before is kept under the
/// name that is answered.
pub fn replace_key(
    dir: &Path,
    name: &str,
    before: &PublicKey,
    certificate: &Signed<IssuerCertificate>,
) -> Result<PathBuf> {
    let former = file(dir, &format!("{name}.former-{}", before.thumbprint()));
    files::overwrite(&dir.join(NEXT_CERTIFICATE), certificate.bytes(), 0o644)?;
    let path = file(dir, name);
    let text = Zeroizing::new(files::read_text(&path)?);
    files::overwrite(&former, text.as_bytes(), 0o600)?;
    rename(&file(dir, &format!("{name}.next")), &path)?;
    finish(dir)?;
    Ok(former)
}

/// Ends a replacement of which all but the certificate is in place; says whether there was one.
pub fn finish(dir: &Path) -> Result<bool> {
    let certificate = dir.join(NEXT_CERTIFICATE);
    let begun = ["root.next", "issuer.next"]
        .iter()
        .any(|name| file(dir, name).exists());
    if begun || !certificate.exists() {
        return Ok(false);
    }
    rename(&certificate, &dir.join("issuer.cose"))?;
    Ok(true)
}

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.pem"))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to)
        .with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
}
