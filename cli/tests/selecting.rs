//! A steward whose process was away for a round that draws its devices: it takes what the next round draws from with proof from
//! the log (docs/protocol.md, section 4.10), and the round cannot go on without it.
#![allow(clippy::unwrap_used)]

mod common;

use common::Testbed;
use dawn_identity::Signed;
use dawn_protocol::selection::Selection;
use dawn_protocol::{Endorsement, RoundId};

#[tokio::test(flavor = "multi_thread")]
async fn a_steward_that_was_away_for_a_round_endorses_the_next_draw() {
    let mut bed = Testbed::with_task(4, 8, |task| {
        task.rounds = 2;
        task.deadlines.keying_ms = 15_000;
        task.deadlines.collecting_ms = 120_000;
        task.policy.target_submissions = 8;
        // Everybody but one in 2^32 is drawn.
        task.options.selection = Some(Selection { rate: u32::MAX });
    })
    .await;
    // T = A = 3 of four stewards.
    assert_eq!(bed.founded.roster.peek().threshold.a(), 3);
    bed.round(1, &["collecting"]).await;
    bed.stage.kill_steward(3).unwrap();
    bed.submit().await;
    bed.round(1, &["done"]).await;
    // One that saw the round to its end is away now, so that the one that did not is needed.
    bed.stage.kill_steward(0).unwrap();
    bed.stage.start_steward(3).unwrap();
    bed.round(2, &["collecting"]).await;
    bed.submit().await;
    bed.round(2, &["done"]).await;
    let round = RoundId::new(bed.task, 2);
    let logged = bed.stage.api().statements(&round).await.unwrap();
    let endorsed = logged
        .iter()
        .filter_map(|entry| Signed::<Endorsement>::from_bytes(&entry.envelope).ok())
        .any(|said| said.peek().steward == bed.founded.members[3].steward_id());
    assert!(endorsed, "the steward that was away has not endorsed");
    assert_eq!(bed.audit().await, "PASS");
    bed.stage.close().unwrap();
}
