//! Documents of many signers, and what is encoded inside statements.

use dawn_crypto::params::Sigma;
use dawn_crypto::shamir::Threshold;
use dawn_identity::to_canonical;
use dawn_protocol::work::work_to_bytes;
use dawn_protocol::{Functional, LogEntry, PackageItem, PackagePage, RoundId, WorkItem};

use super::{Seed, chosen};
use crate::targets::DOCUMENTS;
use crate::world::{NOW, honest};

pub(super) fn documents(seeds: &mut Vec<Seed>) {
    let honest = honest();
    let (world, round) = (&honest.world, &honest.rounds[1]);
    let task = world.task.peek();
    let (announcement, closed) = (round.announcement(), round.closed.clone().expect("closed"));
    let challenge = round.challenge.clone().expect("challenged");
    let work = vec![
        WorkItem::PublishSealingKey {
            round: RoundId::new(task.id(), 7),
        },
        WorkItem::Endorse {
            spec: round.spec.clone(),
        },
        WorkItem::ContributeNoise {
            announcement: announcement.clone(),
        },
        WorkItem::ShareBeacon {
            announcement: announcement.clone(),
            closed: closed.clone(),
        },
        WorkItem::Report {
            announcement: announcement.clone(),
            closed: closed.clone(),
            challenge: challenge.clone(),
        },
        WorkItem::Open {
            announcement: announcement.clone(),
            closed: closed.clone(),
            challenge,
            reports: round.reports.clone(),
            verdict: round.verdict.clone().expect("judged"),
        },
    ];
    let page = PackagePage {
        first: 2,
        items: vec![
            PackageItem {
                header: round.submissions[0].header.bytes().to_vec(),
                package: vec![9; 40],
            };
            2
        ],
        next: Some(4),
    };
    let entries: Vec<LogEntry> = (7..)
        .zip([closed.bytes(), round.reports[0].bytes()])
        .map(|(index, envelope)| LogEntry {
            index,
            envelope: envelope.to_vec(),
        })
        .collect();
    let mut add = |name: &str, bytes: &[u8]| {
        let input = chosen(DOCUMENTS, name, |entry| entry.0, bytes);
        seeds.push(("documents", name.to_owned(), input));
    };
    add("founding document", &world.document().to_bytes());
    add("roster", &world.roster.to_bytes());
    add("credential chain", &to_canonical(&world.devices[0].chain));
    add("announcement", &announcement.to_bytes());
    add("work", &work_to_bytes(&work));
    add("package page", &page.to_bytes());
    add("log entries", &to_canonical(&entries));
    let founder = &world.organisations[0];
    let registration = founder.register(&world.federation.digest(), NOW);
    add("register", registration.expect("consistent").bytes());
    add(
        "threshold",
        &to_canonical(&Threshold::new(6, 1).expect("allowed")),
    );
    add("deviation", &to_canonical(&Sigma::ERROR_MIN));
    add("model", &to_canonical(&task.model));
    add("training", &to_canonical(&task.train));
    add("quantiser", &to_canonical(&task.quantiser));
    add("policy", &to_canonical(&task.policy));
    add("deadlines", &to_canonical(&task.deadlines));
    add("privacy", &to_canonical(&task.privacy));
    add("functional", &to_canonical(&Functional::Direction));
    add("functional", &to_canonical(&Functional::Counts));
    add("round", &to_canonical(&RoundId::new(task.id(), 7)));
}
