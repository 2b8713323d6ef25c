//! A whole federation in one process: organisations, stewards, devices and an aggregator that plays
//! rounds by the protocol's own functions. Every piece of a round can be taken out, changed and
//! signed again, so that tests can tell every lie.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

pub mod log;
mod opening;
pub mod plans;
pub mod round;
pub mod transcript;

use dawn_crypto::params::Sigma;
use dawn_crypto::shamir::Threshold;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{
    Admission, Change, CredentialChain, DeviceId, DeviceRequest, Digest, Federation,
    FoundingDocument, IssuerCertificate, Members, OrgRegistration, Organisation, Roster,
    RosterEntry, SecretKey, ServerKey, ServerKeyChange, ServerRole, Signed, SignedRoster,
    SignedServerKeyChange, StewardId, Validity, VerifiedFederation,
};
use dawn_learn::{ModelSpec, PublicSet, Quantiser, TrainSpec};
use dawn_protocol::{
    Deadlines, Functional, PROTOCOL_VERSION, Policy, PrivacyPlan, StewardNoise, Task, TaskContext,
    TaskOptions,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// When everything in a test happens, unix seconds.
pub const NOW: u64 = 1_800_000_000;

/// A device with its credential.
pub struct TestDevice {
    pub id: DeviceId,
    pub chain: CredentialChain,
    pub key: SecretKey,
}

/// What a federation is made of; the defaults are the smallest interesting one.
#[derive(Clone)]
pub struct Plan {
    pub organisations: usize,
    pub faulty: u8,
    /// Members that did not found the federation; they have devices and no steward.
    pub guests: usize,
    pub devices: usize,
    pub model: ModelSpec,
    pub rounds: u32,
    pub policy: Policy,
    pub budget_micro_rho: Option<u64>,
    pub clip: u32,
    pub collecting_ms: u32,
    pub created: u64,
    pub functional: Option<Functional>,
    /// Noise of stewards.
    pub noise: Option<StewardNoise>,
    pub options: TaskOptions,
    /// Of a task that distils.
    pub public_set: Option<PublicSet>,
    /// Guests are let in by approval, and everything else that can be in a register is in it too.
    pub eventful: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            organisations: 4,
            faulty: 1,
            guests: 0,
            devices: 4,
            model: ModelSpec::Logistic {
                inputs: 1,
                classes: 2,
            },
            rounds: 3,
            policy: Policy {
                min_accepted: 2,
                min_honest: 2,
                min_organisations: 2,
                max_org_share_permille: 500,
                max_submissions: 16,
                target_submissions: 16,
            },
            budget_micro_rho: None,
            clip: 1000,
            collecting_ms: 60_000,
            created: NOW,
            functional: None,
            noise: None,
            options: TaskOptions::default(),
            public_set: None,
            eventful: false,
        }
    }
}

/// Everybody, with all secret keys.
pub struct World {
    pub organisations: Vec<Organisation>,
    pub stewards: Vec<SecretKey>,
    pub vrfs: Vec<VrfSecretKey>,
    pub aggregator: SecretKey,
    pub log: SecretKey,
    /// Other keys that the aggregator has had, or gets in the middle of a round.
    pub former: Vec<SecretKey>,
    pub federation: VerifiedFederation,
    pub roster: SignedRoster,
    pub task: Signed<Task>,
    pub context: TaskContext,
    /// Sorted by device id; device `i` here may belong to any organisation.
    pub devices: Vec<TestDevice>,
    /// Of members that did not found the federation.
    pub registrations: Vec<Signed<OrgRegistration>>,
    /// Those members.
    pub guests: Vec<Organisation>,
    /// Everything in the register.
    pub register: Vec<Vec<u8>>,
    pub rng: ChaCha20Rng,
}

/// The next change of one of the server's keys, signed by all founders with their first root keys.
pub fn server_key_event(
    members: &Members,
    founders: &[Organisation],
    role: ServerRole,
    key: &SecretKey,
) -> Vec<u8> {
    let federation = members.federation();
    let (last, previous) = members.last_server_key_change();
    let change = ServerKeyChange {
        federation,
        sequence: last + 1,
        previous,
        new: ServerKey::prove(&federation, role, key),
        created: NOW,
    };
    let signatures = founders
        .iter()
        .map(|org| change.sign_for(org.id(), org.root()));
    let change = SignedServerKeyChange::assemble(change, signatures.collect()).unwrap();
    let event = founders[0].post_server_key(&change).unwrap();
    event.bytes().to_vec()
}

