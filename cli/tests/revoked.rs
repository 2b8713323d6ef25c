//! Trust that is taken back in the middle of a round, with real processes: aggregator, stewards and auditor judge by the same
//! register, the one that the closing names (docs/protocol.md, section 4.6).
#![allow(clippy::unwrap_used)]

mod common;

use common::Testbed;
use dawn_identity::{Change, OrgId, Organisation, Register};
use dawn_sim::demo::federation::Founded;
use dawn_transport::Api;
use rand_core::UnwrapErr;

/// The next event of an organisation, posted.
async fn tell(api: &Api, founded: &Founded, org: &Organisation, change: Change, by_issuer: bool) {
    let mut register = Register::new(&founded.founding.verify().unwrap());
    api.extend_register(&mut register, None).await.unwrap();
    let member = register.members().get(&org.id()).unwrap();
    let last = (member.sequence(), member.head().unwrap());
    let digest = founded.founding.digest();
    if by_issuer {
        let event = org.online().event(&digest, last, change, 0).unwrap();
        api.revoke(&event, org.issuer()).await.unwrap();
    } else {
        let event = org.event(&digest, last, change, 0).unwrap();
        api.revoke(&event, org.root()).await.unwrap();
    }
}

/// A device, an issuer and a whole organisation are revoked while the round collects: what they have sent before counts for
/// nothing, what they send after is refused, everybody else's is summed, and the auditor agrees.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_in_the_middle_of_a_round_is_not_in_its_sum() {
    let mut bed = Testbed::open(4, 12, 25_000).await;
    let mut prepared = Vec::new();
    for (open, (client, data)) in bed.open_rounds().await.into_iter().zip(&bed.clients) {
        let rng = &mut UnwrapErr(getrandom::SysRng);
        let update = open.train(data, rng).unwrap();
        let submission = open.prepare(&update, rng).unwrap();
        prepared.push((client.device(), client.organisation(), open, submission));
    }
    let org = |index: usize| &bed.founded.members[index].organisation;
    let of = |id: OrgId| prepared.iter().filter(move |(_, org, ..)| *org == id);
    let (device_of, issuer_of, all_of) = (org(0).id(), org(1).id(), org(2).id());
    for id in [device_of, issuer_of, all_of] {
        assert!(
            of(id).count() >= 2,
            "the devices are spread over the organisations"
        );
    }
    let stolen = of(device_of).next().unwrap().0;
    // Of the organisation whose issuer is revoked one device is late.
    let late = of(issuer_of).next().unwrap().0;
    for (device, _, open, submission) in &prepared {
        if *device != late {
            open.send(submission).await.unwrap();
        }
    }
    let api = bed.stage.api().clone();
    let devices = vec![stolen];
    tell(
        &api,
        &bed.founded,
        org(0),
        Change::RevokeDevices { devices },
        true,
    )
    .await;
    let issuer = org(1).issuer().public().id();
    tell(
        &api,
        &bed.founded,
        org(1),
        Change::RevokeIssuer { issuer },
        false,
    )
    .await;
    tell(
        &api,
        &bed.founded,
        org(2),
        Change::RevokeOrganisation,
        false,
    )
    .await;
    let (_, _, open, submission) = prepared
        .iter()
        .find(|(device, ..)| *device == late)
        .unwrap();
    let refused = open.send(submission).await.unwrap_err().to_string();
    assert!(refused.contains("revoked"), "{refused}");

    assert_eq!(bed.wait_for(&["done", "aborted"]).await, "done");
    let accepted = bed.accepted().await;
    for (device, org, ..) in &prepared {
        let counts = *org != issuer_of && *org != all_of && *device != stolen;
        assert_eq!(accepted.contains(device), counts, "{device} of {org}");
    }
    assert_eq!(bed.audit().await, "PASS");
    bed.stage.close().unwrap();
}
