//! The main job and the commands of the README, as a user runs them.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn dawn(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dawn"))
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap()
}

fn last_line(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{e} in {text:?}; standard error: {error}"))
}

/// A small demo: every round opens, nothing is summed wrongly, the audit passes, and the summary has
/// every field that others read. Then the auditor, as a stranger runs it, on what the demo left.
#[test]
fn a_small_demo_opens_every_round_and_its_transcripts_convince_a_stranger() {
    let dir = tempfile::tempdir().unwrap();
    let args = "demo --orgs 4 --devices 16 --rounds 3 --kill-steward-in 2 --out out --json";
    let run = dawn(&args.split(' ').collect::<Vec<_>>(), dir.path());
    let summary = last_line(&run);
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let rounds = summary["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 3);
    for (index, round) in rounds.iter().enumerate() {
        assert_eq!(round["round"], index + 1);
        assert_eq!(round["outcome"], "opened");
        let of = |name: &str| round[name].as_u64().unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(of("submitted"), of("accepted") + of("rejected"));
        assert_eq!(of("submitted") + of("dropped"), 16);
        assert!(of("accepted") >= 12);
        assert!(of("bytes_per_device") > 4 * 4096);
        assert!(round["accuracy"].as_f64().unwrap() > 0.0);
        assert!(round["seconds"].as_f64().unwrap() > 0.0);
        assert!(round.get("epsilon").is_some());
    }
    assert_eq!(summary["sum_errors"], 0);
    assert_eq!(summary["audit"], "PASS");
    assert_eq!(summary["stewards"], 4);
    assert_eq!(summary["stewards_offline"], 1);
    for name in ["accuracy", "accuracy_plain", "delta"] {
        assert!(summary[name].is_number(), "{name}");
    }
    assert!(summary.get("epsilon").is_some());
    let report =
        std::fs::read_to_string(dir.path().join(summary["report"].as_str().unwrap())).unwrap();
    assert!(report.contains("</html>") && report.matches("<svg").count() == 5);

    let transcripts = summary["transcript"].as_str().unwrap();
    let audit = dawn(&["audit", "verify", transcripts, "--json"], dir.path());
    assert!(audit.status.success());
    assert_eq!(last_line(&audit)["answer"], "PASS");

    // A stranger is also told when something is off: one byte in the middle of one file.
    let folder = dir.path().join(transcripts);
    let file = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "dawn"))
        .unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let audit = dawn(&["audit", "verify", transcripts, "--json"], dir.path());
    assert!(!audit.status.success());
    let report = last_line(&audit);
    assert_eq!(report["answer"], "FAIL");
    assert!(report["finding"]["rule"].is_string());

    // The next demo refuses to empty a folder that is not its own.
    std::fs::create_dir(dir.path().join("mine")).unwrap();
    std::fs::write(dir.path().join("mine/precious"), "x").unwrap();
    let refused = dawn(&["demo", "--out", "mine"], dir.path());
    assert!(!refused.status.success());
    assert!(dir.path().join("mine/precious").exists());
}

/// Wrong choices are refused with a sentence that says what to do, before anything is started.
#[test]
fn impossible_demos_are_refused_clearly() {
    let dir = tempfile::tempdir().unwrap();
    for (args, word) in [
        ("demo --orgs 2", "--orgs"),
        ("demo --devices 3", "--devices"),
        ("demo --dropout 0.95", "--dropout"),
        ("demo --epsilon 0", "--epsilon"),
        ("demo --rounds 0", "--rounds"),
        ("demo --data nothing", "nothing"),
        ("demo --model logistic:9-10", "inputs"),
    ] {
        let run = dawn(&args.split(' ').collect::<Vec<_>>(), dir.path());
        let text = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(
            !run.status.success() && text.contains(word),
            "{args}: {text}"
        );
    }
}
