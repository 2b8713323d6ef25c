//! One round, played by the protocol's own functions.

use dawn_crypto::mask::{self, PublicMatrix};
use dawn_crypto::norm::projection::MatrixBlocks;
use dawn_crypto::norm::{Answer, Hidden, NormParams, NormProof};
use dawn_crypto::params::Q;
use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::vrf::prove;
use dawn_identity::{SecretKey, ServerRole, Signed, device_vrf};
use dawn_learn::Model;
use dawn_protocol::answers::{Scalars, answers_digest};
use dawn_protocol::digests::model_digest;
use dawn_protocol::package::open_package;
use dawn_protocol::phase::JudgeError;
use dawn_protocol::prepare::{PrepareError, PreparedSubmission};
use dawn_protocol::roll::Roll;
use dawn_protocol::terminal::Terminal;
use dawn_protocol::{
    AbortReason, Aborted, Candidate, Challenge, Closed, Endorsement, Finding, NoiseSecret, Opening,
    Outcome, PackageReport, RoundAnnouncement, RoundOpen, RoundSpec, SealingKey, Verdict,
};
use rand_core::Rng;

use super::{NOW, World, server_key_event};

/// How a device cheats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cheat {
    /// It masks a vector that is far too long and proves about another.
    ForeignProof,
    /// It proves about digits that are none, with the right projections.
    NoDigits,
    /// Its header is signed by somebody else.
    Unsigned,
    /// It is not selected, and sends another proof than that it is.
    Unselected,
}

/// What goes differently in a round.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Places of the devices that submit; all when empty.
    pub devices: Vec<usize>,
    /// Stewards that publish no sealing key and are gone for the round.
    pub absent: Vec<u8>,
    /// Stewards that answer the opening with something else.
    pub lying_openers: Vec<u8>,
    /// (steward, place of the submission): the steward reports that its package does not open.
    pub complaints: Vec<(u8, usize)>,
    /// Stewards that do not answer the opening.
    pub silent_openers: Vec<u8>,
    /// Stewards that give no part of the beacon.
    pub silent_beacons: Vec<u8>,
    /// (steward, place of the submission): the steward answers something else about it.
    pub lying_answers: Vec<(u8, usize)>,
    /// (place of the submission, how its device cheats).
    pub cheats: Vec<(usize, Cheat)>,
    /// The aggregator names scalars that let in who cheats.
    pub false_scalars: bool,
    /// Stewards that contribute no noise.
    pub noiseless: Vec<u8>,
    /// Place of a submission that the aggregator takes and closes the list without.
    pub dropped: Option<usize>,
    /// Stewards that do not reveal their candidates of noise.
    pub secretive: Vec<u8>,
}

/// What the candidates of a steward's noise follow from.
pub fn noise_secret(point: u8) -> NoiseSecret {
    NoiseSecret::from_bytes([point; 32])
}

/// Everything said in one round, with what it started from.
#[derive(Clone)]
pub struct PlayedRound {
    pub previous: Option<Terminal>,
    pub model: Model,
    /// The model that the last accepted update went from, when the task asks for it.
    pub direction: Option<Model>,
    pub spent_before: u64,
    pub spec: Signed<RoundSpec>,
    pub endorsements: Vec<Signed<Endorsement>>,
    pub submissions: Vec<PreparedSubmission>,
    /// What was taken and is not in the list.
    pub dropped: Option<PreparedSubmission>,
    pub closed: Option<Signed<Closed>>,
    pub challenge: Option<Signed<Challenge>>,
    pub reports: Vec<Signed<PackageReport>>,
    /// One for every report.
    pub answers: Vec<Vec<u8>>,
    /// What the answers show about every submission, and the scalars that it was seen with.
    pub findings: Vec<Finding>,
    pub scalars: Scalars,
    pub verdict: Option<Signed<Verdict>>,
    pub openings: Vec<Signed<Opening>>,
    /// What stands beside the openings, one for each when the task asks for groups.
    pub group_sums: Vec<Vec<u8>>,
    /// Entries of the register after those of the closing, when the round's key was replaced.
    pub later: Vec<Vec<u8>>,
    pub terminal: Terminal,
    pub next_model: Model,
    pub next_direction: Option<Model>,
    /// The integers that every device put in.
    pub updates: Vec<Vec<i32>>,
}

impl PlayedRound {
    pub fn spent(&self) -> u64 {
        self.verdict
            .as_ref()
            .map_or(self.spent_before, |v| v.peek().spent_micro_rho)
    }

    pub fn announcement(&self) -> RoundAnnouncement {
        RoundAnnouncement {
            spec: self.spec.clone(),
            endorsements: self.endorsements.clone(),
        }
    }
}

