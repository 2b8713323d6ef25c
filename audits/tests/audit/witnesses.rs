//! A checkpoint beside the log: signed by the log's key, of the log that is here, cosigned by stewards of its roster.

use std::fs;

use dawn_audits::verify::LOG_FILE;
use dawn_audits::witness::CHECKPOINT_FILE;
use dawn_audits::{AuditReport, AuditRule, Options, Party, verify_path};
use dawn_crypto::merkle;
use dawn_identity::{Change, Register, SecretKey};
use dawn_protocol::Digest;
use dawn_protocol::tlog::{Checkpoint, SignedNote, cosignature, cosigner, origin};

use crate::assert_broken;
use crate::common::World;
use crate::common::round::PlayedRound;
use crate::common::transcript::transcript;
use crate::logs::{file, head, scene};

struct Scene {
    world: World,
    round: PlayedRound,
    entries: Vec<Vec<u8>>,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let (world, round, entries) = scene(seed);
        Self {
            world,
            round,
            entries,
        }
    }

    /// The checkpoint of the first entries, signed by a key, cosigned by so many stewards.
    fn checkpoint(&self, size: usize, key: &SecretKey, cosigned: usize) -> SignedNote {
        let leaves: Vec<Digest> = self.entries[..size]
            .iter()
            .map(|entry| merkle::leaf_hash(entry))
            .collect();
        let checkpoint = Checkpoint {
            origin: origin(&self.world.federation.digest()),
            size: size as u64,
            root: merkle::root(&leaves),
        };
        self.cosign(checkpoint.sign(key), cosigned)
    }

    fn cosign(&self, mut note: SignedNote, cosigned: usize) -> SignedNote {
        let stewards = &self.world.roster.peek().stewards;
        for (entry, key) in stewards.iter().zip(&self.world.stewards).take(cosigned) {
            assert_eq!(entry.steward, key.public());
            let line = cosignature::cosign(&note.text, &cosigner(&entry.id()), key, 9);
            note.signatures.push(line);
        }
        note
    }

    fn audit(&self, checkpoint: &[u8]) -> AuditReport {
        let dir = tempfile::tempdir().unwrap();
        let log = file(&head(&self.entries, &self.world.log), &self.entries);
        fs::write(
            dir.path().join("1.dawn"),
            transcript(&self.world, &self.round),
        )
        .unwrap();
        fs::write(dir.path().join(LOG_FILE), log).unwrap();
        fs::write(dir.path().join(CHECKPOINT_FILE), checkpoint).unwrap();
        let options = Options {
            federation: Some(self.world.federation.digest()),
            ..Options::default()
        };
        verify_path(dir.path(), &options).unwrap()
    }
}

#[test]
fn a_checkpoint_of_this_log_with_t_cosignatures_passes_and_with_fewer_is_not_enough() {
    let scene = Scene::new(71);
    let (all, t) = (
        scene.entries.len(),
        usize::from(scene.world.roster.peek().threshold.t()),
    );
    for size in [all, all - 3] {
        let note = scene.checkpoint(size, &scene.world.log, t);
        let report = scene.audit(note.to_text().as_bytes());
        assert!(report.passed(), "{report}");
        assert!(report.unchecked.is_empty(), "{report}");
        let witnesses = report.log.unwrap().witnesses.unwrap();
        assert_eq!((witnesses.size, witnesses.cosigned), (size as u64, t));
        assert!(witnesses.enough());
    }
    // The same stewards twice are not more of them.
    let note = scene.checkpoint(all, &scene.world.log, t - 1);
    let note = scene.cosign(note, t - 1);
    let report = scene.audit(note.to_text().as_bytes());
    assert!(report.passed(), "{report}");
    assert_eq!(report.unchecked.len(), 1);
    assert!(!report.log.unwrap().witnesses.unwrap().enough());
}

