//! The server's keys are replaced while it runs, when they are lost, and by whom not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dawn_aggregator::config::Config;
use dawn_aggregator::keys::Keys;
use dawn_aggregator::store::StoreError;
use dawn_aggregator::store::rounds::Phase;
use dawn_aggregator::store::statements::OwnStatement;
use dawn_aggregator::store::transitions::Ending;
use dawn_aggregator::{Aggregator, StartError};
use dawn_identity::{
    FederationEvent, Members, Organisation, Register, SecretKey, ServerKey, ServerKeyChange,
    ServerRole, Signed, SignedServerKeyChange,
};
use dawn_protocol::tlog::{LogKeys, origin};
use dawn_protocol::transcript::{Kind, Record, TranscriptReader};
use dawn_protocol::{AbortReason, Aborted, Digest, RoundId, TaskContext, TaskId};
use dawn_transport::{Api, TransportError};
use rand_core::SeedableRng;

use crate::devices::announcement;
use crate::lifecycle::status;
use crate::rounds::vector;
use crate::stewards::{Steward, work_through};
use crate::world::{World, api, now_s, phase};

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// A key that waits to take over, as `dawn federation propose-key` writes it.
pub fn put_next(dir: &Path, role: ServerRole, key: &SecretKey) {
    let path = Keys::next_path(dir, role);
    std::fs::write(&path, key.to_pkcs8_pem().as_bytes()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A replica with another folder of keys, a copy of the first one's, and the same objects.
pub fn elsewhere(world: &World, name: &str) -> Config {
    let mut config = world.config();
    let (data, elsewhere) = (config.data_dir.clone(), world.dir.path().join(name));
    std::fs::create_dir_all(elsewhere.join("keys")).unwrap();
    std::os::unix::fs::symlink(data.join("objects"), elsewhere.join("objects")).unwrap();
    for name in ["keys/aggregator.pem", "keys/log.pem"] {
        std::fs::copy(data.join(name), elsewhere.join(name)).unwrap();
    }
    config.data_dir = elsewhere;
    config
}

pub async fn members(world: &World, api: &Api) -> Members {
    let mut register = Register::new(&world.federation);
    api.extend_register(&mut register, None).await.unwrap();
    register.members().clone()
}

pub fn change(members: &Members, role: ServerRole, key: &SecretKey) -> ServerKeyChange {
    let (last, previous) = members.last_server_key_change();
    ServerKeyChange {
        federation: members.federation(),
        sequence: last + 1,
        previous,
        new: ServerKey::prove(&members.federation(), role, key),
        created: now_s(),
    }
}

pub fn event(change: ServerKeyChange, by: &[&Organisation]) -> Signed<FederationEvent> {
    let signatures = by.iter().map(|org| change.sign_for(org.id(), org.root()));
    let change = SignedServerKeyChange::assemble(change, signatures.collect()).unwrap();
    by[0].post_server_key(&change).unwrap()
}

/// Two of the three founders let a key in.
pub async fn replace(world: &World, api: &Api, role: ServerRole, key: &SecretKey) {
    let change = change(&members(world, api).await, role, key);
    let by = [&world.orgs[1], &world.orgs[0]];
    let posted = event(change, &by);
    api.replace_server_key(&posted, by[0].root()).await.unwrap();
}

async fn submit(world: &mut World, api: &Api, context: &TaskContext, after: u32) {
    let announced = announcement(api, context, after).await;
    for (i, device) in world.devices(4).iter().enumerate() {
        let submission = device.prepare(context, &announced, &vector(i), i as u64);
        device.submit(api, &announced, &submission).await.unwrap();
    }
}

/// The first round from this number on that collects. One that was specified under the key before is aborted.
async fn next_round(api: &Api, stewards: &mut [Steward], task: &TaskId, from: u32) -> u32 {
    for number in from.. {
        let round = RoundId::new(*task, number);
        work_through(api, stewards, &round, &["collecting", "aborted"]).await;
        let (phase, reason) = phase(api, task, number).await;
        if phase == "collecting" {
            return number;
        }
        assert_eq!(reason.as_deref(), Some("key-replaced"));
    }
    unreachable!("rounds have numbers")
}

async fn checkpoint(world: &World, api: &Api) -> Result<(), TransportError> {
    let note = api.log_checkpoint().await?;
    let keys = LogKeys::newest(&members(world, api).await);
    let name = origin(&world.federation.digest());
    keys.checkpoint(&note, &name).unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_is_replaced_and_the_next_round_is_under_the_new_one() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|task| task.rounds = 6);
    let mut context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards: Vec<Steward> = world.stewards(&context);
    let id = context.id();
    let round = |number| RoundId::new(id, number);
    let one = round(1);
    work_through(&api, &mut stewards, &one, &["collecting"]).await;
    submit(&mut world, &api, &context, 0).await;
    work_through(&api, &mut stewards, &one, &["done"]).await;
    checkpoint(&world, &api).await.unwrap();
    // The process does not have the new keys yet.
    let url = running.url();
    running.shutdown().await.unwrap();
    let keys = world.dir.path().join("data/keys");
    put_next(&keys, ServerRole::Aggregator, &key(70));
    put_next(&keys, ServerRole::Log, &key(71));
    let running = world.start().await;
    let api = crate::world::api(&running);
    assert_ne!(url, running.url());
    replace(&world, &api, ServerRole::Aggregator, &key(70)).await;
    replace(&world, &api, ServerRole::Log, &key(71)).await;
    checkpoint(&world, &api).await.unwrap();
    api.log_head()
        .await
        .unwrap()
        .verify(&key(71).public())
        .unwrap();
    let info = api.aggregator().await.unwrap();
    assert_eq!(info.aggregator_key, key(70).public());
    assert_eq!(info.log_key, key(71).public());
    // The founding document again is still the one that is served.
    api.post_federation(world.federation.document(), world.orgs[0].root())
        .await
        .unwrap();
    // It goes on under the new key.
    context = context
        .under_roster_in_force(&members(&world, &api).await)
        .unwrap();
    stewards
        .iter_mut()
        .for_each(|steward| steward.go_on(&context));
    let second = next_round(&api, &mut stewards, &id, 2).await;
    let announced = announcement(&api, &context, second - 1).await;
    assert_eq!(announced.spec.signer(), key(70).public().id());
    submit(&mut world, &api, &context, second - 1).await;
    work_through(&api, &mut stewards, &round(second), &["done"]).await;
    // In the middle of the one after that, when its list is closed.
    let number = second + 1;
    let three = round(number);
    work_through(&api, &mut stewards, &three, &["collecting"]).await;
    submit(&mut world, &api, &context, second).await;
    work_through(&api, &mut stewards, &three, &["challenging", "reporting"]).await;
    running.shutdown().await.unwrap();
    put_next(&keys, ServerRole::Aggregator, &key(72));
    // The key that served is where the runbook puts it.
    std::fs::write(
        keys.join("aggregator.pem"),
        key(70).to_pkcs8_pem().as_bytes(),
    )
    .unwrap();
    let running = world.start().await;
    let api = crate::world::api(&running);
    replace(&world, &api, ServerRole::Aggregator, &key(72)).await;
    work_through(&api, &mut [], &three, &["aborted"]).await;
    let (_, reason) = phase(&api, &id, number).await;
    assert_eq!(reason.as_deref(), Some("key-replaced"));
    let end = api.statements(&three).await.unwrap().pop().unwrap();
    let end = Signed::<Aborted>::from_bytes(&end.envelope).unwrap();
    assert_eq!(end.peek().reason, AbortReason::KeyReplaced);
    end.verify(&key(72).public()).unwrap();
    // Its transcript has the register up to the key that ended it.
    let mut bytes = Vec::new();
    api.download_transcript(&three, 1 << 24, &mut bytes)
        .await
        .unwrap();
    let mut reader = TranscriptReader::new(&bytes[..]);
    let mut later = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        if let Record::Later(entry) = &record {
            later.push(entry.clone());
        }
        assert!(record.kind() != Kind::Result);
    }
    let later: Vec<_> = later
        .iter()
        .map(|entry| Signed::<FederationEvent>::from_bytes(entry).unwrap())
        .collect();
    assert_eq!(later.len(), 1);
    assert_eq!(*later[0].peek().change.peek().new.key(), key(72).public());
    // And the next one opens under it.
    context = context
        .under_roster_in_force(&members(&world, &api).await)
        .unwrap();
    stewards
        .iter_mut()
        .for_each(|steward| steward.go_on(&context));
    let last = next_round(&api, &mut stewards, &id, number + 1).await;
    let announced = announcement(&api, &context, last - 1).await;
    assert_eq!(announced.spec.signer(), key(72).public().id());
    submit(&mut world, &api, &context, last - 1).await;
    work_through(&api, &mut stewards, &round(last), &["done"]).await;
    // What is in the log after a change is under its key.
    let mut register = Register::new(&world.federation);
    for entry in api.log_entries(0, 1000).await.unwrap() {
        let _ = register.push(&entry.envelope);
        let envelope = dawn_identity::Envelope::parse(&entry.envelope, 1 << 16);
        let Ok(envelope) = envelope else { continue };
        let kinds = [
            "round-spec",
            "closed",
            "challenge",
            "verdict",
            "result",
            "aborted",
        ];
        if kinds.contains(&envelope.kind()) {
            envelope.verify(register.members().aggregator()).unwrap();
        }
    }
    assert_eq!(register.members().aggregators().len(), 3);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_founders_have_not_decided_is_refused() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let members = members(&world, &api).await;
    let [a, b, c] = [0, 1, 2].map(|at| &world.orgs[at]);
    let honest = change(&members, ServerRole::Aggregator, &key(70));
    let post = async |event: &Signed<FederationEvent>, root: &SecretKey| {
        status(api.replace_server_key(event, root).await)
    };
    // Too few; by another request's key; by who is no founder.
    assert_eq!(post(&event(honest, &[a]), a.root()).await, 422);
    assert_eq!(post(&event(honest, &[a, b]), b.root()).await, 401);
    assert_eq!(post(&event(honest, &[a, b]), &key(70)).await, 401);
    let stolen = Keys::open_or_create(&world.dir.path().join("data/keys")).unwrap();
    assert_eq!(post(&event(honest, &[a, b]), &stolen.aggregator).await, 401);
    let guest = Organisation::generate(
        "guest",
        dawn_identity::Validity::starting(now_s() - 10, 10_000),
        &mut rand_chacha::ChaCha20Rng::from_seed([9; 32]),
    )
    .unwrap();
    let registration = guest.register(&world.federation.digest(), now_s()).unwrap();
    api.register_org(&registration, guest.root()).await.unwrap();
    assert_eq!(
        post(&event(honest, &[&guest, a, b]), guest.root()).await,
        403
    );
    assert_eq!(post(&event(honest, &[a, b, &guest]), a.root()).await, 403);
    // Of another federation, out of turn, of a key that is somebody's.
    let mut other = honest;
    other.federation = Digest([9; 32]);
    assert_eq!(post(&event(other, &[a, b]), a.root()).await, 422);
    let mut gap = honest;
    gap.sequence = 2;
    assert_eq!(post(&event(gap, &[a, b]), a.root()).await, 409);
    for taken in [&stolen.log, c.root(), &world.steward_keys[2]] {
        let change = change(&members, ServerRole::Aggregator, taken);
        assert_eq!(post(&event(change, &[a, b]), a.root()).await, 409);
    }
    assert_eq!(
        world
            .number("select count(*) from register where kind = 'federation-event'")
            .await,
        0
    );
    // One that counts, again by the same and by another founder, and the others' that were the next one until then.
    let posted = event(honest, &[a, b]);
    assert_eq!(post(&posted, a.root()).await, 200);
    assert_eq!(post(&posted, a.root()).await, 200);
    let by_b = b.post_server_key(&posted.peek().change).unwrap();
    assert_eq!(post(&by_b, b.root()).await, 200);
    let fork = change(&members, ServerRole::Aggregator, &key(71));
    assert_eq!(post(&event(fork, &[a, b]), a.root()).await, 409);
    assert_eq!(
        world
            .number("select count(*) from register where kind = 'federation-event'")
            .await,
        1
    );
    running.shutdown().await.unwrap();
}

