//! Two histories shown to two parts of the stewards: at most one of them has a quorum, and with the honest stewards split
//! evenly neither has (`docs/protocol.md`, section 4.6.1). Six real stewards with their memories on disk; m = 6, f = 1, T = 4.

use std::collections::BTreeMap;

use dawn_crypto::seal::SealingSecretKey;
use dawn_identity::{Signed, StewardId};
use dawn_protocol::tlog::{AddCheckpoint, cosignature};
use dawn_protocol::{
    BeaconShare, Challenge, Digest, RoundAnnouncement, RoundOpen, SealingKey, Terminal,
};
use dawn_steward::{BeaconStep, Refusal, StewardState};

use crate::asking::read_list;
use crate::now;
use crate::world::{ClosedRound, M, Round, World, body};

/// One of the two logs: what it has, for the stewards that are shown it.
#[derive(Clone)]
pub struct History {
    pub leaves: Vec<Digest>,
}

pub struct Split {
    pub world: World,
    pub stewards: Vec<StewardState>,
    /// Size of the log that each has cosigned.
    pub cosigned: Vec<u64>,
    _memories: tempfile::TempDir,
}

impl Split {
    /// Six stewards that have published their sealing keys, and a specification with them.
    fn new() -> (Self, Round) {
        Self::with_liars(0)
    }

    /// As [`Split::new`]; so many at the end lie: what they hold is in the round.
    pub fn with_liars(liars: u8) -> (Self, Round) {
        let mut world = World::new();
        let memories = tempfile::tempdir().expect("directories");
        let stewards: Vec<StewardState> = (1..=M)
            .map(|point| world.start_other(point, &memories.path().join(point.to_string())))
            .collect();
        let round = world.id(1);
        let mut secrets = Vec::new();
        let mut keys: Vec<(u8, Signed<SealingKey>)> = Vec::new();
        for (point, state) in (1..=M).zip(&stewards) {
            let secret = (point > M - liars).then(|| SealingSecretKey::generate(&mut world.rng));
            let key = match &secret {
                Some(secret) => {
                    let said = SealingKey {
                        round,
                        steward: state.id(),
                        key: secret.public(),
                    };
                    world.by_steward(&said, point)
                }
                None => {
                    let said = state.sealing_key(&round, now(), &mut world.rng);
                    Signed::from_bytes(&said.expect("key")).expect("key")
                }
            };
            keys.push((point, key));
            secrets.push(secret);
        }
        let model = world.initial_model();
        let spec = world
            .context
            .draft_spec(1, None::<&Terminal>, model, &keys, now() * 1000)
            .expect("spec");
        let round = Round {
            spec: world.by_aggregator(&spec),
            secrets,
        };
        let split = Self {
            world,
            cosigned: vec![0; stewards.len()],
            stewards,
            _memories: memories,
        };
        (split, round)
    }

    /// Shows a steward one of the logs, and what is in it; whether it cosigns.
    pub fn show(&mut self, point: u8, history: &History, statements: &[&[u8]]) -> bool {
        let place = usize::from(point) - 1;
        self.world.leaves.clone_from(&history.leaves);
        let (old, size) = (self.cosigned[place] as usize, history.leaves.len());
        let shown: AddCheckpoint = self.world.to_cosign(old.min(size), size);
        let state = &self.stewards[place];
        match state.cosign(&shown, now(), &mut self.world.rng) {
            Ok((size, line)) => {
                let name = dawn_protocol::tlog::cosigner(&state.id());
                let key = self.world.stewards[place].public();
                cosignature::verify(&line, &shown.checkpoint.text, &name, &key).expect("its own");
                self.cosigned[place] = size;
            }
            Err(error) => {
                assert!(
                    matches!(
                        error.refusal(),
                        Some(Refusal::LogForked { .. } | Refusal::LogShrank { .. })
                    ),
                    "{error}"
                );
                return false;
            }
        }
        for bytes in statements {
            let leaf = dawn_crypto::merkle::leaf_hash(bytes);
            let index = history
                .leaves
                .iter()
                .position(|known| *known == leaf)
                .expect("logged");
            let proof = self.world.proof(index, size);
            state.learn_logged(bytes, &proof).expect("it is there");
        }
        true
    }
}

pub fn history(base: &History, statement: &[u8]) -> History {
    let mut leaves = base.leaves.clone();
    leaves.push(dawn_crypto::merkle::leaf_hash(statement));
    History { leaves }
}

/// Who is who: honest stewards from point 1, malicious ones at the end, the others are away.
#[derive(Clone, Copy)]
pub struct Parts {
    /// How many of the honest ones are shown the first history; the other honest ones are shown the second.
    pub first: u8,
    pub honest: u8,
    pub malicious: u8,
}

impl Parts {
    pub fn shown(self) -> [Vec<u8>; 2] {
        [
            (1..=self.first).collect(),
            (self.first + 1..=self.honest).collect(),
        ]
    }

    /// They say everything in both.
    pub fn liars(self) -> std::ops::RangeInclusive<u8> {
        M - self.malicious + 1..=M
    }
}

