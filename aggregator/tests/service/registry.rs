//! Who takes part, and starting.

use dawn_aggregator::{Aggregator, StartError};
use dawn_crypto::shamir::Threshold;
use dawn_identity::http_signature::Purpose;
use dawn_identity::{
    Digest, FoundingDocument, Organisation, SecretKey, Signed, SignedRoster, Validity,
};
use dawn_transport::{Api, TransportError};

use crate::raw;
use crate::world::{World, api, now_s, roster, vrf_key};

fn status(outcome: Result<(), TransportError>) -> u16 {
    match outcome {
        Ok(()) => 200,
        Err(TransportError::Problem(problem)) => problem.status,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_may_be_said_again_and_nothing_may_be_changed() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|_| {});
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let before = world.rows().await;
    world.enrol(&api).await;
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    assert_eq!(
        world.rows().await,
        before,
        "the same again is not stored again"
    );

    // Another federation.
    let mut other = world.federation.document().federation.clone();
    other.name = "another".to_owned();
    let orgs: Vec<_> = world.orgs.iter().collect();
    let other = FoundingDocument::found(other, &orgs).unwrap();
    assert_eq!(
        status(api.post_federation(&other, world.orgs[0].root()).await),
        409
    );
    // The same signed at another time is the same, and the first stays.
    let digest = world.federation.digest();
    let listed = raw::get(running.local_addr(), "/v1/register").await;
    let again = world.orgs[0].register(&digest, now_s() - 5).unwrap();
    let addr = running.local_addr();
    let first = raw::signed(
        addr,
        "POST",
        "/v1/orgs",
        again.bytes(),
        Purpose::Register,
        world.orgs[0].root(),
    )
    .await;
    let second = raw::signed(
        addr,
        "POST",
        "/v1/orgs",
        again.bytes(),
        Purpose::Register,
        world.orgs[0].root(),
    )
    .await;
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.body, second.body);
    let after = raw::get(addr, "/v1/register").await;
    assert_eq!(after.body, listed.body);
    let enrolment = world.orgs[0]
        .enrol_steward(
            &digest,
            &world.steward_keys[0],
            vrf_key(&world.steward_keys[0]).public(),
            now_s() - 5,
        )
        .unwrap();
    assert_eq!(
        status(
            api.enrol_steward(&world.orgs[0].id(), &enrolment, world.orgs[0].root())
                .await
        ),
        200
    );
    // The same steward with another VRF key: parts of beacons are under the first.
    let enrolment = world.orgs[0]
        .enrol_steward(
            &digest,
            &world.steward_keys[0],
            vrf_key(&world.steward_keys[1]).public(),
            now_s(),
        )
        .unwrap();
    assert_eq!(
        status(
            api.enrol_steward(&world.orgs[0].id(), &enrolment, world.orgs[0].root())
                .await
        ),
        409
    );
    // Another name for the same root key, or another issuer.
    let org = &world.orgs[0];
    let mut renamed = again.peek().clone();
    renamed.name = "another name".to_owned();
    let renamed = Signed::sign(&renamed, org.root()).unwrap();
    assert_eq!(status(api.register_org(&renamed, org.root()).await), 409);
    let mut reissued = again.peek().clone();
    let mut certificate = reissued.issuer.peek().clone();
    certificate.not_after += 1;
    reissued.issuer = Signed::sign(&certificate, org.root()).unwrap();
    let reissued = Signed::sign(&reissued, org.root()).unwrap();
    assert_eq!(status(api.register_org(&reissued, org.root()).await), 409);
    // Another roster of the same epoch.
    let threshold = Threshold::new(2, 0).unwrap();
    let smaller = roster(
        &world.federation,
        &world.orgs[..2],
        &world.steward_keys[..2],
        threshold,
        1,
    );
    assert_eq!(
        status(
            api.post_roster(&world.posting(&smaller), world.orgs[0].root())
                .await
        ),
        409
    );
    // A steward whom its organisation has not enrolled.
    let strangers: Vec<_> = (0..3)
        .map(|_| SecretKey::generate(&mut world.rng))
        .collect();
    let threshold = Threshold::new(3, 0).unwrap();
    let unknown = roster(&world.federation, &world.orgs, &strangers, threshold, 2);
    assert_eq!(
        status(
            api.post_roster(&world.posting(&unknown), world.orgs[0].root())
                .await
        ),
        422
    );
    // One that exchanges the VRF keys of two stewards.
    let mut exchanged = world.roster.peek().clone();
    exchanged.epoch = 2;
    exchanged.stewards[0].vrf = vrf_key(&world.steward_keys[1]).public().clone();
    exchanged.stewards[1].vrf = vrf_key(&world.steward_keys[0]).public().clone();
    let signatures = (world.orgs.iter())
        .map(|org| exchanged.sign(org.root()))
        .collect();
    let exchanged = SignedRoster::assemble(exchanged, signatures).unwrap();
    assert_eq!(
        status(
            api.post_roster(&world.posting(&exchanged), world.orgs[0].root())
                .await
        ),
        422
    );
    // A roster that too few signed.
    let threshold = Threshold::new(1, 0);
    if let Ok(threshold) = threshold {
        let alone = roster(
            &world.federation,
            &world.orgs[..1],
            &world.steward_keys[..1],
            threshold,
            3,
        );
        assert_eq!(
            status(
                api.post_roster(&world.posting(&alone), world.orgs[0].root())
                    .await
            ),
            422
        );
    }
    // Another organisation's steward.
    let enrolment = world.orgs[0]
        .enrol_steward(
            &digest,
            &strangers[0],
            vrf_key(&strangers[0]).public(),
            now_s(),
        )
        .unwrap();
    assert_eq!(
        status(
            api.enrol_steward(&world.orgs[1].id(), &enrolment, world.orgs[1].root())
                .await
        ),
        422
    );
    // Of nobody.
    let nobody = dawn_identity::OrgId(Digest([1; 32]));
    assert_eq!(
        status(
            api.enrol_steward(&nobody, &enrolment, world.orgs[1].root())
                .await
        ),
        404
    );
    assert_eq!(world.rows().await, before, "something was stored");
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_must_be_signed_bound_and_dated() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let before = world.rows().await;
    let unknown_roster = world.task(|task| task.roster = Digest([3; 32]));
    assert_eq!(
        status(api.post_task(&unknown_roster, world.orgs[0].issuer()).await),
        422
    );
    let unknown_federation = world.task(|task| task.federation = Digest([3; 32]));
    assert_eq!(
        status(
            api.post_task(&unknown_federation, world.orgs[0].issuer())
                .await
        ),
        422
    );
    let future = world.task(|task| task.created = now_s() + 86_400);
    assert_eq!(
        status(api.post_task(&future, world.orgs[0].issuer()).await),
        422
    );
    let body = world.task(|_| {}).peek().clone();
    let forged = Signed::sign(&body, world.orgs[1].issuer()).unwrap();
    assert_eq!(
        status(api.post_task(&forged, world.orgs[0].issuer()).await),
        422
    );
    assert_eq!(world.rows().await, before, "something was stored");
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_has_only_so_many_tasks_at_a_time() {
    let world = World::new().await;
    let mut config = world.config();
    config.limits.open_tasks_per_org = 2;
    let running = Aggregator::start(config).await.unwrap();
    let api = api(&running);
    world.enrol(&api).await;
    let tasks: Vec<_> = (0..5)
        .map(|i| world.task(|task| task.name = format!("task {i}")))
        .collect();
    let addr = running.local_addr();
    let issuer = world.orgs[0].issuer();
    let outcomes = futures_util::future::join_all(tasks.iter().map(|task| async move {
        raw::signed(
            addr,
            "POST",
            "/v1/tasks",
            task.bytes(),
            Purpose::CreateTask,
            issuer,
        )
        .await
        .status
    }))
    .await;
    assert_eq!(
        outcomes.iter().filter(|status| **status == 201).count(),
        2,
        "{outcomes:?}"
    );
    assert_eq!(
        outcomes.iter().filter(|status| **status == 429).count(),
        3,
        "{outcomes:?}"
    );
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_federation_must_name_this_aggregator_and_be_the_pinned_one() {
    let mut world = World::new().await;
    let mut config = world.config();
    config.federation = Some(Digest([5; 32]));
    let running = Aggregator::start(config).await.unwrap();
    let client = api(&running);
    assert_eq!(
        status(
            client
                .post_federation(world.federation.document(), world.orgs[0].root())
                .await
        ),
        403
    );
    let mut other = world.federation.document().federation.clone();
    other.aggregator = SecretKey::generate(&mut world.rng).public();
    let orgs: Vec<_> = world.orgs.iter().collect();
    let other = FoundingDocument::found(other, &orgs).unwrap();
    assert_eq!(
        status(client.post_federation(&other, world.orgs[0].root()).await),
        422
    );
    // Before there is a federation nobody can register.
    let digest = world.federation.digest();
    let org = Organisation::generate(
        "early",
        Validity::starting(now_s() - 10, 1000),
        &mut world.rng,
    )
    .unwrap();
    let early = org.register(&digest, now_s()).unwrap();
    let addr = running.local_addr();
    let answer = raw::signed(
        addr,
        "POST",
        "/v1/orgs",
        early.bytes(),
        Purpose::Register,
        org.root(),
    )
    .await;
    assert_eq!(answer.status, 503);
    answer.problem();
    assert_eq!(world.number("select count(*) from federation").await, 0);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_a_newer_program_is_refused() {
    let world = World::new().await;
    world.start().await.shutdown().await.unwrap();
    world
        .run_sql(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9999, 'from the future', true, ''::bytea, 0)",
        )
        .await;
    match Aggregator::start(world.config()).await {
        Err(StartError::Store(error)) => {
            assert!(error.to_string().contains("newer version"), "{error}")
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it started"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_it_brings_its_own_and_finds_it_again() {
    let world = World::new().await;
    let mut config = world.config();
    config.database_url = None;
    let running = Aggregator::start(config.clone()).await.unwrap();
    api(&running)
        .post_federation(world.federation.document(), world.orgs[0].root())
        .await
        .unwrap();
    let address = running.local_addr();
    running.shutdown().await.unwrap();
    assert!(
        Api::new(&format!("http://{address}"))
            .unwrap()
            .federation()
            .await
            .is_err()
    );
    let running = Aggregator::start(config).await.unwrap();
    let found = api(&running).federation().await.unwrap();
    assert_eq!(found.digest(), world.federation.digest());
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_has_every_route_with_its_problems() {
    let world = World::new().await;
    let (running, _) = world.start_enrolled().await;
    let addr = running.local_addr();
    let answer = raw::get(addr, "/openapi.json").await;
    assert_eq!(answer.status, 200);
    let description: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let paths = description["paths"].as_object().unwrap();
    let expected = [
        ("/v1/federation", 2),
        ("/v1/federation/keys", 1),
        ("/v1/aggregator", 1),
        ("/v1/nonce", 1),
        ("/v1/orgs", 2),
        ("/v1/orgs/{org}", 1),
        ("/v1/orgs/{org}/registration", 1),
        ("/v1/orgs/{org}/steward", 1),
        ("/v1/register", 1),
        ("/v1/orgs/{org}/keys", 1),
        ("/v1/orgs/{org}/revocations", 1),
        ("/v1/orgs/{org}/approvals", 1),
        ("/v1/rosters", 1),
        ("/v1/rosters/{epoch}", 1),
        ("/v1/tasks", 2),
        ("/v1/tasks/{task}", 1),
        ("/v1/tasks/{task}/public-set", 1),
        ("/v1/tasks/{task}/status", 1),
        ("/v1/tasks/{task}/round", 1),
        ("/v1/models/{digest}", 1),
        ("/v1/tasks/{task}/rounds/{round}/submissions/{device}", 1),
        ("/v1/stewards/{steward}/work", 1),
        ("/v1/tasks/{task}/rounds/{round}/packages/{steward}", 1),
        ("/v1/tasks/{task}/rounds/{round}/statements/{kind}", 1),
        ("/v1/tasks/{task}/rounds/{round}/statements", 1),
        ("/v1/tasks/{task}/rounds/{round}/transcript", 1),
        ("/v1/tasks/{task}/rounds/{round}/reports/{steward}", 1),
        ("/v1/tasks/{task}/rounds/{round}/openings/{steward}", 1),
        ("/v1/tasks/{task}/rounds/{round}/challenge", 1),
        ("/v1/tasks/{task}/rounds/{round}/answers/{digest}", 1),
        ("/v1/tasks/{task}/rounds/{round}/scalars", 1),
        ("/v1/tasks/{task}/rounds/{round}/payloads/{digest}", 1),
        ("/v1/log/head", 1),
        ("/v1/log/entries", 1),
        ("/v1/log/checkpoint", 1),
        ("/v1/log/checkpoint/witnessed", 1),
        ("/v1/log/proof/{index}", 1),
        ("/v1/log/tile/{level}/{tile}", 1),
        ("/v1/log/tile/{level}/{tile}.p/{width}", 1),
        ("/v1/log/tile/entries/{tile}", 1),
        ("/v1/log/tile/entries/{tile}.p/{width}", 1),
        ("/v1/log/witness", 2),
        ("/healthz", 1),
        ("/metrics", 1),
    ];
    assert_eq!(paths.len(), expected.len());
    for (path, methods) in expected {
        let operations = paths
            .get(path)
            .unwrap_or_else(|| panic!("{path} is missing"))
            .as_object()
            .unwrap();
        let found = ["get", "put", "post"]
            .iter()
            .filter(|method| operations.contains_key(**method))
            .count();
        assert_eq!(found, methods, "{path}");
        for (method, operation) in operations {
            let named = operation["responses"]["500"]["$ref"].as_str();
            let named = named.unwrap_or_else(|| panic!("{method} {path} has no problem response"));
            let problem = description.pointer(named.trim_start_matches('#')).unwrap();
            let example = &problem["content"]["application/problem+json"]["example"];
            assert_eq!(example["status"], 500);
        }
    }
    assert_eq!(raw::get(addr, "/healthz").await.status, 200);
    let metrics = String::from_utf8(raw::get(addr, "/metrics").await.body).unwrap();
    assert!(metrics.contains("dawn_http_requests_total{"), "{metrics}");
    assert!(
        metrics.contains("route=\"/v1/orgs/{org}/steward\""),
        "{metrics}"
    );
    running.shutdown().await.unwrap();
}
