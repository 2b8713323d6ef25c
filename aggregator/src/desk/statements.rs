//! What stewards say in a round: verified, then stored once.

use dawn_identity::{Signed, Statement, StewardId};
use dawn_protocol::{
    Closed, Culprit, Endorsement, Opening, PackageReport, RoundContext, RoundId, Rule, SealingKey,
    Verdict, Violation,
};

use crate::app::App;
use crate::clock::now_ms;
use crate::problem::Problem;
use crate::registry::Stored;
use crate::store::rounds::Phase;
use crate::store::statements::{Put, StewardStatement};

/// The kinds of statement that a steward makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StewardKind {
    /// Its sealing key of the round.
    SealingKey,
    /// That it stands behind the specification.
    Endorsement,
    /// What it found in its packages.
    Report,
    /// Its share of the sum.
    Opening,
}

impl StewardKind {
    /// The kind with this name.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::SealingKey,
            Self::Endorsement,
            Self::Report,
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
            Self::Report => PackageReport::KIND,
            Self::Opening => Opening::KIND,
        }
    }

    fn phases(self) -> &'static [Phase] {
        match self {
            Self::SealingKey => &[Phase::Keying],
            Self::Endorsement => &[Phase::Endorsing, Phase::Collecting],
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
            let task = app.task_context(&id.task).await?;
            let signed = decode::<SealingKey>(bytes)?;
            task.verify_sealing_key(id, &signed)
                .map_err(Problem::invalid)?;
            store(app, id, kind, signed.peek().steward, &signed).await
        }
        StewardKind::Endorsement => {
            let context = app.round_context(id).await?;
            let signed = decode::<Endorsement>(bytes)?;
            context
                .verify_endorsement(&signed)
                .map_err(Problem::invalid)?;
            store(app, id, kind, signed.peek().steward, &signed).await
        }
        StewardKind::Report => {
            let signed = decode::<PackageReport>(bytes)?;
            verify_report(app, id, &signed).await?;
            store(app, id, kind, signed.peek().steward, &signed).await
        }
        StewardKind::Opening => {
            let signed = decode::<Opening>(bytes)?;
            verify_opening(app, id, &signed).await?;
            store(app, id, kind, signed.peek().steward, &signed).await
        }
    };
    let label = match &outcome {
        Ok(Stored::Now) => "stored",
        Ok(Stored::Already) => "repeated",
        Err(_) => "refused",
    };
    app.metrics.count(
        "dawn_statements_total",
        &[("kind", kind.name()), ("outcome", label)],
    );
    outcome
}

fn decode<T: Statement>(bytes: &[u8]) -> Result<Signed<T>, Problem> {
    Signed::from_bytes(bytes).map_err(Problem::malformed)
}

async fn store<T: Statement>(
    app: &App,
    id: &RoundId,
    kind: StewardKind,
    steward: StewardId,
    signed: &Signed<T>,
) -> Result<Stored, Problem> {
    let statement = StewardStatement {
        round: *id,
        kind: kind.name(),
        steward,
        envelope: signed.bytes(),
        body: signed.body_digest(),
        phases: kind.phases(),
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
        Put::NoRound => Err(Problem::not_found("the task has no such round yet")),
    }
}

/// What [`dawn_protocol::RoundClosed::verify_report`] checks, without the roll, which is long.
async fn verify_report(
    app: &App,
    id: &RoundId,
    signed: &Signed<PackageReport>,
) -> Result<(), Problem> {
    let context = app.round_context(id).await?;
    let report = signed.peek();
    let closed = app
        .own_statement::<Closed>(id)
        .await?
        .ok_or_else(|| Problem::wrong_phase("the round is not closed"))?;
    let closed = closed.peek();
    let culprit = Culprit::Steward(report.steward);
    let about = report.round == *id && report.session == context.session();
    Violation::unless(
        about,
        culprit,
        Rule::Session,
        "the report is about another round or session",
    )
    .and_then(|()| {
        Violation::unless(
            report.root == closed.root,
            culprit,
            Rule::Root,
            "the report is about another root",
        )
    })
    .and_then(|()| {
        let complete = report.outcomes.len() == closed.count as usize;
        Violation::unless(
            complete,
            culprit,
            Rule::ReportLength,
            "not one finding per submission",
        )
    })
    .and_then(|()| verify_signer(&context, signed, &report.steward))
    .and_then(|point| {
        let seated = context.seat_index(point).is_some();
        Violation::unless(
            seated,
            culprit,
            Rule::RosterMember,
            "the steward has no seat in this round",
        )
    })
    .map_err(Problem::invalid)
}

/// What [`dawn_protocol::Judged::verify_opening`] checks, without judging again.
async fn verify_opening(app: &App, id: &RoundId, signed: &Signed<Opening>) -> Result<(), Problem> {
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
    .and_then(|()| verify_signer(&context, signed, &opening.steward))
    .and_then(|point| {
        let may = verdict.peek().openers.contains(&point);
        let why = "this steward does not hold the whole accepted set";
        Violation::unless(may, culprit, Rule::OpeningBinding, why)
    })
    .map_err(Problem::invalid)
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
