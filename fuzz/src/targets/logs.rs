//! The auditor, shown an honest transcript beside a log and a checkpoint that somebody changed. Whatever is done,
//!
//! - what passes says of its round what the honest one says, under the root over the very entries that are there;
//! - nobody is blamed but whoever handed the files over, and those that signed something else.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use arbitrary::{Arbitrary, Unstructured};
use dawn_audits::log::LogWriter;
use dawn_audits::verify::LOG_FILE;
use dawn_audits::witness::CHECKPOINT_FILE;
use dawn_audits::{AuditReport, Mode, Options, Party, verify_path};
use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::{leaf_hash, root};
use dawn_identity::{Envelope, SecretKey, Signed};
use dawn_protocol::tlog::Checkpoint;
use dawn_protocol::{LogHead, MAX_STATEMENT_BYTES};

use super::audit::{Said, signer};
use super::tlog::signed_by_world;
use crate::cbor::{self, Dice};
use crate::log::log;
use crate::world::{honest, logged, transcript};

/// A change of one entry; places are taken modulo the number of entries.
#[derive(Arbitrary, Clone, Debug)]
struct Edit {
    entry: u8,
    operation: Operation,
}

/// What is done to an entry.
#[derive(Arbitrary, Clone, Debug)]
enum Operation {
    /// Its signer signs something else.
    Resign(u32),
    /// Its signer signs something else, and both are there.
    SayTwice(u32),
    /// Its CBOR is changed, and nobody signs it; the second is beside the first.
    Change(u32, bool),
    /// It is left out.
    Drop,
    /// It is there twice.
    Double,
    /// It changes places with another.
    Swap(u8),
    /// Bytes of nobody.
    Garbage(u16),
}

/// Which head is at the beginning of the file.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    /// The one over the honest entries.
    Honest,
    /// The log's key signs what is there.
    Signed,
    /// Somebody else's key does.
    Foreign,
}

/// Which checkpoint is beside it, cosigned by so many.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    None,
    /// Of the first honest entries.
    Honest(u8, u8),
    /// The log's key signs what is there, at a size.
    Signed(u8, u8),
    /// The log's key signs something that nobody has.
    Invented(u8, u8),
    /// A bit of the honest one is flipped.
    Flipped(u16, u8),
}

const MAX_EDITS: usize = 5;

/// Input: which round, how it is audited, head and checkpoint, where the file is damaged, then the changes.
pub fn logs(data: &[u8]) -> bool {
    run(&mut Unstructured::new(data)).unwrap_or(false)
}

fn run(input: &mut Unstructured<'_>) -> arbitrary::Result<bool> {
    let round = input.int_in_range(0..=2usize)?;
    // What is executed again does not depend on the log: seldom.
    let mode = match input.int_in_range(0..=15u8)? {
        1 => Mode::Full,
        _ => Mode::Light,
    };
    let (head, shown) = (Head::arbitrary(input)?, Shown::arbitrary(input)?);
    let damage = <Option<(u16, u8)>>::arbitrary(input)?;
    let mut entries = log().entries.clone();
    let mut guilty = BTreeSet::from([Party::Provider]);
    for _ in 0..MAX_EDITS {
        if entries.is_empty() || input.is_empty() {
            break;
        }
        guilty.extend(apply(&Edit::arbitrary(input)?, &mut entries));
    }
    let world = &honest().world;
    let (changed, key) = (entries != log().entries, &world.log);
    let head = match head {
        Head::Honest => logged::head(&log().entries, key),
        Head::Signed => logged::head(&entries, key),
        Head::Foreign => logged::head(&entries, crate::world::key()),
    };
    let mut file = log_file(&head, &entries);
    if let Some((place, bit)) = damage {
        let place = usize::from(place) % file.len();
        file[place] ^= 1 << (bit % 8);
    }
    let leaves: Vec<Digest> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let (checkpoint, lies) = shown.note(&leaves);
    // Whoever signs for another log than the honest one is the log's key.
    if changed && head.signer() == key.public().id() && head.peek().size == entries.len() as u64
        || lies
    {
        guilty.insert(Party::Aggregator);
    }
    let report = audited(round, mode, &file, checkpoint.as_deref());
    match &report.finding {
        Some(finding) => {
            assert!(
                guilty.contains(&finding.culprit),
                "{finding}\nonly {guilty:?} did anything"
            );
            assert!(!report.passed());
        }
        None => {
            let said: Vec<_> = report.rounds.iter().map(Said::of).collect();
            assert_eq!(said, [said_by_round(round, mode)]);
            let under = report.log.as_ref().expect("a log is there");
            let size = leaves.len() as u64;
            assert_eq!((under.size, under.root), (size, root(&leaves)));
            assert_eq!(under.witnesses.is_some(), checkpoint.is_some());
        }
    }
    assert!(!report.summary().is_empty() && report.to_json().is_ok());
    Ok(true)
}

