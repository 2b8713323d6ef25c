//! The steward's part of the beacon (`docs/protocol.md`, section 4.6): what nobody knew before the list of submissions was
//! closed. It is given for one list a round, after that list has been verified.

use dawn_identity::{Signed, Statement};
use dawn_protocol::{Closed, RoundAnnouncement, RoundOpen, RoundSpec};
use rand_core::CryptoRng;

use crate::error::{Refusal, StewardError};
use crate::findings::Findings;
use crate::list::ListWork;
use crate::records::AnswerKind;
use crate::state::{StewardState, request};

/// What a request for a part of the beacon needs next.
#[derive(Debug)]
pub enum BeaconStep {
    /// Nothing: an identical request has been answered, with these bytes.
    Answered(Vec<u8>),
    /// The pages, from [`ListWork::next_index`] on.
    Pages(Box<ListWork>),
}

impl StewardState {
    /// Begins a part of the beacon: the announcement has at least T endorsements and the aggregator has closed the round.
    ///
    /// A steward that was away when the round was endorsed takes part from here on: T endorsements make the session the
    /// only one that the round can have.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn share_beacon<R: CryptoRng>(
        &self,
        announcement: &RoundAnnouncement,
        closed: &Signed<Closed>,
        rng: &mut R,
    ) -> Result<BeaconStep, StewardError> {
        let task = self.task_of(&announcement.spec)?;
        let open = RoundOpen::from_announcement(&task, announcement)?;
        open.verify_closed(closed)?;
        let round = open.round_id();
        // The list names task, round, session and root: its digest binds the answer to all of them.
        let request = request(&round, &[closed.body_digest()]);
        let known = self.vault.write(rng, |change| {
            let known = self.serve(change, &round, AnswerKind::BeaconShare, &request)?;
            if known.is_none() {
                self.take_part(change, &open)?;
                self.check_list(change, &round, closed)?;
                let spec = announcement.spec.bytes();
                let needed = [(RoundSpec::KIND, spec), (Closed::KIND, closed.bytes())];
                self.require_logged(&round, &needed)?;
            }
            Ok::<_, StewardError>(known)
        })?;
        if let Some(bytes) = known {
            return Ok(BeaconStep::Answered(bytes));
        }
        let point = self.point(&open)?;
        let named = open.roster().steward_at(point).map(|entry| &entry.vrf);
        if named != Some(self.vrf.public()) {
            return Err(Refusal::NotMyVrfKey(round).into());
        }
        let work = ListWork::new(
            open,
            closed.clone(),
            self.members_at(&closed.peek().register)?,
        );
        Ok(BeaconStep::Pages(Box::new(work)))
    }

    /// Signs the part of the beacon when the pages were exactly the closed list, and keeps it with the list.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn finish_beacon<R: CryptoRng>(
        &self,
        work: ListWork,
        rng: &mut R,
    ) -> Result<Vec<u8>, StewardError> {
        let round = work.round();
        let statement = work.statement().clone();
        let closed = work.finish()?;
        let request = request(&round, &[statement.body_digest()]);
        let share = closed.beacon_share(&self.vrf, self.id);
        let findings = Findings {
            outcomes: Vec::new(),
            entries: closed.roll().entries().to_vec(),
        };
        self.vault.write(rng, |change| {
            // Another request may have been answered while the pages were read.
            if let Some(bytes) = self.serve(change, &round, AnswerKind::BeaconShare, &request)? {
                return Ok(bytes);
            }
            self.take_part(change, &closed)?;
            if change.answer(&round, AnswerKind::Report)?.is_some() {
                // Late: what was found in the packages stays.
                self.check_list(change, &round, &statement)?;
            } else {
                self.take_list(change, &round, &statement, &findings)?;
            }
            self.keep(change, &round, AnswerKind::BeaconShare, request, &share)
        })
    }
}
