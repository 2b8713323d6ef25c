//! A valid example of everything, from which the fuzzer starts: made of the rounds of [`crate::world`].

mod documents;
mod log;
mod plain;
mod statements;
mod submissions;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::targets;
use crate::world::{self, honest};

/// The target, a name, and an input that the target accepts.
pub type Seed = (&'static str, String, Vec<u8>);

/// All of them.
pub fn all() -> &'static [Seed] {
    static ALL: OnceLock<Vec<Seed>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut seeds = Vec::new();
        statements::statements(&mut seeds);
        documents::documents(&mut seeds);
        submissions::packages(&mut seeds);
        submissions::containers(&mut seeds);
        plain::models(&mut seeds);
        plain::texts(&mut seeds);
        log::tlog(&mut seeds);
        log::logs(&mut seeds);
        log::register(&mut seeds);
        let honest = honest();
        let rounds = honest.rounds.iter().map(|round| (&honest.world, round));
        let others = world::elaborate()
            .iter()
            .map(|other| (&other.world, &other.round));
        for (number, (world, round)) in rounds.chain(others).enumerate() {
            let bytes = world::transcript(world, round);
            seeds.push((
                "transcript",
                format!("round {number} detached"),
                world::detached(&bytes).0,
            ));
            seeds.push(("transcript", format!("round {number}"), bytes));
            seeds.push(("audit", format!("round {number}"), vec![number as u8]));
            let detached = vec![(number + targets::ROUNDS) as u8];
            seeds.push(("audit", format!("round {number} detached"), detached));
        }
        for (target, len) in [
            ("audit", 60),
            ("shamir", 60),
            ("mask", 400),
            ("merkle", 120),
            ("tiles", 60),
            ("logs", 40),
            ("register", 40),
            ("gaussian", 500),
            ("judging", 300),
        ] {
            searched(target, len, &mut seeds);
        }
        seeds
    })
}

/// Writes a target's seeds to `corpus/<target>/`, beside what the fuzzer has found there. Called when a fuzzer starts,
/// before it looks there.
///
/// # Panics
/// When the folder cannot be written; when the target refuses a seed, because then it might never get beyond its
/// first check.
pub fn write(target: &str) {
    let run = targets::by_name(target);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder).expect("fuzz/corpus can be written");
    for (_, name, bytes) in all().iter().filter(|(of, ..)| *of == target) {
        assert!(run(bytes), "{target} refuses its seed {name}");
        let file = folder.join(format!("seed {name}").replace(' ', "-"));
        fs::write(file, bytes).expect("fuzz/corpus can be written");
    }
}

/// Inputs that are read as numbers and choices: random ones that are accepted.
fn searched(target: &'static str, len: usize, seeds: &mut Vec<Seed>) {
    let run = targets::by_name(target);
    let accepted = (0..).map(|seed| {
        let mut bytes = vec![0; len];
        ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
        bytes
    });
    for (number, bytes) in accepted.filter(|bytes| run(bytes)).take(8).enumerate() {
        seeds.push((target, format!("random {number}"), bytes));
    }
}

/// The name's place in a table, then the bytes.
fn chosen<T>(table: &[T], name: &str, name_of: fn(&T) -> &'static str, bytes: &[u8]) -> Vec<u8> {
    let place = table.iter().position(|entry| name_of(entry) == name);
    let place = place.expect("a name of the table");
    [&[u8::try_from(place).expect("a short table")], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::KINDS;
    use dawn_identity::{Signed, Statement};
    use dawn_protocol::Endorsement;

    #[test]
    fn envelopes_are_signed_by_the_key_of_the_targets() {
        let envelopes: Vec<_> = all().iter().filter(|(of, ..)| *of == "envelopes").collect();
        assert!(envelopes.len() >= KINDS.len());
        let endorsement = envelopes
            .iter()
            .find(|(_, label, _)| label.starts_with(Endorsement::KIND));
        let (_, _, bytes) = endorsement.expect("there is one of every kind");
        let signed = Signed::<Endorsement>::from_bytes(&bytes[1..]).expect("an envelope");
        assert!(signed.verify(&world::key().public()).is_ok());
    }
}
