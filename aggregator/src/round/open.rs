//! Opening: the sum of the accepted vectors, and the weights that follow from it.

use dawn_crypto::mask;
use dawn_identity::{Signed, Statement};
use dawn_learn::Model;
use dawn_protocol::digests::model_digest;
use dawn_protocol::phase::JudgeError;
use dawn_protocol::{Judged, Opened, Opening, RoundId, Verdict};

use super::ending::{abort, result};
use super::judge::case;
use super::{EngineError, compute};
use crate::app::App;
use crate::payloads::{MOST_MODEL_BYTES, ObjectKey};
use crate::store::rounds::{Phase, RoundRow};
use crate::store::transitions::Moved;

/// How many stewards may open.
pub(super) async fn openers(app: &App, id: &RoundId) -> Result<u32, EngineError> {
    let verdict = app
        .own_statement::<Verdict>(id)
        .await?
        .ok_or(EngineError::Spoiled("verdict"))?;
    Ok(verdict.peek().openers.len() as u32)
}

/// Opens the sum with the answers that arrived, and ends the round.
pub(super) async fn open(app: &App, row: &RoundRow) -> Result<Moved, EngineError> {
    let id = &row.round;
    let verdict = app
        .own_statement::<Verdict>(id)
        .await?
        .ok_or(EngineError::Spoiled("verdict"))?;
    let case = case(app, row).await?;
    let judged = compute(move || {
        let (found, reports) = (&case.found, &case.reports);
        let challenged = case.challenged;
        challenged.adopt(reports, &found.findings, found.scalars, &verdict)
    })
    .await??;
    let openings = openings(app, &judged).await?;
    let weighed = openings.len() as u32;
    let sum = masked_sum(app, &judged).await?;
    let opened = compute(move || judged.open(&sum, &openings)).await?;
    let opened: Opened = match opened {
        Ok(opened) => opened,
        Err(JudgeError::Abort(reason)) => {
            let detail = format!("{weighed} answers do not open the sum");
            return abort(app, row, weighed, reason, &detail).await;
        }
        Err(JudgeError::Violation(violation)) => return Err(violation.into()),
    };
    if !opened.culprits().is_empty() {
        tracing::warn!(round = %id, culprits = ?opened.culprits(), "stewards answered wrongly");
    }
    let weights = app
        .payloads
        .get(&ObjectKey::model(&row.model), MOST_MODEL_BYTES)
        .await?;
    if model_digest(&weights) != row.model {
        return Err(EngineError::Spoiled("model"));
    }
    let model = Model::from_bytes(&weights).map_err(|_| EngineError::Spoiled("model"))?;
    let accepted = opened.judged().verdict().accepted_count();
    let next = match opened.next_model(&model, opened.sum(), accepted) {
        Ok(next) => next.to_bytes(),
        Err(reason) => {
            return abort(app, row, weighed, reason, "the sum does not fit the model").await;
        }
    };
    let digest = model_digest(&next);
    app.payloads.put(&ObjectKey::model(&digest), next).await?;
    let ending = result(app, opened.task(), row, &opened.result(digest))?;
    let moved = app
        .store
        .finish_round(id, Phase::Opening, (Opening::KIND, weighed), &ending)
        .await?;
    if moved == Moved::Yes {
        tracing::info!(round = %id, accepted, submitted = row.submitted, model = %digest, "a round is done");
    }
    Ok(moved)
}

async fn openings(app: &App, judged: &Judged) -> Result<Vec<Signed<Opening>>, EngineError> {
    let mut openings = Vec::new();
    for opening in app.statements::<Opening>(&judged.round_id()).await? {
        openings.push((judged.verify_opening(&opening)?, opening));
    }
    openings.sort_by_key(|(point, _)| *point);
    Ok(openings.into_iter().map(|(_, opening)| opening).collect())
}

/// The sum of the accepted payloads, one in memory at a time; each is checked against its digest again.
async fn masked_sum(app: &App, judged: &Judged) -> Result<Vec<u32>, EngineError> {
    let padded = judged.dimension().padded();
    let most = judged.payload_bytes() as u64;
    let mut sum = vec![0; padded];
    let entries = judged.round_closed().roll().entries();
    for index in judged.verdict().accepted() {
        let digest = entries[index].payload;
        let bytes = app.payloads.get(&ObjectKey::payload(&digest), most).await?;
        sum = compute(move || {
            let words = mask::parse_payload(&bytes)
                .ok()
                .filter(|words| words.len() == sum.len())?;
            if mask::payload_digest(&words) != digest {
                return None;
            }
            mask::add_assign(&mut sum, &words);
            Some(sum)
        })
        .await?
        .ok_or(EngineError::Spoiled("payload"))?;
    }
    Ok(sum)
}
