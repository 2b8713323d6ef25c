//! A malicious steward: it speaks the protocol like an honest one, without a disk, until it does what it does.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use dawn_crypto::field;
use dawn_crypto::mask::PublicMatrix;
use dawn_crypto::norm::projection::MatrixBlocks;
use dawn_crypto::params::N;
use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::ShareSum;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{SecretKey, Signed, Statement, StewardId};
use dawn_protocol::answers::answers_digest;
use dawn_protocol::package::open_package;
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    Challenge, Closed, Endorsement, OpenedPackage, Opening, Outcome, PackageReport,
    RoundAnnouncement, RoundClosed, RoundId, RoundOpen, SealingKey, TaskContext, Verdict, WorkItem,
};
use dawn_transport::{Api, SubmissionBody, TransportError};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::StewardAttack;

/// What it has of a closed round.
struct Closing {
    closed: RoundClosed,
    packages: Vec<Result<OpenedPackage, Outcome>>,
}

/// A malicious steward of one task.
pub struct LyingSteward {
    id: StewardId,
    key: SecretKey,
    vrf: VrfSecretKey,
    task: TaskContext,
    /// One a round, again and again.
    attacks: Vec<StewardAttack>,
    rng: ChaCha20Rng,
    sealing: BTreeMap<RoundId, SealingSecretKey>,
    closing: BTreeMap<RoundId, Closing>,
}

impl LyingSteward {
    /// The steward of these keys, which does `attacks[(number - 1) % len]` in a round.
    pub fn new(
        id: StewardId,
        key: SecretKey,
        vrf: VrfSecretKey,
        task: TaskContext,
        attacks: Vec<StewardAttack>,
        seed: [u8; 32],
    ) -> Self {
        Self {
            id,
            key,
            vrf,
            task,
            attacks,
            rng: ChaCha20Rng::from_seed(seed),
            sealing: BTreeMap::new(),
            closing: BTreeMap::new(),
        }
    }

