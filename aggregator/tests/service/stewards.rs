//! Stewards: what the steward's program does, in memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::{KeyShare, ShareSum};
use dawn_identity::{OrgId, SecretKey, Signed, StewardId};
use dawn_protocol::package::open_package;
use dawn_protocol::phase::{RoundClosed, RoundOpen};
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    Closed, Endorsement, Outcome, PackageReport, RoundAnnouncement, RoundId, SealingKey,
    TaskContext, WorkItem,
};
use dawn_transport::{Api, TransportError};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

struct Opened {
    closed: RoundClosed,
    shares: Vec<Option<KeyShare>>,
}

pub struct Steward {
    pub id: StewardId,
    pub key: SecretKey,
    task: TaskContext,
    rng: ChaCha20Rng,
    sealing: BTreeMap<RoundId, SealingSecretKey>,
    opened: BTreeMap<RoundId, Opened>,
}

impl Steward {
    pub fn new(task: &TaskContext, org: OrgId, key: SecretKey, seed: u64) -> Self {
        Self {
            id: StewardId::of(&org, &key.public()),
            key,
            task: task.clone(),
            rng: ChaCha20Rng::seed_from_u64(seed),
            sealing: BTreeMap::new(),
            opened: BTreeMap::new(),
        }
    }

    /// Looks once, and does what there is to do; says what.
    pub async fn step(&mut self, api: &Api) -> Vec<&'static str> {
        let mut done = Vec::new();
        for item in api.work(&self.id, 0).await.unwrap() {
            let id = item.round();
            if id.task != self.task.id() {
                continue;
            }
            let (kind, said) = match &item {
                WorkItem::PublishSealingKey { .. } => ("key", self.publish(api, &id).await),
                WorkItem::Endorse { spec } => {
                    let context = self.task.verify_spec(spec).unwrap();
                    let endorsement = Endorsement {
                        round: id,
                        session: context.session(),
                        steward: self.id,
                    };
                    (
                        "endorse",
                        api.put_statement(&id, &self.sign(&endorsement)).await,
                    )
                }
                WorkItem::Report {
                    announcement,
                    closed,
                } => ("report", self.report(api, &id, announcement, closed).await),
                WorkItem::Open {
                    reports, verdict, ..
                } => {
                    let opened = &self.opened[&id];
                    let judged = opened.closed.clone().adopt(reports, verdict).unwrap();
                    let mut sum = ShareSum::zero();
                    for index in judged.verdict().accepted() {
                        sum.add_assign(opened.shares[index].as_ref().unwrap());
                    }
                    let opening = judged.opening(self.id, sum);
                    ("open", api.put_statement(&id, &self.sign(&opening)).await)
                }
            };
            match said {
                Ok(()) => done.push(kind),
                // The phase may end between the question and the answer.
                Err(TransportError::Problem(problem)) if problem.status == 409 => {}
                Err(error) => panic!("{kind}: {error}"),
            }
        }
        done
    }

    pub fn sign<T: dawn_identity::Statement>(&self, statement: &T) -> Signed<T> {
        Signed::sign(statement, &self.key).unwrap()
    }

    pub fn sealing_key(&mut self, id: &RoundId) -> Signed<SealingKey> {
        let rng = &mut self.rng;
        let secret = self
            .sealing
            .entry(*id)
            .or_insert_with(|| SealingSecretKey::generate(rng));
        let statement = SealingKey {
            round: *id,
            steward: self.id,
            key: secret.public(),
        };
        self.sign(&statement)
    }

    async fn publish(&mut self, api: &Api, id: &RoundId) -> Result<(), TransportError> {
        let signed = self.sealing_key(id);
        api.put_statement(id, &signed).await
    }

    async fn report(
        &mut self,
        api: &Api,
        id: &RoundId,
        announcement: &RoundAnnouncement,
        closed: &Signed<Closed>,
    ) -> Result<(), TransportError> {
        let report = self.make_report(api, id, announcement, closed).await;
        api.put_statement(id, &report).await
    }

    pub async fn make_report(
        &mut self,
        api: &Api,
        id: &RoundId,
        announcement: &RoundAnnouncement,
        closed: &Signed<Closed>,
    ) -> Signed<PackageReport> {
        let round = RoundOpen::from_announcement(&self.task, announcement).unwrap();
        let members = self.task.roster().members();
        let point = self.task.roster().point_of(&self.id).unwrap();
        let secret = &self.sealing[id];
        let mut roll = Roll::new();
        let mut shares = Vec::new();
        let mut outcomes = Vec::new();
        let mut next = Some(0);
        while let Some(first) = next {
            let page = api.packages(id, &self.id, first).await.unwrap();
            assert_eq!(page.first, first);
            for item in &page.items {
                let verified = roll.push(&round, members, &item.header).unwrap();
                let share = match verified {
                    None => Err(Outcome::BadHeader),
                    Some(submission) => {
                        open_package(&round, &submission, &item.package, secret, point)
                    }
                };
                outcomes.push(share.as_ref().err().copied().unwrap_or(Outcome::Ok));
                shares.push(share.ok());
            }
            next = page.next;
        }
        let closed = round.close(closed, roll).unwrap();
        let report = self.sign(&closed.report(self.id, outcomes));
        self.opened.insert(*id, Opened { closed, shares });
        report
    }
}

/// Lets stewards work until a round has left a phase.
pub async fn work_through(api: &Api, stewards: &mut [Steward], id: &RoundId, until: &[&str]) {
    let begun = Instant::now();
    loop {
        for steward in stewards.iter_mut() {
            steward.step(api).await;
        }
        let (phase, reason) = crate::world::phase(api, &id.task, id.number).await;
        if until.contains(&phase.as_str()) {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "round {id} is {phase} ({reason:?}), not {until:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
