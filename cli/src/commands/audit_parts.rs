//! `dawn audit detach` and `dawn audit attach`: a transcript, and its payloads and answers beside it.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use dawn_audits::source::{PAYLOADS_FOLDER, keep_part, open_part};
use dawn_protocol::transcript::{Part, TranscriptError, attach as attached, detach as detached};
use serde_json::json;

use crate::output;

/// Writes `out/NAME` and `out/payloads/DIGEST`.
pub fn detach(transcript: &Path, out: &Path, json: bool) -> Result<ExitCode> {
    let name = transcript.file_name().context("a transcript is a file")?;
    let input = open(transcript)?;
    let folder = out.join(PAYLOADS_FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut parts = 0u64;
    let keep = |part: Part, bytes: &[u8]| {
        parts += 1;
        keep_part(&folder, part, bytes)
    };
    let path = out.join(name);
    let digest = written(&path, |file| detached(BufReader::new(input), file, keep))
        .with_context(|| format!("{} cannot be taken apart", transcript.display()))?;
    let shown = json!({ "transcript": path, "digest": digest, "parts": parts });
    output::report(json, &shown, |_| {
        format!(
            "{}: without payloads and answers, digest {digest}; {parts} of them are in {}",
            path.display(),
            folder.display()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the whole transcript.
pub fn attach(
    transcript: &Path,
    payloads: Option<&Path>,
    out: &Path,
    json: bool,
) -> Result<ExitCode> {
    let input = open(transcript)?;
    let beside = transcript.with_file_name(PAYLOADS_FOLDER);
    let folder = payloads.unwrap_or(&beside);
    let open = |part: Part| open_part(folder, part);
    let digest =
        written(out, |file| attached(BufReader::new(input), file, open)).with_context(|| {
            format!(
                "{} cannot be put together with what is in {}",
                transcript.display(),
                folder.display()
            )
        })?;
    let shown = json!({ "transcript": out, "digest": digest });
    output::report(json, &shown, |_| {
        format!("{}: whole, digest {digest}", out.display())
    })?;
    Ok(ExitCode::SUCCESS)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a file that is not there yet; when it fails, it is not there afterwards either.
fn written<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T, TranscriptError>,
) -> Result<T> {
    let file = match File::create_new(path) {
        Ok(file) => file,
        Err(error) => bail!("cannot write {}: {error}", path.display()),
    };
    let mut file = BufWriter::new(file);
    let done = write(&mut file).map_err(anyhow::Error::from);
    let done = done.and_then(|done| Ok(file.flush().map(|()| done)?));
    if done.is_err() {
        let _ = fs::remove_file(path);
    }
    done
}
