//! What waits for what: strangers for each other at most, never uploads or members for them.

use std::time::Duration;

use dawn_aggregator::Running;
use dawn_aggregator::clock::now_ms;
use dawn_aggregator::nonces::Nonce;
use dawn_aggregator::store::nonces::{Quota, Taken};
use dawn_identity::http_signature::Purpose;
use dawn_identity::{OrgRegistration, Organisation, SecretKey, Signed};
use sqlx::{Connection, PgConnection};
use tokio::time::error::Elapsed;

use crate::raw;
use crate::stage::organisation;
use crate::submissions::Collecting;
use crate::world::{World, now_s, wait_for_phase};

/// Long for a few statements, short beside the lock timeout of the store.
const SOON: Duration = Duration::from_secs(5);

/// Waits until somebody in this database waits for a lock.
async fn until_somebody_waits(world: &World) {
    for _ in 0..500 {
        if world
            .number("select count(*) from pg_locks where not granted")
            .await
            > 0
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits");
}

/// A connection that can hold what others wait for.
async fn connection(world: &World) -> PgConnection {
    PgConnection::connect(world.postgres.url()).await.unwrap()
}

/// Somebody who wants to register while something is held.
struct Newcomer {
    organisation: Organisation,
    registration: Signed<OrgRegistration>,
}

impl Newcomer {
    fn new(world: &mut World) -> Self {
        let organisation = organisation(world, "newcomer");
        let registration = organisation.register(&world.federation.digest(), now_s());
        Self {
            registration: registration.unwrap(),
            organisation,
        }
    }

    /// The answer's status; an error when it does not come soon.
    async fn register(&self, running: &Running) -> Result<u16, Elapsed> {
        let registered = raw::signed(
            running.local_addr(),
            "POST",
            "/v1/orgs",
            self.registration.bytes(),
            Purpose::Register,
            self.organisation.root(),
        );
        let registered = tokio::time::timeout(SOON, registered).await;
        registered.map(|answer| answer.status)
    }
}

/// An upload that is in the middle of its transaction stops nobody who registers, and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_strangers_do_not_wait_for_each_other() {
    let mut round = Collecting::new().await;
    let device = round.world.device(0);
    let submission = round.prepare(&device, 1).to_bytes();
    let newcomer = Newcomer::new(&mut round.world);
    let mut connection = connection(&round.world).await;
    let mut held = connection.begin().await.unwrap();
    sqlx::query("lock table submissions in share row exclusive mode")
        .execute(&mut *held)
        .await
        .unwrap();
    let name = device.id.to_string();
    let (upload, registered) = tokio::join!(round.put(&name, &submission), async {
        until_somebody_waits(&round.world).await;
        let status = newcomer.register(&round.running).await;
        held.rollback().await.unwrap();
        status
    });
    let registered = registered.expect("a stranger waits for an upload");
    assert_eq!((registered, upload.status), (201, 201));
}

/// A round with many submissions takes its time to close: whoever else has something to log does not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_the_list_of_a_round_that_closes() {
    let mut round = Collecting::new().await;
    let newcomer = Newcomer::new(&mut round.world);
    let mut connection = connection(&round.world).await;
    let devices = round.world.devices(4);
    let submit = async |seed: usize| {
        let device = &devices[seed];
        let submission = round.prepare(device, seed as u64).to_bytes();
        let answer = round.put(&device.id.to_string(), &submission).await;
        assert_eq!(answer.status, 201);
    };
    submit(0).await;
    // As slow as it gets: the place of the first submission cannot be written.
    let mut held = connection.begin().await.unwrap();
    sqlx::query("select 1 from submissions for update")
        .execute(&mut *held)
        .await
        .unwrap();
    for seed in 1..4 {
        submit(seed).await;
    }
    until_somebody_waits(&round.world).await;
    let registered = newcomer.register(&round.running).await;
    let registered = registered.expect("a stranger waits for a round that closes");
    assert_eq!(registered, 201);
    held.rollback().await.unwrap();
    wait_for_phase(&round.api, &round.id, "challenging").await;
    round.running.shutdown().await.unwrap();
}

