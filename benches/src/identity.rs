//! What it costs to enrol many devices, and what the identity of one submission costs whoever verifies it, beside one bare
//! Ed25519 verification. Verification is in one thread; every figure of it is a median.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use dawn_crypto::vrf;
use dawn_identity::{
    BatchWriter, EnrolmentPlan, EnvelopeError, Organisation, SecretKey, Signed, Validity,
    device_vrf,
};
use dawn_protocol::SubmissionHeader;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng as _};
use serde::Serialize;

use crate::core::median;
use crate::scene::{Scene, SceneError};

/// A measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Identity {
    /// Devices that were enrolled.
    pub devices: u64,
    /// Threads that made them.
    pub cores: usize,
    /// From the first key to the last byte of the file.
    pub enrol_seconds: f64,
    /// The same, by device.
    pub enrol_us_per_device: f64,
    /// Bytes of the file of keys and credentials.
    pub batch_bytes: u64,
    /// Requests that a server was sent for it: enrolling knows of none.
    pub server_requests: u64,
    /// One bare Ed25519 verification of 32 bytes, the key decompressed before.
    pub ed25519_us: f64,
    /// The identity of one submission: certificate, credential and header, read from bytes, checked and verified.
    pub submission_us: f64,
    /// How many bare verifications that is.
    pub ratio: f64,
    /// Certificate and credential alone, already read.
    pub chain_us: f64,
    /// What a task that selects devices adds: the proof of the draw.
    pub selection_us: f64,
}

/// What stops an enrolment here.
#[derive(Debug)]
enum Stopped {
    Credential(EnvelopeError),
    Writing(io::Error),
}

impl From<EnvelopeError> for Stopped {
    fn from(error: EnvelopeError) -> Self {
        Self::Credential(error)
    }
}

/// Counts what goes through.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// How often each verification is repeated.
const REPETITIONS: usize = 2001;

/// Enrols `devices` into `out`, with a generator from `rng` a core, and measures verification.
///
/// # Errors
/// Those of the writer.
pub fn measure<R: CryptoRng>(
    devices: u64,
    out: impl Write,
    rng: impl Fn() -> R + Sync,
) -> Result<Identity, SceneError> {
    let mut own = ChaCha20Rng::seed_from_u64(3);
    let validity = Validity::starting(1_800_000_000, 1_000_000);
    let organisation = Organisation::generate("Measured", validity, &mut own)?;
    let plan = EnrolmentPlan {
        count: devices,
        label: "device".to_owned(),
        validity,
        attestation: None,
    };
    let began = Instant::now();
    let out = Counted { out, bytes: 0 };
    let mut writer = BatchWriter::new(out, organisation.certificate(), b"")?;
    organisation
        .online()
        .enrol_many(&plan, rng, |device| {
            writer.push(&device).map_err(Stopped::Writing)
        })
        .map_err(|stopped| match stopped {
            Stopped::Credential(error) => SceneError::from(error),
            Stopped::Writing(error) => error.into(),
        })?;
    let out = writer.finish()?;
    let enrol_seconds = began.elapsed().as_secs_f64();

    let mut scene = Scene::new(4, 6, 256)?;
    let update = vec![1; scene.open.dimension().coordinates()];
    let submission = scene.prepare(&update)?;
    let (round, members) = (&scene.open, scene.open.verified_with());
    let bytes = submission.header.bytes();
    let root = members
        .root(&scene.chain.claimed_org())
        .ok_or("the device's organisation is no member")?;
    let key = SecretKey::from_seed(&[9; 32]);
    let (public, message) = (key.public(), [5; 32]);
    let signature = key.sign(&message);
    let vrf_key = device_vrf(&key);
    let proof = vrf::prove(&vrf_key, &message);
    let mut times: [Vec<f64>; 4] = Default::default();
    // In turns, so that what else the machine does is in all of them.
    for _ in 0..REPETITIONS {
        let [bare, whole, chain, selection] = &mut times;
        timed(bare, || public.verify(&message, &signature).is_ok());
        timed(whole, || {
            Signed::<SubmissionHeader>::from_bytes(black_box(bytes))
                .is_ok_and(|header| round.verify_header(&header, members).is_ok())
        });
        let at = round.credential_time();
        timed(chain, || scene.chain.verify(root, at).is_ok());
        timed(selection, || {
            vrf::verify(vrf_key.public(), &message, &proof).is_ok()
        });
    }
    let [ed25519_us, submission_us, chain_us, selection_us] = times.map(median);
    Ok(Identity {
        devices,
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        enrol_seconds,
        enrol_us_per_device: 1e6 * enrol_seconds / devices.max(1) as f64,
        batch_bytes: out.bytes,
        server_requests: 0,
        ed25519_us,
        submission_us,
        ratio: submission_us / ed25519_us,
        chain_us,
        selection_us,
    })
}

/// Adds the microseconds of a verification.
///
/// # Panics
/// When it fails.
fn timed(us: &mut Vec<f64>, verify: impl Fn() -> bool) {
    let began = Instant::now();
    let verified = black_box(verify());
    us.push(1e6 * began.elapsed().as_secs_f64());
    assert!(verified, "what is measured verifies");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_enrols_as_many_as_it_says() {
        let mut file = Vec::new();
        let rng = || ChaCha20Rng::seed_from_u64(5);
        let measured = measure(3, &mut file, rng).expect("measured");
        assert_eq!(measured.batch_bytes, file.len() as u64);
        let mut reader = dawn_identity::BatchReader::new(&file[..]).expect("a file");
        assert_eq!(reader.skip(10).expect("read"), 3);
        assert!(measured.submission_us > measured.chain_us);
    }
}
