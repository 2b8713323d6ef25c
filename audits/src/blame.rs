//! Who said it, before anybody is blamed for it.
//!
//! The protocol's own checks name the party that a statement speaks for. An auditor has to be
//! stricter, because it reads what anybody may have written: first the signature, then the context
//! that an honest party could have been in, and only then the party (docs/audit.md, section 2).

use dawn_identity::{Members, SessionId, Signed, Statement, StewardId};
use dawn_protocol::{AbortReason, Aborted, RoundContext, RoundId, TaskContext, Violation};

use crate::finding::{Finding, Party};
use crate::rule::AuditRule;

/// The aggregator signed this statement, in a round with the round's key.
pub(crate) fn by_aggregator<T: Statement + Clone>(
    context: &TaskContext,
    rule: AuditRule,
    signed: &Signed<T>,
) -> Result<(), Finding> {
    not_signed(rule, T::KIND, context.verify_aggregator(signed))
}

/// The aggregator signed this statement, with a key that it has, or has had, as of the register in the file.
pub(crate) fn by_aggregator_ever<T: Statement + Clone>(
    context: &TaskContext,
    rule: AuditRule,
    signed: &Signed<T>,
) -> Result<(), Finding> {
    not_signed(rule, T::KIND, context.verify_aggregator_ever(signed))
}

/// The aggregator signed the end of this round: with the round's key, or because that was replaced with a later one.
/// `members` are of all entries of the register in the file.
pub(crate) fn aborted(
    context: &RoundContext,
    members: &Members,
    aborted: &Signed<Aborted>,
) -> Result<(), Finding> {
    // With the round's own key while it is the aggregator's: the round was ended for a reason that is not one.
    let replaced = aborted.peek().reason == AbortReason::KeyReplaced;
    if replaced
        && context.verify_key_counts(members).is_ok()
        && context.verify_aggregator(aborted).is_ok()
    {
        let detail = "the round was aborted because its key was replaced, and it was not";
        return Err(Finding::new(AuditRule::Abort, Party::Aggregator, detail));
    }
    let verified = context.verify_aborted(aborted, members);
    not_signed(AuditRule::Abort, Aborted::KIND, verified)
}

fn not_signed<T>(
    rule: AuditRule,
    kind: &str,
    verified: Result<T, Violation>,
) -> Result<(), Finding> {
    match verified {
        Ok(_) => Ok(()),
        Err(violation) => Err(Finding::new(
            rule,
            Party::Provider,
            format_args!(
                "a {kind} that the aggregator did not sign: {}",
                violation.detail
            ),
        )),
    }
}

/// A steward of the roster signed this statement; gives its evaluation point.
pub(crate) fn by_steward<T: Statement + Clone>(
    context: &TaskContext,
    rule: AuditRule,
    signed: &Signed<T>,
    steward: &StewardId,
) -> Result<u8, Finding> {
    let refuse = |detail: String| {
        Finding::new(
            rule,
            Party::Provider,
            format_args!("a {}: {detail}", T::KIND),
        )
    };
    let (point, key) = context.steward(steward).map_err(|e| refuse(e.detail))?;
    match signed.verify(key) {
        Ok(_) => Ok(point),
        Err(error) => Err(refuse(format!(
            "steward {steward} did not sign it: {error}"
        ))),
    }
}

/// A statement of the aggregator is about this round and session. It says one session a round.
pub(crate) fn aggregator_about(
    context: &RoundContext,
    rule: AuditRule,
    round: &RoundId,
    session: &SessionId,
) -> Result<(), Finding> {
    same_round(context, rule, round)?;
    Finding::unless(
        *session == context.session(),
        rule,
        Party::Aggregator,
        "the aggregator signed for another session of this round",
    )
}

/// A statement of a steward is about this round and session. An honest steward may have been shown
/// another session by a lying aggregator: it is not to blame for having answered there.
pub(crate) fn steward_about(
    context: &RoundContext,
    rule: AuditRule,
    round: &RoundId,
    session: &SessionId,
) -> Result<(), Finding> {
    same_round(context, rule, round)?;
    Finding::unless(
        *session == context.session(),
        rule,
        Party::Provider,
        "a steward's statement about another session of this round",
    )
}

fn same_round(context: &RoundContext, rule: AuditRule, round: &RoundId) -> Result<(), Finding> {
    let expected = context.round_id();
    Finding::unless(
        *round == expected,
        rule,
        Party::Provider,
        format_args!("a statement about round {round} in the transcript of {expected}"),
    )
}
