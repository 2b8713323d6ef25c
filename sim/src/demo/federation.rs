//! The members of the demo: organisations, their stewards and devices, founded and registered over REST.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dawn_crypto::shamir::Threshold;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{
    Admission, CredentialChain, DeviceRequest, Federation, FoundingDocument, Members, Organisation,
    Register, Roster, RosterEntry, SecretKey, Signed, SignedRoster, StewardId, Validity,
};
use dawn_protocol::{Task, TaskContext};
use dawn_transport::Api;
use rand_core::CryptoRng;

use crate::attack::StewardAttack;
use crate::attack::lying::LyingSteward;

/// How long the demo's issuer certificates and device credentials last.
const VALIDITY_SECONDS: u64 = 30 * 24 * 3600;

/// One organisation with the steward that it runs.
pub struct Member {
    /// Root and issuer keys; a real organisation keeps the root offline.
    pub organisation: Organisation,
    /// The steward's signing key.
    pub steward: SecretKey,
    /// The steward's key of the beacon.
    pub vrf: VrfSecretKey,
}

impl Member {
    /// The steward's identifier.
    pub fn steward_id(&self) -> StewardId {
        StewardId::of(&self.organisation.id(), &self.steward.public())
    }
}

/// One enrolled device.
pub struct Device {
    /// Index of its organisation.
    pub member: usize,
    /// Its credential.
    pub chain: CredentialChain,
    /// Its key.
    pub key: SecretKey,
}

/// A founded federation.
pub struct Founded {
    /// The members, in roster order: the steward of `members[i]` has evaluation point `i + 1`.
    pub members: Vec<Member>,
    /// What everybody pins.
    pub founding: FoundingDocument,
    /// The signed roster of epoch 1.
    pub roster: SignedRoster,
    /// The members as the register has them after that.
    pub register: Members,
}

/// The most malicious stewards that m stewards can bear while one of them may be away:
/// the largest f with `A <= m - 1`, and 0 where there is none.
pub fn tolerated(stewards: u8) -> u8 {
    (0..stewards)
        .rev()
        .find(|f| Threshold::new(stewards, *f).is_ok_and(|t| t.a() < stewards))
        .unwrap_or(0)
}

/// Founds a federation of `count` organisations on a running aggregator: founding document,
/// registrations, stewards, roster.
pub async fn found<R: CryptoRng>(api: &Api, count: u8, now: u64, rng: &mut R) -> Result<Founded> {
    let server = api
        .aggregator()
        .await
        .context("asking for the aggregator's keys")?;
    let members = (0..count)
        .map(|i| {
            let validity = Validity::starting(now - 60, VALIDITY_SECONDS);
            Ok(Member {
                organisation: Organisation::generate(&name_of(i), validity, rng)?,
                steward: SecretKey::generate(rng),
                vrf: VrfSecretKey::generate(rng),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let organisations: Vec<&Organisation> = members.iter().map(|m| &m.organisation).collect();
    let federation = Federation {
        name: "Dawn demo".into(),
        founders: organisations.iter().map(|o| o.founder_entry()).collect(),
        aggregator: server.aggregator_key,
        log: server.log_key,
        admission: Admission::Open,
        roster_quorum: u16::from(count) / 2 + 1,
        created: now,
    };
    let founding = FoundingDocument::found(federation, &organisations)?;
    api.post_federation(&founding, members[0].organisation.root())
        .await
        .context("posting the founding document")?;
    let federation = founding.verify()?;
    let pin = federation.digest();
    for member in &members {
        let organisation = &member.organisation;
        api.register_org(&organisation.register(&pin, now)?, organisation.root())
            .await
            .with_context(|| format!("registering {}", organisation.name()))?;
        let vrf = member.vrf.public();
        let enrolment = organisation.enrol_steward(&pin, &member.steward, vrf, now)?;
        api.enrol_steward(&organisation.id(), &enrolment, organisation.root())
            .await
            .with_context(|| format!("enrolling the steward of {}", organisation.name()))?;
    }
    let roster = Roster {
        federation: pin,
        epoch: 1,
        threshold: Threshold::new(count, tolerated(count))?,
        stewards: members
            .iter()
            .map(|m| RosterEntry {
                org: m.organisation.id(),
                steward: m.steward.public(),
                vrf: m.vrf.public().clone(),
            })
            .collect(),
        created: now,
    };
    let signatures = organisations
        .iter()
        .map(|o| roster.sign(o.root()))
        .collect();
    let roster = SignedRoster::assemble(roster, signatures)?;
    let organisation = &members[0].organisation;
    api.post_roster(
        &organisation.post_roster(&roster, now)?,
        organisation.root(),
    )
    .await
    .context("posting the roster")?;
    let mut register = Register::new(&federation);
    api.extend_register(&mut register, None).await?;
    Ok(Founded {
        members,
        founding,
        roster,
        register: register.members().clone(),
    })
}

impl Founded {
    /// The steward of the last member, malicious.
    pub fn lying_steward(
        &self,
        task: &Signed<Task>,
        attacks: Vec<StewardAttack>,
        seed: [u8; 32],
    ) -> Result<LyingSteward> {
        let member = self.members.last().context("nobody is a member")?;
        let federation = self.founding.verify()?;
        let task = TaskContext::verify(&federation, &self.register, task)?;
        let key = SecretKey::from_seed(&member.steward.to_seed());
        let vrf = VrfSecretKey::from_seed(&member.vrf.to_seed());
        let id = member.steward_id();
        Ok(LyingSteward::new(id, key, vrf, task, attacks, seed))
    }

    /// Enrols one device of a member, with a credential that counts from `from`, unix seconds.
    pub fn enrol<R: CryptoRng>(
        &self,
        member: usize,
        label: &str,
        from: u64,
        rng: &mut R,
    ) -> Result<Device> {
        let key = SecretKey::generate(rng);
        let validity = Validity::starting(from, VALIDITY_SECONDS);
        let chain = self.members[member]
            .organisation
            .enrol_device(&DeviceRequest::of(&key, label), validity)?;
        Ok(Device { member, chain, key })
    }
}

/// Writes a secret key where only its owner can read it.
pub fn write_key(path: &Path, key: &SecretKey) -> Result<PathBuf> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot create the key file {}", path.display()))?;
    file.write_all(key.to_pkcs8_pem().as_bytes())?;
    file.sync_all()?;
    Ok(path.to_path_buf())
}

fn name_of(index: u8) -> String {
    const NAMES: [&str; 8] = [
        "Aurora Clinics",
        "Borealis Grid",
        "Cirrus Farms",
        "Delta Ports",
        "Equinox Rail",
        "Fjord Sensors",
        "Gale Logistics",
        "Harbour Relief",
    ];
    match NAMES.get(usize::from(index)) {
        Some(name) => (*name).into(),
        None => format!("Organisation {}", index + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_stewards_bear_one_liar_and_one_absence() {
        for (m, f) in [(3, 0), (4, 0), (6, 1), (8, 1), (11, 2)] {
            assert_eq!(tolerated(m), f, "m = {m}");
        }
    }
}
