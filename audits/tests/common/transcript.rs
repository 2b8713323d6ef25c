//! Transcripts of played rounds, and drafts of them whose records can be changed before the file is
//! sealed again under a fresh digest.

use std::collections::BTreeMap;

use dawn_crypto::digest::{Hasher, labels};
use dawn_identity::Signed;
use dawn_protocol::Aborted;
use dawn_protocol::transcript::{Form, Kind, Part, TranscriptWriter, VERSION, detach};

use super::round::{PlayedRound, Script};
use super::{Plan, World};

/// The transcript of a round, as an honest aggregator writes it.
pub fn transcript(world: &World, round: &PlayedRound) -> Vec<u8> {
    let mut writer = TranscriptWriter::new(Vec::new()).unwrap();
    writer.founding(world.document()).unwrap();
    for entry in &world.register {
        writer.register(entry).unwrap();
    }
    writer.roster(&world.roster).unwrap();
    writer.task(&world.task).unwrap();
    if let Some(set) = world.context.public_set() {
        writer.public_set(&set.to_bytes()).unwrap();
    }
    if let Some(previous) = &round.previous {
        writer.previous(previous).unwrap();
    }
    writer.model(&round.model.to_bytes()).unwrap();
    if let Some(from) = &round.direction {
        writer.direction(&from.to_bytes()).unwrap();
    }
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
        .challenge
        .iter()
        .for_each(|challenge| writer.challenge(challenge).unwrap());
    for (report, answers) in round.reports.iter().zip(&round.answers) {
        writer.report(report).unwrap();
        writer.answers(answers).unwrap();
    }
    round
        .verdict
        .iter()
        .for_each(|verdict| writer.verdict(verdict).unwrap());
    for (place, opening) in round.openings.iter().enumerate() {
        writer.opening(opening).unwrap();
        if let Some(sums) = round.group_sums.get(place) {
            writer.group_sums(sums).unwrap();
        }
    }
    round
        .later
        .iter()
        .for_each(|entry| writer.later(entry).unwrap());
    writer.terminal(&round.terminal).unwrap();
    writer.finish().unwrap().1
}

/// A transcript without payloads and answers, and these under their names.
pub fn detached(whole: &[u8]) -> (Vec<u8>, BTreeMap<String, Vec<u8>>) {
    let (mut file, mut parts) = (vec![], BTreeMap::new());
    let keep = |part: Part, bytes: &[u8]| {
        parts.insert(part.digest().to_string(), bytes.to_vec());
        Ok(())
    };
    detach(whole, &mut file, keep).unwrap();
    (file, parts)
}

/// A transcript's records, to be changed.
#[derive(Clone)]
pub struct Draft {
    pub records: Vec<(Kind, Vec<u8>)>,
}

impl Draft {
    pub fn of(world: &World, round: &PlayedRound) -> Self {
        Self::of_bytes(&transcript(world, round))
    }

    /// The records of a whole transcript.
    pub fn of_bytes(bytes: &[u8]) -> Self {
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

    /// What stands before every specification, the records of these kinds, and an abort after them.
    pub fn ended_early(&self, kinds: &[Kind], aborted: &Signed<Aborted>) -> Self {
        let beginning = [
            Kind::Founding,
            Kind::Register,
            Kind::Roster,
            Kind::Task,
            Kind::PreviousResult,
            Kind::Model,
        ];
        let mut early = self.clone();
        early
            .records
            .retain(|(kind, _)| beginning.contains(kind) || kinds.contains(kind));
        early
            .records
            .push((Kind::Aborted, aborted.bytes().to_vec()));
        early
    }

    /// A file with these records and the right digest at the end, whatever the records are.
    pub fn seal(&self) -> Vec<u8> {
        self.seal_as(Form::Whole)
    }

    /// As [`Self::seal`], as a file of this form.
    pub fn seal_as(&self, form: Form) -> Vec<u8> {
        let mut bytes = form.magic().to_vec();
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

/// Two stewards, two devices, one of them of a member that registered later: the second round, with as few
/// bytes as a round that opens can have, and every kind of record among them.
pub fn smallest() -> (World, PlayedRound) {
    let plan = Plan {
        organisations: 2,
        faulty: 0,
        guests: 1,
        devices: 3,
        ..Plan::default()
    };
    let mut world = World::with(7, &plan);
    let guest = world.registrations[0].peek().org();
    let mut devices = world.devices.iter();
    let theirs = devices
        .position(|device| device.chain.claimed_org() == guest)
        .unwrap();
    let script = Script {
        devices: vec![theirs, (theirs + 1) % plan.devices],
        ..Script::default()
    };
    let first = world.play(None, &script);
    let second = world.play(Some(&first), &script);
    (world, second)
}

/// Length of the last record: kind, length, digest of everything before.
pub const END_BYTES: usize = 1 + 8 + 32;

/// Puts the right digest at the end of a file that was changed before it.
pub fn reseal(bytes: &mut [u8]) {
    let (covered, end) = bytes.split_at_mut(bytes.len() - END_BYTES);
    let mut hasher = Hasher::new(labels::TRANSCRIPT);
    hasher.update(covered);
    end[END_BYTES - 32..].copy_from_slice(&hasher.finalize().0);
}

/// The bit that a walk over all bytes flips in this one: another in its neighbours, and another in
/// the same place of the next eight.
pub fn flip(at: usize) -> u8 {
    1 << ((at + at / 8) % 8)
}

/// Does something for every number below `count`, on all processors.
pub fn in_parallel(count: usize, each: impl Fn(usize) + Sync) {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let each = &each;
            scope.spawn(move || (worker..count).step_by(workers).for_each(each));
        }
    });
}
