//! The auditor, shown a changed transcript. Changes are of two kinds: what anybody can do to a file, and what a party
//! does that signs something else. Whatever is done,
//!
//! - a transcript that passes says of its round what the honest one says;
//! - nobody is blamed but whoever handed it over, and those that signed something else;
//! - the same without payloads gets no full audit, and a light one that agrees, as far as it looks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use dawn_audits::report::RoundReport;
use dawn_audits::{AuditReport, Mode, Options, Party, verify_transcript};
use dawn_crypto::digest::Digest;
use dawn_identity::{Envelope, KeyId, SecretKey, TaskId};
use dawn_protocol::MAX_STATEMENT_BYTES;
use dawn_protocol::transcript::{Form, detach};

use crate::cbor::{self, Dice};
use crate::world::{Draft, World, detached, elaborate, honest, transcript};

/// A change of one record; places are taken modulo the number of records.
#[derive(Arbitrary, Clone, Debug)]
pub struct Edit {
    /// Which record.
    pub record: u8,
    /// What is done to it.
    pub operation: Operation,
}

/// What is done to a record.
#[derive(Arbitrary, Clone, Debug)]
pub enum Operation {
    /// Its signer signs something else: the dice say what.
    Resign(u32),
    /// Its CBOR is changed, the dice say how, and nobody signs it.
    Change(u32),
    /// A bit of it is flipped.
    Flip(u16, u8),
    /// It ends early.
    Cut(u16),
    /// It is left out.
    Drop,
    /// It is there twice.
    Double,
    /// It changes places with another.
    Swap(u8),
    /// It comes from another round.
    Foreign(u8, u8),
}

/// Most changes of one transcript.
const MAX_EDITS: usize = 6;

/// Input: which round, then the changes.
pub fn audit(data: &[u8]) -> bool {
    let mut input = Unstructured::new(data);
    let Ok(base) = input.int_in_range(0..=2 * ROUNDS - 1) else {
        return false;
    };
    let base = &bases()[base];
    let (mut draft, mut guilty) = (base.draft.clone(), BTreeSet::from([Party::Provider]));
    for _ in 0..MAX_EDITS {
        let Ok(edit) = Edit::arbitrary(&mut input) else {
            break;
        };
        if draft.records.is_empty() {
            break;
        }
        guilty.extend(apply(&edit, &mut draft));
        if input.is_empty() {
            break;
        }
    }
    let bytes = draft.seal_as(base.form);
    let nobody_else = |report: &AuditReport| {
        if let Some(finding) = &report.finding {
            assert!(
                guilty.contains(&finding.culprit),
                "{finding}\nonly {guilty:?} did anything"
            );
        }
        assert_eq!(report.finding.is_none(), report.passed());
        assert!(!report.summary().is_empty() && report.to_json().is_ok());
    };
    if base.form == Form::Detached {
        let light = report(base.world, Mode::Light, &bytes);
        nobody_else(&light);
        // What a party signed instead may follow from what a light audit does not look into.
        if light.passed() && guilty.len() == 1 {
            assert_agrees(&light, &base.said);
        }
        without_payloads(base.world, &bytes);
        return true;
    }
    let full = report(base.world, Mode::Full, &bytes);
    nobody_else(&full);
    if full.passed() {
        assert_agrees(&full, &base.said);
    }
    let mut without = Vec::new();
    if detach(bytes.as_slice(), &mut without, |_, _| Ok(())).is_ok() {
        without_payloads(base.world, &without);
        for bytes in [&bytes, &without] {
            let light = report(base.world, Mode::Light, bytes);
            nobody_else(&light);
            if full.passed() {
                assert!(light.passed(), "{:?}", light.finding);
                assert_eq!(said(&light), said(&full));
            }
        }
    }
    true
}

/// A full audit of what has only digests of payloads passes nothing that somebody submitted to.
fn without_payloads(world: &World, bytes: &[u8]) {
    let full = report(world, Mode::Full, bytes);
    assert!(!full.passed() || full.rounds.iter().all(|round| round.submitted == 0));
}

/// That what passes says what the honest transcript says. A round ends with its key at any stage, so that a verdict may be left
/// out: only a log says how far the round came.
fn assert_agrees(report: &AuditReport, honest: &Said) {
    let mut said = said(report);
    for (said, round) in said.iter_mut().zip(&report.rounds) {
        if said.accepted == 0 && round.aborted.as_deref() == Some("key-replaced") {
            said.accepted = honest.accepted;
        }
    }
    assert_eq!(said, [honest.clone()]);
}

fn said(report: &AuditReport) -> Vec<Said> {
    report.rounds.iter().map(Said::of).collect()
}

fn report(world: &World, mode: Mode, bytes: &[u8]) -> AuditReport {
    let options = Options {
        federation: Some(world.federation.digest()),
        mode,
        ..Options::default()
    };
    verify_transcript(&mut Cursor::new(bytes), &options).expect("memory can be read")
}

