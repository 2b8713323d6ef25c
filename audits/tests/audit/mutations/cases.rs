//! What is done to a transcript.

use std::collections::BTreeSet;

use dawn_audits::Party;
use dawn_crypto::digest::labels;
use dawn_crypto::mask::PayloadHasher;
use dawn_identity::{KeyId, Signed};
use dawn_protocol::answers::answers_digest;
use dawn_protocol::group_sums::group_sums_digest;
use dawn_protocol::transcript::Kind;
use dawn_protocol::{Opening, PackageReport, SubmissionHeader};

use super::bases::Base;
use super::item::{Item, Keys, Mutant, Signing};
use crate::common::transcript::Draft;

/// One changed transcript.
pub struct Case {
    /// What was done: by whom it was signed, or what became of the record.
    pub how: &'static str,
    /// The name of the transcript.
    pub base: &'static str,
    pub kind: Kind,
    /// Of the field; empty for whole records.
    pub path: Vec<String>,
    pub what: &'static str,
    /// Who said what was changed.
    pub signer: Option<Party>,
    pub draft: Draft,
}

impl Case {
    /// As a line of the table begins.
    pub fn line(&self) -> String {
        let kind = self.kind.name().replace(' ', "-");
        let path = self.path.join(".");
        format!("{} {kind} {path} ({}, {})", self.how, self.what, self.base)
    }
}

/// Everything that is done to this transcript.
pub fn cases(base: &Base) -> Vec<Case> {
    let mut all = Vec::new();
    let mut shapes = BTreeSet::new();
    let wanted = |kind: &Kind| base.only.is_empty() || base.only.contains(kind);
    for (place, (kind, record)) in base.draft.records.iter().enumerate() {
        if !wanted(kind) {
            continue;
        }
        let last = base.draft.places(*kind).last() == Some(&place);
        match Item::parse(record).filter(|_| is_statement(*kind)) {
            None => {
                all.extend(bytes(base, place));
                all.extend(named_bytes(base, place));
            }
            Some(item) if shapes.insert((*kind as u8, item.shape())) || last => {
                all.extend(fields(base, place, &item));
            }
            Some(_) => {}
        }
        if base.only.is_empty() {
            all.extend(whole(base, place));
        }
    }
    all
}

/// What is not a statement is bytes with a digest elsewhere.
fn is_statement(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Model
            | Kind::Direction
            | Kind::Payload
            | Kind::Answers
            | Kind::GroupSums
            | Kind::PublicSet
    )
}

/// Every field of a statement, signed by nobody, by some and by all.
fn fields(base: &Base, place: usize, item: &Item) -> Vec<Case> {
    let parties = base.parties();
    let keys: Keys<'_> = parties.iter().map(|(id, (_, key))| (*id, *key)).collect();
    let strangers: Vec<KeyId> = keys.keys().copied().collect();
    let kind = base.draft.records[place].0;
    let document = matches!(kind, Kind::Founding | Kind::Roster);
    let mut all = Vec::new();
    for mutant in item.mutants(&strangers) {
        let case = |how, record: Vec<u8>, mutant: &Mutant| {
            let mut draft = base.draft.clone();
            draft.records[place].1 = record;
            Case {
                how,
                base: base.name,
                kind,
                path: mutant.path.clone(),
                what: mutant.what,
                signer: mutant.signer.map(|key| parties[&key].0),
                draft,
            }
        };
        let record = mutant.item.encode(&keys);
        if document {
            all.push(case("unsigned", record, &mutant));
            if mutant.path[0] == "0" {
                all.push(case(
                    "signed",
                    signed_document(base, kind, &mutant.item),
                    &mutant,
                ));
            }
            continue;
        }
        let how = match mutant.signing {
            Signing::Nobody => "unsigned",
            Signing::Outer => "outer",
            Signing::All => "signed",
        };
        all.push(case(how, record, &mutant));
    }
    all
}

/// A founding document or a roster, with the signatures of all organisations under what it says now.
fn signed_document(base: &Base, kind: Kind, item: &Item) -> Vec<u8> {
    let Item::Array(parts) = item else {
        panic!("a document is a list")
    };
    let none = Keys::new();
    let body = parts[0].encode(&none);
    let (label, labelled) = match kind {
        Kind::Founding => (labels::FEDERATION_SIGNATURE, false),
        _ => (labels::ROSTER_SIGNATURE, true),
    };
    let mut organisations: Vec<_> = base.world.organisations.iter().collect();
    if labelled {
        organisations.sort_by_key(|org| org.id());
    }
    let signatures = organisations.iter().map(|org| {
        let signature = org.root().sign_labelled(label, &[&body]);
        let signature = Item::Bytes(signature.as_bytes().to_vec());
        match labelled {
            true => Item::Array(vec![Item::Bytes(org.id().as_bytes().to_vec()), signature]),
            false => signature,
        }
    });
    let signatures = Item::Array(signatures.collect());
    Item::Array(vec![parts[0].clone(), signatures]).encode(&none)
}

