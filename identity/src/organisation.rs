//! An organisation's side: the holder of a root and an issuer key makes the documents that others
//! verify. `dawn org`, `dawn device` and the demo are built on it.

use dawn_crypto::digest::Digest;
use dawn_crypto::vrf::VrfPublicKey;
use rand_core::CryptoRng;

use crate::chain::CredentialChain;
use crate::device_vrf::device_vrf;
use crate::envelope::EnvelopeError;
use crate::event::{Change, OrgApproval, OrgEvent};
use crate::federation::{Federation, FederationError, FounderEntry, FoundingDocument};
use crate::federation_event::FederationEvent;
use crate::ids::OrgId;
use crate::issuer::{IssuerCertificate, IssuerError};
use crate::keys::{PublicKey, SecretKey};
use crate::online_issuer::OnlineIssuer;
use crate::registration::OrgRegistration;
use crate::roster::SignedRoster;
use crate::roster_posting::RosterPosting;
use crate::rule::BrokenRule;
use crate::server_key::SignedServerKeyChange;
use crate::signed::Signed;
use crate::steward::StewardEnrolment;

/// When something counts: from the first second up to, not including, the last. Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second at which it counts.
    pub from: u64,
    /// First second at which it no longer counts.
    pub until: u64,
}

impl Validity {
    /// From a moment on, for so many seconds.
    pub fn starting(from: u64, seconds: u64) -> Self {
        Self {
            from,
            until: from.saturating_add(seconds),
        }
    }
}

/// What a credential is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// The device's key.
    pub key: PublicKey,
    /// The key by which it is selected.
    pub vrf: Option<VrfPublicKey>,
    /// Digest of its attestation ([`crate::attestation_digest`]).
    pub attestation: Option<Digest>,
    /// A name for people.
    pub label: String,
}

impl DeviceRequest {
    /// Of a device of which only the public key is known.
    pub fn of_key(key: PublicKey, label: &str) -> Self {
        Self {
            key,
            vrf: None,
            attestation: None,
            label: label.to_owned(),
        }
    }

    /// Of a device whose key is here: with the VRF key that follows from it.
    pub fn of(device: &SecretKey, label: &str) -> Self {
        Self {
            vrf: Some(device_vrf(device).public().clone()),
            ..Self::of_key(device.public(), label)
        }
    }
}

