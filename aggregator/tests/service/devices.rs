//! Devices: what a client library does, without training.

use dawn_identity::{CredentialChain, DeviceId, OrgId, SecretKey, Signed};
use dawn_protocol::phase::RoundOpen;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::{Receipt, RoundAnnouncement, TaskContext};
use dawn_transport::{Api, SubmissionBody, TransportError};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub struct Device {
    pub id: DeviceId,
    pub key: SecretKey,
    pub chain: CredentialChain,
}

impl Device {
    pub fn new(org: OrgId, key: SecretKey, chain: CredentialChain) -> Self {
        Self {
            id: DeviceId::of(&org, &key.public()),
            key,
            chain,
        }
    }

    pub fn prepare(
        &self,
        task: &TaskContext,
        announcement: &RoundAnnouncement,
        x: &[i32],
        seed: u64,
    ) -> PreparedSubmission {
        let open = RoundOpen::from_announcement(task, announcement).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        PreparedSubmission::new(&open, &self.chain, &self.key, x, &mut rng).unwrap()
    }

    pub async fn submit(
        &self,
        api: &Api,
        announcement: &RoundAnnouncement,
        submission: &PreparedSubmission,
    ) -> Result<Signed<Receipt>, TransportError> {
        let body = SubmissionBody::Bytes(submission.to_bytes().into());
        api.submit(&announcement.spec.peek().round, &self.id, &body)
            .await
    }
}

/// The round that collects.
pub async fn announcement(api: &Api, task: &TaskContext, after: u32) -> RoundAnnouncement {
    for _ in 0..20 {
        match api.open_round(&task.id(), after, 5).await.unwrap() {
            dawn_transport::RoundPoll::Open(announcement) => return *announcement,
            dawn_transport::RoundPoll::NotYet => {}
            dawn_transport::RoundPoll::Ended => panic!("the task has ended"),
        }
    }
    panic!("no round collects");
}
