//! A federation of six organisations in which the steward at point 1 is the real one, and everybody else is the test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dawn_crypto::merkle;
use dawn_crypto::norm::projection::PublicCheck;
use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{
    Admission, Federation, FoundingDocument, Members, Organisation, SecretKey, Signed,
    SignedRoster, Statement, Validity, VerifiedFederation,
};
use dawn_protocol::digests::model_digest;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::tlog::{AddCheckpoint, Checkpoint, TlogProof, origin};
use dawn_protocol::{
    Challenge, Closed, Digest, RoundAnnouncement, RoundChallenged, RoundClosed, RoundId, RoundOpen,
    RoundSpec, SealingKey, Task, TaskContext, Terminal,
};
use dawn_steward::{Refusal, StewardError, StewardState, Vault};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::founding::{honest_task, sign_roster};
use crate::now;

pub const M: u8 = 6;

pub struct World {
    pub rng: ChaCha20Rng,
    pub organisations: Vec<Organisation>,
    /// Index = point - 1; the first is the real one's.
    pub stewards: Vec<SecretKey>,
    /// In the same order.
    pub vrfs: Vec<VrfSecretKey>,
    pub aggregator: SecretKey,
    pub federation: VerifiedFederation,
    pub members: Members,
    pub roster: SignedRoster,
    /// The register.
    pub entries: Vec<Vec<u8>>,
    pub task: Signed<Task>,
    pub context: TaskContext,
    pub budgets: BTreeMap<String, u64>,
    /// The real steward's answers that were seen, by their digest.
    pub own_answers: BTreeMap<Digest, Vec<u8>>,
    /// The log's key, and the leaf of every entry.
    pub log: SecretKey,
    pub leaves: Vec<Digest>,
    dirs: tempfile::TempDir,
}

/// A round whose specification the aggregator has signed. The sealing secret of the real steward is not known here.
pub struct Round {
    pub spec: Signed<RoundSpec>,
    pub secrets: Vec<Option<SealingSecretKey>>,
}

/// A closed round, its submissions in root order.
pub struct ClosedRound {
    pub announcement: RoundAnnouncement,
    pub open: RoundOpen,
    pub closed: RoundClosed,
    pub statement: Signed<Closed>,
    pub challenge: Signed<Challenge>,
    pub challenged: RoundChallenged,
    /// `u` and the scalars of every submission; none where the header does not verify.
    pub checks: Vec<Option<PublicCheck>>,
    pub submissions: Vec<PreparedSubmission>,
    /// Whose packages its pages have: the first seat's, unless a test plays another steward.
    pub seat: usize,
}

pub fn body<T: Statement>(bytes: &[u8]) -> T {
    Signed::<T>::from_bytes(bytes)
        .expect("a statement")
        .peek()
        .clone()
}

impl World {
    pub fn new() -> Self {
        Self::with_task(|_| {})
    }