/// The first, the last and another byte.
fn bytes(base: &Base, place: usize) -> Vec<Case> {
    let (kind, record) = &base.draft.records[place];
    let len = record.len();
    let random = (len * 37 + place * 101) % len;
    let cases = [("first", 0), ("random", random), ("last", len - 1)].map(|(what, at)| {
        let mut draft = base.draft.clone();
        draft.records[place].1[at] ^= 1;
        Case {
            how: "unsigned",
            base: base.name,
            kind: *kind,
            path: vec!["byte".to_owned()],
            what,
            signer: None,
            draft,
        }
    });
    cases.into_iter().collect()
}

/// Other bytes under a statement that names them: who signed it does so again.
fn named_bytes(base: &Base, place: usize) -> Option<Case> {
    let kind = base.draft.records[place].0;
    let mut draft = base.draft.clone();
    let [(_, said), (_, bytes), ..] = &mut draft.records[place - 1..] else {
        return None;
    };
    bytes[0] ^= 1;
    let parties = base.parties();
    let by = |key: KeyId| parties[&key];
    let (signer, signed) = match kind {
        Kind::Payload => {
            let header = Signed::<SubmissionHeader>::from_bytes(said).unwrap();
            let mut body = header.peek().clone();
            let mut hasher = PayloadHasher::new();
            hasher.update(bytes);
            body.payload = hasher.finalize();
            let (party, key) = by(header.signer());
            (party, Signed::sign(&body, key).unwrap().bytes().to_vec())
        }
        Kind::Answers => {
            let report = Signed::<PackageReport>::from_bytes(said).unwrap();
            let mut body = report.peek().clone();
            body.answers = answers_digest(bytes);
            let (party, key) = by(report.signer());
            (party, Signed::sign(&body, key).unwrap().bytes().to_vec())
        }
        Kind::GroupSums => {
            let opening = Signed::<Opening>::from_bytes(said).unwrap();
            let mut body = opening.peek().clone();
            body.groups = Some(group_sums_digest(bytes));
            let (party, key) = by(opening.signer());
            (party, Signed::sign(&body, key).unwrap().bytes().to_vec())
        }
        _ => return None,
    };
    *said = signed;
    Some(Case {
        how: "signed",
        base: base.name,
        kind,
        path: vec!["byte".to_owned()],
        what: "first",
        signer: Some(signer),
        draft,
    })
}

/// A record left out, there twice, out of order, or that of another round; what belongs to a header, a report or an opening
/// goes with it as well as alone.
fn whole(base: &Base, place: usize) -> Vec<Case> {
    let records = &base.draft.records;
    let kind = records[place].0;
    let mut all = Vec::new();
    let mut case = |how, what, change: &dyn Fn(&mut Draft)| {
        let mut draft = base.draft.clone();
        change(&mut draft);
        if draft.records != base.draft.records {
            all.push(Case {
                how,
                base: base.name,
                kind,
                path: vec![],
                what,
                signer: None,
                draft,
            });
        }
    };
    let next = records.get(place + 1);
    let pair = next.is_some_and(|(next, _)| {
        matches!(
            (kind, next),
            (Kind::Header, _) | (Kind::Report, _) | (Kind::Opening, Kind::GroupSums)
        )
    });
    for (what, len) in [("alone", 1), ("with what belongs to it", 2)] {
        if len == 2 && !pair {
            continue;
        }
        case("dropped", what, &|draft| {
            drop(draft.records.drain(place..place + len))
        });
        case("doubled", what, &|draft| {
            let again = draft.records[place..place + len].to_vec();
            draft.records.splice(place..place, again);
        });
        case("swapped", what, &|draft| {
            let end = (place + 2 * len).min(draft.records.len());
            draft.records[place..end].rotate_left(len.min(end - place));
        });
        let nth = base
            .draft
            .places(kind)
            .iter()
            .position(|at| *at == place)
            .unwrap();
        let other = Draft::of(&base.world, &base.other);
        let Some(at) = other.places(kind).get(nth).copied() else {
            continue;
        };
        case("foreign", what, &|draft| {
            let theirs = other.records[at..at + len].to_vec();
            draft.records.splice(place..place + len, theirs);
        });
    }
    all
}
