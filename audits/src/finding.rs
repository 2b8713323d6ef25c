//! A broken rule and the party to blame.
//!
//! A party is blamed only for what it signed. What nobody signed, or what does not verify under the
//! key of the party that it speaks for, is laid at whoever handed over the transcript: anybody could
//! have written it (docs/audit.md, section 2).

use std::fmt;

use dawn_identity::{DeviceId, OrgId, StewardId};
use dawn_protocol::{Culprit, Rule, Violation};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::rule::AuditRule;

/// Who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "role", content = "id", rename_all = "kebab-case")]
pub enum Party {
    /// Whoever handed over the transcript.
    Provider,
    /// The founders of the federation.
    Founders,
    /// A member organisation.
    Organisation(OrgId),
    /// The aggregator.
    Aggregator,
    /// A steward.
    Steward(StewardId),
    /// A device.
    Device(DeviceId),
}

impl From<Culprit> for Party {
    fn from(culprit: Culprit) -> Self {
        match culprit {
            Culprit::Founders => Self::Founders,
            Culprit::Organisation(id) => Self::Organisation(id),
            Culprit::Aggregator => Self::Aggregator,
            Culprit::Steward(id) => Self::Steward(id),
            Culprit::Device(id) => Self::Device(id),
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider => f.write_str("whoever handed over the transcript"),
            Self::Founders => f.write_str("the founders"),
            Self::Organisation(id) => write!(f, "organisation {id}"),
            Self::Aggregator => f.write_str("the aggregator"),
            Self::Steward(id) => write!(f, "steward {id}"),
            Self::Device(id) => write!(f, "device {id}"),
        }
    }
}

/// The first broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{rule}: {detail}; to blame: {culprit}")]
pub struct Finding {
    /// The rule.
    pub rule: AuditRule,
    /// Who is to blame.
    pub culprit: Party,
    /// The particulars, for people.
    pub detail: String,
}

impl Finding {
    /// A broken rule.
    pub fn new(rule: AuditRule, culprit: Party, detail: impl fmt::Display) -> Self {
        Self {
            rule,
            culprit,
            detail: detail.to_string(),
        }
    }

    /// `Ok` when the rule holds.
    ///
    /// # Errors
    /// The finding, when it does not.
    pub fn unless(
        holds: bool,
        rule: AuditRule,
        culprit: Party,
        detail: impl fmt::Display,
    ) -> Result<(), Self> {
        if holds {
            Ok(())
        } else {
            Err(Self::new(rule, culprit, detail))
        }
    }

    /// The protocol's own words for a broken rule, met while `rule` was checked. A signature that
    /// does not verify is nobody's word, least of all that of the party that it claims to be of.
    pub fn of(rule: AuditRule, violation: Violation) -> Self {
        let culprit = match violation.rule {
            Rule::Signature | Rule::RosterMember => Party::Provider,
            _ => violation.culprit.into(),
        };
        let rule = narrower(violation.rule).unwrap_or(rule);
        Self::new(
            rule,
            culprit,
            format_args!("{}: {}", violation.rule, violation.detail),
        )
    }
}

/// The auditor's rule for those of the protocol's rules that have one of their own, wherever they
/// are met.
fn narrower(rule: Rule) -> Option<AuditRule> {
    match rule {
        Rule::ResultSum => Some(AuditRule::Sum),
        Rule::ResultModel | Rule::SpecModel => Some(AuditRule::Model),
        Rule::Budget | Rule::Charge => Some(AuditRule::Budget),
        Rule::SpecPrevious => Some(AuditRule::Continuity),
        Rule::AbortReason => Some(AuditRule::Abort),
        Rule::Scalars => Some(AuditRule::Scalars),
        _ => None,
    }
}
