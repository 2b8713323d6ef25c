//! Stewards: what the steward's program does, in memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dawn_crypto::mask::PublicMatrix;
use dawn_crypto::norm::projection::MatrixBlocks;
use dawn_crypto::params::Q;
use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::ShareSum;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{OrgId, SecretKey, Signed, StewardId};
use dawn_protocol::answers::{AnswerCursor, answers_digest};
use dawn_protocol::package::open_package;
use dawn_protocol::phase::{RoundClosed, RoundOpen};
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    BeaconShare, Candidate, Challenge, Closed, Endorsement, Finding, GroupSums, Groups, Judged,
    NoiseSecret, OpenedPackage, Outcome, PackageReport, RoundAnnouncement, RoundChallenged,
    RoundId, SealingKey, TaskContext, Verdict, WorkItem,
};
use dawn_transport::{Api, SubmissionBody, TransportError};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::world::{vrf_key, wait_for_phase};

struct Closing {
    closed: RoundClosed,
    packages: Vec<Result<OpenedPackage, Outcome>>,
}

pub struct Steward {
    pub id: StewardId,
    pub key: SecretKey,
    /// Whether its answers are beside the polynomial.
    pub lies: bool,
    /// It does not open.
    pub waits: bool,
    vrf: VrfSecretKey,
    task: TaskContext,
    rng: ChaCha20Rng,
    sealing: BTreeMap<RoundId, SealingSecretKey>,
    closing: BTreeMap<RoundId, Closing>,
}

impl Steward {
    pub fn new(task: &TaskContext, org: OrgId, key: SecretKey, seed: u64) -> Self {
        Self {
            id: StewardId::of(&org, &key.public()),
            vrf: vrf_key(&key),
            key,
            lies: false,
            waits: false,
            task: task.clone(),
            rng: ChaCha20Rng::seed_from_u64(seed),
            sealing: BTreeMap::new(),
            closing: BTreeMap::new(),
        }
    }

    /// Takes part in the task under another roster.
    pub fn go_on(&mut self, task: &TaskContext) {
        self.task = task.clone();
    }