    /// Pulls work and does it for ever.
    ///
    /// # Errors
    /// Only what is a defect of this program: what the server refuses is passed over.
    pub async fn live(mut self, api: Api) -> Result<()> {
        loop {
            let items = match api.work(&self.id, 5).await {
                Ok(items) => items,
                Err(error) => {
                    tracing::debug!(%error, "the malicious steward got no work");
                    Vec::new()
                }
            };
            let mut done = 0;
            let task = self.task.id();
            for item in items.iter().filter(|item| item.round().task == task) {
                match self.work(&api, item).await {
                    Ok(spoke) => done += usize::from(spoke),
                    // The phase may end between the question and the answer.
                    Err(error) if error.is::<TransportError>() => {
                        tracing::debug!(%error, "the malicious steward was not heard");
                    }
                    Err(error) => return Err(error),
                }
            }
            if done == 0 {
                // It is asked again and again for what it will not say.
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    }

    fn attack(&self, round: &RoundId) -> StewardAttack {
        self.attacks[(round.number as usize - 1) % self.attacks.len()]
    }

    /// Whether it said something.
    async fn work(&mut self, api: &Api, item: &WorkItem) -> Result<bool> {
        let id = item.round();
        let seals = matches!(item, WorkItem::PublishSealingKey { .. });
        if self.attack(&id) == StewardAttack::Silent && !seals {
            return Ok(false);
        }
        match item {
            WorkItem::PublishSealingKey { .. } => {
                let rng = &mut self.rng;
                let secret = self
                    .sealing
                    .entry(id)
                    .or_insert_with(|| SealingSecretKey::generate(rng));
                let statement = SealingKey {
                    round: id,
                    steward: self.id,
                    key: secret.public(),
                };
                self.put(api, &id, &statement).await?;
            }
            WorkItem::Endorse { spec } => {
                let statement = Endorsement {
                    round: id,
                    session: self.task.verify_spec(spec)?.session(),
                    steward: self.id,
                };
                self.put(api, &id, &statement).await?;
            }
            // It keeps what it should add to itself.
            WorkItem::ContributeNoise { .. } => return Ok(false),
            WorkItem::ShareBeacon {
                announcement,
                closed,
            } => {
                self.take_list(api, &id, announcement, closed).await?;
                let share = self.closing[&id].closed.beacon_share(&self.vrf, self.id);
                self.put(api, &id, &share).await?;
            }
            WorkItem::Report {
                announcement,
                closed,
                challenge,
            } => {
                self.take_list(api, &id, announcement, closed).await?;
                let (report, answers) = self.report(&id, challenge)?;
                let report = Signed::sign(&report, &self.key)?;
                let answers = SubmissionBody::Bytes(answers.into());
                api.put_report(&id, &self.id, report.bytes(), &answers)
                    .await?;
            }
            WorkItem::Open { verdict, .. } => {
                let opening = self.opening(&id, verdict)?;
                self.put(api, &id, &opening).await?;
            }
        }
        Ok(true)
    }

    async fn put<T: Statement>(&self, api: &Api, id: &RoundId, statement: &T) -> Result<()> {
        let signed = Signed::sign(statement, &self.key)?;
        Ok(api.put_statement(id, &signed).await?)
    }

    /// Fetches the list of submissions and opens the packages.
    async fn take_list(
        &mut self,
        api: &Api,
        id: &RoundId,
        announcement: &RoundAnnouncement,
        closed: &Signed<Closed>,
    ) -> Result<()> {
        if self.closing.contains_key(id) {
            return Ok(());
        }
        let round = RoundOpen::from_announcement(&self.task, announcement)?;
        if let Some([from, to]) = round.wanted_models() {
            let most = self.task.model_bytes();
            let (from, to) = (api.model(&from, most).await?, api.model(&to, most).await?);
            round.learn_models(&from, &to)?;
        }
        let mut register = dawn_identity::Register::new(round.federation());
        api.extend_register(&mut register, None).await?;
        let members = register.at(&closed.peek().register);
        let members = members.context("the closing names another register")?;
        let point = self.task.roster().point_of(&self.id);
        let point = point.context("the malicious steward is not in the roster")?;
        let secret = self.sealing.get(id).context("it has no sealing key")?;
        let (mut roll, mut packages, mut next) = (Roll::new(), Vec::new(), Some(0));
        while let Some(first) = next {
            let page = api.packages(id, &self.id, first).await?;
            for item in &page.items {
                packages.push(match roll.push(&round, &members, &item.header)? {
                    None => Err(Outcome::BadHeader),
                    Some(header) => open_package(&round, &header, &item.package, secret, point),
                });
            }
            next = page.next;
        }
        let closed = round.close(closed, roll)?;
        self.closing.insert(*id, Closing { closed, packages });
        Ok(())
    }

    /// The report and its answers, as the attack has them.
    fn report(
        &self,
        id: &RoundId,
        challenge: &Signed<Challenge>,
    ) -> Result<(PackageReport, Vec<u8>)> {
        let attack = self.attack(id);
        let closing = &self.closing[id];
        let challenged = closing.closed.clone().challenged(challenge)?;
        let matrix = PublicMatrix::from_seed(&challenged.spec().matrix_seed);
        let (mut outcomes, mut answers) = (Vec::new(), Vec::new());
        for (index, package) in closing.packages.iter().enumerate() {
            let opened = match package {
                Err(outcome) => Err(*outcome),
                Ok(_) if attack == StewardAttack::ComplainAboutAll => Err(Outcome::Unsealable),
                Ok(opened) => Ok(opened),
            };
            let opened = match opened {
                Ok(opened) => opened,
                Err(outcome) => {
                    outcomes.push(outcome);
                    continue;
                }
            };
            outcomes.push(Outcome::Ok);
            let verifier = challenged
                .verifier(index)
                .context("a header that verifies")?;
            let check = verifier.public_check(MatrixBlocks::Expanded(&matrix), None)?;
            let answer = verifier.answer(opened, &check.u)?;
            let mut elements = answer.elements().to_vec();
            if attack == StewardAttack::WrongAnswers {
                elements[0] = field::add(elements[0], 1);
            }
            answers.extend(elements.iter().flat_map(|word| word.to_le_bytes()));
        }
        let report = challenged.report(self.id, outcomes, answers_digest(&answers));
        Ok((report, answers))
    }

    /// An opening with a sum of its own.
    fn opening(&self, id: &RoundId, verdict: &Signed<Verdict>) -> Result<Opening> {
        let mut bytes = vec![0; 4 * N];
        bytes[0] = 1;
        Ok(Opening {
            round: *id,
            session: verdict.peek().session,
            root: verdict.peek().root,
            verdict: verdict.body_digest(),
            steward: self.id,
            share_sum: ShareSum::from_bytes(&bytes)?,
            groups: None,
        })
    }
}
