//! A steward's opening with its sums over groups, in one body: `"DWNG" | length u32 LE | signed opening | sums`
//! (docs/protocol.md, section 4.7). The sums are stored with the statement that names them, in one transaction.

use axum::body::Body;
use dawn_identity::{Signed, StewardId};
use dawn_protocol::group_sums::group_sums_len;
use dawn_protocol::{Closed, Culprit, GroupSums, Opening, RoundId};

use crate::app::App;
use crate::desk::{StewardKind, count_statement, store_statement, verify_opening};
use crate::http::body::{BodyReader, too_large};
use crate::problem::Problem;
use crate::registry::Stored;
use crate::store::statements::Beside;

/// What an opening with its sums begins with.
pub const OPENING_MAGIC: [u8; 4] = *b"DWNG";

/// Bytes of the largest opening with its sums: those of 64 groups.
pub const MOST_OPENING_BYTES: u64 = (8 + Signed::<Opening>::MAX_BYTES + 64 * 8192) as u64;

/// Takes the opening of a steward in a round of a task that asks for groups.
///
/// # Errors
/// A problem for everything that is wrong with it, or when the steward has opened something else; nothing is stored then.
pub async fn opening(
    app: &App,
    id: &RoundId,
    steward: &StewardId,
    body: Body,
) -> Result<Stored, Problem> {
    let mut reader = BodyReader::new(body, &app.config.limits);
    let outcome = take(app, id, steward, &mut reader).await;
    if outcome.is_err() {
        // Read and forgotten, so that the steward gets to read the answer.
        reader.drain(MOST_OPENING_BYTES).await;
    }
    count_statement(app, StewardKind::Opening, &outcome);
    outcome
}

async fn take(
    app: &App,
    id: &RoundId,
    steward: &StewardId,
    reader: &mut BodyReader,
) -> Result<Stored, Problem> {
    if reader.exactly(OPENING_MAGIC.len()).await?[..] != OPENING_MAGIC {
        return Err(Problem::malformed(
            "not an opening with its sums: it does not begin with DWNG",
        ));
    }
    let most = Signed::<Opening>::MAX_BYTES;
    let length = reader.length().await? as usize;
    if length > most {
        return Err(too_large(most as u64));
    }
    let signed = Signed::<Opening>::from_bytes(&reader.exactly(length).await?)
        .map_err(Problem::malformed)?;
    if signed.peek().steward != *steward {
        return Err(Problem::forbidden(
            "the opening is of another steward than the path",
        ));
    }
    let context = verify_opening(app, id, &signed).await?;
    let rule = context.task().options.groups;
    let rule = rule.ok_or_else(|| Problem::invalid("the task asks for no groups"))?;
    let closed = app
        .own_statement::<Closed>(id)
        .await?
        .ok_or_else(|| Problem::wrong_phase("the round is not closed"))?;
    // All headers of the list were verified when they came.
    let groups = rule.count(closed.peek().count as usize);
    let bytes = reader.exactly(group_sums_len(groups)).await?;
    reader.end().await?;
    let culprit = Culprit::Steward(*steward);
    GroupSums::from_bytes(&bytes, groups, culprit)
        .and_then(|sums| sums.verify(signed.peek(), culprit))
        .map_err(Problem::invalid)?;
    let beside = Beside::GroupSums(&bytes);
    let kind = StewardKind::Opening;
    store_statement(app, id, kind, *steward, &signed, Some(beside)).await
}