/// Why an organisation cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrganisationError {
    /// The name is not one.
    #[error(transparent)]
    Name(#[from] BrokenRule),
    /// The issuer certificate cannot be made.
    #[error(transparent)]
    Certificate(#[from] EnvelopeError),
    /// The certificate is not of this root key.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The certificate is of another issuer key.
    #[error("the certificate of organisation {0} is for another issuer key")]
    OtherIssuer(OrgId),
}

/// An organisation with its root and issuer key in one place, as in a demo or on the machine where
/// an organisation is founded. The root key belongs offline.
#[derive(Debug)]
pub struct Organisation {
    root: SecretKey,
    online: OnlineIssuer,
}

impl Organisation {
    /// Makes an organisation with fresh keys and its first issuer certificate.
    ///
    /// # Errors
    /// [`OrganisationError`] when the name or the validity breaks a rule.
    pub fn generate<R: CryptoRng + ?Sized>(
        name: &str,
        validity: Validity,
        rng: &mut R,
    ) -> Result<Self, OrganisationError> {
        let root = SecretKey::generate(rng);
        let issuer = SecretKey::generate(rng);
        let org = OrgId::of(&root.public());
        let certificate = Self::certify(&org, &root, &issuer.public(), validity, 1)?;
        Self::from_parts(name, root, issuer, certificate)
    }

    /// Puts an organisation together from what was kept.
    ///
    /// # Errors
    /// [`OrganisationError`] when the parts do not belong together.
    pub fn from_parts(
        name: &str,
        root: SecretKey,
        issuer: SecretKey,
        certificate: Signed<IssuerCertificate>,
    ) -> Result<Self, OrganisationError> {
        let begins = certificate.peek().not_before;
        // After a rotation the identifier is still that of the first root key.
        let id = certificate.peek().org;
        certificate.verify_issuer(&id, &root.public(), begins)?;
        let online = OnlineIssuer::from_parts(name, issuer, certificate)?;
        Ok(Self { root, online })
    }

    /// Certifies an issuer key.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when the validity is empty.
    pub fn certify(
        org: &OrgId,
        root: &SecretKey,
        issuer: &PublicKey,
        validity: Validity,
        serial: u64,
    ) -> Result<Signed<IssuerCertificate>, EnvelopeError> {
        let certificate = IssuerCertificate {
            org: *org,
            key: *issuer,
            not_before: validity.from,
            not_after: validity.until,
            serial,
        };
        Signed::sign(&certificate, root)
    }

    /// The organisation's identifier.
    pub fn id(&self) -> OrgId {
        self.online.id()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.online.name()
    }

    /// Its root key.
    pub fn root(&self) -> &SecretKey {
        &self.root
    }

    /// Its issuer key.
    pub fn issuer(&self) -> &SecretKey {
        self.online.key()
    }

    /// The certificate of its issuer key.
    pub fn certificate(&self) -> &Signed<IssuerCertificate> {
        self.online.certificate()
    }

    /// What signs for it day by day, without the root key.
    pub fn online(&self) -> &OnlineIssuer {
        &self.online
    }

    /// Its entry in a founding document.
    pub fn founder_entry(&self) -> FounderEntry {
        FounderEntry {
            name: self.name().to_owned(),
            root: self.root.public(),
        }
    }

    /// Its registration with a federation.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when a rule is broken.
    pub fn register(
        &self,
        federation: &Digest,
        created: u64,
    ) -> Result<Signed<OrgRegistration>, EnvelopeError> {
        let registration = OrgRegistration {
            name: self.name().to_owned(),
            root: self.root.public(),
            issuer: self.certificate().clone(),
            federation: *federation,
            created,
        };
        Signed::sign(&registration, &self.root)
    }

    /// The next event of its history, signed with its root key. `last` is the event or registration before: its number (0 for
    /// the registration) and body digest.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when a rule is broken.
    pub fn event(
        &self,
        federation: &Digest,
        last: (u64, Digest),
        change: Change,
        created: u64,
    ) -> Result<Signed<OrgEvent>, EnvelopeError> {
        next_event(self.id(), &self.root, federation, last, change, created)
    }

    /// The change to another root key, with its consent.
    pub fn rotation(&self, federation: &Digest, root: &SecretKey) -> Change {
        Change::Root {
            key: root.public(),
            proof: OrgEvent::prove_root(federation, &self.id(), root),
        }
    }

    /// Its word, as a founder, that an organisation may come in.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when a rule is broken.
    pub fn approve(
        &self,
        registration: &Signed<OrgRegistration>,
        created: u64,
    ) -> Result<Signed<OrgApproval>, EnvelopeError> {
        let approval = OrgApproval {
            approver: self.id(),
            registration: registration.clone(),
            created,
        };
        Signed::sign(&approval, &self.root)
    }

    /// Puts a roster that it has signed into the register.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when a rule is broken.
    pub fn post_roster(
        &self,
        roster: &SignedRoster,
        created: u64,
    ) -> Result<Signed<RosterPosting>, EnvelopeError> {
        let posting = RosterPosting {
            org: self.id(),
            federation: roster.peek().federation,
            roster: roster.clone(),
            created,
        };
        Signed::sign(&posting, &self.root)
    }

    /// Puts a change of the server's keys that it has signed, as a founder, into the register.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when a rule is broken.
    pub fn post_server_key(
        &self,
        change: &SignedServerKeyChange,
    ) -> Result<Signed<FederationEvent>, EnvelopeError> {
        let event = FederationEvent {
            org: self.id(),
            change: change.clone(),
        };
        Signed::sign(&event, &self.root)
    }

    /// Enrols its steward with a federation; the steward's key signs its consent and vouches for its
    /// VRF key.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when a rule is broken.
    pub fn enrol_steward(
        &self,
        federation: &Digest,
        steward: &SecretKey,
        vrf: &VrfPublicKey,
        created: u64,
    ) -> Result<Signed<StewardEnrolment>, EnvelopeError> {
        let org = self.id();
        let enrolment = StewardEnrolment {
            org,
            steward: steward.public(),
            vrf: vrf.clone(),
            federation: *federation,
            created,
            proof: StewardEnrolment::prove(federation, &org, steward, vrf),
        };
        Signed::sign(&enrolment, &self.root)
    }

    /// Issues a credential for a device's key alone.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when the label or the validity breaks a rule.
    pub fn issue_device(
        &self,
        device: &PublicKey,
        label: &str,
        validity: Validity,
    ) -> Result<CredentialChain, EnvelopeError> {
        self.online.issue_device(device, label, validity)
    }

    /// Issues a credential for a device.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when the label, the validity or the VRF key breaks a rule.
    pub fn enrol_device(
        &self,
        device: &DeviceRequest,
        validity: Validity,
    ) -> Result<CredentialChain, EnvelopeError> {
        self.online.enrol_device(device, validity)
    }
}

/// An event that follows the one before: that one's number (0 for the registration) and body digest.
pub(crate) fn next_event(
    org: OrgId,
    key: &SecretKey,
    federation: &Digest,
    (sequence, previous): (u64, Digest),
    change: Change,
    created: u64,
) -> Result<Signed<OrgEvent>, EnvelopeError> {
    let event = OrgEvent {
        org,
        federation: *federation,
        sequence: sequence + 1,
        previous,
        created,
        change,
    };
    Signed::sign(&event, key)
}

impl FoundingDocument {
    /// Puts the founders' signatures to a federation. The organisations may be in any order; each
    /// founder must be among them.
    ///
    /// # Errors
    /// [`FederationError`] when the federation breaks a rule or a founder is missing.
    pub fn found(
        federation: Federation,
        organisations: &[&Organisation],
    ) -> Result<Self, FederationError> {
        federation.check()?;
        let signatures: Vec<_> = federation
            .founders
            .iter()
            .filter_map(|founder| {
                let org = organisations
                    .iter()
                    .find(|org| org.root.public() == founder.root)?;
                Some(federation.sign(&org.root))
            })
            .collect();
        let document = Self {
            federation,
            signatures,
        };
        document.verify()?;
        Ok(document)
    }
}
