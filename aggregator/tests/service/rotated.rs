//! Forgeries with keys and credentials that do not count any more (docs/identity-formats.md, section 9): each row a test, with
//! the honest request beside it.

use dawn_aggregator::clock::now_s;
use dawn_identity::{Change, Organisation, SecretKey, Signed, SignedRoster, Validity};

use crate::lifecycle::{copy, last, register, status, tell, with_root};
use crate::raw;
use crate::stage::organisation;
use crate::stewards::{work_through, work_until_reported};
use crate::submissions::Collecting;
use crate::world::{World, vrf_key};

#[tokio::test(flavor = "multi_thread")]
async fn a_root_key_that_was_replaced() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let (old, key) = (&world.orgs[0], SecretKey::from_seed(&[60; 32]));
    let new = with_root(old, &key);
    assert_eq!(
        tell(
            &world,
            &api,
            old,
            old.rotation(&world.federation.digest(), &key)
        )
        .await,
        200
    );
    // It asks for nothing any more: no rotation back, no revocation, no steward, no roster, no task.
    let again = SecretKey::from_seed(&[61; 32]);
    let back = old.rotation(&world.federation.digest(), &again);
    assert_eq!(tell(&world, &api, old, back).await, 401);
    assert_eq!(
        tell(&world, &api, old, Change::RevokeOrganisation).await,
        401
    );
    let steward = SecretKey::from_seed(&[9; 32]);
    let digest = world.federation.digest();
    let enrol = |org: &Organisation| {
        org.enrol_steward(&digest, &steward, vrf_key(&steward).public(), now_s())
            .unwrap()
    };
    assert_eq!(
        status(api.enrol_steward(&old.id(), &enrol(old), old.root()).await),
        401
    );
    // Under the request of the new key it is still the old one's word.
    assert_eq!(
        status(api.enrol_steward(&old.id(), &enrol(old), new.root()).await),
        422
    );
    assert_eq!(
        status(
            api.post_roster(&world.posting(&world.roster), old.root())
                .await
        ),
        401
    );
    let mut task = world.task(|_| {}).peek().clone();
    // An issuer that the old key makes now.
    let stolen = SecretKey::from_seed(&[62; 32]);
    let validity = Validity::starting(now_s() - 60, 86_400);
    task.issuer =
        Organisation::certify(&old.id(), old.root(), &stolen.public(), validity, 9).unwrap();
    let forged = Signed::sign(&task, &stolen).unwrap();
    assert_eq!(status(api.post_task(&forged, &stolen).await), 401);
    assert_eq!(status(api.post_task(&forged, new.root()).await), 422);
    // The new key does all of that, and the issuer that was announced before goes on.
    assert_eq!(
        status(api.enrol_steward(&old.id(), &enrol(&new), new.root()).await),
        200
    );
    assert_eq!(
        status(api.post_task(&world.task(|_| {}), old.issuer()).await),
        200
    );
    assert_eq!(
        tell(&world, &api, &new, Change::RevokeOrganisation).await,
        200
    );
    assert_eq!(
        tell(&world, &api, &new, Change::RevokeOrganisation).await,
        403
    );
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_key_that_was_revoked() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let org = &world.orgs[0];
    let issuer = org.issuer().public().id();
    assert_eq!(
        tell(&world, &api, org, Change::RevokeIssuer { issuer }).await,
        200
    );
    let task = world.task(|_| {});
    assert_eq!(status(api.post_task(&task, org.issuer()).await), 401);
    assert_eq!(status(api.post_task(&task, org.root()).await), 422);
    // It revokes nothing, either.
    let devices = vec![dawn_identity::DeviceId(dawn_identity::Digest([1; 32]))];
    let last = last(&world, &api, &org.id()).await;
    let change = Change::RevokeDevices { devices };
    let event = org
        .online()
        .event(&world.federation.digest(), last, change, now_s())
        .unwrap();
    assert_eq!(status(api.revoke(&event, org.issuer()).await), 401);
    running.shutdown().await.unwrap();
}

