//! How an organisation names its steward.

use dawn_crypto::digest::{Digest, labels};
use dawn_crypto::vrf::VrfPublicKey;
use minicbor::{Decode, Encode};

use crate::envelope::EnvelopeError;
use crate::ids::{OrgId, StewardId};
use crate::keys::{KeyError, PublicKey, SecretKey, Signature};
use crate::rule::BrokenRule;
use crate::signed::{Signed, Statement, Verified};

/// The steward of an organisation in a federation. Signed by the organisation's root key; carries
/// the steward's own signature, so that no organisation can claim another's steward.
/// Fields and bounds: `docs/identity-formats.md`, section 5.2.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct StewardEnrolment {
    /// The organisation.
    #[n(0)]
    pub org: OrgId,
    /// The steward's key.
    #[n(1)]
    pub steward: PublicKey,
    /// The key of its part of every round's beacon.
    #[n(2)]
    pub vrf: VrfPublicKey,
    /// Digest of the federation's founding document.
    #[n(3)]
    pub federation: Digest,
    /// When it was made, unix seconds.
    #[n(4)]
    pub created: u64,
    /// The steward's signature over `hash(STEWARD_PROOF, federation, org, steward, vrf)`.
    #[n(5)]
    pub proof: Signature,
}

impl StewardEnrolment {
    /// The steward's part: its consent to act for this organisation in this federation, with this
    /// key of the beacon.
    pub fn prove(
        federation: &Digest,
        org: &OrgId,
        steward: &SecretKey,
        vrf: &VrfPublicKey,
    ) -> Signature {
        let public = steward.public();
        steward.sign_labelled(
            labels::STEWARD_PROOF,
            &[
                &federation.0,
                org.as_bytes(),
                public.as_bytes(),
                vrf.as_bytes(),
            ],
        )
    }

    /// The steward that is enrolled.
    pub fn id(&self) -> StewardId {
        StewardId::of(&self.org, &self.steward)
    }
}

impl Statement for StewardEnrolment {
    const KIND: &'static str = "steward-enrolment";
    const MAX_BYTES: usize = 256;

    fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(
            self.vrf.as_bytes() != self.steward.as_bytes(),
            "a steward's VRF key is not its key",
        )
    }
}

/// Why an enrolment is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// Not signed by the organisation's root key.
    #[error("organisation {org}: {source}")]
    Signature {
        /// The organisation whose root key should have signed.
        org: OrgId,
        /// What is wrong.
        source: EnvelopeError,
    },
    /// A root key enrols a steward of another organisation.
    #[error("organisation {root} enrolled a steward of organisation {named}")]
    OtherOrganisation {
        /// The organisation of the root key.
        root: OrgId,
        /// The organisation named.
        named: OrgId,
    },
    /// Made for another federation.
    #[error("organisation {org} enrolled a steward in federation {named}, not {expected}")]
    OtherFederation {
        /// The organisation.
        org: OrgId,
        /// This federation.
        expected: Digest,
        /// The federation named.
        named: Digest,
    },
    /// The steward is always on and the root key offline: they cannot be one key.
    #[error("organisation {0} uses its root key as its steward's key")]
    RootKeyReused(OrgId),
    /// The steward has not consented.
    #[error("the steward that organisation {org} enrolled has not consented: {source}")]
    Proof {
        /// The organisation.
        org: OrgId,
        /// What is wrong.
        source: KeyError,
    },
}

impl Signed<StewardEnrolment> {
    /// Verifies an enrolment under a root key of the organisation, for this federation, with the
    /// steward's consent.
    ///
    /// # Errors
    /// [`EnrolmentError`].
    pub fn verify_enrolment(
        &self,
        org: &OrgId,
        root: &PublicKey,
        federation: &Digest,
    ) -> Result<Verified<StewardEnrolment>, EnrolmentError> {
        let org = *org;
        let enrolment = self
            .verify(root)
            .map_err(|source| EnrolmentError::Signature { org, source })?;
        if enrolment.org != org {
            return Err(EnrolmentError::OtherOrganisation {
                root: org,
                named: enrolment.org,
            });
        }
        if enrolment.federation != *federation {
            return Err(EnrolmentError::OtherFederation {
                org,
                expected: *federation,
                named: enrolment.federation,
            });
        }
        if enrolment.steward == *root {
            return Err(EnrolmentError::RootKeyReused(org));
        }
        enrolment
            .steward
            .verify_labelled(
                labels::STEWARD_PROOF,
                &[
                    &federation.0,
                    org.as_bytes(),
                    enrolment.steward.as_bytes(),
                    enrolment.vrf.as_bytes(),
                ],
                &enrolment.proof,
            )
            .map_err(|source| EnrolmentError::Proof { org, source })?;
        Ok(enrolment)
    }
}
