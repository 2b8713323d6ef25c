//! Every reason for which a round can end without a result, and stewards that lie.

use dawn_crypto::shamir::ShareSum;
use dawn_identity::{Digest, Signed, Statement};
use dawn_protocol::{
    AbortReason, Aborted, Opening, RoundAnnouncement, RoundId, RoundResult, Task, WorkItem,
};
use dawn_transport::Api;

use crate::devices::announcement;
use crate::rounds::{result, vector};
use crate::stewards::{Steward, challenge, work_through};
use crate::world::{World, wait_for_phase};

struct Run {
    world: World,
    _running: dawn_aggregator::Running,
    api: Api,
    context: dawn_protocol::TaskContext,
    stewards: Vec<Steward>,
}

impl Run {
    async fn new(m: u8, f: u8, tweak: impl FnOnce(&mut Task)) -> Self {
        let world = World::with(m, f).await;
        let (running, api) = world.start_enrolled().await;
        let task = world.task(tweak);
        let context = world.context(&task);
        api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
        let stewards = world.stewards(&context);
        Self {
            world,
            _running: running,
            api,
            context,
            stewards,
        }
    }

    /// Devices of the first organisations submit to a round.
    /// Gives what the devices saw of the round, which may be over once all have submitted.
    async fn submit(&mut self, number: u32, devices: usize, orgs: usize) -> RoundAnnouncement {
        let id = self.context.round(number);
        work_through(&self.api, &mut self.stewards, &id, &["collecting"]).await;
        let announcement = announcement(&self.api, &self.context, number - 1).await;
        for i in 0..devices {
            let device = self.world.device(i % orgs);
            let submission = device.prepare(&self.context, &announcement, &vector(i), i as u64);
            device
                .submit(&self.api, &announcement, &submission)
                .await
                .unwrap();
        }
        announcement
    }

    /// The digest of the statement that ended the round before.
    async fn end_before(&self, id: &RoundId) -> Option<Digest> {
        let before = self.context.round(id.number - 1);
        if before.number == 0 {
            return None;
        }
        let entries = self.api.statements(&before).await.unwrap();
        let end = &entries.last().unwrap().envelope;
        let aborted = Signed::<Aborted>::from_bytes(end).map(|end| end.body_digest());
        aborted
            .or_else(|_| Signed::<RoundResult>::from_bytes(end).map(|end| end.body_digest()))
            .ok()
    }

