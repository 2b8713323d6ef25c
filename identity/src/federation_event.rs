//! How a change of the server's keys gets its place in the register, and which keys the server has had as of a place
//! (`docs/identity-formats.md`, section 6.3).

use dawn_crypto::digest::{Digest, labels};
use minicbor::{Decode, Encode};

use crate::canonical::to_canonical;
use crate::federation::VerifiedFederation;
use crate::ids::{KeyId, OrgId};
use crate::keys::PublicKey;
use crate::members::Members;
use crate::register::{Entry, RegisterError};
use crate::rule::BrokenRule;
use crate::server_key::{ServerKeyError, ServerRole, SignedServerKeyChange};
use crate::signed::{Signed, Statement};

/// A founder puts a change of the server's keys into the register. Signed by its current root key, with which it has signed the
/// change as well.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct FederationEvent {
    /// The founder.
    #[n(0)]
    pub org: OrgId,
    /// The change with its signatures.
    #[n(1)]
    pub change: SignedServerKeyChange,
}

impl Statement for FederationEvent {
    const KIND: &'static str = "federation-event";
    const MAX_BYTES: usize = SignedServerKeyChange::MAX_BYTES + 64;

    fn check(&self) -> Result<(), BrokenRule> {
        self.change.check()?;
        let signers = self.change.signatures();
        BrokenRule::unless(
            signers.iter().any(|signature| signature.org == self.org),
            "whoever posts a change of the server's keys has signed it",
        )
    }
}

/// The keys that the server has had, the newest last; both are there from the founding on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerKeys {
    aggregator: Vec<PublicKey>,
    log: Vec<PublicKey>,
    /// Number of the last change, 0 before the first.
    sequence: u64,
    /// Its digest; the federation's before the first.
    last: Digest,
}

impl ServerKeys {
    pub(crate) fn founded(federation: &VerifiedFederation) -> Self {
        Self {
            aggregator: vec![federation.aggregator],
            log: vec![federation.log],
            sequence: 0,
            last: federation.digest(),
        }
    }

    fn of(&self, role: ServerRole) -> &[PublicKey] {
        match role {
            ServerRole::Aggregator => &self.aggregator,
            ServerRole::Log => &self.log,
        }
    }

    /// All keys of both roles.
    pub(crate) fn all(&self) -> impl Iterator<Item = &PublicKey> {
        self.aggregator.iter().chain(&self.log)
    }

    /// Whether a key serves the server, or has served it, in whatever role.
    pub(crate) fn contains(&self, key: &PublicKey) -> bool {
        self.all().any(|known| known == key)
    }

    pub(crate) fn apply(&mut self, event: &FederationEvent) {
        let change = event.change.peek();
        let keys = match change.new.role() {
            ServerRole::Aggregator => &mut self.aggregator,
            ServerRole::Log => &mut self.log,
        };
        keys.push(*change.new.key());
        self.sequence = change.sequence;
        self.last = change.digest();
    }
}

impl Members {
    /// The aggregator's key as of here.
    pub fn aggregator(&self) -> &PublicKey {
        newest(self.aggregators())
    }

    /// The log's key as of here.
    pub fn log(&self) -> &PublicKey {
        newest(self.logs())
    }

    /// All keys that the aggregator has had, from the founding document's to the one as of here.
    pub fn aggregators(&self) -> &[PublicKey] {
        self.server.of(ServerRole::Aggregator)
    }

    /// All keys that the log has had, from the founding document's to the one as of here.
    pub fn logs(&self) -> &[PublicKey] {
        self.server.of(ServerRole::Log)
    }

    /// The key of this identifier among all that the aggregator has had.
    pub fn aggregator_with(&self, id: &KeyId) -> Option<&PublicKey> {
        self.aggregators().iter().find(|key| key.id() == *id)
    }

    /// What the next change of the server's keys names as the one before: its number and digest.
    pub fn last_server_key_change(&self) -> (u64, Digest) {
        (self.server.sequence, self.server.last)
    }

    /// Verifies a change of the server's keys as of here: it is the next one, at least *roster quorum* founders signed it with
    /// the root keys that are current now, and the new key is nobody's and has consented.
    pub(crate) fn verify_federation_event(
        &self,
        signed: Signed<FederationEvent>,
    ) -> Result<Entry, RegisterError> {
        let org = signed.peek().org;
        let root = self.root(&org).ok_or(RegisterError::NotAMember(org))?;
        let event = signed
            .into_verified(root)
            .map_err(|source| RegisterError::Signature {
                org,
                source: Box::new(source),
            })?;
        self.verify_server_key_change(&event.change)?;
        Ok(Entry::ServerKey(event))
    }

    /// Whether a change of the server's keys counts as the next entry of the register, whoever posts it.
    ///
    /// # Errors
    /// [`ServerKeyError`].
    pub fn verify_server_key_change(
        &self,
        signed: &SignedServerKeyChange,
    ) -> Result<(), ServerKeyError> {
        signed.check()?;
        let change = signed.peek();
        if change.federation != self.federation {
            return Err(ServerKeyError::OtherFederation {
                expected: self.federation,
                named: change.federation,
            });
        }
        if change.sequence != self.server.sequence + 1 || change.previous != self.server.last {
            return Err(ServerKeyError::Sequence {
                last: self.server.sequence,
                found: change.sequence,
            });
        }
        let body = to_canonical(change);
        for signature in signed.signatures() {
            let org = signature.org;
            let root = self.root(&org).filter(|_| self.is_founder(&org));
            root.ok_or(ServerKeyError::NotAFounder(org))?
                .verify_labelled(labels::SERVER_KEY_SIGNATURE, &[&body], &signature.signature)
                .map_err(|source| ServerKeyError::Signature { org, source })?;
        }
        let (found, quorum) = (signed.signatures().len(), usize::from(self.roster_quorum));
        if found < quorum {
            return Err(ServerKeyError::NoQuorum {
                signed: found,
                quorum,
            });
        }
        let key = change.new.key();
        if self.is_somebodys(key) {
            return Err(ServerKeyError::KeyInUse(key.id()));
        }
        change
            .new
            .verify(&self.federation)
            .map_err(|source| ServerKeyError::Proof {
                role: change.new.role(),
                source,
            })
    }
}

fn newest(keys: &[PublicKey]) -> &PublicKey {
    keys.last().expect("the founding document names one")
}
