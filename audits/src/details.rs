//! What became of one round, for people: who took part, which stewards spoke, and when.

use std::collections::BTreeMap;

use dawn_crypto::digest::Digest;
use dawn_identity::{OrgId, StewardId};
use dawn_protocol::roll::Roll;
use dawn_protocol::{Decision, RoundContext};
use serde::{Deserialize, Serialize};

use crate::preamble::Preamble;
use crate::round::Told;

/// The particulars of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoundDetails {
    /// The digest at the end of the transcript.
    pub transcript: Option<Digest>,
    /// The transcript is without payloads and answers, and was not looked at with them.
    pub detached: bool,
    /// The task's name.
    pub task_name: String,
    /// When the specification says that the round was opened, unix milliseconds: the aggregator's clock.
    pub opened_ms: Option<u64>,
    /// When the closing says that it was closed, unix milliseconds: the aggregator's clock.
    pub closed_ms: Option<u64>,
    /// What the task may spend, in micro-rho; none: there is no budget.
    pub budget_micro_rho: Option<u64>,
    /// Epsilon is at delta `10^-delta_exponent`.
    pub delta_exponent: u8,
    /// The organisations whose devices submitted, by identifier.
    pub organisations: Vec<OrganisationDetails>,
    /// The stewards of the roster, by point.
    pub stewards: Vec<StewardDetails>,
}

/// An organisation's part in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationDetails {
    /// The organisation.
    pub id: OrgId,
    /// Its name in the founding document or in its registration. Anybody may choose any name.
    pub name: String,
    /// Submissions of its devices under the closed root; those that do not verify name it falsely, perhaps.
    pub submitted: u32,
    /// Of these, in the sum.
    pub accepted: u32,
    /// Of these, left out, by reason.
    pub rejected: BTreeMap<String, u32>,
}

/// A steward's part in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StewardDetails {
    /// The steward.
    pub id: StewardId,
    /// The name of its organisation.
    pub organisation: String,
    /// It gave a sealing key in time.
    pub seated: bool,
    /// It endorsed the specification.
    pub endorsed: bool,
    /// It reported on its packages.
    pub reported: bool,
    /// It answered the verdict.
    pub opened: bool,
}

impl RoundDetails {
    /// Who spoke in a round, and when.
    pub(crate) fn of(
        preamble: &Preamble,
        context: Option<&RoundContext>,
        endorsed: &[StewardId],
        told: &Told,
    ) -> Self {
        let task = preamble.context.task();
        let reported: Vec<_> = told.reports.iter().map(|r| r.peek().steward).collect();
        let opened: Vec<_> = told.openings.iter().map(|o| o.peek().steward).collect();
        let seats = context.map_or(&[][..], |context| context.seats());
        let stewards = preamble.context.roster().stewards().iter().map(|entry| {
            let id = entry.id();
            StewardDetails {
                id,
                organisation: preamble.name(&entry.org),
                seated: seats.iter().any(|seat| seat.steward == id),
                endorsed: endorsed.contains(&id),
                reported: reported.contains(&id),
                opened: opened.contains(&id),
            }
        });
        Self {
            transcript: None,
            detached: false,
            task_name: task.name.clone(),
            opened_ms: context.map(|context| context.spec().opened_ms),
            closed_ms: told.closed.as_ref().map(|closed| closed.peek().closed_ms),
            budget_micro_rho: task.privacy.budget_micro_rho,
            delta_exponent: task.privacy.delta_exponent,
            organisations: Vec::new(),
            stewards: stewards.collect(),
        }
    }

    /// Who submitted, and what was decided about it; nothing when nothing was decided.
    pub(crate) fn listed(&mut self, preamble: &Preamble, roll: &Roll, decisions: &[Decision]) {
        let mut all: BTreeMap<OrgId, OrganisationDetails> = BTreeMap::new();
        for (place, entry) in roll.entries().iter().enumerate() {
            if entry.noise.is_some() {
                continue;
            }
            let org = all.entry(entry.org).or_insert_with(|| OrganisationDetails {
                id: entry.org,
                name: preamble.name(&entry.org),
                submitted: 0,
                accepted: 0,
                rejected: BTreeMap::new(),
            });
            org.submitted += 1;
            match decisions.get(place) {
                Some(Decision::Accepted) => org.accepted += 1,
                Some(decision) => {
                    *org.rejected.entry(decision.name().to_owned()).or_default() += 1;
                }
                None => {}
            }
        }
        self.organisations = all.into_values().collect();
    }
}
