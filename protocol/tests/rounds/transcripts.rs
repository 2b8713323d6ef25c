//! The transcript of a whole round: what is written is read, in one order only, and nothing hostile
//! gets through or takes memory.

use std::sync::OnceLock;

use dawn_protocol::digests::model_digest;
use dawn_protocol::transcript::{
    Kind, Record, TranscriptError, TranscriptReader, TranscriptWriter, max_bytes,
};
use dawn_protocol::{AbortReason, Aborted, Digest, Terminal};
use proptest::prelude::*;

use crate::world::World;

/// A transcript of an honest round of three devices, and its digest.
pub fn transcript() -> &'static (Vec<u8>, Digest) {
    static TRANSCRIPT: OnceLock<(Vec<u8>, Digest)> = OnceLock::new();
    TRANSCRIPT.get_or_init(|| {
        let mut world = World::new(6, 1);
        let round = world.first_round();
        let submissions = world.submissions(&round, &[0, 1, 2]);
        let closed = world.close(&round, submissions);
        let points = [1, 2, 3, 4, 5];
        let reports = world.reports(&round, &closed, &points);
        let (judged, verdict) = world.judge(&closed, &reports);
        let openings = world.openings(&round, &closed, &judged, &points);
        let opened = judged
            .open(&world.masked_sum(&closed, &judged), &openings)
            .unwrap();
        let model = world.context.initial_model().unwrap();
        let next = opened.next_model(&model).unwrap();
        let result = world.by_aggregator(&opened.result(model_digest(&next.to_bytes())));

        let mut writer = TranscriptWriter::new(Vec::new()).unwrap();
        writer.founding(world.federation.document()).unwrap();
        for organisation in &world.organisations {
            let digest = world.federation.digest();
            writer
                .register(organisation.register(&digest, 1).unwrap().bytes())
                .unwrap();
        }
        writer.roster(&world.roster).unwrap();
        writer.task(&world.task).unwrap();
        writer.model(&model.to_bytes()).unwrap();
        writer.spec(&round.spec).unwrap();
        for endorsement in &round.endorsements {
            writer.endorsement(endorsement).unwrap();
        }
        for submission in &closed.submissions {
            writer.header(submission.header.bytes()).unwrap();
            writer
                .begin_payload(submission.payload.len() as u64)
                .unwrap();
            for chunk in submission.payload.chunks(1000) {
                writer.chunk(chunk).unwrap();
            }
        }
        writer.closed(&closed.statement).unwrap();
        writer.challenge(&closed.challenge).unwrap();
        for report in &reports {
            writer.report(&report.signed).unwrap();
            let answers: Vec<Vec<u8>> =
                (report.answers.iter().flatten().map(|a| a.to_bytes())).collect();
            let answers = answers.concat();
            writer.begin_answers(answers.len() as u64).unwrap();
            for chunk in answers.chunks(1000) {
                writer.chunk(chunk).unwrap();
            }
        }
        writer.verdict(&verdict).unwrap();
        for opening in &openings {
            writer.opening(opening).unwrap();
        }
        writer.terminal(&Terminal::Result(result)).unwrap();
        let (digest, bytes) = writer.finish().unwrap();
        (bytes, digest)
    })
}

pub fn read(bytes: &[u8]) -> Result<Vec<Record>, TranscriptError> {
    let mut reader = TranscriptReader::new(bytes);
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record);
    }
    Ok(records)
}

/// Where each record begins, and its kind.
pub fn layout(bytes: &[u8]) -> Vec<(usize, Kind)> {
    let mut reader = TranscriptReader::new(bytes);
    let mut layout = Vec::new();
    let mut at = 6;
    while let Some(record) = reader.next_record().unwrap() {
        layout.push((at, record.kind()));
        at = usize::try_from(reader.offset()).unwrap();
    }
    layout
}

#[test]
fn what_is_written_is_read() {
    let (bytes, digest) = transcript();
    let records = read(bytes).unwrap();
    let kinds: Vec<Kind> = records.iter().map(Record::kind).collect();
    let mut expected = vec![Kind::Founding];
    expected.extend([Kind::Register; 6]);
    expected.extend([Kind::Roster, Kind::Task, Kind::Model, Kind::Spec]);
    expected.extend([Kind::Endorsement; 6]);
    expected.extend([[Kind::Header, Kind::Payload]; 3].concat());
    expected.push(Kind::Closed);
    expected.push(Kind::Challenge);
    expected.extend([[Kind::Report, Kind::Answers]; 5].concat());
    expected.push(Kind::Verdict);
    expected.extend([Kind::Opening; 5]);
    expected.extend([Kind::Result, Kind::End]);
    assert_eq!(kinds, expected);
    assert_eq!(records.last(), Some(&Record::End(*digest)));
}

