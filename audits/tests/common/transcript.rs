//! Transcripts of played rounds, and drafts of them whose records can be changed before the file is
//! sealed again under a fresh digest.

use dawn_crypto::digest::{Hasher, labels};
use dawn_protocol::transcript::{Kind, MAGIC, TranscriptWriter, VERSION};

use super::World;
use super::round::PlayedRound;

/// The transcript of a round, as an honest aggregator writes it.
pub fn transcript(world: &World, round: &PlayedRound) -> Vec<u8> {
    let mut writer = TranscriptWriter::new(Vec::new()).unwrap();
    writer.founding(world.document()).unwrap();
    for registration in &world.registrations {
        writer.registration(registration).unwrap();
    }
    writer.roster(&world.roster).unwrap();
    writer.task(&world.task).unwrap();
    if let Some(previous) = &round.previous {
        writer.previous(previous).unwrap();
    }
    writer.model(&round.model.to_bytes()).unwrap();
    writer.spec(&round.spec).unwrap();
    round
        .endorsements
        .iter()
        .for_each(|e| writer.endorsement(e).unwrap());
    for submission in &round.submissions {
        writer.header(submission.header.bytes()).unwrap();
        writer.payload(&submission.payload).unwrap();
    }
    round
        .closed
        .iter()
        .for_each(|closed| writer.closed(closed).unwrap());
    round
        .reports
        .iter()
        .for_each(|report| writer.report(report).unwrap());
    round
        .verdict
        .iter()
        .for_each(|verdict| writer.verdict(verdict).unwrap());
    round
        .openings
        .iter()
        .for_each(|opening| writer.opening(opening).unwrap());
    writer.terminal(&round.terminal).unwrap();
    writer.finish().unwrap().1
}

/// A transcript's records, to be changed.
#[derive(Clone)]
pub struct Draft {
    pub records: Vec<(Kind, Vec<u8>)>,
}

impl Draft {
    pub fn of(world: &World, round: &PlayedRound) -> Self {
        let bytes = transcript(world, round);
        let mut records = vec![];
        let mut rest = &bytes[6..];
        while let Some((code, after)) = rest.split_first() {
            let kind = Kind::from_code(*code).unwrap();
            let (len, after) = after.split_at(8);
            let len = usize::try_from(u64::from_le_bytes(len.try_into().unwrap())).unwrap();
            let (record, after) = after.split_at(len);
            if kind != Kind::End {
                records.push((kind, record.to_vec()));
            }
            rest = after;
        }
        Self { records }
    }

    /// The places of the records of a kind.
    pub fn places(&self, kind: Kind) -> Vec<usize> {
        (0..self.records.len())
            .filter(|place| self.records[*place].0 == kind)
            .collect()
    }

    /// The bytes of the `nth` record of a kind.
    pub fn nth(&mut self, kind: Kind, nth: usize) -> &mut Vec<u8> {
        let place = self.places(kind)[nth];
        &mut self.records[place].1
    }

    /// A file with these records and the right digest at the end, whatever the records are.
    pub fn seal(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        for (kind, record) in &self.records {
            bytes.push(*kind as u8);
            bytes.extend_from_slice(&(record.len() as u64).to_le_bytes());
            bytes.extend_from_slice(record);
        }
        let mut hasher = Hasher::new(labels::TRANSCRIPT);
        hasher.update(&bytes);
        let digest = hasher.finalize();
        bytes.push(Kind::End as u8);
        bytes.extend_from_slice(&32u64.to_le_bytes());
        bytes.extend_from_slice(&digest.0);
        bytes
    }
}
