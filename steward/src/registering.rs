//! The federation's register as far as this steward was shown it (`docs/protocol.md`, section 4.11). It only grows, also over
//! restarts: how far it was known when something was said is in the memory, and who shows less afterwards is refused.

use std::sync::PoisonError;

use dawn_identity::{Members, Register, RegisterHead, Signed};
use dawn_protocol::{Closed, Culprit, RoundContext, RoundId, Rule, Violation};
use rand_core::CryptoRng;

use crate::change::Change;
use crate::error::{Refusal, StewardError};
use crate::guard::KeysMemory;
use crate::state::StewardState;

const OTHER_REGISTER: &str =
    "this is another register than the one that this steward was shown before";

fn hidden(known: &KeysMemory) -> StewardError {
    let known = known.changes;
    Refusal::KeyChangeHidden { known }.into()
}

/// What there is to remember of the keys that the register shows.
fn news(known: Option<KeysMemory>, shown: KeysMemory) -> Result<Option<KeysMemory>, StewardError> {
    match known {
        Some(known) if known == shown => Ok(None),
        Some(known) if known.changes >= shown.changes => Err(hidden(&known)),
        None if shown.changes == 0 => Ok(None),
        _ => Ok(Some(shown)),
    }
}

impl StewardState {
    /// Takes entries of the register that come after the first `after`. What this steward has seen of it stays: an aggregator
    /// that later shows another register is refused, also after a restart.
    ///
    /// # Errors
    /// [`Refusal::Violation`] by the aggregator, for an entry that does not follow, and for another register than the one
    /// that the memory knows; [`StewardError::Vault`].
    pub fn learn_register(&self, after: u64, entries: &[Vec<u8>]) -> Result<(), StewardError> {
        // First: who decides holds the memory while it looks at the register.
        let seen = self.vault.register()?;
        let mut register = self
            .register
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let violation = |detail: &dyn std::fmt::Display| {
            Violation::new(Culprit::Aggregator, Rule::Register, detail)
        };
        // Another item of work may have fetched the same, or has started anew since this was fetched.
        let Some(known) = register.head().entries.checked_sub(after) else {
            return Ok(());
        };
        let mut new = entries
            .iter()
            .skip(usize::try_from(known).unwrap_or(usize::MAX));
        let wrong = match new.find_map(|entry| register.push(entry).err()) {
            Some(error) => violation(&error),
            None => match seen {
                Some(seen)
                    if seen.entries <= register.head().entries && !register.contains(&seen) =>
                {
                    violation(&OTHER_REGISTER)
                }
                _ => return Ok(()),
            },
        };
        // Nothing of it stays: it may be what the true one does not follow, and what is judged by.
        *register = Register::new(self.federation());
        drop(register);
        self.forget_tasks();
        Err(wrong.into())
    }

    /// Remembers which change of the server's keys was the last one, also when nothing is said: a restart makes no steward
    /// forget that a key was replaced. Nothing else of the register is remembered by reading it alone: others than founders
    /// sign entries too, and whoever answers in the server's place once could have this steward refuse the true register for
    /// ever.
    ///
    /// # Errors
    /// [`StewardError::Vault`], [`Refusal::KeyChangeHidden`].
    pub fn keep_server_keys<R: CryptoRng>(&self, rng: &mut R) -> Result<(), StewardError> {
        // Without a transaction when there is nothing to write.
        match news(self.vault.server_keys()?, self.shown_keys())? {
            None => Ok(()),
            Some(_) => self.vault.write(rng, |change| self.remember_keys(change)),
        }
    }

    fn shown_keys(&self) -> KeysMemory {
        let register = self.register.read().unwrap_or_else(PoisonError::into_inner);
        let (changes, last) = register.members().last_server_key_change();
        KeysMemory { changes, last }
    }

    /// That the register has the changes of the server's keys that were read before, which are remembered.
    fn remember_keys(&self, change: &mut Change<'_>) -> Result<(), StewardError> {
        match news(change.server_keys()?, self.shown_keys())? {
            None => Ok(()),
            Some(shown) => Ok(change.put_server_keys(&shown)?),
        }
    }

    /// How many entries of the register this steward has.
    pub fn register_entries(&self) -> u64 {
        self.register_head().entries
    }

    pub(crate) fn register_head(&self) -> RegisterHead {
        let register = self.register.read().unwrap_or_else(PoisonError::into_inner);
        register.head()
    }

    /// The members as far as they are known now.
    pub(crate) fn members(&self) -> Members {
        self.register
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .members()
            .clone()
    }

    /// The members as of a place that a round names.
    ///
    /// # Errors
    /// [`Refusal::Violation`] by the aggregator, when it is not one of the register that this steward was shown.
    pub(crate) fn members_at(&self, head: &RegisterHead) -> Result<Members, StewardError> {
        let register = self.register.read().unwrap_or_else(PoisonError::into_inner);
        let detail = "the round names another register than this steward was shown";
        let members = register.at(head);
        members.ok_or_else(|| Violation::new(Culprit::Aggregator, Rule::Register, detail).into())
    }

    /// That the key with which a round was specified is still the aggregator's, as far as the register is known: no less than
    /// when something was said before, or whoever has stolen the old key would wait for a restart.
    ///
    /// # Errors
    /// [`Refusal::KeyReplaced`]; those of [`StewardState::remember_register`].
    pub(crate) fn check_key(
        &self,
        change: &mut Change<'_>,
        context: &RoundContext,
    ) -> Result<(), StewardError> {
        self.remember_register(change)?;
        let register = self.register.read().unwrap_or_else(PoisonError::into_inner);
        let counts = context.verify_key_counts(register.members());
        counts.map_err(|_| Refusal::KeyReplaced(context.round_id()).into())
    }

    /// Remembers how far the register is known while something is said; gives the number of its entries. What was known when
    /// something was said before has been shown again.
    ///
    /// # Errors
    /// [`Refusal::RegisterShrank`], [`Refusal::KeyChangeHidden`]; [`Refusal::Violation`] by the aggregator when it is another one.
    pub(crate) fn remember_register(&self, change: &mut Change<'_>) -> Result<u64, StewardError> {
        self.remember_keys(change)?;
        let register = self.register.read().unwrap_or_else(PoisonError::into_inner);
        let head = register.head();
        match change.register()? {
            Some(known) if head.entries < known.entries => {
                let (shown, known) = (head.entries, known.entries);
                return Err(Refusal::RegisterShrank { shown, known }.into());
            }
            Some(known) if !register.contains(&known) => {
                return Err(
                    Violation::new(Culprit::Aggregator, Rule::Register, OTHER_REGISTER).into(),
                );
            }
            Some(known) if head == known => {}
            _ => change.put_register(&head)?,
        }
        Ok(head.entries)
    }

    /// That a closing does not leave out what this steward knew of the register when it endorsed the round, or when it gave
    /// its sealing key to one that others endorsed. Nobody is blamed: the list may have been closed while it endorsed.
    ///
    /// # Errors
    /// [`Refusal::OldClosing`].
    pub(crate) fn check_closing(
        &self,
        change: &Change<'_>,
        round: &RoundId,
        closed: &Signed<Closed>,
    ) -> Result<(), StewardError> {
        let record = change.round(round)?;
        let known = record.endorsed.or(record.register).unwrap_or_default();
        let named = closed.peek().register.entries;
        if named < known {
            return Err(Refusal::OldClosing {
                round: *round,
                named,
                known,
            }
            .into());
        }
        Ok(())
    }
}
