//! The property of every decoder: what it accepts, it encodes to the same bytes, in little memory.

use dawn_identity::{from_canonical_bounded, to_canonical};
use minicbor::{Decode, Encode};

use crate::memory;

/// Decodes within the bound on memory, and encodes again.
#[track_caller]
pub(super) fn decoded<T, E>(
    bytes: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<T, E>,
    encode: impl FnOnce(&T) -> Vec<u8>,
) -> Option<T> {
    let value = memory::within(memory::for_decoding(bytes), || decode(bytes).ok())?;
    assert_eq!(encode(&value), bytes, "another encoding was accepted");
    Some(value)
}

/// [`decoded`] for what has no decoder of its own.
#[track_caller]
pub(super) fn canonical<T>(bytes: &[u8], limit: usize) -> Option<T>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    decoded(
        bytes,
        |bytes| from_canonical_bounded::<T>(bytes, limit),
        to_canonical,
    )
}
