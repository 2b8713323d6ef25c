//! A steward's report with its answers, in one body: `"DWNR" | length u32 LE | signed report | answers`
//! (docs/protocol.md, section 4.6).
//!
//! The signed report comes first, so that it is known who speaks, and how many bytes follow, before one of them
//! is stored. The answers are an object that their digest names: nobody overwrites another's.

use axum::body::Body;
use dawn_crypto::digest::Digest;
use dawn_identity::{Signed, Statement, StewardId};
use dawn_protocol::answers::{AnswersHasher, answers_len};
use dawn_protocol::{PackageReport, RoundId};
use http::StatusCode;
use tokio::time::Instant;

use super::payload::WordCheck;
use crate::app::App;
use crate::desk::{StewardKind, count_statement, store_statement, verify_report};
use crate::http::body::{BodyReader, too_large};
use crate::payloads::{ObjectKey, ObjectWriter};
use crate::problem::Problem;
use crate::registry::Stored;
use crate::store::objects::ObjectKind;
use crate::store::rounds::Phase;
use crate::store::statements::{Answers, Beside};

/// What a report with its answers begins with.
pub const REPORT_MAGIC: [u8; 4] = *b"DWNR";

/// Bytes of the largest report with its answers: 50,000 answers of the longest proof stay below.
pub const MOST_REPORT_BYTES: u64 = 1 << 29;

/// Takes the report of a steward about a closed round, with its answers to the challenge.
///
/// # Errors
/// A problem for everything that is wrong with them, or when the steward has reported something else; nothing
/// is stored then.
pub async fn report(
    app: &App,
    id: &RoundId,
    steward: &StewardId,
    body: Body,
) -> Result<Stored, Problem> {
    let mut reader = BodyReader::new(body, &app.config.limits);
    let outcome = take(app, id, steward, &mut reader).await;
    match &outcome {
        Ok(Stored::Now) => {}
        Err(problem) if problem.status() == StatusCode::REQUEST_TIMEOUT => {}
        // Read and forgotten, so that the steward gets to read the answer.
        _ => reader.drain(MOST_REPORT_BYTES).await,
    }
    count_statement(app, StewardKind::Report, &outcome);
    outcome
}

async fn take(
    app: &App,
    id: &RoundId,
    steward: &StewardId,
    reader: &mut BodyReader,
) -> Result<Stored, Problem> {
    let signed = read_report(reader).await?;
    let report = signed.peek();
    if report.steward != *steward {
        return Err(Problem::forbidden(
            "the report is of another steward than the path",
        ));
    }
    let context = verify_report(app, id, &signed).await?;
    let length = answers_len(context.proof_params(), &report.outcomes) as u64;
    match app.store.said(id, PackageReport::KIND, steward).await? {
        Some(before) if before == signed.body_digest() => return Ok(Stored::Already),
        // Refused, and kept as evidence; its answers are not read.
        Some(_) => {
            return store_statement(app, id, StewardKind::Report, *steward, &signed, None).await;
        }
        None => check_phase(app, id).await?,
    }
    // Only who may report takes one of the places for large bodies.
    let asked = Instant::now();
    let _place = app.uploads.take((*id, steward.0)).await?;
    reader.resume(asked);

    let key = ObjectKey::answers(&id.task.0, id.number, &report.answers);
    let mut writer = app.payloads.begin(&key).await?;
    read_answers(reader, length, &report.answers, &mut writer).await?;
    reader.end().await?;
    // Durable from here on, and named by no row until the transaction commits.
    writer.finish().await?;
    let answers = Answers {
        digest: report.answers,
        bytes: length,
        payloads: &app.payloads,
    };
    let kind = StewardKind::Report;
    let stored = store_statement(
        app,
        id,
        kind,
        *steward,
        &signed,
        Some(Beside::Answers(answers)),
    )
    .await;
    if stored.is_err() {
        forget(app, &key).await;
    }
    stored
}

async fn read_report(reader: &mut BodyReader) -> Result<Signed<PackageReport>, Problem> {
    let most = Signed::<PackageReport>::MAX_BYTES;
    if reader.exactly(REPORT_MAGIC.len()).await?[..] != REPORT_MAGIC {
        return Err(Problem::malformed(
            "not a report with its answers: it does not begin with DWNR",
        ));
    }
    let length = reader.length().await? as usize;
    if length > most {
        return Err(too_large(most as u64));
    }
    Signed::from_bytes(&reader.exactly(length).await?).map_err(Problem::malformed)
}

async fn read_answers(
    reader: &mut BodyReader,
    length: u64,
    expected: &Digest,
    writer: &mut ObjectWriter,
) -> Result<(), Problem> {
    const PIECE: u64 = 1 << 20;
    let mut words = WordCheck::default();
    let mut hasher = AnswersHasher::new();
    let mut missing = length;
    while missing > 0 {
        let piece = reader
            .next_at_most(missing.min(PIECE) as usize)
            .await?
            .ok_or_else(|| Problem::malformed(format!("the answers lack {missing} bytes")))?;
        if !words.push(&piece) {
            return Err(Problem::invalid("a word of the answers is not below q"));
        }
        hasher.update(&piece);
        writer.write(&piece).await?;
        missing -= piece.len() as u64;
    }
    if hasher.finalize() == *expected {
        Ok(())
    } else {
        Err(Problem::invalid(
            "the answers are not those whose digest the report gives",
        ))
    }
}

/// Looks before the large part is read; the transaction looks again.
async fn check_phase(app: &App, id: &RoundId) -> Result<(), Problem> {
    match app.store.round(id).await? {
        Some(round) if round.phase == Phase::Reporting => Ok(()),
        Some(round) => Err(Problem::wrong_phase(format!(
            "the round does not take this now; its phase is {}",
            round.phase.as_str()
        ))),
        None => Err(Problem::not_found("the task has no such round yet")),
    }
}

/// Removes the answers of a report that was then refused, unless a row names them after all.
async fn forget(app: &App, key: &ObjectKey) {
    let keys = std::slice::from_ref(key);
    let kind = ObjectKind::Answers;
    if let Err(error) = app.store.delete_unnamed(&app.payloads, kind, keys).await {
        tracing::warn!(%error, %key, "left for the sweep");
    }
}