    /// Looks once, and does what there is to do; says what.
    pub async fn step(&mut self, api: &Api) -> Vec<&'static str> {
        self.look(api, None).await
    }

    /// As [`Self::step`], for one kind of thing.
    pub async fn step_only(&mut self, api: &Api, kind: &str) -> Vec<&'static str> {
        self.look(api, Some(kind)).await
    }

    async fn look(&mut self, api: &Api, only: Option<&str>) -> Vec<&'static str> {
        let mut done = Vec::new();
        for item in api.work(&self.id, 0).await.unwrap() {
            let id = item.round();
            let kind = match &item {
                WorkItem::PublishSealingKey { .. } => "key",
                WorkItem::Endorse { .. } => "endorse",
                WorkItem::ContributeNoise { .. } => "noise",
                WorkItem::ShareBeacon { .. } => "beacon",
                WorkItem::Report { .. } => "report",
                WorkItem::Open { .. } => "open",
            };
            let waits = self.waits && kind == "open";
            if waits || id.task != self.task.id() || only.is_some_and(|only| only != kind) {
                continue;
            }
            match self.work(api, &id, &item).await {
                Ok(()) => done.push(kind),
                // The phase may end between the question and the answer.
                Err(TransportError::Problem(problem)) if problem.status == 409 => {}
                Err(error) => panic!("{kind}: {error}"),
            }
        }
        done
    }

    async fn work(
        &mut self,
        api: &Api,
        id: &RoundId,
        item: &WorkItem,
    ) -> Result<(), TransportError> {
        match item {
            WorkItem::PublishSealingKey { .. } => {
                let signed = self.sealing_key(id);
                api.put_statement(id, &signed).await
            }
            WorkItem::Endorse { spec } => {
                let context = self.task.verify_spec(spec).unwrap();
                let endorsement = Endorsement {
                    round: *id,
                    session: context.session(),
                    steward: self.id,
                };
                api.put_statement(id, &self.sign(&endorsement)).await
            }
            WorkItem::ContributeNoise { announcement } => {
                for made in self.noise(announcement) {
                    let header = made.header.peek();
                    let submitter = header.credential.claimed_device();
                    let body = SubmissionBody::Bytes(made.to_bytes().into());
                    api.submit(id, &submitter, &body).await?;
                }
                Ok(())
            }
            WorkItem::ShareBeacon {
                announcement,
                closed,
            } => {
                let share = self.make_share(api, id, announcement, closed).await?;
                api.put_statement(id, &share).await
            }
            WorkItem::Report {
                announcement,
                closed,
                challenge,
            } => {
                self.take_list(api, id, announcement, closed).await?;
                let (report, answers) = self.make_report(id, challenge);
                let answers = SubmissionBody::Bytes(answers.into());
                api.put_report(id, &self.id, report.bytes(), &answers).await
            }
            WorkItem::Open {
                challenge,
                reports,
                verdict,
                ..
            } => {
                let closing = &self.closing[id];
                let judged = judged(api, &closing.closed, challenge, reports, verdict).await?;
                let groups = judged.round_challenged().groups();
                let mut sums = GroupSums::zero(groups.map_or(1, Groups::count));
                for index in judged.verdict().accepted() {
                    let group = groups.and_then(|groups| groups.of(index)).unwrap_or(0);
                    let key = &closing.packages[index].as_ref().unwrap().key;
                    sums.group_mut(group).unwrap().add_assign(key);
                }
                if groups.is_none() {
                    let opening = judged.opening(self.id, sums.total());
                    return api.put_statement(id, &self.sign(&opening)).await;
                }
                if self.lies {
                    // About one group, beside the others' polynomial.
                    *sums.group_mut(1).unwrap() = ShareSum::zero();
                }
                let opening = self.sign(&judged.group_opening(self.id, &sums));
                api.put_opening(id, &self.id, opening.bytes(), sums.to_bytes())
                    .await
            }
        }
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

    fn noise_secret(&self) -> NoiseSecret {
        NoiseSecret::from_bytes(self.id.0.0)
    }

    /// The candidates of its noise.
    pub fn noise(&self, announcement: &RoundAnnouncement) -> Vec<PreparedSubmission> {
        let round = RoundOpen::from_announcement(&self.task, announcement).unwrap();
        let candidates = self.task.task().options.noise.unwrap().candidates;
        let candidate = |index| {
            let steward = self.id;
            let candidate = Candidate { index, steward };
            PreparedSubmission::noise(&round, &self.key, candidate, &self.noise_secret()).unwrap()
        };
        (0..candidates).map(candidate).collect()
    }

    pub async fn make_share(
        &mut self,
        api: &Api,
        id: &RoundId,
        announcement: &RoundAnnouncement,
        closed: &Signed<Closed>,
    ) -> Result<Signed<BeaconShare>, TransportError> {
        self.take_list(api, id, announcement, closed).await?;
        let closed = &self.closing[id].closed;
        Ok(self.sign(&closed.beacon_share(&self.vrf, self.id)))
    }

    /// Fetches the list of submissions and opens the packages.
    async fn take_list(
        &mut self,
        api: &Api,
        id: &RoundId,
        announcement: &RoundAnnouncement,
        closed: &Signed<Closed>,
    ) -> Result<(), TransportError> {
        if self.closing.contains_key(id) {
            return Ok(());
        }
        let round = RoundOpen::from_announcement(&self.task, announcement).unwrap();
        let mut register = dawn_identity::Register::new(round.federation());
        api.extend_register(&mut register, None).await?;
        let members = register.at(&closed.peek().register).unwrap();
        let point = self.task.roster().point_of(&self.id).unwrap();
        let secret = &self.sealing[id];
        let mut roll = Roll::new();
        let mut packages = Vec::new();
        let mut next = Some(0);
        while let Some(first) = next {
            let page = api.packages(id, &self.id, first).await?;
            assert_eq!(page.first, first);
            for item in &page.items {
                packages.push(match roll.push(&round, &members, &item.header).unwrap() {
                    None => Err(Outcome::BadHeader),
                    Some(verified) => open_package(&round, &verified, &item.package, secret, point),
                });
            }
            next = page.next;
        }
        let closed = round.close(closed, roll).unwrap();
        self.closing.insert(*id, Closing { closed, packages });
        Ok(())
    }

    /// The round with its challenge.
    pub fn challenged(&self, id: &RoundId, challenge: &Signed<Challenge>) -> RoundChallenged {
        let closed = self.closing[id].closed.clone();
        closed.challenged(challenge).unwrap()
    }

    /// The report about the list that it has, and its answers.
    pub fn make_report(
        &self,
        id: &RoundId,
        challenge: &Signed<Challenge>,
    ) -> (Signed<PackageReport>, Vec<u8>) {
        let closing = &self.closing[id];
        let challenged = self.challenged(id, challenge);
        let matrix = PublicMatrix::from_seed(&challenged.spec().matrix_seed);
        let mut outcomes = Vec::new();
        let mut answers = Vec::new();
        for (index, package) in closing.packages.iter().enumerate() {
            let expected = challenged.expected_outcome(index).unwrap();
            let complaint = package.as_ref().err().copied();
            outcomes.push(complaint.filter(|_| expected.is_ok()).unwrap_or(expected));
            let (Ok(opened), Some(verifier)) = (package, challenged.verifier(index)) else {
                continue;
            };
            let check = verifier.public_check(MatrixBlocks::Expanded(&matrix), None);
            let answer = verifier.answer(opened, &check.unwrap().u).unwrap();
            let mut elements = answer.elements().to_vec();
            if self.lies {
                elements[0] = (elements[0] + 1) % Q;
            }
            answers.extend(elements.iter().flat_map(|word| word.to_le_bytes()));
        }
        assert_eq!(answers.len(), challenged.answers_len(&outcomes));
        let mut report = challenged.report(self.id, outcomes, answers_digest(&answers));
        let point = self.task.roster().point_of(&self.id).unwrap();
        let chosen = challenged.chosen_candidate(point);
        report.reveals = self.task.task().options.noise.map(|noise| {
            let secret = self.noise_secret();
            secret.reveal(noise.candidates, chosen.unwrap())
        });
        (self.sign(&report), answers)
    }
}

