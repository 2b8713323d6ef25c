//! Challenging, answers and the norm proof.

use dawn_crypto::mask::{PublicMatrix, parse_payload};
use dawn_crypto::norm::projection::MatrixBlocks;
use dawn_crypto::norm::{Hidden, NormProof};
use dawn_identity::Signed;
use dawn_protocol::answers::{Scalars, answers_digest};
use dawn_protocol::phase::RoundOpen;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::transcript::{Record, TranscriptReader};
use dawn_protocol::{Challenge, Decision, Outcome, PackageReport, Verdict, WorkItem};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::devices::Device;
use crate::raw::{self, Answer};
use crate::rounds::{result, vector};
use crate::stewards::{challenge, work_through};
use crate::submissions::Collecting;
use crate::world::wait_for_phase;

const CBOR: &str = "application/cbor";
const OCTETS: &str = "application/octet-stream";

impl Collecting {
    /// Four honest devices submit, or three and one whose submission is given.
    async fn fill(&mut self, other: Option<(Device, PreparedSubmission)>) {
        let mut all: Vec<(Device, PreparedSubmission)> = other.into_iter().collect();
        for i in all.len()..4 {
            let device = self.world.device(i % 3);
            let submission = self.prepare(&device, i as u64);
            all.push((device, submission));
        }
        for (device, submission) in &all {
            device
                .submit(&self.api, &self.announcement, submission)
                .await
                .unwrap();
        }
        wait_for_phase(&self.api, &self.id, "challenging").await;
    }

    fn path(&self, rest: &str) -> String {
        let id = &self.id;
        format!("/v1/tasks/{}/rounds/{}/{rest}", id.task, id.number)
    }

    async fn put_report(&self, steward: usize, bytes: &[u8]) -> Answer {
        let path = self.path(&format!("reports/{}", self.stewards[steward].id));
        raw::request(self.running.local_addr(), "PUT", &path, OCTETS, bytes).await
    }

    async fn get(&self, rest: &str) -> Answer {
        raw::get(self.running.local_addr(), &self.path(rest)).await
    }

    async fn statement<T: dawn_identity::Statement>(&self) -> Signed<T> {
        let entries = self.api.statements(&self.id).await.unwrap();
        let mut found = entries.iter().filter_map(|entry| {
            // Another kind has another content type.
            Signed::<T>::from_bytes(&entry.envelope).ok()
        });
        found.next().unwrap()
    }

    async fn reported(&self) -> (i64, usize) {
        // Files of uploads that broke off are removed in the background.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        (
            self.world.count_statements("report").await,
            self.world.objects("answers"),
        )
    }
}

fn body(report: &Signed<PackageReport>, answers: &[u8]) -> Vec<u8> {
    let length = (report.bytes().len() as u32).to_le_bytes();
    [b"DWNR", &length[..], report.bytes(), answers].concat()
}

