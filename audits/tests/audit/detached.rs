//! Transcripts without payloads and answers: a light audit of them alone, a full one with what is beside them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;

use dawn_audits::source::{PAYLOADS_FOLDER, keep_part};
use dawn_audits::{AuditError, AuditReport, AuditRule, Check, Options, Party, Source, verify_path};
use dawn_protocol::transcript::{Form, Kind, Part, attach, detach, max_bytes, max_detached_bytes};

use crate::common::World;
use crate::common::round::Script;
use crate::common::transcript::{Draft, detached, flip, reseal, smallest, transcript};
use crate::lies::world_and_round;
use crate::mutations::bases::bases;
use crate::{assert_broken, audit, light};

type Parts = BTreeMap<String, Vec<u8>>;

/// A folder with a detached transcript and its parts beside it.
struct Folder {
    dir: tempfile::TempDir,
    options: Options,
}

impl Folder {
    fn new(world: &World, file: &[u8], parts: &Parts) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("round.dawn"), file).unwrap();
        let beside = dir.path().join(PAYLOADS_FOLDER);
        fs::create_dir(&beside).unwrap();
        for (name, bytes) in parts {
            fs::write(beside.join(name), bytes).unwrap();
        }
        let options = Options {
            federation: Some(world.federation.digest()),
            ..Options::default()
        };
        Self { dir, options }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("round.dawn")
    }

    fn part(&self, name: &str) -> PathBuf {
        self.dir.path().join(PAYLOADS_FOLDER).join(name)
    }

    fn audit(&self) -> Result<AuditReport, AuditError> {
        verify_path(&self.file(), &self.options)
    }
}

fn attached(file: &[u8], parts: &Parts) -> Vec<u8> {
    let mut whole = vec![];
    let open = |part: Part| {
        let bytes = parts[&part.digest().to_string()].clone();
        Ok((bytes.len() as u64, Cursor::new(bytes)))
    };
    attach(file, &mut whole, open).unwrap();
    whole
}

/// With every option that a task can have: the file and what is beside it are the whole transcript, byte for byte, and audited
/// like it.
#[test]
fn with_what_is_beside_it_it_is_the_whole_transcript() {
    for base in bases() {
        let whole = base.draft.seal();
        let (file, parts) = detached(&whole);
        let records = base.draft.records.iter();
        let heavy = records.filter(|(kind, _)| matches!(kind, Kind::Payload | Kind::Answers));
        let left_out: usize = heavy.map(|(_, bytes)| bytes.len()).sum();
        assert!(file.len() + left_out < whole.len() + 4096, "{}", base.name);
        assert_eq!(attached(&file, &parts), whole, "{}", base.name);
        let folder = Folder::new(&base.world, &file, &parts);
        let mut source = Source::open(&folder.file(), &folder.options).unwrap();
        assert!(matches!(source, Source::Attached(_)));
        let mut read = vec![];
        source.read_to_end(&mut read).unwrap();
        assert_eq!(read, whole, "{}", base.name);
        let report = folder.audit().unwrap();
        assert!(report.passed(), "{}: {report}", base.name);
        assert_eq!(report.rounds, audit(&base.world, &whole).rounds);
        // Without: signatures and digests.
        let report = light(&base.world, &file);
        assert!(report.passed(), "{}: {report}", base.name);
        let mut expected = light(&base.world, &whole).rounds;
        for round in &mut expected {
            round.details.detached = true;
            round.details.transcript = report.transcripts[0];
        }
        assert_eq!(report.rounds, expected);
    }
}