/// What follows from the others' reports and answers, judged again with the aggregator's scalars.
async fn judged(
    api: &Api,
    closed: &RoundClosed,
    challenge: &Signed<Challenge>,
    reports: &[Signed<PackageReport>],
    verdict: &Signed<Verdict>,
) -> Result<Judged, TransportError> {
    let id = closed.round_id();
    let challenged = closed.clone().challenged(challenge).unwrap();
    let count = closed.roll().len();
    let scalars = api.scalars(&id, count as u32).await?;
    let scalars = challenged.scalars(&scalars).unwrap();
    let mut all = vec![Vec::new(); count];
    for report in reports {
        let point = challenged.verify_report(report).unwrap();
        let report = report.peek();
        let mut bytes = Vec::new();
        api.download_answers(&id, &report.answers, 1 << 24, &mut bytes)
            .await?;
        let mut cursor = AnswerCursor::new(challenged.proof_params(), &report.outcomes, &bytes[..]);
        for answers in &mut all {
            let answer = cursor.next_answer().unwrap();
            answers.extend(answer.map(|answer| (point, answer)));
        }
        cursor.finish(&report.answers).unwrap();
    }
    let findings: Vec<Finding> = (all.iter().enumerate())
        .map(|(index, answers)| challenged.examine(index, answers, scalars.get(index).unwrap()))
        .collect();
    let digest = scalars.digest();
    Ok(challenged
        .adopt(reports, &findings, digest, verdict)
        .unwrap())
}

/// Lets stewards make the challenge of a round, and do nothing else.
pub async fn challenge(api: &Api, stewards: &mut [Steward], id: &RoundId) {
    wait_for_phase(api, id, "challenging").await;
    for steward in stewards {
        // Who comes after the time of grace is not needed.
        steward.step_only(api, "beacon").await;
    }
    wait_for_phase(api, id, "reporting").await;
}

/// Lets stewards work until all of them have reported and none has opened: the next round is not there yet.
pub async fn work_until_reported(api: &Api, stewards: &mut [Steward], id: &RoundId) {
    work_through(api, stewards, id, &["reporting", "opening"]).await;
    let begun = Instant::now();
    while crate::world::phase(api, &id.task, id.number).await.0 == "reporting" {
        for steward in stewards.iter_mut() {
            steward.step_only(api, "report").await;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "not all report");
        tokio::time::sleep(Duration::from_millis(20)).await;
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
