//! Founding document, organisations, stewards and rosters.

use dawn_identity::http_signature::Purpose;
use dawn_identity::{
    FoundingDocument, OrgId, OrgRegistration, PublicKey, SecretKey, Signed, SignedRoster,
    StewardEnrolment,
};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::api::{Api, Call};
use crate::error::TransportError;
use crate::limits;
use crate::signing::Signer;

/// What an aggregator says about itself. None of it is proof: the founding document names the keys that count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregatorInfo {
    /// The key that signs round specifications, receipts and verdicts.
    pub aggregator_key: PublicKey,
    /// The key that signs log heads.
    pub log_key: PublicKey,
    /// The protocol's version.
    pub protocol_version: u16,
    /// The version of the software, for people.
    pub software_version: String,
}

impl Api {
    /// `GET /v1/aggregator`.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn aggregator(&self) -> Result<AggregatorInfo, TransportError> {
        self.get_json("v1/aggregator", "aggregator description", limits::JSON)
            .await
    }

    /// `POST /v1/federation`, signed with a founder's root key: the same document again is fine, another one is refused with
    /// 409.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn post_federation(
        &self,
        document: &FoundingDocument,
        root: &SecretKey,
    ) -> Result<(), TransportError> {
        let bytes = document.to_bytes();
        self.administer(Method::POST, "v1/federation", &bytes, root, Purpose::Found)
            .await
    }

    /// Sends a signed request whose answer matters only as a success.
    pub(crate) async fn administer(
        &self,
        method: Method,
        path: &str,
        body: &[u8],
        key: &SecretKey,
        purpose: Purpose,
    ) -> Result<(), TransportError> {
        self.send_signed(method, path, body, Signer { key, purpose })
            .await
            .map(|_| ())
    }

    /// `GET /v1/federation`. The caller compares the digest with the one it pinned.
    ///
    /// # Errors
    /// [`TransportError`]; a 404 problem before the federation is founded.
    pub async fn federation(&self) -> Result<FoundingDocument, TransportError> {
        {
            let answer = self
                .call(Call::get("v1/federation", limits::FOUNDING_DOCUMENT))
                .await?;
            FoundingDocument::from_bytes(&answer.body)
                .map_err(|error| malformed("founding document", error))
        }
    }

    /// `POST /v1/orgs`: registers an organisation, signed with the root key that registers.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn register_org(
        &self,
        registration: &Signed<OrgRegistration>,
        root: &SecretKey,
    ) -> Result<(), TransportError> {
        let body = registration.bytes();
        self.administer(Method::POST, "v1/orgs", body, root, Purpose::Register)
            .await
    }

    /// `GET /v1/orgs`: the organisations, as JSON for people.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn orgs(&self) -> Result<serde_json::Value, TransportError> {
        self.get_json("v1/orgs", "list of organisations", limits::JSON)
            .await
    }

    /// `GET /v1/orgs/{org}`: one organisation, as JSON for people.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn org(&self, org: &OrgId) -> Result<serde_json::Value, TransportError> {
        self.get_json(&format!("v1/orgs/{org}"), "organisation", limits::JSON)
            .await
    }

    /// `GET /v1/registrations`: the signed registrations of every member, from which the roots of those that did not
    /// found the federation are learnt. Unverified.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn registrations(&self) -> Result<Vec<Signed<OrgRegistration>>, TransportError> {
        self.get_value(
            "v1/registrations",
            "list of registrations",
            limits::REGISTRATIONS,
        )
        .await
    }

    /// `PUT /v1/orgs/{org}/steward`: enrols or replaces the steward of an organisation, signed with its root key.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn enrol_steward(
        &self,
        org: &OrgId,
        enrolment: &Signed<StewardEnrolment>,
        root: &SecretKey,
    ) -> Result<(), TransportError> {
        let path = format!("v1/orgs/{org}/steward");
        let body = enrolment.bytes();
        self.administer(Method::PUT, &path, body, root, Purpose::EnrolSteward)
            .await
    }

    /// `POST /v1/rosters`: publishes a roster, signed with the root key of an organisation that signed the roster.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn post_roster(
        &self,
        roster: &SignedRoster,
        root: &SecretKey,
    ) -> Result<(), TransportError> {
        let body = roster.to_bytes();
        self.administer(Method::POST, "v1/rosters", &body, root, Purpose::PostRoster)
            .await
    }

    /// `GET /v1/rosters/{epoch}`. Unverified.
    ///
    /// # Errors
    /// [`TransportError`]; a 404 problem when there is no such epoch.
    pub async fn roster(&self, epoch: u64) -> Result<SignedRoster, TransportError> {
        {
            let answer = self
                .call(Call::get(&format!("v1/rosters/{epoch}"), limits::ROSTER))
                .await?;
            SignedRoster::from_bytes(&answer.body).map_err(|error| malformed("roster", error))
        }
    }

    /// `GET /healthz`: succeeds when the server is ready.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn health(&self) -> Result<(), TransportError> {
        self.call(Call::get("healthz", limits::ACKNOWLEDGEMENT))
            .await
            .map(|_| ())
    }

    /// `GET /metrics`: the Prometheus text.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn metrics(&self) -> Result<String, TransportError> {
        let answer = self.call(Call::get("metrics", limits::JSON)).await?;
        String::from_utf8(answer.body).map_err(|error| TransportError::Malformed {
            what: "metrics page",
            why: error.to_string(),
        })
    }
}

fn malformed(what: &'static str, error: impl std::fmt::Display) -> TransportError {
    TransportError::Malformed {
        what,
        why: error.to_string(),
    }
}
