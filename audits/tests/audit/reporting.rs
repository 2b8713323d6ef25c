//! What an auditor hands on: the light audit, the signed report, the page.

use dawn_audits::page::page;
use dawn_audits::signed_report::{MAX_TRANSCRIPTS, MAX_UNCHECKED, SOFTWARE};
use dawn_audits::verify_path;
use dawn_audits::{AuditReport, AuditRule, AuditStatement, Check, Options, Party};
use dawn_crypto::digest::Digest;
use dawn_identity::{DecodeError, SecretKey, Signed, from_canonical, to_canonical};
use dawn_protocol::transcript::Kind;
use dawn_protocol::{AbortReason, RoundOpen, RoundResult, Terminal};

use crate::common::round::{Cheat, PlayedRound, Script};
use crate::common::transcript::{Draft, transcript};
use crate::common::{Plan, World};
use crate::lies::{resigned, with_result, with_verdict, world_and_round};
use crate::{assert_broken, audit, light};

fn check(report: &AuditReport, rule: AuditRule) -> Check {
    let checks = report.checks();
    checks
        .into_iter()
        .find(|(other, _)| *other == rule)
        .unwrap()
        .1
}

#[test]
fn a_light_audit_says_what_it_left_out() {
    let (world, round) = world_and_round(301);
    let bytes = transcript(&world, &round);
    let report = light(&world, &bytes);
    assert!(report.passed(), "{report}");
    assert_eq!(report.summary(), "PASS (light)");
    let full = audit(&world, &bytes);
    // It says of the round what the whole audit says, as long as nobody lies.
    assert_eq!(report.rounds, full.rounds);
    let said = report.unchecked.join("\n");
    for number in ["A08", "A11", "A12", "A13", "A14", "A15", "A22"] {
        assert!(said.contains(number), "{said}");
    }
    for rule in AuditRule::ALL {
        let left_out = said.contains(rule.number());
        let unchecked = check(&report, *rule) == Check::Unchecked;
        assert!(unchecked == left_out || *rule == AuditRule::Log, "{rule}");
    }
    // Aborts after the challenge, too.
    let silent = Script {
        silent_openers: vec![1, 2],
        ..Script::default()
    };
    let mut world = World::new(302);
    let aborted = world.play(None, &silent);
    let report = light(&world, &transcript(&world, &aborted));
    assert!(report.passed(), "{report}");
    assert_eq!(check(&report, AuditRule::Abort), Check::Unchecked);
}

/// What is not executed again is believed; what is signed is not.
#[test]
fn a_light_audit_finds_what_signatures_and_digests_show() {
    let (world, round) = world_and_round(303);
    let lie = with_result(&world, &round, |result| result.sum = Digest([1; 32]));
    assert!(light(&world, &lie).passed());
    assert!(!audit(&world, &lie).passed());
    let found = |bytes: &[u8], rule, party| assert_broken(&light(&world, bytes), rule, party);
    let spent = with_verdict(&world, &round, |verdict| verdict.spent_micro_rho += 1);
    found(&spent, AuditRule::Budget, Party::Aggregator);
    let root = with_verdict(&world, &round, |verdict| verdict.root = Digest([1; 32]));
    found(&root, AuditRule::Verdict, Party::Aggregator);
    let about = with_result(&world, &round, |result| result.verdict = Digest([1; 32]));
    found(&about, AuditRule::Result, Party::Aggregator);
    let draft = Draft::of(&world, &round);
    for (kind, rule) in [
        (Kind::Answers, AuditRule::Answers),
        (Kind::Header, AuditRule::Closed),
    ] {
        let mut changed = draft.clone();
        let record = changed.nth(kind, 1);
        let last = record.len() - 1;
        record[last] ^= 1;
        found(&changed.seal(), rule, Party::Provider);
    }
    let mut fewer = round.clone();
    fewer.openings.pop();
    found(
        &transcript(&world, &fewer),
        AuditRule::Openings,
        Party::Provider,
    );
}

