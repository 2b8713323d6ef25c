//! What stewards say in a round: verified, then stored once.

use dawn_crypto::vrf;
use dawn_identity::{Signed, Statement, StewardId};
use dawn_protocol::beacon::beacon_input;
use dawn_protocol::{
    BeaconShare, Challenge, Closed, Culprit, Endorsement, Opening, PackageReport, RoundContext,
    RoundId, Rule, SealingKey, SessionId, Verdict, Violation,
};

use crate::app::App;
use crate::clock::now_ms;
use crate::problem::Problem;
use crate::registry::Stored;
use crate::store::rounds::Phase;
use crate::store::statements::{Beside, Put, StewardStatement};

/// The kinds of statement that a steward makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StewardKind {
    /// Its sealing key of the round.
    SealingKey,
    /// That it stands behind the specification.
    Endorsement,
    /// Its part of the beacon.
    BeaconShare,
    /// What it found in its packages; it comes with answers, not as a bare statement.
    Report,
    /// Its share of the sum.
    Opening,
}

impl StewardKind {
    /// The kind with this name, of those that are made as bare statements.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::SealingKey,
            Self::Endorsement,
            Self::BeaconShare,
            Self::Opening,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }

    /// Its name in paths and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::SealingKey => SealingKey::KIND,
            Self::Endorsement => Endorsement::KIND,
            Self::BeaconShare => BeaconShare::KIND,
            Self::Report => PackageReport::KIND,
            Self::Opening => Opening::KIND,
        }
    }

    fn phases(self) -> &'static [Phase] {
        match self {
            Self::SealingKey => &[Phase::Keying],
            Self::Endorsement => &[Phase::Endorsing, Phase::Collecting],
            Self::BeaconShare => &[Phase::Challenging],
            Self::Report => &[Phase::Reporting],
            Self::Opening => &[Phase::Opening],
        }
    }
}

/// Takes a steward's statement about a round.
///
/// # Errors
/// Malformed, about something else, not signed by the steward, in the wrong phase, or the steward has said
/// something else before.
pub async fn put_statement(
    app: &App,
    id: &RoundId,
    kind: StewardKind,
    bytes: &[u8],
) -> Result<Stored, Problem> {
    let outcome = match kind {
        StewardKind::SealingKey => {
            let members = app.members().await?;
            let task = app.task_in_force(&id.task, &members).await?;
            let signed = decode::<SealingKey>(bytes)?;
            let point = task
                .verify_sealing_key(id, &signed)
                .map_err(Problem::invalid)?;
            let org = task.roster().steward_at(point).map(|entry| entry.org);
            if let Some(member) = org.and_then(|org| members.get(&org)) {
                member
                    .check_steward(&signed.peek().steward)
                    .map_err(Problem::forbidden)?;
            }
            store_statement(app, id, kind, signed.peek().steward, &signed, None).await
        }
        StewardKind::Endorsement => {
            let context = app.round_context(id).await?;
            let signed = decode::<Endorsement>(bytes)?;
            context
                .verify_endorsement(&signed)
                .map_err(Problem::invalid)?;
            store_statement(app, id, kind, signed.peek().steward, &signed, None).await
        }
        StewardKind::BeaconShare => {
            let signed = decode::<BeaconShare>(bytes)?;
            verify_beacon_share(app, id, &signed).await?;
            store_statement(app, id, kind, signed.peek().steward, &signed, None).await
        }
        // Without its answers it counts for nothing.
        StewardKind::Report => Err(Problem::invalid("a report comes with its answers")),
        StewardKind::Opening => {
            let signed = decode::<Opening>(bytes)?;
            let context = verify_opening(app, id, &signed).await?;
            // Without its sums it counts for nothing.
            if context.task().options.groups.is_some() {
                return Err(Problem::invalid(
                    "an opening of a round with groups comes with its sums",
                ));
            }
            store_statement(app, id, kind, signed.peek().steward, &signed, None).await
        }
    };
    count_statement(app, kind, &outcome);
    outcome
}

/// Counts what became of a statement.
pub(crate) fn count_statement(app: &App, kind: StewardKind, outcome: &Result<Stored, Problem>) {
    let label = match outcome {
        Ok(Stored::Now) => "stored",
        Ok(Stored::Already) => "repeated",
        Err(_) => "refused",
    };
    app.metrics.count(
        "dawn_statements_total",
        &[("kind", kind.name()), ("outcome", label)],
    );
}

fn decode<T: Statement>(bytes: &[u8]) -> Result<Signed<T>, Problem> {
    Signed::from_bytes(bytes).map_err(Problem::malformed)
}

/// Stores a statement that was verified, once.
pub(crate) async fn store_statement<T: Statement>(
    app: &App,
    id: &RoundId,
    kind: StewardKind,
    steward: StewardId,
    signed: &Signed<T>,
    beside: Option<Beside<'_>>,
) -> Result<Stored, Problem> {
    let statement = StewardStatement {
        round: *id,
        kind: kind.name(),
        steward,
        envelope: signed.bytes(),
        body: signed.body_digest(),
        phases: kind.phases(),
        beside,
    };
    match app.store.put_statement(&statement, now_ms()).await? {
        Put::Now => {
            app.changed();
            Ok(Stored::Now)
        }
        Put::Already => Ok(Stored::Already),
        Put::Conflict => {
            tracing::warn!(%steward, kind = kind.name(), round = %id, "a steward said two things");
            Err(Problem::conflict(
                "this steward has made another statement of this kind in this round, and that one stays",
            ))
        }
        Put::WrongPhase(phase) => Err(Problem::wrong_phase(format!(
            "the round does not take this now; its phase is {}",
            phase.as_str()
        ))),
        Put::ObjectsGone => Err(Problem::unavailable(
            "the upload took too long; send it again",
        )),
        Put::NoRound => Err(Problem::not_found("the task has no such round yet")),
    }
}

