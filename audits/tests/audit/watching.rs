//! A monitor follows a log that grows, remembers what it saw, and keeps both heads of a contradiction.

use std::fs;
use std::path::Path;

use dawn_audits::{AuditRule, Finding, LogSource, Look, Party, Watch, WatchError};
use dawn_crypto::merkle;
use dawn_identity::{FoundingDocument, Signed};
use dawn_protocol::tlog::{Checkpoint, SignedNote, cosignature, cosigner, origin};
use dawn_protocol::{AbortReason, LogHead, RoundOpen};
use dawn_transport::TransportError;

use crate::common::World;
use crate::common::round::{PlayedRound, Script};
use crate::logs::{entries, head};
use crate::rounds;

/// A log in memory.
pub struct Source {
    pub document: FoundingDocument,
    pub head: Signed<LogHead>,
    pub entries: Vec<Vec<u8>>,
    pub witnessed: Option<SignedNote>,
}

impl Source {
    pub fn of(world: &World, entries: &[Vec<u8>]) -> Self {
        Self {
            document: world.document().clone(),
            head: head(entries, &world.log),
            entries: entries.to_vec(),
            witnessed: None,
        }
    }
}

impl LogSource for Source {
    async fn federation(&self) -> Result<FoundingDocument, TransportError> {
        Ok(self.document.clone())
    }

    async fn head(&self) -> Result<Signed<LogHead>, TransportError> {
        Ok(self.head.clone())
    }

    async fn witnessed(&self) -> Result<Option<SignedNote>, TransportError> {
        Ok(self.witnessed.clone())
    }

    /// Pages of three, whatever is asked for.
    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, TransportError> {
        let rest = self.entries.iter().skip(from as usize);
        Ok(rest.take(limit.min(3) as usize).cloned().collect())
    }
}

pub fn log(world: &World, played: &[PlayedRound]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![];
    for entry in played.iter().flat_map(|round| entries(world, round)) {
        if !all.contains(&entry) {
            all.push(entry);
        }
    }
    all
}

async fn open(world: &World, folder: &Path, source: &Source) -> Watch {
    let pin = world.federation.digest();
    Watch::open(folder, source, Some(&pin)).await.unwrap()
}

pub async fn look(world: &World, folder: &Path, source: &Source) -> (Look, u64) {
    let mut watch = open(world, folder, source).await;
    let look = watch.look(source).await.unwrap();
    (look, watch.size())
}

#[track_caller]
pub fn assert_found(findings: &[Finding], rule: AuditRule) {
    let found = findings
        .iter()
        .any(|f| (f.rule, f.culprit) == (rule, Party::Aggregator));
    assert!(found, "{findings:?}");
}

