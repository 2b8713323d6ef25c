//! Founding document, organisations, stewards and rosters.

use dawn_identity::http_signature::Purpose;
use dawn_identity::{
    FederationEvent, FoundingDocument, OrgApproval, OrgEvent, OrgId, OrgRegistration, PublicKey,
    RosterPosting, SecretKey, Signed, SignedRoster, StewardEnrolment,
};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::api::{Api, Call};
use crate::codec::parse;
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

    /// `POST /v1/federation/keys`: another key of the server takes over, signed with the root key of the founder that posts it.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn replace_server_key(
        &self,
        event: &Signed<FederationEvent>,
        root: &SecretKey,
    ) -> Result<(), TransportError> {
        self.administer(
            Method::POST,
            "v1/federation/keys",
            event.bytes(),
            root,
            Purpose::ReplaceServerKey,
        )
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

    /// `GET /v1/orgs/{org}/registration`: what an organisation has registered with, also one that waits for approvals.
    /// Unverified.
    ///
    /// # Errors
    /// [`TransportError`]; a 404 problem when it has not registered, or too long ago.
    pub async fn registration(
        &self,
        org: &OrgId,
    ) -> Result<Signed<OrgRegistration>, TransportError> {
        let path = format!("v1/orgs/{org}/registration");
        let answer = self.call(Call::get(&path, limits::REGISTRATION)).await?;
        Signed::from_bytes(&answer.body).map_err(|error| malformed("registration", error))
    }

    /// `GET /v1/register`: entries of the register beginning after the first `after`; none when there are no more. Unverified:
    /// they are for [`dawn_identity::Register`], which takes them in this order.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn register_entries(&self, after: u64) -> Result<Vec<Vec<u8>>, TransportError> {
        let call = Call::get("v1/register", limits::REGISTER_PAGE);
        let answer = self.call(call.query(&[("after", after)])).await?;
        let entries: Vec<minicbor::bytes::ByteVec> = parse(&answer.body, "page of the register")?;
        Ok(entries.into_iter().map(Into::into).collect())
    }

    /// Fetches what a copy of the register lacks, until it has at least so many entries (none asked for: all there are), and
    /// takes it.
    ///
    /// # Errors
    /// [`TransportError`]; an entry that does not follow is malformed.
    pub async fn extend_register(
        &self,
        register: &mut dawn_identity::Register,
        least: Option<u64>,
    ) -> Result<(), TransportError> {
        loop {
            let have = register.head().entries;
            if least.is_some_and(|least| have >= least) {
                return Ok(());
            }
            let page = self.register_entries(have).await?;
            if page.is_empty() {
                return Ok(());
            }
            for entry in page {
                register
                    .push(&entry)
                    .map_err(|error| malformed("register", error))?;
            }
        }
    }

    /// `POST /v1/orgs/{org}/keys`: the organisation gets another root key or announces an issuer. Signed with the key that signed
    /// the event.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn rotate(
        &self,
        event: &Signed<OrgEvent>,
        key: &SecretKey,
    ) -> Result<(), TransportError> {
        let path = format!("v1/orgs/{}/keys", event.peek().org);
        self.administer(Method::POST, &path, event.bytes(), key, Purpose::Rotate)
            .await
    }

    /// `POST /v1/orgs/{org}/revocations`: the organisation takes trust back. Signed with the key that signed the event.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn revoke(
        &self,
        event: &Signed<OrgEvent>,
        key: &SecretKey,
    ) -> Result<(), TransportError> {
        let path = format!("v1/orgs/{}/revocations", event.peek().org);
        self.administer(Method::POST, &path, event.bytes(), key, Purpose::Revoke)
            .await
    }

    /// `POST /v1/orgs/{org}/approvals`: a founder lets an organisation in. Signed with the founder's root key.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn approve(
        &self,
        approval: &Signed<OrgApproval>,
        root: &SecretKey,
    ) -> Result<(), TransportError> {
        let path = format!("v1/orgs/{}/approvals", approval.peek().org());
        self.administer(
            Method::POST,
            &path,
            approval.bytes(),
            root,
            Purpose::Approve,
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

    /// `POST /v1/rosters`: puts a roster into the register, signed with the root key of the organisation that posts it.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn post_roster(
        &self,
        posting: &Signed<RosterPosting>,
        root: &SecretKey,
    ) -> Result<(), TransportError> {
        let body = posting.bytes();
        self.administer(Method::POST, "v1/rosters", body, root, Purpose::PostRoster)
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
