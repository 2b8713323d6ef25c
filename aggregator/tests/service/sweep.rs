//! Objects that no row names are removed; those that a row names are not.

use dawn_aggregator::cleanup;
use dawn_aggregator::payloads::ObjectKey;
use dawn_identity::Digest;

use crate::submissions::Collecting;

#[tokio::test(flavor = "multi_thread")]
async fn orphans_go_and_the_rest_stays() {
    let mut round = Collecting::with(
        |_| {},
        |limits| {
            limits.orphan_age_s = 0;
            limits.sweep_every_s = 3600;
        },
    )
    .await;
    let device = round.world.device(0);
    let submission = round.prepare(&device, 1);
    device
        .submit(&round.api, &round.announcement, &submission)
        .await
        .unwrap();
    let app = round.running.app();
    let orphan = ObjectKey::payload(&Digest([9; 32]));
    let packages = ObjectKey::packages(&round.id.task.0, 1, &Digest([8; 32]));
    let answers = ObjectKey::answers(&round.id.task.0, 1, &Digest([7; 32]));
    for key in [&orphan, &packages, &answers] {
        app.payloads.put(key, vec![1, 2, 3]).await.unwrap();
    }
    assert_eq!(
        (
            round.world.objects("payloads"),
            round.world.objects("packages")
        ),
        (2, 2)
    );
    // Ages count in whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    cleanup::sweep(app).await.unwrap();
    assert!(!app.payloads.exists(&orphan).await.unwrap());
    assert!(!app.payloads.exists(&packages).await.unwrap());
    assert!(!app.payloads.exists(&answers).await.unwrap());
    assert_eq!(
        (
            round.world.objects("payloads"),
            round.world.objects("packages")
        ),
        (1, 1)
    );
    let named = ObjectKey::payload(&submission.header.peek().payload);
    assert!(app.payloads.exists(&named).await.unwrap());
}
