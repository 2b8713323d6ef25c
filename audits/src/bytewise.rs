//! Every byte of every payload, of all answers and of every opening, flipped one after the other under a fresh digest.
//! They are nearly all bytes of a transcript, and the audit of what is before them, dozens of signatures,
//! is the same each time: so it is done once, and the walk goes on from there. `tests/audit/damage.rs`
//! walks over all other bytes, and over samples of these, with whole audits.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::ops::Range;

use dawn_protocol::roll::Roll;
use dawn_protocol::transcript::{Kind, Record};
use dawn_protocol::{Judged, RoundOpen};

use self::common::World;
use self::common::round::PlayedRound;
use self::common::transcript::{Draft, flip, in_parallel, reseal, smallest, transcript};
use crate::answers::{self, AnswersAt};
use crate::finding::{Finding, Party};
use crate::records::{Records, Stop};
use crate::rule::AuditRule;
use crate::submissions;
use crate::verify::Mode;

/// Where the records of a kind are in the file.
fn ranges(draft: &Draft, kind: Kind) -> Vec<Range<usize>> {
    let mut start = 6;
    let mut ranges = vec![];
    for (each, record) in &draft.records {
        start += 9;
        if *each == kind {
            ranges.push(start..start + record.len());
        }
        start += record.len();
    }
    ranges
}

/// Flips every byte of the records of a kind, and has what is found looked at.
fn walk(
    (world, round): (&World, &PlayedRound),
    kind: Kind,
    audit: impl Fn(&[u8]) -> Result<(), Stop> + Sync,
    expected: &[AuditRule],
) {
    let bytes = transcript(world, round);
    audit(&bytes).unwrap();
    for range in ranges(&Draft::of(world, round), kind) {
        in_parallel(range.len(), |within| {
            let at = range.start + within;
            let mut changed = bytes.clone();
            changed[at] ^= flip(at);
            reseal(&mut changed);
            let finding = found(audit(&changed)).unwrap_or_else(|| panic!("byte {at}"));
            assert_eq!(finding.culprit, Party::Provider, "byte {at}: {finding}");
            assert!(expected.contains(&finding.rule), "byte {at}: {finding}");
        });
    }
}

fn found(audited: Result<(), Stop>) -> Option<Finding> {
    match audited {
        Ok(()) => None,
        Err(Stop::Broken(finding)) => Some(*finding),
        Err(Stop::Unreadable(error)) => panic!("{error}"),
    }
}

fn open(world: &World, round: &PlayedRound) -> RoundOpen {
    RoundOpen::from_announcement(&world.context, &round.announcement()).unwrap()
}

fn judged(world: &World, round: &PlayedRound) -> Judged {
    let open = open(world, round);
    let mut roll = Roll::new();
    for submission in &round.submissions {
        let header = submission.header.bytes();
        roll.push(&open, open.verified_with(), header)
            .unwrap()
            .unwrap();
    }
    open.close(round.closed.as_ref().unwrap(), roll)
        .unwrap()
        .challenged(round.challenge.as_ref().unwrap())
        .unwrap()
        .adopt(
            &round.reports,
            &round.findings,
            round.scalars.digest(),
            round.verdict.as_ref().unwrap(),
        )
        .unwrap()
}

#[test]
fn every_flipped_byte_of_a_payload_is_found() {
    let (world, round) = smallest();
    let open = open(&world, &round);
    let audit = |bytes: &[u8]| {
        let mut records = Records::new(bytes)?;
        while !matches!(records.peek(), Some(Record::Header(_))) {
            records.take()?;
        }
        let read = submissions::read(Mode::Full, &mut records, &open, open.verified_with());
        // As the audit does it: a file that is damaged says nothing about anybody.
        records.drain()?;
        read.map(|_| ())
    };
    let rules = [AuditRule::Payloads];
    walk((&world, &round), Kind::Payload, audit, &rules);
}

#[test]
fn every_flipped_byte_of_an_answer_is_found() {
    let (world, round) = smallest();
    let audit = |bytes: &[u8]| {
        let mut records = Records::new(bytes)?;
        let (mut reports, mut places) = (vec![], vec![]);
        loop {
            let at = records.at();
            match records.take()? {
                Record::Report(report) => reports.push(*report),
                Record::Answers(bytes) => places.push(AnswersAt::new(at, &bytes)),
                Record::End(_) => break,
                _ => {}
            }
        }
        Ok(answers::check_answers(&reports, &places)?)
    };
    let rules = [AuditRule::Answers];
    walk((&world, &round), Kind::Answers, audit, &rules);
}

#[test]
fn every_flipped_byte_of_an_opening_is_found() {
    let (world, round) = smallest();
    let judged = judged(&world, &round);
    let audit = |bytes: &[u8]| {
        let mut records = Records::new(bytes)?;
        let mut openings = vec![];
        loop {
            match records.take()? {
                Record::Opening(opening) => openings.push(*opening),
                Record::End(_) => break,
                _ => {}
            }
        }
        Ok(answers::check_openings(&judged, &openings)?)
    };
    let rules = [AuditRule::Openings, AuditRule::Container];
    walk((&world, &round), Kind::Opening, audit, &rules);
}
