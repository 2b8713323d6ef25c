//! What is fuzzed. Each function takes any bytes, fails when something does not hold, and says whether the bytes
//! were what they should be.

mod audit;
mod canonical;
mod container;
mod documents;
mod envelopes;
mod gaussian;
mod judging;
mod logs;
mod mask;
mod merkle;
mod models;
mod packages;
mod register;
mod shamir;
mod statements;
mod texts;
mod tiles;
mod tlog;
mod tlog_changes;
mod transcript;

pub use audit::{Edit, Operation, audit};
pub(crate) use audit::{ROUNDS, reports};
pub use container::container;
pub use documents::{DOCUMENTS, documents};
pub use envelopes::envelopes;
pub use gaussian::gaussian;
pub use judging::judging;
pub use logs::logs;
pub use mask::mask_target as mask;
pub use merkle::merkle;
pub use models::models;
pub use packages::{PACKAGES, packages};
pub(crate) use packages::{params, prover, sealed};
pub use register::register;
pub use shamir::shamir;
pub use statements::{KINDS, Kind, statements};
pub use texts::{TEXTS, texts};
pub use tiles::tiles;
pub(crate) use tlog::signed_by_world;
pub use tlog::{TLOG, tlog};
pub use tlog_changes::change_tlog;
pub use transcript::{change_transcript, transcript};

use crate::cbor::{self, Dice};

/// A target: false when the bytes were refused.
pub type Target = fn(&[u8]) -> bool;

/// Every target by the name of its program.
pub const ALL: [(&str, Target); 18] = [
    ("statements", statements),
    ("envelopes", envelopes),
    ("documents", documents),
    ("packages", packages),
    ("container", container),
    ("transcript", transcript),
    ("audit", audit),
    ("tlog", tlog),
    ("tiles", tiles),
    ("logs", logs),
    ("register", register),
    ("models", models),
    ("texts", texts),
    ("shamir", shamir),
    ("mask", mask),
    ("merkle", merkle),
    ("gaussian", gaussian),
    ("judging", judging),
];

/// The target of a program.
///
/// # Panics
/// When there is none of this name.
pub fn by_name(name: &str) -> Target {
    let found = ALL.into_iter().find(|(of, _)| *of == name);
    found.expect("a target is listed").1
}

/// The first byte chooses among decoders; the rest is for the chosen one.
fn choose<'a, T>(table: &'static [T], data: &'a [u8]) -> Option<(&'static T, &'a [u8])> {
    let (&selector, rest) = data.split_first()?;
    Some((&table[usize::from(selector) % table.len()], rest))
}

/// Mutates the CBOR behind a byte that chooses.
pub fn change_cbor(data: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let (&selector, rest) = data.split_first()?;
    let mut changed = vec![selector];
    changed.extend(cbor::mutate(rest, dice)?);
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds;

    /// Otherwise a target might never get beyond its first check.
    #[test]
    fn every_target_accepts_its_seeds() {
        for (name, target) in ALL {
            let mut count = 0;
            for (_, label, bytes) in seeds::all().iter().filter(|(of, ..)| *of == name) {
                assert!(target(bytes), "{name} refuses its seed {label}");
                count += 1;
            }
            assert!(count > 0, "{name} has no seeds");
        }
    }

    /// A short walk from every seed, on a stable compiler too.
    #[test]
    fn changed_seeds_break_nothing() {
        for (name, target) in ALL {
            let mut dice = Dice::new(1);
            for (_, _, bytes) in seeds::all().iter().filter(|(of, ..)| *of == name) {
                for _ in 0..8 {
                    let mut changed = bytes.clone();
                    if let Some(bytes) = change_cbor(bytes, &mut dice) {
                        target(&bytes);
                    }
                    let at = dice.below(changed.len());
                    if let Some(byte) = changed.get_mut(at) {
                        *byte ^= 1 << dice.below(8);
                    }
                    target(&changed);
                    target(&changed[..at]);
                }
            }
        }
    }
}
