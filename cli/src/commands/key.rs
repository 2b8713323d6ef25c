//! `dawn key`: Ed25519 keys in files, as other tools write and read them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};
use dawn_identity::passphrase::is_encrypted;
use dawn_identity::{PublicKey, SecretKey};
use rand_core::UnwrapErr;
use serde_json::json;

use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Makes a key: PKCS#8 PEM, for its owner's eyes only.
    New {
        /// Where to write it; never over a file that is there.
        #[arg(long)]
        out: PathBuf,
        /// File with a passphrase to encrypt it under, for its owner's eyes only.
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Prints the public key of a key file and its names.
    Show {
        file: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Writes a key in another form.
    Export {
        file: PathBuf,
        #[arg(long)]
        out: PathBuf,
        #[arg(long, value_enum, default_value = "pem")]
        format: Format,
        /// The secret key; without it only the public one is written.
        #[arg(long)]
        secret: bool,
        #[arg(long)]
        json: bool,
    },
    /// Takes a secret key that another tool made, as PKCS#8 PEM (also encrypted) or JSON Web Key.
    Import {
        file: PathBuf,
        #[arg(long)]
        out: PathBuf,
        /// File with a passphrase to encrypt it under.
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Writes a key file encrypted under a passphrase. The plain one stays: remove it when the new one has been tried.
    Encrypt {
        file: PathBuf,
        #[arg(long)]
        out: PathBuf,
        #[arg(long)]
        passphrase_file: PathBuf,
        #[arg(long)]
        json: bool,
    },
}

/// Text forms of a key.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// PKCS#8 or SubjectPublicKeyInfo, as openssl reads it.
    Pem,
    /// JSON Web Key (RFC 8037).
    Jwk,
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::New {
            out,
            passphrase_file,
            json,
        } => {
            let key = SecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
            write(&out, &key, passphrase_file.as_deref())?;
            describe(json, &key.public(), Some(&out))
        }
        Command::Show { file, json } => describe(json, &public(&file)?, None),
        Command::Export {
            file,
            out,
            format,
            secret,
            json,
        } => {
            if secret {
                let key = files::read_key(&file)?;
                match format {
                    Format::Pem => files::write_key(&out, &key)?,
                    Format::Jwk => files::write_new(&out, key.to_jwk().as_bytes(), 0o600)?,
                }
                return describe(json, &key.public(), Some(&out));
            }
            let key = public(&file)?;
            let text = match format {
                Format::Pem => key.to_pem(),
                Format::Jwk => key.to_jwk(),
            };
            files::write_new(&out, text.as_bytes(), 0o644)?;
            describe(json, &key, Some(&out))
        }
        Command::Import {
            file,
            out,
            passphrase_file,
            json,
        } => {
            let key = secret(&file)?;
            write(&out, &key, passphrase_file.as_deref())?;
            describe(json, &key.public(), Some(&out))
        }
        Command::Encrypt {
            file,
            out,
            passphrase_file,
            json,
        } => {
            let key = files::read_key(&file)?;
            write(&out, &key, Some(&passphrase_file))?;
            describe(json, &key.public(), Some(&out))
        }
    }
}

fn write(path: &Path, key: &SecretKey, passphrase_file: Option<&Path>) -> Result<()> {
    files::write_sealed(path, key, files::passphrase_in(passphrase_file)?.as_ref())
}

/// A secret key in whichever form.
fn secret(file: &Path) -> Result<SecretKey> {
    let text = zeroize::Zeroizing::new(files::read_text(file)?);
    if text.trim_start().starts_with('{') {
        files::check_private(file)?;
        return SecretKey::from_jwk(&text)
            .with_context(|| format!("{} holds no secret key", file.display()));
    }
    files::read_key(file)
}

/// The public key of a file with either half, in whichever form.
pub fn public(file: &Path) -> Result<PublicKey> {
    let text = zeroize::Zeroizing::new(files::read_text(file)?);
    if let Ok(key) = PublicKey::from_pem(&text).or_else(|_| PublicKey::from_jwk(&text)) {
        return Ok(key);
    }
    if !text.contains("PRIVATE KEY") && !text.trim_start().starts_with('{') {
        bail!("{} holds no Ed25519 key", file.display());
    }
    Ok(secret(file)?.public())
}

fn describe(json: bool, key: &PublicKey, written: Option<&Path>) -> Result<ExitCode> {
    let encrypted = match written {
        Some(path) => is_encrypted(&files::read_text(path)?),
        None => false,
    };
    let shown = json!({
        "public": key,
        "key_id": key.id(),
        "thumbprint": key.thumbprint().to_string(),
        "file": written,
        "encrypted": encrypted,
    });
    output::report(json, &shown, |_| {
        format!(
            "public key  {key}\nidentifier  {}\nthumbprint  {}",
            key.id(),
            key.thumbprint()
        )
    })
}
