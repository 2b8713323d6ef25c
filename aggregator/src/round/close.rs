//! Closing: the list of submissions is fixed under a Merkle root.

use dawn_crypto::merkle;
use dawn_identity::RegisterHead;
use dawn_protocol::{AbortReason, Closed, RoundContext};

use super::EngineError;
use super::ending::{Begun, aborted};
use crate::app::App;
use crate::clock::now_ms;
use crate::store::StoreError;
use crate::store::rounds::RoundRow;
use crate::store::transitions::{Closing, Leaf, Moved};

/// Signs the root over everything that is stored, or ends the round when that is too little.
pub(super) async fn close(app: &App, row: &RoundRow) -> Result<Moved, EngineError> {
    let context = app.round_context(&row.round).await?;
    let signer = &app.round_signer(&context).await?;
    let now = now_ms();
    let task = context.task();
    let unsigned = |_| StoreError::Corrupt("the closing cannot be signed");
    let decide = |leaves: &[Leaf]| -> Result<Closing<'_>, StoreError> {
        if let Some((reason, detail)) = too_little(&context, leaves) {
            let begun = Begun::as_specified(context.spec());
            let ending = aborted(signer, task, row, begun, reason, &detail).map_err(unsigned)?;
            return Ok(Closing::Ended(Box::new(ending)));
        }
        let root = merkle::root(&leaves.iter().map(|(leaf, _)| *leaf).collect::<Vec<_>>());
        let (round, session) = (row.round, context.session());
        let count = leaves.len() as u32;
        let sign = move |register| {
            let closed = Closed {
                round,
                session,
                root,
                count,
                closed_ms: now,
                register,
            };
            Ok(signer.sign(&closed).map_err(unsigned)?.1)
        };
        Ok(Closing::Closed {
            sign: Box::new(sign),
            deadline_ms: now + u64::from(task.deadlines.challenging_ms),
        })
    };
    let empty = RegisterHead::empty(&context.federation().digest());
    Ok(app
        .store
        .close_round(&row.round, &empty, &decide, now)
        .await?)
}

/// Why what is stored is too little for any verdict: submissions of devices, or stewards with all their candidates of noise.
fn too_little(context: &RoundContext, leaves: &[Leaf]) -> Option<(AbortReason, String)> {
    let task = context.task();
    let devices = leaves.iter().filter(|(_, noise)| noise.is_none()).count();
    let least = task.policy.min_accepted;
    if devices < least as usize {
        let detail = format!("{devices} of at least {least} submissions arrived in time");
        return Some((AbortReason::TooFewSubmissions, detail));
    }
    let candidates = task
        .options
        .noise
        .map_or(0, |noise| usize::from(noise.candidates));
    let complete = |point: &i16| {
        let of_point = |(_, noise): &&Leaf| *noise == Some(*point);
        leaves.iter().filter(of_point).count() >= candidates
    };
    let points = 1..=i16::from(context.threshold().m());
    let (stewards, least) = (points.filter(complete).count(), context.least_noise());
    (stewards < least).then(|| {
        let detail =
            format!("the noise of {stewards} of at least {least} stewards arrived in time");
        (AbortReason::TooLittleNoise, detail)
    })
}
