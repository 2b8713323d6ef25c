//! Transcripts. Mutations change records and put the right digest at the end, so that the reader gets to the
//! records.

use std::io::{self, Read};

use dawn_crypto::digest::{Hasher, labels};
use dawn_protocol::transcript::{Kind, Record, TranscriptReader, TranscriptWriter};

use crate::cbor::{self, Dice};
use crate::memory;

/// Bytes before the first record.
const PREAMBLE: usize = 6;
/// Bytes of a record before its content.
const HEAD: usize = 9;

/// See the module.
pub fn transcript(data: &[u8]) -> bool {
    // A record, what it is parsed into, and the writer's copy of everything.
    let room = memory::for_decoding(data);
    let whole = memory::within(room, || copy(data));
    let in_pieces = copy(Pieces {
        rest: data,
        longest: 0,
    });
    assert_eq!(whole.as_ref().ok(), in_pieces.as_ref().ok());
    match whole {
        Ok(again) => {
            assert_eq!(again, data, "another encoding was accepted");
            true
        }
        Err(error) => {
            assert_eq!(Some(error), in_pieces.err());
            false
        }
    }
}

/// Reads a transcript to its end and writes it again.
fn copy(input: impl Read) -> Result<Vec<u8>, String> {
    let mut reader = TranscriptReader::new(input);
    let mut writer = TranscriptWriter::new(Vec::new()).expect("writing into memory");
    let mut ended = None;
    while let Some(record) = reader.next_record().map_err(|error| error.to_string())? {
        assert!(ended.is_none(), "a record after the end");
        let written = match &record {
            Record::Founding(document) => writer.founding(document),
            Record::Register(entry) => writer.register(entry),
            Record::Roster(roster) => writer.roster(roster),
            Record::Task(task) => writer.task(task),
            Record::PublicSet(set) => writer.public_set(set),
            Record::Previous(terminal) => writer.previous(terminal),
            Record::Model(model) => writer.model(model),
            Record::Direction(model) => writer.direction(model),
            Record::Spec(spec) => writer.spec(spec),
            Record::Endorsement(endorsement) => writer.endorsement(endorsement),
            Record::Header(header) => writer.header(header),
            Record::Payload(payload) => writer.payload(payload),
            Record::Closed(closed) => writer.closed(closed),
            Record::Challenge(challenge) => writer.challenge(challenge),
            Record::Report(report) => writer.report(report),
            Record::Answers(answers) => writer.answers(answers),
            Record::Verdict(verdict) => writer.verdict(verdict),
            Record::Opening(opening) => writer.opening(opening),
            Record::GroupSums(sums) => writer.group_sums(sums),
            Record::Later(entry) => writer.later(entry),
            Record::Terminal(terminal) => writer.terminal(terminal),
            Record::End(digest) => {
                ended = Some(*digest);
                Ok(())
            }
        };
        written.expect("what was read in this order can be written in this order");
    }
    assert!(matches!(reader.next_record(), Ok(None)));
    let (digest, bytes) = writer.finish().expect("writing into memory");
    assert_eq!(ended, Some(digest));
    Ok(bytes)
}

/// A connection that delivers pieces of odd lengths: single bytes in the beginning, then more.
struct Pieces<'a> {
    rest: &'a [u8],
    longest: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(1 + self.longest / 16);
        self.longest = (self.longest + 3) % 9973;
        self.rest.read(&mut out[..count])
    }
}

/// Changes a record of a transcript: its kind, its length, its content, or where it is.
pub fn change_transcript(data: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let mut records = Vec::new();
    let mut rest = data.get(PREAMBLE..)?;
    while !rest.is_empty() {
        let len = rest.get(1..HEAD)?;
        let len = u64::from_le_bytes(len.try_into().expect("8 bytes"));
        let len = usize::try_from(len).ok()?.checked_add(HEAD)?;
        let (record, after) = rest.split_at_checked(len)?;
        if record[0] != Kind::End as u8 {
            records.push(record.to_vec());
        }
        rest = after;
    }
    if records.is_empty() {
        return None;
    }
    let place = dice.below(records.len());
    match dice.below(12) {
        0 => drop(records.remove(place)),
        1 => records.insert(place, records.get(place)?.clone()),
        2 => records.swap(place, 0),
        3 => records.truncate(place),
        4 => *records.get_mut(place)?.first_mut()? = dice.below(19) as u8,
        5 => {
            // A length that does not follow from the content.
            let len = dice.roll() >> dice.below(64);
            records.get_mut(place)?[1..HEAD].copy_from_slice(&len.to_le_bytes());
        }
        6 => {
            let many = vec![records.get(place)?.clone(); 20];
            records.splice(place..place, many);
        }
        _ => {
            let record = records.get_mut(place)?;
            let content = match cbor::mutate(&record[HEAD..], dice) {
                Some(content) => content,
                None => {
                    let mut content = record[HEAD..].to_vec();
                    let at = dice.below(content.len());
                    *content.get_mut(at)? ^= 1 << dice.below(8);
                    content
                }
            };
            record.truncate(1);
            record.extend_from_slice(&(content.len() as u64).to_le_bytes());
            record.extend_from_slice(&content);
        }
    }
    let mut changed = data[..PREAMBLE].to_vec();
    records
        .iter()
        .for_each(|record| changed.extend_from_slice(record));
    let mut hasher = Hasher::new(labels::TRANSCRIPT);
    hasher.update(&changed);
    let digest = hasher.finalize();
    changed.push(Kind::End as u8);
    changed.extend_from_slice(&32u64.to_le_bytes());
    changed.extend_from_slice(&digest.0);
    Some(changed)
}