#[test]
fn bytes_after_the_end_and_every_truncation_are_refused() {
    let (bytes, _) = transcript();
    assert!(matches!(
        read(&[bytes.as_slice(), &[0]].concat()),
        Err(TranscriptError::Trailing)
    ));
    // Around every boundary, and in the middle of every record.
    for (start, _) in layout(bytes) {
        for cut in [start, start + 1, start + 8, start + 9, start + 20] {
            assert!(
                matches!(read(&bytes[..cut]), Err(TranscriptError::Truncated(_))),
                "cut at {cut}"
            );
        }
    }
    assert!(matches!(read(&[]), Err(TranscriptError::Truncated(0))));
}

#[test]
fn lengths_are_bounded_by_kind_and_task() {
    let (bytes, _) = transcript();
    for (start, kind) in layout(bytes) {
        let mut changed = bytes.clone();
        changed[start + 1..start + 9].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(
            matches!(
                read(&changed),
                Err(TranscriptError::Length { kind: found, .. }) if found == kind
            ),
            "{kind:?}"
        );
    }
}

#[test]
fn the_longest_transcript_of_a_task_is_known() {
    let (bytes, _) = transcript();
    let world = World::new(3, 0);
    let most = max_bytes(world.task.peek());
    assert!(most > bytes.len() as u64);
    // Every submission more makes it longer by a header, a payload and the answers about it at least.
    let mut task = world.task.peek().clone();
    task.policy.max_submissions += 1;
    let answers = 16 * 4 * world.context.norm_params().answer_len() as u64;
    let submission = world.context.dimension().payload_bytes() as u64 + 1000 + answers;
    assert!(max_bytes(&task) > most + submission);
}

#[test]
fn records_in_another_order_are_refused() {
    let (bytes, _) = transcript();
    let layout = layout(bytes);
    for pair in layout.windows(3) {
        let [(a, first), (b, second), (c, _)] = *pair else {
            continue;
        };
        if first == second {
            continue;
        }
        let swapped = [&bytes[..a], &bytes[b..c], &bytes[a..b], &bytes[c..]].concat();
        // Two in a row of one kind may be swapped as far as the order goes; the digest tells.
        assert!(read(&swapped).is_err(), "{first:?} {second:?}");
    }
}

#[test]
fn the_writer_writes_nothing_that_no_reader_reads() {
    let mut world = World::new(3, 0);
    let round = world.first_round();
    let mut writer = TranscriptWriter::new(Vec::new()).unwrap();
    assert!(writer.task(&world.task).is_err());
    writer.founding(world.federation.document()).unwrap();
    assert!(writer.founding(world.federation.document()).is_err());
    writer.roster(&world.roster).unwrap();
    assert!(writer.roster(&world.roster).is_err());
    writer.task(&world.task).unwrap();
    let aborted = Terminal::Aborted(world.by_aggregator(&Aborted {
        round: round.open.round_id(),
        session: None,
        reason: AbortReason::TooFewSealingKeys,
        detail: "2 of 3".to_owned(),
        model: world.initial_model(),
        previous: None,
        direction: None,
        draw: None,
    }));
    writer.previous(&aborted).unwrap();
    writer
        .model(&world.context.initial_model().unwrap().to_bytes())
        .unwrap();
    writer.terminal(&aborted).unwrap();
    assert!(writer.terminal(&aborted).is_err());
    let (_, bytes) = writer.finish().unwrap();
    assert_eq!(read(&bytes).unwrap().len(), 7);

    let mut writer = TranscriptWriter::new(Vec::new()).unwrap();
    writer.founding(world.federation.document()).unwrap();
    writer.roster(&world.roster).unwrap();
    writer.task(&world.task).unwrap();
    writer
        .model(&world.context.initial_model().unwrap().to_bytes())
        .unwrap();
    writer.spec(&round.spec).unwrap();
    writer.endorsement(&round.endorsements[0]).unwrap();
    writer.header(b"header").unwrap();
    writer.begin_payload(10).unwrap();
    writer.chunk(&[0; 4]).unwrap();
    assert!(writer.terminal(&aborted).is_err());
    assert!(writer.chunk(&[0; 7]).is_err());
}

#[test]
fn a_reader_that_failed_says_nothing_more() {
    let mut reader = TranscriptReader::new(&b"DWNX"[..]);
    assert!(matches!(reader.next_record(), Err(TranscriptError::Magic)));
    assert!(matches!(reader.next_record(), Ok(None)));
    let newer = [&b"DWNT"[..], &[2, 0]].concat();
    assert!(matches!(read(&newer), Err(TranscriptError::Version(2))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// No byte can be changed: at the latest the digest at the end differs.
    #[test]
    fn a_flipped_bit_anywhere_is_noticed(place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (bytes, _) = transcript();
        let mut changed = bytes.clone();
        let at = place.index(bytes.len());
        changed[at] ^= 1 << bit;
        prop_assert!(read(&changed).is_err());
    }

    #[test]
    fn hostile_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..500), preamble in any::<bool>()) {
        if preamble && bytes.len() >= 7 {
            bytes[..7].copy_from_slice(b"DWNT\x01\0\x01");
        }
        prop_assert!(read(&bytes).is_err());
    }
}