/// What a steward that has a seat says about a closed list of submissions, without the roll, which is long.
/// Gives its point.
fn verify_about_closed<T: Statement>(
    context: &RoundContext,
    closed: &Closed,
    signed: &Signed<T>,
    steward: &StewardId,
    (round, session, root): (&RoundId, &SessionId, &dawn_protocol::Digest),
) -> Result<u8, Violation> {
    let culprit = Culprit::Steward(*steward);
    Violation::unless(
        *round == context.round_id() && *session == context.session(),
        culprit,
        Rule::Session,
        "the statement is about another round or session",
    )?;
    Violation::unless(
        *root == closed.root,
        culprit,
        Rule::Root,
        "the statement is about another root",
    )?;
    let point = verify_signer(context, signed, steward)?;
    Violation::unless(
        context.seat_index(point).is_some(),
        culprit,
        Rule::RosterMember,
        "the steward has no seat in this round",
    )?;
    Ok(point)
}

async fn closing(app: &App, id: &RoundId) -> Result<Signed<Closed>, Problem> {
    app.own_statement::<Closed>(id)
        .await?
        .ok_or_else(|| Problem::wrong_phase("the round is not closed"))
}

/// What [`dawn_protocol::RoundClosed::verify_beacon_share`] checks.
async fn verify_beacon_share(
    app: &App,
    id: &RoundId,
    signed: &Signed<BeaconShare>,
) -> Result<(), Problem> {
    let context = app.round_context(id).await?;
    let closed = closing(app, id).await?;
    let share = signed.peek();
    let about = (&share.round, &share.session, &share.root);
    let point = verify_about_closed(&context, closed.peek(), signed, &share.steward, about)
        .map_err(Problem::invalid)?;
    let entry = context.roster().steward_at(point);
    let key = entry.ok_or_else(|| Problem::internal("a point without a steward"))?;
    let input = beacon_input(&share.session, &share.root);
    vrf::verify(&key.vrf, &input.0, &share.proof)
        .map(|_| ())
        .map_err(|error| Violation::new(Culprit::Steward(share.steward), Rule::BeaconShare, error))
        .map_err(Problem::invalid)
}

/// What [`dawn_protocol::RoundChallenged::verify_report`] checks.
pub(crate) async fn verify_report(
    app: &App,
    id: &RoundId,
    signed: &Signed<PackageReport>,
) -> Result<RoundContext, Problem> {
    let context = app.round_context(id).await?;
    let report = signed.peek();
    let closed = closing(app, id).await?;
    let challenge = app
        .own_statement::<Challenge>(id)
        .await?
        .ok_or_else(|| Problem::wrong_phase("the round has no challenge yet"))?;
    let closed = closed.peek();
    let culprit = Culprit::Steward(report.steward);
    let about = (&report.round, &report.session, &report.root);
    verify_about_closed(&context, closed, signed, &report.steward, about)
        .and_then(|_| {
            let same = report.challenge == challenge.body_digest();
            let why = "the report answers another challenge";
            Violation::unless(same, culprit, Rule::Challenge, why)
        })
        .and_then(|()| {
            let complete = report.outcomes.len() == closed.count as usize;
            let why = "not one finding per submission";
            Violation::unless(complete, culprit, Rule::ReportLength, why)
        })
        .map_err(Problem::invalid)?;
    Ok(context)
}

/// What [`dawn_protocol::Judged::verify_opening`] checks, without judging again.
pub(crate) async fn verify_opening(
    app: &App,
    id: &RoundId,
    signed: &Signed<Opening>,
) -> Result<RoundContext, Problem> {
    let context = app.round_context(id).await?;
    let opening = signed.peek();
    let verdict = app
        .own_statement::<Verdict>(id)
        .await?
        .ok_or_else(|| Problem::wrong_phase("the round has no verdict"))?;
    let culprit = Culprit::Steward(opening.steward);
    let about = opening.round == *id && opening.session == context.session();
    Violation::unless(
        about,
        culprit,
        Rule::Session,
        "the opening is about another round or session",
    )
    .and_then(|()| {
        let same = opening.root == verdict.peek().root;
        Violation::unless(
            same,
            culprit,
            Rule::Root,
            "the opening is about another root",
        )
    })
    .and_then(|()| {
        let same = opening.verdict == verdict.body_digest();
        Violation::unless(
            same,
            culprit,
            Rule::OpeningBinding,
            "the opening answers another verdict",
        )
    })
    .and_then(|()| {
        let same = opening.groups.is_some() == context.task().options.groups.is_some();
        let why = "an opening names sums over groups when the task asks for groups, and only then";
        Violation::unless(same, culprit, Rule::GroupSums, why)
    })
    .and_then(|()| verify_signer(&context, signed, &opening.steward))
    .and_then(|point| {
        let may = verdict.peek().openers.contains(&point);
        let why = "this steward does not hold the whole accepted set";
        Violation::unless(may, culprit, Rule::OpeningBinding, why)
    })
    .map_err(Problem::invalid)?;
    Ok(context)
}

fn verify_signer<T: Statement>(
    context: &RoundContext,
    signed: &Signed<T>,
    steward: &StewardId,
) -> Result<u8, Violation> {
    let (point, key) = context.steward(steward)?;
    signed
        .verify(key)
        .map_err(|error| Violation::new(Culprit::Steward(*steward), Rule::Signature, error))?;
    Ok(point)
}
