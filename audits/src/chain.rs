//! From round to round: nothing missing, nothing told twice, one model after the other, and what
//! was spent adds up (A15 to A17).

use std::collections::BTreeMap;

use dawn_crypto::digest::Digest;
use dawn_identity::TaskId;
use dawn_protocol::{RoundId, Start, Terminal, Verdict};

use crate::finding::{Finding, Party};
use crate::preamble::Preamble;
use crate::rule::AuditRule;

/// The end of the last audited round of a task.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) number: u32,
    /// Body digest of the terminal statement.
    pub(crate) terminal: Digest,
    /// What it started from.
    pub(crate) start: Start,
    /// None where nothing is known of it.
    pub(crate) spent: Option<Spent>,
}

/// What rounds have spent, in micro-rho: within these bounds, where a verdict may have been left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Spent {
    pub(crate) fn exactly(spent: u64) -> Self {
        Self {
            least: spent,
            most: spent,
        }
    }

    /// With a charge that may or may not have been made.
    pub(crate) fn perhaps(self, charge: u64) -> Self {
        Self {
            most: self.most.saturating_add(charge),
            ..self
        }
    }
}

impl std::fmt::Display for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.least == self.most {
            true => write!(f, "{}", self.least),
            false => write!(f, "{} to {}", self.least, self.most),
        }
    }
}

/// What is known of the rounds before, by task. What is not known is noted, not assumed.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    links: BTreeMap<TaskId, Link>,
    unchecked: Vec<String>,
}

impl Chain {
    /// Checks that a round follows the last one of its task, as far as that one was audited. Gives what that one started
    /// from, when it is known.
    pub(crate) fn continues(
        &self,
        preamble: &Preamble,
        round: &RoundId,
    ) -> Result<Option<Start>, Finding> {
        let rule = AuditRule::Continuity;
        let provider = |holds, detail: &str| Finding::unless(holds, rule, Party::Provider, detail);
        match &preamble.previous {
            None => provider(round.number == 1, "how the round before ended is missing")?,
            Some(terminal) => provider(
                terminal.round().next() == *round && round.number > 1,
                "what is here as the end of the round before is not that",
            )?,
        }
        let Some(link) = self.links.get(&round.task) else {
            return Ok(None);
        };
        Finding::unless(
            link.number.checked_add(1) == Some(round.number),
            rule,
            Party::Provider,
            format_args!(
                "round {} comes after round {}: a round is missing or here twice",
                round.number, link.number
            ),
        )?;
        let named = preamble.previous.as_ref().map(Terminal::digest);
        Finding::unless(
            named == Some(link.terminal),
            rule,
            Party::Aggregator,
            "the aggregator signed two ends of one round",
        )?;
        Ok(Some(link.start))
    }

    /// Notes what cannot be checked because the rounds before are not here.
    pub(crate) fn note_unknown(&mut self, preamble: &Preamble, round: &RoundId) {
        if self.spent_before(round).is_some() {
            return;
        }
        self.unchecked.push(format!(
            "round {round}: the rounds before it are not here, so what they spent is taken from the verdict"
        ));
        if self.links.contains_key(&round.task) {
            return;
        }
        // What the abort of round 1 leaves is known.
        if round.number > 2 && matches!(preamble.previous, Some(Terminal::Aborted(_))) {
            self.unchecked.push(format!(
                "round {round}: the round before was aborted and is not here, so that it left the model that it started from is the aggregator's word alone"
            ));
        }
    }

    /// A16: the verdict adds its charge to what was spent before. Only known within a chain.
    pub(crate) fn check_spent(&self, round: &RoundId, verdict: &Verdict) -> Result<(), Finding> {
        let Some(before) = self.spent_before(round) else {
            return Ok(());
        };
        Finding::unless(
            (verdict.spent_micro_rho)
                .checked_sub(verdict.charge_micro_rho)
                .is_some_and(|stated| (before.least..=before.most).contains(&stated)),
            AuditRule::Budget,
            Party::Aggregator,
            format_args!(
                "{before} micro-rho were spent before and {} are charged, but the verdict says {} are spent",
                verdict.charge_micro_rho, verdict.spent_micro_rho
            ),
        )
    }

    /// What the rounds before have spent, when they are known.
    pub(crate) fn spent_before(&self, round: &RoundId) -> Option<Spent> {
        match self.links.get(&round.task) {
            Some(link) => link.spent,
            None => (round.number == 1).then_some(Spent::exactly(0)),
        }
    }

    /// The next round of this task follows this one.
    pub(crate) fn link(&mut self, task: TaskId, link: Link) {
        self.links.insert(task, link);
    }

    pub(crate) fn unchecked(&mut self) -> &mut Vec<String> {
        &mut self.unchecked
    }
}
