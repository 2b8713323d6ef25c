//! `dawn task explain`: the numbers are those of the functions that decide, and what everybody would refuse is refused
//! with its reason.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use dawn_crypto::norm::{NormParams, Rows};
use dawn_crypto::params::{Dimension, Sigma};
use serde_json::Value;

const TASK: &str = r#"
name = "handwritten digits"
model = "logistic:64-10"
data_source = "digits"
rounds = 20
clip = 3072
sigma_error = 820.0

[policy]
min_accepted = 100
min_honest = 80
min_organisations = 2
max_org_share_permille = 500
max_submissions = 1000
target_submissions = 1000

[deadlines]
keying_ms = 60000
endorsing_ms = 10000
collecting_ms = 60000
challenging_ms = 60000
reporting_ms = 60000
opening_ms = 60000
grace_ms = 2000
"#;

fn dawn(arguments: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dawn"))
        .args(["task", "explain"])
        .args(arguments)
        .arg(file)
        .output()
        .unwrap()
}

fn explain(text: &str, arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("task.toml");
    fs::write(&file, text).unwrap();
    dawn(arguments, &file)
}

fn object(text: &str, arguments: &[&str]) -> Value {
    let out = explain(text, &[arguments, &["--json"]].concat());
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    serde_json::from_slice(&out.stdout).unwrap()
}

fn refused(text: &str, arguments: &[&str]) -> String {
    let out = explain(text, arguments);
    assert!(!out.status.success() && out.stdout.is_empty());
    String::from_utf8(out.stderr).unwrap()
}

#[test]
fn the_numbers_are_those_that_the_protocol_uses() {
    let found = object(TASK, &[]);
    let sigma = Sigma::from_f64_ceil(820.0).unwrap();
    let norm = NormParams::derive(&Dimension::new(650).unwrap(), 3072, sigma, Rows::R256).unwrap();
    assert_eq!(found["dimension"], 650);
    assert_eq!(found["rows"], 256);
    assert_eq!(found["test_only"], false);
    assert_eq!(found["range_bits"], norm.range_bits());
    assert_eq!(found["bound"], norm.bound());
    assert_eq!(found["max_norm"], norm.max_norm());
    assert_eq!(found["largest_sum"], 1000.0 * norm.max_norm() as f64);
    assert_eq!(found["weapon_factor"], norm.max_norm() as f64 / 3072.0);
    assert_eq!(found["functional"], Value::Null);
    // A filter that noise leaves something of.
    let quiet = TASK.replace("sigma_error = 820.0", "sigma_error = 7.0");
    let filter = "rounds = 20\nfunctional = \"direction\"";
    let filtered = object(&quiet.replace("rounds = 20", filter), &[]);
    assert_eq!(filtered["functional"], "direction");
    let total = |of: &Value| of["upload_bytes"]["total"].as_u64();
    assert!(total(&filtered) > total(&object(&quiet, &[])));
    // A round costs C^2 / (2 n sigma^2), and twenty rounds cost more than one.
    let rho = (3072f64 / 820.0).powi(2) / 160.0;
    let charge = found["charge_micro_rho"].as_f64().unwrap();
    assert!((charge - 1e6 * rho).abs() <= 100.0);
    let epsilon = |key: &str| found[key].as_f64().unwrap();
    assert!(epsilon("epsilon_round") > 0.0);
    assert!(epsilon("epsilon_total") > 4.0 * epsilon("epsilon_round"));
    assert_eq!(found["stewards"]["t"], 4);
    assert_eq!(found["soundness"]["signer_sets"], 15);
    // 64 bits, less log2 15, less log2 1000.
    assert_eq!(found["soundness"]["linear_bits"], 50.0);
    assert_eq!(found["soundness"]["projection_bits"], 10.0);
}

#[test]
fn a_way_of_learning_is_explained_and_refused_where_it_does_not_fit() {
    let with = |way: &str| TASK.replace("rounds = 20", &format!("rounds = 20\nway = \"{way}\""));
    let found = object(TASK, &[]);
    assert_eq!(
        (&found["way"], &found["dimension"]),
        (&"fedavg".into(), &650.into())
    );
    let found = object(&with("low-rank:8"), &[]);
    assert_eq!(found["way"], "low-rank:8");
    assert_eq!(
        (&found["dimension"], &found["parameters"]),
        (&90.into(), &650.into())
    );
    let text = explain(&with("low-rank:8"), &[]).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("90 numbers stand for changes of 650 parameters"),
        "{text}"
    );
    assert!(refused(&with("low-rank:64-8"), &[]).contains("2 ranks are given"));
    assert!(refused(&with("personal:1"), &[]).contains("leaves one of the 1 of the model"));
    assert!(refused(&with("fedprox:0"), &[]).contains("no way of learning together"));
    // A rate of 2 and a weight of one half would be fine, but not a weight of one.
    assert_eq!(object(&with("fedprox:0.5"), &[])["way"], "fedprox:0.5");
    assert!(refused(&with("fedprox:1"), &[]).contains("at least 2^-24 and at most 1"));
}