/// Reports to be signed: of a transcript that passes, of one that has another round's closing, and of a damaged file.
pub(crate) fn reports() -> [AuditReport; 3] {
    let mut other = bases()[1].draft.clone();
    let foreign = Operation::Foreign(0, 10);
    apply(
        &Edit {
            record: 10,
            operation: foreign,
        },
        &mut other,
    );
    let (world, whole) = (bases()[1].world, bases()[1].draft.seal());
    let cut = &whole[..whole.len() / 2];
    [&whole, &other.seal()[..], cut].map(|bytes| report(world, Mode::Full, bytes))
}

/// What a transcript says of its round.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    task: TaskId,
    number: u32,
    aborted: bool,
    accepted: u32,
    sum: Option<Digest>,
    model: Digest,
    next_model: Digest,
}

impl Said {
    pub(super) fn of(report: &RoundReport) -> Self {
        Self {
            task: report.task,
            number: report.number,
            aborted: report.aborted.is_some(),
            accepted: report.accepted,
            sum: report.sum,
            model: report.model,
            next_model: report.next_model,
        }
    }
}

/// Rounds whose transcripts are changed.
pub(crate) const ROUNDS: usize = 6;

struct Base {
    world: &'static World,
    form: Form,
    draft: Draft,
    said: Said,
}

/// The rounds, whole, and then without payloads.
fn bases() -> &'static [Base; 2 * ROUNDS] {
    static BASES: OnceLock<[Base; 2 * ROUNDS]> = OnceLock::new();
    BASES.get_or_init(|| {
        let of_honest = honest().rounds.iter().map(|round| (&honest().world, round));
        let others = elaborate().iter().map(|other| (&other.world, &other.round));
        let rounds: Vec<_> = of_honest.chain(others).collect();
        std::array::from_fn(|place| {
            let (world, round) = rounds[place % ROUNDS];
            let whole = transcript(world, round);
            let (form, mode, bytes) = match place < ROUNDS {
                true => (Form::Whole, Mode::Full, whole),
                false => (Form::Detached, Mode::Light, detached(&whole).0),
            };
            let report = report(world, mode, &bytes);
            assert!(report.passed(), "{:?}", report.finding);
            Base {
                world,
                form,
                said: Said::of(&report.rounds[0]),
                draft: Draft::of_bytes(&bytes),
            }
        })
    })
}

/// Makes a change; the party that signed something else, if one did.
fn apply(edit: &Edit, draft: &mut Draft) -> Option<Party> {
    let place = usize::from(edit.record) % draft.records.len();
    let record = &mut draft.records[place].1;
    let at = |offset: u16| usize::from(offset) % record.len().max(1);
    match edit.operation {
        Operation::Resign(dice) => {
            let envelope = Envelope::parse(record, MAX_STATEMENT_BYTES).ok()?;
            let (party, key) = signer(&envelope)?;
            let payload = cbor::mutate(envelope.payload(), &mut Dice::new(dice.into()))?;
            *record = Envelope::seal(envelope.kind(), payload, key)
                .ok()?
                .bytes()
                .to_vec();
            return Some(party);
        }
        Operation::Change(dice) => {
            *record = cbor::mutate(record, &mut Dice::new(dice.into()))?;
        }
        Operation::Flip(offset, bit) => {
            let at = at(offset);
            *record.get_mut(at)? ^= 1 << (bit % 8);
        }
        Operation::Cut(offset) => {
            let at = at(offset);
            record.truncate(at);
        }
        Operation::Drop => drop(draft.records.remove(place)),
        Operation::Double => draft.records.insert(place, draft.records[place].clone()),
        Operation::Swap(other) => {
            let other = usize::from(other) % draft.records.len();
            draft.records.swap(place, other);
        }
        Operation::Foreign(base, other) => {
            let records = &bases()[usize::from(base) % (2 * ROUNDS)].draft.records;
            draft.records[place] = records[usize::from(other) % records.len()].clone();
        }
    }
    None
}

/// Who signs as the key that an envelope names.
pub(super) fn signer(envelope: &Envelope) -> Option<(Party, &'static SecretKey)> {
    type Signers = BTreeMap<KeyId, (Party, &'static SecretKey)>;
    static SIGNERS: OnceLock<Signers> = OnceLock::new();
    let signers = SIGNERS.get_or_init(|| {
        let mut all = Vec::new();
        for world in elaborate()
            .iter()
            .map(|other| &other.world)
            .chain([&honest().world])
        {
            all.push((Party::Aggregator, &world.aggregator));
            // The aggregator runs the log.
            all.push((Party::Aggregator, &world.log));
            // Keys that the aggregator has after the one above.
            all.extend(world.former.iter().map(|key| (Party::Aggregator, key)));
            for (point, key) in (1u8..).zip(&world.stewards) {
                all.push((Party::Steward(world.steward_id(point)), key));
            }
            for org in world.organisations.iter().chain(&world.guests) {
                all.push((Party::Organisation(org.id()), org.root()));
                all.push((Party::Organisation(org.id()), org.issuer()));
            }
            for device in &world.devices {
                all.push((Party::Device(device.id), &device.key));
            }
        }
        let by_key = all
            .into_iter()
            .map(|(party, key)| (key.public().id(), (party, key)));
        by_key.collect()
    });
    signers.get(&envelope.signer()).copied()
}
