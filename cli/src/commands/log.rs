//! `dawn log`: the public log as plain files, and proofs that an entry is in it (docs/protocol.md, section 4.6.1).

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use dawn_audits::DEFAULT_MAX_BYTES;
use dawn_crypto::merkle::leaf_hash;
use dawn_identity::{Digest, Members, Register, SignedRoster, VerifiedFederation, register};
use dawn_protocol::tlog::note::{Algorithm, verifier_key};
use dawn_protocol::tlog::{Checkpoint, LogKeys, SignedNote, TlogProof, cosignature, origin};
use dawn_transport::Api;
use serde_json::json;

use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Copies the log into a folder of plain files (C2SP tlog-tiles), verified; what is there already is not fetched again.
    Export {
        #[arg(long)]
        server: String,
        /// Digest of the founding document that you trust.
        #[arg(long)]
        federation: Digest,
        /// The folder.
        dir: PathBuf,
        /// Most bytes of entries that are copied.
        #[arg(long, default_value_t = DEFAULT_MAX_BYTES)]
        max_bytes: u64,
        #[arg(long)]
        json: bool,
    },
    /// Fetches an entry and the proof that it is in the log (C2SP tlog-proof), verifies and keeps both.
    Prove {
        #[arg(long)]
        server: String,
        /// Digest of the founding document that you trust.
        #[arg(long)]
        federation: Digest,
        /// The entry's index, from 0.
        index: u64,
        /// Where the proof goes; the entry goes beside it, with the suffix .entry.
        #[arg(long)]
        out: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Verifies such a proof offline: who signed, and which stewards cosigned.
    Verify {
        /// The proof.
        proof: PathBuf,
        /// The entry.
        entry: PathBuf,
        /// The founding document.
        #[arg(long)]
        founding: PathBuf,
        /// Digest of the founding document that you trust.
        #[arg(long)]
        federation: Digest,
        /// The register, when the log's key was replaced: pages of GET /v1/register in their order; once a page.
        #[arg(long = "register")]
        register: Vec<PathBuf>,
        /// The roster whose stewards count; without it cosignatures are not looked at.
        #[arg(long, requires = "roster_digest")]
        roster: Option<PathBuf>,
        /// Digest of that roster, as a task names it.
        #[arg(long, requires = "roster")]
        roster_digest: Option<Digest>,
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Export {
            server,
            federation,
            dir,
            max_bytes,
            json,
        } => {
            let api = Api::new(&server)?;
            let federation = api.federation().await?.verify_pinned(&federation)?;
            let (checkpoint, note) = api.export_log(&dir, &federation, max_bytes).await?;
            let members = newest(&api, &federation).await?;
            shown(json, &members, &checkpoint, &note, None)
        }
        Command::Prove {
            server,
            federation,
            index,
            out,
            json,
        } => {
            let api = Api::new(&server)?;
            let federation = api.federation().await?.verify_pinned(&federation)?;
            let members = newest(&api, &federation).await?;
            let proof = api.log_proof(index, None).await?;
            let entries = api.log_entries(index, 1).await?;
            let entry = entries.first().context("the log has no such entry")?;
            let checkpoint = verified(&proof, &entry.envelope, &members)?;
            files::overwrite(&out, proof.to_text().as_bytes(), 0o644)?;
            files::overwrite(&out.with_extension("entry"), &entry.envelope, 0o644)?;
            shown(json, &members, &checkpoint, &proof.checkpoint, None)
        }
        Command::Verify {
            proof,
            entry,
            founding,
            federation,
            register,
            roster,
            roster_digest,
            json,
        } => {
            let federation = files::load_founding(&founding)?.verify_pinned(&federation)?;
            let mut members = Members::founders_of(&federation);
            for path in register {
                let entries = register::page(&files::read(&path)?)
                    .with_context(|| format!("{}: not a page of the register", path.display()))?;
                for entry in entries {
                    let taken = members.push(&entry);
                    taken.with_context(|| path.display().to_string())?;
                }
            }
            let proof = TlogProof::parse(&files::read(&proof)?)?;
            let entry = files::read(&entry)?;
            let checkpoint = verified(&proof, &entry, &members).context(
                "with the log's key as of the register that was given (--register); a proof under a key that was replaced is fetched again with dawn log prove",
            )?;
            let roster = match roster {
                Some(path) => Some(SignedRoster::from_bytes(&files::read(&path)?)?),
                None => None,
            };
            if let (Some(roster), Some(digest)) = (&roster, roster_digest)
                && roster.peek().digest() != digest
            {
                bail!("the roster is another one: {}", roster.peek().digest());
            }
            shown(json, &members, &checkpoint, &proof.checkpoint, roster)
        }
    }
}

/// The members as of the register that the server shows: they say which key is the log's.
async fn newest(api: &Api, federation: &VerifiedFederation) -> Result<Members> {
    let mut register = Register::new(federation);
    api.extend_register(&mut register, None).await?;
    Ok(register.members().clone())
}

fn verified(proof: &TlogProof, entry: &[u8], members: &Members) -> Result<Checkpoint> {
    let name = origin(&members.federation());
    let checkpoint = LogKeys::newest(members).checkpoint(&proof.checkpoint, &name)?;
    proof.verify_in(&leaf_hash(entry), checkpoint.size, &checkpoint.root)?;
    Ok(checkpoint)
}

fn shown(
    json: bool,
    members: &Members,
    checkpoint: &Checkpoint,
    note: &SignedNote,
    roster: Option<SignedRoster>,
) -> Result<ExitCode> {
    let cosigned = match &roster {
        Some(roster) => Some(cosignature::cosigners(note, &roster.peek().stewards)?.len()),
        None => None,
    };
    let needed = roster.map(|roster| roster.peek().threshold.t());
    let value = json!({
        "size": checkpoint.size,
        "root": checkpoint.root,
        "verifier_key": verifier_key(&checkpoint.origin, Algorithm::Ed25519, members.log()),
        "cosigned": cosigned,
        "needed": needed,
    });
    output::report(json, &value, |_| {
        let mut text = format!(
            "in the log of {} entries under root {}, signed by {}",
            checkpoint.size, checkpoint.root, checkpoint.origin
        );
        if let (Some(cosigned), Some(needed)) = (cosigned, needed) {
            text.push_str(&format!(
                "; cosigned by {cosigned} stewards of the roster, T is {needed}"
            ));
        }
        text
    })?;
    // A quorum that is asked for and not there is a failure.
    let enough = cosigned.is_none_or(|cosigned| Some(cosigned) >= needed.map(usize::from));
    Ok(if enough {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
