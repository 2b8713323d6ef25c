//! A changed file fails, wherever it is changed, with a rule and without a panic. And whoever
//! changes an honest file can make the auditor blame nobody else for it.

use dawn_audits::{AuditRule, Party};
use dawn_protocol::transcript::Kind;
use proptest::prelude::*;

use crate::common::round::Script;
use crate::common::transcript::{Draft, END_BYTES, flip, in_parallel, reseal, transcript};
use crate::common::{self, Plan, World};
use crate::{assert_broken, audit};

/// [`common::transcript::smallest`], and that there is nothing wrong with it.
fn smallest() -> (World, Draft, Vec<u8>) {
    let (world, round) = common::transcript::smallest();
    let draft = Draft::of(&world, &round);
    let bytes = draft.seal();
    assert!(audit(&world, &bytes).passed());
    (world, draft, bytes)
}

/// A small round: three stewards, four devices, one of them of a member that registered later.
fn small() -> (World, Draft, Vec<u8>) {
    let plan = Plan {
        organisations: 3,
        faulty: 0,
        guests: 1,
        devices: 4,
        ..Plan::default()
    };
    let mut world = World::with(7, &plan);
    let first = world.play(None, &Script::default());
    let second = world.play(Some(&first), &Script::default());
    let draft = Draft::of(&world, &second);
    let bytes = transcript(&world, &second);
    assert_eq!(draft.seal(), bytes);
    assert!(audit(&world, &bytes).passed());
    (world, draft, bytes)
}

/// What the auditor may say of a changed byte in a record of a kind: the rule of the record, or one
/// that is looked at before. Where nothing can be read any more, the container says so first; a
/// header that names another payload or organisation is found before the closed root is read.
fn rules_of(kind: Kind) -> [AuditRule; 3] {
    let rule = match kind {
        Kind::Founding => AuditRule::Federation,
        Kind::Register | Kind::Roster => AuditRule::Roster,
        Kind::Task => AuditRule::Task,
        Kind::PreviousResult => AuditRule::Continuity,
        Kind::Model => AuditRule::Model,
        Kind::Spec => AuditRule::RoundSpec,
        Kind::Endorsement => AuditRule::Endorsements,
        Kind::Header => {
            return [
                AuditRule::Closed,
                AuditRule::Payloads,
                AuditRule::Submissions,
            ];
        }
        Kind::Payload => return [AuditRule::Payloads; 3],
        Kind::Closed => AuditRule::Closed,
        Kind::Challenge => AuditRule::Challenge,
        Kind::Report => AuditRule::Reports,
        Kind::Answers => AuditRule::Answers,
        Kind::Verdict => AuditRule::Verdict,
        Kind::Opening => AuditRule::Openings,
        _ => AuditRule::Result,
    };
    [rule, rule, AuditRule::Container]
}

/// For every byte of a sealed file before its digest: the record that it is in, or none for what
/// frames the records, and whether the whole audit looks at it here. Payloads, answers and openings are nearly
/// all of the file: of each, the ends and every 61st byte. All their other bytes are walked over by
/// `dawn_audits::bytewise`, from what the audit knows when it comes to them.
fn places(draft: &Draft) -> Vec<(Option<Kind>, bool)> {
    let mut places = vec![(None, true); 6];
    for (kind, record) in &draft.records {
        places.extend([(None, true); 9]);
        let (edge, len) = (48, record.len());
        places.extend((0..len).map(|at| {
            let long = matches!(kind, Kind::Payload | Kind::Answers | Kind::Opening);
            let here = !long || at < edge || at + edge >= len || at % 61 == 0;
            (Some(*kind), here)
        }));
    }
    places
}

/// Every byte of the file, one after the other, one bit each; all eight bits get their turn. The
/// digest at the end is always that of the changed bytes, as whoever changes a file would make it.
#[test]
fn every_flipped_byte_under_a_fresh_digest_fails_and_blames_nobody_who_signed() {
    let (world, draft, bytes) = smallest();
    let places = places(&draft);
    assert_eq!(places.len(), bytes.len() - END_BYTES);
    in_parallel(places.len(), |at| {
        let (kind, here) = places[at];
        if !here {
            return;
        }
        let mut changed = bytes.clone();
        changed[at] ^= flip(at);
        reseal(&mut changed);
        let report = audit(&world, &changed);
        let name = kind.map_or("framing", Kind::name);
        let finding = report
            .finding
            .unwrap_or_else(|| panic!("{name} byte {at}: nothing was found"));
        assert_eq!(
            finding.culprit,
            Party::Provider,
            "{name} byte {at}: {finding}"
        );
        let expected = kind.map_or([AuditRule::Container; 3], rules_of);
        assert!(
            expected.contains(&finding.rule),
            "{name} byte {at}: {finding}"
        );
    });
}

