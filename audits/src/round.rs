//! One transcript, from its first record to its last: the round re-executed (docs/audit.md).

use std::io::{BufReader, Read, Seek};

use dawn_crypto::digest::Digest;
use dawn_identity::{Entry, KeyId, Members, Register, Signed, StewardId};
use dawn_protocol::AbortReason;
use dawn_protocol::digests;
use dawn_protocol::transcript::Record;
use dawn_protocol::{
    Challenge, Closed, Endorsement, Opening, PackageReport, RoundContext, RoundId, RoundOpen,
    Terminal, Verdict,
};

use crate::answers::{self, AnswersAt};
use crate::blame;
use crate::chain::Chain;
use crate::ending;
use crate::finding::{Finding, Party};
use crate::preamble::{self, Preamble};
use crate::records::{Records, Stop, out_of_place, take, take_if};
use crate::report::RoundReport;
use crate::rule::AuditRule;
use crate::said::{Said, SaidRound};
use crate::submissions::{self, Submissions};
use crate::verify::Mode;

/// What was said after collecting, as it stands in the transcript.
pub(crate) struct Told {
    pub(crate) closed: Option<Box<Signed<Closed>>>,
    pub(crate) challenge: Option<Box<Signed<Challenge>>>,
    pub(crate) reports: Vec<Signed<PackageReport>>,
    /// One for every report.
    pub(crate) answers: Vec<AnswersAt>,
    pub(crate) verdict: Option<Box<Signed<Verdict>>>,
    pub(crate) openings: Vec<Signed<Opening>>,
    /// What stands beside each of the openings; nothing when no groups are asked for.
    pub(crate) group_sums: Vec<Option<Vec<u8>>>,
    pub(crate) terminal: Terminal,
    /// Of a transcript without payloads and answers: what it says is the digest of the whole one.
    pub(crate) whole: Option<Digest>,
    /// As of the end of the register in the file: with the key under which the round was aborted when its own was replaced.
    pub(crate) members: Members,
}

/// How far a round came before it ended.
pub(crate) enum Progress {
    /// No specification.
    Unspecified,
    /// A specification with fewer than T endorsements.
    Specified,
    /// Endorsed; submissions may have come.
    Announced(Box<(RoundOpen, Submissions)>),
}

/// Audits one transcript and carries on the chain of rounds.
///
/// # Errors
/// The first broken rule. When the container itself turns out to be damaged, that is told instead:
/// a damaged file says nothing about any party.
pub(crate) fn audit<R: Read + Seek>(
    input: &mut R,
    pin: Option<&Digest>,
    mode: Mode,
    chain: &mut Chain,
    said: &mut Said,
) -> Audited {
    let mut digest = None;
    let report = executed(input, pin, mode, chain, said, &mut digest);
    Audited { digest, report }
}

/// What came of a transcript.
pub(crate) struct Audited {
    /// The digest at its end, when the container is whole.
    pub(crate) digest: Option<Digest>,
    pub(crate) report: Result<RoundReport, Stop>,
}

fn executed<R: Read + Seek>(
    input: &mut R,
    pin: Option<&Digest>,
    mode: Mode,
    chain: &mut Chain,
    said: &mut Said,
    digest: &mut Option<Digest>,
) -> Result<RoundReport, Stop> {
    let start = input.stream_position().map_err(Stop::Unreadable)?;
    let mut records = Records::new(BufReader::new(&mut *input))?;
    let read = match read(&mut records, pin, mode, chain, said) {
        Ok(read) => read,
        Err(stop) => {
            *digest = records.drain()?;
            return Err(stop);
        }
    };
    drop(records);
    *digest = Some(read.digest);
    said.round = Some(read.said());
    let mut report = ending::check(input, start, mode, chain, read)?;
    report.details.transcript = *digest;
    Ok(report)
}

/// A transcript that was read once, to its end.
pub(crate) struct ReadOnce {
    pub(crate) preamble: Preamble,
    pub(crate) context: Option<RoundContext>,
    pub(crate) progress: Progress,
    pub(crate) endorsed: Vec<StewardId>,
    pub(crate) told: Told,
    pub(crate) digest: Digest,
}

impl ReadOnce {
    /// What is compared with the log.
    fn said(&self) -> SaidRound {
        let told = &self.told;
        SaidRound {
            id: told.terminal.round(),
            task: self.preamble.context.clone(),
            context: self.context.clone(),
            challenge: told.challenge.as_ref().map(|signed| signed.body_digest()),
            verdict: told.verdict.as_ref().map(|signed| signed.body_digest()),
            aborted: match &told.terminal {
                Terminal::Aborted(aborted) => Some(aborted.peek().reason),
                Terminal::Result(_) => None,
            },
        }
    }
}

