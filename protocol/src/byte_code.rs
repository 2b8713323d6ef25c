//! Lists of one-byte codes: a byte string on the wire, an enumeration in the program.

use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};

/// An enumeration with one byte per value.
pub(crate) trait ByteCode: Copy {
    fn code(self) -> u8;
    fn from_code(code: u8) -> Option<Self>;
}

/// Implements [`ByteCode`] and names for an enumeration.
macro_rules! byte_code {
    ($type:ident { $($variant:ident = $code:literal => $name:literal,)* }) => {
        impl $crate::byte_code::ByteCode for $type {
            fn code(self) -> u8 {
                self as u8
            }

            fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl $type {
            /// Every value, in the order of the codes.
            pub const ALL: &'static [$type] = &[$($type::$variant,)*];

            /// The value's stable name in tables, metrics and problem documents.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use byte_code;

pub(crate) fn encode<T: ByteCode, C, W: Write>(
    codes: &[T],
    e: &mut Encoder<W>,
    _: &mut C,
) -> Result<(), EncodeError<W::Error>> {
    let bytes: Vec<u8> = codes.iter().map(|c| c.code()).collect();
    e.bytes(&bytes)?.ok()
}

pub(crate) fn decode<T: ByteCode, C>(
    d: &mut Decoder<'_>,
    _: &mut C,
) -> Result<Vec<T>, DecodeError> {
    d.bytes()?
        .iter()
        .map(|&byte| {
            T::from_code(byte).ok_or_else(|| DecodeError::message("a code that has no meaning"))
        })
        .collect()
}