/// Anywhere, in pieces of any length.
#[test]
fn it_is_read_from_everywhere() {
    let (world, round) = smallest();
    let whole = transcript(&world, &round);
    let (file, parts) = detached(&whole);
    let folder = Folder::new(&world, &file, &parts);
    let mut source = Source::open(&folder.file(), &folder.options).unwrap();
    for at in (0..whole.len()).step_by(11) {
        let mut some = vec![0; (1 + at % 300).min(whole.len() - at)];
        source.seek(SeekFrom::Start(at as u64)).unwrap();
        source.read_exact(&mut some).unwrap();
        assert_eq!(some, &whole[at..at + some.len()], "{at}");
    }
    let end = source.seek(SeekFrom::End(0)).unwrap();
    assert_eq!(end, whole.len() as u64);
    assert_eq!(source.read(&mut [0; 8]).unwrap(), 0);
    source.seek(SeekFrom::Current(-1)).unwrap();
    assert_eq!(source.read(&mut [0; 8]).unwrap(), 1);
    assert!(source.seek(SeekFrom::Current(-1000 - end as i64)).is_err());
    source.seek(SeekFrom::Start(u64::MAX)).unwrap();
    assert_eq!(source.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_light_audit_says_that_nothing_was_beside_it() {
    let (world, round) = world_and_round(351);
    let whole = transcript(&world, &round);
    let report = light(&world, &detached(&whole).0);
    assert_eq!(report.summary(), "PASS (light)");
    let said = report.unchecked.join("\n");
    let digest = audit(&world, &whole).transcripts[0].unwrap();
    for what in ["A08", "A21", &digest.to_string()] {
        assert!(said.contains(what), "{said}");
    }
    let checks: BTreeMap<_, _> = report.checks().into_iter().collect();
    assert_eq!(checks[&AuditRule::Answers], Check::Unchecked);
    assert_eq!(checks[&AuditRule::Payloads], Check::Unchecked);
    assert_eq!(checks[&AuditRule::Reports], Check::Holds);
    // A round that was never closed is no exception.
    let few = Script {
        devices: vec![0],
        ..Script::default()
    };
    let mut world = World::new(352);
    let aborted = world.play(None, &few);
    let (file, parts) = detached(&transcript(&world, &aborted));
    let report = light(&world, &file);
    assert!(report.passed(), "{report}");
    assert!(report.unchecked.join("\n").contains("A08"), "{report}");
    assert!(Folder::new(&world, &file, &parts).audit().unwrap().passed());
}

/// A full audit without the payloads is none: it is never a PASS.
#[test]
fn what_is_missing_beside_it_is_told_and_not_passed_over() {
    let (world, round) = world_and_round(353);
    let (file, parts) = detached(&transcript(&world, &round));
    let broken = audit(&world, &file);
    assert_broken(&broken, AuditRule::Payloads, Party::Provider);
    for name in parts.keys() {
        let folder = Folder::new(&world, &file, &parts);
        let part = folder.part(name);
        fs::remove_file(&part).unwrap();
        let missing = folder.audit();
        assert!(
            matches!(missing, Err(AuditError::PartMissing { part: found, .. }) if found == part)
        );
        let bytes = &parts[name];
        let mut other = bytes.clone();
        other[bytes.len() / 2] ^= 1;
        let longer = [&bytes[..], &[0; 4]].concat();
        for wrong in [&other[..], &longer, &bytes[..bytes.len() - 4], &[]] {
            fs::write(&part, wrong).unwrap();
            let found = folder.audit();
            assert!(matches!(found, Err(AuditError::PartWrong(found)) if found == part));
        }
        fs::remove_file(&part).unwrap();
        fs::create_dir(&part).unwrap();
        assert!(matches!(folder.audit(), Err(AuditError::Unreadable { .. })));
    }
    // Elsewhere, when it is said where.
    let mut folder = Folder::new(&world, &file, &parts);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::rename(folder.part(""), elsewhere.path().join("parts")).unwrap();
    assert!(folder.audit().is_err());
    folder.options.payloads = Some(elsewhere.path().join("parts"));
    assert!(folder.audit().unwrap().passed());
}

/// A disk that was full leaves nothing behind that passes for a part: whoever takes a transcript apart may delete the whole one.
#[test]
fn parts_are_kept_whole_or_written_again() {
    let (world, round) = smallest();
    let whole = transcript(&world, &round);
    let dir = tempfile::tempdir().unwrap();
    let take_apart = || {
        let keep = |part: Part, bytes: &[u8]| keep_part(dir.path(), part, bytes);
        detach(whole.as_slice(), Vec::new(), keep)
    };
    let there = || -> Parts {
        let files = fs::read_dir(dir.path()).unwrap();
        let file = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        };
        files.map(|entry| file(entry.unwrap())).collect()
    };
    let parts = detached(&whole).1;
    take_apart().unwrap();
    assert_eq!(there(), parts);
    for (name, bytes) in &parts {
        let mut other = bytes.clone();
        other[0] ^= 1;
        for left in [&bytes[..bytes.len() / 2], &[], &other] {
            fs::write(dir.path().join(name), left).unwrap();
            take_apart().unwrap();
            assert_eq!(there(), parts);
        }
        fs::remove_file(dir.path().join(name)).unwrap();
        fs::create_dir(dir.path().join(name)).unwrap();
        assert!(take_apart().is_err(), "a folder under its name");
        fs::remove_dir(dir.path().join(name)).unwrap();
    }
}

/// What nobody signed is the provider's, in every record that only such a transcript has.
#[test]
fn a_changed_digest_is_the_providers() {
    let (world, round) = world_and_round(354);
    let (file, parts) = detached(&transcript(&world, &round));
    let draft = Draft::of_bytes(&file);
    let changed = |kind| {
        let mut changed = draft.clone();
        changed.nth(kind, 0)[7] ^= 1;
        changed.seal_as(Form::Detached)
    };
    for (kind, rule) in [
        (Kind::PayloadDigest, AuditRule::Payloads),
        (Kind::AnswersDigest, AuditRule::Answers),
    ] {
        let file = changed(kind);
        assert_broken(&light(&world, &file), rule, Party::Provider);
        let found = Folder::new(&world, &file, &parts).audit();
        assert!(matches!(found, Err(AuditError::PartMissing { .. })));
    }
    // Nobody can compare this one without the parts, and a light audit says so.
    let file = changed(Kind::WholeDigest);
    let report = light(&world, &file);
    assert!(
        report.passed()
            && report
                .unchecked
                .join("")
                .contains("whole one was not checked")
    );
    let report = Folder::new(&world, &file, &parts).audit().unwrap();
    assert_broken(&report, AuditRule::Container, Party::Provider);
}

/// Under a fresh digest of its own: the digest of the whole tells, and nobody who signed is blamed.
#[test]
fn every_flipped_byte_fails_with_what_is_beside_it() {
    let (world, round) = smallest();
    let (file, parts) = detached(&transcript(&world, &round));
    let folder = Folder::new(&world, &file, &parts);
    for at in (0..file.len()).step_by(61) {
        let mut changed = file.clone();
        changed[at] ^= flip(at);
        reseal(&mut changed);
        if changed == file {
            continue;
        }
        fs::write(folder.file(), &changed).unwrap();
        match folder.audit() {
            Ok(report) => {
                let finding = report.finding.expect("it passed");
                assert_eq!(finding.culprit, Party::Provider, "{at}: {finding}");
            }
            Err(AuditError::PartMissing { .. } | AuditError::PartWrong(_)) => {}
            Err(error) => panic!("{at}: {error}"),
        }
    }
}

#[test]
fn a_folder_may_have_both_kinds() {
    let mut world = World::new(355);
    let played = crate::rounds(&mut world, &[Script::default(), Script::default()]);
    let first = transcript(&world, &played[0]);
    let (file, parts) = detached(&transcript(&world, &played[1]));
    let folder = Folder::new(&world, &file, &parts);
    fs::write(folder.dir.path().join("z.dawn"), &first).unwrap();
    let report = verify_path(folder.dir.path(), &folder.options).unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!(report.rounds.len(), 2);
    // One round in both forms is twice the same round.
    fs::write(folder.dir.path().join("y.dawn"), detached(&first).0).unwrap();
    for name in detached(&first).1 {
        fs::write(folder.part(&name.0), name.1).unwrap();
    }
    let report = verify_path(folder.dir.path(), &folder.options).unwrap();
    assert_broken(&report, AuditRule::Continuity, Party::Provider);
}

#[test]
fn how_long_it_can_be_is_known() {
    let (world, round) = world_and_round(356);
    let task = world.task.peek();
    let (file, _) = detached(&transcript(&world, &round));
    assert!((file.len() as u64) < max_detached_bytes(task));
    // Neither payloads nor answers count: models are as long as a payload, and there are two at most.
    let mut more = task.clone();
    more.policy.max_submissions += 1;
    let header = max_detached_bytes(&more) - max_detached_bytes(task);
    assert!(header < 10_000 && max_bytes(&more) - max_bytes(task) > header + 8192);
}

#[test]
fn what_is_no_transcript_is_told_as_before() {
    let (world, _) = smallest();
    let folder = Folder::new(&world, b"DWND", &Parts::new());
    for bytes in [
        &b""[..],
        b"DW",
        b"DWND",
        b"DWND\x01\0",
        b"DWND\x02\0",
        b"DWNX\x01\0",
    ] {
        fs::write(folder.file(), bytes).unwrap();
        let report = folder.audit().unwrap();
        assert_broken(&report, AuditRule::Container, Party::Provider);
    }
}
