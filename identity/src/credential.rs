//! The device credential: a CBOR Web Token (RFC 8392) whose `cnf` claim (RFC 8747) is the device's
//! key, so that a generic CWT library reads it. It is a [`Statement`], so its COSE_Sign1 is the one
//! envelope of this project.

use coset::cwt::{ClaimName, ClaimsSet, ClaimsSetBuilder, Timestamp};
use coset::{AsCborValue as _, CborSerializable as _, CoseKey, CoseKeyBuilder, Label, iana};
use coset::{RegisteredLabel, cbor::value::Value, iana::EnumI64 as _};
use dawn_crypto::digest::{Digest, hash, labels};
use dawn_crypto::vrf::VrfPublicKey;
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::ids::{DeviceId, OrgId};
use crate::keys::PublicKey;
use crate::rule::{BrokenRule, check_name};
use crate::signed::Statement;

/// Text name of the private claim that carries the label.
pub const LABEL_CLAIM: &str = "label";

/// Text name of the private claim that carries the VRF key.
pub const VRF_CLAIM: &str = "vrf";

/// Text name of the private claim that carries the attestation's digest.
pub const ATTESTATION_CLAIM: &str = "attestation";

/// Key of the COSE_Key in the `cnf` claim (RFC 8747, section 3.1).
const CNF_COSE_KEY: i64 = 1;

/// What an organisation says about one of its devices. Signed by the organisation's issuer key.
/// Claims and bounds: `docs/identity-formats.md`, section 4.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCredential {
    /// The organisation (`iss`, hexadecimal).
    pub org: OrgId,
    /// The device (`sub`, hexadecimal); follows from organisation and key.
    pub device: DeviceId,
    /// First second at which the credential no longer counts, unix time (`exp`).
    pub expires: u64,
    /// First second at which it counts, unix time (`iat`).
    pub issued: u64,
    /// The device's key (`cnf`).
    pub key: PublicKey,
    /// A name for people (claim `label`), 1 to 64 bytes.
    pub label: String,
    /// The key by which the device is selected (claim `vrf`); without it the device has no part in tasks that select.
    pub vrf: Option<VrfPublicKey>,
    /// Digest of what a manufacturer says about the device (claim `attestation`, [`attestation_digest`]). Carried and
    /// logged; nobody here reads what it says.
    pub attestation: Option<Digest>,
}

/// The digest by which a credential names an attestation.
pub fn attestation_digest(blob: &[u8]) -> Digest {
    hash(labels::ATTESTATION, &[blob])
}

impl DeviceCredential {
    /// A credential for a device's key alone; the device's identifier is derived.
    pub fn new(org: OrgId, key: PublicKey, label: String, issued: u64, expires: u64) -> Self {
        Self {
            org,
            device: DeviceId::of(&org, &key),
            expires,
            issued,
            key,
            label,
            vrf: None,
            attestation: None,
        }
    }

    fn to_claims(&self) -> Option<ClaimsSet> {
        let key = CoseKeyBuilder::new_okp_key()
            .param(
                iana::OkpKeyParameter::Crv.to_i64(),
                Value::from(iana::EllipticCurve::Ed25519.to_i64()),
            )
            .param(
                iana::OkpKeyParameter::X.to_i64(),
                Value::Bytes(self.key.as_bytes().to_vec()),
            )
            .build();
        let cnf = Value::Map(vec![(Value::from(CNF_COSE_KEY), key.to_cbor_value().ok()?)]);
        let mut claims = ClaimsSetBuilder::new()
            .issuer(self.org.to_string())
            .subject(self.device.to_string())
            .expiration_time(Timestamp::WholeSeconds(self.expires.try_into().ok()?))
            .issued_at(Timestamp::WholeSeconds(self.issued.try_into().ok()?))
            .claim(iana::CwtClaimName::Cnf, cnf)
            .text_claim(LABEL_CLAIM.to_owned(), Value::Text(self.label.clone()));
        if let Some(vrf) = &self.vrf {
            let bytes = Value::Bytes(vrf.as_bytes().to_vec());
            claims = claims.text_claim(VRF_CLAIM.to_owned(), bytes);
        }
        if let Some(digest) = &self.attestation {
            let bytes = Value::Bytes(digest.0.to_vec());
            claims = claims.text_claim(ATTESTATION_CLAIM.to_owned(), bytes);
        }
        Some(claims.build())
    }

