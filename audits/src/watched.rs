//! What the entries of a log say, one after the other: statements, rounds, and what was spent.

use std::collections::BTreeMap;
use std::fmt;

use dawn_identity::{Envelope, KeyId, Signed, Statement, TaskId, VerifiedFederation};
use dawn_protocol::{Aborted, MAX_STATEMENT_BYTES, RoundId, RoundResult, RoundSpec, Task, Verdict};
use serde::Serialize;

use crate::finding::{Finding, Party};
use crate::log::Heard;
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
#[derive(Clone, Copy, Debug, Default)]
struct Spending {
    budget: Option<u64>,
    spent: u64,
}

/// Everything that was said so far.
pub(crate) struct Watched {
    heard: Heard,
    register: LoggedRegister,
    tasks: BTreeMap<TaskId, Spending>,
    federation: VerifiedFederation,
}

impl Watched {
    pub(crate) fn new(federation: &VerifiedFederation) -> Self {
        Self {
            heard: Heard::new(federation.aggregator.id()),
            register: LoggedRegister::new(federation),
            tasks: BTreeMap::new(),
            federation: federation.clone(),
        }
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
        findings.extend(self.heard.note(&envelope).err());
        findings.extend(self.register.note(&envelope).err());
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
                let round = spec.peek().round;
                format!(
                    "round {round} begins, {} micro-rho",
                    spec.peek().charge_micro_rho
                )
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

    /// A statement that only the aggregator makes.
    fn spoken<T: Statement>(
        &self,
        envelope: &Envelope,
        findings: &mut Vec<Finding>,
    ) -> Option<Signed<T>> {
        let signed = read::<T>(envelope)?;
        if let Err(error) = signed.verify(&self.federation.aggregator) {
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
        let spending = Spending { budget, spent: 0 };
        self.tasks.entry(body.id()).or_insert(spending);
        let budget = budget.map_or("no budget".to_owned(), |most| format!("{most} micro-rho"));
        format!("task {} of {} rounds, {budget}", body.id(), body.rounds)
    }

    /// A16, from the log alone: every verdict is in it, so that all of them add up.
    fn verdict(&mut self, verdict: &Verdict, findings: &mut Vec<Finding>) -> String {
        let RoundId { task, .. } = verdict.round;
        let known = self.tasks.entry(task).or_default();
        let spent = known.spent.saturating_add(verdict.charge_micro_rho);
        let mut broken = |detail: String| {
            findings.push(Finding::new(AuditRule::Budget, Party::Aggregator, detail));
        };
        if verdict.spent_micro_rho != spent {
            broken(format!(
                "the verdict of round {} says that {} micro-rho are spent, the verdicts in the log add up to {spent}",
                verdict.round, verdict.spent_micro_rho
            ));
        }
        let most = known.budget;
        if most.is_some_and(|most| spent > most) {
            broken(format!(
                "round {} spends more than the budget of its task",
                verdict.round
            ));
        }
        known.spent = spent;
        let budget = most.map_or(String::new(), |most| format!(" of {most}"));
        format!(
            "round {}: {} accepted, {spent} micro-rho{budget} spent",
            verdict.round,
            verdict.accepted_count()
        )
    }
}

fn read<T: Statement>(envelope: &Envelope) -> Option<Signed<T>> {
    Signed::from_envelope(envelope.clone()).ok()
}
