//! Where keys and documents lie on disk. Secret keys are created with owner-only permissions and
//! never overwritten.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dawn_identity::key_file::{self, KeyFileError};
use dawn_identity::passphrase::is_encrypted;
use dawn_identity::{
    CredentialChain, FoundingDocument, IssuerCertificate, OnlineIssuer, Organisation, Passphrase,
    SecretKey, Signed, from_canonical_bounded, to_canonical,
};
use rand_core::UnwrapErr;

/// Largest document that a command reads from a file.
const MAX_DOCUMENT_BYTES: u64 = 1 << 20;

/// Reads a bounded file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    if size > MAX_DOCUMENT_BYTES {
        bail!(
            "{} has {size} bytes: that is no document of ours",
            path.display()
        );
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a bounded text file.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).with_context(|| format!("{} is not text", path.display()))
}

/// Writes a file that must not be there yet.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("cannot create {} (it is never overwritten)", path.display()))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(())
}

/// Writes a file whole, in the place of the one that is there.
pub fn overwrite(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let _ = fs::remove_file(&new);
    write_new(&new, bytes, mode)?;
    fs::rename(&new, path).with_context(|| format!("cannot replace {}", path.display()))
}

/// Creates a directory for one owner.
pub fn private_dir(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create the folder {}", path.display()))
}

/// Reads a secret key, unless others may read it too. An encrypted one is opened with the passphrase in the file that the
/// environment names.
pub fn read_key(path: &Path) -> Result<SecretKey> {
    Ok(key_file::read(path)?)
}

/// The passphrase in a file, if one is named.
pub fn passphrase_in(file: Option<&Path>) -> Result<Option<Passphrase>> {
    Ok(file.map(key_file::read_passphrase).transpose()?)
}

/// Refuses a file that others may read.
pub fn check_private(path: &Path) -> Result<()> {
    let mode = fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed(path.to_owned(), mode & 0o777).into());
    }
    Ok(())
}

/// The passphrase for a key that is to take the place of the one in this file: that which opens it, when it is encrypted.
pub fn passphrase_like(path: &Path) -> Result<Option<Passphrase>> {
    if !is_encrypted(&key_file::read_private(path)?) {
        return Ok(None);
    }
    Ok(Some(key_file::passphrase_of(path)?))
}

/// Encrypts key files under a passphrase, each in its place; says which. Those that are encrypted stay as they are. `read` gives
/// the seed that a plain file holds, as a key.
pub fn encrypt_in_place(
    files: &[PathBuf],
    passphrase: &Passphrase,
    read: impl Fn(&Path) -> Result<SecretKey>,
) -> Result<Vec<PathBuf>> {
    let mut encrypted = Vec::new();
    for file in files {
        if is_encrypted(&key_file::read_private(file)?) {
            continue;
        }
        let key = read(file)?;
        let text = sealed(&key, Some(passphrase))?;
        // The plain file is gone afterwards.
        let again = SecretKey::from_encrypted_pem(&text, passphrase)?;
        if again.public() != key.public() {
            bail!("{} does not come back as it was", file.display());
        }
        overwrite(file, text.as_bytes(), 0o600)?;
        encrypted.push(file.clone());
    }
    Ok(encrypted)
}

/// Writes a secret key.
pub fn write_key(path: &Path, key: &SecretKey) -> Result<()> {
    write_sealed(path, key, None)
}

/// Writes a secret key, encrypted where there is a passphrase.
pub fn write_sealed(path: &Path, key: &SecretKey, passphrase: Option<&Passphrase>) -> Result<()> {
    write_new(path, sealed(key, passphrase)?.as_bytes(), 0o600)
}

/// The text of a secret key's file, encrypted where there is a passphrase.
pub fn sealed(
    key: &SecretKey,
    passphrase: Option<&Passphrase>,
) -> Result<zeroize::Zeroizing<String>> {
    Ok(key_file::to_text(
        key,
        passphrase,
        &mut UnwrapErr(getrandom::SysRng),
    )?)
}