/// Revoked while the round collects: a device, an issuer, an organisation. The whole way to the auditor:
/// `cli/tests/revoked.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn revoked_in_the_middle_of_a_round() {
    let mut round = Collecting::with(|task| task.policy.target_submissions = 8, |_| {}).await;
    let devices: Vec<_> = (0..6).map(|i| round.world.device(i % 3)).collect();
    let put = async |round: &Collecting, i: usize| {
        let submission = round.prepare(&devices[i], 10 + i as u64);
        round
            .put(&devices[i].id.to_string(), &submission.to_bytes())
            .await
    };
    for i in 0..3 {
        assert_eq!(put(&round, i).await.status, 201);
    }
    let (world, api) = (&round.world, &round.api);
    let revoked = vec![devices[3].id];
    let issuer = world.orgs[1].issuer().public().id();
    for (org, change) in [
        (0, Change::RevokeDevices { devices: revoked }),
        (1, Change::RevokeIssuer { issuer }),
        (2, Change::RevokeOrganisation),
    ] {
        assert_eq!(tell(world, api, &world.orgs[org], change).await, 200);
    }
    for i in 3..6 {
        let answer = put(&round, i).await;
        assert_eq!(answer.status, 422, "device {i}");
        let problem = answer.problem();
        assert!(
            problem["detail"].as_str().unwrap().contains("revoked"),
            "{problem}"
        );
    }
    // What came before has its receipt, and gets it again; whether it counts, the closing decides.
    assert_eq!(put(&round, 0).await.status, 200);
    assert_eq!(put(&round, 1).await.status, 200);
    let stays = round.world.device(0);
    let submission = round.prepare(&stays, 99);
    let answer = round
        .put(&stays.id.to_string(), &submission.to_bytes())
        .await;
    assert_eq!(answer.status, 201);
    round.running.shutdown().await.unwrap();
}

/// A steward is revoked while a round collects: that one goes on with it, the next does not seat it.
#[tokio::test(flavor = "multi_thread")]
async fn a_steward_that_was_revoked() {
    let mut round = Collecting::of(6, 1, |task| {
        task.rounds = 2;
        // All six are to report, however busy the machine is: five would do.
        task.deadlines.grace_ms = 5_000;
    })
    .await;
    let devices: Vec<_> = (0..4).map(|i| round.world.device(i % 3)).collect();
    let steward = round.stewards[3].id;
    let org = &round.world.orgs[3];
    let change = Change::RevokeSteward { steward };
    assert_eq!(tell(&round.world, &round.api, org, change).await, 200);
    for (i, device) in devices.iter().enumerate() {
        let submission = round.prepare(device, 20 + i as u64);
        let answer = round
            .put(&device.id.to_string(), &submission.to_bytes())
            .await;
        assert_eq!(answer.status, 201);
    }
    let (api, stewards) = (&round.api, &mut round.stewards);
    work_until_reported(api, stewards, &round.id).await;
    let reported = round.world.count_statements("report").await;
    assert_eq!(reported, 6);
    let mut revoked = stewards.remove(3);
    work_through(api, stewards, &round.id, &["done"]).await;
    assert_eq!(
        crate::rounds::result(api, &round.id).await.peek().accepted,
        4
    );
    // Its key for the next round is refused, and the round has a seat less.
    let next = round.context.round(2);
    let key = revoked.sealing_key(&next);
    let path = format!("/v1/tasks/{}/rounds/2/statements/sealing-key", next.task);
    let addr = round.running.local_addr();
    let answer = raw::request(addr, "PUT", &path, "application/cbor", key.bytes()).await;
    assert_eq!(answer.status, 403);
    work_through(api, stewards, &next, &["collecting"]).await;
    let announced = crate::devices::announcement(api, &round.context, 1).await;
    assert_eq!(announced.spec.peek().seated_count(), 5);
    assert!(announced.spec.peek().sealing_keys[3].is_none());
    // A new roster does not take it in; one with another key of the organisation does.
    let mut body = round.world.roster.peek().clone();
    body.epoch = 2;
    let sign = |body: &dawn_identity::Roster| {
        let orgs = round.world.orgs.iter();
        let signatures = orgs.map(|org| body.sign(org.root())).collect();
        let signed = SignedRoster::assemble(body.clone(), signatures).unwrap();
        round.world.posting(&signed)
    };
    let root = round.world.orgs[0].root();
    assert_eq!(status(api.post_roster(&sign(&body), root).await), 403);
    let fresh = SecretKey::from_seed(&[77; 32]);
    let digest = round.world.federation.digest();
    let vrf = vrf_key(&fresh);
    let enrolment = org
        .enrol_steward(&digest, &fresh, vrf.public(), now_s())
        .unwrap();
    let enrolled = api.enrol_steward(&org.id(), &enrolment, org.root()).await;
    assert_eq!(status(enrolled), 200);
    body.stewards[3].steward = fresh.public();
    body.stewards[3].vrf = vrf.public().clone();
    assert_eq!(status(api.post_roster(&sign(&body), root).await), 200);
    round.running.shutdown().await.unwrap();
}

