//! The sealed packages of one steward.

use dawn_crypto::params::MAX_STEWARDS;
use dawn_identity::StewardId;
use dawn_protocol::submission::MAX_PACKAGE_BYTES;
use dawn_protocol::{PackageItem, PackagePage, RoundId};

use crate::app::App;
use crate::payloads::ObjectKey;
use crate::problem::Problem;
use crate::store::rounds::Phase;

/// Most bytes of the packages of one submission, with their count and lengths.
const MOST_BYTES: u64 = (1 + MAX_STEWARDS * (4 + MAX_PACKAGE_BYTES)) as u64;

/// The packages for a steward of a closed round in root order, beginning at the place `first`.
///
/// # Errors
/// The round is not closed or is over, or the steward has no seat in it.
pub async fn package_page(
    app: &App,
    id: &RoundId,
    steward: &StewardId,
    first: u32,
) -> Result<PackagePage, Problem> {
    let context = app.round_context(id).await?;
    let seat = context
        .roster()
        .point_of(steward)
        .and_then(|point| context.seat_index(point))
        .ok_or_else(|| Problem::not_found("this steward has no seat in this round"))?;
    check_phase(app, id).await?;
    let most = PackagePage::MAX_ITEMS as u32;
    // One more than fits, to know whether there is a next page.
    let mut headers = app.store.headers(id, first, most + 1).await?;
    let more = headers.len() > PackagePage::MAX_ITEMS;
    headers.truncate(PackagePage::MAX_ITEMS);
    let next = headers.last().filter(|_| more).map(|row| row.position + 1);
    let mut items = Vec::with_capacity(headers.len());
    for row in headers {
        let key = ObjectKey::packages(&id.task.0, id.number, &row.header_digest);
        let section = match app.payloads.get(&key, MOST_BYTES).await {
            Err(error) if error.is_missing() => {
                // The round may have ended meanwhile.
                check_phase(app, id).await?;
                return Err(error.into());
            }
            section => section?,
        };
        let package = nth(&section, seat).ok_or_else(|| {
            tracing::error!(%key, "a stored object of packages is broken");
            Problem::internal("a stored package is broken")
        })?;
        items.push(PackageItem {
            header: row.header,
            package: package.to_vec(),
        });
    }
    Ok(PackagePage { first, items, next })
}

async fn check_phase(app: &App, id: &RoundId) -> Result<(), Problem> {
    let round = app.store.round(id).await?;
    let round = round.ok_or_else(|| Problem::not_found("the task has no such round"))?;
    match round.phase {
        Phase::Challenging | Phase::Reporting | Phase::Opening => Ok(()),
        _ => Err(Problem::wrong_phase(
            "packages are there from the closing of a round until its end",
        )),
    }
}

/// A package of a section as it is on the wire: a count, then lengths and packages.
fn nth(section: &[u8], index: usize) -> Option<&[u8]> {
    let (count, mut rest) = section.split_first()?;
    if index >= usize::from(*count) {
        return None;
    }
    for place in 0..=index {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (package, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        if place == index {
            return Some(package);
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::nth;

    #[test]
    fn packages_are_found_and_broken_sections_are_not_read_beyond() {
        let section = [2, 1, 0, 0, 0, 7, 2, 0, 0, 0, 8, 9];
        assert_eq!(nth(&section, 0), Some(&[7][..]));
        assert_eq!(nth(&section, 1), Some(&[8, 9][..]));
        assert_eq!(nth(&section, 2), None);
        for cut in 0..section.len() {
            assert_eq!(nth(&section[..cut], 1), None);
        }
    }
}