#[test]
fn people_are_told_the_same_for_their_stewards() {
    let eleven = explain(TASK, &["--stewards", "11"]);
    let text = String::from_utf8(eleven.stdout).unwrap();
    for part in [
        "d = 650 coordinates",
        "gamma = 2.",
        "at least 9 of 11 stewards",
        "7 (T) open, 9 (A) must agree, 2 may be away",
        "80 of the devices",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("TESTS"));
    let upload = |m| object(TASK, &["--stewards", m])["upload_bytes"]["total"].as_u64();
    assert!(upload("11") > upload("6"));
    assert!(refused(TASK, &["--stewards", "6", "--malicious", "3"]).contains("6"));
}

#[test]
fn what_cannot_be_sound_or_would_overflow_is_refused_with_its_numbers() {
    let with = |line: &str, other: &str| TASK.replace(line, other);
    let many = with("max_submissions = 1000", "max_submissions = 50000");
    assert!(refused(&many, &[]).contains("a sum could wrap: 50000 submissions"));
    let wide = with("clip = 3072", "clip = 1073741824");
    assert!(refused(&wide, &[]).contains("would not fit the field of the proofs"));
    let rows = with("rounds = 20", "rounds = 20\nprojections = 100");
    assert!(refused(&rows, &[]).contains("128, 256 or 512 projections, not 100"));
    let alone = with("min_honest = 80", "min_honest = 1");
    assert!(refused(&alone, &[]).contains("at least 2 honest devices"));
    let quiet = with("sigma_error = 820.0", "sigma_error = 1.0");
    assert!(refused(&quiet, &[]).contains("4.5 sqrt 2"));
    assert!(refused("name = 3", &[]).contains("does not describe a task"));
}

/// They are explained, with a warning, and not made by mistake.
#[test]
fn tasks_for_tests_alone_say_so() {
    let few = TASK.replace("rounds = 20", "rounds = 20\nprojections = 128");
    assert_eq!(object(&few, &[])["test_only"], true);
    let said = explain(&few, &[]);
    assert!(String::from_utf8_lossy(&said.stdout).contains("FOR TESTS ONLY"));

    let dir = tempfile::tempdir().unwrap();
    let (org, file) = (dir.path().join("org"), dir.path().join("task.toml"));
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_dawn"))
            .args(arguments)
            .output()
            .unwrap()
    };
    let (org_dir, task_file) = (org.to_str().unwrap(), file.to_str().unwrap());
    assert!(
        run(&["org", "init", "--name", "one", "--dir", org_dir])
            .status
            .success()
    );
    // Nothing listens there: what is refused is refused before.
    let create = |text: &str| {
        fs::write(&file, text).unwrap();
        let server = "http://127.0.0.1:9";
        let arguments = [
            "task", "create", "--org", org_dir, "--server", server, "--file", task_file,
        ];
        String::from_utf8(run(&arguments).stderr).unwrap()
    };
    let refusal = "128 projections are for tests";
    assert!(create(&few).contains(refusal));
    assert!(!create(&few.replace("128", "128\ntest_only = true")).contains(refusal));
    assert!(!create(TASK).contains(refusal));
}

/// A distillation is described with its public set, of which every sample and class is a number that devices send.
#[test]
fn a_distillation_needs_its_public_set() {
    let distils = TASK.replacen("rounds = 20", "rounds = 20\nway = \"distillation\"", 1);
    let refused = explain(&distils, &[]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("[distillation]"));

    let fields = "\n[distillation]\npublic_set = \"public.csv\"\nscale_bits = 4\n";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("task.toml");
    fs::write(&file, format!("{distils}{fields}")).unwrap();
    let missing = dawn(&[], &file);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("public.csv"));

    let sample = vec!["3"; 64].join(",");
    fs::write(
        dir.path().join("public.csv"),
        format!("{sample}\n").repeat(30),
    )
    .unwrap();
    let out = dawn(&["--json"], &file);
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let text = String::from_utf8(out.stdout).unwrap();
    let value: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(value["way"], "distillation:30");
    assert_eq!(value["dimension"], 300);

    // A label too many is a line that does not fit.
    fs::write(dir.path().join("public.csv"), format!("{sample},7\n")).unwrap();
    let labelled = dawn(&[], &file);
    assert!(String::from_utf8_lossy(&labelled.stderr).contains("65 columns instead of 64"));
}