#[test]
fn a_signed_report_is_verified_and_says_the_same() {
    let (world, round) = world_and_round(304);
    let bytes = transcript(&world, &round);
    let auditor = SecretKey::from_seed(&[5; 32]);
    let digest = Digest(bytes[bytes.len() - 32..].try_into().unwrap());
    let report = audit(&world, &bytes);
    let statement = AuditStatement::of(&report, 9).unwrap();
    let signed = Signed::sign(&statement, &auditor).unwrap();
    let read = Signed::<AuditStatement>::from_bytes(signed.bytes()).unwrap();
    assert!(read.verify(&auditor.public()).is_ok());
    assert!(read.verify(&world.log.public()).is_err());
    let said = read.peek();
    assert_eq!(said.transcripts, [Some(digest)]);
    assert_eq!((said.passed(), said.pinned, said.full), (true, true, true));
    assert_eq!((said.software.as_str(), said.time), (SOFTWARE, 9));
    assert_eq!(said.federation, Some(world.federation.digest()));
    // A lie: the digest of the file, the rule and the culprit.
    let lie = with_result(&world, &round, |result| result.sum = Digest([1; 32]));
    let report = audit(&world, &lie);
    let said = AuditStatement::of(&report, 9).unwrap();
    assert_eq!(said.transcripts.len(), 1);
    assert!(said.transcripts[0].is_some_and(|other| other != digest));
    let finding = said.finding.as_ref().unwrap();
    assert_eq!(finding.rule(), Some(AuditRule::Sum));
    assert_eq!(finding.culprit(), "the aggregator");
    // By its round and its digest: names of files and folders stay with the auditor.
    let transcript = said.transcripts[0].unwrap();
    let round = round.spec.peek().round;
    let place = format!("transcript {transcript} of round {round}");
    assert_eq!(finding.place, place);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("private name.dawn");
    std::fs::write(&file, &lie).unwrap();
    let of_file = verify_path(&file, &Options::default()).unwrap();
    assert!(of_file.to_string().contains("private name"));
    let of_folder = verify_path(dir.path(), &Options::default()).unwrap();
    for report in [of_file, of_folder] {
        let said = AuditStatement::of(&report, 9).unwrap();
        assert_eq!(said.finding.unwrap().place, place);
    }
    assert!(Signed::sign(&said, &auditor).is_ok());
    // A damaged file has no digest.
    let report = audit(&world, &bytes[..bytes.len() - 1]);
    let said = AuditStatement::of(&report, 9).unwrap();
    assert_eq!(said.transcripts, [None]);
    let damaged = "transcript 1, which is damaged";
    assert_eq!(said.finding.as_ref().unwrap().place, damaged);
    // A stranger's text is cut and not refused; a rule that there is not is refused.
    let mut long = report;
    long.about = Some("\u{e9}".repeat(1000));
    long.unchecked = vec!["x".repeat(1000); 100];
    let mut said = AuditStatement::of(&long, 9).unwrap();
    assert!(Signed::sign(&said, &auditor).is_ok());
    assert_eq!(said.unchecked.last().unwrap(), "and 61 more");
    said.finding.as_mut().unwrap().rule = 23;
    assert!(Signed::sign(&said, &auditor).is_err());
}

/// Missing digests are a byte each, and many times that in memory.
#[test]
fn a_report_of_too_many_transcripts_is_refused_before_they_take_memory() {
    let (world, round) = world_and_round(306);
    let report = audit(&world, &transcript(&world, &round));
    let mut said = AuditStatement::of(&report, 9).unwrap();
    let read = |said: &AuditStatement| from_canonical::<AuditStatement>(&to_canonical(said));
    said.transcripts = vec![None; MAX_TRANSCRIPTS];
    said.unchecked = vec![String::new(); MAX_UNCHECKED];
    assert_eq!(read(&said).as_ref(), Ok(&said));
    said.transcripts.push(None);
    assert!(matches!(read(&said), Err(DecodeError::Malformed(_))));
    said.transcripts.clear();
    said.unchecked.push(String::new());
    assert!(matches!(read(&said), Err(DecodeError::Malformed(_))));
}

