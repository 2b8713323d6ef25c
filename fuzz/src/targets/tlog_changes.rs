//! Changes of the log's texts that leave them texts: a line is lost, doubled or moved, a number becomes another, a hash
//! another hash, and, half of the time, everything is signed again, under the root to which the proof leads.

use dawn_crypto::digest::Digest;
use dawn_protocol::tlog::{AddCheckpoint, Checkpoint, SignedNote, TlogProof};

use super::tlog::{TLOG, continued, included, signed_by_world};
use crate::cbor::Dice;
use crate::log::log;

const NUMBERS: [u64; 9] = [0, 1, 2, 255, 256, 257, 65_536, 1 << 63, u64::MAX];

/// See the module. The byte that chooses stays.
pub fn change_tlog(data: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let (&selector, rest) = data.split_first()?;
    let (name, _) = TLOG[usize::from(selector) % TLOG.len()];
    let rest = if name.starts_with("tile") || name.starts_with("bundle") {
        return None;
    } else {
        std::str::from_utf8(rest).ok()?
    };
    let changed = match dice.below(3) {
        0 => consistent(name, rest, dice)?,
        _ => lines(rest, dice)?,
    };
    Some([&[selector], changed.as_bytes()].concat())
}

fn lines(text: &str, dice: &mut Dice) -> Option<String> {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let place = dice.below(lines.len());
    match dice.below(8) {
        0 => drop(lines.remove(place)),
        1 => lines.insert(place, lines[place].clone()),
        2 => {
            let other = dice.below(lines.len());
            lines.swap(place, other);
        }
        3 => {
            let many = vec![lines[place].clone(); 1 << dice.below(8)];
            lines.splice(place..place, many);
        }
        4 => {
            let number = NUMBERS[dice.below(NUMBERS.len())];
            let (word, _) = lines[place].rsplit_once(' ').unwrap_or_default();
            lines[place] = match word {
                "" => number.to_string(),
                word => format!("{word} {number}"),
            };
        }
        _ => {
            // Another character of those that there are, at a place of the line.
            let all: Vec<char> = text.chars().collect();
            let other = *all.get(dice.below(all.len()))?;
            let mut line: Vec<char> = lines[place].chars().collect();
            let at = dice.below(line.len());
            match dice.below(3) {
                0 => line.insert(at, other),
                1 if !line.is_empty() => drop(line.remove(at)),
                _ => *line.get_mut(at)? = other,
            }
            lines[place] = line.into_iter().collect();
        }
    }
    Some(lines.join("\n"))
}

/// Something else that the keys have signed: of other sizes, with hashes that nobody made.
fn consistent(name: &str, text: &str, dice: &mut Dice) -> Option<String> {
    let cosigned = dice.below(4);
    let number = |dice: &mut Dice| match dice.below(3) {
        0 => NUMBERS[dice.below(NUMBERS.len())],
        1 => dice.roll() >> dice.below(64),
        _ => dice.below(log().leaves.len() + 2) as u64,
    };
    let at = |size: u64, root: Digest| {
        let origin = log().origin.clone();
        Checkpoint { origin, size, root }.text()
    };
    Some(match name {
        "note" => {
            let note = SignedNote::parse(text.as_bytes()).ok()?;
            signed_by_world(lines(&note.text, dice)?, cosigned).to_text()
        }
        "proof" => {
            let mut proof = TlogProof::parse(text.as_bytes()).ok()?;
            let size = number(dice);
            if dice.below(2) == 0 {
                proof.index = number(dice);
            }
            hashes(&mut proof.path, dice);
            let leaves = &log().leaves;
            let place = usize::try_from(proof.index).unwrap_or(usize::MAX);
            let leaf = leaves.get(place).unwrap_or(&leaves[0]);
            let root = included(leaf, proof.index, size, &proof.path);
            proof.checkpoint = signed_by_world(at(size, root.unwrap_or(*leaf)), cosigned);
            proof.to_text()
        }
        "add-checkpoint" => {
            let mut shown = AddCheckpoint::parse(text.as_bytes()).ok()?;
            let size = number(dice);
            if dice.below(2) == 0 {
                shown.old = number(dice);
            }
            hashes(&mut shown.proof, dice);
            let roots = &log().roots;
            let kept = roots.get(usize::try_from(shown.old).unwrap_or(usize::MAX));
            let found = continued(shown.old, size, kept, &shown.proof);
            let root = found.map_or(Digest([5; 32]), |(_, root)| root);
            shown.checkpoint = signed_by_world(at(size, root), cosigned);
            shown.to_text()
        }
        _ => return None,
    })
}

fn hashes(path: &mut Vec<Digest>, dice: &mut Dice) {
    match dice.below(4) {
        0 => path.push(Digest([dice.roll() as u8; 32])),
        1 => drop(path.pop()),
        2 => path.resize(dice.below(64), Digest([6; 32])),
        _ => {}
    }
}