    /// The round has ended for this reason, and the next one has begun from the same weights.
    async fn assert_aborted(&self, id: &RoundId, reason: AbortReason) {
        wait_for_phase(&self.api, id, "aborted").await;
        let entries = self.api.statements(id).await.unwrap();
        let last = Signed::<Aborted>::from_bytes(&entries.last().unwrap().envelope).unwrap();
        assert_eq!(last.peek().reason, reason, "{}", last.peek().detail);
        self.context.verify_aggregator(&last).unwrap();
        assert_eq!(last.peek().previous, self.end_before(id).await);
        let status = self.api.task_status(&id.task).await.unwrap();
        let rounds = status["rounds"].as_array().unwrap();
        let model = &rounds[id.number as usize - 1]["model"];
        assert_eq!(last.peek().model.to_string(), *model);
        assert_eq!(
            rounds[id.number as usize - 1]["abort_reason"],
            reason.name()
        );
        if id.number < self.context.task().rounds {
            assert_eq!(
                rounds[id.number as usize]["model"],
                rounds[id.number as usize - 1]["model"]
            );
        }
        let mut transcript = Vec::new();
        self.api
            .download_transcript(id, 1 << 24, &mut transcript)
            .await
            .unwrap();
        let mut reader = dawn_protocol::transcript::TranscriptReader::new(&transcript[..]);
        while reader.next_record().unwrap().is_some() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_sealing_keys() {
    let run = Run::new(3, 0, |task| task.deadlines.keying_ms = 300).await;
    let id = run.context.round(1);
    run.assert_aborted(&id, AbortReason::TooFewSealingKeys)
        .await;
    // The last round ends the task.
    run.assert_aborted(&run.context.round(2), AbortReason::TooFewSealingKeys)
        .await;
    assert_eq!(run.api.task_status(&id.task).await.unwrap()["ended"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_endorsements() {
    let mut run = Run::new(3, 0, |task| task.deadlines.endorsing_ms = 500).await;
    let id = run.context.round(1);
    for steward in &mut run.stewards {
        let key = steward.sealing_key(&id);
        run.api.put_statement(&id, &key).await.unwrap();
    }
    run.assert_aborted(&id, AbortReason::TooFewEndorsements)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_submissions() {
    let mut run = Run::new(3, 0, |task| {
        task.deadlines.endorsing_ms = 1000;
        task.deadlines.collecting_ms = 1000;
    })
    .await;
    run.submit(1, 1, 1).await;
    run.assert_aborted(&run.context.round(1), AbortReason::TooFewSubmissions)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_beacon_shares() {
    let mut run = Run::new(3, 0, |task| task.deadlines.challenging_ms = 1000).await;
    run.submit(1, 4, 3).await;
    let id = run.context.round(1);
    wait_for_phase(&run.api, &id, "challenging").await;
    assert_eq!(run.stewards[0].step(&run.api).await, ["beacon"]);
    run.assert_aborted(&id, AbortReason::TooFewBeaconShares)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_reports() {
    let mut run = Run::new(3, 0, |task| task.deadlines.reporting_ms = 500).await;
    run.submit(1, 4, 3).await;
    challenge(&run.api, &mut run.stewards, &run.context.round(1)).await;
    run.assert_aborted(&run.context.round(1), AbortReason::TooFewReports)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policy() {
    let mut run = Run::new(3, 0, |task| task.policy.min_organisations = 2).await;
    run.submit(1, 4, 1).await;
    let id = run.context.round(1);
    work_through(&run.api, &mut run.stewards, &id, &["aborted"]).await;
    run.assert_aborted(&id, AbortReason::Policy).await;
    assert_eq!(
        run.world.number("select spent_micro_rho from budget").await,
        0
    );
    // The next round goes on from the same weights, to its end.
    let announcement = run.submit(2, 4, 3).await;
    let second = run.context.round(2);
    let spec = announcement.spec.peek();
    assert_eq!(spec.previous, run.end_before(&second).await);
    let initial = run.context.initial_model_digest().unwrap();
    assert_eq!(spec.model, initial);
    work_through(&run.api, &mut run.stewards, &second, &["done"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn budget_exhausted() {
    let charge = {
        let world = World::new().await;
        world.context(&world.task(|_| {})).charge_micro_rho()
    };
    let mut run = Run::new(3, 0, |task| task.privacy.budget_micro_rho = Some(charge)).await;
    run.submit(1, 4, 3).await;
    let first = run.context.round(1);
    work_through(&run.api, &mut run.stewards, &first, &["done"]).await;
    run.assert_aborted(&run.context.round(2), AbortReason::BudgetExhausted)
        .await;
    assert_eq!(
        run.world.number("select spent_micro_rho from budget").await,
        charge as i64
    );
    assert_eq!(
        run.world.number("select rounds::bigint from budget").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_openings() {
    let mut run = Run::new(3, 0, |task| task.deadlines.opening_ms = 500).await;
    run.submit(1, 4, 3).await;
    let id = run.context.round(1);
    // Everybody reports, nobody opens.
    challenge(&run.api, &mut run.stewards, &id).await;
    for steward in &mut run.stewards {
        steward.step_only(&run.api, "report").await;
    }
    run.assert_aborted(&id, AbortReason::TooFewOpenings).await;
    // The verdict was charged: what was decided may have been opened elsewhere.
    assert_eq!(
        run.world.number("select rounds::bigint from budget").await,
        1
    );
}

/// Makes steward `index` answer the verdict wrongly.
async fn lie(run: &Run, id: &RoundId, index: usize) {
    let steward = &run.stewards[index];
    for item in run.api.work(&steward.id, 5).await.unwrap() {
        if let WorkItem::Open {
            closed, verdict, ..
        } = item
        {
            let mut elements = ShareSum::zero().to_bytes();
            elements[4 * index] = 1 + index as u8;
            let lie = Opening {
                round: *id,
                session: closed.peek().session,
                root: closed.peek().root,
                verdict: verdict.body_digest(),
                steward: steward.id,
                share_sum: ShareSum::from_bytes(&elements).unwrap(),
                groups: None,
            };
            run.api
                .put_statement(id, &steward.sign(&lie))
                .await
                .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_small_opening() {
    // Everybody is waited for, however slow.
    let mut run = Run::new(3, 0, |task| {
        task.deadlines.grace_ms = crate::world::LONG_MS;
    })
    .await;
    run.submit(1, 4, 3).await;
    let id = run.context.round(1);
    challenge(&run.api, &mut run.stewards, &id).await;
    for steward in &mut run.stewards {
        assert_eq!(steward.step_only(&run.api, "report").await, ["report"]);
    }
    wait_for_phase(&run.api, &id, "opening").await;
    for index in 0..3 {
        lie(&run, &id, index).await;
    }
    run.assert_aborted(&id, AbortReason::NoSmallOpening).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_opener_is_named() {
    // Everybody is waited for, however slow.
    let mut run = Run::new(6, 1, |task| {
        task.rounds = 1;
        task.deadlines.grace_ms = crate::world::LONG_MS;
    })
    .await;
    run.submit(1, 4, 3).await;
    let id = run.context.round(1);
    challenge(&run.api, &mut run.stewards, &id).await;
    for steward in &mut run.stewards {
        assert_eq!(steward.step_only(&run.api, "report").await, ["report"]);
    }
    wait_for_phase(&run.api, &id, "opening").await;
    lie(&run, &id, 2).await;
    let liar = run.stewards.remove(2);
    for steward in &mut run.stewards {
        assert_eq!(steward.step(&run.api).await, ["open"]);
    }
    wait_for_phase(&run.api, &id, "done").await;
    let result = result(&run.api, &id).await;
    assert_eq!(result.peek().culprits, [liar.id]);
    // It cannot take it back.
    let honest = run.stewards[0].sign(&Opening {
        round: id,
        session: result.peek().session,
        root: dawn_identity::Digest([0; 32]),
        verdict: result.peek().verdict,
        steward: liar.id,
        share_sum: ShareSum::zero(),
        groups: None,
    });
    assert!(run.api.put_statement(&id, &honest).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steward_says_a_thing_once() {
    let mut run = Run::new(3, 0, |_| {}).await;
    let id = run.context.round(1);
    let first = run.stewards[0].sealing_key(&id);
    run.api.put_statement(&id, &first).await.unwrap();
    run.api.put_statement(&id, &first).await.unwrap();
    let mut twin = run.world.stewards(&run.context).swap_remove(0);
    twin.sealing_key(&run.context.round(2));
    let mut other = first.peek().clone();
    other.key = twin.sealing_key(&id).peek().key.clone();
    assert_ne!(other.key, first.peek().key);
    let other = twin.sign(&other);
    let refused = run.api.put_statement(&id, &other).await.unwrap_err();
    assert_eq!(refused.status(), Some(409));
    assert_eq!(
        run.world.number("select count(*) from equivocations").await,
        1
    );
    let kind = dawn_protocol::SealingKey::KIND;
    assert_eq!(kind, "sealing-key");
    assert_eq!(run.world.number("select count(*) from statements").await, 1);
    assert_eq!(
        run.api.statements(&id).await.unwrap()[0].envelope,
        first.bytes()
    );
}

/// A statement that arrives at the deadline either counts or is refused: a round that says "too few" never has
/// enough in its log, for which an auditor would blame the aggregator.
#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_at_the_deadline_counts_or_is_refused() {
    const ROUNDS: u32 = 8;
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 0..12 {
        let task = world.task(|task| {
            task.initial_seed = [seed; 32];
            task.rounds = ROUNDS;
            task.deadlines.keying_ms = 200;
            task.deadlines.endorsing_ms = 100;
        });
        let context = world.context(&task);
        let mut stewards = world.stewards(&context);
        let app = std::sync::Arc::clone(running.app());
        let api = api.clone();
        api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
        tasks.spawn(async move {
            for number in 1..=ROUNDS {
                let id = context.round(number);
                let deadline_ms = loop {
                    if let Some(row) = app.store.round(&id).await.unwrap() {
                        break row.deadline_ms;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                };
                let (first, second) = (stewards[0].sealing_key(&id), stewards[1].sealing_key(&id));
                let _ = api.put_statement(&id, &first).await;
                // A little before the deadline, at it, a little after it.
                let at_ms = deadline_ms + u64::from(seed) - 8;
                let left = at_ms.saturating_sub(dawn_aggregator::clock::now_ms());
                tokio::time::sleep(std::time::Duration::from_millis(left)).await;
                let _ = api.put_statement(&id, &second).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let wrong = "select count(*) from rounds
         where abort_reason = 'too-few-sealing-keys' and 2 <= (
             select count(*) from statements
             where statements.task = rounds.task and statements.number = rounds.number
               and statements.kind = 'sealing-key')";
    assert_eq!(world.number(wrong).await, 0);
}
