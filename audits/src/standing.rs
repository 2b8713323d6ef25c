//! Who stands behind what a device's own check rests on: whether the statements of an audited transcript are in a checkpoint of
//! the log that T stewards have cosigned (`docs/protocol.md`, section 4.6.1).
//!
//! A transcript that passes may be a history that nobody else is shown. What T stewards have cosigned is the one history that
//! a round can be opened in.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::leaf_hash;
use dawn_identity::{Register, Statement, VerifiedFederation};
use dawn_protocol::tlog::{Checkpoint, LogKeys, SignedNote, TlogError, TlogProof, origin};
use dawn_protocol::{RoundId, Terminal};
use dawn_transport::{Api, TransportError};
use serde::Serialize;

use crate::report::Witnesses;
use crate::witness;

/// The statements of the aggregator that an answer about a submission rests on.
#[derive(Debug)]
pub struct Rests {
    pub(crate) federation: VerifiedFederation,
    pub(crate) register: Register,
    statements: Vec<Resting>,
}

#[derive(Clone, Copy, Debug)]
struct Resting {
    kind: &'static str,
    leaf: Digest,
}

/// What stands behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum Standing {
    /// All of them are in a checkpoint that T stewards have cosigned.
    Cosigned {
        /// Entries of the checkpoint.
        size: u64,
        /// Stewards of the newest roster that have cosigned it.
        cosigned: usize,
        /// Their T.
        needed: u8,
    },
    /// They are in a checkpoint that fewer stewards of the newest roster have cosigned.
    TooFew {
        /// Entries of the checkpoint.
        size: u64,
        /// Stewards of the newest roster that have cosigned it.
        cosigned: usize,
        /// Their T; none when the register has no roster.
        needed: Option<u8>,
    },
    /// T stewards have not cosigned anything yet, or nothing under the key that the log has now.
    NoCheckpoint,
    /// A statement was logged after what was cosigned, in a tree that the log's key signed: later, perhaps.
    NotYet {
        /// Which.
        kind: String,
        /// Entries of the checkpoint.
        size: u64,
    },
    /// The log has no such statement, as the service says: what is in the transcript was never shown to the stewards.
    NotLogged {
        /// Which.
        kind: String,
    },
    /// What the service gave as checkpoint or proof is none.
    Forged {
        /// Why.
        why: String,
    },
    /// The log's key has signed two logs of one size: evidence.
    TwoLogs {
        /// Their size.
        size: u64,
        /// Both signed notes.
        notes: [String; 2],
    },
}

impl Standing {
    /// Whether T stewards stand behind everything.
    pub fn is_cosigned(&self) -> bool {
        matches!(self, Self::Cosigned { .. })
    }

    /// Whether the service has shown what no honest one shows.
    pub fn is_broken(&self) -> bool {
        matches!(
            self,
            Self::NotLogged { .. } | Self::Forged { .. } | Self::TwoLogs { .. }
        )
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cosigned {
                size,
                cosigned,
                needed,
            } => write!(
                f,
                "included in the checkpoint of {size} entries, cosigned by {cosigned} stewards, {needed} are needed"
            ),
            Self::TooFew {
                size,
                cosigned,
                needed,
            } => {
                write!(
                    f,
                    "NOT vouched for: the checkpoint of {size} entries is cosigned by {cosigned} stewards of the newest roster"
                )?;
                needed.map_or(Ok(()), |needed| write!(f, ", {needed} are needed"))
            }
            Self::NoCheckpoint => f.write_str(
                "not vouched for yet: no checkpoint under the log's key has been cosigned by T stewards; ask again later",
            ),
            Self::NotYet { kind, size } => write!(
                f,
                "not vouched for yet: the {kind} was logged after the {size} entries that stewards have cosigned; ask again later"
            ),
            Self::NotLogged { kind } => write!(
                f,
                "NOT IN THE LOG: the service's log does not have the {kind} that is in its transcript"
            ),
            Self::Forged { why } => write!(f, "FORGED: {why}"),
            Self::TwoLogs { size, .. } => write!(
                f,
                "TWO LOGS: the log's key has signed two different logs of {size} entries; both checkpoints are evidence against the aggregator (--json)"
            ),
        }
    }
}

