//! Bodies of statements, and envelopes around them.

use dawn_audits::AuditStatement;
use dawn_crypto::params::Sigma;
use dawn_identity::{
    Change, DeviceId, Digest, Envelope, FederationEvent, OrgApproval, OrgEvent, RosterPosting,
    SecretKey, ServerKey, ServerKeyChange, ServerRole, SignedServerKeyChange, Statement,
    to_canonical,
};
use dawn_protocol::terminal::Terminal;
use dawn_protocol::{
    Aborted, BeaconShare, Candidate, Challenge, Closed, Endorsement, Functional, LogHead,
    NoiseSecret, Opening, PackageReport, Receipt, RoundResult, RoundSpec, SealingKey, StewardNoise,
    SubmissionHeader, Task, Verdict,
};

use super::{Seed, chosen};
use crate::targets::{self, KINDS};
use crate::world::{self, NOW, honest};

pub(super) fn statements(seeds: &mut Vec<Seed>) {
    let honest = honest();
    let (world, round, aborted) = (&honest.world, &honest.rounds[1], &honest.rounds[2]);
    let spec = round.spec.peek();
    let Terminal::Result(result) = &round.terminal else {
        panic!("the second round has a result");
    };
    let Terminal::Aborted(aborted) = &aborted.terminal else {
        panic!("the third round is aborted");
    };
    let receipt = Receipt {
        round: spec.round,
        session: spec.session(),
        device: DeviceId(Digest([4; 32])),
        header: Digest([5; 32]),
        received_ms: NOW * 1000,
    };
    let head = LogHead {
        size: 300,
        root: Digest([6; 32]),
        time_ms: NOW * 1000,
    };
    let org = &world.organisations[0];
    let enrolment = org
        .enrol_steward(
            &world.federation.digest(),
            &world.stewards[0],
            world.vrfs[0].public(),
            NOW,
        )
        .expect("consistent");
    let chain = &world.devices[0].chain;
    let key = spec.sealing_keys[0].as_ref().expect("everybody is seated");
    let mut add = |kind: &'static str, body: &[u8]| {
        let name_of = |entry: &targets::Kind| entry.0;
        let input = chosen(KINDS, kind, name_of, body);
        let label = format!("{kind} {}", seeds.len() / 2);
        seeds.push(("statements", label.clone(), input));
        let envelope = Envelope::seal(kind, body.to_vec(), world::key()).expect("a kind");
        let input = chosen(KINDS, kind, name_of, envelope.bytes());
        seeds.push(("envelopes", label, input));
    };
    add(Task::KIND, world.task.body());
    let mut grouped = world.task.peek().clone();
    grouped.policy.min_accepted = 6;
    grouped.policy.min_honest = 6;
    grouped.options.groups = Some(world::plans::group_rule());
    add(Task::KIND, &to_canonical(&grouped));
    add(SealingKey::KIND, key.body());
    add(RoundSpec::KIND, round.spec.body());
    let mut absent = spec.clone();
    absent.sealing_keys[1] = None;
    add("round-spec", &to_canonical(&absent));
    let mut directed = spec.clone();
    directed.direction = Some(Digest([7; 32]));
    add("round-spec", &to_canonical(&directed));
    let mut filtered = world.task.peek().clone();
    filtered.options.functional = Some(Functional::Direction);
    add("task", &to_canonical(&filtered));
    add(Endorsement::KIND, round.endorsements[0].body());
    add(SubmissionHeader::KIND, round.submissions[0].header.body());
    // As of a task whose stewards contribute noise.
    let candidate = Candidate {
        index: 1,
        steward: round.endorsements[0].peek().steward,
    };
    let secret = NoiseSecret::from_bytes([8; 32]);
    let mut noisy = world.task.peek().clone();
    noisy.options.noise = Some(StewardNoise {
        sigma: Sigma::ERROR_MIN,
        candidates: 4,
    });
    add(Task::KIND, &to_canonical(&noisy));
    let mut noise = round.submissions[0].header.peek().clone();
    noise.credential = candidate.into();
    add(SubmissionHeader::KIND, &to_canonical(&noise));
    let mut revealing = round.reports[0].peek().clone();
    revealing.reveals = Some(secret.reveal(4, 2));
    add(PackageReport::KIND, &to_canonical(&revealing));
    add(Receipt::KIND, &to_canonical(&receipt));
    add(Closed::KIND, round.closed.as_ref().expect("closed").body());
    let challenge = round.challenge.as_ref().expect("challenged");
    add(BeaconShare::KIND, challenge.peek().shares[0].body());
    add(Challenge::KIND, challenge.body());
    add(PackageReport::KIND, round.reports[0].body());
    add(
        Verdict::KIND,
        round.verdict.as_ref().expect("judged").body(),
    );
    add(Opening::KIND, round.openings[0].body());
    let mut opening = round.openings[0].peek().clone();
    opening.groups = Some(Digest([8; 32]));
    add(Opening::KIND, &to_canonical(&opening));
    add(RoundResult::KIND, result.body());
    add(Aborted::KIND, aborted.body());
    add(LogHead::KIND, &to_canonical(&head));
    add("issuer-certificate", org.certificate().body());
    add("device-credential", chain.credential.body());
    add("org-registration", world.registrations[0].body());
    add("steward-enrolment", enrolment.body());
    let devices = vec![DeviceId(Digest([7; 32])), DeviceId(Digest([8; 32]))];
    let (federation, last) = (world.federation.digest(), (3, Digest([9; 32])));
    for change in [
        Change::RevokeDevices { devices },
        Change::RevokeOrganisation,
        Change::RevokeIssuer {
            issuer: org.issuer().public().id(),
        },
        Change::RevokeSteward {
            steward: world.steward_id(1),
        },
        Change::Issuer {
            certificate: org.certificate().clone(),
        },
        org.rotation(&federation, &SecretKey::from_seed(&[78; 32])),
    ] {
        let event = org
            .event(&federation, last, change, NOW)
            .expect("consistent");
        add(OrgEvent::KIND, event.body());
    }
    let approval = org
        .approve(&world.registrations[0], NOW)
        .expect("consistent");
    add(OrgApproval::KIND, approval.body());
    let posting = org.post_roster(&world.roster, NOW).expect("consistent");
    add(RosterPosting::KIND, posting.body());
    for role in [ServerRole::Aggregator, ServerRole::Log] {
        let change = ServerKeyChange {
            federation,
            sequence: 1,
            previous: federation,
            new: ServerKey::prove(&federation, role, &SecretKey::from_seed(&[79; 32])),
            created: NOW,
        };
        let by = vec![change.sign_for(org.id(), org.root())];
        let change = SignedServerKeyChange::assemble(change, by).expect("consistent");
        let event = org.post_server_key(&change).expect("consistent");
        add(FederationEvent::KIND, event.body());
    }
    for (report, name) in targets::reports()
        .iter()
        .zip(["passed", "failed", "damaged"])
    {
        let said = AuditStatement::of(report, NOW);
        add("audit-report", &to_canonical(&said.expect(name)));
    }
}
