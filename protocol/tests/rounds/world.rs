//! A small federation: organisations with a steward each, devices, an aggregator, and the rounds
//! that they go through. Honest unless a test takes something out or puts something in.

use dawn_crypto::mask::{PublicMatrix, add_assign, parse_payload};
use dawn_crypto::norm::projection::{MatrixBlocks, MatrixCache, PublicCheck};
use dawn_crypto::params::Sigma;
use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::{ShareSum, Threshold};
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{
    Admission, CredentialChain, DeviceRequest, Federation, FoundingDocument, Members, Organisation,
    Roster, RosterEntry, SecretKey, Signed, SignedRoster, Statement, Validity, VerifiedFederation,
};
use dawn_learn::{ModelSpec, Quantiser, TrainSpec};
use dawn_protocol::digests::model_digest;
use dawn_protocol::package::open_package;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    BeaconShare, Challenge, Closed, Deadlines, Digest, Endorsement, Judged, OpenedPackage, Opening,
    Outcome, PROTOCOL_VERSION, Policy, PrivacyPlan, RoundChallenged, RoundClosed, RoundContext,
    RoundOpen, RoundSpec, SealingKey, StewardId, Task, TaskContext, Terminal,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// When everything happens, unix seconds.
pub const NOW: u64 = 1_800_000_000;

pub struct World {
    pub rng: ChaCha20Rng,
    pub organisations: Vec<Organisation>,
    /// Index = point - 1.
    pub stewards: Vec<SecretKey>,
    pub vrfs: Vec<VrfSecretKey>,
    pub aggregator: SecretKey,
    pub federation: VerifiedFederation,
    pub members: Members,
    pub roster: SignedRoster,
    pub task: Signed<Task>,
    pub context: TaskContext,
}

pub struct Device {
    pub key: SecretKey,
    pub credential: CredentialChain,
}

/// A round that devices may submit to, with the stewards' secret sealing keys by point - 1.
pub struct Round {
    pub open: RoundOpen,
    pub spec: Signed<RoundSpec>,
    pub endorsements: Vec<Signed<Endorsement>>,
    pub sealing: Vec<SealingSecretKey>,
}

/// A closed round with the containers' parts in root order.
pub struct ClosedRound {
    pub closed: RoundClosed,
    pub statement: Signed<Closed>,
    pub challenge: Signed<Challenge>,
    pub challenged: RoundChallenged,
    pub submissions: Vec<PreparedSubmission>,
    /// `u` and the scalars of every submission; none where the header does not verify.
    pub checks: Vec<Option<PublicCheck>>,
}

pub fn ten_coordinates() -> ModelSpec {
    ModelSpec::Logistic {
        inputs: 4,
        classes: 2,
    }
}

pub fn a_hundred_thousand_coordinates() -> ModelSpec {
    ModelSpec::Logistic {
        inputs: 9_999,
        classes: 10,
    }
}

impl World {
    pub fn new(m: u8, f: u8) -> Self {
        Self::with_task(m, f, |_| {})
    }

