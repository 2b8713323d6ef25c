//! The auditor against honest and dishonest rounds, damaged files and garbage.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod arithmetic;
mod budget;
mod damage;
mod detached;
mod directions;
mod directories;
mod distillation;
mod documented;
mod epochs;
mod groups;
mod honest;
mod inclusion;
mod key_replaced;
mod lies;
mod logged;
mod logs;
mod mutations;
mod noise;
mod reporting;
mod selection;
mod server_keys;
mod service;
mod standing;
mod stewards;
mod watching;
mod watching_keys;
mod ways;
mod witnesses;

use std::io::Cursor;

use common::World;
use common::round::{PlayedRound, Script};
use dawn_audits::{AuditReport, AuditRule, Mode, Options, Party, verify_transcript};

/// Audits bytes under the world's federation.
pub fn audit(world: &World, bytes: &[u8]) -> AuditReport {
    audit_as(Mode::Full, world, bytes)
}

/// Audits signatures and digests alone.
pub fn light(world: &World, bytes: &[u8]) -> AuditReport {
    audit_as(Mode::Light, world, bytes)
}

fn audit_as(mode: Mode, world: &World, bytes: &[u8]) -> AuditReport {
    let options = Options {
        federation: Some(world.federation.digest()),
        mode,
        ..Options::default()
    };
    verify_transcript(&mut Cursor::new(bytes), &options).unwrap()
}

/// Fails with this rule and this party to blame.
#[track_caller]
pub fn assert_broken(report: &AuditReport, rule: AuditRule, culprit: Party) {
    let finding = report
        .finding
        .as_ref()
        .expect("the auditor found nothing wrong");
    assert_eq!(
        (finding.rule, finding.culprit),
        (rule, culprit),
        "{finding}"
    );
}

/// A world and its rounds, one after the other by these scripts.
pub fn rounds(world: &mut World, scripts: &[Script]) -> Vec<PlayedRound> {
    let mut played: Vec<PlayedRound> = vec![];
    for script in scripts {
        let round = world.play(played.last(), script);
        played.push(round);
    }
    played
}
