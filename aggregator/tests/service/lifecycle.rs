//! The life of an organisation over REST: keys change, trust is taken back, founders approve; one history whatever happens at
//! once.

use std::collections::{BTreeMap, BTreeSet};

use dawn_aggregator::clock::now_s;
use dawn_identity::http_signature::Purpose;
use dawn_identity::{
    Change, DeviceId, Digest, OrgId, Organisation, PublicKey, Register, SecretKey, Signed, Validity,
};
use dawn_transport::{Api, TransportError};

use crate::raw;
use crate::stage::organisation;
use crate::world::{World, api};

pub fn status(outcome: Result<(), TransportError>) -> u16 {
    match outcome {
        Ok(()) => 200,
        Err(TransportError::Problem(problem)) => problem.status,
        Err(other) => panic!("{other}"),
    }
}

pub async fn register(world: &World, api: &Api) -> Register {
    let mut register = Register::new(&world.federation);
    api.extend_register(&mut register, None).await.unwrap();
    register
}

pub async fn last(world: &World, api: &Api, org: &OrgId) -> (u64, Digest) {
    let register = register(world, api).await;
    let member = register.members().get(org).unwrap();
    (member.sequence(), member.head().unwrap())
}

/// Posts the next event of an organisation; gives the status.
pub async fn tell(world: &World, api: &Api, org: &Organisation, change: Change) -> u16 {
    let last = last(world, api, &org.id()).await;
    let rotation = change.is_rotation();
    let digest = world.federation.digest();
    let event = org.event(&digest, last, change, now_s()).unwrap();
    status(if rotation {
        api.rotate(&event, org.root()).await
    } else {
        api.revoke(&event, org.root()).await
    })
}

pub fn copy(key: &SecretKey) -> SecretKey {
    SecretKey::from_seed(&key.to_seed())
}

/// The organisation with another root key.
pub fn with_root(org: &Organisation, root: &SecretKey) -> Organisation {
    let validity = Validity::starting(now_s() - 60, 86_400);
    let issuer = copy(org.issuer());
    let certificate =
        Organisation::certify(&org.id(), root, &issuer.public(), validity, 2).unwrap();
    Organisation::from_parts(org.name(), copy(root), issuer, certificate).unwrap()
}

fn device(n: u8) -> Change {
    let devices = vec![DeviceId(Digest([n; 32]))];
    Change::RevokeDevices { devices }
}

