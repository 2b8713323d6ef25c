//! What the entries of a log say, one after the other: statements, rounds, and what was spent.

use std::collections::BTreeMap;
use std::fmt;

use dawn_identity::{
    Envelope, KeyId, Members, Register, Signed, Statement, TaskId, VerifiedFederation,
};
use dawn_protocol::tlog::LogKeys;
use dawn_protocol::{Aborted, MAX_STATEMENT_BYTES, RoundId, RoundResult, RoundSpec, Task, Verdict};
use serde::Serialize;

use crate::finding::{Finding, Party};
use crate::heard::Heard;
use crate::logged_register::LoggedRegister;
use crate::rule::AuditRule;

/// What one entry says, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Its place in the log.
    pub index: u64,
    /// The kind of the statement; `document` for the founding document and rosters.
    pub kind: String,
    /// The key that it names as its signer.
    pub signer: Option<KeyId>,
    /// The particulars, where there are any.
    pub about: String,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {}", self.index, self.kind)?;
        if !self.about.is_empty() {
            write!(f, ": {}", self.about)?;
        }
        Ok(())
    }
}

/// What a task may spend and has spent, in micro-rho.
#[derive(Clone, Debug)]
struct Spending {
    budget: Option<u64>,
    spent: u64,
    /// What each round costs, as its specification says.
    charges: BTreeMap<u32, u64>,
}

/// Everything that was said so far.
pub(crate) struct Watched {
    heard: Heard,
    register: LoggedRegister,
    members: Register,
    tasks: BTreeMap<TaskId, Spending>,
    log_keys: LogKeys,
}

impl Watched {
    pub(crate) fn new(federation: &VerifiedFederation) -> Self {
        Self {
            heard: Heard::new(),
            register: LoggedRegister::new(federation),
            members: Register::new(federation),
            tasks: BTreeMap::new(),
            log_keys: LogKeys::founded(&federation.log),
        }
    }

    /// The members and rosters as of the last entry.
    pub(crate) fn members(&self) -> &Members {
        self.members.members()
    }

    /// Which keys may sign which sizes, up to the last entry.
    pub(crate) fn log_keys(&self) -> &LogKeys {
        &self.log_keys
    }

    /// Notes the next entry: what it says, and what is wrong with it.
    pub(crate) fn note(&mut self, index: u64, entry: &[u8]) -> (Told, Vec<Finding>) {
        let mut findings = Vec::new();
        let Ok(envelope) = Envelope::parse(entry, MAX_STATEMENT_BYTES) else {
            let kind = "document".to_owned();
            let (signer, about) = (None, String::new());
            return (
                Told {
                    index,
                    kind,
                    signer,
                    about,
                },
                findings,
            );
        };
        findings.extend(self.heard.note(&envelope, self.members.members()).err());
        findings.extend(self.register.note(&envelope).err());
        // What is no entry of the register, or a wrong one, is not taken.
        if self.members.push(entry).is_ok() {
            let log = self.members.members().log();
            self.log_keys.note(index.saturating_add(1), log);
        }
        let about = self.about(&envelope, &mut findings);
        let told = Told {
            index,
            kind: envelope.kind().to_owned(),
            signer: Some(envelope.signer()),
            about,
        };
        (told, findings)
    }

    fn about(&mut self, envelope: &Envelope, findings: &mut Vec<Finding>) -> String {
        match envelope.kind() {
            Task::KIND => read::<Task>(envelope).map(|task| self.task(&task)),
            RoundSpec::KIND => self.spoken::<RoundSpec>(envelope, findings).map(|spec| {
                let (round, charge) = (spec.peek().round, spec.peek().charge_micro_rho);
                if let Some(task) = self.tasks.get_mut(&round.task) {
                    task.charges.entry(round.number).or_insert(charge);
                }
                format!("round {round} begins, {charge} micro-rho")
            }),
            Verdict::KIND => {
                let verdict = self.spoken::<Verdict>(envelope, findings);
                verdict.map(|verdict| self.verdict(verdict.peek(), findings))
            }
            RoundResult::KIND => self
                .spoken::<RoundResult>(envelope, findings)
                .map(|result| {
                    let body = result.peek();
                    format!("round {} opened, {} accepted", body.round, body.accepted)
                }),
            Aborted::KIND => self.spoken::<Aborted>(envelope, findings).map(|aborted| {
                let body = aborted.peek();
                format!("round {} aborted: {}", body.round, body.reason)
            }),
            _ => None,
        }
        .unwrap_or_default()
    }

    /// A statement that only the aggregator makes, with its key as of here.
    fn spoken<T: Statement>(
        &self,
        envelope: &Envelope,
        findings: &mut Vec<Finding>,
    ) -> Option<Signed<T>> {
        let signed = read::<T>(envelope)?;
        if let Err(error) = signed.verify(self.members.members().aggregator()) {
            findings.push(Finding::new(
                AuditRule::Log,
                Party::Aggregator,
                format_args!(
                    "the log has a {} that the aggregator did not sign: {error}",
                    T::KIND
                ),
            ));
            return None;
        }
        Some(signed)
    }

    fn task(&mut self, task: &Signed<Task>) -> String {
        let body = task.peek();
        let budget = body.privacy.budget_micro_rho;
        let spending = Spending {
            budget,
            spent: 0,
            charges: BTreeMap::new(),
        };
        self.tasks.entry(body.id()).or_insert(spending);
        let budget = budget.map_or("no budget".to_owned(), |most| format!("{most} micro-rho"));
        format!("task {} of {} rounds, {budget}", body.id(), body.rounds)
    }

    /// A16, from the log alone: every task, specification and verdict is in it, in this order, so that all verdicts add up.
    fn verdict(&mut self, verdict: &Verdict, findings: &mut Vec<Finding>) -> String {
        let RoundId { task, number } = verdict.round;
        let round = verdict.round;
        let accepted = verdict.accepted_count();
        let mut broken = |rule, detail: String| {
            findings.push(Finding::new(rule, Party::Aggregator, detail));
        };
        let Some(known) = self.tasks.get_mut(&task) else {
            let what = format!("the log has a verdict of round {round}, and no task before it");
            broken(AuditRule::Log, what);
            return format!("round {round}: {accepted} accepted");
        };
        match known.charges.get(&number) {
            None => broken(
                AuditRule::Log,
                format!("the log has a verdict of round {round}, and no specification before it"),
            ),
            Some(charge) if *charge != verdict.charge_micro_rho => broken(
                AuditRule::Budget,
                format!(
                    "the verdict of round {round} charges {} micro-rho, its specification says {charge}",
                    verdict.charge_micro_rho
                ),
            ),
            Some(_) => {}
        }
        let spent = known.spent.saturating_add(verdict.charge_micro_rho);
        if verdict.spent_micro_rho != spent {
            broken(
                AuditRule::Budget,
                format!(
                    "the verdict of round {round} says that {} micro-rho are spent, the verdicts in the log add up to {spent}",
                    verdict.spent_micro_rho
                ),
            );
        }
        let most = known.budget;
        if most.is_some_and(|most| spent > most) {
            let what = format!("round {round} spends more than the budget of its task");
            broken(AuditRule::Budget, what);
        }
        known.spent = spent;
        let budget = most.map_or(String::new(), |most| format!(" of {most}"));
        format!("round {round}: {accepted} accepted, {spent} micro-rho{budget} spent")
    }
}

fn read<T: Statement>(envelope: &Envelope) -> Option<Signed<T>> {
    Signed::from_envelope(envelope.clone()).ok()
}
