//! The public scalars of all submissions of a round, recomputed from the payloads (docs/protocol.md,
//! section 4.6). On all cores, one submission a thread at a time; of a payload a thread holds one block. What all
//! threads share is the public matrix, as large as one payload.

use std::io::{BufReader, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use dawn_crypto::digest::Digest;
use dawn_crypto::mask::{PayloadHasher, PublicMatrix};
use dawn_crypto::norm::projection::{MatrixBlocks, MatrixCache};
use dawn_crypto::params::{N, Q};
use dawn_protocol::answers::Scalars;
use dawn_protocol::{RoundChallenged, RoundContext, RoundId};

use super::challenge::challenged_round;
use super::{EngineError, Patience, compute, threads};
use crate::app::App;
use crate::payloads::{MOST_MODEL_BYTES, ObjectKey, Payloads};
use crate::store::rounds::RoundRow;

/// Bytes of a payload that are read at a time.
const READ_BYTES: usize = 1 << 17;

/// Computes the scalars of a round that waits for its stewards.
pub(super) async fn prepare(app: &App, row: &RoundRow) -> Result<(), EngineError> {
    let challenged = challenged_round(app, &row.round).await?;
    of_round(app, &challenged, row.scalars).await?;
    Ok(())
}

/// Whether storage has lost the scalars of a round that has a verdict.
pub(super) async fn lost(app: &App, id: &RoundId) -> Result<bool, EngineError> {
    let key = ObjectKey::scalars(&id.task.0, id.number);
    Ok(!app.payloads.exists(&key).await?)
}

/// The scalars of a round: those that were computed before, whose digest is `known`, or else computed now
/// and stored.
pub(super) async fn of_round(
    app: &App,
    challenged: &RoundChallenged,
    known: Option<Digest>,
) -> Result<Scalars, EngineError> {
    let id = challenged.round_id();
    let key = ObjectKey::scalars(&id.task.0, id.number);
    if let Some(known) = known
        && let Some(scalars) = stored(app, challenged, &key, &known).await?
    {
        return Ok(scalars);
    }
    learn_models(app, challenged).await?;
    let begun = Instant::now();
    let (_patience, given_up) = Patience::new();
    let (of, payloads) = (challenged.clone(), app.payloads.clone());
    let scalars = compute(move || all(&of, &payloads, &given_up)).await??;
    app.metrics.observe(
        "dawn_computation_seconds",
        &[("what", "scalars")],
        begun.elapsed().as_secs_f64(),
    );
    // The object first: a row that names it says that it is there.
    app.payloads.put(&key, scalars.to_bytes()).await?;
    app.store.set_scalars(&id, &scalars.digest()).await?;
    Ok(scalars)
}

/// Reads the models that the round's functional follows from, where it does.
async fn learn_models(app: &App, context: &RoundContext) -> Result<(), EngineError> {
    let Some([from, to]) = context.wanted_models() else {
        return Ok(());
    };
    let model = |digest| {
        let key = ObjectKey::model(&digest);
        async move { app.payloads.get(&key, MOST_MODEL_BYTES).await }
    };
    let (from, to) = (model(from).await?, model(to).await?);
    let context = context.clone();
    Ok(compute(move || context.learn_models(&from, &to)).await??)
}

/// The scalars that are stored; `None` when they are not those.
async fn stored(
    app: &App,
    challenged: &RoundChallenged,
    key: &ObjectKey,
    known: &Digest,
) -> Result<Option<Scalars>, EngineError> {
    let most = (Scalars::BYTES * challenged.round_closed().roll().len()) as u64;
    let bytes = match app.payloads.get(key, most).await {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::warn!(%error, "the scalars are computed again");
            return Ok(None);
        }
    };
    let scalars = challenged.scalars(&bytes).ok();
    Ok(scalars.filter(|scalars| scalars.digest() == *known))
}

fn all(
    challenged: &RoundChallenged,
    payloads: &Payloads,
    given_up: &AtomicBool,
) -> Result<Scalars, EngineError> {
    let matrix = PublicMatrix::from_seed(&challenged.spec().matrix_seed);
    let matrix = MatrixCache::new(&matrix, challenged.dimension().blocks());
    let count = challenged.round_closed().roll().len();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(found);
            }
            if given_up.load(Ordering::Relaxed) {
                return Err(EngineError::GivenUp);
            }
            match one(challenged, payloads, &matrix, index) {
                Ok(scalars) => found.push((index, scalars)),
                Err(error) => {
                    // The other threads need not go on.
                    next.store(count, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    let mut scalars = vec![[0; 2]; count];
    let found = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads().min(count))
            .map(|_| scope.spawn(work))
            .collect();
        let done = running.into_iter().map(|thread| thread.join());
        done.map(|found| found.unwrap_or(Err(EngineError::Panicked)))
            .collect::<Result<Vec<Vec<_>>, EngineError>>()
    })?;
    for (index, pair) in found.into_iter().flatten() {
        scalars[index] = pair;
    }
    Ok(Scalars::new(scalars))
}

/// The scalars of one submission; the payload is checked against its digest again.
fn one(
    challenged: &RoundChallenged,
    payloads: &Payloads,
    matrix: &MatrixCache,
    index: usize,
) -> Result<[u32; 2], EngineError> {
    const SPOILED: EngineError = EngineError::Spoiled("payload");
    // A header that does not verify counts for nothing.
    let Some(verifier) = challenged.verifier(index) else {
        return Ok([0; 2]);
    };
    let digest = challenged.round_closed().roll().entries()[index].payload;
    let (size, file) = payloads.open_blocking(&ObjectKey::payload(&digest))?;
    if size != challenged.payload_bytes() as u64 {
        return Err(SPOILED);
    }
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    let mut hasher = PayloadHasher::new();
    let checker = verifier.checker(MatrixBlocks::Cached(matrix));
    let mut checker = checker.map_err(|_| EngineError::Spoiled("model"))?;
    let (mut bytes, mut words) = ([0; 4 * N], [0; N]);
    for block in 0..challenged.dimension().blocks() {
        reader.read_exact(&mut bytes).map_err(|_| SPOILED)?;
        hasher.update(&bytes);
        for (word, le) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*le);
            if *word >= Q {
                return Err(SPOILED);
            }
        }
        checker.block(block, Some(&words)).map_err(|_| SPOILED)?;
    }
    if hasher.finalize() != digest {
        return Err(SPOILED);
    }
    checker.finish().masked.ok_or(SPOILED)
}
