//! What an honest aggregator logs.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle;
use dawn_identity::{SecretKey, Signed};
use dawn_protocol::LogHead;

use super::World;
use super::round::PlayedRound;

/// The entries of a federation with one round.
pub fn entries(world: &World, round: &PlayedRound) -> Vec<Vec<u8>> {
    [before_rounds(world), of_round(round)].concat()
}

/// What is said before the first round: the founding document, the register, the task.
pub fn before_rounds(world: &World) -> Vec<Vec<u8>> {
    let mut entries = vec![world.document().to_bytes()];
    entries.extend(world.register.iter().cloned());
    entries.push(world.task.bytes().to_vec());
    entries
}

/// What is said in a round.
pub fn of_round(round: &PlayedRound) -> Vec<Vec<u8>> {
    let keys = round.spec.peek().sealing_keys.iter().flatten();
    let mut entries: Vec<_> = keys.map(|key| key.bytes().to_vec()).collect();
    entries.push(round.spec.bytes().to_vec());
    entries.extend(round.endorsements.iter().map(|said| said.bytes().to_vec()));
    entries.extend(round.closed.iter().map(|said| said.bytes().to_vec()));
    if let Some(challenge) = &round.challenge {
        let parts = challenge.peek().shares.iter();
        entries.extend(parts.map(|part| part.bytes().to_vec()));
        entries.push(challenge.bytes().to_vec());
    }
    entries.extend(round.reports.iter().map(|said| said.bytes().to_vec()));
    entries.extend(round.verdict.iter().map(|said| said.bytes().to_vec()));
    entries.extend(round.openings.iter().map(|said| said.bytes().to_vec()));
    entries.extend(round.later.iter().cloned());
    entries.push(round.terminal.bytes().to_vec());
    entries
}

/// The head over entries, by a key.
pub fn head(entries: &[Vec<u8>], key: &SecretKey) -> Signed<LogHead> {
    let leaves: Vec<Digest> = entries
        .iter()
        .map(|entry| merkle::leaf_hash(entry))
        .collect();
    let head = LogHead {
        size: leaves.len() as u64,
        root: merkle::root(&leaves),
        time_ms: 1,
    };
    Signed::sign(&head, key).unwrap()
}
