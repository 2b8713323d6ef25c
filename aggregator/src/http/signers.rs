//! Whose signature an administrative request needs. What the request says decides which keys come into question; nothing of it
//! is believed before one of them has signed.

use axum::extract::FromRequestParts;
use dawn_identity::http_signature::Purpose;
use dawn_identity::{
    FoundingDocument, OrgId, OrgRegistration, PublicKey, Signed, SignedRoster, StewardEnrolment,
};
use dawn_protocol::Task;
use http::request::Parts;

use crate::app::App;
use crate::clock::now_s;
use crate::problem::Problem;

/// Who signed an administrative request. Only the layer makes one, so a handler that takes it cannot be reached without.
#[derive(Clone, Debug)]
pub struct Requester {
    /// The organisation.
    pub org: OrgId,
    /// Its key.
    pub key: PublicKey,
    /// Whether the key is of nobody that this server knows yet.
    pub stranger: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Requester {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Problem::internal("an administrative path without the layer that verifies signatures")
        })
    }
}

impl Requester {
    fn root(key: PublicKey) -> Self {
        Self {
            org: OrgId::of(&key),
            key,
            stranger: false,
        }
    }
}

/// Most bytes of a body.
pub(super) fn body_limit(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Found => FoundingDocument::MAX_BYTES,
        Purpose::Register => Signed::<OrgRegistration>::MAX_BYTES,
        Purpose::EnrolSteward => Signed::<StewardEnrolment>::MAX_BYTES,
        Purpose::PostRoster => SignedRoster::MAX_BYTES,
        Purpose::CreateTask => Signed::<Task>::MAX_BYTES,
        Purpose::Rotate | Purpose::Revoke | Purpose::Approve => 0,
    }
}

/// The keys that may sign a request.
///
/// # Errors
/// 400 when the body is not what this purpose has, 404 for an unknown organisation.
pub(super) async fn candidates(
    app: &App,
    purpose: Purpose,
    path: &str,
    body: &[u8],
) -> Result<Vec<Requester>, Problem> {
    match purpose {
        Purpose::Found => {
            let document = FoundingDocument::from_bytes(body).map_err(Problem::malformed)?;
            let founders = document.federation.founders.iter();
            Ok(founders
                .map(|founder| Requester::root(founder.root))
                .collect())
        }
        Purpose::Register => {
            let signed = Signed::<OrgRegistration>::from_bytes(body).map_err(Problem::malformed)?;
            let root = signed.peek().root;
            let known = app
                .members_with(&OrgId::of(&root))
                .await?
                .root(&OrgId::of(&root))
                .is_some();
            Ok(vec![Requester {
                stranger: !known,
                ..Requester::root(root)
            }])
        }
        Purpose::CreateTask => {
            let signed = Signed::<Task>::from_bytes(body).map_err(Problem::malformed)?;
            let task = signed.peek();
            let members = app.members_with(&task.owner).await?;
            let Some(root) = members.root(&task.owner) else {
                return Err(Problem::forbidden("the owner is not a member"));
            };
            let mut keys = vec![Requester::root(*root)];
            if let Ok(issuer) = task.issuer.verify_issuer(root, now_s()) {
                keys.push(Requester {
                    org: task.owner,
                    key: issuer.key,
                    stranger: false,
                });
            }
            Ok(keys)
        }
        Purpose::PostRoster => {
            let signed = SignedRoster::from_bytes(body).map_err(Problem::malformed)?;
            let members = app.members().await?;
            let signers = signed.signatures().iter();
            Ok(signers
                .filter_map(|signature| members.root(&signature.org))
                .map(|root| Requester::root(*root))
                .collect())
        }
        Purpose::EnrolSteward | Purpose::Rotate | Purpose::Revoke | Purpose::Approve => {
            let org = org_of(path)?;
            let members = app.members_with(&org).await?;
            let root = members
                .root(&org)
                .ok_or_else(|| Problem::not_found("no such organisation is registered"))?;
            Ok(vec![Requester::root(*root)])
        }
    }
}

/// The organisation of `/v1/orgs/{org}/...`.
fn org_of(path: &str) -> Result<OrgId, Problem> {
    path.split('/')
        .nth(3)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            Problem::malformed("the path: an organisation has 64 lower-case hexadecimal digits")
        })
}
