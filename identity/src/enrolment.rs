//! Enrolling many devices at once, on all cores and in bounded memory.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use dawn_crypto::digest::Digest;
use rand_core::CryptoRng;

use crate::device_batch::EnrolledDevice;
use crate::envelope::EnvelopeError;
use crate::keys::SecretKey;
use crate::online_issuer::OnlineIssuer;
use crate::organisation::{DeviceRequest, Validity};

/// Devices that a core makes before it hands them over.
const CHUNK: u64 = 64;

/// Handed-over pieces that wait for whoever takes them, a core.
const WAITING: usize = 2;

/// What to enrol.
#[derive(Clone, Debug)]
pub struct EnrolmentPlan {
    /// How many devices.
    pub count: u64,
    /// First part of their labels: `label-0`, `label-1`, ...
    pub label: String,
    /// When the credentials count.
    pub validity: Validity,
    /// Digest of their attestation.
    pub attestation: Option<Digest>,
}

impl OnlineIssuer {
    /// Makes keys and credentials of devices on all cores, and gives them to `take` in the order of their labels. `rng` is
    /// asked for a generator on every core. Memory: some hundred devices a core, whatever the number.
    ///
    /// # Errors
    /// When a credential cannot be made ([`EnvelopeError`]), and those of `take`: at the first device that fails.
    pub fn enrol_many<R: CryptoRng, E: From<EnvelopeError>>(
        &self,
        plan: &EnrolmentPlan,
        rng: impl Fn() -> R + Sync,
        mut take: impl FnMut(EnrolledDevice) -> Result<(), E>,
    ) -> Result<(), E> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get) as u64;
        thread::scope(|scope| {
            let makers: Vec<Receiver<_>> = (0..cores)
                .map(|core| {
                    let (give, made) = sync_channel(WAITING);
                    let rng = &rng;
                    scope.spawn(move || self.make(plan, (core, cores), &mut rng(), &give));
                    made
                })
                .collect();
            // Each core makes every so-many-th piece, so that taking turns gives the order. A core that is done hangs up.
            for made in (makers.iter().cycle()).take(plan.count.div_ceil(CHUNK) as usize) {
                for device in made.recv().unwrap_or_default() {
                    take(device?)?;
                }
            }
            Ok(())
        })
    }

    /// The pieces of one core; it stops when nobody takes them any more.
    fn make<R: CryptoRng>(
        &self,
        plan: &EnrolmentPlan,
        (core, cores): (u64, u64),
        rng: &mut R,
        give: &SyncSender<Vec<Result<EnrolledDevice, EnvelopeError>>>,
    ) {
        let mut first = core.saturating_mul(CHUNK);
        while first < plan.count {
            let last = plan.count.min(first.saturating_add(CHUNK));
            let piece = (first..last).map(|index| {
                let key = SecretKey::generate(rng);
                let request = DeviceRequest {
                    attestation: plan.attestation,
                    ..DeviceRequest::of(&key, &format!("{}-{index}", plan.label))
                };
                let credential = self.credential_of(&request, plan.validity)?;
                Ok(EnrolledDevice { key, credential })
            });
            if give.send(piece.collect()).is_err() {
                return;
            }
            first = first.saturating_add(cores.saturating_mul(CHUNK));
        }
    }
}
