//! What an app has to bring: the federation that it trusts, who the device is, and a directory.

use std::path::PathBuf;
use std::sync::Arc;

use dawn_identity::{CredentialChain, Digest, FoundingDocument, SecretKey};
use dawn_transport::Api;

use crate::clock;
use crate::connection::{Client, Device};
use crate::error::{BuildError, ClientError};
use crate::heads::Heads;
use crate::ledger::Ledger;
use crate::terms::Terms;

/// Collects what a [`Client`] needs. Made by [`Client::builder`].
#[derive(Default)]
pub struct ClientBuilder {
    server: Option<String>,
    federation: Option<(FoundingDocument, Digest)>,
    device: Option<(CredentialChain, SecretKey)>,
    state_dir: Option<PathBuf>,
    terms: Terms,
}

impl ClientBuilder {
    /// The aggregator's base URL.
    #[must_use]
    pub fn server(mut self, url: impl Into<String>) -> Self {
        self.server = Some(url.into());
        self
    }

    /// The federation's founding document and the digest that the app pins. The document may come
    /// from anywhere; the digest is the device's only root of trust and ships with the app.
    #[must_use]
    pub fn federation(mut self, document: FoundingDocument, pin: Digest) -> Self {
        self.federation = Some((document, pin));
        self
    }

    /// The device's credential chain and the secret key that it names.
    #[must_use]
    pub fn device(mut self, chain: CredentialChain, key: SecretKey) -> Self {
        self.device = Some((chain, key));
        self
    }

    /// A directory that survives restarts and belongs to this device alone.
    #[must_use]
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(path.into());
        self
    }

    /// What tasks may ask for. Without it every valid task is accepted.
    #[must_use]
    pub fn terms(mut self, terms: Terms) -> Self {
        self.terms = terms;
        self
    }

    /// Verifies the pinned federation and the device's key, and opens the ledger. Nothing is sent.
    ///
    /// # Errors
    /// [`ClientError::Build`] when something is missing or does not fit together, and when the
    /// founding document or the state directory is refused.
    pub fn build(self) -> Result<Client, ClientError> {
        let server = self.server.ok_or(BuildError::Missing("server"))?;
        let (document, pin) = self.federation.ok_or(BuildError::Missing("federation"))?;
        let (chain, key) = self.device.ok_or(BuildError::Missing("device"))?;
        let state_dir = self.state_dir.ok_or(BuildError::Missing("state_dir"))?;
        let federation = document.verify_pinned(&pin)?;
        let credential = chain.credential.peek();
        if credential.key != key.public() {
            return Err(BuildError::OtherKey(credential.device).into());
        }
        let now = clock::unix_seconds();
        if credential.expires <= now {
            return Err(BuildError::Expired(credential.device).into());
        }
        let api = Api::new(&server)?;
        let ledger = Ledger::open(&state_dir, credential.device)?;
        let device = Device {
            id: credential.device,
            org: chain.claimed_org(),
            chain,
            key,
        };
        Ok(Client::new(
            api,
            federation,
            device,
            (Arc::new(ledger), Heads::new(state_dir)),
            self.terms,
        ))
    }
}