/// A stranger whose transaction is slow holds up those strangers only that are within the quota.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_over_the_quota_and_who_is_a_member_wait_for_no_stranger() {
    let world = World::new().await;
    let running = world.start().await;
    let store = &running.app().store;
    let nonce = |id: u8| Nonce {
        id: [id; 16],
        expires_ms: now_ms() + 300_000,
    };
    let key = |seed: u8| SecretKey::from_seed(&[seed; 32]).public().thumbprint();
    let used = async |connection: &mut PgConnection, id: u8| {
        sqlx::query(
            "insert into used_nonces (nonce, key, purpose, stranger, used_ms, expires_ms)
             values ($1, $2, 'dawn-org-register', true, $3, $4)",
        )
        .bind(&[id; 16][..])
        .bind(&key(id).as_bytes()[..])
        .bind(i64::try_from(now_ms()).unwrap())
        .bind(i64::try_from(now_ms() + 300_000).unwrap())
        .execute(connection)
        .await
        .unwrap();
    };
    // Somebody takes the nonce of the slow one and does not commit.
    let mut connection = connection(&world).await;
    let mut held = connection.begin().await.unwrap();
    used(&mut held, 1).await;
    let (slow, member, key_of_slow) = (nonce(1), nonce(2), key(1));
    let quota = Quota::Strangers(3);
    let (slow, (over, member)) = tokio::join!(
        store.take_nonce(&slow, &key_of_slow, Purpose::Register, quota),
        async {
            until_somebody_waits(&world).await;
            let mut other = PgConnection::connect(world.postgres.url()).await.unwrap();
            for id in 11..14 {
                used(&mut other, id).await;
            }
            let (crowd, key_of_crowd, key_of_member) = (nonce(3), key(3), key(2));
            let over = store.take_nonce(&crowd, &key_of_crowd, Purpose::Register, quota);
            let over = tokio::time::timeout(SOON, over).await;
            let quota = Quota::Key(3);
            let member = store.take_nonce(&member, &key_of_member, Purpose::Register, quota);
            let member = tokio::time::timeout(SOON, member).await;
            held.rollback().await.unwrap();
            (over, member)
        }
    );
    let over = over.expect("who is over the quota waits").unwrap();
    let member = member.expect("a member waits").unwrap();
    assert_eq!(
        (slow.unwrap(), over, member),
        (Taken::Now, Taken::TooMany, Taken::Now)
    );
    running.shutdown().await.unwrap();
}

/// A nonce that is over is not taken, whatever a replica's own clock says of it: its row may be gone.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_says_what_is_over() {
    let world = World::new().await;
    let running = world.start().await;
    let store = &running.app().store;
    let key = SecretKey::from_seed(&[1; 32]).public().thumbprint();
    let nonce = |id: u8, expires_ms: u64| Nonce {
        id: [id; 16],
        expires_ms,
    };
    let take = async |nonce: Nonce| {
        store
            .take_nonce(&nonce, &key, Purpose::Register, Quota::Key(10))
            .await
            .unwrap()
    };
    // A replica whose clock is ten minutes late believes that this one has half of them left.
    let old = nonce(1, now_ms() - 300_000);
    for _ in 0..2 {
        assert_eq!(take(old).await, Taken::Expired);
        store.forget_nonces().await.unwrap();
    }
    // What is good is taken once; a while after it is over it is forgotten, and still not taken again.
    let good = nonce(2, now_ms() + 1500);
    assert_eq!(
        (take(good).await, take(good).await),
        (Taken::Now, Taken::Before)
    );
    tokio::time::sleep(Duration::from_millis(1600)).await;
    assert_eq!(store.forget_nonces().await.unwrap(), 0, "it still counts");
    assert_eq!(take(good).await, Taken::Expired);
    running.shutdown().await.unwrap();
}
