//! What nobody knew before the round was closed (A20).

use dawn_identity::Signed;
use dawn_protocol::{Challenge, RoundChallenged, RoundClosed};

use crate::blame;
use crate::finding::Finding;
use crate::rule::AuditRule;

/// The challenge is the aggregator's, about the root that it closed, and has the proven parts of exactly T
/// seated stewards. The aggregator has verified them before it signed.
pub(crate) fn check(
    round: RoundClosed,
    challenge: &Signed<Challenge>,
) -> Result<RoundChallenged, Finding> {
    let rule = AuditRule::Challenge;
    blame::by_aggregator(&round, rule, challenge)?;
    let body = challenge.peek();
    blame::aggregator_about(&round, rule, &body.round, &body.session)?;
    round
        .challenged(challenge)
        .map_err(|e| Finding::of(rule, e))
}
