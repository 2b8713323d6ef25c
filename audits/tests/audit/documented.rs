//! docs/audit.md names tests that are there, for every rule.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dawn_audits::AuditRule;

fn document() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join("../docs/audit.md")).unwrap()
}

/// `module::function` in a line.
fn tests(line: &str) -> Vec<(&str, &str)> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter_map(|name| name.split_once("::")).collect()
}

/// The names of a module's tests.
fn written(module: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit");
    let alone = folder.join(format!("{module}.rs"));
    let file = if alone.exists() {
        alone
    } else {
        folder.join(module).join("mod.rs")
    };
    let source = fs::read_to_string(&file).unwrap_or_default();
    let synchronous = source.split("#[test]").skip(1);
    let marked = synchronous.chain(source.split("#[tokio::test").skip(1));
    let names = marked.filter_map(|rest| {
        let (_, rest) = rest.split_once("fn ")?;
        rest.split_once('(').map(|(name, _)| name.to_owned())
    });
    names.collect()
}

#[test]
fn every_rule_has_a_test_that_is_there() {
    let document = document();
    for rule in AuditRule::ALL {
        let row = document
            .lines()
            .find(|line| line.starts_with(&format!("| {} ", rule.number())))
            .unwrap_or_else(|| panic!("{rule} is not in docs/audit.md"));
        assert!(!tests(row).is_empty(), "{rule} has no test");
    }
    let mut named = 0;
    for line in document.lines().filter(|line| line.starts_with('|')) {
        for (module, test) in tests(line) {
            named += 1;
            assert!(written(module).contains(test), "no test {module}::{test}");
        }
    }
    assert!(named >= AuditRule::ALL.len(), "{named}");
    assert!(!written("lies").contains("world_and_round"), "not a test");
}

/// What an aggregator could break, and what it could not.
#[test]
fn every_rule_has_a_lie_or_is_about_others() {
    let document = document();
    let (_, lies) = document
        .split_once("### 3.1 Lies of an aggregator")
        .unwrap();
    let (lies, _) = lies.split_once("### 3.2").unwrap();
    let told = |rule: &AuditRule| {
        let mut rows = lies.lines().filter(|line| line.starts_with("| "));
        rows.any(|row| {
            row.split('|')
                .nth(3)
                .is_some_and(|cell| cell.contains(rule.number()))
        })
    };
    let others: Vec<&str> = (AuditRule::ALL.iter())
        .filter(|rule| !told(rule))
        .map(|rule| rule.number())
        .collect();
    // Documents and statements of others, and what only they answer for.
    assert_eq!(others, ["A01", "A02", "A03", "A04", "A06", "A10", "A21"]);
}