fn read<R: Read>(
    records: &mut Records<R>,
    pin: Option<&Digest>,
    mode: Mode,
    chain: &Chain,
    said: &mut Said,
) -> Result<ReadOnce, Stop> {
    let mut endorsed = Vec::new();
    let preamble = preamble::read(records, pin, said)?;
    let (context, progress) = match take_if!(records, Spec) {
        None => (None, Progress::Unspecified),
        Some(spec) => {
            let round = spec.peek().round;
            said.note(&spec, round);
            for key in spec.peek().sealing_keys.iter().flatten() {
                said.note(key, round);
            }
            let context = specification(&preamble, chain, &spec)?;
            let endorsements = endorsements(records, &context, said)?;
            endorsed.extend(endorsements.iter().map(|signed| signed.peek().steward));
            let progress = announced(
                mode,
                records,
                &context,
                &endorsements,
                preamble.register.members(),
            )?;
            (Some(context), progress)
        }
    };
    let told = told(records, &preamble.register, said)?;
    match records.take()? {
        Record::End(digest) => Ok(ReadOnce {
            preamble,
            context,
            progress,
            endorsed,
            told,
            digest,
        }),
        other => Err(out_of_place(other.kind().name())),
    }
}

/// A05, and with the chain A15 and A17.
fn specification(
    preamble: &Preamble,
    chain: &Chain,
    spec: &Signed<dawn_protocol::RoundSpec>,
) -> Result<RoundContext, Finding> {
    let task = &preamble.context;
    blame::by_aggregator_ever(task, AuditRule::RoundSpec, spec)?;
    let round = spec.peek().round;
    Finding::unless(
        round.task == task.id(),
        AuditRule::RoundSpec,
        Party::Provider,
        "the specification is of another task",
    )?;
    // Another roster that the register has, and that this task's rounds may have, was left out of the file.
    let named = spec.peek().roster;
    let elsewhere = named != task.roster().digest()
        && task
            .under_roster(preamble.register.members(), &named)
            .is_ok();
    Finding::unless(
        !elsewhere,
        AuditRule::Roster,
        Party::Provider,
        "the roster in the file is not the one that the specification names",
    )?;
    let context = task
        .verify_spec(spec)
        .map_err(|e| Finding::of(AuditRule::RoundSpec, e))?;
    let members = preamble.register.at(&spec.peek().register).ok_or_else(|| {
        let detail = "the register in the file is not the one that the specification names";
        Finding::new(AuditRule::Roster, Party::Provider, detail)
    })?;
    context
        .verify_register(&members)
        .map_err(|e| Finding::of(AuditRule::RoundSpec, e))?;
    let before = chain.continues(preamble, &round)?;
    context
        .verify_previous(preamble.previous.as_ref(), before)
        .map_err(|e| Finding::of(AuditRule::Continuity, e))?;
    Finding::unless(
        preamble.model_digest == context.spec().model,
        AuditRule::Model,
        Party::Provider,
        "the model is not the one that the specification names",
    )?;
    direction(preamble, &context)?;
    Ok(context)
}

/// A04 for the model that the last accepted update went from: what the functional follows from.
fn direction(preamble: &Preamble, context: &RoundContext) -> Result<(), Finding> {
    let provider =
        |detail: &str| Finding::new(AuditRule::Model, Party::Provider, detail.to_owned());
    match (&preamble.direction, context.spec().direction) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(provider("the model of the direction is missing")),
        (Some(_), None) => Err(provider(
            "there is a model of a direction that is not asked for",
        )),
        (Some(from), Some(named)) => {
            if digests::model_digest(from) != named {
                return Err(provider(
                    "the model of the direction is not the one that is named",
                ));
            }
            // These are the bytes that the aggregator named: it answers for what they are.
            context
                .learn_models(from, &preamble.model.to_bytes())
                .map_err(|e| Finding::of(AuditRule::Model, e))
        }
    }
}

/// A06: every endorsement on its own. Whether there are enough, [`announced`] says.
fn endorsements<R: Read>(
    records: &mut Records<R>,
    context: &RoundContext,
    said: &mut Said,
) -> Result<Vec<Signed<Endorsement>>, Stop> {
    let mut endorsements = Vec::new();
    let mut last = 0;
    while let Some(endorsement) = take_if!(records, Endorsement) {
        said.note(&endorsement, context.round_id());
        let body = endorsement.peek();
        let rule = AuditRule::Endorsements;
        let point = blame::by_steward(context, rule, &endorsement, &body.steward)?;
        blame::steward_about(context, rule, &body.round, &body.session)?;
        answers::in_order(rule, &mut last, point)?;
        endorsements.push(*endorsement);
    }
    Ok(endorsements)
}