    pub fn with_task(m: u8, f: u8, change: impl FnOnce(&mut Task)) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(m) << 8 | u64::from(f));
        let validity = Validity::starting(NOW - 1000, 1_000_000);
        let organisations: Vec<Organisation> = (0..m)
            .map(|i| Organisation::generate(&format!("Org {i}"), validity, &mut rng).unwrap())
            .collect();
        let stewards: Vec<SecretKey> = (0..m).map(|_| SecretKey::generate(&mut rng)).collect();
        let vrfs: Vec<VrfSecretKey> = (0..m).map(|_| VrfSecretKey::generate(&mut rng)).collect();
        let aggregator = SecretKey::generate(&mut rng);
        let federation = Federation {
            name: "Test".to_owned(),
            founders: organisations.iter().map(|o| o.founder_entry()).collect(),
            aggregator: aggregator.public(),
            log: SecretKey::generate(&mut rng).public(),
            admission: Admission::Open,
            roster_quorum: u16::from(m),
            created: NOW,
        };
        let all: Vec<&Organisation> = organisations.iter().collect();
        let federation = FoundingDocument::found(federation, &all)
            .unwrap()
            .verify()
            .unwrap();
        let roster = Roster {
            federation: federation.digest(),
            epoch: 1,
            threshold: Threshold::new(m, f).unwrap(),
            stewards: organisations
                .iter()
                .zip(stewards.iter().zip(&vrfs))
                .map(|(org, (steward, vrf))| RosterEntry {
                    org: org.id(),
                    steward: steward.public(),
                    vrf: vrf.public().clone(),
                })
                .collect(),
            created: NOW,
        };
        let signatures = organisations
            .iter()
            .map(|o| roster.sign(o.root()))
            .collect();
        let roster = SignedRoster::assemble(roster, signatures).unwrap();
        let mut members = Members::founders_of(&federation);
        let posting = organisations[0].post_roster(&roster, NOW).unwrap();
        members.push(posting.bytes()).unwrap();
        let mut task = honest_task(&organisations[0], &federation, &roster);
        change(&mut task);
        let task = Signed::sign(&task, organisations[0].issuer()).unwrap();
        let context = TaskContext::verify(&federation, &members, &task).unwrap();
        Self {
            members,
            rng,
            organisations,
            stewards,
            vrfs,
            aggregator,
            federation,
            roster,
            task,
            context,
        }
    }

    pub fn steward_id(&self, point: u8) -> StewardId {
        self.context.steward_id(point).unwrap()
    }

    pub fn device(&mut self, organisation: usize) -> Device {
        let key = SecretKey::generate(&mut self.rng);
        let validity = Validity::starting(NOW - 1000, 500_000);
        let credential = self.organisations[organisation]
            .enrol_device(&DeviceRequest::of(&key, "device"), validity)
            .unwrap();
        Device { key, credential }
    }

    pub fn initial_model(&self) -> Digest {
        model_digest(&self.context.initial_model().unwrap().to_bytes())
    }

    pub fn sealing_key(
        &mut self,
        number: u32,
        point: u8,
    ) -> (Signed<SealingKey>, SealingSecretKey) {
        let secret = SealingSecretKey::generate(&mut self.rng);
        let statement = SealingKey {
            round: self.context.round(number),
            steward: self.steward_id(point),
            key: secret.public(),
        };
        (self.by_steward(&statement, point), secret)
    }

    pub fn by_steward<T: Statement>(&self, statement: &T, point: u8) -> Signed<T> {
        Signed::sign(statement, &self.stewards[usize::from(point) - 1]).unwrap()
    }

    pub fn by_aggregator<T: Statement>(&self, statement: &T) -> Signed<T> {
        Signed::sign(statement, &self.aggregator).unwrap()
    }

    /// A specification with sealing keys of these stewards.
    pub fn spec(
        &mut self,
        number: u32,
        previous: Option<&Terminal>,
        model: Digest,
        seated: &[u8],
    ) -> (RoundSpec, Vec<SealingSecretKey>) {
        let m = self.context.threshold().m();
        let mut keys = Vec::new();
        let mut secrets = Vec::new();
        for point in 1..=m {
            let (key, secret) = self.sealing_key(number, point);
            if seated.contains(&point) {
                keys.push((point, key));
            }
            secrets.push(secret);
        }
        let spec = self
            .context
            .draft_spec(number, previous, model, &keys, NOW * 1000)
            .unwrap();
        (spec, secrets)
    }

    pub fn endorsement(&self, context: &RoundContext, point: u8) -> Signed<Endorsement> {
        let statement = Endorsement {
            round: context.round_id(),
            session: context.session(),
            steward: self.steward_id(point),
        };
        self.by_steward(&statement, point)
    }

    /// Round 1 with all stewards.
    pub fn first_round(&mut self) -> Round {
        let all: Vec<u8> = (1..=self.context.threshold().m()).collect();
        self.round(1, None, self.initial_model(), &all)
    }

    pub fn round(
        &mut self,
        number: u32,
        previous: Option<&Terminal>,
        model: Digest,
        seated: &[u8],
    ) -> Round {
        let (spec, sealing) = self.spec(number, previous, model, seated);
        let spec = self.by_aggregator(&spec);
        let context = self.context.verify_spec(&spec).unwrap();
        let endorsements: Vec<_> = seated
            .iter()
            .map(|point| self.endorsement(&context, *point))
            .collect();
        Round {
            open: RoundOpen::new(context, &endorsements).unwrap(),
            spec,
            endorsements,
            sealing,
        }
    }

    pub fn submit(&mut self, round: &Round, device: &Device, x: &[i32]) -> PreparedSubmission {
        PreparedSubmission::new(
            &round.open,
            &device.credential,
            &device.key,
            x,
            &mut self.rng,
        )
        .unwrap()
    }

    /// One device per organisation that submits `[i, i, ..]`, i its number from 1.
    pub fn submissions(&mut self, round: &Round, devices: &[usize]) -> Vec<PreparedSubmission> {
        let d = self.context.dimension().coordinates();
        devices
            .iter()
            .zip(1..)
            .map(|(organisation, value)| {
                let device = self.device(*organisation);
                self.submit(round, &device, &vec![value; d])
            })
            .collect()
    }

    pub fn close(&self, round: &Round, mut submissions: Vec<PreparedSubmission>) -> ClosedRound {
        submissions.sort_by_key(|s| s.header.peek().credential.claimed_device());
        let mut roll = Roll::new();
        for submission in &submissions {
            let verified = roll
                .push(&round.open, &self.members, submission.header.bytes())
                .unwrap();
            assert!(verified.is_some());
        }
        let statement = self.by_aggregator(&Closed {
            round: round.open.round_id(),
            session: round.open.session(),
            root: roll.root(),
            count: u32::try_from(roll.len()).unwrap(),
            closed_ms: NOW * 1000 + 5,
            register: round.open.spec().register,
        });
        let closed = round.open.clone().close(&statement, roll).unwrap();
        let seats: Vec<u8> = closed.seats().iter().map(|seat| seat.point).collect();
        let challenge = self.challenge(&closed, &seats);
        let challenged = closed.clone().challenged(&challenge).unwrap();
        let matrix = PublicMatrix::from_seed(&round.open.spec().matrix_seed);
        let matrix = MatrixCache::new(&matrix, self.context.dimension().blocks());
        let check = |(index, submission): (usize, &PreparedSubmission)| {
            let payload = parse_payload(&submission.payload).unwrap();
            let verifier = challenged.verifier(index)?;
            let check = verifier.public_check(MatrixBlocks::Cached(&matrix), Some(&payload));
            Some(check.unwrap())
        };
        ClosedRound {
            checks: submissions.iter().enumerate().map(check).collect(),
            closed,
            statement,
            challenge,
            challenged,
            submissions,
        }
    }

    pub fn beacon_share(&self, closed: &RoundClosed, point: u8) -> Signed<BeaconShare> {
        let key = &self.vrfs[usize::from(point) - 1];
        let share = closed.beacon_share(key, self.steward_id(point));
        self.by_steward(&share, point)
    }

    /// The challenge of the first T of these stewards.
    pub fn challenge(&self, closed: &RoundClosed, points: &[u8]) -> Signed<Challenge> {
        let shares: Vec<_> = (points.iter())
            .map(|point| self.beacon_share(closed, *point))
            .collect();
        self.by_aggregator(&closed.challenge(&shares).unwrap())
    }

    /// A steward's package of a submission.
    pub fn package(
        &self,
        round: &Round,
        closed: &ClosedRound,
        point: u8,
        index: usize,
    ) -> Result<OpenedPackage, Outcome> {
        let context = &round.open;
        let seat = context.seat_index(point).unwrap();
        let key = &round.sealing[usize::from(point) - 1];
        let s = &closed.submissions[index];
        let header = context.verify_header(&s.header, &self.members).unwrap();
        open_package(context, &header, &s.packages[seat], key, point)
    }

    /// The honest answer of a steward.
    pub fn share_sum(
        &self,
        round: &Round,
        closed: &ClosedRound,
        judged: &Judged,
        point: u8,
    ) -> ShareSum {
        let mut sum = ShareSum::zero();
        for index in judged.verdict().accepted() {
            sum.add_assign(&self.package(round, closed, point, index).unwrap().key);
        }
        sum
    }

    pub fn openings(
        &self,
        round: &Round,
        closed: &ClosedRound,
        judged: &Judged,
        points: &[u8],
    ) -> Vec<Signed<Opening>> {
        points
            .iter()
            .map(|point| {
                let sum = self.share_sum(round, closed, judged, *point);
                self.by_steward(&judged.opening(self.steward_id(*point), sum), *point)
            })
            .collect()
    }

    pub fn masked_sum(&self, closed: &ClosedRound, judged: &Judged) -> Vec<u32> {
        let mut sum = vec![0; self.context.dimension().padded()];
        for index in judged.verdict().accepted() {
            add_assign(
                &mut sum,
                &parse_payload(&closed.submissions[index].payload).unwrap(),
            );
        }
        sum
    }
}