#[test]
fn the_page_has_everybody_and_every_check_and_no_scripts() {
    let plan = Plan {
        organisations: 6,
        devices: 6,
        ..Plan::default()
    };
    let mut world = World::with(305, &plan);
    let script = Script {
        cheats: vec![(1, Cheat::ForeignProof)],
        lying_openers: vec![5],
        ..Script::default()
    };
    let round = world.play(None, &script);
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    let details = &report.rounds[0].details;
    assert_eq!(
        details
            .organisations
            .iter()
            .map(|o| o.submitted)
            .sum::<u32>(),
        6
    );
    assert_eq!(
        details
            .organisations
            .iter()
            .map(|o| o.accepted)
            .sum::<u32>(),
        5
    );
    assert!(
        details
            .stewards
            .iter()
            .all(|s| s.seated && s.reported && s.opened)
    );
    let html = page(&report);
    for org in &world.organisations {
        assert!(html.contains(org.name()), "{}", org.name());
    }
    for rule in AuditRule::ALL {
        assert!(
            html.contains(&format!("<td>{}</td>", rule.number())),
            "{rule}"
        );
    }
    for said in ["1 projection", "opened wrongly", "PASS", "2027-01-15"] {
        assert!(html.contains(said), "{said}");
    }
    for foreign in ["<script", "http", "url(", "<img", "onload"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    let ticks = html.matches("class=\"holds\">\u{2713}").count();
    let holds = report
        .checks()
        .iter()
        .filter(|(_, c)| *c == Check::Holds)
        .count();
    assert_eq!(ticks, holds);
}

#[test]
fn names_on_the_page_are_escaped() {
    let (world, round) = world_and_round(306);
    let mut report = audit(&world, &transcript(&world, &round));
    let hostile = "<script>alert('x')</script>\"&";
    let shown = &mut report.rounds[0];
    shown.details.task_name = hostile.into();
    shown.aborted = Some(hostile.into());
    for org in &mut shown.details.organisations {
        org.name = hostile.into();
        org.rejected.insert(hostile.into(), 1);
    }
    for steward in &mut shown.details.stewards {
        steward.organisation = hostile.into();
    }
    report.unchecked.push(hostile.into());
    report.place = Some(hostile.into());
    let broken = audit(&world, b"DWNT").finding.unwrap();
    report.finding = Some(dawn_audits::Finding {
        detail: hostile.into(),
        ..broken
    });
    let html = page(&report);
    assert!(!html.contains("<script") && !html.contains("'x'"));
    assert!(html.matches("&lt;script&gt;").count() >= 8);
}

/// After a broken rule, what was looked at before it holds, and nothing is said of what comes after.
#[test]
fn checks_stop_at_the_broken_rule() {
    let (world, round) = world_and_round(307);
    let lie = with_verdict(&world, &round, |verdict| verdict.openers.truncate(1));
    let report = audit(&world, &lie);
    assert_eq!(check(&report, AuditRule::Verdict), Check::Broken);
    assert_eq!(check(&report, AuditRule::Closed), Check::Holds);
    assert_eq!(check(&report, AuditRule::Sum), Check::NotReached);
    let mut world = world;
    let few = Script {
        devices: vec![0],
        ..Script::default()
    };
    let aborted = world.play(None, &few);
    let report = audit(&world, &transcript(&world, &aborted));
    assert_eq!(
        report.rounds[0].aborted.as_deref(),
        Some(AbortReason::TooFewSubmissions.name())
    );
    assert_eq!(check(&report, AuditRule::Abort), Check::Holds);
    assert_eq!(check(&report, AuditRule::Sum), Check::Absent);
    assert_eq!(check(&report, AuditRule::Log), Check::Unchecked);
}

/// What names too few reports or openings does not follow from anything, whatever they hold; whom the aggregator accuses is
/// its own word.
#[test]
fn a_light_audit_counts_and_does_not_repeat_accusations() {
    let (world, round) = world_and_round(308);
    let honest = round.verdict.as_ref().unwrap();
    let reports = &round.reports[..1];
    let verdict = resigned(&world, honest, |verdict| {
        verdict.reports = reports.iter().map(Signed::body_digest).collect();
    });
    let Terminal::Result(result) = &round.terminal else {
        panic!("no result")
    };
    let ended = |change: &dyn Fn(&mut RoundResult)| {
        Terminal::Result(resigned(&world, result, |result| change(result)))
    };
    let one_report = PlayedRound {
        reports: reports.to_vec(),
        answers: round.answers[..1].to_vec(),
        verdict: Some(verdict.clone()),
        terminal: ended(&|result| result.verdict = verdict.body_digest()),
        ..round.clone()
    };
    let report = light(&world, &transcript(&world, &one_report));
    assert_broken(&report, AuditRule::Verdict, Party::Aggregator);
    let openings = &round.openings[..1];
    let one_opening = PlayedRound {
        openings: openings.to_vec(),
        terminal: ended(&|result| {
            result.openings = openings.iter().map(Signed::body_digest).collect();
            result.points = vec![1];
        }),
        ..round.clone()
    };
    let report = light(&world, &transcript(&world, &one_opening));
    assert_broken(&report, AuditRule::Result, Party::Aggregator);
    let few = with_verdict(&world, &round, |verdict| verdict.openers.truncate(1));
    assert_broken(&light(&world, &few), AuditRule::Verdict, Party::Aggregator);
    // Nobody has looked at what this steward answered.
    let accused = with_result(&world, &round, |result| {
        result.culprits = vec![world.steward_id(4)];
    });
    let report = light(&world, &accused);
    assert!(report.passed(), "{report}");
    assert_eq!(check(&report, AuditRule::Result), Check::Unchecked);
    let said = report.unchecked.join("\n");
    assert!(said.contains("that stewards answered wrongly"), "{said}");
    for shown in [page(&report), report.to_string()] {
        assert!(shown.contains("(not checked)") && !shown.contains("opened wrongly"));
    }
    assert!(!audit(&world, &accused).passed());
}

/// A rule that no round came to does not hold, although the broken one comes after it.
#[test]
fn checks_that_no_round_came_to_do_not_hold() {
    let (world, round) = world_and_round(309);
    let context = world.context.verify_spec(&round.spec).unwrap();
    let open = RoundOpen::new(context, &round.endorsements).unwrap();
    let empty = PlayedRound {
        submissions: vec![],
        closed: None,
        challenge: None,
        reports: vec![],
        answers: vec![],
        verdict: None,
        openings: vec![],
        terminal: world.abort(&open, AbortReason::TooFewEndorsements),
        ..round
    };
    let report = audit(&world, &transcript(&world, &empty));
    assert_eq!(check(&report, AuditRule::Abort), Check::Broken);
    for rule in [AuditRule::Sum, AuditRule::Verdict, AuditRule::Closed] {
        assert_eq!(check(&report, rule), Check::NotReached, "{rule}");
    }
    for rule in [AuditRule::Task, AuditRule::Roster] {
        assert_eq!(check(&report, rule), Check::Holds, "{rule}");
    }
    // Of rounds that passed, what they came to holds.
    let unopened = PlayedRound {
        terminal: world.abort(&open, AbortReason::TooFewSubmissions),
        ..empty
    };
    let report = audit(&world, &transcript(&world, &unopened));
    assert!(report.passed(), "{report}");
    assert_eq!(check(&report, AuditRule::Endorsements), Check::Holds);
    assert_eq!(check(&report, AuditRule::Closed), Check::Absent);
}

/// A signed report is read on a terminal: nothing in it takes words back.
#[test]
fn a_signed_report_has_nothing_that_a_terminal_obeys() {
    let (world, round) = world_and_round(310);
    let auditor = SecretKey::from_seed(&[5; 32]);
    let report = audit(&world, &transcript(&world, &round));
    let honest = AuditStatement::of(&report, 9).unwrap();
    for hostile in ["\u{1b}[2K\rPASS", "a\nb", "\u{202e}SSAP", "\u{9b}1A"] {
        let mut said = honest.clone();
        said.software = hostile.to_owned();
        assert!(Signed::sign(&said, &auditor).is_err(), "{hostile:?}");
        let mut said = honest.clone();
        said.unchecked = vec![hostile.to_owned()];
        assert!(Signed::sign(&said, &auditor).is_err(), "{hostile:?}");
        // The name of a file is a stranger's: it is replaced, so that the report can be signed.
        let mut strange = audit(&world, b"DWNT");
        strange.place = Some(hostile.to_owned());
        strange.unchecked.push(hostile.to_owned());
        let said = AuditStatement::of(&strange, 9).unwrap();
        assert!(Signed::sign(&said, &auditor).is_ok(), "{hostile:?}");
    }
    let mut said = honest;
    said.unchecked = vec!["R\u{e9}seau \u{2014} 100 %".to_owned()];
    assert!(Signed::sign(&said, &auditor).is_ok());
}
