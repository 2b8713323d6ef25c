//! The known answers of `test_vectors/v1/training.json`, which an independent program computes from `docs/learning.md` alone.
//! Every case is read by exactly one reader, and every field of it; where a backend computes, every one that the processor has. A
//! corrupted case must be refused with the error that it names (`test_vectors/README.md`).

mod case;
mod models;
mod parts;
mod trainings;

use case::Case;
use std::collections::BTreeSet;

/// Why a case is not what it says: by the names of `test_vectors/README.md`.
#[derive(Debug)]
enum Refusal {
    /// The computed answer is another.
    Differs(String),
    Model(String),
    Training(String),
}

impl Refusal {
    fn name(&self) -> &'static str {
        match self {
            Self::Differs(_) => "differs",
            Self::Model(_) => "model",
            Self::Training(_) => "training",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Differs(reason) | Self::Model(reason) | Self::Training(reason) => reason,
        }
    }
}

type Reader = fn(&mut Case) -> Result<(), Refusal>;

const READERS: [(&str, Reader); 24] = [
    ("stream", parts::stream),
    ("permutation", parts::permutation),
    ("narrow", parts::narrow),
    ("softmax", parts::softmax),
    ("residual", parts::residual),
    ("bias", parts::bias),
    ("rate", parts::rate),
    ("step", parts::step),
    ("dropped", parts::dropped),
    ("enlarge", parts::enlarge),
    ("upwards", parts::upwards),
    ("adapter", parts::adapter),
    ("initial", models::initial),
    ("canonical", models::canonical),
    ("model", models::model),
    ("logits", models::logits),
    ("evaluate", models::evaluate),
    ("update", models::update),
    ("adapter-update", models::adapter_update),
    ("direction", models::direction),
    ("settings", trainings::settings),
    ("train", trainings::train),
    ("proximal", trainings::proximal),
    ("low-rank", trainings::low_rank),
];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    protocol: String,
    #[serde(rename = "generated_by")]
    _generated_by: String,
    #[serde(rename = "about")]
    _about: String,
    cases: Vec<serde_json::Map<String, serde_json::Value>>,
    corrupted: Vec<serde_json::Map<String, serde_json::Value>>,
}

#[test]
fn training_is_what_the_document_says() {
    let text = include_str!("../../../test_vectors/v1/training.json");
    let file: File = serde_json::from_str(text).expect("a file of known answers");
    assert_eq!(file.protocol, "dawn v1");
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    let cases = file.cases.into_iter().map(|case| (case, false));
    let corrupted = file.corrupted.into_iter().map(|case| (case, true));
    for (fields, is_corrupted) in cases.chain(corrupted) {
        let mut case = Case::new(fields);
        let (name, kind) = (case.text("name"), case.text("kind"));
        let expected = is_corrupted.then(|| case.text("error"));
        let reader = READERS.iter().find(|(known, _)| *known == kind);
        let (_, reader) = reader.unwrap_or_else(|| panic!("{name}: nothing reads {kind}"));
        used.insert(kind.clone());
        let found = reader(&mut case);
        let all_read = found.is_err() || case.is_read();
        assert!(all_read, "{kind}, {name}: {case:?} is not read");
        let refused = found.as_ref().err().map(Refusal::name);
        if refused != expected.as_deref() {
            let reason = found.as_ref().err().map_or("passes", Refusal::reason);
            wrong.push(format!(
                "{kind}, {name}: {reason} ({refused:?} instead of {expected:?})"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(used.len(), READERS.len(), "only {used:?}");
}
