//! `dawn audit`: re-executes what the service did, and watches what it says.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use dawn_audits::page::page;
use dawn_audits::signed_report::MAX_TRANSCRIPTS;
use dawn_audits::{
    AuditReport, AuditStatement, DEFAULT_MAX_BYTES, Mode, Options, verify_path, verify_service,
};
use dawn_identity::{Digest, Signed, TaskId};
use serde_json::json;

use super::audit_parts;
use super::audit_watch::Watch;
use super::key;
use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Verifies one transcript, a folder of them with their log, or a running service.
    Verify(Verify),
    /// Follows the log of a running service: every head extends the last, nobody says two things, budgets hold. Needs no
    /// transcripts. Exits with 1 on a violation.
    Watch(Watch),
    /// Takes payloads and answers out of a transcript: a light audit needs none, and a full one finds them beside it, each under
    /// its digest.
    Detach {
        /// A whole transcript.
        transcript: PathBuf,
        /// The folder for the transcript without them, under the same name, and for them, below `payloads`.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Puts payloads and answers back into a transcript: the same file as before.
    Attach {
        /// A transcript without payloads.
        transcript: PathBuf,
        /// The folder that has them. The folder `payloads` beside it when absent.
        #[arg(long, value_name = "DIR")]
        payloads: Option<PathBuf>,
        /// The whole transcript.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Shows a signed audit report; with the auditor's key, verifies it. Exits with 1 when it does not verify, or
    /// says that a rule is broken.
    Show {
        /// What `dawn audit verify --sign` wrote.
        report: PathBuf,
        /// The auditor's public key; without it the signature is not verified.
        #[arg(long)]
        key: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub struct Verify {
    /// File, folder or http(s) address.
    source: String,
    /// Digest of the founding document that you trust; without it the one inside is trusted.
    #[arg(long)]
    federation: Option<Digest>,
    /// Signatures and digests alone: payloads and answers are not looked into, and nothing is executed again.
    #[arg(long)]
    light: bool,
    /// For files without payloads: the folder that has them, each under its digest. The folder `payloads` beside each file when
    /// absent.
    #[arg(long, value_name = "DIR", conflicts_with = "light")]
    payloads: Option<PathBuf>,
    /// With an address: only this task; may be given several times. All tasks when absent.
    #[arg(long = "task")]
    tasks: Vec<TaskId>,
    /// With an address: the folder that keeps what was downloaded. A temporary one when absent.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// With an address: most bytes that are downloaded; a service that has more is not audited.
    #[arg(long, default_value_t = DEFAULT_MAX_BYTES)]
    max_bytes: u64,
    /// Writes the answer as a page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Signs the answer with this secret key; --out says where it goes.
    #[arg(long, value_name = "KEY", requires = "out")]
    sign: Option<PathBuf>,
    /// Where the signed answer goes.
    #[arg(long, value_name = "FILE", requires = "sign")]
    out: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Verify(verify) => verify.run().await,
        Command::Watch(watch) => watch.run().await,
        Command::Detach {
            transcript,
            out,
            json,
        } => audit_parts::detach(&transcript, &out, json),
        Command::Attach {
            transcript,
            payloads,
            out,
            json,
        } => audit_parts::attach(&transcript, payloads.as_deref(), &out, json),
        Command::Show { report, key, json } => show(&report, key.as_deref(), json),
    }
}

impl Verify {
    async fn run(self) -> Result<ExitCode> {
        let options = Options {
            federation: self.federation,
            max_bytes: Some(self.max_bytes),
            mode: if self.light { Mode::Light } else { Mode::Full },
            payloads: self.payloads.clone(),
        };
        // A key that cannot be read is told before the audit, which may take long.
        let key = self.sign.as_deref().map(files::read_key).transpose()?;
        let source = &self.source;
        let report = if source.starts_with("http://") || source.starts_with("https://") {
            let scratch = tempfile::tempdir()?;
            let dir = self.keep.as_deref().unwrap_or(scratch.path());
            verify_service(source, &self.tasks, dir, &options).await?
        } else {
            verify_path(Path::new(source), &options)?
        };
        if let Some(path) = &self.html {
            files::overwrite(path, page(&report).as_bytes(), 0o644)?;
        }
        if let (Some(key), Some(path)) = (key, &self.out) {
            let statement = AuditStatement::of(&report, files::now()).with_context(|| {
                format!("nothing is signed: the audit could not be finished, or is about more than {MAX_TRANSCRIPTS} transcripts (audit fewer at a time)")
            })?;
            let signed = Signed::sign(&statement, &key)?;
            files::overwrite(path, signed.bytes(), 0o644)?;
        }
        output::report(self.json, &report, AuditReport::to_string)?;
        Ok(code(report.passed()))
    }
}

fn code(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn show(path: &Path, key: Option<&Path>, json: bool) -> Result<ExitCode> {
    let bytes = files::read(path)?;
    let signed = Signed::<AuditStatement>::from_bytes(&bytes)
        .with_context(|| format!("{}: not a signed audit report", path.display()))?;
    let verified = match key {
        Some(key) => {
            let key = key::public(key)?;
            if let Err(error) = signed.verify(&key) {
                bail!("this report is not that auditor's: {error}");
            }
            true
        }
        None => false,
    };
    let said = signed.peek();
    let finding = said.finding.as_ref();
    let rule = finding.and_then(|finding| finding.rule());
    let witnesses = said.log.as_ref().and_then(|log| log.witnesses.as_ref());
    let shown = json!({
        "answer": if said.passed() { "PASS" } else { "FAIL" },
        "full": said.full,
        "rule": rule.map(|rule| rule.number()),
        "culprit": finding.map(|finding| finding.culprit()),
        "place": finding.map(|finding| &finding.place),
        "detail": finding.map(|finding| &finding.detail),
        "federation": said.federation,
        "federation_pinned": said.pinned,
        "transcripts": said.transcripts,
        "log_size": said.log.as_ref().map(|log| log.size),
        "log_root": said.log.as_ref().map(|log| log.root),
        "cosigned": witnesses.map(|witnesses| witnesses.cosigned),
        "cosignatures_needed": witnesses.and_then(|witnesses| witnesses.needed),
        "unchecked": said.unchecked,
        "software": said.software,
        "time": said.time,
        "auditor": signed.signer(),
        "verified": verified,
    });
    output::report(json, &shown, |_| in_words(&signed, verified))?;
    // What nobody has verified is no answer.
    Ok(code(said.passed() && verified))
}

fn in_words(signed: &Signed<AuditStatement>, verified: bool) -> String {
    let said = signed.peek();
    let mut lines = vec![format!(
        "audit by key {} ({}), {} at {}",
        signed.signer(),
        if verified {
            "verified"
        } else {
            "NOT verified: give its --key"
        },
        said.software,
        said.time
    )];
    if let Some(federation) = said.federation {
        let pinned = if said.pinned { "pinned" } else { "NOT pinned" };
        lines.push(format!("federation {federation} ({pinned})"));
    }
    for transcript in &said.transcripts {
        lines.push(match transcript {
            Some(digest) => format!("transcript {digest}"),
            None => "transcript that is damaged".to_owned(),
        });
    }
    if let Some(log) = &said.log {
        lines.push(format!("log: {} entries under root {}", log.size, log.root));
    }
    lines.extend(
        said.unchecked
            .iter()
            .map(|what| format!("not checked: {what}")),
    );
    lines.push(match (&said.finding, said.full) {
        (None, true) => "PASS".to_owned(),
        (None, false) => "PASS (light)".to_owned(),
        (Some(finding), _) => format!(
            "FAIL {}\n  in       {}\n  because  {}\n  to blame {}",
            finding.rule().map_or("?", |rule| rule.number()),
            finding.place,
            finding.detail,
            finding.culprit()
        ),
    });
    lines.join("\n")
}