/// 64 clients rotate and revoke the same organisation at once, at two replicas.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_make_one_history() {
    let world = World::new().await;
    let (one, first) = world.start_enrolled().await;
    let two = world.start().await;
    let second = api(&two);
    let (org, digest) = (&world.orgs[0], world.federation.digest());
    // Eight of them replace the root key: whoever comes later signs with the one that counts then.
    let roots: Vec<SecretKey> = (0..8)
        .map(|i| SecretKey::from_seed(&[100 + i; 32]))
        .collect();
    let known: BTreeMap<PublicKey, &SecretKey> = roots
        .iter()
        .chain([org.root()])
        .map(|root| (root.public(), root))
        .collect();
    let (roots, known, world_ref) = (&roots, &known, &world);
    let clients = (0..64_u8).map(|i| {
        let api = if i % 2 == 0 {
            first.clone()
        } else {
            second.clone()
        };
        async move {
            for attempt in 1..=500 {
                let register = register(world_ref, &api).await;
                let member = register.members().get(&org.id()).unwrap();
                let now = with_root(org, known[member.root()]);
                let change = match i {
                    0..8 => org.rotation(&digest, &roots[usize::from(i)]),
                    8..16 => {
                        let key = SecretKey::from_seed(&[i; 32]).public();
                        let validity = Validity::starting(now_s(), 1000);
                        let root = known[member.root()];
                        let certificate =
                            Organisation::certify(&org.id(), root, &key, validity, u64::from(i));
                        Change::Issuer {
                            certificate: certificate.unwrap(),
                        }
                    }
                    _ => device(i),
                };
                let last = (member.sequence(), member.head().unwrap());
                let event = now.event(&digest, last, change, now_s()).unwrap();
                let outcome = match event.peek().change.is_rotation() {
                    true => api.rotate(&event, now.root()).await,
                    false => api.revoke(&event, now.root()).await,
                };
                match status(outcome) {
                    200 => return (event.peek().sequence, attempt),
                    // Somebody was faster, or has replaced the key meanwhile.
                    409 | 401 => {}
                    other => panic!("{other}"),
                }
            }
            panic!("never got through");
        }
    });
    let done: Vec<(u64, u32)> = futures_util::future::join_all(clients).await;
    let sequences: BTreeSet<u64> = done.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(
        sequences,
        (1..=64).collect(),
        "every event has its own place, none is lost"
    );
    assert!(
        done.iter().any(|(_, attempts)| *attempts > 1),
        "they did race"
    );
    // Both replicas tell the same, and the database holds it in the order of the log.
    let (at_one, at_two) = (
        register(&world, &first).await,
        register(&world, &second).await,
    );
    assert_eq!(at_one.head(), at_two.head());
    assert_eq!(at_one.head().entries, 3 + 1 + 64);
    let member = at_one.members().get(&org.id()).unwrap();
    assert_eq!(member.sequence(), 64);
    assert_eq!(member.roots().count(), 9);
    assert_eq!(member.issuers().count(), 1 + 8);
    for i in 16..64 {
        assert!(member.check_device(&DeviceId(Digest([i; 32]))).is_err());
    }
    let disorder = "select count(*) from register a join register b on a.position < b.position and a.log_index >= b.log_index";
    assert_eq!(world.number(disorder).await, 0);
    crate::log::check(&world, &second).await;
    one.shutdown().await.unwrap();
    two.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_is_shown_and_may_be_told_again() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let (org, digest) = (&world.orgs[0], world.federation.digest());
    let before = api.org(&org.id()).await.unwrap();
    assert_eq!(
        (&before["status"], &before["sequence"]),
        (&"member".into(), &0.into())
    );
    assert_eq!(
        before["thumbprint"],
        org.root().public().thumbprint().to_string()
    );
    let event = org
        .event(
            &digest,
            last(&world, &api, &org.id()).await,
            device(1),
            now_s(),
        )
        .unwrap();
    let path = format!("/v1/orgs/{}/revocations", org.id());
    let addr = running.local_addr();
    let post = |body: Vec<u8>, path: String, purpose| async move {
        raw::signed(addr, "POST", &path, &body, purpose, org.root())
            .await
            .status
    };
    assert_eq!(
        post(event.bytes().to_vec(), path.clone(), Purpose::Revoke).await,
        201
    );
    assert_eq!(
        post(event.bytes().to_vec(), path.clone(), Purpose::Revoke).await,
        200
    );
    // At the wrong place, of another organisation, by another key than the one that signed the event.
    let keys = format!("/v1/orgs/{}/keys", org.id());
    let next = org
        .event(
            &digest,
            last(&world, &api, &org.id()).await,
            device(2),
            now_s(),
        )
        .unwrap();
    assert_eq!(
        post(next.bytes().to_vec(), keys, Purpose::Rotate).await,
        422
    );
    let other = format!("/v1/orgs/{}/revocations", world.orgs[1].id());
    assert_eq!(
        post(next.bytes().to_vec(), other.clone(), Purpose::Revoke).await,
        401
    );
    let theirs = raw::signed(
        addr,
        "POST",
        &other,
        next.bytes(),
        Purpose::Revoke,
        world.orgs[1].root(),
    )
    .await;
    assert_eq!(theirs.status, 403);
    let by_issuer = raw::signed(
        addr,
        "POST",
        &path,
        next.bytes(),
        Purpose::Revoke,
        org.issuer(),
    )
    .await;
    assert_eq!(by_issuer.status, 403);
    // A device is revoked with the issuer key alone.
    let last_now = last(&world, &api, &org.id()).await;
    let event = org
        .online()
        .event(&digest, last_now, device(3), now_s())
        .unwrap();
    assert_eq!(status(api.revoke(&event, org.issuer()).await), 200);
    // An event that others came before.
    assert_eq!(
        post(next.bytes().to_vec(), path, Purpose::Revoke).await,
        409
    );
    let after = api.org(&org.id()).await.unwrap();
    assert_eq!(after["sequence"], 2);
    assert_eq!(after["head"], event.body_digest().to_string());
    assert_eq!(
        tell(&world, &api, org, Change::RevokeOrganisation).await,
        200
    );
    assert_eq!(api.org(&org.id()).await.unwrap()["status"], "revoked");
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn founders_let_in_by_approval() {
    let mut world = World::with_admission(3, 0, dawn_identity::Admission::Approval { k: 2 }).await;
    let newcomer = organisation(&mut world, "newcomer");
    let (running, api) = world.start_enrolled().await;
    let digest = world.federation.digest();
    let registration = newcomer.register(&digest, now_s()).unwrap();
    let approve = |by: usize| {
        let approval = world.orgs[by].approve(&registration, now_s()).unwrap();
        let (api, root) = (&api, world.orgs[by].root());
        async move { status(api.approve(&approval, root).await) }
    };
    api.register_org(&registration, newcomer.root())
        .await
        .unwrap();
    let shown = |field: &'static str| {
        let (api, id) = (&api, newcomer.id());
        async move { api.org(&id).await.unwrap()[field].clone() }
    };
    assert_eq!(shown("status").await, "pending");
    // It has no voice yet, and does not approve itself in.
    let steward = SecretKey::from_seed(&[9; 32]);
    let vrf = crate::world::vrf_key(&steward);
    let enrolment = newcomer
        .enrol_steward(&digest, &steward, vrf.public(), now_s())
        .unwrap();
    let enrolled = api
        .enrol_steward(&newcomer.id(), &enrolment, newcomer.root())
        .await;
    assert_eq!(status(enrolled), 404);
    let body = world.orgs[0]
        .approve(&registration, now_s())
        .unwrap()
        .peek()
        .clone();
    let own = Signed::sign(&body, newcomer.root()).unwrap();
    assert_eq!(status(api.approve(&own, newcomer.root()).await), 401);
    assert_eq!(approve(0).await, 200);
    assert_eq!(
        (shown("status").await, shown("approvals").await),
        ("pending".into(), 1.into())
    );
    assert_eq!(approve(1).await, 200);
    assert_eq!(shown("status").await, "member");
    let enrolled = api
        .enrol_steward(&newcomer.id(), &enrolment, newcomer.root())
        .await;
    assert_eq!(status(enrolled), 200);
    // The founders, the roster, two approvals.
    assert_eq!(register(&world, &api).await.head().entries, 3 + 1 + 2);
    running.shutdown().await.unwrap();
}