pub fn evidence(folder: &Path) -> usize {
    fs::read_dir(folder.join("evidence")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_log_that_grows_is_followed_across_restarts() {
    let mut world = World::new(501);
    let played = rounds(&mut world, &[Script::default(), Script::default()]);
    let all = log(&world, &played);
    let first = log(&world, &played[..1]).len();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (seen, size) = look(&world, path, &Source::of(&world, &all[..first])).await;
    assert_eq!((seen.told.len(), size), (first, first as u64));
    assert!(seen.findings.is_empty() && !seen.forked);
    let said: Vec<_> = seen.told.iter().map(ToString::to_string).collect();
    let text = said.join("\n");
    for what in [
        "round-spec",
        "micro-rho",
        "4 accepted",
        "opened",
        "endorsement",
    ] {
        assert!(text.contains(what), "{text}");
    }
    // After a restart only what is new is told; a third look finds nothing new.
    let whole = Source::of(&world, &all);
    let (seen, size) = look(&world, path, &whole).await;
    assert_eq!(
        (seen.told.len(), size),
        (all.len() - first, all.len() as u64)
    );
    assert!(seen.findings.is_empty());
    let (seen, _) = look(&world, path, &whole).await;
    assert!(seen.told.is_empty() && seen.findings.is_empty() && !seen.forked);
    assert_eq!(evidence(path), 0);
    // What was written after the last head, when the power was cut, is cut off.
    let entries = path.join("entries");
    let kept = fs::read(&entries).unwrap();
    fs::write(&entries, [&kept[..], &[9; 30]].concat()).unwrap();
    let (seen, _) = look(&world, path, &whole).await;
    assert!(!seen.forked);
    assert_eq!(fs::read(&entries).unwrap(), kept);
    // What is not a monitor's state is not taken for one.
    fs::write(&entries, &kept[..kept.len() - 1]).unwrap();
    let pin = world.federation.digest();
    let refused = Watch::open(path, &whole, Some(&pin)).await;
    assert!(matches!(refused, Err(WatchError::Foreign(_))));
}

#[tokio::test]
async fn a_fork_and_a_shrink_keep_both_heads() {
    let mut world = World::new(502);
    let played = rounds(&mut world, &[Script::default()]);
    let all = log(&world, &played);
    let half = all.len() / 2;
    for (name, lie) in [
        ("another history", {
            let mut lie = all.clone();
            lie[half - 1] = all[half].clone();
            lie
        }),
        ("of the same length", {
            let mut lie = all[..half].to_vec();
            lie.swap(1, 2);
            lie
        }),
        ("shorter", all[..half - 1].to_vec()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let honest = Source::of(&world, &all[..half]);
        let (seen, _) = look(&world, folder.path(), &honest).await;
        assert!(!seen.forked && seen.findings.is_empty());
        let lying = Source::of(&world, &lie);
        for _ in 0..2 {
            let (seen, size) = look(&world, folder.path(), &lying).await;
            assert!(seen.forked, "{name}");
            assert_found(&seen.findings, AuditRule::Log);
            assert_eq!(
                (seen.told.len(), size, evidence(folder.path())),
                (0, half as u64, 2),
                "{name}"
            );
        }
        // The honest log goes on from what was seen; that there was another is not forgotten.
        let honest = Source::of(&world, &all);
        let (seen, size) = look(&world, folder.path(), &honest).await;
        assert!(!seen.forked);
        assert_eq!(size, all.len() as u64, "{name}");
        let again = open(&world, folder.path(), &honest).await;
        assert_found(again.standing(), AuditRule::Log);
    }
}

/// A replica that lags shows an older head; that takes nothing back.
#[tokio::test]
async fn an_older_head_is_no_shrink() {
    let mut world = World::new(503);
    let played = rounds(&mut world, &[Script::default()]);
    let all = log(&world, &played);
    let folder = tempfile::tempdir().unwrap();
    look(&world, folder.path(), &Source::of(&world, &all)).await;
    let mut lagging = Source::of(&world, &all[..all.len() - 2]);
    let older = LogHead {
        time_ms: 0,
        ..lagging.head.peek().clone()
    };
    lagging.head = Signed::sign(&older, &world.log).unwrap();
    let (seen, _) = look(&world, folder.path(), &lagging).await;
    assert!(!seen.forked && seen.findings.is_empty());
    // A head by somebody else, and one that promises more than there is.
    let mut forged = Source::of(&world, &all);
    forged.head = Signed::sign(forged.head.peek(), &world.aggregator).unwrap();
    assert!(look(&world, folder.path(), &forged).await.0.forked);
    let mut more = Source::of(&world, &[&all[..], &all[..1]].concat());
    more.entries.pop();
    let (seen, _) = look(&world, folder.path(), &more).await;
    assert_found(&seen.findings, AuditRule::Log);
}

/// What is broken in the log stays broken, also after a restart.
#[tokio::test]
async fn contradictions_and_overspending_are_remembered() {
    let mut world = World::new(504);
    let played = rounds(&mut world, &[Script::default()]);
    let honest = log(&world, &played);
    let verdict = played[0].verdict.as_ref().unwrap();
    let place = honest
        .iter()
        .position(|entry| entry == verdict.bytes())
        .unwrap();
    let mut body = verdict.peek().clone();
    body.spent_micro_rho += 1;
    let other = Signed::sign(&body, &world.aggregator)
        .unwrap()
        .bytes()
        .to_vec();
    let unsigned = Signed::sign(verdict.peek(), &world.log)
        .unwrap()
        .bytes()
        .to_vec();
    // The round was judged, and no report is said to have come.
    let context = world.context.verify_spec(&played[0].spec).unwrap();
    let open_round = RoundOpen::new(context, &played[0].endorsements).unwrap();
    let abort = world.abort(&open_round, AbortReason::TooFewReports);
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut entries = honest.clone();
        change(&mut entries);
        entries
    };
    for (lie, rule) in [
        (with(&|entries| entries.push(other.clone())), AuditRule::Log),
        (
            with(&|entries| entries[place] = other.clone()),
            AuditRule::Budget,
        ),
        (
            with(&|entries| entries[place] = unsigned.clone()),
            AuditRule::Log,
        ),
        (
            with(&|entries| *entries.last_mut().unwrap() = abort.bytes().to_vec()),
            AuditRule::Abort,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::of(&world, &lie);
        let (seen, _) = look(&world, folder.path(), &source).await;
        assert_found(&seen.findings, rule);
        assert!(!seen.forked);
        let again = open(&world, folder.path(), &source).await;
        assert_found(again.standing(), rule);
    }
}

/// The checkpoint of the first entries, signed by the log and cosigned by the first stewards.
fn checkpoint(world: &World, entries: &[Vec<u8>], cosigned: usize) -> SignedNote {
    let leaves: Vec<_> = entries
        .iter()
        .map(|entry| merkle::leaf_hash(entry))
        .collect();
    let checkpoint = Checkpoint {
        origin: origin(&world.federation.digest()),
        size: entries.len() as u64,
        root: merkle::root(&leaves),
    };
    let mut note = checkpoint.sign(&world.log);
    let stewards = &world.roster.peek().stewards;
    for (entry, key) in stewards.iter().zip(&world.stewards).take(cosigned) {
        let line = cosignature::cosign(&note.text, &cosigner(&entry.id()), key, 9);
        note.signatures.push(line);
    }
    note
}

/// What stewards have cosigned is followed across restarts: counted, kept when it is longer, and never mixed up.
#[tokio::test]
async fn cosigned_checkpoints_are_followed_across_restarts() {
    let mut world = World::new(507);
    let played = rounds(&mut world, &[Script::default(), Script::default()]);
    let all = log(&world, &played);
    let half = log(&world, &played[..1]).len();
    let folder = tempfile::tempdir().unwrap();
    let t = world.roster.peek().threshold.t();
    let mut source = Source::of(&world, &all[..half]);
    let seen = async |source: &Source| {
        let (look, _) = look(&world, folder.path(), source).await;
        assert!(look.findings.is_empty() && !look.forked, "{look:?}");
        let watch = open(&world, folder.path(), source).await;
        watch
            .witnesses()
            .map(|w| (w.size as usize, w.cosigned, w.needed))
    };
    assert_eq!(seen(&source).await, None);
    // Behind the head, with one cosignature and with all.
    source.witnessed = Some(checkpoint(&world, &all[..half - 2], 1));
    assert_eq!(seen(&source).await, Some((half - 2, 1, Some(t))));
    source.witnessed = Some(checkpoint(&world, &all[..half - 2], 4));
    assert_eq!(seen(&source).await, Some((half - 2, 4, Some(t))));
    // A line of somebody else counts for nothing.
    let mut foreign = checkpoint(&world, &all[..half - 1], 3);
    let id = world.roster.peek().stewards[3].id();
    let line = cosignature::cosign(&foreign.text, &cosigner(&id), &world.aggregator, 9);
    foreign.signatures.push(line);
    source.witnessed = Some(foreign);
    assert_eq!(seen(&source).await, Some((half - 1, 3, Some(t))));
    // The log grows; an older checkpoint, and then none, takes nothing back.
    source = Source::of(&world, &all);
    source.witnessed = Some(checkpoint(&world, &all, 4));
    assert_eq!(seen(&source).await, Some((all.len(), 4, Some(t))));
    source.witnessed = Some(checkpoint(&world, &all[..half], 4));
    assert_eq!(seen(&source).await, Some((all.len(), 4, Some(t))));
    source.witnessed = None;
    assert_eq!(seen(&source).await, Some((all.len(), 4, Some(t))));
    // What is kept is verified when it is read.
    let path = folder.path().join("checkpoint");
    let other = checkpoint(&world, &all[1..], 4);
    fs::write(&path, other.to_text()).unwrap();
    let pin = world.federation.digest();
    let refused = Watch::open(folder.path(), &source, Some(&pin)).await;
    assert!(matches!(refused, Err(WatchError::Foreign(_))));
}

/// Two logs: one for whoever looks, one for the stewards. The checkpoint that they have cosigned shows it.
#[tokio::test]
async fn a_checkpoint_of_another_log_is_a_fork() {
    let mut world = World::new(508);
    let played = rounds(&mut world, &[Script::default()]);
    let all = log(&world, &played);
    let mut other = all.clone();
    other.swap(1, 2);
    let half = all.len() / 2;
    for size in [half, all.len()] {
        let folder = tempfile::tempdir().unwrap();
        let mut source = Source::of(&world, &all);
        source.witnessed = Some(checkpoint(&world, &other[..size], 4));
        let (seen, _) = look(&world, folder.path(), &source).await;
        assert!(seen.forked, "{seen:?}");
        assert_found(&seen.findings, AuditRule::Log);
        assert_eq!(evidence(folder.path()), 2);
        let again = open(&world, folder.path(), &source).await;
        assert_found(again.standing(), AuditRule::Log);
        assert!(again.witnesses().is_none());
    }
    // One that the log did not sign, one with a forged cosignature, and one over more than the head.
    let folder = tempfile::tempdir().unwrap();
    let mut source = Source::of(&world, &all[..half]);
    let mut unsigned = checkpoint(&world, &all[..half], 4);
    unsigned.signatures.remove(0);
    source.witnessed = Some(unsigned);
    assert!(look(&world, folder.path(), &source).await.0.forked);
    let mut forged = checkpoint(&world, &all[..half], 4);
    *forged.signatures[2].signature.last_mut().unwrap() ^= 1;
    for note in [forged, checkpoint(&world, &all, 4)] {
        source.witnessed = Some(note);
        let (seen, _) = look(&world, folder.path(), &source).await;
        assert_found(&seen.findings, AuditRule::Log);
        assert!(!seen.forked);
        assert!(
            open(&world, folder.path(), &source)
                .await
                .witnesses()
                .is_none()
        );
    }
    assert_eq!(evidence(folder.path()), 0);
}

/// The budget holds whatever comes first in the log, and nothing is charged that no specification says.
#[tokio::test]
async fn a_verdict_needs_its_task_and_its_specification() {
    let mut world = World::new(509);
    let played = rounds(&mut world, &[Script::default()]);
    let honest = log(&world, &played);
    let place = |bytes: &[u8]| honest.iter().position(|entry| entry == bytes).unwrap();
    let verdict = played[0].verdict.as_ref().unwrap();
    let moved = |from: usize, to: usize| {
        let mut lie = honest.clone();
        let entry = lie.remove(from);
        lie.insert(to, entry);
        lie
    };
    let task = place(world.task.bytes());
    let spec = place(played[0].spec.bytes());
    let at = place(verdict.bytes());
    let mut charged = honest.clone();
    let mut body = verdict.peek().clone();
    body.charge_micro_rho += 1;
    body.spent_micro_rho += 1;
    charged[at] = Signed::sign(&body, &world.aggregator)
        .unwrap()
        .bytes()
        .to_vec();
    for (lie, words, rule) in [
        (moved(task, at), "no task before it", AuditRule::Log),
        (
            moved(spec, at),
            "no specification before it",
            AuditRule::Log,
        ),
        (charged, "its specification says", AuditRule::Budget),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (seen, _) = look(&world, folder.path(), &Source::of(&world, &lie)).await;
        assert_found(&seen.findings, rule);
        let mut details = seen.findings.iter().map(|finding| &finding.detail);
        assert!(
            details.any(|detail| detail.contains(words)),
            "{:?}",
            seen.findings
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::of(&world, &honest);
    let mut watch = open(&world, folder.path(), &source).await;
    watch.limit(1000);
    assert!(matches!(
        watch.look(&source).await,
        Err(WatchError::TooMuch(1000))
    ));
    assert_eq!(watch.size(), 0);
}

#[tokio::test]
async fn another_federation_is_not_watched() {
    let world = World::new(505);
    let other = World::new(506);
    let folder = tempfile::tempdir().unwrap();
    let source = Source::of(&world, &[world.document().to_bytes()]);
    let pin = other.federation.digest();
    let refused = Watch::open(folder.path(), &source, Some(&pin)).await;
    assert!(matches!(refused, Err(WatchError::OtherFederation { .. })));
    assert!(!folder.path().join("federation").exists());
    // Without a pin, what the service names first is kept: another service is not taken for it.
    let folder = tempfile::tempdir().unwrap();
    let watch = Watch::open(folder.path(), &source, None).await.unwrap();
    assert_eq!(watch.federation(), world.federation.digest());
    let foreign = Source::of(&other, &[other.document().to_bytes()]);
    let mut watch = Watch::open(folder.path(), &foreign, None).await.unwrap();
    assert_eq!(watch.federation(), world.federation.digest());
    assert!(watch.look(&foreign).await.unwrap().forked);
}
