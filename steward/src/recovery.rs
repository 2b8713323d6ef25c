//! What a steward does when its store turns out not to be the one that it left: it distrusts it.
//!
//! Every round that the store knows and has not finished is over for this steward, every round up to the highest that
//! store or guard know of is refused, and the ledgers become the larger of what store and guard say. What was finished
//! in the store stays: those bytes are the ones that left.
//!
//! When the guard is gone as well, nothing says how old the store is. Then a task counts only when its owner signed it
//! later than that moment, and a data source that has a limit of its own only after a person has stated what was spent.

use crate::change::Change;
use crate::guard::Memory;
use crate::records::End;
use crate::vault::VaultError;

/// Writes the consequences into the store. `guard_lost_at` is set when there is no guard.
pub(crate) fn distrust(
    change: &mut Change<'_>,
    memory: &Memory,
    guard_lost_at: Option<u64>,
) -> Result<(), VaultError> {
    for (round, mut record) in change.rounds(None)? {
        if record.end.is_none() {
            record.end = Some(End::Restored);
            change.put_round(&round, &record)?;
        }
    }
    for (task, mut record) in change.tasks()? {
        record.floor = record.floor.max(record.highest);
        change.put_task(&task, &record)?;
    }
    for (task, remembered) in &memory.tasks {
        let mut record = change.task(task)?;
        record.highest = record.highest.max(remembered.highest);
        record.floor = record.floor.max(record.highest);
        record.spent = record.spent.max(remembered.spent);
        change.put_task(task, &record)?;
    }
    for source in change.sources()? {
        // The guard may be new: it has to learn what the store knows.
        change.put_spent(&source, 0)?;
    }
    for (source, spent) in &memory.sources {
        change.put_spent(source, *spent)?;
    }
    // The same of the register: who shows less than was known is refused, whichever of the two is lost next.
    if let Some(known) = change.register()? {
        change.put_register(&known)?;
    }
    if let Some(known) = change.server_keys()? {
        change.put_server_keys(&known)?;
    }
    // An older store does not know that a guard was lost before; the guard that followed does.
    if let Some(at) = guard_lost_at.or(memory.guard_lost_at) {
        change.guard_lost(at)?;
    }
    Ok(())
}
