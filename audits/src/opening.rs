//! What a round's openings open: the sum of the accepted payloads, or that of every group (A12, A13).

use dawn_identity::Signed;
use dawn_protocol::group_sums::group_sums_digest;
use dawn_protocol::phase::JudgeError;
use dawn_protocol::{Culprit, GroupSums, Judged, Opened, Opening};

use crate::finding::{Finding, Party};
use crate::rule::AuditRule;

/// Masked sums, and what stands beside the openings when groups are asked for.
pub(crate) struct Sums {
    pub(crate) masked: Vec<Vec<u32>>,
    pub(crate) given: Option<Vec<GroupSums>>,
}

impl Sums {
    /// Opens them.
    pub(crate) fn open(
        &self,
        judged: &Judged,
        openings: &[Signed<Opening>],
    ) -> Result<Opened, JudgeError> {
        match &self.given {
            Some(given) => judged.open_groups(&self.masked, openings, given),
            None => judged.open(self.masked.first().map_or(&[], Vec::as_slice), openings),
        }
    }
}

/// A12: beside every opening stand the sums over groups that it names, when groups are asked for, and only then.
pub(crate) fn check_group_sums(
    judged: &Judged,
    openings: &[Signed<Opening>],
    beside: &[Option<Vec<u8>>],
) -> Result<Option<Vec<GroupSums>>, Finding> {
    let rule = AuditRule::Openings;
    let groups = judged.round_challenged().groups();
    let mut given = Vec::new();
    for (opening, bytes) in openings.iter().zip(beside) {
        let opening = opening.peek();
        let named = bytes.as_deref().map(group_sums_digest);
        Finding::unless(
            named == opening.groups,
            rule,
            Party::Provider,
            format_args!(
                "the sums beside the opening of steward {} are not those that it names",
                opening.steward
            ),
        )?;
        let Some((bytes, groups)) = bytes.as_deref().zip(groups) else {
            continue;
        };
        // The steward signed for these very bytes; the aggregator must not have taken them.
        let sums = GroupSums::from_bytes(bytes, groups.count(), Culprit::Aggregator);
        let sums = sums.map_err(|violation| Finding::of(rule, violation))?;
        sums.verify(opening, Culprit::Aggregator)
            .map_err(|violation| Finding::of(rule, violation))?;
        given.push(sums);
    }
    Ok(groups.is_some().then_some(given))
}