#[test]
fn a_damaged_file_is_told_from_a_dishonest_one() {
    let (world, _, bytes) = small();
    let stride = 211;
    for at in (0..16)
        .chain((16..bytes.len()).step_by(stride))
        .chain(bytes.len() - 41..bytes.len())
    {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert_broken(
            &audit(&world, &changed),
            AuditRule::Container,
            Party::Provider,
        );
    }
    for len in (0..64).chain((64..bytes.len()).step_by(1009)) {
        assert_broken(
            &audit(&world, &bytes[..len]),
            AuditRule::Container,
            Party::Provider,
        );
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_broken(
        &audit(&world, &longer),
        AuditRule::Container,
        Party::Provider,
    );
}

#[test]
fn dropped_doubled_and_swapped_records_fail() {
    let (world, draft, _) = small();
    for place in 0..draft.records.len() {
        let kind = draft.records[place].0;
        let mut dropped = draft.clone();
        dropped.records.remove(place);
        let mut doubled = draft.clone();
        doubled.records.insert(place, draft.records[place].clone());
        let mut cases = vec![("dropped", dropped), ("doubled", doubled)];
        if place + 1 < draft.records.len() {
            let mut swapped = draft.clone();
            swapped.records.swap(place, place + 1);
            cases.push(("swapped", swapped));
        }
        if matches!(kind, Kind::Header | Kind::Report) {
            let mut dropped = draft.clone();
            dropped.records.drain(place..place + 2);
            let mut doubled = draft.clone();
            let both = draft.records[place..place + 2].to_vec();
            doubled.records.splice(place..place, both);
            cases.extend([
                ("dropped with what follows it", dropped),
                ("doubled with what follows it", doubled),
            ]);
        }
        for (what, changed) in cases {
            // Nothing names the endorsements, and T of them are enough: only the log tells of more.
            if changed.records == draft.records || (what, kind) == ("dropped", Kind::Endorsement) {
                continue;
            }
            let bytes = changed.seal();
            let report = audit(&world, &bytes);
            let finding = report
                .finding
                .unwrap_or_else(|| panic!("{what} {}", kind.name()));
            assert_eq!(
                finding.culprit,
                Party::Provider,
                "{what} {}: {finding}",
                kind.name()
            );
        }
    }
}

#[test]
fn records_of_another_round_fail() {
    let plan = Plan {
        organisations: 3,
        faulty: 0,
        devices: 2,
        ..Plan::default()
    };
    let mut world = World::with(8, &plan);
    let first = world.play(None, &Script::default());
    let second = world.play(Some(&first), &Script::default());
    let third = world.play(Some(&second), &Script::default());
    let (ours, theirs) = (Draft::of(&world, &second), Draft::of(&world, &third));
    assert_eq!(ours.records.len(), theirs.records.len());
    for place in 0..ours.records.len() {
        if ours.records[place] == theirs.records[place] {
            continue;
        }
        let mut mixed = ours.clone();
        mixed.records[place] = theirs.records[place].clone();
        let kind = mixed.records[place].0.name();
        let finding = audit(&world, &mixed.seal())
            .finding
            .unwrap_or_else(|| panic!("{kind}"));
        assert_eq!(finding.culprit, Party::Provider, "{kind}: {finding}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_is_no_transcript(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        thread_local! {
            static EMPTY: World = World::with(9, &Plan { devices: 0, ..Plan::default() });
        }
        EMPTY.with(|world| {
            prop_assert!(!audit(world, &bytes).passed());
            let framed = [&b"DWNT\x01\x00"[..], &bytes].concat();
            prop_assert!(!audit(world, &framed).passed());
            Ok(())
        })?;
    }

    #[test]
    fn garbage_in_a_record_under_a_fresh_digest_fails(
        place in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        thread_local! {
            static SMALL: (World, Draft, Vec<u8>) = small();
        }
        SMALL.with(|(world, draft, _)| {
            let mut changed = draft.clone();
            let place = place.index(changed.records.len());
            let record = &mut changed.records[place].1;
            let from = from.index(record.len());
            let to = (from + junk.len()).min(record.len());
            record.splice(from..to, junk.iter().copied());
            let same = changed.records == draft.records;
            let report = audit(world, &changed.seal());
            prop_assert_eq!(report.passed(), same);
            Ok(())
        })?;
    }
}