/// Enrolments of one root key are bounded, however many are sent at once; what is enrolled stays, and another root key has
/// room again: whoever steals one cannot keep the organisation from ever seating a steward.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_key_enrols_sixty_four_stewards() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let (org, digest) = (&world.orgs[0], world.federation.digest());
    let path = format!("/v1/orgs/{}/steward", org.id());
    let put = async |org: &Organisation, seed: u8| {
        let key = SecretKey::from_seed(&[seed; 32]);
        let vrf = crate::world::vrf_key(&key);
        let enrolment = org
            .enrol_steward(&digest, &key, vrf.public(), now_s())
            .unwrap();
        let (addr, body) = (running.local_addr(), enrolment.bytes());
        raw::signed(addr, "PUT", &path, body, Purpose::EnrolSteward, org.root()).await
    };
    // One is enrolled already.
    let answers = futures_util::future::join_all((0..70).map(|seed| put(org, seed))).await;
    let with = |status: u16| answers.iter().filter(move |answer| answer.status == status);
    assert_eq!((with(201).count(), with(429).count()), (63, 7));
    let problem = with(429).next().unwrap().problem();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("64 stewards"), "{detail}");
    let stewards = "select count(*) from stewards";
    assert_eq!(world.number(stewards).await, 64 + 2);
    // The same again is the same, whatever is full.
    let enrolled = answers.iter().position(|answer| answer.status == 201);
    let again = put(org, u8::try_from(enrolled.unwrap()).unwrap()).await;
    assert_eq!(again.status, 200);
    // Others have their own.
    let key = SecretKey::from_seed(&[90; 32]);
    let other = &world.orgs[1];
    let vrf = crate::world::vrf_key(&key);
    let enrolment = other
        .enrol_steward(&digest, &key, vrf.public(), now_s())
        .unwrap();
    let outcome = api
        .enrol_steward(&other.id(), &enrolment, other.root())
        .await;
    assert_eq!(status(outcome), 200);
    // Another root key.
    let root = SecretKey::from_seed(&[91; 32]);
    assert_eq!(
        tell(&world, &api, org, org.rotation(&digest, &root)).await,
        200
    );
    let new = with_root(org, &root);
    assert_eq!(put(&new, 92).await.status, 201);
    let shown = api.org(&org.id()).await.unwrap();
    let shown = shown["stewards"].as_array().unwrap();
    assert_eq!(shown.len(), 64, "the newest");
    let newest = SecretKey::from_seed(&[92; 32]).public().to_string();
    assert_eq!(shown[63]["steward_key"], newest.as_str());
    running.shutdown().await.unwrap();
}