fn honest_task(
    owner: &Organisation,
    federation: &VerifiedFederation,
    roster: &SignedRoster,
) -> Task {
    Task {
        version: PROTOCOL_VERSION,
        name: "Digits".to_owned(),
        owner: owner.id(),
        issuer: owner.certificate().clone(),
        federation: federation.digest(),
        roster: roster.peek().digest(),
        model: ten_coordinates(),
        initial_seed: [7; 32],
        train: TrainSpec {
            epochs: 1,
            batch: 8,
            learning_rate: 1 << 14,
            momentum: 0,
            dropout: None,
            rounding: None,
        },
        quantiser: Quantiser {
            update_shift: 10,
            clip: 1 << 13,
        },
        sigma_error: Sigma::ERROR_MIN,
        rounds: 10,
        policy: Policy {
            min_accepted: 2,
            min_honest: 2,
            min_organisations: 2,
            max_org_share_permille: 500,
            max_submissions: 100,
            target_submissions: 100,
        },
        deadlines: Deadlines {
            keying_ms: 1000,
            endorsing_ms: 1000,
            collecting_ms: 1000,
            challenging_ms: 1000,
            reporting_ms: 1000,
            opening_ms: 1000,
            grace_ms: 100,
        },
        privacy: PrivacyPlan {
            budget_micro_rho: None,
            delta_exponent: 6,
        },
        data_source: "digits".to_owned(),
        created: NOW,
        projections: 128,
        options: Default::default(),
    }
}

/// That a check fails for the stated reason.
#[macro_export]
macro_rules! assert_violates {
    ($result:expr, $rule:expr, $culprit:expr) => {
        let violation = $result.expect_err("must be refused");
        assert_eq!(
            (violation.rule, violation.culprit),
            ($rule, $culprit),
            "{violation}"
        );
    };
}
