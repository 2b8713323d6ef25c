//! The known answers of `test_vectors/v1/`, which `test_vectors/generate.py` computes from the documents alone. Every
//! case of every file is read by exactly one reader, with every backend that the processor has; a corrupted case must
//! be refused with the error that it names (`test_vectors/README.md`).

mod arithmetic;
mod digests;
mod forms;
mod masking;
mod norm;
mod refusal;
mod shares;

use crate::backend::{self, BackendKind};
use refusal::Refusal;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Computes what a case says and compares; an error is what the project's code answered, or that the
/// computed answer is another.
type Reader = fn(Value) -> Result<(), Refusal>;

/// The files that this crate reads.
const FILES: [&str; 12] = [
    "commitments",
    "consistency",
    "expand",
    "field",
    "gaussian",
    "mask",
    "merkle",
    "negacyclic",
    "norm",
    "projection",
    "shamir",
    "unmask",
];

/// The files that `dawn-protocol` and `dawn-learn` read.
const ELSEWHERE: [&str; 4] = ["session", "noise", "groups", "training"];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    protocol: String,
    #[serde(rename = "generated_by")]
    _generated_by: String,
    #[serde(rename = "about")]
    _about: String,
    cases: Vec<Map<String, Value>>,
    corrupted: Vec<Map<String, Value>>,
}

fn take_text(case: &mut Map<String, Value>, key: &str) -> String {
    match case.remove(key) {
        Some(Value::String(text)) => text,
        other => panic!("{key} is {other:?}"),
    }
}

/// Gives every case of a file to the reader of its kind.
fn check(text: &str, readers: &[(&str, Reader)]) {
    let file: File = serde_json::from_str(text).expect("a file of known answers");
    assert_eq!(file.protocol, "dawn v1");
    assert!(!file.cases.is_empty() && !file.corrupted.is_empty());
    let supported = BackendKind::ALL
        .into_iter()
        .filter(|kind| kind.is_supported());
    for backend in supported {
        let mut used = BTreeSet::new();
        let cases = file.cases.iter().map(|case| (case, false));
        let corrupted = file.corrupted.iter().map(|case| (case, true));
        for (case, is_corrupted) in cases.chain(corrupted) {
            let mut case = case.clone();
            let (name, kind) = (take_text(&mut case, "name"), take_text(&mut case, "kind"));
            let expected = is_corrupted.then(|| {
                let at = case.remove("at").map(|at| at.as_u64().expect("a number"));
                (take_text(&mut case, "error"), at)
            });
            let Some((kind, reader)) = readers.iter().find(|(known, _)| *known == kind) else {
                panic!("{name}: nothing reads the kind {kind}");
            };
            used.insert(*kind);
            let found = backend::with(backend, || reader(Value::Object(case)))
                .expect("the backend is supported");
            let found = found
                .err()
                .map(|refusal| (refusal.error.into(), refusal.at));
            assert_eq!(found, expected, "{kind}: {name} ({backend})");
        }
        let unused: Vec<_> = readers
            .iter()
            .filter(|(kind, _)| !used.contains(kind))
            .map(|(kind, _)| kind)
            .collect();
        assert!(unused.is_empty(), "no case is of the kinds {unused:?}");
    }
}

/// A file without a reader would check nothing.
#[test]
fn every_file_has_a_reader() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../test_vectors/v1");
    let found: BTreeSet<String> = std::fs::read_dir(directory)
        .expect("the directory of known answers")
        .map(|entry| entry.expect("readable").file_name())
        .map(|name| name.into_string().expect("a plain name"))
        .collect();
    let known = FILES.iter().chain(&ELSEWHERE);
    assert_eq!(found, known.map(|name| format!("{name}.json")).collect());
}

/// The harness itself: it notices what nobody reads, and a corrupted case that is accepted.
mod harness {
    use super::*;

    fn file(case: &str, corrupted: &str) -> String {
        format!(
            r#"{{"protocol": "dawn v1", "generated_by": "", "about": "", "cases": [{case}], "corrupted": [{corrupted}]}}"#
        )
    }

    fn even(case: Value) -> Result<(), Refusal> {
        match case["number"].as_u64().map(|n| n % 2) {
            Some(0) => Ok(()),
            _ => Err(Refusal::at("odd", 7)),
        }
    }

    const GOOD: &str = r#"{"name": "two", "kind": "even", "number": 2}"#;
    const BAD: &str = r#"{"name": "three", "kind": "even", "number": 3, "error": "odd", "at": 7}"#;

    #[test]
    fn passes_what_is_right() {
        check(&file(GOOD, BAD), &[("even", even)]);
    }

    #[test]
    #[should_panic(expected = "nothing reads the kind")]
    fn refuses_an_unknown_kind() {
        check(&file(GOOD, BAD), &[("odd", even)]);
    }

    #[test]
    #[should_panic(expected = "no case is of the kinds")]
    fn refuses_a_reader_without_cases() {
        check(&file(GOOD, BAD), &[("even", even), ("odd", even)]);
    }

    #[test]
    #[should_panic(expected = "even: three")]
    fn refuses_another_error() {
        check(&file(GOOD, &BAD.replace("odd", "even")), &[("even", even)]);
    }

    #[test]
    #[should_panic(expected = "even: two")]
    fn refuses_a_corrupted_case_that_is_accepted() {
        let accepted = GOOD.replace('}', r#", "error": "odd", "at": 7}"#);
        check(&file(GOOD, &accepted), &[("even", even)]);
    }

    #[test]
    #[should_panic(expected = "even: three")]
    fn refuses_a_wrong_case() {
        let wrong = GOOD.replace("two", "three").replace("2}", "3}");
        check(&file(&wrong, BAD), &[("even", even)]);
    }
}
