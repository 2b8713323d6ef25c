//! Tasks: accepted, they begin at once.

use dawn_identity::{Signed, TaskId};
use dawn_learn::way::public::MAX_PUBLIC_BYTES;
use dawn_protocol::Task;
use dawn_protocol::digests::model_digest;

use super::Stored;
use crate::app::App;
use crate::clock::{now_ms, now_s};
use crate::payloads::ObjectKey;
use crate::problem::Problem;
use crate::round::compute;
use crate::store::rounds::NewRound;
use crate::store::tasks::{NewBudget, TaskRow};

/// How far ahead of this server's clock a task may be dated, in seconds.
const CLOCK_SKEW_S: u64 = 300;

/// Why a task is refused that would be fine later.
const FULL: &str =
    "the owner has as many tasks running as this server takes; wait until one has ended";

/// The first bytes of a task that brings its public set: then the task's length, `u32` little-endian, the task, and the set.
const WITH_PUBLIC_SET: [u8; 4] = *b"DWND";

/// Most bytes of a task that is posted.
pub const MOST_TASK_BYTES: usize = Signed::<Task>::MAX_BYTES + 8 + MAX_PUBLIC_BYTES;

/// The signed task, and the public set that comes with it.
///
/// # Errors
/// It is cut off.
pub fn task_parts(body: &[u8]) -> Result<(&[u8], Option<&[u8]>), Problem> {
    let Some(rest) = body.strip_prefix(&WITH_PUBLIC_SET) else {
        return Ok((body, None));
    };
    let cut = || Problem::malformed("a task with a public set is cut off");
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (task, set) = rest.split_at_checked(length).ok_or_else(cut)?;
    Ok((task, Some(set)))
}

/// Takes a task that its owner's issuer signed, stores the initial weights and begins round 1.
///
/// # Errors
/// Malformed, a rule broken, an unknown roster, a public set is missing or another one, or the owner has too many tasks running.
pub async fn add_task(app: &App, body: &[u8]) -> Result<(TaskId, Stored), Problem> {
    let (bytes, public_set) = task_parts(body)?;
    let signed = Signed::<Task>::from_bytes(bytes).map_err(Problem::malformed)?;
    let body = signed.peek();
    // What a replica without the server's keys would open no round of.
    app.check_keys().await?;
    let context = app.verify_task(&signed).await?.map_err(Problem::invalid)?;
    let members = app.members().await?;
    let owner = members
        .get(&body.owner)
        .ok_or_else(|| Problem::forbidden("the owner is not a member"))?;
    owner
        .verify_issuer(&body.issuer, now_s())
        .map_err(Problem::invalid)?;
    context
        .verify_standing(&members, now_s())
        .map_err(Problem::forbidden)?;
    if body.created > now_s() + CLOCK_SKEW_S {
        return Err(Problem::invalid("the task is dated in the future"));
    }
    match (context.wanted_public_set(), public_set) {
        (None, None) => {}
        (Some(_), None) => {
            return Err(Problem::invalid(
                "the task distils: post it together with its public set, \"DWND\" and the length of the task before it",
            ));
        }
        (_, Some(set)) => context.learn_public_set(set).map_err(Problem::invalid)?,
    }
    // The weights may be large and are not swept: nobody who is refused below may leave any.
    if app.store.task(&context.id()).await?.is_some() {
        return Ok((context.id(), Stored::Already));
    }
    // What a task names is what its owner has seen: who opens its first round.
    if let Some(newest) = members.newest_roster()
        && newest.digest() != body.roster
    {
        return Err(Problem::invalid(format!(
            "the task names a roster that is not the newest: epoch {} is {}",
            newest.epoch(),
            newest.digest()
        )));
    }
    let limit = app.config.limits.open_tasks_per_org;
    if app.store.open_tasks(&body.owner).await? >= u64::from(limit) {
        return Err(Problem::quota(FULL));
    }
    if let Some((digest, _)) = context.wanted_public_set() {
        let set = public_set.unwrap_or_default().to_vec();
        app.payloads
            .put(&ObjectKey::public_set(&digest), set)
            .await?;
    }
    let begun = context.clone();
    let weights = compute(move || begun.initial_model())
        .await
        .map_err(|_| Problem::internal("the initial weights cannot be computed"))?
        .map_err(Problem::invalid)?
        .to_bytes();
    let model = model_digest(&weights);
    app.payloads.put(&ObjectKey::model(&model), weights).await?;
    let now = now_ms();
    let row = TaskRow {
        task: context.id(),
        name: body.name.clone(),
        owner: body.owner,
        roster: body.roster,
        rounds: body.rounds,
        signed_task: bytes.to_vec(),
        created_ms: now,
        ended_ms: None,
    };
    let budget = NewBudget {
        data_source: body.data_source.clone(),
        limit_micro_rho: body.privacy.budget_micro_rho,
    };
    let first = NewRound {
        model,
        previous: None,
        now_ms: now,
        deadline_ms: now + u64::from(body.deadlines.keying_ms),
    };
    let inserted = app.store.add_task(&row, &budget, &first, limit).await?;
    let stored = Stored::from_insert(inserted, "another task has this identifier", FULL)?;
    if stored == Stored::Now {
        tracing::info!(task = %row.task, name = row.name, rounds = row.rounds, "a task begins");
        app.changed();
    }
    Ok((row.task, stored))
}