/// Saves an organisation: `name`, `root.pem` with this text, `issuer.pem`, `issuer.cose`.
pub fn save_organisation(dir: &Path, organisation: &Organisation, root: &str) -> Result<()> {
    private_dir(dir)?;
    write_new(&dir.join("root.pem"), root.as_bytes(), 0o600)?;
    write_key(&dir.join("issuer.pem"), organisation.issuer())?;
    write_new(
        &dir.join("issuer.cose"),
        organisation.certificate().bytes(),
        0o644,
    )?;
    write_new(&dir.join("name"), organisation.name().as_bytes(), 0o644)
}

/// Reads what [`save_organisation`] wrote.
pub fn load_organisation(dir: &Path) -> Result<Organisation> {
    let root = read_key(&dir.join("root.pem"))?;
    let (name, issuer, certificate) = issuer_parts(dir)?;
    Organisation::from_parts(&name, root, issuer, certificate).with_context(|| apart(dir))
}

/// The same without the root key, which need not be there.
pub fn load_online(dir: &Path) -> Result<OnlineIssuer> {
    let (name, issuer, certificate) = issuer_parts(dir)?;
    OnlineIssuer::from_parts(&name, issuer, certificate).with_context(|| apart(dir))
}

fn issuer_parts(dir: &Path) -> Result<(String, SecretKey, Signed<IssuerCertificate>)> {
    let name = read_text(&dir.join("name"))?;
    let path = dir.join("issuer.cose");
    let certificate = Signed::from_bytes(&read(&path)?)
        .with_context(|| format!("{} holds no issuer certificate", path.display()))?;
    let issuer = read_key(&dir.join("issuer.pem"))?;
    Ok((name.trim_end().to_owned(), issuer, certificate))
}

fn apart(dir: &Path) -> String {
    format!(
        "the files in {} do not belong together; when a rotation broke off, run it again",
        dir.display()
    )
}

/// Saves a device: `device.pem`, `credential.cbor`, `federation.cbor`.
pub fn save_device(
    dir: &Path,
    key: &SecretKey,
    chain: &CredentialChain,
    founding: &FoundingDocument,
) -> Result<()> {
    private_dir(dir)?;
    write_key(&dir.join("device.pem"), key)?;
    write_new(&dir.join("credential.cbor"), &to_canonical(chain), 0o644)?;
    write_new(&dir.join("federation.cbor"), &founding.to_bytes(), 0o644)
}

/// Reads what [`save_device`] wrote.
pub fn load_device(dir: &Path) -> Result<(SecretKey, CredentialChain, FoundingDocument)> {
    let path = dir.join("credential.cbor");
    let chain = from_canonical_bounded(&read(&path)?, MAX_DOCUMENT_BYTES as usize)
        .with_context(|| format!("{} holds no credential", path.display()))?;
    Ok((
        read_key(&dir.join("device.pem"))?,
        chain,
        load_founding(&dir.join("federation.cbor"))?,
    ))
}

/// Reads a founding document.
pub fn load_founding(path: &Path) -> Result<FoundingDocument> {
    FoundingDocument::from_bytes(&read(path)?)
        .with_context(|| format!("{} holds no founding document", path.display()))
}

/// Folders of several organisations.
pub fn load_organisations(dirs: &[PathBuf]) -> Result<Vec<Organisation>> {
    dirs.iter().map(|dir| load_organisation(dir)).collect()
}

/// Unix seconds.
pub fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key.pem");
        let rng = &mut rand_core::UnwrapErr(getrandom::SysRng);
        let key = SecretKey::generate(rng);
        write_key(&path, &key).expect("writes");
        assert_eq!(read_key(&path).expect("reads").public(), key.public());
        for mode in [0o640, 0o604, 0o644, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
            let error = read_key(&path).expect_err("refused").to_string();
            let advice = format!("chmod 600 {}", path.display());
            assert!(error.contains(&advice), "{mode:o}: {error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("chmod");
        assert!(read_key(&path).is_ok());
    }
}
