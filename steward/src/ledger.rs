//! The steward's own ledger of privacy (`docs/protocol.md`, section 4.8): per task, and per data source over all tasks.
//! What the aggregator says has been spent can only raise it.

use dawn_protocol::violation::{Culprit, Rule, Violation};
use dawn_protocol::{RoundId, TaskContext};

use crate::change::Change;
use crate::error::{Refusal, StewardError};
use crate::state::StewardState;

impl StewardState {
    /// What both ledgers would say after a round of this charge. `stated` is what the round's verdict says that the
    /// task has spent with it; there is none before the verdict.
    ///
    /// Any two sets of T stewards have an honest one in common, so that a verdict which leaves out a round that was
    /// opened finds an opener who knows better: the budget holds although no steward answers in every round.
    ///
    /// # Errors
    /// [`Refusal::Budget`], [`Refusal::LedgerUnknown`]; [`Rule::Charge`] when `stated` is more than all rounds so far
    /// can have cost, or less than this steward knows of.
    pub(crate) fn afford(
        &self,
        change: &Change<'_>,
        context: &TaskContext,
        round: &RoundId,
        stated: Option<u64>,
    ) -> Result<Spending, StewardError> {
        let task = context.task();
        let charge = context.charge_micro_rho();
        let before = change.task(&round.task)?.spent;
        let known = before.saturating_add(charge);
        let wrong = |detail: &str| {
            StewardError::from(Violation::new(Culprit::Aggregator, Rule::Charge, detail))
        };
        if stated.is_some_and(|stated| stated > charge.saturating_mul(u64::from(round.number))) {
            return Err(wrong(
                "more is said to be spent than all rounds of the task so far can have cost",
            ));
        }
        if stated.is_some_and(|stated| stated < known) {
            return Err(wrong("less is said to be spent than this steward knows of"));
        }
        let refuse = |ledger: String, spent, limit| {
            StewardError::from(Refusal::Budget {
                round: *round,
                ledger,
                spent,
                charge,
                limit,
            })
        };
        let after = stated.unwrap_or(known);
        if let Some(limit) = task.privacy.budget_micro_rho.filter(|limit| after > *limit) {
            return Err(refuse("the task".to_owned(), after - charge, limit));
        }
        let source_before = change.spent(&task.data_source)?;
        let source_after = source_before.saturating_add(after - before);
        if let Some(limit) = self.budgets.get(&task.data_source) {
            if self.vault.recovery()?.ledger_unknown(&task.data_source) {
                return Err(Refusal::LedgerUnknown(task.data_source.clone()).into());
            }
            if source_after > *limit {
                let ledger = format!("data source {:?}", task.data_source);
                return Err(refuse(ledger, source_after.saturating_sub(charge), *limit));
            }
        }
        Ok(Spending {
            task: after,
            source: source_after,
        })
    }

    /// Writes both ledgers.
    pub(crate) fn charge(
        &self,
        change: &mut Change<'_>,
        context: &TaskContext,
        spending: Spending,
    ) -> Result<(), StewardError> {
        let mut record = change.task(&context.id())?;
        record.spent = spending.task;
        change.put_task(&context.id(), &record)?;
        change.put_spent(&context.task().data_source, spending.source)?;
        Ok(())
    }
}

/// What the ledgers say after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spending {
    task: u64,
    source: u64,
}
