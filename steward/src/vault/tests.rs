//! Crashes at every step, and restores.

use super::*;
use dawn_identity::Digest;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const KEY: KeyId = KeyId(Digest([5; 32]));
const ROUND: RoundId = RoundId {
    task: TaskId(Digest([6; 32])),
    number: 1,
};

struct Disk(tempfile::TempDir, ChaCha20Rng);

impl Disk {
    fn new() -> Self {
        Self(
            tempfile::tempdir().expect("dir"),
            ChaCha20Rng::seed_from_u64(3),
        )
    }

    fn open(&mut self) -> Vault {
        let (data, guard) = (self.0.path().join("data"), self.0.path().join("guard"));
        Vault::open(&data, &guard, KEY, 0, &mut self.1).expect("open")
    }
}

fn answer(text: &str) -> Answer {
    Answer {
        request: Digest([1; 32]),
        envelope: text.as_bytes().to_vec(),
        beside: None,
    }
}

fn say(change: &mut Change<'_>, text: &str) -> Result<(), VaultError> {
    change.put_round(&ROUND, &RoundRecord::default())?;
    change.put_secret(&ROUND, SecretKind::SealingKey, b"secret")?;
    change.put_answer(&ROUND, AnswerKind::SealingKey, &answer(text))
}

fn said(vault: &Vault) -> Option<String> {
    let answer = vault.answer(&ROUND, AnswerKind::SealingKey).expect("read");
    answer.map(|answer| String::from_utf8(answer.envelope).expect("text"))
}

/// Between announcing the commit to the guard and making it: the answer never left and is forgotten, and nothing is
/// distrusted.
#[test]
fn a_crash_before_the_commit_is_not_a_restore() {
    let mut disk = Disk::new();
    let vault = disk.open();
    vault
        .crash_after(1, &mut disk.1.clone(), |change| say(change, "never left"))
        .expect("crash");
    let vault = disk.open();
    assert_eq!((vault.condition(), said(&vault)), (Condition::Intact, None));
    assert!(
        vault
            .secret(&ROUND, SecretKind::SealingKey)
            .expect("read")
            .is_none(),
        "its secret is swept"
    );
    vault
        .write(&mut disk.1, |change| say(change, "left"))
        .expect("write");
    drop(vault);
    let vault = disk.open();
    assert_eq!(
        (vault.condition(), said(&vault).as_deref()),
        (Condition::Intact, Some("left"))
    );
}

/// Between making the commit and confirming it to the guard: the answer is there, and nothing is distrusted.
#[test]
fn a_crash_after_the_commit_is_not_a_restore() {
    let mut disk = Disk::new();
    let vault = disk.open();
    vault
        .crash_after(2, &mut disk.1.clone(), |change| say(change, "may leave"))
        .expect("crash");
    let vault = disk.open();
    assert_eq!(
        (vault.condition(), said(&vault).as_deref()),
        (Condition::Intact, Some("may leave"))
    );
    assert!(
        vault
            .secret(&ROUND, SecretKind::SealingKey)
            .expect("read")
            .is_some()
    );
}

/// The store from before a crash, put back after the answer was confirmed, is older than what left.
#[test]
fn a_restore_after_a_crash_is_a_restore() {
    let mut disk = Disk::new();
    drop(disk.open());
    let store = disk.0.path().join("data/steward.redb");
    let backup = std::fs::read(&store).expect("backup");
    let vault = disk.open();
    vault
        .crash_after(2, &mut disk.1.clone(), |change| say(change, "may leave"))
        .expect("crash");
    drop(disk.open());
    std::fs::write(&store, backup).expect("restore");
    let vault = disk.open();
    assert_eq!(
        (vault.condition(), said(&vault)),
        (Condition::Restored, None)
    );
    drop(vault);
    assert_eq!(disk.open().condition(), Condition::Intact, "recovered once");
}

/// A crash in the middle of recovering is recovered from.
#[test]
fn recovering_again_after_a_crash() {
    let mut disk = Disk::new();
    let vault = disk.open();
    vault
        .write(&mut disk.1, |change| say(change, "left"))
        .expect("write");
    drop(vault);
    std::fs::remove_dir_all(disk.0.path().join("guard")).expect("lost");
    {
        // The first recovery gets as far as announcing itself.
        let mut guard = Guard::open(&disk.0.path().join("guard"), KEY, &[]).expect("guard");
        guard
            .begin(
                Mark {
                    counter: 9,
                    token: [1; 16],
                },
                crate::guard::Memory::default(),
            )
            .expect("begin");
    }
    let vault = disk.open();
    assert_eq!(vault.condition(), Condition::GuardLost);
    assert_eq!(vault.recovery().expect("read").guard_lost_at, Some(0));
}

#[test]
fn a_refused_change_leaves_no_trace() {
    let mut disk = Disk::new();
    let vault = disk.open();
    let mut rng = disk.1.clone();
    let refused = vault.write(&mut rng, |change| {
        change.put_answer(&ROUND, AnswerKind::Report, &answer("x"))?;
        Err::<(), _>(VaultError::Damaged("test"))
    });
    assert!(refused.is_err());
    assert_eq!(
        vault.answer(&ROUND, AnswerKind::Report).expect("read"),
        None
    );
    vault
        .write(&mut rng, |change| say(change, "left"))
        .expect("still works");
    drop(vault);
    assert_eq!(disk.open().condition(), Condition::Intact);
}
