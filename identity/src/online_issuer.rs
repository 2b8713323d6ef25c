//! An organisation's online side: its issuer key, on a machine that never has the root key.

use dawn_crypto::digest::Digest;

use crate::chain::CredentialChain;
use crate::credential::DeviceCredential;
use crate::envelope::EnvelopeError;
use crate::event::{Change, OrgEvent};
use crate::ids::OrgId;
use crate::issuer::IssuerCertificate;
use crate::keys::{PublicKey, SecretKey};
use crate::organisation::{DeviceRequest, OrganisationError, Validity, next_event};
use crate::rule::check_name;
use crate::signed::Signed;

/// The issuer key of an organisation with its certificate: enrols devices, revokes them, owns tasks. Whose signature the
/// certificate has is what others verify.
#[derive(Debug)]
pub struct OnlineIssuer {
    name: String,
    key: SecretKey,
    certificate: Signed<IssuerCertificate>,
}

impl OnlineIssuer {
    /// Puts it together from what was kept.
    ///
    /// # Errors
    /// [`OrganisationError`] when the certificate is of another key, or the name breaks a rule.
    pub fn from_parts(
        name: &str,
        key: SecretKey,
        certificate: Signed<IssuerCertificate>,
    ) -> Result<Self, OrganisationError> {
        check_name(
            name,
            "an organisation's name is 1 to 64 bytes of printable text",
        )?;
        if certificate.peek().key != key.public() {
            return Err(OrganisationError::OtherIssuer(certificate.peek().org));
        }
        Ok(Self {
            name: name.to_owned(),
            key,
            certificate,
        })
    }

    /// The organisation's identifier, as the certificate says.
    pub fn id(&self) -> OrgId {
        self.certificate.peek().org
    }

    /// The organisation's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The issuer key.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The certificate of the issuer key.
    pub fn certificate(&self) -> &Signed<IssuerCertificate> {
        &self.certificate
    }

    /// As [`Organisation::event`](crate::Organisation::event), signed with the issuer key: for revoking devices.
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
        next_event(self.id(), &self.key, federation, last, change, created)
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
        self.enrol_device(&DeviceRequest::of_key(*device, label), validity)
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
        Ok(CredentialChain {
            issuer: self.certificate.clone(),
            credential: self.credential_of(device, validity)?,
        })
    }

    /// The credential alone.
    pub(crate) fn credential_of(
        &self,
        device: &DeviceRequest,
        validity: Validity,
    ) -> Result<Signed<DeviceCredential>, EnvelopeError> {
        let label = device.label.clone();
        let credential = DeviceCredential {
            vrf: device.vrf.clone(),
            attestation: device.attestation,
            ..DeviceCredential::new(self.id(), device.key, label, validity.from, validity.until)
        };
        Signed::sign(&credential, &self.key)
    }
}
