//! Who stands behind the log besides its own key (A18; `docs/protocol.md`, section 4.6.1): a checkpoint that stewards have
//! cosigned is one of the log that is here, or there are two logs.

use dawn_identity::{Members, RosterEntry, VerifiedFederation};
use dawn_protocol::tlog::{Checkpoint, SignedNote, TlogError, cosignature, origin};

use crate::finding::{Finding, Party};
use crate::log::VerifiedLog;
use crate::report::Witnesses;
use crate::rule::AuditRule;

/// The name of the checkpoint in a directory, as in an exported log.
pub const CHECKPOINT_FILE: &str = "checkpoint";

/// What is told when there is no checkpoint.
pub(crate) const NO_CHECKPOINT: &str = "there is no checkpoint that stewards have cosigned: that everybody is shown this log is its own key's word alone";

/// A checkpoint of the federation's log, with whatever signatures.
pub(crate) struct Shown {
    origin: String,
    pub(crate) checkpoint: Checkpoint,
    note: SignedNote,
}

impl Shown {
    /// Reads a checkpoint of this federation's log. Who signed it is known when the log has been read.
    pub(crate) fn read(bytes: &[u8], federation: &VerifiedFederation) -> Result<Self, Finding> {
        let note = SignedNote::parse(bytes).map_err(provider)?;
        let checkpoint = Checkpoint::parse(&note.text).map_err(provider)?;
        Ok(Self {
            origin: origin(&federation.digest()),
            checkpoint,
            note,
        })
    }

    /// Verifies that a key of the log signed it which may sign this size. Compares it with the log, whose root at this size is known, and counts the stewards of the newest roster in it.
    pub(crate) fn check(&self, log: &VerifiedLog<'_>) -> Result<Witnesses, Finding> {
        let size = self.checkpoint.size;
        log.keys()
            .checkpoint(&self.note, &self.origin)
            .map_err(provider)?;
        let Some(root) = log.root_at_checkpoint() else {
            return Err(provider(format_args!(
                "it is of {size} entries, and fewer are here"
            )));
        };
        // Head and checkpoint are signed by one key, and promise two histories.
        Finding::unless(
            root == self.checkpoint.root,
            AuditRule::Log,
            Party::Aggregator,
            format_args!("the log's key has signed two different logs of {size} entries"),
        )?;
        count(&self.note, size, log.members()).map_err(provider)
    }
}

/// Counts the stewards of the newest roster, as of the register, that have cosigned a checkpoint; one whose trust was taken back
/// counts for nothing. A line that claims to be of a steward and does not verify spoils the note.
pub(crate) fn count(
    note: &SignedNote,
    size: u64,
    members: &Members,
) -> Result<Witnesses, TlogError> {
    let Some(roster) = members.newest_roster() else {
        return Ok(Witnesses {
            size,
            cosigned: 0,
            needed: None,
        });
    };
    let cosigners = cosignature::cosigners(note, roster.stewards())?;
    let counts = |entry: &&RosterEntry| {
        let id = entry.id();
        let member = members.get(&entry.org);
        cosigners.contains(&id) && member.is_some_and(|member| member.check_steward(&id).is_ok())
    };
    Ok(Witnesses {
        size,
        cosigned: roster.stewards().iter().filter(counts).count(),
        needed: Some(roster.threshold().t()),
    })
}

fn provider(detail: impl std::fmt::Display) -> Finding {
    Finding::new(
        AuditRule::Log,
        Party::Provider,
        format_args!("the checkpoint: {detail}"),
    )
}