/// The key files are gone. The server serves what it has, takes the founders' change, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn lost_keys_are_replaced_without_the_old_ones() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|_| {});
    let mut context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards: Vec<Steward> = world.stewards(&context);
    work_through(&api, &mut stewards, &context.round(1), &["collecting"]).await;
    running.shutdown().await.unwrap();
    let keys = world.dir.path().join("data/keys");
    for role in [ServerRole::Aggregator, ServerRole::Log] {
        std::fs::remove_file(keys.join(format!("{role}.pem"))).unwrap();
    }
    // Without a key that waits a new one is made, and it is nobody's.
    let started = Aggregator::start(world.config()).await;
    assert!(matches!(started, Err(StartError::Federation(_))));
    for role in [ServerRole::Aggregator, ServerRole::Log] {
        std::fs::remove_file(keys.join(format!("{role}.pem"))).unwrap();
    }
    put_next(&keys, ServerRole::Aggregator, &key(70));
    put_next(&keys, ServerRole::Log, &key(71));
    let running = world.start().await;
    let api = crate::world::api(&running);
    // It signs nothing, and says why.
    let asked = checkpoint(&world, &api).await.unwrap_err();
    assert_eq!(asked.status(), Some(503));
    assert!(asked.to_string().contains("founders"), "{asked}");
    assert_eq!(api.log_head().await.unwrap_err().status(), Some(503));
    replace(&world, &api, ServerRole::Log, &key(71)).await;
    checkpoint(&world, &api).await.unwrap();
    assert_eq!(phase(&api, &context.id(), 1).await.0, "collecting");
    replace(&world, &api, ServerRole::Aggregator, &key(70)).await;
    work_through(&api, &mut [], &context.round(1), &["aborted"]).await;
    assert!(!keys.join("aggregator.pem").exists());
    let members = members(&world, &api).await;
    context = context.under_roster_in_force(&members).unwrap();
    stewards
        .iter_mut()
        .for_each(|steward| steward.go_on(&context));
    let two = context.round(2);
    work_through(&api, &mut stewards, &two, &["collecting"]).await;
    submit(&mut world, &api, &context, 1).await;
    work_through(&api, &mut stewards, &two, &["done"]).await;
    running.shutdown().await.unwrap();
}

