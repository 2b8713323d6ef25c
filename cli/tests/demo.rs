//! The main job and the commands of the README, as a user runs them.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use dawn_sim::attack::ATTACKS;
use dawn_sim::attack::steward::STEWARD_ATTACKS;
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

/// Devices whose updates are too long are rejected, with the reason, and everybody else's sum is right.
#[test]
fn a_small_demo_rejects_devices_that_attack() {
    let dir = tempfile::tempdir().unwrap();
    let args =
        "demo --orgs 4 --devices 15 --rounds 2 --attack scale --byzantine 0.2 --out out --json";
    let run = dawn(&args.split(' ').collect::<Vec<_>>(), dir.path());
    let summary = last_line(&run);
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert_eq!(summary["attack"], "scale");
    assert_eq!(summary["sum_errors"], 0);
    assert_eq!(summary["audit"], "PASS");
    assert!(summary["accuracy_undefended"].is_number());
    let rejected = |round: &Value| round["rejected"].as_u64().unwrap();
    let rounds = summary["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    assert!(
        rounds
            .iter()
            .all(|round| round["outcome"] == "opened" && rejected(round) <= 3)
    );
    assert!(rounds.iter().map(rejected).sum::<u64>() > 0, "{rounds:?}");
}

/// Half of the devices are drawn for a round, and the auditor follows every draw.
#[test]
fn a_small_demo_selects_devices() {
    let dir = tempfile::tempdir().unwrap();
    let args = "demo --orgs 4 --devices 24 --rounds 3 --dropout 0 --kill-steward-in 0 --selection 0.5 --out out --json";
    let run = dawn(&args.split(' ').collect::<Vec<_>>(), dir.path());
    let summary = last_line(&run);
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert_eq!(summary["sum_errors"], 0);
    assert_eq!(summary["audit"], "PASS");
    let rounds = summary["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 3);
    for round in rounds {
        assert_eq!(round["outcome"], "opened");
        // All 24, or fewer than 2, are drawn with probability 2^-19.
        assert!(
            (2..24).contains(&round["accepted"].as_u64().unwrap()),
            "{round}"
        );
    }
}

/// Devices that reverse their update, no longer than it may be, are found once there is a direction, and the first round, which
/// they are part of, does not decide it.
#[test]
fn a_small_demo_filters_updates_against_the_direction() {
    let dir = tempfile::tempdir().unwrap();
    let args = "demo --orgs 4 --devices 15 --rounds 3 --dropout 0 --kill-steward-in 0 --attack within-bound --byzantine 0.2 --filter direction --out out --json";
    let run = dawn(&args.split(' ').collect::<Vec<_>>(), dir.path());
    let summary = last_line(&run);
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert_eq!(summary["filter"], "direction");
    assert_eq!(summary["sum_errors"], 0);
    assert_eq!(summary["audit"], "PASS");
    let rejected: Vec<u64> = (summary["rounds"].as_array().unwrap().iter())
        .map(|round| round["rejected"].as_u64().unwrap())
        .collect();
    assert_eq!(rejected, [0, 3, 3]);
}

/// Stewards send the sums of all groups with their one opening; every group opens, and the model is made by the rule.
#[test]
fn a_small_demo_opens_sums_over_groups() {
    let dir = tempfile::tempdir().unwrap();
    let args = "demo --orgs 4 --devices 60 --rounds 2 --dropout 0 --kill-steward-in 0 --groups 3 --rule geometric --mixing 2 --out out --json";
    let run = dawn(&args.split(' ').collect::<Vec<_>>(), dir.path());
    let summary = last_line(&run);
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert_eq!(summary["sum_errors"], 0);
    assert_eq!(summary["audit"], "PASS");
    let rounds = summary["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    assert!(rounds.iter().all(|round| round["outcome"] == "opened"));
}

/// Low-rank updates are shorter and everything else is as it was; personal layers make devices' own models; a distillation
/// sends an answer for every class of every public sample.
#[test]
fn a_small_demo_learns_in_other_ways() {
    let dir = tempfile::tempdir().unwrap();
    for (way, dimension) in [
        ("low-rank:8-full", 8 * 32 + 32 + 330),
        ("personal:1", 64 * 32 + 32),
        ("distillation:100", 100 * 10),
    ] {
        let args = format!(
            "demo --orgs 4 --devices 12 --rounds 2 --dropout 0 --kill-steward-in 0 --way {way} --out {way} --json"
        );
        let run = dawn(&args.split(' ').collect::<Vec<_>>(), dir.path());
        let summary = last_line(&run);
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        assert_eq!(summary["way"], way);
        assert_eq!(summary["dimension"], dimension);
        assert_eq!(summary["sum_errors"], 0);
        assert_eq!(summary["audit"], "PASS");
        let rounds = summary["rounds"].as_array().unwrap();
        assert!(rounds.iter().all(|round| round["outcome"] == "opened"));
        let personal = way.starts_with("personal");
        assert_eq!(summary["accuracy_own"].is_number(), personal);
        if personal {
            // The published model's last layer is as it began; the devices' own are not.
            let own = summary["accuracy_own"].as_f64().unwrap();
            assert!(own > summary["accuracy"].as_f64().unwrap(), "{own}");
        }
        let bytes = summary["bytes_per_device"].as_u64().unwrap();
        assert!(bytes > 10_000 && bytes < 200_000, "{bytes}");
    }
}

/// What devices find about the model goes through the sum: server, auditor and demo say the same.
#[test]
fn a_small_demo_evaluates_on_the_devices() {
    let dir = tempfile::tempdir().unwrap();
    let args = "demo --orgs 4 --devices 12 --rounds 3 --dropout 0 --kill-steward-in 0 --evaluate --out out --json";
    let run = dawn(&args.split(' ').collect::<Vec<_>>(), dir.path());
    let summary = last_line(&run);
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert_eq!(summary["sum_errors"], 0);
    assert_eq!(summary["audit"], "PASS");
    assert_eq!(summary["dimension"], 2410 + 3);
    let rounds = summary["rounds"].as_array().unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    // What is measured in a round is the model that the round before ended with.
    for pair in rounds.windows(2) {
        let measured = &pair[1]["evaluation"];
        let (accuracy, deviation) = (
            number(&measured["accuracy"]),
            number(&measured["accuracy_deviation"]),
        );
        let truth = number(&pair[0]["accuracy_own"]);
        assert!(deviation > 0.0 && deviation < 0.02, "{measured}");
        assert!(
            (accuracy - truth).abs() < 8.0 * deviation,
            "{measured} {truth}"
        );
        assert!(number(&measured["loss"]) > 0.0);
    }
    let transcripts = dir.path().join("out/transcripts");
    let args = ["audit", "verify", transcripts.to_str().unwrap(), "--json"];
    let audit = last_line(&dawn(&args, dir.path()));
    // Numbers lose their last bit when they are read from JSON, as the demo reads the server's.
    for what in ["accuracy", "accuracy_deviation", "loss", "samples"] {
        let of = |rounds: &Value| number(&rounds[2]["evaluation"][what]);
        let (audited, shown) = (of(&audit["rounds"]), of(&summary["rounds"]));
        assert!((audited - shown).abs() < 1e-9, "{what}: {audited} {shown}");
    }
}

/// Every attack of devices at once, and every misbehaviour of a steward in a round each: honest submissions are accepted,
/// every round opens the sum of what is accepted, each attack comes to what `docs/attacks.md` says, and the auditor agrees from
/// the transcripts alone.
#[test]
fn every_attack_comes_to_what_the_documents_say() {
    let dir = tempfile::tempdir().unwrap();
    let names = |all: Vec<String>| all.join(",");
    let kinds = names(ATTACKS.iter().map(|(_, a)| a.to_string()).collect());
    let stewards = names(STEWARD_ATTACKS.iter().map(|(_, a)| a.to_string()).collect());
    let args = format!(
        "demo --orgs 6 --devices 50 --rounds 4 --dropout 0 --byzantine 0.4 --attack {kinds} --steward-attack {stewards} --out out --json"
    );
    let run = dawn(&args.split(' ').collect::<Vec<_>>(), dir.path());
    let shown = String::from_utf8_lossy(&run.stderr).into_owned();
    let summary = last_line(&run);
    assert!(run.status.success(), "{shown}");
    assert_eq!(summary["sum_errors"], 0);
    assert_eq!(summary["audit"], "PASS");
    let rounds = summary["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 4);
    for (round, (misbehaviour, _)) in rounds.iter().zip(STEWARD_ATTACKS) {
        assert_eq!(round["outcome"], "opened", "{misbehaviour}");
        let named = |field: &str| round[field].as_array().unwrap().len();
        // Who answers or opens wrongly is named; who complains or says nothing costs nobody anything.
        assert_eq!(named("liars"), usize::from(misbehaviour == "wrong-answers"));
        assert_eq!(
            named("culprits"),
            usize::from(misbehaviour == "wrong-opening")
        );
        let verdicts = round["verdicts"].as_object().unwrap();
        let first = round["round"] == 1;
        for (kind, found) in verdicts {
            let found: Vec<&str> = found
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            let expected = decisions(kind, first);
            let fine = found.iter().all(|decision| expected.contains(decision));
            assert!(
                fine,
                "{misbehaviour}, {kind}: {found:?}, not {expected:?}\n{shown}"
            );
        }
        assert_eq!(verdicts.len(), 1 + ATTACKS.len(), "{verdicts:?}");
        assert!(verdicts["honest"]["accepted"].as_u64().unwrap() >= 25);
    }
}

/// What may be decided about a kind of device. What one steward cannot check counts when all others hold it, and else does
/// not: then the malicious steward is a second one.
fn decisions(kind: &str, first_round: bool) -> &'static [&'static str] {
    match kind {
        "honest" | "within-bound" | "label-flip" | "alie" | "ipm" => &["accepted"],
        "forged-digits" | "wrong-slack" => &["norm"],
        "late-key" | "off-polynomial-2" | "off-polynomial-3" | "swapped-packages" => {
            &["too-few-stewards"]
        }
        "off-polynomial-1" | "bad-package" => &[
            "accepted",
            "outside-opening-set",
            "too-few-stewards",
            "answers-disagree",
        ],
        // Before there is anything to replay it is honest.
        "replay" if first_round => &["accepted"],
        "replay" => &["too-few-stewards"],
        _ => &["projection"],
    }
}

/// Stewards carry what devices should not: every round opens within the target, also when one steward is gone.
#[test]
fn a_small_demo_whose_stewards_contribute_noise_keeps_to_its_epsilon() {
    for by in ["split", "stewards"] {
        let dir = tempfile::tempdir().unwrap();
        let args = format!(
            "demo --orgs 4 --devices 16 --rounds 2 --dropout 0 --kill-steward-in 2 --epsilon 12 --noise {by} --out out --json"
        );
        let run = dawn(&args.split(' ').collect::<Vec<_>>(), dir.path());
        let summary = last_line(&run);
        let error = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{error}");
        assert!(
            error.contains("per steward, one of 8 candidates"),
            "{error}"
        );
        assert_eq!(summary["audit"], "PASS");
        assert_eq!(summary["sum_errors"], 0);
        assert!(summary["epsilon"].as_f64().unwrap() <= 12.0);
        let rounds = summary["rounds"].as_array().unwrap();
        assert!(
            rounds.iter().all(|round| round["outcome"] == "opened"),
            "{rounds:?}"
        );
    }
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

    let shown = String::from_utf8_lossy(&run.stderr);
    for words in [
        "setting: digits data, model mlp:64-32-10 (2410 parameters: 9.6 KB as a plain update)",
        "epsilon: - = no privacy guarantee",
        "KB/device: ",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    for log in std::fs::read_dir(dir.path().join(summary["logs"].as_str().unwrap())).unwrap() {
        let log = std::fs::read(log.unwrap().path()).unwrap();
        assert!(!log.contains(&0x1b), "colours in a file");
    }

    // The command that it prints, in the folder where it was started, with the pinned digest.
    let check = summary["check"].as_str().unwrap();
    assert!(check.contains(summary["federation"].as_str().unwrap()));
    let audit = Command::new("sh")
        .args(["-c", check])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&audit.stdout);
    assert!(
        audit.status.success() && told.contains("(pinned)") && told.contains("all in it"),
        "{check}: {told}"
    );

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
        ("demo --attack tickle", "off-polynomial-1"),
        ("demo --steward-attack tickle", "wrong-opening"),
        ("demo --orgs 4 --steward-attack silent", "--orgs 6"),
        (
            "demo --steward-attack silent --kill-steward-in 2",
            "--kill-steward-in",
        ),
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

/// A wrong DAWN_BACKEND is an error with a remedy, whatever was asked for; not a panic half-way.
#[test]
fn a_backend_that_cannot_be_had_is_refused_clearly() {
    for args in ["demo", "aggregator run --config none", "audit verify none"] {
        let run = Command::new(env!("CARGO_BIN_EXE_dawn"))
            .args(args.split(' '))
            .env("DAWN_BACKEND", "sse9")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!run.status.success(), "{args}");
        for word in ["DAWN_BACKEND", "\"sse9\"", "portable"] {
            assert!(text.contains(word), "{args}: {text}");
        }
        assert!(!text.contains("panicked"), "{args}: {text}");
    }
}

/// What the README says about the models is what the program says.
#[test]
fn the_help_of_the_demo_names_the_models_that_it_chooses() {
    let run = dawn(&["demo", "--help"], Path::new("."));
    let help = String::from_utf8(run.stdout).unwrap();
    let words: Vec<&str> = help.split_whitespace().collect();
    let help = words.join(" ");
    for (data, private) in [
        ("digits", false),
        ("digits", true),
        ("fashion", true),
        ("watch", false),
        ("watch", true),
    ] {
        let source: dawn_sim::demo::DataSource = data.parse().unwrap();
        assert!(help.contains(&source.model(private).to_string()), "{help}");
    }
    assert!(help.contains("with --epsilon logistic:64-10"), "{help}");
}