/// An announced round with the stewards' secrets, before anybody submits.
pub struct Announced {
    pub open: RoundOpen,
    pub announcement: RoundAnnouncement,
    pub secrets: Vec<(u8, SealingSecretKey)>,
    pub model: Model,
}

impl Cheat {
    /// The digits that the device proves about.
    fn digits(self, params: &NormParams, context: &[u8], padded: usize) -> Vec<u32> {
        let claimed = vec![if self == Cheat::ForeignProof { 0 } else { 1 }; padded];
        let mut digits = NormProof::digits(params, context, Hidden::vector(&claimed))
            .unwrap()
            .to_vec();
        if self == Cheat::NoDigits {
            // The same projection.
            digits[0] += 4;
            digits[1] = digits[1].checked_sub(1).unwrap_or(Q - 1);
        }
        digits
    }
}

impl World {
    /// Sealing keys, specification and endorsements of a round.
    pub fn announce(
        &mut self,
        number: u32,
        previous: Option<&Terminal>,
        model: &Model,
        absent: &[u8],
        opened_ms: u64,
    ) -> Announced {
        let round = self.context.round(number);
        let m = self.context.threshold().m();
        let mut secrets = vec![];
        let mut keys = vec![];
        for point in (1..=m).filter(|point| !absent.contains(point)) {
            let secret = SealingSecretKey::generate(&mut self.rng);
            let statement = SealingKey {
                round,
                steward: self.steward_id(point),
                key: secret.public(),
            };
            keys.push((
                point,
                Signed::sign(&statement, self.steward_key(point)).unwrap(),
            ));
            secrets.push((point, secret));
        }
        let digest = model_digest(&model.to_bytes());
        let spec = self
            .context
            .draft_spec(number, previous, digest, &keys, opened_ms)
            .unwrap();
        let spec = Signed::sign(&spec, &self.aggregator).unwrap();
        let context = self.context.verify_spec(&spec).unwrap();
        let endorsements: Vec<_> = secrets
            .iter()
            .map(|(point, _)| {
                let statement = Endorsement {
                    round,
                    session: context.session(),
                    steward: self.steward_id(*point),
                };
                Signed::sign(&statement, self.steward_key(*point)).unwrap()
            })
            .collect();
        let open = RoundOpen::new(context, &endorsements).unwrap();
        Announced {
            open,
            announcement: RoundAnnouncement { spec, endorsements },
            secrets,
            model: model.clone(),
        }
    }