    pub fn with_task(change: impl FnOnce(&mut Task)) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(42);
        let validity = Validity::starting(now() - 1_000_000, 10_000_000);
        let organisations: Vec<Organisation> = (0..M)
            .map(|i| {
                Organisation::generate(&format!("Org {i}"), validity, &mut rng)
                    .expect("organisation")
            })
            .collect();
        let stewards: Vec<SecretKey> = (0..M).map(|_| SecretKey::generate(&mut rng)).collect();
        let vrfs: Vec<VrfSecretKey> = (0..M).map(|_| VrfSecretKey::generate(&mut rng)).collect();
        let aggregator = SecretKey::generate(&mut rng);
        let log = SecretKey::generate(&mut rng);
        let federation = Federation {
            name: "Test".to_owned(),
            founders: organisations.iter().map(|o| o.founder_entry()).collect(),
            aggregator: aggregator.public(),
            log: log.public(),
            admission: Admission::Open,
            roster_quorum: u16::from(M),
            created: now(),
        };
        let all: Vec<&Organisation> = organisations.iter().collect();
        let federation = FoundingDocument::found(federation, &all)
            .expect("found")
            .verify()
            .expect("verify");
        let roster = sign_roster(&organisations, &stewards, &vrfs, &federation, 1);
        let mut task = honest_task(&organisations[0], &federation, &roster);
        change(&mut task);
        let task = Signed::sign(&task, organisations[0].issuer()).expect("task");
        let posting = organisations[0]
            .post_roster(&roster, now())
            .expect("posting");
        let entries = vec![posting.bytes().to_vec()];
        let mut members = Members::founders_of(&federation);
        members.push(posting.bytes()).expect("the first roster");
        let context = TaskContext::verify(&federation, &members, &task).expect("context");
        Self {
            members,
            entries,
            rng,
            organisations,
            stewards,
            vrfs,
            aggregator,
            federation,
            roster,
            task,
            context,
            budgets: BTreeMap::new(),
            own_answers: BTreeMap::new(),
            log,
            leaves: Vec::new(),
            dirs: tempfile::tempdir().expect("directories"),
        }
    }

    /// The same federation, and from now on another task.
    pub fn change_task(&mut self, change: impl FnOnce(&mut Task)) {
        let mut task = self.task.peek().clone();
        change(&mut task);
        self.task = Signed::sign(&task, self.organisations[0].issuer()).expect("task");
        self.context =
            TaskContext::verify(&self.federation, &self.members, &self.task).expect("context");
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dirs.path().join("data")
    }

    pub fn guard_dir(&self) -> PathBuf {
        self.dirs.path().join("guard")
    }

    /// A copy of the store, as a backup has it. The steward is not running.
    pub fn back_up(&self) -> PathBuf {
        let backup = self.dirs.path().join(format!(
            "backup-{}",
            std::fs::read_dir(self.dirs.path()).expect("dir").count()
        ));
        copy_dir(&self.data_dir(), &backup);
        backup
    }

    pub fn restore(&self, backup: &Path) {
        std::fs::remove_dir_all(self.data_dir()).expect("remove");
        copy_dir(backup, &self.data_dir());
    }

    /// A copy of store and guard together, from before something that did not happen then.
    pub fn back_up_all(&self) -> PathBuf {
        let backup = self.dirs.path().join("backup-of-all");
        copy_dir(&self.data_dir(), &backup.join("data"));
        copy_dir(&self.guard_dir(), &backup.join("guard"));
        backup
    }

    pub fn restore_all(&self, backup: &Path) {
        self.restore(&backup.join("data"));
        std::fs::remove_dir_all(self.guard_dir()).expect("remove");
        copy_dir(&backup.join("guard"), &self.guard_dir());
    }

    /// Starts the real steward, at a time.
    pub fn start_at(&mut self, now: u64) -> StewardState {
        let state = self.open_at(now);
        state.learn_task(&self.task).expect("task");
        state
    }

    /// Starts the real steward, which has seen the register and no task.
    pub fn start_without_tasks(&mut self) -> StewardState {
        self.open_at(now())
    }

    fn open_at(&mut self, now: u64) -> StewardState {
        let key = SecretKey::from_seed(&self.stewards[0].to_seed());
        let vault = Vault::open(
            &self.data_dir(),
            &self.guard_dir(),
            key.public().id(),
            now,
            &mut self.rng,
        )
        .expect("vault");
        let org = self.organisations[0].id();
        let state = StewardState::new(
            vault,
            key,
            VrfSecretKey::from_seed(&self.vrfs[0].to_seed()),
            &org,
            self.federation.clone(),
            self.budgets.clone(),
        );
        state.learn_register(0, &self.entries).expect("register");
        state
    }

    pub fn start(&mut self) -> StewardState {
        self.start_at(now())
    }

    /// The steward at another point as a real one, with a memory of its own.
    pub fn start_other(&mut self, point: u8, memory: &Path) -> StewardState {
        let place = usize::from(point) - 1;
        let key = SecretKey::from_seed(&self.stewards[place].to_seed());
        let (data, guard) = (memory.join("data"), memory.join("guard"));
        let vault = Vault::open(&data, &guard, key.public().id(), now(), &mut self.rng);
        let state = StewardState::new(
            vault.expect("vault"),
            key,
            VrfSecretKey::from_seed(&self.vrfs[place].to_seed()),
            &self.organisations[place].id(),
            self.federation.clone(),
            self.budgets.clone(),
        );
        state.learn_register(0, &self.entries).expect("register");
        state.learn_task(&self.task).expect("task");
        state
    }

    pub fn id(&self, number: u32) -> RoundId {
        self.context.round(number)
    }

    pub fn initial_model(&self) -> Digest {
        model_digest(&self.context.initial_model().expect("model").to_bytes())
    }

    pub fn by_aggregator<T: Statement>(&self, statement: &T) -> Signed<T> {
        Signed::sign(statement, &self.aggregator).expect("sign")
    }

    pub fn by_steward<T: Statement>(&self, statement: &T, point: u8) -> Signed<T> {
        Signed::sign(statement, &self.stewards[usize::from(point) - 1]).expect("sign")
    }

    /// The specification of a round, with the real steward's sealing key and fresh ones of the others.
    pub fn round_with(
        &mut self,
        own: &[u8],
        number: u32,
        previous: Option<&Terminal>,
        model: Digest,
    ) -> Round {
        let mut keys = vec![(
            1,
            Signed::<SealingKey>::from_bytes(own).expect("sealing key"),
        )];
        let mut secrets = vec![None];
        for point in 2..=M {
            let secret = SealingSecretKey::generate(&mut self.rng);
            let steward = self.context.steward_id(point).expect("steward");
            let statement = SealingKey {
                round: self.id(number),
                steward,
                key: secret.public(),
            };
            keys.push((point, self.by_steward(&statement, point)));
            secrets.push(Some(secret));
        }
        let spec = self
            .context
            .draft_spec(number, previous, model, &keys, now() * 1000)
            .expect("spec");
        Round {
            spec: self.by_aggregator(&spec),
            secrets,
        }
    }

    /// Round 1 up to its specification.
    pub fn first_round(&mut self, state: &StewardState) -> Round {
        let own = self.sealing_key(state, 1).expect("sealing key");
        let model = self.initial_model();
        self.round_with(&own, 1, None, model)
    }

    pub fn sealing_key(
        &mut self,
        state: &StewardState,
        number: u32,
    ) -> Result<Vec<u8>, StewardError> {
        let round = self.id(number);
        state.sealing_key(&round, now(), &mut self.rng)
    }

    pub fn endorse(
        &mut self,
        state: &StewardState,
        round: &Round,
    ) -> Result<Vec<u8>, StewardError> {
        self.endorse_spec(state, &round.spec, &[])
    }

    /// The endorsement of a specification that is in the log.
    pub fn endorse_spec(
        &mut self,
        state: &StewardState,
        spec: &Signed<RoundSpec>,
        history: &[Terminal],
    ) -> Result<Vec<u8>, StewardError> {
        self.logged(state, &[spec.bytes()]);
        state.endorse(spec, history, now(), &mut self.rng)
    }

    /// The log of this length.
    pub fn checkpoint(&self, size: usize) -> Checkpoint {
        Checkpoint {
            origin: origin(&self.federation.digest()),
            size: size as u64,
            root: merkle::root(&self.leaves[..size]),
        }
    }

    /// What a steward is shown that has cosigned the log of the first length.
    pub fn to_cosign(&self, old: usize, size: usize) -> AddCheckpoint {
        let proof = match old {
            0 => Vec::new(),
            old => merkle::consistency_proof(&self.leaves[..size], old).expect("in range"),
        };
        AddCheckpoint {
            old: old as u64,
            proof,
            checkpoint: self.checkpoint(size).sign(&self.log),
        }
    }

    /// Appends an entry; its index.
    pub fn append(&mut self, statement: &[u8]) -> usize {
        self.leaves.push(merkle::leaf_hash(statement));
        self.leaves.len() - 1
    }

    /// The proof that an entry is in the log of this length.
    pub fn proof(&self, index: usize, size: usize) -> TlogProof {
        TlogProof {
            index: index as u64,
            path: merkle::inclusion_proof(&self.leaves[..size], index).expect("in range"),
            checkpoint: self.checkpoint(size).sign(&self.log),
        }
    }

    /// Puts statements into the log, and lets a steward know, as its session does. One that does not cosign stays as it is.
    pub fn logged(&mut self, state: &StewardState, statements: &[&[u8]]) {
        let unknown = |bytes: &&&[u8]| !state.is_logged(bytes);
        let unknown: Vec<&[u8]> = statements.iter().filter(unknown).copied().collect();
        if unknown.is_empty() {
            return;
        }
        let indices: Vec<usize> = unknown.iter().map(|bytes| self.append(bytes)).collect();
        let size = self.leaves.len();
        let old = state.witnessed().expect("read").map_or(0, |last| last.size);
        let shown = self.to_cosign(usize::try_from(old).expect("small"), size);
        state
            .cosign(&shown, now(), &mut self.rng)
            .expect("the log goes on");
        for (index, bytes) in indices.into_iter().zip(unknown) {
            state
                .learn_logged(bytes, &self.proof(index, size))
                .expect("it is there");
        }
    }
}

pub fn refusal(result: Result<Vec<u8>, StewardError>) -> Refusal {
    let error = result.expect_err("must be refused");
    error
        .refusal()
        .unwrap_or_else(|| panic!("not a refusal: {error}"))
        .clone()
}

/// That a refusal is a violation of this rule.
#[macro_export]
macro_rules! assert_rule {
    ($refusal:expr, $rule:expr) => {
        match $refusal {
            dawn_steward::Refusal::Violation(violation) => {
                assert_eq!(violation.rule, $rule, "{violation}")
            }
            other => panic!("refused by another rule: {other}"),
        }
    };
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("create");
    for entry in std::fs::read_dir(from).expect("read") {
        let entry = entry.expect("entry");
        let copy = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &copy);
        } else {
            std::fs::copy(entry.path(), copy).expect("copy");
        }
    }
}
