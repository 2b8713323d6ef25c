//! Two writers at once that are killed in the middle, as processes: no gap, no fork, nothing that was acknowledged lost.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use dawn_aggregator::metrics::Metrics;
use dawn_aggregator::store::Store;
use dawn_crypto::merkle::{Frontier, leaf_hash};
use dawn_protocol::tlog::subtree;

use crate::tlog::store;
use crate::world::World;

const URL: &str = "DAWN_TEST_LOG_WRITER";

/// The other half of the test: appends until it is killed, and says where what was acknowledged is.
#[tokio::test]
#[ignore = "run by killed_writers_leave_no_gap_and_no_fork in processes of their own"]
async fn append_until_killed() {
    let Ok(url) = std::env::var(URL) else { return };
    let metrics = Arc::new(Metrics::default());
    let store = Store::connect(&url, false, 4, metrics).await.unwrap();
    let id = std::process::id();
    for count in 0_u64.. {
        // One at a time and several, as the service and a bulk import do.
        let entries: Vec<Vec<u8>> = (0..1 + count % 7)
            .map(|part| format!("{id} {count} {part}").into_bytes())
            .collect();
        let first = store.append_entries("test", &entries).await.unwrap();
        println!("acknowledged {first} {} {id} {count}", entries.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_writers_leave_no_gap_and_no_fork() {
    let world = World::new().await;
    let store = store(&world).await;
    let mut acknowledged = Vec::new();
    // What was promised after each kill: later trees must continue all of it.
    let mut heads = Vec::new();
    for _ in 0..3 {
        let mut writers: Vec<_> = (0..2)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .args([
                        "--ignored",
                        "--exact",
                        "--nocapture",
                        "log_killed::append_until_killed",
                    ])
                    .env(URL, world.postgres.url())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        let mut outputs: Vec<_> = writers
            .iter_mut()
            .map(|writer| BufReader::new(writer.stdout.take().unwrap()).lines())
            .collect();
        let mut note = |line: String| {
            if let Some(rest) = line.split("acknowledged ").nth(1) {
                let words: Vec<u64> = rest
                    .split(' ')
                    .filter_map(|word| word.parse().ok())
                    .collect();
                // A last line that the kill has cut short says nothing.
                if let [first, count, id, number] = words[..] {
                    acknowledged.push((first, count, id, number));
                }
            }
        };
        for _ in 0..150 {
            for output in &mut outputs {
                note(output.next().unwrap().unwrap());
            }
        }
        for writer in &mut writers {
            writer.kill().unwrap(); // SIGKILL
            writer.wait().unwrap();
        }
        for output in outputs {
            // Up to here it was acknowledged, and the rest of a line may be cut.
            let lines: Vec<String> = output.map_while(Result::ok).collect();
            let whole = lines.len().saturating_sub(1);
            lines.into_iter().take(whole).for_each(&mut note);
        }
        heads.push(store.log_head().await.unwrap());
    }
    let (size, root) = store.log_head().await.unwrap();
    assert!(size >= 900);
    let mut entries = Vec::new();
    while let Some(last) = store
        .log_entries(entries.len() as u64, 1000)
        .await
        .ok()
        .filter(|page| !page.is_empty())
    {
        entries.extend(last);
    }
    assert!(
        entries
            .iter()
            .zip(0..)
            .all(|(entry, index)| entry.index == index),
        "no gap"
    );
    assert_eq!(entries.len() as u64, size);
    for (first, count, id, number) in acknowledged {
        for part in 0..count {
            let there = &entries[(first + part) as usize].envelope;
            assert_eq!(there, format!("{id} {number} {part}").as_bytes());
        }
    }
    // Every head that was promised is a prefix, by its leaves and by the tiles that are kept.
    let mut frontier = Frontier::new();
    let mut promised = heads.iter().peekable();
    for entry in &entries {
        frontier.push(leaf_hash(&entry.envelope));
        if let Some(head) = promised.next_if(|head| head.0 == frontier.size()) {
            assert_eq!(head.1, frontier.root(), "no fork");
        }
    }
    assert!(promised.next().is_none());
    assert_eq!(frontier.root(), root);
    let tiles = store.tiles(subtree::root_tiles(size)).await.unwrap();
    assert_eq!(subtree::root(size, &tiles), Ok(root));
    for (old, old_root) in heads {
        let tiles = store
            .tiles(subtree::consistency_tiles(old, size).unwrap())
            .await
            .unwrap();
        let proof = subtree::consistency_proof(old, size, &tiles).unwrap();
        dawn_crypto::merkle::verify_consistency(old, &old_root, size, &root, &proof).unwrap();
    }
}