/// Specifications: the announcement of a history needs T endorsements, for devices, for stewards and for auditors.
fn histories_with_an_announcement(parts: Parts) -> usize {
    let (mut split, round) = Split::new();
    let mut later = round.spec.peek().clone();
    later.opened_ms += 1000;
    let specs = [round.spec.clone(), split.world.by_aggregator(&later)];
    let base = History {
        leaves: vec![Digest([1; 32]), Digest([2; 32])],
    };
    let logs = [0, 1].map(|which: usize| history(&base, specs[which].bytes()));
    let mut announced = [0, 1].map(|which: usize| RoundAnnouncement {
        spec: specs[which].clone(),
        endorsements: Vec::new(),
    });
    for (which, points) in parts.shown().iter().enumerate() {
        for point in points {
            assert!(split.show(*point, &logs[which], &[specs[which].bytes()]));
            let state = &split.stewards[usize::from(*point) - 1];
            let rng = &mut split.world.rng;
            let bytes = state
                .endorse(&specs[which], &[], now(), rng)
                .expect("endorse");
            let signed = Signed::from_bytes(&bytes).expect("endorsement");
            announced[which].endorsements.push(signed);
            // The other history is no history to this steward any more.
            assert!(!split.show(*point, &logs[1 - which], &[]));
            let state = &split.stewards[usize::from(*point) - 1];
            let rng = &mut split.world.rng;
            assert!(state.endorse(&specs[1 - which], &[], now(), rng).is_err());
        }
    }
    for (which, announcement) in announced.iter_mut().enumerate() {
        let points: Vec<u8> = parts.liars().collect();
        let round = Round {
            spec: specs[which].clone(),
            secrets: Vec::new(),
        };
        let lies = split.world.announce(&round, &points).endorsements;
        announcement.endorsements.extend(lies);
    }
    let opens = |announcement: &&RoundAnnouncement| {
        RoundOpen::from_announcement(&split.world.context, announcement).is_ok()
    };
    announced.iter().filter(opens).count()
}

/// Closed lists of one announced round: a challenge needs T parts of the beacon, and without one nothing is opened.
fn histories_with_a_challenge(parts: Parts) -> usize {
    let (mut split, round) = Split::new();
    let base = history(
        &History {
            leaves: vec![Digest([1; 32])],
        },
        round.spec.bytes(),
    );
    let spec = round.spec.clone();
    for point in 1..=parts.honest {
        assert!(split.show(point, &base, &[spec.bytes()]));
        let state = &split.stewards[usize::from(point) - 1];
        let rng = &mut split.world.rng;
        state.endorse(&spec, &[], now(), rng).expect("endorse");
    }
    let announcement = split.world.announce(&round, &[1, 2, 3, 4]);
    let submissions = split.world.submissions(&announcement, &[0, 1, 2, 3]);
    let fewer = submissions[1..].to_vec();
    let closed: [ClosedRound; 2] =
        [submissions, fewer].map(|list| split.world.close(&announcement, list));
    let logs = [0, 1].map(|which: usize| history(&base, closed[which].statement.bytes()));
    let mut shares: [BTreeMap<StewardId, Signed<BeaconShare>>; 2] = Default::default();
    for (which, points) in parts.shown().iter().enumerate() {
        for point in points {
            let needed = [spec.bytes(), closed[which].statement.bytes()];
            assert!(split.show(*point, &logs[which], &needed));
            assert!(!split.show(*point, &logs[1 - which], &[]));
            let state = &split.stewards[usize::from(*point) - 1];
            let rng = &mut split.world.rng;
            let ask = |closed: &ClosedRound, rng: &mut _| {
                state.share_beacon(&announcement, &closed.statement, rng)
            };
            let BeaconStep::Pages(list) = ask(&closed[which], rng).expect("begun") else {
                panic!("nothing was answered yet");
            };
            let list = read_list(list, &closed[which], 10).expect("read");
            let bytes = state.finish_beacon(list, rng).expect("part");
            let share: BeaconShare = body(&bytes);
            shares[which].insert(share.steward, Signed::from_bytes(&bytes).expect("share"));
            assert!(ask(&closed[1 - which], rng).is_err());
        }
    }
    let mut challenged = 0;
    for (which, shares) in shares.iter_mut().enumerate() {
        for point in parts.liars() {
            let place = usize::from(point) - 1;
            let steward = split.stewards[place].id();
            let lie = closed[which]
                .closed
                .beacon_share(&split.world.vrfs[place], steward);
            shares.insert(steward, split.world.by_steward(&lie, point));
        }
        let in_order = (1..=M).filter_map(|point| {
            let steward = split.world.context.steward_id(point).expect("steward");
            shares.get(&steward).cloned()
        });
        let of_this = closed[which].closed.closed();
        let challenge = split.world.by_aggregator(&Challenge {
            round: of_this.round,
            session: of_this.session,
            root: of_this.root,
            shares: in_order.take(4).collect(),
        });
        challenged += usize::from(closed[which].closed.clone().challenged(&challenge).is_ok());
    }
    challenged
}

#[test]
fn two_histories_never_both_go_on() {
    for first in 0..=5 {
        let parts = Parts {
            first,
            honest: 5,
            malicious: 1,
        };
        // 5 + 1, 4 + 1 and 3 + 1 are at least T = 4; 2 + 1 are not.
        assert_eq!(histories_with_an_announcement(parts), 1, "{first} of 5");
        assert_eq!(histories_with_a_challenge(parts), 1, "{first} of 5");
    }
}

#[test]
fn with_the_honest_stewards_split_evenly_neither_goes_on() {
    for (first, honest, malicious) in [(3, 6, 0), (2, 4, 1)] {
        let parts = Parts {
            first,
            honest,
            malicious,
        };
        assert_eq!(histories_with_an_announcement(parts), 0);
        assert_eq!(histories_with_a_challenge(parts), 0);
    }
}
