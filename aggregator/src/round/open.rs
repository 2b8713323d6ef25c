//! Opening: the sum of the accepted vectors, and the weights that follow from it.

use dawn_crypto::mask;
use dawn_identity::{Signed, Statement};
use dawn_learn::Model;
use dawn_protocol::digests::model_digest;
use dawn_protocol::phase::JudgeError;
use dawn_protocol::{Culprit, GroupSums, Groups, Judged, Opened, Opening, RoundId, Verdict};

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
    let group_sums = group_sums(app, &judged, &openings).await?;
    let mut sums = masked_sums(app, &judged).await?;
    let opened = compute(move || match group_sums {
        Some(given) => judged.open_groups(&sums, &openings, &given),
        None => judged.open(&sums.remove(0), &openings),
    })
    .await?;
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
    // Trains, when the task distils.
    let (opened, next) = compute(move || {
        let next = opened.next_model(&model);
        (opened, next)
    })
    .await?;
    let next = match next {
        Ok(next) => next.to_bytes(),
        Err(reason) => {
            return abort(app, row, weighed, reason, "the sum does not fit the model").await;
        }
    };
    let digest = model_digest(&next);
    app.payloads.put(&ObjectKey::model(&digest), next).await?;
    let signer = app.round_signer(&opened).await?;
    let ending = result(&signer, opened.task(), row, &opened.result(digest))?;
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

/// What goes with the openings, when the task asks for groups.
async fn group_sums(
    app: &App,
    judged: &Judged,
    openings: &[Signed<Opening>],
) -> Result<Option<Vec<GroupSums>>, EngineError> {
    let Some(groups) = judged.round_challenged().groups() else {
        return Ok(None);
    };
    let mut sums = Vec::with_capacity(openings.len());
    for opening in openings {
        let steward = opening.peek().steward;
        let bytes = app.store.group_sums(&judged.round_id(), &steward).await?;
        let bytes = bytes.ok_or(EngineError::Spoiled("sums over groups"))?;
        let culprit = Culprit::Steward(steward);
        sums.push(GroupSums::from_bytes(&bytes, groups.count(), culprit)?);
    }
    Ok(Some(sums))
}

/// The sum of the accepted payloads, or that of every group's; one payload in memory at a time, each checked against its
/// digest again.
async fn masked_sums(app: &App, judged: &Judged) -> Result<Vec<Vec<u32>>, EngineError> {
    let padded = judged.dimension().padded();
    let most = judged.payload_bytes() as u64;
    let groups = judged.round_challenged().groups();
    let mut sums = vec![vec![0; padded]; groups.map_or(1, Groups::count)];
    let entries = judged.round_closed().roll().entries();
    for index in judged.verdict().accepted() {
        let digest = entries[index].payload;
        let bytes = app.payloads.get(&ObjectKey::payload(&digest), most).await?;
        let group = groups.and_then(|groups| groups.of(index)).unwrap_or(0);
        let mut sum = std::mem::take(&mut sums[group]);
        sums[group] = compute(move || {
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
    Ok(sums)
}
