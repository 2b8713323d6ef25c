//! Which devices take part in a round, when a task does not want all of them (`docs/protocol.md`, section 4.10).
//!
//! A device is *selected* when the output of a verifiable random function, under a key that its credential names, is
//! below the task's rate. The input has the beacon of the last round with a result, which nobody chose, so that nobody
//! hand-picks a cohort; the proof goes with the submission, and whoever verifies the header verifies it.

use dawn_crypto::digest::{Digest, hash, labels};
use dawn_crypto::vrf::{VrfOutput, VrfProof, proof_to_hash, prove, verify};
use dawn_identity::{BrokenRule, CredentialChain, DeviceId, SecretKey, VerifiedDevice, device_vrf};
use minicbor::{Decode, Encode};

use crate::CLOCK_TOLERANCE;
use crate::context::TaskContext;
use crate::round_context::RoundContext;
use crate::round_id::RoundId;
use crate::task::Task;
use crate::violation::{Culprit, Rule, Violation};

/// By how many seconds an organisation may date a credential back, for devices whose clocks are slow: `dawn device enrol`
/// does, and no tool may by more.
pub const ENROLMENT_BACKDATING: u64 = 60;

/// How much older than a round a credential has to be, in seconds, to be drawn by the round's beacon, so that nobody knew the beacon when it was issued: a
/// round may say that it was opened by [`CLOCK_TOLERANCE`] later than it was, and a credential that it was issued by
/// [`ENROLMENT_BACKDATING`] earlier.
const MARGIN: u64 = CLOCK_TOLERANCE + ENROLMENT_BACKDATING;

/// What a task asks for. A task that wants everybody does not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Selection {
    /// The probability with which a device is selected, in units of `2^-32`; at least 1.
    #[n(0)]
    pub rate: u32,
}

impl Selection {
    pub(crate) fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(self.rate > 0, "a task selects devices at a rate above 0")
    }

    /// Whether a device with this output is selected: the first four bytes, little-endian, are below the rate.
    pub fn selects(&self, output: &VrfOutput) -> bool {
        let bytes = output.as_bytes();
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) < self.rate
    }

    /// The probability.
    pub fn probability(&self) -> f64 {
        f64::from(self.rate) / 2f64.powi(32)
    }
}

/// What the devices of a round are drawn from. The rounds before leave it, as they leave the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Draw {
    /// The beacon of the last round with a result; before there is one, what follows from the task.
    #[n(0)]
    pub beacon: Digest,
    /// When nobody knew it yet, in unix seconds, whoever was wrong about the time by as much as is tolerated: credentials
    /// that count from later have no part.
    #[n(1)]
    pub before: u64,
}

impl Draw {
    /// Before a round of the task has a result: `hash(SELECTION_START, task)`, known since the task is.
    pub fn initial(task: &Task) -> Self {
        Self {
            beacon: hash(labels::SELECTION_START, &[task.id().as_bytes()]),
            before: task.created.saturating_sub(MARGIN),
        }
    }

    /// What a device's VRF is asked: `hash(SELECTION_INPUT, task, LE32(round number), beacon, device)`. With the device in
    /// it, two devices with one key are drawn as independently as any.
    pub fn input(&self, round: &RoundId, device: &DeviceId) -> Digest {
        let number = round.number.to_le_bytes();
        let (task, beacon) = (round.task.as_bytes(), &self.beacon.0);
        hash(
            labels::SELECTION_INPUT,
            &[task, &number, beacon, device.as_bytes()],
        )
    }
}

/// Why a device has no part in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSelected {
    /// It was not drawn. Another round draws again.
    #[error("this device is not selected in this round")]
    Drawn,
    /// Its credential names no VRF key, or not the one that follows from its key.
    #[error(
        "the device's credential names no VRF key of this device, and the task selects devices by it: enrol the device again"
    )]
    NoKey,
    /// Its credential is younger than what the round draws from.
    #[error(
        "the device's credential counts from {issued} and this round draws among those from {before} and earlier, eleven minutes before its beacon could be known: wait for a round after the next result"
    )]
    Enrolled {
        /// First second at which the credential counts.
        issued: u64,
        /// The last second that would do.
        before: u64,
    },
}

impl TaskContext {
    /// What round 1 draws from; none when the task takes everybody.
    pub fn initial_draw(&self) -> Option<Draw> {
        let asked = self.task().options.selection.is_some();
        asked.then(|| Draw::initial(self.task()))
    }
}

impl RoundContext {
    /// What the next round's devices are drawn from when this one has this beacon, and a result.
    pub(crate) fn leaves(&self, beacon: Digest) -> Draw {
        Draw {
            beacon,
            before: (self.spec().opened_ms / 1000).saturating_sub(MARGIN),
        }
    }

    /// What the task asks and what this round draws from; none when it takes everybody.
    pub fn selection(&self) -> Option<(Selection, Draw)> {
        self.task().options.selection.zip(self.spec().draw)
    }

    /// Draws: the proof that a device is selected in this round, none when the task takes everybody. Ask before training.
    ///
    /// # Errors
    /// [`NotSelected`].
    pub fn select(
        &self,
        credential: &CredentialChain,
        device: &SecretKey,
    ) -> Result<Option<VrfProof>, NotSelected> {
        let Some((selection, draw)) = self.selection() else {
            return Ok(None);
        };
        let named = credential.credential.peek();
        let key = device_vrf(device);
        if named.vrf.as_ref() != Some(key.public()) {
            return Err(NotSelected::NoKey);
        }
        let (issued, before) = (named.issued, draw.before);
        if issued > before {
            return Err(NotSelected::Enrolled { issued, before });
        }
        let input = draw.input(&self.round_id(), &named.device);
        let proof = prove(&key, &input.0);
        let output = proof_to_hash(&proof).expect("one's own proof is well formed");
        if selection.selects(&output) {
            Ok(Some(proof))
        } else {
            Err(NotSelected::Drawn)
        }
    }

    /// Verifies that a device is selected, by the proof in its header.
    ///
    /// # Errors
    /// [`Rule::Selection`], by the device.
    pub(crate) fn verify_selection(
        &self,
        proof: Option<&VrfProof>,
        device: &VerifiedDevice,
    ) -> Result<(), Violation> {
        let culprit = Culprit::Device(device.device());
        let broken = |detail: &str| Violation::new(culprit, Rule::Selection, detail);
        let (selection, draw, proof) = match (self.selection(), proof) {
            (None, None) => return Ok(()),
            (None, Some(_)) => return Err(broken("the task takes everybody, without proof")),
            (Some(_), None) => return Err(broken("there is no proof that the device is selected")),
            (Some((selection, draw)), Some(proof)) => (selection, draw, proof),
        };
        let key = (device.vrf()).ok_or_else(|| broken("the credential names no VRF key"))?;
        Violation::unless(
            device.issued() <= draw.before,
            culprit,
            Rule::Selection,
            "the credential is younger than what the round draws from",
        )?;
        let input = draw.input(&self.round_id(), &device.device());
        let output = verify(key, &input.0, proof).map_err(|e| broken(&e.to_string()))?;
        Violation::unless(
            selection.selects(&output),
            culprit,
            Rule::Selection,
            "the device is not selected in this round",
        )
    }
}
