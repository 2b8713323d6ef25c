//! Which of this process's keys signs: the one that is the server's as of the register, and only that
//! (docs/protocol.md, section 4.11.2).

use dawn_identity::{Members, SecretKey, ServerRole, Signed, Statement};
use dawn_protocol::RoundContext;

use crate::app::App;
use crate::contexts::ContextError;
use crate::problem::Problem;
use crate::round::EngineError;
use crate::store::statements::OwnStatement;

/// The aggregator's key as of a place in the register.
pub(crate) struct Signer<'a> {
    key: &'a SecretKey,
    /// Number of the last change of the server's keys. What is signed is stored only while no other has followed.
    era: u64,
}

impl Signer<'_> {
    /// Signs a statement of the aggregator, to be stored.
    pub(crate) fn sign<T: Statement>(
        &self,
        statement: &T,
    ) -> Result<(Signed<T>, OwnStatement), EngineError> {
        let signed = self.sign_only(statement)?;
        let own = OwnStatement {
            kind: T::KIND,
            envelope: signed.bytes().to_vec(),
            body: signed.body_digest(),
            era: self.era,
        };
        Ok((signed, own))
    }

    /// Signs a statement that is not in the log.
    pub(crate) fn sign_only<T: Statement>(&self, statement: &T) -> Result<Signed<T>, EngineError> {
        Signed::sign(statement, self.key)
            .map_err(|error| EngineError::Unsignable(error.to_string()))
    }
}

impl App {
    /// Signs as the aggregator as of these members.
    ///
    /// # Errors
    /// [`ContextError::OtherKeys`], [`ContextError::AwaitsKeys`]: this process does not have the key.
    pub(crate) fn signer(&self, members: &Members) -> Result<Signer<'_>, ContextError> {
        let key = self.keys.of(ServerRole::Aggregator, members.aggregator());
        Ok(Signer {
            key: key.ok_or_else(|| self.without(ServerRole::Aggregator, members))?,
            era: members.last_server_key_change().0,
        })
    }

    /// Signs in a round, which lives under one key.
    ///
    /// # Errors
    /// As [`App::signer`]; [`ContextError::KeyReplaced`] when the round is to be aborted.
    pub(crate) async fn round_signer(
        &self,
        context: &RoundContext,
    ) -> Result<Signer<'_>, ContextError> {
        let members = self.members().await?;
        if context.verify_key_counts(&members).is_err() {
            return Err(ContextError::KeyReplaced);
        }
        self.signer(&members)
    }

    /// The key that signs the log now. A log whose size was read before may be signed with it.
    ///
    /// # Errors
    /// As [`App::signer`].
    pub(crate) async fn log_key(&self) -> Result<&SecretKey, ContextError> {
        let members = self.members().await?;
        self.log_key_of(&members)
    }

    fn log_key_of(&self, members: &Members) -> Result<&SecretKey, ContextError> {
        let key = self.keys.of(ServerRole::Log, members.log());
        key.ok_or_else(|| self.without(ServerRole::Log, members))
    }

    /// What nonces of requests may be made with, the key for new ones first: the aggregator's as far as it is known and here, and
    /// one that is here and not known. What was replaced is a thief's, perhaps: it serves where nothing else is here, because
    /// founders may let the next key in through this process.
    pub(crate) fn nonce_keys(&self) -> Vec<&SecretKey> {
        let members = self.known_members();
        let so_far = members
            .as_ref()
            .map_or(&[][..], |members| members.aggregators());
        let place = |key: &SecretKey| so_far.iter().position(|known| *known == key.public());
        let here = self.keys.here(ServerRole::Aggregator);
        let mut keys: Vec<_> = here.map(|key| (place(key), key)).collect();
        // Newest of those that were let in, then what nobody has let in.
        keys.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        let counts = |place: &Option<usize>| place.is_none_or(|place| place + 1 == so_far.len());
        let some_count = keys.iter().any(|(place, _)| counts(place));
        keys.retain(|(place, _)| !some_count || counts(place));
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// Whether this process has the keys that are the server's now.
    ///
    /// # Errors
    /// [`ContextError::OtherKeys`] when it has others and waits for none to be let in, [`ContextError::AwaitsKeys`] when it does;
    /// as [`App::members`].
    pub async fn check_keys(&self) -> Result<(), ContextError> {
        let members = self.members().await?;
        let signer = self.signer(&members).map(|_| ());
        let log = self.log_key_of(&members).map(|_| ());
        // A key of the log that nobody waits for makes waiting for the aggregator's useless.
        match (&signer, &log) {
            (Err(ContextError::AwaitsKeys(_)), Err(ContextError::OtherKeys(_))) => log,
            _ => signer.and(log),
        }
    }

    /// Whether the aggregator's key is known, and this process does not have it.
    pub(crate) async fn lacks_key(&self) -> bool {
        match self.members().await {
            Ok(members) => self.signer(&members).is_err(),
            Err(_) => false,
        }
    }

    fn without(&self, role: ServerRole, members: &Members) -> ContextError {
        let so_far = match role {
            ServerRole::Aggregator => members.aggregators(),
            ServerRole::Log => members.logs(),
        };
        match self.keys.waits(role, so_far) {
            true => ContextError::AwaitsKeys(role),
            false => ContextError::OtherKeys(role),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Context(error) => error.into(),
            EngineError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "nothing is signed");
                Self::internal("a statement cannot be signed")
            }
        }
    }
}
