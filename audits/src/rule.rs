//! The auditor's rules by their numbers (docs/audit.md, which also says in which order they are checked).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $number:literal => $title:literal,)*) => {
        /// A numbered rule. The numbers are stable: reports from years ago keep their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum AuditRule {
            $(
                $(#[$doc])*
                #[serde(rename = $number)]
                $variant,
            )*
        }

        impl AuditRule {
            /// Every rule, by number.
            pub const ALL: &'static [AuditRule] = &[$(AuditRule::$variant,)*];

            /// The rule's number, for example `A07`.
            pub const fn number(self) -> &'static str {
                match self {
                    $(Self::$variant => $number,)*
                }
            }

            /// What the rule says, in one line.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                }
            }
        }
    };
}

rules! {
    /// The container can be read.
    Container = "A01" => "the transcript is a complete, canonical container",
    /// The root of trust.
    Federation = "A02" => "the founding document is the pinned one and every founder signed it",
    /// Members and openers.
    Roster = "A03" => "the register verifies, and the roster is signed by its organisations and enough founders",
    /// What was agreed.
    Task = "A04" => "the task is signed by its owner's issuer and names this federation and roster",
    /// What was announced.
    RoundSpec = "A05" => "the round's specification is signed and follows from the task, the sealing keys and the register",
    /// Who stood behind it.
    Endorsements = "A06" => "at least T stewards endorsed the specification, each once",
    /// Who submitted.
    Submissions = "A07" => "every submission's header is readable, each device once, in order; the members are those of the closing",
    /// What was submitted.
    Payloads = "A08" => "every payload has the length and digest of its header, of canonical elements",
    /// What was closed.
    Closed = "A09" => "the closed root and count are those of the submissions",
    /// What the stewards found.
    Reports = "A10" => "every report is signed by its steward and is about this root, one per steward",
    /// What was decided.
    Verdict = "A11" => "the verdict follows from the headers, the reports, the answers and the policy",
    /// What the stewards answered.
    Openings = "A12" => "every opening is signed by a steward that may open and answers this verdict",
    /// What the sum is.
    Sum = "A13" => "the opened sum is the sum of the accepted payloads",
    /// What was published.
    Result = "A14" => "the result names the openings, points and culprits that follow",
    /// Where it leads.
    Model = "A15" => "the model is the one that the rounds before left, and the next one follows from the sum",
    /// What it cost.
    Budget = "A16" => "every opened round is charged once and the sum stays within the budget",
    /// No round is missing.
    Continuity = "A17" => "each round names the end of the one before; no round is missing or told twice",
    /// Nothing was hidden.
    Log = "A18" => "the log is without gaps under its signed head and contains every statement",
    /// Why nothing was opened.
    Abort = "A19" => "a round is aborted only for a reason that holds",
    /// What was asked about the submissions.
    Challenge = "A20" => "the challenge is about the closed root and has the proven parts of exactly T stewards",
    /// What the stewards answered about the submissions.
    Answers = "A21" => "every report's answers have its digest and are of canonical elements",
    /// What the submissions must answer to.
    Scalars = "A22" => "the public scalars are those of the payloads",
}

impl fmt::Display for AuditRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number(), self.title())
    }
}
