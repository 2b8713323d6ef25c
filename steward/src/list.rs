//! Reading the closed list of a round page by page (`docs/protocol.md`, section 4.6). Nothing is said about a list before
//! the headers seen are exactly those under its root.

use dawn_identity::{Members, Signed};
use dawn_protocol::roll::Roll;
use dawn_protocol::{Closed, PackagePage, RoundClosed, RoundId, RoundOpen};

use crate::change::Change;
use crate::error::{Refusal, StewardError};
use crate::findings::Findings;
use crate::state::StewardState;

/// A closed list that is being read. Every header is verified; packages are passed over.
pub struct ListWork {
    open: RoundOpen,
    closed: Signed<Closed>,
    members: Members,
    roll: Roll,
}

impl std::fmt::Debug for ListWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seen, count) = (self.roll.len(), self.closed.peek().count);
        write!(f, "ListWork({}, {seen} of {count})", self.round())
    }
}

impl ListWork {
    pub(crate) fn new(open: RoundOpen, closed: Signed<Closed>, members: Members) -> Self {
        Self {
            open,
            closed,
            members,
            roll: Roll::new(),
        }
    }

    /// The round.
    pub fn round(&self) -> RoundId {
        self.open.round_id()
    }

    /// The closing statement.
    pub(crate) fn statement(&self) -> &Signed<Closed> {
        &self.closed
    }

    /// Index of the first submission of the next page; `None` when all have been seen.
    pub fn next_index(&self) -> Option<u32> {
        next_index(self.roll.len(), self.closed.peek().count)
    }

    /// Takes the next page. Slow: verifies every signature of it.
    ///
    /// # Errors
    /// [`Refusal`], all of them the aggregator's fault.
    pub fn page(&mut self, page: &PackagePage) -> Result<(), Refusal> {
        check_page(
            self.round(),
            page,
            self.roll.len(),
            self.closed.peek().count,
        )?;
        for item in &page.items {
            self.roll.push(&self.open, &self.members, &item.header)?;
        }
        Ok(())
    }

    /// The closed round, when the pages were exactly the list.
    ///
    /// # Errors
    /// [`Refusal::WrongCount`]; [`Refusal::Violation`].
    pub(crate) fn finish(self) -> Result<RoundClosed, Refusal> {
        check_count(self.round(), self.roll.len(), self.closed.peek().count)?;
        Ok(self.open.close(&self.closed, self.roll)?)
    }
}

/// Where the next page begins.
pub(crate) fn next_index(seen: usize, count: u32) -> Option<u32> {
    let next = u32::try_from(seen).unwrap_or(u32::MAX);
    (next < count).then_some(next)
}

/// That a page is the next one, and not longer than the list.
pub(crate) fn check_page(
    round: RoundId,
    page: &PackagePage,
    seen: usize,
    count: u32,
) -> Result<(), Refusal> {
    let seen = u32::try_from(seen).unwrap_or(u32::MAX);
    if page.first != seen {
        return Err(Refusal::WrongPage {
            round,
            expected: seen,
            found: page.first,
        });
    }
    let found = seen.saturating_add(u32::try_from(page.items.len()).unwrap_or(u32::MAX));
    // An empty page would be asked for again and again.
    if found > count || page.items.is_empty() {
        return Err(Refusal::WrongCount {
            round,
            expected: count,
            found,
        });
    }
    Ok(())
}

/// That the whole list was seen.
pub(crate) fn check_count(round: RoundId, seen: usize, count: u32) -> Result<(), Refusal> {
    let found = u32::try_from(seen).unwrap_or(u32::MAX);
    if found == count {
        return Ok(());
    }
    Err(Refusal::WrongCount {
        round,
        expected: count,
        found,
    })
}

impl StewardState {
    /// That nothing has been said about another closed list of the round, and that this one leaves out nothing of the
    /// register that was known before.
    pub(crate) fn check_list(
        &self,
        change: &Change<'_>,
        round: &RoundId,
        closed: &Signed<Closed>,
    ) -> Result<(), StewardError> {
        self.check_closing(change, round, closed)?;
        match change.round(round)?.closed {
            Some(known) if known != closed.body_digest() => Err(Refusal::OtherList(*round).into()),
            _ => Ok(()),
        }
    }

    /// Remembers the closed list that something is said about, as the only one of its round.
    pub(crate) fn take_list(
        &self,
        change: &mut Change<'_>,
        round: &RoundId,
        closed: &Signed<Closed>,
        findings: &Findings,
    ) -> Result<(), StewardError> {
        self.check_list(change, round, closed)?;
        let mut record = change.round(round)?;
        record.closed = Some(closed.body_digest());
        change.put_round(round, &record)?;
        Ok(change.put_findings(round, &findings.to_bytes())?)
    }
}
