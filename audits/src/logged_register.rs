//! The register as the log has it (A18): a specification and a closing name exactly what was logged before them. So an
//! aggregator cannot leave out a revocation that it has taken, not even for one round.

use dawn_identity::{
    Envelope, FederationEvent, OrgApproval, OrgEvent, OrgRegistration, RegisterHead, RosterPosting,
    Signed, Statement, VerifiedFederation,
};
use dawn_protocol::{Closed, RoundId, RoundSpec};

use crate::finding::{Finding, Party};
use crate::rule::AuditRule;

/// Where the register ends, entry by entry of the log.
pub(crate) struct LoggedRegister(RegisterHead);

impl LoggedRegister {
    pub(crate) fn new(federation: &VerifiedFederation) -> Self {
        Self(RegisterHead::empty(&federation.digest()))
    }

    /// Notes the next entry of the log.
    pub(crate) fn note(&mut self, envelope: &Envelope) -> Result<(), Finding> {
        match envelope.kind() {
            OrgRegistration::KIND
            | OrgApproval::KIND
            | OrgEvent::KIND
            | RosterPosting::KIND
            | FederationEvent::KIND => {
                self.0 = self.0.after(&envelope.envelope_digest());
                Ok(())
            }
            RoundSpec::KIND => match Signed::<RoundSpec>::from_envelope(envelope.clone()) {
                Ok(spec) => self.compare(RoundSpec::KIND, spec.peek().round, spec.peek().register),
                Err(_) => Ok(()),
            },
            Closed::KIND => match Signed::<Closed>::from_envelope(envelope.clone()) {
                Ok(closed) => {
                    self.compare(Closed::KIND, closed.peek().round, closed.peek().register)
                }
                Err(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn compare(&self, kind: &str, round: RoundId, named: RegisterHead) -> Result<(), Finding> {
        let (logged, named_entries) = (self.0.entries, named.entries);
        Finding::unless(
            named == self.0,
            AuditRule::Log,
            Party::Aggregator,
            format_args!(
                "the {kind} of round {round} names a register of {named_entries} entries, the log has {logged} before it, or others"
            ),
        )
    }
}
