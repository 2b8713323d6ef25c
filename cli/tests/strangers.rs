//! What devices and strangers find out about a round from the command line: `dawn client prove`, `dawn audit verify`, `show`
//! and `watch`, and `dawn log`, against a service of real processes.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::Testbed;
use common::follower::Follower;
use dawn_client::ledger::Ledger;
use dawn_identity::{Change, Register};
use rand_core::UnwrapErr;
use serde_json::Value;

/// `dawn` in the folder of the test, arguments separated by single spaces.
fn dawn(bed: &Testbed, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dawn"))
        .args(arguments.split(' '))
        .current_dir(bed.scratch.path())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What a command prints with `--json`, and its exit code.
#[track_caller]
fn json(bed: &Testbed, arguments: &str) -> (Value, i32) {
    let output = dawn(bed, &format!("{arguments} --json"));
    let value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments}: {error}: {}", said(&output)));
    (value, output.status.code().unwrap())
}

#[track_caller]
fn done(bed: &Testbed, arguments: &str) {
    let output = dawn(bed, arguments);
    assert!(output.status.success(), "{arguments}: {}", said(&output));
}

/// A command that must fail with these words.
#[track_caller]
fn refused(bed: &Testbed, arguments: &str, words: &str) {
    let output = dawn(bed, arguments);
    let text = said(&output);
    assert!(!output.status.success(), "{arguments}: {text}");
    assert!(text.contains(words), "{arguments}: {text}");
    assert!(!text.contains("panicked"), "{text}");
}