impl Shown {
    /// The file, and whether the log's key signed in it what is not the honest log.
    fn note(self, leaves: &[Digest]) -> (Option<Vec<u8>>, bool) {
        let honest = |size: u8| log().checkpoint(usize::from(size) % (log().leaves.len() + 1));
        let (checkpoint, cosigned) = match self {
            Self::None => return (None, false),
            Self::Honest(size, cosigned) => (honest(size), cosigned),
            Self::Signed(size, cosigned) => {
                let size = usize::from(size) % (leaves.len() + 1);
                let root = root(&leaves[..size]);
                (
                    Checkpoint {
                        size: size as u64,
                        root,
                        ..honest(0)
                    },
                    cosigned,
                )
            }
            Self::Invented(size, cosigned) => {
                let root = Digest([size; 32]);
                (
                    Checkpoint {
                        root,
                        ..honest(size)
                    },
                    cosigned,
                )
            }
            Self::Flipped(place, bit) => {
                let mut bytes = signed_by_world(honest(40).text(), 3).to_text().into_bytes();
                let place = usize::from(place) % bytes.len();
                bytes[place] ^= 1 << (bit % 8);
                return (Some(bytes), false);
            }
        };
        let size = usize::try_from(checkpoint.size).expect("small");
        let lies = log().roots.get(size) != Some(&checkpoint.root);
        let note = signed_by_world(checkpoint.text(), usize::from(cosigned % 4));
        (Some(note.to_text().into_bytes()), lies)
    }
}

/// Makes a change; the party that signed something else, if one did.
fn apply(edit: &Edit, entries: &mut Vec<Vec<u8>>) -> Option<Party> {
    let place = usize::from(edit.entry) % entries.len();
    let resigned = |dice: u32| {
        let envelope = Envelope::parse(&entries[place], MAX_STATEMENT_BYTES).ok()?;
        let (party, key): (Party, &SecretKey) = signer(&envelope)?;
        let payload = cbor::mutate(envelope.payload(), &mut Dice::new(dice.into()))?;
        let envelope = Envelope::seal(envelope.kind(), payload, key).ok()?;
        fits(envelope.bytes()).then(|| (party, envelope.bytes().to_vec()))
    };
    match edit.operation {
        Operation::Resign(dice) => {
            let (party, bytes) = resigned(dice)?;
            entries[place] = bytes;
            return Some(party);
        }
        Operation::SayTwice(dice) => {
            let (party, bytes) = resigned(dice)?;
            entries.insert(place, bytes);
            return Some(party);
        }
        Operation::Change(dice, beside) => {
            let bytes = cbor::mutate(&entries[place], &mut Dice::new(dice.into()))?;
            if !fits(&bytes) {
                return None;
            }
            match beside {
                true => entries.insert(place, bytes),
                false => entries[place] = bytes,
            }
        }
        Operation::Drop => drop(entries.remove(place)),
        Operation::Double => entries.insert(place, entries[place].clone()),
        Operation::Swap(other) => {
            let other = usize::from(other) % entries.len();
            entries.swap(place, other);
        }
        Operation::Garbage(length) => {
            entries.insert(place, vec![length as u8; length.max(1).into()])
        }
    }
    None
}

fn fits(entry: &[u8]) -> bool {
    (1..=MAX_STATEMENT_BYTES).contains(&entry.len())
}

fn log_file(head: &Signed<LogHead>, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = LogWriter::new(Vec::new(), head).expect("writing into memory");
    for entry in entries {
        writer.entry(entry).expect("writing into memory");
    }
    writer.finish().expect("writing into memory")
}

/// Audits the folder with the transcript of a round, a log and a checkpoint.
fn audited(round: usize, mode: Mode, file: &[u8], checkpoint: Option<&[u8]>) -> AuditReport {
    static TRANSCRIPTS: OnceLock<[Vec<u8>; 3]> = OnceLock::new();
    let honest = honest();
    let transcripts = TRANSCRIPTS.get_or_init(|| {
        honest
            .rounds
            .each_ref()
            .map(|round| transcript(&honest.world, round))
    });
    let folder = Folder::new();
    folder.put("round.dawn", &transcripts[round]);
    folder.put(LOG_FILE, file);
    if let Some(checkpoint) = checkpoint {
        folder.put(CHECKPOINT_FILE, checkpoint);
    }
    let options = Options {
        federation: Some(honest.world.federation.digest()),
        mode,
        ..Options::default()
    };
    verify_path(&folder.0, &options).expect("the folder can be read")
}

/// What the honest transcript beside the honest log says of its round.
fn said_by_round(round: usize, mode: Mode) -> Said {
    static SAID: OnceLock<[[Said; 2]; 3]> = OnceLock::new();
    let all = SAID.get_or_init(|| {
        let head = logged::head(&log().entries, &honest().world.log);
        let file = log_file(&head, &log().entries);
        [0, 1, 2].map(|round| {
            [Mode::Full, Mode::Light].map(|mode| {
                let report = audited(round, mode, &file, None);
                assert!(report.passed(), "{:?}", report.finding);
                Said::of(&report.rounds[0])
            })
        })
    });
    all[round][usize::from(mode == Mode::Light)].clone()
}

/// A folder that goes when it is not used any more.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dawn-fuzz-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("there is a place for temporary files");
        Self(path)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.join(name), bytes).expect("temporary files can be written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
