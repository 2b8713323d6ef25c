//! `/v1/log/checkpoint`, `/v1/log/tile/...`, `/v1/log/proof`, `/v1/log/witness`: the log in the formats of C2SP
//! (docs/protocol.md, section 4.6.1).

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use dawn_protocol::tlog::note::MAX_NOTE_BYTES;
use dawn_protocol::tlog::tile::{Bundle, TileId, push_entry, tile_bytes};
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::body::{BodyReader, check_length, check_media_type, too_large};
use super::extract::{Asked, Params};
use crate::app::App;
use crate::problem::Problem;
use crate::tlog;

const TEXT: &str = "text/plain; charset=utf-8";
const BINARY: &str = "application/octet-stream";
/// What is named by its content, or by a place that is full, never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// What is partial never changes either, but is soon of no use.
const FOR_A_WHILE: &str = "public, max-age=3600, immutable";
const NEVER: &str = "no-cache";

/// Entries that are in memory at a time while a bundle is sent.
const PIECE: u16 = 16;

/// The log as it is now: a signed note with origin, size and root (C2SP tlog-checkpoint), and the cosignatures of this
/// size. Tiles are below /v1/log/tile/ (C2SP tlog-tiles).
#[utoipa::path(get, path = "/v1/log/checkpoint", tag = "log",
    responses(
        (status = 200, description = "Signed note", body = String, content_type = "text/plain"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_checkpoint(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    Ok(answer(tlog::checkpoint(&app).await?.to_text(), TEXT, NEVER))
}

/// The newest checkpoint that at least T stewards of the newest roster have cosigned.
#[utoipa::path(get, path = "/v1/log/checkpoint/witnessed", tag = "log",
    responses(
        (status = 200, description = "Signed note", body = String, content_type = "text/plain"),
        (status = 404, description = "There is none yet", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_witnessed(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    Ok(answer(tlog::witnessed(&app).await?.to_text(), TEXT, NEVER))
}

/// Where an entry is to be proven.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct At {
    size: Option<u64>,
}

/// The proof that an entry is in the log (C2SP tlog-proof).
#[utoipa::path(get, path = "/v1/log/proof/{index}", tag = "log",
    params(
        ("index" = u64, Path, description = "The entry's index"),
        ("size" = Option<u64>, Query, description = "Size of a checkpoint that stewards were asked to cosign; when absent, the newest one with T cosignatures that has the entry, else the log as it is")),
    responses(
        (status = 200, description = "Proof with its checkpoint", body = String, content_type = "text/plain"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_proof(
    State(app): State<Arc<App>>,
    Params(index): Params<u64>,
    Asked(at): Asked<At>,
) -> Result<Response, Problem> {
    let proof = tlog::proof(&app, index, at.size).await?;
    Ok(answer(proof.to_text(), TEXT, NEVER))
}

/// From where a steward goes on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    #[serde(default)]
    old: u64,
    #[serde(default)]
    least: u64,
}

/// What a steward should cosign next: a checkpoint, and the proof that it continues the one of the old size. The body of
/// add-checkpoint of C2SP tlog-witness, which stewards fetch because they listen on no port.
#[utoipa::path(get, path = "/v1/log/witness", tag = "log",
    params(
        ("old" = Option<u64>, Query, description = "Size that the steward has cosigned last, 0 when absent"),
        ("least" = Option<u64>, Query, description = "Size that the checkpoint must have at least, or the answer is 404")),
    responses(
        (status = 200, description = "Old size, consistency proof, checkpoint", body = String, content_type = "text/plain"),
        (status = 404, description = "What is to be cosigned is not so large", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_witness(
    State(app): State<Arc<App>>,
    Asked(since): Asked<Since>,
) -> Result<Response, Problem> {
    let shown = tlog::to_cosign(&app, since.old, since.least).await?;
    Ok(answer(shown.to_text(), TEXT, "no-store"))
}

/// Which checkpoint was cosigned.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosigned {
    size: u64,
}

/// Takes cosignatures of stewards: signature lines of a signed note (C2SP tlog-cosignature, version 1).
#[utoipa::path(post, path = "/v1/log/witness", tag = "log",
    params(("size" = u64, Query, description = "Size of the checkpoint")),
    request_body(content = String, content_type = "text/plain"),
    responses(
        (status = 200, description = "Known already"),
        (status = 201, description = "Stored"),
        (status = 404, description = "No checkpoint of this size", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn post_witness(
    State(app): State<Arc<App>>,
    Asked(cosigned): Asked<Cosigned>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    check_media_type(&parts.headers, "text/plain")?;
    check_length(&parts.headers, MAX_NOTE_BYTES as u64)?;
    let mut reader = BodyReader::new(body, &app.config.limits);
    let mut lines = Vec::new();
    while let Some(piece) = reader.next().await? {
        if lines.len() + piece.len() > MAX_NOTE_BYTES {
            return Err(too_large(MAX_NOTE_BYTES as u64));
        }
        lines.extend_from_slice(&piece);
    }
    Ok(if tlog::take(&app, cosigned.size, &lines).await? {
        app.changed();
        StatusCode::CREATED
    } else {
        StatusCode::OK
    })
}

/// A tile of hashes, or a bundle of entries. What is not of the tree as it is now is not there, whatever is wrong with
/// its name: these are names of files.
pub async fn get_tile(
    State(app): State<Arc<App>>,
    Params(path): Params<String>,
) -> Result<Response, Problem> {
    let none = || Problem::not_found("the log has no such tile");
    let size = app.store.log_size().await?;
    if let Some(rest) = path.strip_prefix("entries/") {
        let bundle = Bundle::parse(rest)
            .ok()
            .filter(|bundle| bundle.within(size));
        let bundle = bundle.ok_or_else(none)?;
        return send_bundle(app, bundle).await;
    }
    let tile = TileId::parse(&path).ok().filter(|tile| tile.within(size));
    let tile = tile.ok_or_else(none)?;
    let hashes = app.store.tile(&tile).await?;
    Ok(answer(tile_bytes(&hashes), BINARY, caching(tile.is_full())))
}

/// A bundle, some entries at a time: it may have 16 MB.
async fn send_bundle(app: Arc<App>, bundle: Bundle) -> Result<Response, Problem> {
    let first = piece(&app, &bundle, 0).await?;
    let rest = stream::try_unfold((app, PIECE), move |(app, skip)| async move {
        if skip >= bundle.width {
            return Ok(None);
        }
        let bytes = piece(&app, &bundle, skip)
            .await
            .map_err(|problem| std::io::Error::other(problem.detail))?;
        Ok::<_, std::io::Error>(Some((bytes, (app, skip.saturating_add(PIECE)))))
    });
    let whole = futures_util::StreamExt::chain(stream::iter([Ok(first)]), rest);
    Ok(answer(
        Body::from_stream(whole),
        BINARY,
        caching(bundle.is_full()),
    ))
}

async fn piece(app: &App, bundle: &Bundle, skip: u16) -> Result<Bytes, Problem> {
    let entries = app.store.bundle_part(bundle, skip, PIECE).await?;
    if entries.len() != usize::from(bundle.width.saturating_sub(skip).min(PIECE)) {
        return Err(Problem::internal("entries of the log are missing"));
    }
    let mut bytes = Vec::new();
    for entry in &entries {
        push_entry(&mut bytes, entry).map_err(Problem::internal)?;
    }
    Ok(bytes.into())
}

fn caching(full: bool) -> &'static str {
    if full { FOR_EVER } else { FOR_A_WHILE }
}

fn answer(body: impl Into<Body>, kind: &'static str, caching: &'static str) -> Response {
    let mut response = body.into().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}
