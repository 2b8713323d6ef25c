//! A server with its members, and an organisation that wants to be one: what forged requests are tried on.

use std::net::SocketAddr;

use dawn_aggregator::clock::now_s;
use dawn_aggregator::{Aggregator, Running};
use dawn_identity::http_signature::{Parameters, Purpose, SignedHeaders};
use dawn_identity::{OrgRegistration, Organisation, SecretKey, Signed, Validity};

use crate::raw::{self, Answer};
use crate::world::World;

/// A server with its members, and an organisation that wants to be one.
pub struct Stage {
    pub world: World,
    pub running: Running,
    pub newcomer: Organisation,
    pub registration: Signed<OrgRegistration>,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(tweak: impl FnOnce(&mut dawn_aggregator::Limits)) -> Self {
        let mut world = World::new().await;
        let mut config = world.config();
        tweak(&mut config.limits);
        let running = Aggregator::start(config).await.unwrap();
        world.enrol(&crate::world::api(&running)).await;
        let newcomer = organisation(&mut world, "newcomer");
        let registration = newcomer
            .register(&world.federation.digest(), now_s())
            .unwrap();
        Self {
            world,
            running,
            newcomer,
            registration,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.running.local_addr()
    }

    /// Sends the registration with these headers to this path.
    pub async fn send(&self, method: &str, path: &str, made: &SignedHeaders) -> Answer {
        let headers = raw::signature_headers(made);
        raw::with_headers(
            self.addr(),
            method,
            path,
            self.registration.bytes(),
            &headers,
        )
        .await
    }

    /// The headers of the honest request, changed before they are signed.
    pub async fn headers(&self, tweak: impl FnOnce(&mut Parameters<'_>)) -> SignedHeaders {
        self.headers_by(self.newcomer.root(), tweak).await
    }

    pub async fn headers_by(
        &self,
        key: &SecretKey,
        tweak: impl FnOnce(&mut Parameters<'_>),
    ) -> SignedHeaders {
        let nonce = raw::nonce(self.addr()).await;
        let mut parameters = Parameters {
            tag: Purpose::Register.tag(),
            nonce: &nonce,
            created: now_s(),
            expires: now_s() + 240,
        };
        tweak(&mut parameters);
        raw::sign_headers(
            "POST",
            "/v1/orgs",
            self.registration.bytes(),
            &parameters,
            key,
        )
    }

    pub async fn registered(&self) -> i64 {
        self.world
            .number("select count(*) from orgs where not founder")
            .await
    }

    /// That a request is refused as not signed, that it says so, and that nothing is stored.
    pub async fn refuses(&self, answer: Answer, what: &str) {
        assert_eq!(
            answer.status,
            401,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        let problem = answer.problem();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(what), "{detail}");
        assert!(
            answer
                .head
                .to_ascii_lowercase()
                .contains("accept-signature: dawn=(")
        );
        assert_eq!(self.registered().await, 0);
    }

    /// That the honest request is taken all the same.
    pub async fn takes_the_honest_one(self) {
        let answer = self
            .send("POST", "/v1/orgs", &self.headers(|_| {}).await)
            .await;
        assert_eq!(
            answer.status,
            201,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        assert_eq!(self.registered().await, 1);
        self.running.shutdown().await.unwrap();
    }
}

pub fn organisation(world: &mut World, name: &str) -> Organisation {
    let validity = Validity::starting(now_s() - 10, 86_400);
    Organisation::generate(name, validity, &mut world.rng).unwrap()
}