/// A device that masks `v` and proves about digits of its choice.
fn forged(
    round: &Collecting,
    device: &Device,
    v: &[i32],
    digits: impl FnOnce(&dawn_crypto::norm::NormParams, &[u8]) -> Vec<u32>,
) -> PreparedSubmission {
    let open = RoundOpen::from_announcement(&round.context, &round.announcement).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(77);
    PreparedSubmission::forged(&open, &device.chain, &device.key, v, digits, &mut rng).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_proof_is_rejected_and_the_others_are_summed() {
    for wanted in [Decision::Projection, Decision::Norm] {
        let mut round = Collecting::with(|task| task.rounds = 1, |_| {}).await;
        let device = round.world.device(0);
        let padded = round.context.dimension().padded();
        let v = vec![3; padded];
        let submission = match wanted {
            // A valid proof about something else.
            Decision::Projection => forged(&round, &device, &v, |params, context| {
                let digits =
                    NormProof::digits(params, context, Hidden::vector(&vec![0; padded])).unwrap();
                digits.to_vec()
            }),
            // True projections, and a slack that does not make up for them.
            _ => forged(&round, &device, &v, |params, context| {
                let mut digits = NormProof::digits(params, context, Hidden::vector(&v))
                    .unwrap()
                    .to_vec();
                *digits.last_mut().unwrap() ^= 1;
                digits
            }),
        };
        let cheat = device.id;
        round.fill(Some((device, submission))).await;
        work_through(&round.api, &mut round.stewards, &round.id, &["done"]).await;
        assert_eq!(result(&round.api, &round.id).await.peek().accepted, 3);
        let status = round.api.task_status(&round.id.task).await.unwrap();
        assert_eq!(
            status["rounds"][0]["rejected"],
            serde_json::json!({ wanted.name(): 1 })
        );
        let code = round
            .world
            .number("select decision::bigint from submissions where decision <> 0")
            .await;
        assert_eq!(code, wanted as i64, "{cheat}");
        let metrics = raw::get(round.running.local_addr(), "/metrics").await;
        let metrics = String::from_utf8(metrics.body).unwrap();
        let line = format!("dawn_decisions_total{{decision=\"{}\"}} 1", wanted.name());
        assert!(metrics.contains(&line), "{metrics}");
        round.running.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steward_whose_answers_are_beside_the_polynomial_is_named() {
    let mut round = Collecting::of(6, 1, |task| {
        task.rounds = 1;
        // Everybody is waited for, however slow.
        task.deadlines.grace_ms = crate::world::LONG_MS;
    })
    .await;
    round.fill(None).await;
    let (api, id) = (round.api.clone(), round.id);
    challenge(&api, &mut round.stewards, &id).await;
    round.stewards[3].lies = true;
    for steward in &mut round.stewards {
        assert_eq!(steward.step_only(&api, "report").await, ["report"]);
    }
    wait_for_phase(&api, &id, "opening").await;
    let verdict: Signed<Verdict> = round.statement().await;
    assert_eq!(verdict.peek().liars, [4]);
    assert_eq!(verdict.peek().openers, [1, 2, 3, 5, 6]);
    assert_eq!(verdict.peek().decisions, [Decision::Accepted; 4]);
    let mut others: Vec<_> = round.stewards;
    let liar = others.remove(3);
    assert!(api.work(&liar.id, 0).await.unwrap().is_empty());
    for steward in &mut others {
        assert_eq!(steward.step(&api).await, ["open"]);
    }
    wait_for_phase(&api, &id, "done").await;
    assert_eq!(result(&api, &id).await.peek().accepted, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_the_proof_is_served_from_the_verdict_on() {
    // Everybody is waited for, however slow.
    let tweak = |task: &mut dawn_protocol::Task| {
        task.rounds = 1;
        task.deadlines.grace_ms = crate::world::LONG_MS;
    };
    let mut round = Collecting::with(tweak, |_| {}).await;
    round.fill(None).await;
    let (api, id) = (round.api.clone(), round.id);
    challenge(&api, &mut round.stewards, &id).await;
    let signed: Signed<Challenge> = round.statement().await;
    assert_eq!(round.get("challenge").await.body, signed.bytes());
    assert_eq!(round.stewards[0].step(&api).await, ["report"]);
    let first: Signed<PackageReport> = round.statement().await;
    let answers = format!("answers/{}", first.peek().answers);
    for early in ["scalars", &answers] {
        let refused = round.get(early).await;
        assert_eq!(refused.status, 409, "{early}");
        refused.problem();
    }
    for steward in &mut round.stewards[1..] {
        assert_eq!(steward.step(&api).await, ["report"]);
    }
    wait_for_phase(&api, &id, "opening").await;
    let verdict: Signed<Verdict> = round.statement().await;
    let found = round.get(&answers).await;
    assert_eq!(found.status, 200);
    assert_eq!(answers_digest(&found.body), first.peek().answers);
    let unknown = "ab".repeat(32);
    for what in ["answers", "payloads"] {
        let refused = round.get(&format!("{what}/{unknown}")).await;
        assert_eq!(refused.status, 404, "{what}");
        refused.problem();
    }

    // The scalars are those of the payloads, as anybody computes them.
    let scalars = Scalars::from_bytes(&round.get("scalars").await.body, 4).unwrap();
    assert_eq!(scalars.digest(), verdict.peek().scalars);
    let challenged = round.stewards[0].challenged(&id, &signed);
    let matrix = PublicMatrix::from_seed(&challenged.spec().matrix_seed);
    for index in 0..4 {
        let digest = challenged.round_closed().roll().entries()[index].payload;
        let payload = round.get(&format!("payloads/{digest}")).await;
        let words = parse_payload(&payload.body).unwrap();
        let verifier = challenged.verifier(index).unwrap();
        let matrix = MatrixBlocks::Expanded(&matrix);
        let check = verifier.public_check(matrix, Some(&words)).unwrap();
        assert_eq!(check.masked, scalars.get(index));
    }

    // They outlive the round, and are in its transcript.
    work_through(&api, &mut round.stewards, &id, &["done"]).await;
    let mut bytes = Vec::new();
    api.download_transcript(&id, 1 << 24, &mut bytes)
        .await
        .unwrap();
    let mut reader = TranscriptReader::new(&bytes[..]);
    let mut reported = None;
    let mut pairs = 0;
    while let Some(record) = reader.next_record().unwrap() {
        match record {
            Record::Challenge(in_transcript) => assert_eq!(in_transcript.bytes(), signed.bytes()),
            Record::Report(report) => reported = Some(report.peek().answers),
            Record::Answers(answers) => {
                assert_eq!(Some(answers_digest(&answers)), reported.take());
                pairs += 1;
            }
            _ => {}
        }
    }
    assert_eq!(pairs, 3);
    for kept in ["scalars", &answers] {
        assert_eq!(round.get(kept).await.status, 200, "{kept}");
    }
    assert_eq!(round.world.objects("answers"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_taken_only_with_its_own_answers() {
    let mut round = Collecting::with(|task| task.rounds = 1, |_| {}).await;
    round.fill(None).await;
    let (api, id) = (round.api.clone(), round.id);

    // Before there is a challenge nobody reports.
    let early = round.put_report(0, b"DWNR\x01\0\0\0\xf6").await;
    assert_eq!(early.status, 400);
    challenge(&api, &mut round.stewards, &id).await;
    let signed: Signed<Challenge> = round.statement().await;
    let (report, answers) = round.stewards[0].make_report(&id, &signed);
    let (of_another, _) = round.stewards[1].make_report(&id, &signed);
    let good = body(&report, &answers);
    let head = good.len() - answers.len();
    let steward = &round.stewards[0];
    let changed = |tweak: &dyn Fn(&mut PackageReport), answers: &[u8]| {
        let mut report = report.peek().clone();
        tweak(&mut report);
        body(&steward.sign(&report), answers)
    };
    let mut cases: Vec<(&str, Vec<u8>, u16)> = Vec::new();
    for cut in [0, 3, 4, 7, 8, 9, head - 1] {
        cases.push(("cut in the head", good[..cut].to_vec(), 400));
    }
    for cut in [head, head + 1, head + 4, good.len() - 1, good.len() - 4] {
        cases.push(("cut in the answers", good[..cut].to_vec(), 400));
    }
    cases.push(("a byte too many", [&good[..], &[0]].concat(), 400));
    cases.push(("twice", [&good[..], &good[..]].concat(), 400));
    let flip = |at: usize| {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        flipped
    };
    cases.push(("another magic", flip(0), 400));
    cases.push(("another answer", flip(head + 8), 422));
    cases.push(("the last answer", flip(good.len() - 4), 422));
    let mut huge = good.clone();
    huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    cases.push(("a report of 4 GiB", huge, 413));
    // Digest and all, but no element.
    let mut beyond = answers.clone();
    beyond[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let digest = answers_digest(&beyond);
    let named = changed(&|report| report.answers = digest, &beyond);
    cases.push(("a word beyond q", named, 422));
    let another = changed(&|report| report.challenge.0[0] ^= 1, &answers);
    cases.push(("another challenge", another, 422));
    let another = changed(&|report| report.root.0[0] ^= 1, &answers);
    cases.push(("another root", another, 422));
    let another = changed(&|report| report.session.0.0[0] ^= 1, &answers);
    cases.push(("another session", another, 422));
    let fewer = changed(
        &|report| {
            report.outcomes.pop();
        },
        &answers[..answers.len() / 4 * 3],
    );
    cases.push(("a finding too few", fewer, 422));
    // Three findings ok have three answers, not four.
    let longer = changed(&|report| report.outcomes[0] = Outcome::Malformed, &answers);
    cases.push(("an answer too many", longer, 422));
    cases.push(("another's report", body(&of_another, &answers), 403));
    let forged = body(&round.stewards[1].sign(report.peek()), &answers);
    cases.push(("another's signature", forged, 422));
    let before = round.reported().await;
    for (what, bytes, status) in cases {
        let answer = round.put_report(0, &bytes).await;
        let detail = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, status, "{what}: {detail}");
        answer.problem();
    }
    assert_eq!(round.reported().await, before, "something was stored");
    // As a bare statement it counts for nothing.
    let path = round.path("statements/report");
    let addr = round.running.local_addr();
    let bare = raw::request(addr, "PUT", &path, CBOR, report.bytes()).await;
    assert_eq!(bare.status, 404);

    // The good one, again and again.
    assert_eq!(round.put_report(0, &good).await.status, 201);
    assert_eq!(round.put_report(0, &good).await.status, 200);
    assert_eq!(round.put_report(0, &good[..head]).await.status, 200);
    // Another one is refused, and kept as evidence, even with answers that fit.
    let mut complaining = report.peek().clone();
    complaining.outcomes[0] = Outcome::Malformed;
    let fewer = &answers[answers.len() / 4..];
    complaining.answers = answers_digest(fewer);
    let other = round.stewards[0].sign(&complaining);
    let refused = round.put_report(0, &body(&other, fewer)).await;
    assert_eq!(refused.status, 409);
    refused.problem();
    let evidence = "select count(*) from equivocations where kind = 'report'";
    assert_eq!(round.world.number(evidence).await, 1);
    assert_eq!(round.reported().await, (1, 1));
    work_through(&api, &mut round.stewards, &id, &["done"]).await;
    assert_eq!(round.put_report(0, &good).await.status, 200);
    // A steward that comes too late.
    assert_eq!(result(&api, &id).await.peek().accepted, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_the_beacon_are_proven_and_said_once() {
    let mut round = Collecting::with(|task| task.rounds = 1, |_| {}).await;
    round.fill(None).await;
    let (api, id) = (round.api.clone(), round.id);
    let items = api.work(&round.stewards[0].id, 5).await.unwrap();
    let [
        WorkItem::ShareBeacon {
            announcement,
            closed,
        },
    ] = &items[..]
    else {
        panic!("{items:?}");
    };
    let share = round.stewards[0]
        .make_share(&api, &id, announcement, closed)
        .await
        .unwrap();
    let other = round.stewards[1]
        .make_share(&api, &id, announcement, closed)
        .await
        .unwrap();
    let mut wrong = Vec::new();
    for tweak in [
        // Another's proof, another root, another session.
        (|body, other| body.proof = other.proof.clone())
            as fn(&mut dawn_protocol::BeaconShare, &dawn_protocol::BeaconShare),
        |body, _| body.root.0[0] ^= 1,
        |body, _| body.session.0.0[0] ^= 1,
    ] {
        let mut body = share.peek().clone();
        tweak(&mut body, other.peek());
        wrong.push(round.stewards[0].sign(&body));
    }
    wrong.push(round.stewards[1].sign(share.peek()));
    for wrong in wrong {
        let refused = api.put_statement(&id, &wrong).await.unwrap_err();
        assert_eq!(refused.status(), Some(422));
    }
    assert_eq!(round.world.count_statements("beacon-share").await, 0);
    api.put_statement(&id, &share).await.unwrap();
    api.put_statement(&id, &share).await.unwrap();
    assert_eq!(round.world.count_statements("beacon-share").await, 1);
    api.put_statement(&id, &other).await.unwrap();
    // T of them make the challenge when the time of grace is over; who comes later is not needed.
    wait_for_phase(&api, &id, "reporting").await;
    let challenge: Signed<Challenge> = round.statement().await;
    let shares: Vec<_> = challenge.peek().shares.iter().map(Signed::bytes).collect();
    assert_eq!(shares, [share.bytes(), other.bytes()]);
    let late = round.stewards[2]
        .make_share(&api, &id, announcement, closed)
        .await
        .unwrap();
    let refused = api.put_statement(&id, &late).await.unwrap_err();
    assert_eq!(refused.status(), Some(409));
    work_through(&api, &mut round.stewards, &id, &["done"]).await;
}

/// The vectors of honest devices are as short as their task allows.
#[test]
fn the_vectors_of_these_tests_are_within_the_clip() {
    for i in 0..8 {
        let squares: i64 = vector(i).iter().map(|v| i64::from(*v).pow(2)).sum();
        assert!(squares < 1_000_000);
    }
}
