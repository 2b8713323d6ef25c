//! A monitor follows a log over a replacement of the server's keys.

use dawn_audits::AuditRule;
use dawn_crypto::merkle;
use dawn_identity::{SecretKey, ServerRole, Signed};
use dawn_protocol::tlog::{Checkpoint, origin};

use crate::common::World;
use crate::common::round::Script;
use crate::logs::head;
use crate::rounds;
use crate::watching::{Source, assert_found, evidence, log, look};

/// The log's key is replaced: a monitor learns it from the entries under the head that it signs, takes nothing under the old one
/// from there on, and keeps no evidence against a key that has signed nothing wrong.
#[tokio::test]
async fn a_log_whose_key_was_replaced_is_followed_under_the_new_one() {
    let mut world = World::new(520);
    let played = rounds(&mut world, &[Script::default()]);
    let mut all = log(&world, &played);
    let before = all.len();
    let old = SecretKey::from_seed(&world.log.to_seed());
    let new = SecretKey::from_seed(&[71; 32]);
    all.push(world.replace_server_key(ServerRole::Log, &new));
    let signed = |size: usize, key: &SecretKey| Source {
        head: head(&all[..size], key),
        ..Source::of(&world, &all[..size])
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (seen, _) = look(&world, path, &signed(before - 2, &old)).await;
    assert!(
        seen.findings.is_empty() && !seen.forked,
        "{:?}",
        seen.findings
    );
    // The old key signs no head with its own replacement; nor does a stranger's any.
    let unknown = SecretKey::from_seed(&[72; 32]);
    for wrong in [
        signed(before + 1, &old),
        signed(before + 1, &unknown),
        signed(before, &unknown),
    ] {
        let (seen, size) = look(&world, path, &wrong).await;
        assert_found(&seen.findings, AuditRule::Log);
        assert!(seen.forked);
        assert_eq!((size, evidence(path)), (before as u64 - 2, 0));
    }
    // A head of the new key before the change is a head all the same, for whoever knows it.
    let (seen, size) = look(&world, path, &signed(before + 1, &new)).await;
    assert!(
        seen.findings.is_empty() && !seen.forked,
        "{:?}",
        seen.findings
    );
    assert_eq!(size, before as u64 + 1);
    // After a restart, and with an older head of a replica that lags.
    for (size, key) in [(before + 1, &new), (before, &old), (before, &new)] {
        let mut source = signed(size, key);
        let mut body = source.head.peek().clone();
        body.time_ms = 0;
        if size == before {
            source.head = Signed::sign(&body, key).unwrap();
        }
        let (seen, _) = look(&world, path, &source).await;
        assert!(
            seen.findings.is_empty() && !seen.forked,
            "{:?}",
            seen.findings
        );
    }
    let (seen, size) = look(&world, path, &signed(before + 1, &old)).await;
    assert!(seen.forked);
    assert_eq!((size, evidence(path)), (before as u64 + 1, 0));
    // What the new key signs and the entries do not lead to is evidence.
    let mut more = all.clone();
    more.push(world.task.bytes().to_vec());
    let mut forged = Source::of(&world, &more);
    forged.head = head(&more, &new);
    *forged.entries.last_mut().unwrap() = b"another".to_vec();
    let (seen, _) = look(&world, path, &forged).await;
    assert!(seen.forked);
    assert_eq!(evidence(path), 2);
}

#[tokio::test]
async fn a_checkpoint_under_a_replaced_key_is_found() {
    let mut world = World::new(521);
    let played = rounds(&mut world, &[Script::default()]);
    let mut all = log(&world, &played);
    let before = all.len();
    let old = SecretKey::from_seed(&world.log.to_seed());
    let new = SecretKey::from_seed(&[71; 32]);
    all.push(world.replace_server_key(ServerRole::Log, &new));
    let checkpoint = |size: usize, key: &SecretKey| {
        let leaves: Vec<_> = all[..size]
            .iter()
            .map(|entry| merkle::leaf_hash(entry))
            .collect();
        Checkpoint {
            origin: origin(&world.federation.digest()),
            size: size as u64,
            root: merkle::root(&leaves),
        }
        .sign(key)
    };
    for (size, key, right) in [
        (before, &old, true),
        (before, &new, true),
        (before + 1, &new, true),
        (before + 1, &old, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut source = Source::of(&world, &all);
        source.witnessed = Some(checkpoint(size, key));
        let (seen, _) = look(&world, folder.path(), &source).await;
        assert_eq!(
            seen.findings.is_empty(),
            right,
            "{size}: {:?}",
            seen.findings
        );
        assert_eq!(seen.forked, !right);
        // And again after a restart.
        let (seen, _) = look(&world, folder.path(), &source).await;
        assert_eq!(
            seen.findings.is_empty(),
            right,
            "{size}: {:?}",
            seen.findings
        );
    }
}

/// The aggregator's key is replaced, and somebody goes on with the old one in the log.
#[tokio::test]
async fn a_statement_under_a_replaced_key_is_found() {
    let mut world = World::new(522);
    let played = rounds(&mut world, &[Script::default()]);
    let mut all = log(&world, &played);
    let verdict = played[0].verdict.as_ref().unwrap().bytes();
    let at = all.iter().position(|entry| entry == verdict).unwrap();
    let key = SecretKey::from_seed(&[70; 32]);
    all.insert(at, world.replace_server_key(ServerRole::Aggregator, &key));
    let folder = tempfile::tempdir().unwrap();
    let (seen, _) = look(&world, folder.path(), &Source::of(&world, &all)).await;
    assert_found(&seen.findings, AuditRule::Log);
}