/// Head and checkpoint are signed by one key: that they are of two histories is the aggregator's doing, whoever cosigned.
#[test]
fn a_signed_checkpoint_of_another_log_blames_the_aggregator() {
    let mut scene = Scene::new(72);
    let size = scene.entries.len() - 1;
    let honest = scene.entries.clone();
    scene.entries[size - 1][0] ^= 1;
    let note = scene.checkpoint(size, &scene.world.log, 6);
    scene.entries = honest;
    let report = scene.audit(note.to_text().as_bytes());
    assert_broken(&report, AuditRule::Log, Party::Aggregator);
}

#[test]
fn what_nobody_signed_is_the_providers() {
    let mut scene = Scene::new(73);
    let size = scene.entries.len();
    let right = scene.checkpoint(size, &scene.world.log, 6);
    let check = |scene: &Scene, bytes: &[u8]| {
        assert_broken(&scene.audit(bytes), AuditRule::Log, Party::Provider);
    };
    check(&scene, b"");
    check(&scene, &right.to_text().as_bytes()[..right.text.len() + 40]);
    check(&scene, right.to_text().repeat(200).as_bytes());
    let others = scene.checkpoint(size, &scene.world.aggregator, 6);
    check(&scene, others.to_text().as_bytes());
    let mut other_log = right.clone();
    other_log.text = other_log.text.replacen("dawn/log/", "dawn/log/0", 1);
    check(&scene, other_log.to_text().as_bytes());
    let mut smaller = right.clone();
    smaller.text = smaller
        .text
        .replace(&format!("\n{size}\n"), &format!("\n{}\n", size - 1));
    check(&scene, smaller.to_text().as_bytes());
    // A line that claims to be of a steward, and is not.
    let mut forged = right.clone();
    let line = forged.signatures.last_mut().unwrap();
    *line.signature.last_mut().unwrap() ^= 1;
    check(&scene, forged.to_text().as_bytes());
    // More entries than are here.
    scene.entries.push(b"one more".to_vec());
    let longer = scene.checkpoint(size + 1, &scene.world.log, 6);
    scene.entries.pop();
    check(&scene, longer.to_text().as_bytes());
}

/// A steward whose organisation was revoked in the log that it cosigns counts for nothing.
#[test]
fn cosignatures_of_revoked_stewards_do_not_count() {
    let mut scene = Scene::new(64);
    let all = scene.world.stewards.len();
    let counted = |scene: &Scene| {
        let size = scene.entries.len();
        let report = scene.audit(
            scene
                .checkpoint(size, &scene.world.log, all)
                .to_text()
                .as_bytes(),
        );
        assert!(report.passed(), "{report}");
        report.log.unwrap().witnesses.unwrap().cosigned
    };
    assert_eq!(counted(&scene), all);
    let pin = scene.world.federation.digest();
    let change = Change::RevokeOrganisation;
    let org = &scene.world.organisations[0];
    let mut register = Register::new(&scene.world.federation);
    for entry in &scene.world.register {
        register.push(entry).unwrap();
    }
    let registration = org.register(&pin, 1_800_000_000).unwrap().bytes().to_vec();
    register.push(&registration).unwrap();
    scene.entries.push(registration);
    let member = register.members().get(&org.id()).unwrap();
    let last = (member.sequence(), member.head().unwrap());
    let event = org.event(&pin, last, change, 1_800_000_001);
    scene.entries.push(event.unwrap().bytes().to_vec());
    assert_eq!(counted(&scene), all - 1);
}

/// A file of many notes, none of them a checkpoint, is told for what it is.
#[test]
fn many_notes_are_no_checkpoint() {
    let scene = Scene::new(78);
    let name = origin(&scene.world.federation.digest());
    let note = SignedNote::sign("just a note\n".to_owned(), &name, &scene.world.log);
    let sixty = note.to_text().repeat(60);
    for (notes, why) in [
        (sixty.as_str(), "not exactly three lines"),
        (&sixty.repeat(9), "longer than 16 KiB"),
        (&note.to_text(), "not exactly three lines"),
    ] {
        let report = scene.audit(notes.as_bytes());
        assert_broken(&report, AuditRule::Log, Party::Provider);
        assert!(report.to_string().contains(why), "{report}");
    }
}
