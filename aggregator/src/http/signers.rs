//! Whose signature an administrative request needs. What the request says decides which keys come into question; nothing of it
//! is believed before one of them has signed.

use axum::extract::FromRequestParts;
use dawn_identity::http_signature::Purpose;
use dawn_identity::{
    FederationEvent, FoundingDocument, Member, OrgApproval, OrgEvent, OrgId, OrgRegistration,
    PublicKey, RosterPosting, Signed, StewardEnrolment,
};
use dawn_protocol::Task;
use http::request::Parts;

use crate::app::App;
use crate::clock::now_s;
use crate::problem::Problem;
use crate::registry::{self, Founding};

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
    fn of(member: &Member, key: PublicKey) -> Self {
        Self {
            org: member.org(),
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
        Purpose::PostRoster => Signed::<RosterPosting>::MAX_BYTES,
        Purpose::ReplaceServerKey => Signed::<FederationEvent>::MAX_BYTES,
        Purpose::CreateTask => registry::MOST_TASK_BYTES,
        Purpose::Rotate | Purpose::Revoke => Signed::<OrgEvent>::MAX_BYTES,
        Purpose::Approve => Signed::<OrgApproval>::MAX_BYTES,
    }
}

/// Most bytes of a body that no key which is known here has signed yet: the register may not have the issuer that a task
/// brings, and a registration is a stranger's.
pub(super) fn unknown_body_limit(purpose: Purpose) -> usize {
    match purpose {
        Purpose::CreateTask => Signed::<Task>::MAX_BYTES,
        other => body_limit(other),
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
            let standing = registry::check_founding(app, body).await?;
            let stranger = matches!(standing, Founding::Unknown);
            let founders = match standing {
                Founding::Served(federation) => federation.founders.clone(),
                Founding::Pinned | Founding::Unknown => {
                    FoundingDocument::from_bytes(body)
                        .map_err(Problem::malformed)?
                        .federation
                        .founders
                }
            };
            Ok(founders
                .iter()
                .map(|founder| Requester {
                    org: OrgId::of(&founder.root),
                    key: founder.root,
                    stranger,
                })
                .collect())
        }
        Purpose::Register => {
            let signed = Signed::<OrgRegistration>::from_bytes(body).map_err(Problem::malformed)?;
            let root = signed.peek().root;
            let org = OrgId::of(&root);
            let members = app.members().await?;
            let stranger = members.get(&org).is_none() && members.pending(&org).is_none();
            Ok(vec![Requester {
                org,
                key: root,
                stranger,
            }])
        }
        Purpose::CreateTask => {
            let (task, _) = registry::task_parts(body)?;
            let signed = Signed::<Task>::from_bytes(task).map_err(Problem::malformed)?;
            let task = signed.peek();
            let members = app.members().await?;
            let owner = members
                .get(&task.owner)
                .filter(|owner| !owner.is_revoked())
                .ok_or_else(|| Problem::forbidden("the owner is not a member"))?;
            let mut keys = vec![Requester::of(owner, *owner.root())];
            if let Ok(issuer) = owner.verify_issuer(&task.issuer, now_s()) {
                keys.push(Requester::of(owner, issuer.key));
            }
            Ok(keys)
        }
        Purpose::PostRoster => {
            let signed = Signed::<RosterPosting>::from_bytes(body).map_err(Problem::malformed)?;
            root_of(app, &signed.peek().org).await
        }
        // A founder need not have registered for it.
        Purpose::ReplaceServerKey => {
            let signed = Signed::<FederationEvent>::from_bytes(body).map_err(Problem::malformed)?;
            let org = signed.peek().org;
            let members = app.members().await?;
            let founder = members.get(&org).filter(|founder| !founder.is_revoked());
            let founder = founder
                .filter(|_| members.is_founder(&org))
                .ok_or_else(|| Problem::forbidden("not a founder, or it has left"))?;
            Ok(vec![Requester::of(founder, *founder.root())])
        }
        Purpose::Approve => {
            let signed = Signed::<OrgApproval>::from_bytes(body).map_err(Problem::malformed)?;
            root_of(app, &signed.peek().approver).await
        }
        Purpose::EnrolSteward | Purpose::Rotate => root_of(app, &org_of(path)?).await,
        Purpose::Revoke => {
            let org = org_of(path)?;
            let mut keys = root_of(app, &org).await?;
            // What an issuer key may revoke, the register decides; it has no clock, so times are looked at here.
            let members = app.members().await?;
            if let Some(member) = members.get(&org) {
                let issuers = member.issuers_at(now_s());
                keys.extend(issuers.map(|key| Requester::of(member, *key)));
            }
            Ok(keys)
        }
    }
}

/// The current root key of an organisation that has not left.
async fn root_of(app: &App, org: &OrgId) -> Result<Vec<Requester>, Problem> {
    let members = app.members().await?;
    let member = members
        .get(org)
        .filter(|member| member.head().is_some())
        .ok_or_else(|| Problem::not_found("no such organisation is registered"))?;
    if member.is_revoked() {
        return Err(Problem::forbidden("the organisation has left"));
    }
    Ok(vec![Requester::of(member, *member.root())])
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
