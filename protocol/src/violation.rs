//! Who broke which rule (`docs/protocol.md`, section 6). Every check of a context ends in one of
//! these, so that device, steward, aggregator and auditor blame the same party with the same words.

use std::fmt;

use dawn_identity::{DeviceId, OrgId, StewardId};

/// The party that a broken rule is blamed on. What it signed, or what it alone could have
/// prevented, breaks the rule; a forged signature is blamed on whoever passed it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Culprit {
    /// The founders, whose document everything else is checked against.
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

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Founders => f.write_str("the founders"),
            Self::Organisation(id) => write!(f, "organisation {id}"),
            Self::Aggregator => f.write_str("the aggregator"),
            Self::Steward(id) => write!(f, "steward {id}"),
            Self::Device(id) => write!(f, "device {id}"),
        }
    }
}

/// A rule was broken, by whom, and how exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{culprit} broke the rule \"{rule}\": {detail}")]
pub struct Violation {
    /// Who is to blame.
    pub culprit: Culprit,
    /// The rule.
    pub rule: Rule,
    /// The particulars, for people.
    pub detail: String,
}

impl Violation {
    /// A violation of a rule.
    pub fn new(culprit: Culprit, rule: Rule, detail: impl fmt::Display) -> Self {
        Self {
            culprit,
            rule,
            detail: detail.to_string(),
        }
    }

    /// `Ok` when the rule holds.
    ///
    /// # Errors
    /// The violation, when it does not hold.
    pub fn unless(
        holds: bool,
        culprit: Culprit,
        rule: Rule,
        detail: &'static str,
    ) -> Result<(), Self> {
        if holds {
            Ok(())
        } else {
            Err(Self::new(culprit, rule, detail))
        }
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// The rules that a party can break. The names are stable: tests, problem documents and
        /// audit reports show them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $variant,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant,)*];

            /// The rule's stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

rules! {
    /// A statement is canonical, of the expected kind, consistent and within its bounds.
    Statement => "statement",
    /// A statement is signed by the party that it speaks for.
    Signature => "signature",
    /// A statement names the round that it is used in.
    Round => "round",
    /// A statement names the session that it is used in.
    Session => "session",
    /// A statement names the root that it is used with.
    Root => "root",
    /// A steward is in the roster.
    RosterMember => "roster-member",
    /// A party says a thing at most once per round.
    Once => "once",
    /// The roster is signed by its organisations and by enough founders.
    Roster => "roster",
    /// A task names the pinned federation and the given roster.
    TaskBinding => "task-binding",
    /// A task's owner is a member.
    TaskOwner => "task-owner",
    /// A task is signed by the owner's issuer, with a certificate that was valid.
    TaskIssuer => "task-issuer",
    /// A round names a place in the register, and seats nobody and runs for nobody who was revoked before it.
    Register => "register",
    /// A specification is of this protocol version.
    Version => "version",
    /// A specification's federation, roster, dimension and charge follow from the task.
    SpecBinding => "spec-binding",
    /// A specification has one place per steward and at least A valid sealing keys.
    SealingKeys => "sealing-keys",
    /// The matrix seed follows from the sealing keys.
    MatrixSeed => "matrix-seed",
    /// The model of a round follows from the rounds before.
    SpecModel => "spec-model",
    /// A specification names the statement that ended the round before.
    SpecPrevious => "spec-previous",
    /// At least T stewards endorsed the specification.
    Endorsements => "endorsements",
    /// A device's credential is signed by a member's issuer and valid in the round.
    Credential => "credential",
    /// A header has one commitment of each kind per steward and one package digest per seated steward.
    HeaderShape => "header-shape",
    /// The submissions are sorted by device, each device once.
    DeviceOrder => "device-order",
    /// The closed root and count are those of the submissions.
    ClosedRoot => "closed-root",
    /// A payload has the length and digest that its header names, of canonical elements.
    Payload => "payload",
    /// A steward's part of the beacon is proven under its VRF key.
    BeaconShare => "beacon-share",
    /// A challenge has the parts of exactly T distinct seated stewards in increasing point.
    Challenge => "challenge",
    /// A steward's answers have the length and digest that its report gives, of canonical elements.
    Answers => "answers",
    /// The public scalars are those of the payloads.
    Scalars => "scalars",
    /// A report has one finding per submission.
    ReportLength => "report-length",
    /// A verdict's decisions, openers and liars follow from headers, reports, answers and policy.
    Verdict => "verdict",
    /// A verdict names the reports that it judged.
    VerdictReports => "verdict-reports",
    /// A verdict charges the round once, on top of what was spent.
    Charge => "charge",
    /// What is spent stays within the budget.
    Budget => "budget",
    /// An opening answers the verdict, by a steward that may.
    OpeningBinding => "opening-binding",
    /// The sums of a steward over the groups of a round are those that its opening names, and add up to its sum.
    GroupSums => "group-sums",
    /// A steward's answer is on the polynomial of the opened sum.
    OpeningShare => "opening-share",
    /// A result names the openings, points and culprits that follow.
    ResultOpenings => "result-openings",
    /// A result's sum is the sum of the accepted payloads.
    ResultSum => "result-sum",
    /// The next model follows from the model and the sum.
    ResultModel => "result-model",
    /// A round is aborted only for a reason that holds.
    AbortReason => "abort-reason",
    /// A steward submits noise only where the task asks for it, and reports on noise as the beacon says.
    Noise => "noise",
    /// A device submits only when it is selected, with the proof of it, and a result leaves the beacon to draw from.
    Selection => "selection",
    /// No organisation has more submissions in a round than the task's quota.
    Quota => "quota",
    /// A receipt names the submission that it was given for.
    Receipt => "receipt",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
