//! Signed envelopes: whatever is accepted is the one envelope of its kind, signer, payload and signature, and
//! the only signature that verifies is the one that the key made.

use std::fmt::Debug;

use dawn_identity::{Envelope, Signed, Statement, from_canonical, to_canonical};
use dawn_protocol::MAX_STATEMENT_BYTES;

use super::canonical::decoded;
use super::choose;
use super::statements::KINDS;
use crate::world;

/// The first byte chooses the kind that is expected.
pub fn envelopes(data: &[u8]) -> bool {
    let Some(((_, _, expected), bytes)) = choose(KINDS, data) else {
        return false;
    };
    let parsed = decoded(
        bytes,
        |bytes| Envelope::parse(bytes, MAX_STATEMENT_BYTES),
        |envelope| envelope.bytes().to_vec(),
    );
    let Some(envelope) = parsed else {
        assert!(!expected(bytes), "a statement in what is no envelope");
        return false;
    };
    let key = world::key();
    let again = Envelope::seal(envelope.kind(), envelope.payload().to_vec(), key)
        .expect("a kind that was read is a kind");
    assert_eq!(again.payload(), envelope.payload());
    assert_eq!(again.body_digest(), envelope.body_digest());
    // Strict Ed25519: nobody who does not have the key makes a second signature of the same.
    let verifies = envelope.verify(&key.public()).is_ok();
    assert_eq!(verifies, again.bytes() == bytes);
    assert_eq!(
        again.envelope_digest() == envelope.envelope_digest(),
        verifies
    );
    expected(bytes)
}

pub(super) fn signed<T>(bytes: &[u8]) -> bool
where
    T: Statement + PartialEq + Debug,
{
    let parsed = decoded(bytes, Signed::<T>::from_bytes, |signed| {
        signed.bytes().to_vec()
    });
    let Some(signed) = parsed else {
        return false;
    };
    assert_eq!(signed.envelope().kind(), T::KIND);
    assert_eq!(to_canonical(signed.peek()), signed.body());
    assert!(signed.peek().check().is_ok());
    // Inside another document it is one byte string.
    let inside = to_canonical(&signed);
    assert_eq!(from_canonical::<Signed<T>>(&inside).as_ref(), Ok(&signed));
    true
}
