//! Typed statements: what is said ([`Statement`]), with a signature ([`Signed`]), and after the
//! signature has been verified ([`Verified`]). A function that needs the truth takes `Verified`.

use std::fmt;
use std::ops::Deref;

use dawn_crypto::digest::Digest;
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::canonical::{from_canonical_bounded, to_canonical};
use crate::envelope::{Envelope, EnvelopeError, OVERHEAD_BYTES, body_digest};
use crate::ids::KeyId;
use crate::keys::{PublicKey, SecretKey};
use crate::rule::BrokenRule;

/// Something that a party of the protocol signs.
pub trait Statement: Clone + Encode<()> + for<'b> Decode<'b, ()> {
    /// Its name in the envelope: 1 to 40 lower-case letters, digits and hyphens, never reused.
    const KIND: &'static str;
    /// Most bytes of its canonical encoding. Longer ones are refused before they are decoded.
    const MAX_BYTES: usize;

    /// Whether the statement is consistent in itself and within its bounds. Called on everything
    /// that is decoded and on everything that is signed.
    ///
    /// # Errors
    /// The first broken rule.
    fn check(&self) -> Result<(), BrokenRule>;
}

/// A statement in its envelope, **not verified**: canonical, of the right kind, consistent in
/// itself, and claimed by [`Signed::signer`]. CBOR: the envelope as one byte string.
#[derive(Clone)]
pub struct Signed<T> {
    envelope: Envelope,
    statement: T,
}

impl<T: Statement> Signed<T> {
    /// Most bytes of an envelope of this kind.
    pub const MAX_BYTES: usize = T::MAX_BYTES + OVERHEAD_BYTES;

    /// Checks and signs a statement.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when the statement is one that every reader would refuse.
    pub fn sign(statement: &T, key: &SecretKey) -> Result<Self, EnvelopeError> {
        let payload = to_canonical(statement);
        let statement = Self::open(&payload, key.public().id())?;
        let envelope = Envelope::seal(T::KIND, payload, key)?;
        Ok(Self {
            envelope,
            statement,
        })
    }

    /// Reads an envelope: bounded, canonical, of this kind, consistent in itself. The signature is
    /// not verified.
    ///
    /// # Errors
    /// [`EnvelopeError`], except its two about verification.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Self::from_envelope(Envelope::parse(bytes, Self::MAX_BYTES)?)
    }

    /// Interprets a parsed envelope as a statement of this kind.
    ///
    /// # Errors
    /// [`EnvelopeError::WrongKind`], [`EnvelopeError::Payload`].
    pub fn from_envelope(envelope: Envelope) -> Result<Self, EnvelopeError> {
        if envelope.kind() != T::KIND {
            return Err(EnvelopeError::WrongKind {
                expected: T::KIND,
                found: envelope.kind().to_owned(),
            });
        }
        let statement = Self::open(envelope.payload(), envelope.signer())?;
        Ok(Self {
            envelope,
            statement,
        })
    }

    /// Verifies that this key signed, and that the envelope names this key.
    ///
    /// # Errors
    /// [`EnvelopeError::WrongSigner`], [`EnvelopeError::BadSignature`].
    pub fn verify(&self, key: &PublicKey) -> Result<Verified<T>, EnvelopeError> {
        self.envelope.verify(key)?;
        Ok(Verified(self.clone()))
    }

    /// [`Signed::verify`] without a copy.
    ///
    /// # Errors
    /// As [`Signed::verify`].
    pub fn into_verified(self, key: &PublicKey) -> Result<Verified<T>, EnvelopeError> {
        self.envelope.verify(key)?;
        Ok(Verified(self))
    }

    fn open(payload: &[u8], signer: KeyId) -> Result<T, EnvelopeError> {
        let checked = from_canonical_bounded::<T>(payload, T::MAX_BYTES).and_then(|statement| {
            statement.check()?;
            Ok(statement)
        });
        checked.map_err(|source| EnvelopeError::Payload {
            kind: T::KIND,
            signer,
            source,
        })
    }
}

impl<T> Signed<T> {
    /// The whole envelope, exactly as it was received or made.
    pub fn bytes(&self) -> &[u8] {
        self.envelope.bytes()
    }

    /// The untyped envelope.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The body's bytes: the canonical encoding of the statement.
    pub fn body(&self) -> &[u8] {
        self.envelope.payload()
    }

    /// Digest of **what is said**, without signer and signature: a body that is signed again is the
    /// same statement. Session identifiers are made of it.
    pub fn body_digest(&self) -> Digest {
        self.envelope.body_digest()
    }

    /// Digest of **the whole envelope**, signer and signature included.
    pub fn envelope_digest(&self) -> Digest {
        self.envelope.envelope_digest()
    }

    /// The key that claims to have signed.
    pub fn signer(&self) -> KeyId {
        self.envelope.signer()
    }

    /// The statement, although nobody has verified that the signer said it.
    pub fn peek(&self) -> &T {
        &self.statement
    }
}

/// The digest that [`Signed::body_digest`] gives for this statement, whoever signs it.
pub fn statement_digest<T: Statement>(statement: &T) -> Digest {
    body_digest(T::KIND, &to_canonical(statement))
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.envelope.bytes() == other.envelope.bytes()
    }
}

impl<T> Eq for Signed<T> {}

impl<T: fmt::Debug> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("statement", &self.statement)
            .field("signer", &self.signer())
            .finish_non_exhaustive()
    }
}

impl<C, T> Encode<C> for Signed<T> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(self.bytes())?.ok()
    }
}

impl<'b, C, T: Statement> Decode<'b, C> for Signed<T> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::from_bytes(d.bytes()?).map_err(minicbor::decode::Error::custom)
    }
}

/// A statement whose signature has been verified. Only verifying makes one.
#[derive(Clone, PartialEq, Eq)]
pub struct Verified<T>(Signed<T>);

impl<T> Verified<T> {
    /// The envelope, to pass on or store.
    pub fn signed(&self) -> &Signed<T> {
        &self.0
    }

    /// The envelope, by value.
    pub fn into_signed(self) -> Signed<T> {
        self.0
    }

    /// The key that signed.
    pub fn signer(&self) -> KeyId {
        self.0.signer()
    }

    /// See [`Signed::body_digest`].
    pub fn body_digest(&self) -> Digest {
        self.0.body_digest()
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.statement
    }
}

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verified").field(&self.0.statement).finish()
    }
}
