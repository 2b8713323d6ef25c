//! The table of what is expected: `table.txt`, whose head explains it.

use std::sync::atomic::{AtomicBool, Ordering};

use dawn_audits::AuditRule;

use super::cases::Case;

/// What the auditor has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The transcript passes; beside a log it does not, and this is to blame.
    Logged(Who),
    Fails(AuditRule, Who),
}

/// Who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Provider,
    Aggregator,
    /// Who signed the innermost statement that was changed.
    Signer,
}

struct Line {
    text: &'static str,
    how: &'static str,
    kind: &'static str,
    path: Vec<&'static str>,
    /// For these changes or transcripts; for all others when there are none.
    outcomes: Vec<(Vec<&'static str>, Vec<Expected>)>,
    /// Whatever is done, nothing can be read any more: the container's rule.
    never: bool,
    used: AtomicBool,
    unread: AtomicBool,
}

/// The lines; the first that fits a case counts.
pub struct Table(Vec<Line>);

impl Table {
    pub fn read() -> Self {
        let lines = include_str!("table.txt").lines();
        let lines = lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        Self(lines.map(Line::read).collect())
    }

    fn line(&self, case: &Case) -> Option<&Line> {
        self.0.iter().find(|line| line.fits(case))
    }

    /// What is expected of a case in which everything can be read: one of these.
    pub fn expected(&self, case: &Case) -> &[Expected] {
        let Some(line) = self.line(case).filter(|line| !line.never) else {
            return &[];
        };
        line.used.store(true, Ordering::Relaxed);
        let is_named = |whats: &[&str]| whats.contains(&case.what) || whats.contains(&case.base);
        let named = line.outcomes.iter().find(|(whats, _)| is_named(whats));
        let others = || line.outcomes.iter().find(|(whats, _)| whats.is_empty());
        named.or_else(others).map_or(&[], |(_, expected)| expected)
    }

    /// Notes a case in which something cannot be read; whether its field is in the table.
    pub fn unreadable(&self, case: &Case) -> bool {
        let line = self.line(case);
        if let Some(line) = line {
            line.unread.store(true, Ordering::Relaxed);
        }
        line.is_some()
    }

    /// Lines that no case came to.
    pub fn unused(&self) -> Vec<String> {
        let unused = self.0.iter().filter(|line| match line.never {
            true => !line.unread.load(Ordering::Relaxed),
            false => !line.used.load(Ordering::Relaxed),
        });
        unused
            .map(|line| format!("no case is of the line: {}", line.text))
            .collect()
    }
}

impl Line {
    fn read(text: &'static str) -> Self {
        let said = text.split_once('#').map_or(text, |(said, _)| said);
        let mut words = said.split_whitespace();
        let (Some(how), Some(kind), Some(path)) = (words.next(), words.next(), words.next()) else {
            panic!("not a line of the table: {text}")
        };
        let rest = words.collect::<Vec<_>>().join(" ");
        let outcomes = rest.split(';').map(|outcome| {
            let (whats, outcome) = outcome.split_once(':').unwrap_or(("", outcome));
            let whats = whats
                .split(',')
                .map(str::trim)
                .filter(|what| !what.is_empty());
            (
                whats.map(|what| &*what.to_owned().leak()).collect(),
                outcome.trim().to_owned(),
            )
        });
        let outcomes: Vec<(Vec<&'static str>, String)> = outcomes.collect();
        let never = outcomes.iter().any(|(_, outcome)| outcome == "unreadable");
        let read = |(whats, outcome): (Vec<&'static str>, String)| {
            let one_of = outcome.split(" or ");
            (
                whats,
                one_of
                    .map(|outcome| Expected::read(outcome, text))
                    .collect(),
            )
        };
        Self {
            text,
            how,
            kind,
            path: path.split('.').filter(|step| *step != "-").collect(),
            outcomes: if never {
                vec![]
            } else {
                outcomes.into_iter().map(read).collect()
            },
            never,
            used: AtomicBool::new(false),
            unread: AtomicBool::new(false),
        }
    }

    fn fits(&self, case: &Case) -> bool {
        if self.how != case.how || self.kind != case.kind.name().replace(' ', "-") {
            return false;
        }
        let open = self.path.last() == Some(&"**");
        let steps = &self.path[..self.path.len() - usize::from(open)];
        let mut pairs = steps.iter().zip(&case.path);
        (case.path.len() == steps.len() || open && case.path.len() >= steps.len())
            && pairs.all(|(line, step)| line == step || *line == "*" && step.parse::<u32>().is_ok())
    }
}

impl Expected {
    fn read(outcome: &str, line: &str) -> Self {
        match outcome {
            "logged" => return Self::Logged(Who::Aggregator),
            "unlogged" => return Self::Logged(Who::Provider),
            _ => {}
        }
        let (number, who) = outcome
            .split_once(' ')
            .unwrap_or_else(|| panic!("no outcome: {line}"));
        let rule = AuditRule::ALL.iter().find(|rule| rule.number() == number);
        let who = match who {
            "provider" => Who::Provider,
            "aggregator" => Who::Aggregator,
            "signer" => Who::Signer,
            other => panic!("nobody is called {other}: {line}"),
        };
        Self::Fails(*rule.unwrap_or_else(|| panic!("no such rule: {line}")), who)
    }
}