    fn from_claims(claims: ClaimsSet) -> Option<Self> {
        let seconds = |time: Option<Timestamp>| match time {
            Some(Timestamp::WholeSeconds(seconds)) => u64::try_from(seconds).ok(),
            _ => None,
        };
        let mut key = None;
        let (mut label, mut vrf, mut attestation) = (None, None, None);
        for (name, value) in claims.rest {
            match (name, value) {
                (ClaimName::Assigned(iana::CwtClaimName::Cnf), Value::Map(cnf)) => {
                    key = Some(confirmed_key(cnf)?);
                }
                (ClaimName::Text(name), Value::Text(text)) if name == LABEL_CLAIM => {
                    label = Some(text);
                }
                (ClaimName::Text(name), Value::Bytes(bytes)) if name == VRF_CLAIM => {
                    vrf = Some(VrfPublicKey::from_bytes(&bytes).ok()?);
                }
                (ClaimName::Text(name), Value::Bytes(bytes)) if name == ATTESTATION_CLAIM => {
                    attestation = Some(Digest(bytes.try_into().ok()?));
                }
                _ => return None,
            }
        }
        Some(Self {
            org: claims.issuer?.parse().ok()?,
            device: claims.subject?.parse().ok()?,
            expires: seconds(claims.expiration_time)?,
            issued: seconds(claims.issued_at)?,
            key: key?,
            label: label?,
            vrf,
            attestation,
        })
    }
}

/// The Ed25519 key in a `cnf` map with one COSE_Key. Other parameters of the key are refused later,
/// because encoding the credential again would not give them.
fn confirmed_key(cnf: Vec<(Value, Value)>) -> Option<PublicKey> {
    let (_, value) = cnf
        .into_iter()
        .find(|(name, _)| *name == Value::from(CNF_COSE_KEY))?;
    let key = CoseKey::from_cbor_value(value).ok()?;
    if key.kty != RegisteredLabel::Assigned(iana::KeyType::OKP) {
        return None;
    }
    let parameter = |wanted: i64| {
        key.params
            .iter()
            .find(|(name, _)| *name == Label::Int(wanted))
            .map(|(_, value)| value)
    };
    let curve = Value::from(iana::EllipticCurve::Ed25519.to_i64());
    if parameter(iana::OkpKeyParameter::Crv.to_i64()) != Some(&curve) {
        return None;
    }
    let bytes = parameter(iana::OkpKeyParameter::X.to_i64())?.as_bytes()?;
    PublicKey::from_bytes(bytes).ok()
}

impl<C> Encode<C> for DeviceCredential {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        // A time beyond 2^63 cannot be written as a claim. Such a credential is encoded as null,
        // which is no credential, so that signing it is refused and nothing panics.
        let bytes = self.to_claims().and_then(|claims| claims.to_vec().ok());
        match bytes {
            Some(bytes) => e
                .writer_mut()
                .write_all(&bytes)
                .map_err(minicbor::encode::Error::write),
            None => e.null()?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for DeviceCredential {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let start = d.position();
        d.skip()?;
        let bytes = d.input().get(start..d.position()).unwrap_or_default();
        if bytes.len() > Self::MAX_BYTES {
            return Err(minicbor::decode::Error::message("the claims are too long"));
        }
        ClaimsSet::from_slice(bytes)
            .ok()
            .and_then(Self::from_claims)
            .ok_or_else(|| {
                minicbor::decode::Error::message("not the claims of a device credential")
            })
    }
}

impl Statement for DeviceCredential {
    const KIND: &'static str = "device-credential";
    const MAX_BYTES: usize = 384;

    fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(
            self.issued < self.expires,
            "a device credential expires after it is issued",
        )?;
        BrokenRule::unless(
            self.device == DeviceId::of(&self.org, &self.key),
            "a device's identifier follows from its organisation and key",
        )?;
        // A key that signs and proves would give its secret away.
        BrokenRule::unless(
            (self.vrf.as_ref()).is_none_or(|vrf| vrf.as_bytes() != self.key.as_bytes()),
            "a device's VRF key is not the key that it signs with",
        )?;
        check_name(
            &self.label,
            "a device's label is 1 to 64 bytes of printable text",
        )
    }
}