/// Two replicas, of which one is not given the new key: it signs nothing any more, and holds up nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_with_the_old_key_signs_nothing_after_the_change() {
    let mut world = World::new().await;
    let (old, old_api) = world.start_enrolled().await;
    let task = world.task(|_| {});
    let mut context = world.context(&task);
    old_api
        .post_task(&task, world.orgs[0].issuer())
        .await
        .unwrap();
    let mut stewards: Vec<Steward> = world.stewards(&context);
    work_through(&old_api, &mut stewards, &context.round(1), &["collecting"]).await;
    let before = announcement(&old_api, &context, 0).await;
    let config = elsewhere(&world, "new");
    for (role, seed) in [(ServerRole::Aggregator, 70), (ServerRole::Log, 71)] {
        put_next(&config.data_dir.join("keys"), role, &key(seed));
    }
    let new = Aggregator::start(config).await.unwrap();
    let new_api = api(&new);
    // Posted to the one that does not have them.
    replace(&world, &old_api, ServerRole::Aggregator, &key(70)).await;
    replace(&world, &old_api, ServerRole::Log, &key(71)).await;
    work_through(&new_api, &mut [], &context.round(1), &["aborted"]).await;
    assert_eq!(
        checkpoint(&world, &old_api).await.unwrap_err().status(),
        Some(503)
    );
    assert_eq!(old_api.log_head().await.unwrap_err().status(), Some(503));
    checkpoint(&world, &new_api).await.unwrap();
    // A device that still has the old round.
    let device = world.device(0);
    let submission = device.prepare(&context, &before, &vector(0), 1);
    for api in [&old_api, &new_api] {
        assert!(device.submit(api, &before, &submission).await.is_err());
    }
    let members = members(&world, &new_api).await;
    context = context.under_roster_in_force(&members).unwrap();
    stewards
        .iter_mut()
        .for_each(|steward| steward.go_on(&context));
    let two = context.round(2);
    // Stewards may talk to the old one: it takes what they say.
    work_through(&old_api, &mut stewards, &two, &["collecting"]).await;
    let announced = announcement(&old_api, &context, 1).await;
    assert_eq!(announced.spec.signer(), key(70).public().id());
    // Devices get no receipt there.
    let submission = device.prepare(&context, &announced, &vector(0), 1);
    let refused = device.submit(&old_api, &announced, &submission).await;
    assert!(refused.is_err());
    submit(&mut world, &new_api, &context, 1).await;
    work_through(&new_api, &mut stewards, &two, &["done"]).await;
    old.shutdown().await.unwrap();
    new.shutdown().await.unwrap();
    // Nor does it start again.
    let started = Aggregator::start(world.config()).await;
    assert!(matches!(started, Err(StartError::Federation(_))));
}

