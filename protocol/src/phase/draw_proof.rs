//! Why a round's result leaves the draw that it names (`docs/protocol.md`, section 4.10).
//!
//! A result is the aggregator's word. Who answered the round's challenge knows the beacon; everybody else can be shown why
//! it is this one: the stewards stood behind the specification, and T of them gave their parts for the closed list. An
//! aggregator that invents a round has neither.

use dawn_crypto::digest::Digest;
use dawn_identity::{Members, SessionId, Signed, Statement};

use super::RoundOpen;
use crate::beacon::Challenge;
use crate::context::TaskContext;
use crate::round_id::RoundId;
use crate::selection::Draw;
use crate::spec::{Endorsement, RoundAnnouncement, RoundSpec};
use crate::statements::Closed;
use crate::violation::{Culprit, Rule, Violation};

/// The statements of a round that its beacon follows from. Nothing is verified before [`DrawProof::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawProof {
    /// The specification, with at least T endorsements.
    pub announcement: RoundAnnouncement,
    /// The end of collecting: the list that the stewards gave their parts for.
    pub closed: Signed<Closed>,
    /// T stewards' parts.
    pub challenge: Signed<Challenge>,
}

/// What a round leaves to draw from when it has a result, as T stewards' parts of its beacon show. Only
/// [`DrawProof::verify`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenDraw {
    round: RoundId,
    session: SessionId,
    draw: Draw,
}

impl ProvenDraw {
    /// The round.
    pub fn round(&self) -> RoundId {
        self.round
    }

    /// The session that T stewards endorsed.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// What its result leaves.
    pub fn draw(&self) -> Draw {
        self.draw
    }
}

impl DrawProof {
    /// Picks the proof out of what the log says about a round, for the session that its result names. Of every steward
    /// one endorsement is taken. `None` when a part of it is missing.
    pub fn find<'a>(
        session: &SessionId,
        envelopes: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        let (mut spec, mut closed, mut challenge) = (None, None, None);
        let mut endorsements: Vec<Signed<Endorsement>> = Vec::new();
        for bytes in envelopes {
            if let Some(found) = read::<RoundSpec>(bytes) {
                spec = spec.or(Some(found).filter(|found| found.peek().session() == *session));
            } else if let Some(found) = read::<Closed>(bytes) {
                closed = closed.or(Some(found).filter(|found| found.peek().session == *session));
            } else if let Some(found) = read::<Challenge>(bytes) {
                let found = Some(found).filter(|found| found.peek().session == *session);
                challenge = challenge.or(found);
            } else if let Some(found) = read::<Endorsement>(bytes) {
                let statement = found.peek();
                let known = |other: &Signed<Endorsement>| other.peek().steward == statement.steward;
                if statement.session == *session && !endorsements.iter().any(known) {
                    endorsements.push(found);
                }
            }
        }
        Some(Self {
            announcement: RoundAnnouncement {
                spec: spec?,
                endorsements,
            },
            closed: closed?,
            challenge: challenge?,
        })
    }

    /// Verifies the proof. `task` is under the roster that the specification names, and `members` are those as of its
    /// place in the register: that this roster was in force is verified with them.
    ///
    /// The closed list itself is not looked at: T stewards verified it before they gave their parts.
    ///
    /// # Errors
    /// A [`Violation`] by the aggregator: the specification does not verify or has fewer than T endorsements; closing
    /// or challenge are of another round, session or list; there are not the parts of exactly T seated stewards, each
    /// under the VRF key that the roster names.
    pub fn verify(&self, task: &TaskContext, members: &Members) -> Result<ProvenDraw, Violation> {
        let open = RoundOpen::from_announcement(task, &self.announcement)?;
        open.verify_register(members)?;
        Violation::unless(
            open.selection().is_some(),
            Culprit::Aggregator,
            Rule::Selection,
            "the task takes everybody: nothing is drawn from its beacons",
        )?;
        open.verify_closed(&self.closed)?;
        let beacon: Digest = open.beacon_of(&self.closed.peek().root, &self.challenge)?;
        Ok(ProvenDraw {
            round: open.round_id(),
            session: open.session(),
            draw: open.leaves(beacon),
        })
    }
}

/// A statement of this kind; what is none is skipped. The kind is looked at before the body is decoded.
fn read<T: Statement>(bytes: &[u8]) -> Option<Signed<T>> {
    Signed::<T>::from_bytes(bytes).ok()
}