impl Rests {
    pub(crate) fn new(federation: VerifiedFederation) -> Self {
        Self {
            register: Register::new(&federation),
            federation,
            statements: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, kind: &'static str, envelope: &[u8]) {
        let leaf = leaf_hash(envelope);
        self.statements.push(Resting { kind, leaf });
    }

    pub(crate) fn note_terminal(&mut self, terminal: &Terminal) {
        let kind = match terminal {
            Terminal::Result(_) => dawn_protocol::RoundResult::KIND,
            Terminal::Aborted(_) => dawn_protocol::Aborted::KIND,
        };
        self.note(kind, terminal.bytes());
    }

    /// Asks the service of the transcript for checkpoint and proofs. Nothing that it says is believed without a signature and
    /// a proof.
    ///
    /// # Errors
    /// [`TransportError`] when it cannot be asked.
    pub async fn standing(
        mut self,
        api: &Api,
        round: &RoundId,
    ) -> Result<Standing, TransportError> {
        let note = match api.witnessed_checkpoint().await {
            Ok(note) => note,
            Err(error) if error.status() == Some(404) => return Ok(Standing::NoCheckpoint),
            Err(error) => return forged(error),
        };
        let entries = match api.statements(round).await {
            Ok(entries) => entries,
            Err(error) => return forged(error),
        };
        let size = match Checkpoint::parse(&note.text) {
            Ok(checkpoint) => checkpoint.size,
            Err(error) => return Ok(refused("the checkpoint", &error)),
        };
        let (mut proofs, mut not_yet) = (Vec::new(), None);
        for resting in &self.statements {
            let kind = resting.kind.to_owned();
            let mut logged = entries.iter();
            let entry = logged.find(|entry| leaf_hash(&entry.envelope) == resting.leaf);
            let Some(entry) = entry else {
                return Ok(Standing::NotLogged { kind });
            };
            // What is logged later has a proof too: that it will be cosigned is not the service's word alone.
            let cosigned = (entry.index < size).then_some(size);
            match api.log_proof(entry.index, cosigned).await {
                Ok(proof) => proofs.push(proof),
                Err(error) => return forged(error),
            }
            if cosigned.is_none() {
                not_yet = Some(Standing::NotYet { kind, size });
                break;
            }
        }
        // The keys of stewards and of the log may have been replaced since the round, and until all of this was asked for.
        if let Err(error) = api.extend_register(&mut self.register, None).await {
            return forged(error);
        }
        let checkpoint = match self.checkpoint(&note) {
            Ok(checkpoint) => checkpoint,
            // Whoever has stolen the old key may have signed it.
            Err(TlogError::ReplacedKey(_)) => return Ok(Standing::NoCheckpoint),
            Err(error) => return Ok(refused("the checkpoint", &error)),
        };
        for (resting, proof) in self.statements.iter().zip(&proofs) {
            if let Some(wrong) = self.check(resting, proof, &checkpoint, &note) {
                return Ok(wrong);
            }
        }
        Ok(not_yet.unwrap_or_else(|| self.count(&note, &checkpoint)))
    }

    fn checkpoint(&self, note: &SignedNote) -> Result<Checkpoint, TlogError> {
        let name = origin(&self.federation.digest());
        LogKeys::newest(self.register.members()).checkpoint(note, &name)
    }

    /// What is wrong with a proof that a statement is in the tree of a checkpoint, or in a later one that the log's key signed.
    fn check(
        &self,
        resting: &Resting,
        proof: &TlogProof,
        checkpoint: &Checkpoint,
        note: &SignedNote,
    ) -> Option<Standing> {
        let what = format!("the proof that the {} is in the log", resting.kind);
        let shown = match self.checkpoint(&proof.checkpoint) {
            Ok(shown) => shown,
            Err(error) => return Some(refused(&what, &error)),
        };
        if shown.size == checkpoint.size && shown.root != checkpoint.root {
            return Some(Standing::TwoLogs {
                size: shown.size,
                notes: [note.to_text(), proof.checkpoint.to_text()],
            });
        }
        let tree = match proof.index < checkpoint.size {
            true => checkpoint,
            false => &shown,
        };
        let verified = proof.verify_in(&resting.leaf, tree.size, &tree.root);
        verified.err().map(|error| refused(&what, &error))
    }

    fn count(&self, note: &SignedNote, checkpoint: &Checkpoint) -> Standing {
        let size = checkpoint.size;
        match witness::count(note, size, self.register.members()) {
            Ok(Witnesses {
                cosigned,
                needed: Some(needed),
                ..
            }) if cosigned >= usize::from(needed) => Standing::Cosigned {
                size,
                cosigned,
                needed,
            },
            Ok(Witnesses {
                cosigned, needed, ..
            }) => Standing::TooFew {
                size,
                cosigned,
                needed,
            },
            Err(error) => refused("the checkpoint", &error),
        }
    }
}

fn refused(what: &str, error: &TlogError) -> Standing {
    Standing::Forged {
        why: format!("{what}: {error}"),
    }
}

/// An answer that cannot be read is none; a service that cannot be asked says nothing.
fn forged(error: TransportError) -> Result<Standing, TransportError> {
    match error {
        TransportError::Malformed { .. } | TransportError::TooLarge { .. } => {
            Ok(Standing::Forged {
                why: error.to_string(),
            })
        }
        error => Err(error),
    }
}
