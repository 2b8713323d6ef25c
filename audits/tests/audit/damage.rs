//! A changed file fails, wherever it is changed, with a rule and without a panic. And whoever
//! changes an honest file can make the auditor blame nobody else for it.

use dawn_audits::{AuditRule, Party};
use dawn_protocol::transcript::Kind;
use proptest::prelude::*;

use crate::common::round::Script;
use crate::common::transcript::{Draft, transcript};
use crate::common::{Plan, World};
use crate::{assert_broken, audit};

/// The smallest round: three stewards, four devices, one of them of a member that registered later.
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

/// Every byte of short records; of long ones the ends, where the structure and the signature are,
/// and a walk through the middle, where keys, digests and payloads are.
fn offsets(len: usize) -> Vec<usize> {
    let (edge, stride) = (40, 53);
    (0..len)
        .filter(|at| *at < edge || *at + edge >= len || at % stride == 0 || len <= 4 * edge)
        .filter(|at| len < 8000 || *at < edge || *at + edge >= len || at % (stride * 29) == 0)
        .collect()
}

#[test]
fn every_flipped_byte_under_a_fresh_digest_fails_and_blames_nobody_who_signed() {
    let (world, draft, _) = small();
    for place in 0..draft.records.len() {
        let (kind, record) = &draft.records[place];
        for at in offsets(record.len()) {
            let mut changed = draft.clone();
            changed.records[place].1[at] ^= 1 << (at % 8);
            let report = audit(&world, &changed.seal());
            let finding = report
                .finding
                .unwrap_or_else(|| panic!("{} byte {at}", kind.name()));
            assert_eq!(
                finding.culprit,
                Party::Provider,
                "{} byte {at}: {finding}",
                kind.name()
            );
            let expected = match kind {
                Kind::Founding => AuditRule::Federation,
                Kind::Registration | Kind::Roster => AuditRule::Roster,
                Kind::Task => AuditRule::Task,
                Kind::PreviousResult => AuditRule::Continuity,
                Kind::Model => AuditRule::Model,
                Kind::Spec => AuditRule::RoundSpec,
                Kind::Endorsement => AuditRule::Endorsements,
                Kind::Header | Kind::Closed => AuditRule::Closed,
                Kind::Payload => AuditRule::Payloads,
                Kind::Report => AuditRule::Reports,
                Kind::Verdict => AuditRule::Verdict,
                Kind::Opening => AuditRule::Openings,
                _ => AuditRule::Result,
            };
            // Where nothing can be read any more, the container says so first; a header that names
            // another payload or organisation is found before the closed root is read.
            let rule = finding.rule;
            let earlier: &[AuditRule] = match kind {
                Kind::Header => &[AuditRule::Payloads, AuditRule::Submissions],
                _ => &[AuditRule::Container],
            };
            assert!(
                rule == expected || earlier.contains(&rule),
                "{} byte {at}: {finding}",
                kind.name()
            );
        }
    }
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
        if kind == Kind::Header {
            let mut dropped = draft.clone();
            dropped.records.drain(place..place + 2);
            let mut doubled = draft.clone();
            let both = draft.records[place..place + 2].to_vec();
            doubled.records.splice(place..place, both);
            cases.extend([
                ("dropped with its payload", dropped),
                ("doubled with its payload", doubled),
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
