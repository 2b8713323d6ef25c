//! The roster and the task that the test's federation agrees on.

use dawn_crypto::params::Sigma;
use dawn_crypto::shamir::Threshold;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{
    Organisation, Roster, RosterEntry, SecretKey, SignedRoster, VerifiedFederation,
};
use dawn_learn::{ModelSpec, Quantiser, TrainSpec};
use dawn_protocol::{Deadlines, PROTOCOL_VERSION, Policy, PrivacyPlan, Task};

use crate::now;
use crate::world::M;

pub fn sign_roster(
    organisations: &[Organisation],
    stewards: &[SecretKey],
    vrfs: &[VrfSecretKey],
    federation: &VerifiedFederation,
    epoch: u64,
) -> SignedRoster {
    let entries = organisations.iter().zip(stewards.iter().zip(vrfs));
    let roster = Roster {
        federation: federation.digest(),
        epoch,
        threshold: Threshold::new(M, 1).expect("threshold"),
        stewards: entries
            .map(|(org, (key, vrf))| RosterEntry {
                org: org.id(),
                steward: key.public(),
                vrf: vrf.public().clone(),
            })
            .collect(),
        created: now(),
    };
    let signatures = organisations
        .iter()
        .map(|o| roster.sign(o.root()))
        .collect();
    SignedRoster::assemble(roster, signatures).expect("roster")
}

pub fn honest_task(
    owner: &Organisation,
    federation: &VerifiedFederation,
    roster: &SignedRoster,
) -> Task {
    Task {
        version: PROTOCOL_VERSION,
        name: "Digits".to_owned(),
        owner: owner.id(),
        issuer: owner.certificate().clone(),
        federation: federation.digest(),
        roster: roster.peek().digest(),
        model: ModelSpec::Logistic {
            inputs: 4,
            classes: 2,
        },
        initial_seed: [7; 32],
        train: TrainSpec {
            epochs: 1,
            batch: 8,
            learning_rate: 1 << 14,
            momentum: 0,
            dropout: None,
            rounding: None,
        },
        quantiser: Quantiser {
            update_shift: 10,
            clip: 1 << 13,
        },
        sigma_error: Sigma::ERROR_MIN,
        rounds: 40,
        policy: Policy {
            min_accepted: 2,
            min_honest: 2,
            min_organisations: 2,
            max_org_share_permille: 500,
            max_submissions: 100,
            target_submissions: 100,
        },
        deadlines: Deadlines {
            keying_ms: 1000,
            endorsing_ms: 1000,
            collecting_ms: 1000,
            challenging_ms: 1000,
            reporting_ms: 1000,
            opening_ms: 1000,
            grace_ms: 100,
        },
        privacy: PrivacyPlan {
            budget_micro_rho: None,
            delta_exponent: 6,
        },
        data_source: "digits".to_owned(),
        created: now() - 100,
        projections: 128,
        options: Default::default(),
    }
}
