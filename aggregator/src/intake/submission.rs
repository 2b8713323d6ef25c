//! One upload, from its first byte to its receipt.

use axum::body::Body;
use bytes::Bytes;
use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::leaf_hash;
use dawn_identity::{DeviceId, Signed};
use dawn_protocol::container::{ContainerLimits, MAGIC};
use dawn_protocol::round_context::{RoundContext, VerifiedSubmission};
use dawn_protocol::submission::{MAX_PACKAGE_BYTES, package_digest};
use dawn_protocol::{Receipt, RoundId, SubmissionHeader};
use http::StatusCode;
use tokio::time::Instant;

use super::payload::PayloadCheck;
use crate::app::App;
use crate::clock::now_ms;
use crate::http::body::{BodyReader, too_large};
use crate::payloads::{ObjectKey, ObjectWriter};
use crate::problem::Problem;
use crate::signer::Signer;
use crate::store::objects::ObjectKind;
use crate::store::rounds::Phase;
use crate::store::submissions::{NewSubmission, StoredSubmission, Submitted};

/// The answer to a submission that is stored.
#[derive(Debug)]
pub struct Receipted {
    /// The signed receipt: the same bytes every time.
    pub receipt: Vec<u8>,
    /// Whether it was stored now.
    pub new: bool,
}

/// Bytes of a refused upload that are still read, so that the device gets to read the answer.
const DRAIN_BYTES: u64 = 80 << 20;

/// Takes the submission of `device` in a round.
///
/// # Errors
/// A problem for every rule of docs/protocol.md, section 4.4; nothing is stored then.
pub async fn submit(
    app: &App,
    id: &RoundId,
    device: &DeviceId,
    body: Body,
) -> Result<Receipted, Problem> {
    let _counted = InProgress::new(app.metrics.gauge("dawn_uploads"));
    let mut reader = BodyReader::new(body, &app.config.limits);
    let outcome = take(app, id, device, &mut reader).await;
    match &outcome {
        Ok(receipted) if receipted.new => {}
        Err(problem) if problem.status() == StatusCode::REQUEST_TIMEOUT => {}
        _ => reader.drain(DRAIN_BYTES).await,
    }
    let label = match &outcome {
        Ok(receipted) if receipted.new => "stored",
        Ok(_) => "repeated",
        Err(_) => "refused",
    };
    app.metrics
        .count("dawn_submissions_total", &[("outcome", label)]);
    outcome
}

/// Counts an upload until it ends, however it ends.
struct InProgress(metrics::Gauge);