/// The names of all fields of an object.
fn fields(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// One round: devices 0 to 4 are in the sum, device 5 is revoked after it has submitted, device 6 has a submission and loses
/// power before it is sent. Everything is asked of the same world.
#[tokio::test(flavor = "multi_thread")]
async fn devices_and_strangers_check_a_round_from_the_command_line() {
    let mut bed = Testbed::open(3, 7, 12_000).await;
    let url = bed.stage.url().to_owned();
    let federation = bed.founded.founding.digest();
    let mut watching = Follower::start(
        &bed,
        &format!("audit watch {url} --state follower --federation {federation} --every 1 --json"),
    );
    watching.until("task");
    let (seen, code) = json(&bed, &format!("audit watch {url} --state once --once"));
    assert_eq!(code, 0);
    let before = seen["size"].as_u64().unwrap();

    let mut unsent = None;
    for (index, open) in bed.open_rounds().await.into_iter().enumerate() {
        let rng = &mut UnwrapErr(getrandom::SysRng);
        let update = open.train(&bed.clients[index].1, rng).unwrap();
        let submission = open.prepare(&update, rng).unwrap();
        if index < 6 {
            open.send(&submission).await.unwrap();
        } else {
            unsent = Some((bed.clients[index].0.device(), submission.header().clone()));
        }
    }
    let revoked = &bed.clients[5].0;
    let member = bed.founded.members.iter();
    let org = &member
        .map(|member| &member.organisation)
        .find(|org| org.id() == revoked.organisation())
        .unwrap();
    let api = bed.stage.api();
    let mut register = Register::new(&bed.founded.founding.verify().unwrap());
    api.extend_register(&mut register, None).await.unwrap();
    let known = register.members().get(&org.id()).unwrap();
    let last = (known.sequence(), known.head().unwrap());
    let devices = vec![revoked.device()];
    let change = Change::RevokeDevices { devices };
    let event = org.online().event(&federation, last, change, 0);
    api.revoke(&event.unwrap(), org.issuer()).await.unwrap();
    assert_eq!(bed.wait_for(&["done", "aborted"]).await, "done");
    assert_eq!(bed.accepted().await.len(), 5);
    assert_eq!(bed.audit().await, "PASS");
    // Their ledgers are free for `dawn client prove`.
    bed.clients.clear();
    // The power failed after the claim was on disk and before the first byte left.
    let (device, header) = unsent.unwrap();
    let (body, state) = (header.peek(), bed.scratch.path().join("device-6/state"));
    let ledger = Ledger::open(&state, device).unwrap();
    let claimed = ledger.claim(body.round, body.session, header.envelope_digest());
    claimed.unwrap();
    drop(ledger);

    what_the_readme_says(&bed, &url);
    devices_prove(&bed, &url);
    reports_are_shown(&bed, &url);
    let (seen, code) = json(&bed, &format!("audit watch {url} --state once --once"));
    assert_eq!(code, 0);
    assert!(seen["size"].as_u64().unwrap() > before);
    assert_eq!(seen["new"][0]["index"].as_u64().unwrap(), before);
    assert_eq!(seen["forked"], false);
    assert_eq!(
        fields(&seen),
        [
            "findings",
            "forked",
            "new",
            "size",
            "standing",
            "untold",
            "witnessed"
        ]
    );
    // Stewards cosign before they say anything, and have all said something.
    let witnessed = &seen["witnessed"];
    assert_eq!(witnessed["needed"], 2);
    assert!(witnessed["cosigned"].as_u64().unwrap() >= 2, "{witnessed}");
    assert!(witnessed["size"].as_u64().unwrap() > before, "{witnessed}");
    for kind in ["closed", "verdict", "result"] {
        let mut told = seen["new"].as_array().unwrap().iter();
        assert!(told.any(|told| told["kind"] == kind), "{kind}: {seen}");
    }
    log_is_kept_and_proven(&bed, &url);
    watching.until("result");
    assert_eq!(watching.interrupt(), 0);
    bed.stage.close().unwrap();
}

/// The commands of the README, in its order.
fn what_the_readme_says(bed: &Testbed, url: &str) {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let document = bed.scratch.path().join("federation.cbor");
    std::fs::write(document, bed.founded.founding.to_bytes()).unwrap();
    let digest = bed.founded.founding.digest();
    let (task, digest) = (bed.task.to_string(), digest.to_string());
    let mut run = 0;
    for line in readme.lines().filter_map(|line| line.strip_prefix("dawn ")) {
        let line = line.split('#').next().unwrap().trim();
        let words = line.split_whitespace().map(|word| match word {
            "URL" => url,
            "DIR" => "device-0",
            "TASK" => &task,
            "DIGEST" => &digest,
            word => word,
        });
        done(bed, &words.collect::<Vec<_>>().join(" "));
        run += 1;
    }
    assert_eq!(run, 5);
}

/// `dawn client prove`: counted, left out with the reason, not there.
fn devices_prove(bed: &Testbed, url: &str) {
    let task = bed.task;
    let ask = |device: usize| {
        format!("client prove {url} --device device-{device} --task {task} --round 1")
    };
    let (counted, code) = json(bed, &ask(0));
    assert_eq!(
        (code, &counted["result"]["outcome"]),
        (0, &"counted".into())
    );
    assert_eq!(counted["result"]["accepted"], 5);
    assert_eq!(counted["audit"], "PASS");
    // The end of the round is cosigned with what comes after it, soon.
    let mut asked = 0;
    while json(bed, &ask(0)).0["checkpoint"]["standing"] != "cosigned" {
        asked += 1;
        assert!(asked < 60, "{counted}");
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    let text = said(&dawn(bed, &ask(0)));
    assert!(text.contains("included in the checkpoint of"), "{text}");
    assert_eq!(
        (&counted["receipt"], &counted["evidence"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        (&counted["task"], &counted["round"]),
        (&task.to_string().into(), &1.into())
    );
    let (left_out, code) = json(bed, &ask(5));
    assert_eq!(
        (code, &left_out["result"]["outcome"]),
        (4, &"left-out".into())
    );
    assert_eq!(left_out["result"]["reason"], "bad-header");
    let (missing, code) = json(bed, &ask(6));
    assert_eq!(
        (code, &missing["result"]["outcome"]),
        (1, &"missing".into())
    );
    assert_eq!(
        (&missing["receipt"], &missing["evidence"]),
        (&false.into(), &false.into())
    );
    let text = said(&dawn(bed, &ask(5)));
    assert!(text.contains("was left out as bad-header"), "{text}");

    // The receipt alone, with a transcript that was kept, says the same.
    refused(
        bed,
        &format!("{} --write-receipt none", ask(6)),
        "there is no receipt",
    );
    done(bed, &format!("{} --write-receipt receipt", ask(0)));
    let round = bed.scratch.path().join("audited");
    let (verified, _) = json(bed, &format!("audit verify {url} --keep audited"));
    assert_eq!(verified["answer"], "PASS");
    let transcript = find(&round, "dawn");
    let alone = format!("client prove {transcript} --receipt receipt");
    refused(bed, &alone, "--federation");
    let pin = bed.founded.founding.digest();
    let (again, code) = json(bed, &format!("{alone} --federation {pin}"));
    assert_eq!(code, 0);
    assert_eq!(again["header"], counted["header"]);
    assert_eq!(again["result"], counted["result"]);
    // Without payloads it is refused until somebody says where they are.
    done(bed, &format!("audit detach {transcript} --out parts"));
    let apart = bed.scratch.path().join("parts");
    std::fs::rename(apart.join("payloads"), apart.join("elsewhere")).unwrap();
    let file = find(&apart, "dawn");
    let file = format!("client prove {file} --receipt receipt --federation {pin}");
    refused(bed, &file, "(--payloads)");
    let (again, code) = json(bed, &format!("{file} --payloads parts/elsewhere"));
    assert_eq!((code, &again["result"]), (0, &counted["result"]));
    refused(
        bed,
        &format!("client prove {transcript} --receipt {transcript} --federation {pin}"),
        "not a receipt",
    );
    let nobody = format!("client prove {url} --device device-0 --task {task} --round 2");
    refused(bed, &nobody, "has submitted nothing in round");
}

/// The file in a folder with this extension.
fn find(folder: &Path, extension: &str) -> String {
    let mut files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.extension().is_some_and(|found| found == extension));
    file.unwrap().display().to_string()
}

/// `dawn audit verify --sign --html` and `dawn audit show`: of a sound folder, and of one where a byte is wrong.
fn reports_are_shown(bed: &Testbed, url: &str) {
    let federation = bed.founded.founding.digest();
    for key in ["auditor", "other"] {
        done(bed, &format!("key new --out {key}.pem"));
        done(bed, &format!("key export {key}.pem --out {key}.pub"));
    }
    let verify = "audit verify audited --html page.html --sign auditor.pem --out report";
    let (report, code) = json(bed, &format!("{verify} --federation {federation}"));
    assert_eq!((code, &report["answer"]), (0, &"PASS".into()));
    // Stewards cosign every few seconds, and for every statement that they answer.
    let witnesses = &report["log"]["witnesses"];
    assert_eq!(witnesses["needed"], 2);
    assert!(witnesses["cosigned"].as_u64().unwrap() >= 2, "{witnesses}");
    let page = std::fs::read_to_string(bed.scratch.path().join("page.html")).unwrap();
    for words in [
        "<b>PASS.</b>",
        "Aurora Clinics",
        "bad-header",
        "A22",
        &federation.to_string(),
    ] {
        assert!(page.contains(words), "{words}");
    }
    let (shown, code) = json(bed, "audit show report --key auditor.pub");
    assert_eq!(code, 0);
    assert_eq!(
        fields(&shown),
        [
            "answer",
            "auditor",
            "cosignatures_needed",
            "cosigned",
            "culprit",
            "detail",
            "federation",
            "federation_pinned",
            "full",
            "log_root",
            "log_size",
            "place",
            "rule",
            "software",
            "time",
            "transcripts",
            "unchecked",
            "verified"
        ]
    );
    assert_eq!(
        (&shown["answer"], &shown["verified"]),
        (&"PASS".into(), &true.into())
    );
    assert_eq!(shown["federation"], federation.to_string());
    assert_eq!(shown["transcripts"], report["transcripts"]);
    assert_eq!(shown["log_root"], report["log"]["root"]);
    let unverified = dawn(bed, "audit show report");
    assert_eq!(unverified.status.code(), Some(1));
    let text = said(&unverified);
    assert!(text.contains("NOT verified: give its --key"), "{text}");
    refused(
        bed,
        "audit show report --key other.pub",
        "not that auditor's",
    );
    refused(bed, "audit show page.html", "not a signed audit report");

    let transcript = find(&bed.scratch.path().join("audited"), "dawn");
    let mut bytes = std::fs::read(&transcript).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(bed.scratch.path().join("damaged"), bytes).unwrap();
    let (failed, code) = json(
        bed,
        "audit verify damaged --html page.html --sign auditor.pem --out report",
    );
    assert_eq!((code, &failed["answer"]), (1, &"FAIL".into()));
    let page = std::fs::read_to_string(bed.scratch.path().join("page.html")).unwrap();
    assert!(page.contains("<b>FAIL A01.</b>"), "{page}");
    let (shown, code) = json(bed, "audit show report --key auditor.pub");
    assert_eq!((code, &shown["answer"]), (1, &"FAIL".into()));
    assert_eq!(
        (&shown["rule"], &shown["place"]),
        (&"A01".into(), &"transcript 1, which is damaged".into())
    );
    assert_eq!(shown["transcripts"], Value::Array(vec![Value::Null]));
    let (light, code) = json(bed, &format!("audit verify {url} --light"));
    assert_eq!((code, &light["mode"]), (0, &"light".into()));
    assert_eq!(light["rounds"][0]["details"]["detached"], true);
    let (apart, code) = json(bed, &format!("audit detach {transcript} --out apart"));
    let detached = apart["transcript"].as_str().unwrap();
    assert_eq!((code, fields(&apart).len()), (0, 3));
    let (light, _) = json(bed, &format!("audit verify {detached} --light"));
    assert_eq!(light["transcripts"][0], apart["digest"]);
    let (full, code) = json(bed, &format!("audit verify {detached}"));
    assert_eq!((code, &full["answer"]), (0, &"PASS".into()));
    assert_eq!(full["transcripts"], report["transcripts"]);
    let again = json(bed, &format!("audit attach {detached} --out whole")).1;
    let whole = std::fs::read(bed.scratch.path().join("whole")).unwrap();
    assert!(again == 0 && whole == std::fs::read(&transcript).unwrap());
    refused(
        bed,
        &format!("audit verify {detached} --payloads log"),
        "is not there: name",
    );
}

/// `dawn log export`, `prove` and `verify`.
fn log_is_kept_and_proven(bed: &Testbed, url: &str) {
    let federation = bed.founded.founding.digest();
    let dir = bed.scratch.path();
    let at = format!("--server {url} --federation {federation}");
    let (exported, code) = json(bed, &format!("log export {at} log"));
    assert_eq!(code, 0);
    assert_eq!(
        fields(&exported),
        ["cosigned", "needed", "root", "size", "verifier_key"]
    );
    let size = exported["size"].as_u64().unwrap();
    let name = format!("dawn/log/{federation}+");
    assert!(
        exported["verifier_key"]
            .as_str()
            .unwrap()
            .starts_with(&name)
    );
    let note = std::fs::read_to_string(dir.join("log/checkpoint")).unwrap();
    assert!(
        note.starts_with(&format!("dawn/log/{federation}\n{size}\n")),
        "{note}"
    );
    assert!(dir.join("log/tile/0").is_dir() && dir.join("log/tile/entries").is_dir());
    let (again, _) = json(bed, &format!("log export {at} log"));
    assert!(again["size"].as_u64().unwrap() >= size);
    let other = format!("--server {url} --federation {}", "0".repeat(64));
    refused(
        bed,
        &format!("log export {other} elsewhere"),
        "this is federation",
    );

    let (proven, code) = json(bed, &format!("log prove {at} 3 --out third.tlog-proof"));
    assert_eq!(code, 0);
    assert_eq!(fields(&proven), fields(&exported));
    let none = format!("log prove {at} {} --out none", size + 100_000);
    refused(bed, &none, "404");
    std::fs::write(dir.join("founding"), bed.founded.founding.to_bytes()).unwrap();
    std::fs::write(dir.join("roster"), bed.founded.roster.to_bytes()).unwrap();
    let pinned = format!("--founding founding --federation {federation}");
    let roster = bed.founded.roster.peek().digest();
    let whole = format!("{pinned} --roster roster --roster-digest {roster}");
    let (verified, code) = json(
        bed,
        &format!("log verify third.tlog-proof third.entry {whole}"),
    );
    assert_eq!((code, &verified["needed"]), (0, &2.into()));
    assert!(verified["cosigned"].as_u64().unwrap() >= 2, "{verified}");
    assert_eq!(verified["root"], proven["root"]);
    let zeros = "0".repeat(64);
    for (arguments, words) in [
        (
            format!("third.tlog-proof third.tlog-proof {pinned}"),
            "leads to another root",
        ),
        (
            format!("third.entry third.entry {pinned}"),
            "not a tlog-proof",
        ),
        (
            format!("third.tlog-proof third.entry --founding founding --federation {zeros}"),
            "this is federation",
        ),
        (
            format!("third.tlog-proof third.entry {pinned} --roster roster"),
            "--roster-digest",
        ),
        (
            format!(
                "third.tlog-proof third.entry {pinned} --roster roster --roster-digest {zeros}"
            ),
            "the roster is another one",
        ),
    ] {
        refused(bed, &format!("log verify {arguments}"), words);
    }
}