fn announced<R: Read>(
    mode: Mode,
    records: &mut Records<R>,
    context: &RoundContext,
    endorsements: &[Signed<Endorsement>],
    members: &Members,
) -> Result<Progress, Stop> {
    let enough = endorsements.len() >= usize::from(context.threshold().t());
    if !enough && matches!(records.peek(), Some(Record::Terminal(_) | Record::Later(_))) {
        return Ok(Progress::Specified);
    }
    // Nobody signed that there were enough of them: what is missing was left out of the file, or
    // the aggregator went on without.
    let open = RoundOpen::new(context.clone(), endorsements)
        .map_err(|e| Finding::new(AuditRule::Endorsements, Party::Provider, e.detail))?;
    let submissions = submissions::read(mode, records, &open, members)?;
    Ok(Progress::Announced(Box::new((open, submissions))))
}

fn told<R: Read>(
    records: &mut Records<R>,
    register: &Register,
    said: &mut Said,
) -> Result<Told, Stop> {
    let closed = take_if!(records, Closed);
    (closed.iter()).for_each(|signed| said.note(signed, signed.peek().round));
    let challenge = take_if!(records, Challenge);
    if let Some(challenge) = &challenge {
        let round = challenge.peek().round;
        said.note(challenge, round);
        let parts = challenge.peek().shares.iter();
        parts.for_each(|part| said.note(part, round));
    }
    let mut reports = Vec::new();
    let mut answers = Vec::new();
    while let Some(report) = take_if!(records, Report) {
        said.note(&report, report.peek().round);
        let at = records.at();
        answers.push(match take_if!(records, AnswersDigest) {
            Some(digest) => AnswersAt::named(at, digest),
            None => AnswersAt::new(at, &take!(records, Answers)),
        });
        reports.push(*report);
    }
    let verdict = take_if!(records, Verdict);
    (verdict.iter()).for_each(|signed| said.note(signed, signed.peek().round));
    let mut openings = Vec::new();
    let mut group_sums = Vec::new();
    while let Some(opening) = take_if!(records, Opening) {
        said.note(&opening, opening.peek().round);
        group_sums.push(take_if!(records, GroupSums));
        openings.push(*opening);
    }
    let later = later(records, register, said)?;
    let terminal = *take!(records, Terminal);
    said.note_terminal(&terminal);
    let whole = take_if!(records, WholeDigest);
    if let Some((_, newest)) = &later {
        let is_asked_for = matches!(&terminal, Terminal::Aborted(aborted)
            if aborted.peek().reason == AbortReason::KeyReplaced && aborted.signer() == *newest);
        Finding::unless(
            is_asked_for,
            AuditRule::Container,
            Party::Provider,
            "the entries of the register at the end do not lead to the key that signed the abort",
        )?;
    }
    let members = match later {
        Some((members, _)) => members,
        None => register.members().clone(),
    };
    Ok(Told {
        members,
        closed,
        challenge,
        reports,
        answers,
        verdict,
        openings,
        group_sums,
        terminal,
        whole,
    })
}

/// The entries of the register that are there because the aggregator's key was replaced, up to the one that did it: the
/// members as of it, and which key it brought. None when there are no entries.
fn later<R: Read>(
    records: &mut Records<R>,
    register: &Register,
    said: &mut Said,
) -> Result<Option<(Members, KeyId)>, Stop> {
    if !matches!(records.peek(), Some(Record::Later(_))) {
        return Ok(None);
    }
    let mut members = register.members().clone();
    let mut newest = None;
    while let Some(bytes) = take_if!(records, Later) {
        let entry = members
            .push(&bytes)
            .map_err(|e| Finding::new(AuditRule::Roster, Party::Provider, e))?;
        said.note_entry(&entry);
        newest = match entry {
            Entry::ServerKey(event) => Some(event.change.peek().new.key().id()),
            _ => None,
        };
    }
    let newest = newest.filter(|key| *key == members.aggregator().id());
    let newest = newest.ok_or_else(|| {
        let detail =
            "the entries of the register at the end do not end with a key of the aggregator";
        Finding::new(AuditRule::Container, Party::Provider, detail)
    })?;
    Ok(Some((members, newest)))
}

/// The round that a transcript is about, from its first records; nothing is verified. For sorting.
pub(crate) fn peek_round<R: Read>(input: R) -> Result<RoundId, Stop> {
    let mut records = Records::new(BufReader::new(input))?;
    loop {
        match records.take()? {
            Record::Spec(spec) => return Ok(spec.peek().round),
            Record::Terminal(terminal) => return Ok(terminal.round()),
            Record::End(_) => return Err(out_of_place("the end")),
            _ => {}
        }
    }
}