/// Whose owner has left has no further round; the one that runs is finished.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_owner_has_left() {
    let mut round = Collecting::with(
        |task| {
            task.rounds = 2;
            task.deadlines.keying_ms = 500;
        },
        |_| {},
    )
    .await;
    let owner = copy(round.world.orgs[0].root());
    assert_eq!(
        tell(
            &round.world,
            &round.api,
            &round.world.orgs[0],
            Change::RevokeOrganisation
        )
        .await,
        200
    );
    assert_eq!(
        status(
            round
                .api
                .post_task(
                    &round.world.task(|task| task.name = "more".to_owned()),
                    &owner
                )
                .await
        ),
        403
    );
    let devices: Vec<_> = (0..4).map(|i| round.world.device(1 + i % 2)).collect();
    for (i, device) in devices.iter().enumerate() {
        let submission = round.prepare(device, 30 + i as u64);
        let answer = round
            .put(&device.id.to_string(), &submission.to_bytes())
            .await;
        assert_eq!(answer.status, 201);
    }
    let (api, stewards) = (&round.api, &mut round.stewards);
    // The steward of the organisation that left has a seat until the round is over, and reports. What it said about the next
    // round would be refused, so it is taken out before there can be one.
    work_until_reported(api, stewards, &round.id).await;
    stewards.remove(0);
    work_through(api, stewards, &round.id, &["done"]).await;
    let result = crate::rounds::result(api, &round.id).await;
    assert_eq!(result.peek().accepted, 4);
    let next = round.context.round(2);
    work_through(api, stewards, &next, &["aborted"]).await;
    round.running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_of_another_organisation_or_one_that_expired() {
    let mut round = Collecting::new().await;
    let key = SecretKey::from_seed(&[80; 32]);
    let validity = |from: u64, seconds: u64| Validity::starting(now_s() - 100 + from, seconds);
    let world = &round.world;
    let honest = world.orgs[0]
        .issue_device(&key.public(), "d", validity(0, 86_400))
        .unwrap();
    // Another organisation's certificate beside this credential, and the other way round.
    let theirs = world.orgs[1]
        .issue_device(&key.public(), "d", validity(0, 86_400))
        .unwrap();
    let mut mixed = honest.clone();
    mixed.issuer = theirs.issuer.clone();
    let mut other = theirs.clone();
    other.issuer = honest.issuer.clone();
    // Ended before the round closes, and not begun.
    let expired = world.orgs[0]
        .issue_device(&key.public(), "d", validity(0, 101))
        .unwrap();
    let early = world.orgs[0]
        .issue_device(&key.public(), "d", validity(86_400, 100))
        .unwrap();
    // Of nobody that has registered.
    let stranger = organisation(&mut round.world, "stranger");
    let unknown = stranger
        .issue_device(&key.public(), "d", validity(0, 86_400))
        .unwrap();
    for (what, chain) in [
        ("mixed", mixed),
        ("other", other),
        ("expired", expired),
        ("early", early),
        ("unknown", unknown),
    ] {
        let device = crate::devices::Device {
            id: chain.claimed_device(),
            chain,
            key: copy(&key),
        };
        let submission = round.prepare(&device, 40);
        let answer = round
            .put(&device.id.to_string(), &submission.to_bytes())
            .await;
        assert_eq!(answer.status, 422, "{what}");
        answer.problem();
    }
    let device = crate::devices::Device {
        id: honest.claimed_device(),
        chain: honest,
        key,
    };
    let submission = round.prepare(&device, 41);
    let answer = round
        .put(&device.id.to_string(), &submission.to_bytes())
        .await;
    assert_eq!(answer.status, 201);
    round.running.shutdown().await.unwrap();
}

/// Two organisations never have one key: not by registering, not by rotating.
#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_thumbprint() {
    let mut world = World::new().await;
    let newcomer = organisation(&mut world, "newcomer");
    let (running, api) = world.start_enrolled().await;
    let digest = world.federation.digest();
    let registration = newcomer.register(&digest, now_s()).unwrap();
    let taken = world.orgs[0].rotation(&digest, newcomer.root());
    assert_eq!(tell(&world, &api, &world.orgs[0], taken).await, 200);
    assert_eq!(
        status(api.register_org(&registration, newcomer.root()).await),
        409
    );
    // To another's key, of now or of before.
    let again = world.orgs[1].rotation(&digest, newcomer.root());
    assert_eq!(tell(&world, &api, &world.orgs[1], again).await, 409);
    let former = world.orgs[1].rotation(&digest, world.orgs[0].root());
    assert_eq!(tell(&world, &api, &world.orgs[1], former).await, 409);
    let register = register(&world, &api).await;
    let keys: Vec<_> = register
        .members()
        .iter()
        .flat_map(|member| member.roots())
        .collect();
    let distinct: std::collections::BTreeSet<_> = keys.iter().map(|key| key.thumbprint()).collect();
    assert_eq!(keys.len(), distinct.len());
    running.shutdown().await.unwrap();
}