    /// Plays a round after `before` (none: round 1).
    pub fn play(&mut self, before: Option<&PlayedRound>, script: &Script) -> PlayedRound {
        let number = before.map_or(1, |round| round.spec.peek().round.number + 1);
        let previous = before.map(|round| round.terminal.clone());
        let model = before.map_or_else(
            || self.context.initial_model().unwrap(),
            |round| round.next_model.clone(),
        );
        let spent_before = before.map_or(0, PlayedRound::spent);
        let opened_ms = NOW * 1000 + u64::from(number) * 100_000;
        let announced = self.announce(number, previous.as_ref(), &model, &script.absent, opened_ms);
        let open = announced.open;
        let direction = before.and_then(|round| round.next_direction.clone());
        if let (Some(from), Some(_)) = (&direction, open.wanted_models()) {
            open.learn_models(&from.to_bytes(), &model.to_bytes())
                .unwrap();
        }
        let mut played = PlayedRound {
            previous,
            next_model: model.clone(),
            next_direction: direction.clone(),
            model,
            direction,
            spent_before,
            spec: announced.announcement.spec,
            endorsements: announced.announcement.endorsements,
            submissions: vec![],
            dropped: None,
            closed: None,
            challenge: None,
            reports: vec![],
            answers: vec![],
            findings: vec![],
            scalars: Scalars::new(vec![]),
            verdict: None,
            openings: vec![],
            group_sums: vec![],
            later: vec![],
            terminal: self.abort(&open, AbortReason::TooFewSubmissions),
            updates: vec![],
        };
        let dimension = open.dimension().coordinates();
        for (place, device) in self.devices.iter().enumerate() {
            if !script.devices.is_empty() && !script.devices.contains(&place) {
                continue;
            }
            let x: Vec<i32> = (0..dimension)
                .map(|_| (self.rng.next_u32() % 21) as i32 - 10)
                .collect();
            let at = played.submissions.len();
            let cheat = script.cheats.iter().find(|(place, _)| *place == at);
            let prepared = match cheat.map(|(_, cheat)| *cheat) {
                None | Some(Cheat::Unsigned | Cheat::Unselected) => {
                    PreparedSubmission::new(&open, &device.chain, &device.key, &x, &mut self.rng)
                }
                Some(cheat) => {
                    let padded = open.dimension().padded();
                    let v = vec![
                        if cheat == Cheat::ForeignProof {
                            1 << 20
                        } else {
                            1
                        };
                        padded
                    ];
                    let digits =
                        |params: &NormParams, context: &[u8]| cheat.digits(params, context, padded);
                    PreparedSubmission::forged(
                        &open,
                        &device.chain,
                        &device.key,
                        &v,
                        digits,
                        &mut self.rng,
                    )
                }
            };
            let mut prepared = match prepared {
                Err(PrepareError::NotSelected(_)) => continue,
                prepared => prepared.unwrap(),
            };
            if cheat.is_some_and(|(_, cheat)| *cheat == Cheat::Unsigned) {
                prepared.header = Signed::sign(prepared.header.peek(), &self.log).unwrap();
            }
            if cheat.is_some_and(|(_, cheat)| *cheat == Cheat::Unselected) {
                let mut header = prepared.header.peek().clone();
                header.selection = Some(prove(&device_vrf(&device.key), b"another input"));
                prepared.header = Signed::sign(&header, &device.key).unwrap();
            }
            played.submissions.push(prepared);
            played.updates.push(x);
        }
        if played.submissions.len() < open.task().policy.min_accepted as usize {
            return played;
        }
        let noise = open.task().options.noise;
        let seats = open.seats().iter().map(|seat| seat.point);
        let noisy = seats.filter(|point| !script.noiseless.contains(point));
        for (noise, point) in noise
            .iter()
            .flat_map(|noise| noisy.clone().map(move |p| (noise, p)))
        {
            for index in 0..noise.candidates {
                let steward = self.steward_id(point);
                let made = PreparedSubmission::noise(
                    &open,
                    self.steward_key(point),
                    Candidate { index, steward },
                    &noise_secret(point),
                );
                played.submissions.push(made.unwrap());
            }
        }
        played
            .submissions
            .sort_by_key(|s| s.header.peek().credential.claimed_device());
        played.dropped = script.dropped.map(|at| played.submissions.remove(at));
        if noisy.count() < open.least_noise() {
            played.terminal = self.abort(&open, AbortReason::TooLittleNoise);
            return played;
        }
        self.finish(&open, &announced.secrets, script, &mut played);
        played
    }

    pub fn abort(&self, open: &RoundOpen, reason: AbortReason) -> Terminal {
        let aborted = Aborted {
            round: open.round_id(),
            session: Some(open.session()),
            reason,
            detail: String::new(),
            model: open.spec().model,
            previous: open.spec().previous,
            direction: open.spec().direction,
            draw: open.spec().draw,
        };
        Terminal::Aborted(Signed::sign(&aborted, &self.aggregator).unwrap())
    }

    /// The founders let another key of the aggregator in, and the round that was played under the one before is aborted with it.
    /// The register does not have the change yet.
    pub fn abort_replaced(&mut self, played: &PlayedRound, key: &SecretKey) -> PlayedRound {
        let event = server_key_event(
            &self.members(),
            &self.organisations,
            ServerRole::Aggregator,
            key,
        );
        let aborted = Aborted {
            round: played.spec.peek().round,
            session: Some(played.spec.peek().session()),
            reason: AbortReason::KeyReplaced,
            detail: String::new(),
            model: played.spec.peek().model,
            previous: played.spec.peek().previous,
            direction: played.spec.peek().direction,
            draw: played.spec.peek().draw,
        };
        self.former.push(SecretKey::from_seed(&key.to_seed()));
        PlayedRound {
            later: vec![event],
            terminal: Terminal::Aborted(Signed::sign(&aborted, key).unwrap()),
            next_model: played.model.clone(),
            ..played.clone()
        }
    }