/// What was signed before the change is not stored after it, at whichever replica it was signed.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_before_the_change_is_not_stored_after_it() {
    let world = World::new().await;
    let mut config = world.config();
    config.worker = false;
    let running = Aggregator::start(config).await.unwrap();
    let api = api(&running);
    world.enrol(&api).await;
    let task = world.task(|_| {});
    let round = world.context(&task).round(1);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let ending = |era| {
        let statement = Aborted {
            round,
            session: None,
            reason: AbortReason::TooFewSealingKeys,
            detail: String::new(),
            model: Digest([1; 32]),
            previous: None,
            direction: None,
            draw: None,
        };
        let signed = Signed::sign(&statement, &running.app().keys.aggregator).unwrap();
        Ending {
            statement: OwnStatement {
                kind: "aborted",
                envelope: signed.bytes().to_vec(),
                body: signed.body_digest(),
                era,
            },
            phase: Phase::Aborted,
            next_model: None,
            abort_reason: Some("too-few-sealing-keys"),
            next: None,
            now_ms: 1,
        }
    };
    let finish = async |era| {
        let weighed = ("sealing-key", 0);
        let store = &running.app().store;
        store
            .finish_round(&round, Phase::Keying, weighed, &ending(era))
            .await
    };
    let size = || async { running.app().store.log_size().await.unwrap() };
    let members = members(&world, &api).await;
    let by = [&world.orgs[0], &world.orgs[1]];
    let posted = event(change(&members, ServerRole::Aggregator, &key(70)), &by);
    api.replace_server_key(&posted, by[0].root()).await.unwrap();
    let before = size().await;
    assert!(matches!(finish(0).await, Err(StoreError::KeyReplaced)));
    assert_eq!(size().await, before);
    assert_eq!(phase(&api, &round.task, 1).await.0, "keying");
    finish(1).await.unwrap();
    assert_eq!(size().await, before + 1);
    running.shutdown().await.unwrap();
}
