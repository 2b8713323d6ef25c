//! Every field of every statement of a transcript is changed, one at a time, and what the auditor says of it stands in a table
//! (`table.txt`). Fields are found by walking over the canonical CBOR, so that nobody has to remember to add a new one: a field
//! that is not in the table fails the test.

pub mod bases;
mod cases;
mod item;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::sync::Mutex;

use dawn_audits::log::LogWriter;
use dawn_audits::verify::LOG_FILE;
use dawn_audits::{AuditReport, AuditRule, Options, Party, verify_path};
use dawn_protocol::transcript::{Kind, TranscriptReader};

use crate::audit;
use crate::common::transcript::in_parallel;
use crate::logs::{entries, head};
use bases::{Base, bases};
use cases::{Case, cases};
use table::{Expected, Table, Who};

/// Every case has its line in the table and goes as the line says, and every line has a case.
#[test]
fn every_field_has_its_rule_and_its_culprit() {
    let bases = bases();
    let met = BTreeSet::from_iter(
        (bases.iter()).flat_map(|base| base.draft.records.iter().map(|(kind, _)| *kind as u8)),
    );
    // What only a transcript without payloads has: `detached`.
    let detached = [Kind::PayloadDigest, Kind::AnswersDigest, Kind::WholeDigest];
    let kinds: BTreeSet<u8> = (0..u8::MAX)
        .filter(|code| Kind::from_code(*code).is_some_and(|kind| !detached.contains(&kind)))
        .collect();
    assert_eq!(
        met, kinds,
        "every kind of record but the end is in some transcript"
    );
    let table = Table::read();
    let wrong = Mutex::new(BTreeSet::new());
    for base in &bases {
        let report = audit(&base.world, &base.draft.seal());
        assert!(report.passed(), "{}: {report}", base.name);
        let cases = cases(base);
        in_parallel(cases.len(), |at| {
            let case = &cases[at];
            if let Err(what) = judge(base, case, &table) {
                wrong
                    .lock()
                    .unwrap()
                    .insert(format!("{}: {what}", case.line()));
            }
        });
    }
    let mut wrong = wrong.into_inner().unwrap();
    wrong.extend(table.unused());
    let wrong: Vec<_> = wrong.into_iter().collect();
    assert!(
        wrong.is_empty(),
        "{} are not as in the table:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn judge(base: &Base, case: &Case, table: &Table) -> Result<(), String> {
    let bytes = case.draft.seal();
    let report = audit(&base.world, &bytes);
    if !readable(&bytes) {
        if !table.unreadable(case) && case.how == "signed" {
            return Err("is not in the table; unreadable".to_owned());
        }
        return compare(&report, AuditRule::Container, Party::Provider);
    }
    let expected = table.expected(case);
    if expected.is_empty() {
        return Err(format!("is not in the table; {}", said(case, &report)));
    }
    let culprit = |who: &Who| match who {
        Who::Provider => Some(Party::Provider),
        Who::Aggregator => Some(Party::Aggregator),
        Who::Signer => case.signer,
    };
    let met = expected.iter().any(|expected| match expected {
        // Nothing in the transcript speaks against it. The log does.
        Expected::Logged(who) => {
            report.passed()
                && culprit(who).is_some_and(|culprit| {
                    compare(&with_log(base, &bytes), AuditRule::Log, culprit).is_ok()
                })
        }
        Expected::Fails(rule, who) => {
            culprit(who).is_some_and(|culprit| compare(&report, *rule, culprit).is_ok())
        }
    });
    match met {
        true => Ok(()),
        false => Err(said(case, &report)),
    }
}

fn compare(report: &AuditReport, rule: AuditRule, culprit: Party) -> Result<(), String> {
    match &report.finding {
        Some(finding) if (finding.rule, finding.culprit) == (rule, culprit) => Ok(()),
        _ => Err(format!(
            "{}, not {} by {culprit}",
            report.summary(),
            rule.number()
        )),
    }
}

fn said(case: &Case, report: &AuditReport) -> String {
    let Some(finding) = &report.finding else {
        return "passes".to_owned();
    };
    let who = match finding.culprit {
        Party::Provider => "provider".to_owned(),
        Party::Aggregator => "aggregator".to_owned(),
        party if Some(party) == case.signer => "signer".to_owned(),
        party => party.to_string(),
    };
    format!("{} {who}, {}", finding.rule.number(), finding.detail)
}

/// The audit of a transcript beside the log that an honest aggregator has.
fn with_log(base: &Base, transcript: &[u8]) -> AuditReport {
    let mut logged = entries(&base.world, &base.other);
    for entry in entries(&base.world, &base.round) {
        if !logged.contains(&entry) {
            logged.push(entry);
        }
    }
    let mut log = LogWriter::new(Vec::new(), &head(&logged, &base.world.log)).unwrap();
    logged.iter().for_each(|entry| log.entry(entry).unwrap());
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("2.dawn"), transcript).unwrap();
    fs::write(dir.path().join(LOG_FILE), log.finish().unwrap()).unwrap();
    let options = Options {
        federation: Some(base.world.federation.digest()),
        ..Options::default()
    };
    verify_path(dir.path(), &options).unwrap()
}

/// The log that the exceptions are caught by is one that the honest transcript passes with.
#[test]
fn honest_transcripts_pass_with_their_log() {
    for base in bases() {
        let report = with_log(&base, &base.draft.seal());
        assert!(report.passed(), "{}: {report}", base.name);
    }
}

/// Whether every record can be read as what it is.
fn readable(bytes: &[u8]) -> bool {
    let mut reader = TranscriptReader::new(Cursor::new(bytes));
    loop {
        match reader.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}