    fn finish(
        &mut self,
        open: &RoundOpen,
        secrets: &[(u8, SealingSecretKey)],
        script: &Script,
        played: &mut PlayedRound,
    ) {
        let members = open.verified_with();
        let mut roll = Roll::new();
        let verified: Vec<_> = played
            .submissions
            .iter()
            .map(|s| roll.push(open, members, s.header.bytes()).unwrap())
            .collect();
        let closed = Closed {
            round: open.round_id(),
            session: open.session(),
            root: roll.root(),
            count: u32::try_from(roll.len()).unwrap(),
            closed_ms: open.submissions_close_ms(),
            register: open.spec().register,
        };
        let closed = Signed::sign(&closed, &self.aggregator).unwrap();
        let round = open.clone().close(&closed, roll).unwrap();
        played.closed = Some(closed);
        let beacons: Vec<_> = secrets
            .iter()
            .filter(|(point, _)| !script.silent_beacons.contains(point))
            .map(|(point, _)| {
                let vrf = &self.vrfs[usize::from(*point) - 1];
                let share = round.beacon_share(vrf, self.steward_id(*point));
                Signed::sign(&share, self.steward_key(*point)).unwrap()
            })
            .collect();
        let challenge = match round.challenge(&beacons) {
            Ok(challenge) => Signed::sign(&challenge, &self.aggregator).unwrap(),
            Err(JudgeError::Abort(reason)) => {
                played.terminal = self.abort(open, reason);
                return;
            }
            Err(JudgeError::Violation(violation)) => panic!("{violation}"),
        };
        let round = round.challenged(&challenge).unwrap();
        played.challenge = Some(challenge);
        let matrix = PublicMatrix::from_seed(&open.spec().matrix_seed);
        let checks: Vec<_> = played
            .submissions
            .iter()
            .enumerate()
            .map(|(place, submission)| {
                let verifier = round.verifier(place)?;
                let words = mask::parse_payload(&submission.payload).unwrap();
                let check = verifier
                    .public_check(MatrixBlocks::Expanded(&matrix), Some(&words))
                    .unwrap();
                Some((verifier, check))
            })
            .collect();
        let mut about: Vec<Vec<(u8, Answer)>> = vec![vec![]; checks.len()];
        for (point, secret) in secrets {
            let seat = open.seat_index(*point).unwrap();
            let (mut outcomes, mut answers) = (vec![], vec![]);
            for (place, submission) in played.submissions.iter().enumerate() {
                let (Some(header), Some((verifier, check))) = (&verified[place], &checks[place])
                else {
                    outcomes.push(round.expected_outcome(place).unwrap());
                    continue;
                };
                if script.complaints.contains(&(*point, place)) {
                    outcomes.push(Outcome::Unsealable);
                    continue;
                }
                let package = &submission.packages[seat];
                let opened = open_package(open, header, package, secret, *point).unwrap();
                let mut answer = verifier.answer(&opened, &check.u).unwrap();
                if script.lying_answers.contains(&(*point, place)) {
                    let mut elements = answer.elements().to_vec();
                    elements[0] = (elements[0] + 1) % (Q - 1);
                    answer = Answer::new(open.norm_params(), elements).unwrap();
                }
                outcomes.push(round.expected_outcome(place).unwrap());
                answers.extend(answer.to_bytes());
                about[place].push((*point, answer));
            }
            let digest = answers_digest(&answers);
            let mut report = round.report(self.steward_id(*point), outcomes, digest);
            let noise = open.task().options.noise;
            let noise = noise.filter(|_| !script.secretive.contains(point));
            report.reveals = noise.map(|noise| {
                let chosen = round.chosen_candidate(*point).unwrap();
                noise_secret(*point).reveal(noise.candidates, chosen)
            });
            let report = Signed::sign(&report, self.steward_key(*point)).unwrap();
            played.reports.push(report);
            played.answers.push(answers);
        }
        let mut scalars = vec![];
        for (place, check) in checks.iter().enumerate() {
            let (Some((verifier, check)), answers) = (check, &about[place]) else {
                scalars.push([0; 2]);
                let nothing = round.examine(place, &[], [0; 2]);
                played.findings.push(nothing);
                continue;
            };
            let mut pair = check.masked.unwrap();
            if script.false_scalars {
                let t = usize::from(open.threshold().t());
                let some: Vec<_> = answers[..t].iter().map(|(p, a)| (*p, a)).collect();
                pair.copy_from_slice(&Answer::open(&some).unwrap().elements()[..2]);
            }
            played.findings.push(verifier.examine(answers, pair));
            scalars.push(pair);
        }
        played.scalars = Scalars::new(scalars);
        let (findings, scalars) = (&played.findings, played.scalars.digest());
        let verdict = match round.verdict(&played.reports, findings, scalars, played.spent_before) {
            Ok(verdict) => Signed::sign(&verdict, &self.aggregator).unwrap(),
            Err(JudgeError::Abort(reason)) => {
                played.terminal = self.abort(open, reason);
                return;
            }
            Err(JudgeError::Violation(violation)) => panic!("{violation}"),
        };
        let judged = round
            .adopt(&played.reports, findings, scalars, &verdict)
            .unwrap();
        played.verdict = Some(verdict);
        self.finish_opening(open, &judged, secrets, &verified, script, played);
    }
}