/// What happens to a federation that lasts: its guests are approved, and the second founder announces another issuer,
/// revokes it and a device, and gets another root key.
fn events(
    federation: &VerifiedFederation,
    founders: &[Organisation],
    guests: &[Signed<OrgRegistration>],
    validity: Validity,
) -> Vec<Vec<u8>> {
    let (federation, from) = (federation.digest(), validity.from);
    let approvals = guests.iter().map(|guest| {
        let approval = founders[0].approve(guest, from).unwrap();
        approval.bytes().to_vec()
    });
    let mut entries: Vec<_> = approvals.collect();
    let second = &founders[1];
    let issuer = SecretKey::from_seed(&[77; 32]);
    let certificate = IssuerCertificate {
        org: second.id(),
        key: issuer.public(),
        not_before: validity.from,
        not_after: validity.until,
        serial: 2,
    };
    let changes = [
        Change::Issuer {
            certificate: Signed::sign(&certificate, second.root()).unwrap(),
        },
        Change::RevokeDevices {
            devices: [[3; 32], [4; 32]].map(|id| DeviceId(Digest(id))).to_vec(),
        },
        Change::RevokeIssuer {
            issuer: issuer.public().id(),
        },
        second.rotation(&federation, &SecretKey::from_seed(&[78; 32])),
    ];
    let registration = second.register(&federation, from).unwrap();
    entries.push(registration.bytes().to_vec());
    let mut last = (0, registration.body_digest());
    for change in changes {
        let event = second.event(&federation, last, change, from).unwrap();
        last = (last.0 + 1, event.body_digest());
        entries.push(event.bytes().to_vec());
    }
    entries
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, &Plan::default())
    }

    pub fn with(seed: u64, plan: &Plan) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let validity = Validity {
            from: plan.created - 1000,
            until: plan.created + 10_000_000,
        };
        let organisations: Vec<Organisation> = (0..plan.organisations)
            .map(|i| Organisation::generate(&format!("Org {i}"), validity, &mut rng).unwrap())
            .collect();
        let mut aggregator = SecretKey::generate(&mut rng);
        let mut log = SecretKey::generate(&mut rng);
        let mut former = Vec::new();
        let guests: Vec<Organisation> = (0..plan.guests)
            .map(|i| Organisation::generate(&format!("Guest {i}"), validity, &mut rng).unwrap())
            .collect();
        let body = Federation {
            name: "Test federation".into(),
            founders: organisations
                .iter()
                .map(Organisation::founder_entry)
                .collect(),
            aggregator: aggregator.public(),
            log: log.public(),
            admission: match plan.eventful {
                true => Admission::Approval { k: 1 },
                false => Admission::Open,
            },
            roster_quorum: u16::try_from(plan.organisations / 2 + 1).unwrap(),
            created: plan.created,
        };
        let founders: Vec<&Organisation> = organisations.iter().collect();
        let document = FoundingDocument::found(body, &founders).unwrap();
        let federation = document.verify().unwrap();
        let registrations: Vec<_> = guests
            .iter()
            .map(|org| org.register(&federation.digest(), plan.created).unwrap())
            .collect();
        let stewards: Vec<SecretKey> = organisations
            .iter()
            .map(|_| SecretKey::generate(&mut rng))
            .collect();
        let vrfs: Vec<VrfSecretKey> = organisations
            .iter()
            .map(|_| VrfSecretKey::generate(&mut rng))
            .collect();
        let entries = organisations.iter().zip(stewards.iter().zip(&vrfs));
        let threshold =
            Threshold::new(u8::try_from(plan.organisations).unwrap(), plan.faulty).unwrap();
        let roster = Roster {
            federation: federation.digest(),
            epoch: 1,
            threshold,
            stewards: entries
                .map(|(org, (key, vrf))| RosterEntry {
                    org: org.id(),
                    steward: key.public(),
                    vrf: vrf.public().clone(),
                })
                .collect(),
            created: plan.created,
        };
        let signatures = organisations
            .iter()
            .map(|org| roster.sign(org.root()))
            .collect();
        let roster = SignedRoster::assemble(roster, signatures).unwrap();
        let posting = organisations[0].post_roster(&roster, plan.created);
        let mut register: Vec<_> = match plan.eventful {
            // They come in by an approval, with it.
            true => Vec::new(),
            false => registrations.iter().map(|r| r.bytes().to_vec()).collect(),
        };
        register.push(posting.unwrap().bytes().to_vec());
        if plan.eventful {
            let mut members = Members::founders_of(&federation);
            register.iter().for_each(|entry| {
                members.push(entry).unwrap();
            });
            // Before a founder's root key is another one.
            for (role, seed) in [(ServerRole::Log, 61), (ServerRole::Aggregator, 62)] {
                let key = SecretKey::from_seed(&[seed; 32]);
                let event = server_key_event(&members, &organisations, role, &key);
                members.push(&event).unwrap();
                register.push(event);
                match role {
                    ServerRole::Log => log = key,
                    ServerRole::Aggregator => former.push(std::mem::replace(&mut aggregator, key)),
                }
            }
            register.extend(events(
                &federation,
                &organisations,
                &registrations,
                validity,
            ));
        }
        let mut members = Members::founders_of(&federation);
        for entry in &register {
            members.push(entry).unwrap();
        }
        let owner = &organisations[0];
        let task = Task {
            version: PROTOCOL_VERSION,
            name: "test".into(),
            owner: owner.id(),
            issuer: owner.certificate().clone(),
            federation: federation.digest(),
            roster: roster.peek().digest(),
            model: plan.model,
            initial_seed: [5; 32],
            train: TrainSpec {
                epochs: 1,
                batch: 4,
                learning_rate: 6554,
                momentum: 0,
                dropout: None,
                rounding: None,
            },
            quantiser: Quantiser {
                update_shift: 12,
                clip: plan.clip,
            },
            sigma_error: Sigma::ERROR_MIN,
            rounds: plan.rounds,
            policy: plan.policy,
            deadlines: Deadlines {
                keying_ms: 1000,
                endorsing_ms: 1000,
                collecting_ms: plan.collecting_ms,
                challenging_ms: 1000,
                reporting_ms: 1000,
                opening_ms: 1000,
                grace_ms: 100,
            },
            privacy: PrivacyPlan {
                budget_micro_rho: plan.budget_micro_rho,
                delta_exponent: 6,
            },
            data_source: "numbers".into(),
            created: plan.created,
            projections: 128,
            options: TaskOptions {
                functional: plan.functional,
                noise: plan.noise,
                ..plan.options.clone()
            },
        };
        let task = Signed::sign(&task, owner.issuer()).unwrap();
        let context = TaskContext::verify(&federation, &members, &task).unwrap();
        if let Some(set) = &plan.public_set {
            context.learn_public_set(&set.to_bytes()).unwrap();
        }
        let mut devices: Vec<TestDevice> = (0..plan.devices)
            .map(|i| {
                let key = SecretKey::generate(&mut rng);
                let members = organisations.len() + guests.len();
                let org = organisations
                    .iter()
                    .chain(&guests)
                    .nth(i % members)
                    .unwrap();
                let label = format!("d{i}");
                let mut request = DeviceRequest::of_key(key.public(), &label);
                if plan.options.selection.is_some() {
                    request = DeviceRequest::of(&key, &label);
                }
                let chain = org.enrol_device(&request, validity).unwrap();
                TestDevice {
                    id: chain.claimed_device(),
                    chain,
                    key,
                }
            })
            .collect();
        devices.sort_by_key(|device| device.id);
        Self {
            organisations,
            stewards,
            vrfs,
            aggregator,
            log,
            former,
            federation,
            roster,
            task,
            context,
            devices,
            registrations,
            guests,
            register,
            rng,
        }
    }

    pub fn document(&self) -> &FoundingDocument {
        self.federation.document()
    }

    /// The steward at a point gets other keys, in a roster of the next epoch.
    pub fn replace_steward(&mut self, point: u8) {
        let place = usize::from(point) - 1;
        self.stewards[place] = SecretKey::generate(&mut self.rng);
        self.vrfs[place] = VrfSecretKey::generate(&mut self.rng);
        let mut roster = self.roster.peek().clone();
        roster.epoch += 1;
        roster.stewards[place].steward = self.stewards[place].public();
        roster.stewards[place].vrf = self.vrfs[place].public().clone();
        let signatures = self.organisations.iter().map(|o| roster.sign(o.root()));
        self.roster = SignedRoster::assemble(roster.clone(), signatures.collect()).unwrap();
        let posting = self.organisations[0].post_roster(&self.roster, NOW);
        self.register.push(posting.unwrap().bytes().to_vec());
        let mut members = Members::founders_of(&self.federation);
        for entry in &self.register {
            members.push(entry).unwrap();
        }
        self.context = self.context.under_roster_in_force(&members).unwrap();
    }

    /// The members as of the end of the register.
    pub fn members(&self) -> Members {
        let mut members = Members::founders_of(&self.federation);
        for entry in &self.register {
            members.push(entry).unwrap();
        }
        members
    }

    /// One of the server's keys is replaced; gives the entry, which is the last of the register.
    pub fn replace_server_key(&mut self, role: ServerRole, key: &SecretKey) -> Vec<u8> {
        let event = server_key_event(&self.members(), &self.organisations, role, key);
        self.register.push(event.clone());
        let new = SecretKey::from_seed(&key.to_seed());
        match role {
            ServerRole::Log => self.log = new,
            ServerRole::Aggregator => self
                .former
                .push(std::mem::replace(&mut self.aggregator, new)),
        }
        let members = self.members();
        self.context = TaskContext::verify(&self.federation, &members, &self.task).unwrap();
        event
    }

    pub fn steward_id(&self, point: u8) -> StewardId {
        self.context.steward_id(point).unwrap()
    }

    pub fn steward_key(&self, point: u8) -> &SecretKey {
        &self.stewards[usize::from(point) - 1]
    }
}