impl InProgress {
    fn new(gauge: metrics::Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

async fn take(
    app: &App,
    id: &RoundId,
    device: &DeviceId,
    reader: &mut BodyReader,
) -> Result<Receipted, Problem> {
    let context = app.round_context(id).await?;
    let header = read_header(reader).await?;
    let signed = Signed::<SubmissionHeader>::from_bytes(&header).map_err(Problem::malformed)?;
    // A repetition of what has a receipt gets that receipt, whatever has happened since.
    let before = app.store.submission(id, device).await?;
    let repeats = |stored: &&StoredSubmission| stored.header_digest == signed.envelope_digest();
    if let Some(stored) = before.as_ref().filter(repeats) {
        return Ok(again(stored));
    }
    let members = app.members().await?;
    let verified = context
        .verify_header(&signed, &members)
        .map_err(Problem::invalid)?;
    if verified.submitter() != *device {
        return Err(Problem::forbidden(
            "the header is of another device than the path",
        ));
    }
    if before.is_some() {
        return Err(second_submission(app, id, device, &header).await);
    }
    // Nothing is stored for whoever would get no receipt here.
    let checked = match check_round(app, id, &context, &verified).await {
        Ok(()) => app
            .round_signer(&context)
            .await
            .map(drop)
            .map_err(Into::into),
        refused => refused,
    };
    if let Err(problem) = checked {
        // A twin of this request may have been the one that ended the phase.
        let meanwhile = app.store.submission(id, device).await?;
        return meanwhile.as_ref().filter(repeats).map(again).ok_or(problem);
    }
    // Only who may submit takes one of the places for large bodies.
    let asked = Instant::now();
    let _place = app.uploads.take((*id, device.0)).await?;
    reader.resume(asked);
    let _counted = InProgress::new(app.metrics.gauge("dawn_upload_places"));

    let packages = read_packages(reader, &context, &verified).await?;
    let payload_key = ObjectKey::payload(&verified.header().payload);
    let mut writer = app.payloads.begin(&payload_key).await?;
    read_payload(reader, &context, &verified, &mut writer).await?;
    reader.end().await?;

    // Durable from here on, and named by no row until the transaction commits.
    let packages_key = ObjectKey::packages(&id.task.0, id.number, &signed.envelope_digest());
    let bytes = (MAGIC.len() + 4 + header.len() + packages.len() + context.payload_bytes()) as u64;
    app.payloads.put(&packages_key, packages).await?;
    writer.finish().await?;
    let signer = match app.round_signer(&context).await {
        Ok(signer) => signer,
        Err(error) => {
            forget(app, &payload_key, &packages_key).await;
            return Err(error.into());
        }
    };
    let new = row(&signer, &context, &signed, &verified, header, bytes)?;
    let receipt = new.receipt.clone();
    let outcome = app.store.add_submission(&new, &app.payloads).await;
    match &outcome {
        // After an error nobody knows whether it committed: the sweep will.
        Ok(Submitted::Now { .. } | Submitted::Before(_)) | Err(_) => {}
        Ok(_) => forget(app, &payload_key, &packages_key).await,
    }
    match outcome? {
        Submitted::Now { target_reached } => {
            if target_reached {
                app.job_due();
            }
            Ok(Receipted { receipt, new: true })
        }
        Submitted::Before(stored) if stored.header_digest == new.header_digest => Ok(Receipted {
            receipt: stored.receipt,
            new: false,
        }),
        Submitted::Before(_) => {
            forget(app, &payload_key, &packages_key).await;
            Err(second_submission(app, id, device, &new.header).await)
        }
        Submitted::WrongPhase(phase) => Err(not_collecting(phase)),
        Submitted::Full => Err(full()),
        Submitted::OverQuota => Err(over_quota()),
        Submitted::ObjectsGone => Err(Problem::unavailable(
            "the upload took too long; send it again",
        )),
        Submitted::NoRound => Err(Problem::not_found("the task has no such round")),
    }
}

/// The receipt that was given before.
fn again(stored: &StoredSubmission) -> Receipted {
    Receipted {
        receipt: stored.receipt.clone(),
        new: false,
    }
}

async fn read_header(reader: &mut BodyReader) -> Result<Vec<u8>, Problem> {
    // The signed bytes: stewards take no more in a page of packages.
    let most = Signed::<SubmissionHeader>::MAX_BYTES;
    if reader.exactly(MAGIC.len()).await?[..] != MAGIC {
        return Err(Problem::malformed(
            "not a submission: it does not begin with DWNS",
        ));
    }
    let length = reader.length().await? as usize;
    if length > most {
        return Err(too_large(most as u64));
    }
    Ok(reader.exactly(length).await?.to_vec())
}

/// The packages with their count and lengths, as they are on the wire.
async fn read_packages(
    reader: &mut BodyReader,
    context: &RoundContext,
    submission: &VerifiedSubmission,
) -> Result<Bytes, Problem> {
    let count = ContainerLimits::of(context).packages;
    let announced = reader.exactly(1).await?;
    if usize::from(announced[0]) != count {
        return Err(Problem::malformed(format!(
            "{} packages, the round has {count} seated stewards",
            announced[0]
        )));
    }
    let mut section = announced.to_vec();
    for (index, expected) in submission.header().packages.iter().enumerate() {
        let length = reader.length().await?;
        if length as usize > MAX_PACKAGE_BYTES {
            return Err(too_large(MAX_PACKAGE_BYTES as u64));
        }
        let package = reader.exactly(length as usize).await?;
        if package_digest(&package) != *expected {
            return Err(Problem::invalid(format!(
                "package {index} is not the one whose digest the header names"
            )));
        }
        section.extend_from_slice(&length.to_le_bytes());
        section.extend_from_slice(&package);
    }
    Ok(section.into())
}

async fn read_payload(
    reader: &mut BodyReader,
    context: &RoundContext,
    submission: &VerifiedSubmission,
    writer: &mut ObjectWriter,
) -> Result<(), Problem> {
    let mut check = PayloadCheck::new();
    let mut missing = context.payload_bytes();
    while missing > 0 {
        let piece = reader
            .next_at_most(missing)
            .await?
            .ok_or_else(|| Problem::malformed(format!("the payload lacks {missing} bytes")))?;
        check.push(&piece)?;
        writer.write(&piece).await?;
        missing -= piece.len();
    }
    if check.digest() == submission.header().payload {
        Ok(())
    } else {
        Err(Problem::invalid(
            "the payload is not the one whose digest the header names",
        ))
    }
}

/// Looks before the large part is read; the transaction looks again.
async fn check_round(
    app: &App,
    id: &RoundId,
    context: &RoundContext,
    verified: &VerifiedSubmission,
) -> Result<(), Problem> {
    let round = app
        .store
        .round(id)
        .await?
        .ok_or_else(|| Problem::not_found("the task has no such round"))?;
    if round.phase != Phase::Collecting || now_ms() >= round.deadline_ms {
        return Err(not_collecting(round.phase));
    }
    // Noise has places of its own: as many as a steward has candidates, each once.
    if verified.noise().is_none() && round.submitted >= context.task().policy.max_submissions {
        return Err(full());
    }
    if let Some(quota) = context
        .task()
        .options
        .quota
        .filter(|_| verified.noise().is_none())
        && app.store.submissions_of(id, &verified.org()).await? >= u64::from(quota)
    {
        return Err(over_quota());
    }
    Ok(())
}

fn row(
    signer: &Signer<'_>,
    context: &RoundContext,
    signed: &Signed<SubmissionHeader>,
    verified: &VerifiedSubmission,
    header: Vec<u8>,
    bytes: u64,
) -> Result<NewSubmission, Problem> {
    let received_ms = now_ms();
    let header_digest: Digest = signed.envelope_digest();
    let receipt = Receipt {
        round: context.round_id(),
        session: context.session(),
        device: verified.submitter(),
        header: header_digest,
        received_ms,
    };
    let receipt = signer.sign_only(&receipt)?;
    let policy = &context.task().policy;
    Ok(NewSubmission {
        round: context.round_id(),
        device: verified.submitter(),
        org: verified.org(),
        noise_point: verified.noise().map(|noise| noise.point),
        leaf: leaf_hash(&header),
        header,
        header_digest,
        payload: verified.header().payload,
        receipt: receipt.bytes().to_vec(),
        received_ms,
        bytes,
        most: policy.max_submissions,
        target: policy.target_submissions,
        quota: context.task().options.quota,
    })
}

async fn second_submission(app: &App, id: &RoundId, device: &DeviceId, header: &[u8]) -> Problem {
    let kept = app
        .store
        .keep_submission_evidence(id, device, header, now_ms())
        .await;
    if let Err(error) = kept {
        return error.into();
    }
    Problem::conflict("this device has another submission in this round, and that one stays")
}

/// Removes what was written for a submission that was then refused, unless a row names it after all.
async fn forget(app: &App, payload: &ObjectKey, packages: &ObjectKey) {
    for (kind, key) in [
        (ObjectKind::Payload, payload),
        (ObjectKind::Packages, packages),
    ] {
        let keys = std::slice::from_ref(key);
        if let Err(error) = app.store.delete_unnamed(&app.payloads, kind, keys).await {
            tracing::warn!(%error, %key, "left for the sweep");
        }
    }
}

fn not_collecting(phase: Phase) -> Problem {
    Problem::wrong_phase(format!(
        "the round takes no submissions now; its phase is {}",
        phase.as_str()
    ))
}

fn over_quota() -> Problem {
    Problem::quota(
        "this organisation has as many submissions in the round as the task's quota allows",
    )
}

fn full() -> Problem {
    Problem::quota("the round has as many submissions as its policy allows")
}
