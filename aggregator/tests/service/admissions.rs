//! How organisations come in where founders let in: whoever knows none of them takes no place in the register.

use std::sync::atomic::{AtomicBool, Ordering};

use dawn_aggregator::clock::now_s;
use dawn_identity::{
    Admission, Change, DeviceId, Digest, OrgRegistration, Organisation, SecretKey, Signed, Validity,
};
use dawn_transport::{Api, TransportError};

use crate::lifecycle::{copy, last, register, status, tell};
use crate::raw;
use crate::stage::organisation;
use crate::world::{World, api};

async fn world(k: u16) -> World {
    World::with_admission(3, 0, Admission::Approval { k }).await
}

/// An organisation that wants to come in, and its registration.
fn newcomer(world: &mut World, name: &str) -> (Organisation, Signed<OrgRegistration>) {
    let org = organisation(world, name);
    let registration = org.register(&world.federation.digest(), now_s()).unwrap();
    (org, registration)
}

async fn approve(
    world: &World,
    api: &Api,
    by: usize,
    registration: &Signed<OrgRegistration>,
) -> u16 {
    let approval = world.orgs[by].approve(registration, now_s()).unwrap();
    status(api.approve(&approval, world.orgs[by].root()).await)
}

/// A table that is full but for four places: the rows are of nobody who can be let in.
const FILL: &str = "insert into waiting_orgs (org, registration, created_ms)
     select sha256(n::text::bytea), ''::bytea, database_ms() from generate_series(1, 1020) as n";

/// Strangers race for the last places to wait, at two replicas. None of them is in the register or takes a place of a guest, and
/// a founder lets in whom it knows all the same.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_wait_outside_of_the_register() {
    let mut world = world(1).await;
    let (running, one) = world.start_enrolled().await;
    let second = world.start().await;
    let two = api(&second);
    let before = register(&world, &one).await.head();
    let leaves = world.number("select size from log_head").await;
    world.run_sql(FILL).await;
    let crowd: Vec<_> = (0..12)
        .map(|i| newcomer(&mut world, &format!("stranger {i}")))
        .collect();
    let answers =
        futures_util::future::join_all(crowd.iter().enumerate().map(|(i, (org, registration))| {
            let api = if i % 2 == 0 { &one } else { &two };
            api.register_org(registration, org.root())
        }))
        .await;
    let refused: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            Ok(()) => None,
            Err(TransportError::Problem(problem)) => Some(problem),
            Err(other) => panic!("{other}"),
        })
        .collect();
    assert_eq!(refused.len(), 8);
    for problem in refused {
        assert_eq!(problem.status, 429);
        let detail = &problem.detail;
        assert!(detail.contains("--registration FILE"), "{detail}");
    }
    let waiting = "select count(*) from waiting_orgs";
    assert_eq!(world.number(waiting).await, 1024);
    assert_eq!(register(&world, &one).await.head(), before);
    assert_eq!(world.number("select size from log_head").await, leaves);
    assert_eq!(
        world.number("select count(*) from orgs").await,
        3,
        "the founders"
    );
    // Given to a founder by hand.
    let (known, by_hand) = newcomer(&mut world, "known to a founder");
    assert_eq!(approve(&world, &one, 0, &by_hand).await, 200);
    assert_eq!(two.org(&known.id()).await.unwrap()["status"], "member");
    // What has waited for 30 days makes room, at the next registration or sweep.
    world
        .run_sql("update waiting_orgs set created_ms = created_ms - 30::bigint * 86400000")
        .await;
    let late = crowd
        .iter()
        .zip(&answers)
        .find(|(_, answer)| answer.is_err())
        .map(|((org, registration), _)| (org, registration))
        .unwrap();
    one.register_org(late.1, late.0.root()).await.unwrap();
    assert_eq!(world.number(waiting).await, 1);
    assert_eq!(one.org(&late.0.id()).await.unwrap()["status"], "pending");
    running.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

/// What waits is shown to founders as it was signed, and stays while it waits.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_shown_and_stays() {
    let mut world = world(2).await;
    let (running, api) = world.start_enrolled().await;
    let (org, registration) = newcomer(&mut world, "newcomer");
    let id = org.id();
    assert!(api.registration(&id).await.is_err());
    let body = registration.bytes();
    let post = || {
        let addr = running.local_addr();
        let purpose = dawn_identity::http_signature::Purpose::Register;
        raw::signed(addr, "POST", "/v1/orgs", body, purpose, org.root())
    };
    assert_eq!((post().await.status, post().await.status), (201, 200));
    assert_eq!(api.registration(&id).await.unwrap(), registration);
    let listed = async || {
        let all = api.orgs().await.unwrap();
        let all = all.as_array().unwrap().clone();
        let own = all.into_iter().filter(|org| org["org"] == id.to_string());
        own.map(|org| (org["status"].clone(), org["approvals"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [("pending".into(), 0.into())]);
    // Signed at another time it is the same; with another name it is refused.
    let again = org.register(&world.federation.digest(), now_s() - 5);
    assert!(api.register_org(&again.unwrap(), org.root()).await.is_ok());
    let mut renamed = registration.peek().clone();
    renamed.name = "org 1".to_owned();
    let renamed = Signed::sign(&renamed, org.root()).unwrap();
    assert_eq!(status(api.register_org(&renamed, org.root()).await), 409);
    // A founder that has been given another one approves that; the first to be approved is the one.
    assert_eq!(approve(&world, &api, 0, &registration).await, 200);
    assert_eq!(approve(&world, &api, 1, &renamed).await, 409);
    assert_eq!(listed().await, [("pending".into(), 1.into())]);
    // Forgotten by the table it is known by the register.
    world.run_sql("delete from waiting_orgs").await;
    assert_eq!(api.registration(&id).await.unwrap(), registration);
    assert_eq!(listed().await, [("pending".into(), 1.into())]);
    assert_eq!(post().await.status, 200);
    assert_eq!(approve(&world, &api, 1, &registration).await, 200);
    assert_eq!(listed().await, [("member".into(), 0.into())]);
    assert_eq!(api.registration(&id).await.unwrap(), registration);
    // Who rotates its key to one that waits cannot be: that one is refused before it waits.
    let (other, second) = newcomer(&mut world, "another");
    let change = world.orgs[2].rotation(&world.federation.digest(), other.root());
    assert_eq!(tell(&world, &api, &world.orgs[2], change).await, 200);
    assert_eq!(status(api.register_org(&second, other.root()).await), 409);
    assert_eq!(world.number("select count(*) from waiting_orgs").await, 0);
    running.shutdown().await.unwrap();
}

/// Registering, registering again and two approvals at once, at two replicas: it comes in once, and waits nowhere any more.
#[tokio::test(flavor = "multi_thread")]
async fn it_comes_in_once_whatever_happens_at_once() {
    let mut world = world(2).await;
    let (running, one) = world.start_enrolled().await;
    let second = world.start().await;
    let two = api(&second);
    for round in 0..6 {
        let (org, registration) = newcomer(&mut world, &format!("newcomer {round}"));
        let (first, other, again) = tokio::join!(
            approve(&world, &one, 0, &registration),
            approve(&world, &two, 1, &registration),
            two.register_org(&registration, org.root()),
        );
        assert_eq!((first, other, status(again)), (200, 200, 200));
        assert_eq!(one.org(&org.id()).await.unwrap()["status"], "member");
    }
    let register = register(&world, &two).await;
    assert_eq!(register.members().guests(), 6);
    assert_eq!(register.members().all_pending().count(), 0);
    assert_eq!(world.number("select count(*) from orgs").await, 3 + 6);
    // One that arrived while its organisation came in is gone with the next registration.
    let (late, registration) = newcomer(&mut world, "late");
    one.register_org(&registration, late.root()).await.unwrap();
    assert_eq!(world.number("select count(*) from waiting_orgs").await, 1);
    running.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

/// Whoever asks for an organisation, or for all, while the last founder lets it in, is shown it.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_shown_while_it_comes_in() {
    let mut world = world(2).await;
    let (running, one) = world.start_enrolled().await;
    let second = world.start().await;
    let two = api(&second);
    for round in 0..6 {
        let (org, registration) = newcomer(&mut world, &format!("newcomer {round}"));
        let id = org.id();
        // Nobody registered it: only the approval is known.
        assert_eq!(approve(&world, &one, 0, &registration).await, 200);
        let done = AtomicBool::new(false);
        let look = async |api: &Api| {
            while !done.load(Ordering::Relaxed) {
                api.org(&id).await.unwrap();
                let all = api.orgs().await.unwrap();
                let mut all = all.as_array().unwrap().iter();
                assert!(all.any(|org| org["org"] == id.to_string()));
            }
        };
        let let_in = async {
            let answer = approve(&world, &two, 1, &registration).await;
            done.store(true, Ordering::Relaxed);
            answer
        };
        let (answer, ..) = tokio::join!(let_in, look(&one), look(&one), look(&two), look(&two));
        assert_eq!(answer, 200);
        assert_eq!(one.org(&id).await.unwrap()["status"], "member");
    }
    running.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

/// Registering twice at once, signed at different times: the first stays, and no one is refused.
#[tokio::test(flavor = "multi_thread")]
async fn it_registers_twice_at_once() {
    let mut world = world(2).await;
    let (running, one) = world.start_enrolled().await;
    let second = world.start().await;
    let two = api(&second);
    let digest = world.federation.digest();
    for round in 0..8 {
        let org = organisation(&mut world, &format!("newcomer {round}"));
        let post = async |api: &Api, ago: u64| {
            let registration = org.register(&digest, now_s() - ago).unwrap();
            status(api.register_org(&registration, org.root()).await)
        };
        let answers = tokio::join!(post(&one, 0), post(&two, 1), post(&one, 2), post(&two, 3));
        assert_eq!(answers, (200, 200, 200, 200));
    }
    assert_eq!(world.number("select count(*) from waiting_orgs").await, 8);
    running.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

/// What a founder's stolen key can take: 64 places, until it is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_founder_has_so_many_open_approvals() {
    let mut world = world(2).await;
    let (running, api) = world.start_enrolled().await;
    for i in 0..64 {
        let (_, registration) = newcomer(&mut world, &format!("friend {i}"));
        assert_eq!(approve(&world, &api, 0, &registration).await, 200);
    }
    let (_, more) = newcomer(&mut world, "one more");
    assert_eq!(approve(&world, &api, 0, &more).await, 429);
    assert_eq!(approve(&world, &api, 1, &more).await, 200);
    let members = register(&world, &api).await.members().guests();
    assert_eq!(members, 65);
    let key = SecretKey::from_seed(&[60; 32]);
    let change = world.orgs[0].rotation(&world.federation.digest(), &key);
    assert_eq!(tell(&world, &api, &world.orgs[0], change).await, 200);
    assert_eq!(register(&world, &api).await.members().guests(), 1);
    running.shutdown().await.unwrap();
}

/// The organisation with another issuer, whose certificate counts at these times.
fn with_issuer(org: &Organisation, issuer: &SecretKey, times: Validity) -> Organisation {
    let certificate =
        Organisation::certify(&org.id(), org.root(), &issuer.public(), times, 7).unwrap();
    Organisation::from_parts(org.name(), copy(org.root()), copy(issuer), certificate).unwrap()
}

/// The register has no clock: that an issuer's certificate has expired or has not begun is seen where requests are signed.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_key_whose_certificate_does_not_count_now() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let (org, digest) = (&world.orgs[0], world.federation.digest());
    let issuer = SecretKey::from_seed(&[90; 32]);
    let announce = async |by: &Organisation, org: &Organisation| {
        let certificate = org.certificate().clone();
        tell(&world, &api, by, Change::Issuer { certificate }).await
    };
    let revoke = async |org: &Organisation, device: u8| {
        let devices = vec![DeviceId(Digest([device; 32]))];
        let last = last(&world, &api, &org.id()).await;
        let change = Change::RevokeDevices { devices };
        let event = org.online().event(&digest, last, change, now_s());
        status(api.revoke(&event.unwrap(), org.issuer()).await)
    };
    let post = async |org: &Organisation| {
        let mut task = world.task(|_| {}).peek().clone();
        task.issuer = org.certificate().clone();
        let task = Signed::sign(&task, org.issuer()).unwrap();
        status(api.post_task(&task, org.issuer()).await)
    };
    let expired = with_issuer(org, &issuer, Validity::starting(now_s() - 1000, 900));
    let early = with_issuer(org, &issuer, Validity::starting(now_s() + 1000, 900));
    for (device, org) in [&expired, &early].into_iter().enumerate() {
        assert_eq!(announce(org, org).await, 200);
        assert_eq!(revoke(org, device as u8).await, 401);
        assert_eq!(post(org).await, 401);
    }
    // With a certificate that counts the same key does both.
    let now = with_issuer(org, &issuer, Validity::starting(now_s() - 1000, 9000));
    assert_eq!(announce(&now, &now).await, 200);
    assert_eq!(revoke(&now, 9).await, 200);
    assert_eq!(post(&now).await, 200);
    // Whoever names it as its own, and lets that expire, does not take it from the one that has it.
    let other = with_issuer(
        &world.orgs[1],
        &issuer,
        Validity::starting(now_s() - 1000, 900),
    );
    assert_eq!(announce(&other, &other).await, 200);
    assert_eq!(revoke(&now, 10).await, 200);
    assert_eq!(revoke(&other, 11).await, 401);
    running.shutdown().await.unwrap();
}

/// What no roster would seat is not enrolled, either.
#[tokio::test(flavor = "multi_thread")]
async fn a_steward_with_a_key_of_another_purpose() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let (org, digest) = (&world.orgs[0], world.federation.digest());
    let enrol = async |steward: &SecretKey, beacon: &SecretKey| {
        let vrf = dawn_crypto::vrf::VrfSecretKey::from_seed(&beacon.to_seed());
        let enrolment = org.enrol_steward(&digest, steward, vrf.public(), now_s());
        let enrolment = enrolment.unwrap();
        status(api.enrol_steward(&org.id(), &enrolment, org.root()).await)
    };
    let fresh = |seed: u8| SecretKey::from_seed(&[seed; 32]);
    for used in [org.issuer(), world.orgs[1].root()] {
        assert_eq!(enrol(used, &fresh(90)).await, 409);
        assert_eq!(enrol(&fresh(91), used).await, 409);
    }
    assert_eq!(enrol(&fresh(91), &fresh(90)).await, 200);
    // In the register it becomes no root key: the steward of the roster.
    let change = org.rotation(&digest, &world.steward_keys[1]);
    assert_eq!(tell(&world, &api, org, change).await, 409);
    running.shutdown().await.unwrap();
}
