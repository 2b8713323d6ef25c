//! A submission on the wire and on disk (`docs/protocol.md`, section 4.4): the same bytes.
//!
//! ```text
//! "DWNS" | header length u32 LE | signed header
//!        | number of packages u8 | for each: length u32 LE | sealed package
//!        | payload, 4 bytes a coordinate, padded
//! ```
//!
//! Packages are in the order of the seated stewards. Everything before the payload is the *head*:
//! small, and read whole before a byte of the payload is looked at.

use std::io::{self, Read, Write};

use dawn_identity::Signed;

use crate::round_context::RoundContext;
use crate::submission::{MAX_PACKAGE_BYTES, SubmissionHeader};

/// The first four bytes of a container.
pub const MAGIC: [u8; 4] = *b"DWNS";

/// What a container may contain, known from the round before a byte is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerLimits {
    /// Exactly this many packages.
    pub packages: usize,
    /// Exactly this many payload bytes.
    pub payload_bytes: usize,
}

impl ContainerLimits {
    /// The limits of a round.
    pub fn of(context: &RoundContext) -> Self {
        Self {
            packages: context.seats().len(),
            payload_bytes: context.payload_bytes(),
        }
    }

    /// Most bytes of a head.
    pub fn max_head_bytes(&self) -> usize {
        4 + 4 + Signed::<SubmissionHeader>::MAX_BYTES + 1 + self.packages * (4 + MAX_PACKAGE_BYTES)
    }

    /// Most bytes of a whole container.
    pub fn max_bytes(&self) -> usize {
        self.max_head_bytes() + self.payload_bytes
    }
}

/// Why bytes are not a container of the round.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// Does not begin with the magic.
    #[error("not a submission: it does not begin with DWNS")]
    Magic,
    /// The header is longer than any header.
    #[error("the header has {actual} bytes, at most {limit} are allowed")]
    HeaderTooLarge {
        /// Most bytes.
        limit: usize,
        /// Bytes announced.
        actual: usize,
    },
    /// Another number of packages than there are seated stewards.
    #[error("{actual} packages, the round has {expected} seated stewards")]
    PackageCount {
        /// Seated stewards.
        expected: usize,
        /// Packages announced.
        actual: usize,
    },
    /// A package is longer than any package.
    #[error("package {index} has {actual} bytes, at most {limit} are allowed")]
    PackageTooLarge {
        /// The package's place.
        index: usize,
        /// Most bytes.
        limit: usize,
        /// Bytes announced.
        actual: usize,
    },
    /// Ends too early.
    #[error("the submission ends too early")]
    Truncated,
    /// Reading failed.
    #[error("reading the submission failed: {0}")]
    Io(#[from] io::Error),
}

/// Everything before the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerHead {
    /// The signed header's bytes, not parsed.
    pub header: Vec<u8>,
    /// The sealed packages, in the order of the seated stewards.
    pub packages: Vec<Vec<u8>>,
}

impl ContainerHead {
    /// Writes the head; the payload follows it.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&MAGIC)?;
        write_bytes(out, &self.header)?;
        let count = u8::try_from(self.packages.len())
            .map_err(|_| io::Error::other("more than 255 packages"))?;
        out.write_all(&[count])?;
        self.packages
            .iter()
            .try_for_each(|package| write_bytes(out, package))
    }

    /// Number of bytes that [`Self::write_to`] writes.
    pub fn encoded_len(&self) -> usize {
        let packages: usize = self.packages.iter().map(|p| 4 + p.len()).sum();
        4 + 4 + self.header.len() + 1 + packages
    }

    /// Reads a head, leaving the reader at the payload.
    ///
    /// # Errors
    /// [`ContainerError`].
    pub fn read_from(
        input: &mut impl Read,
        limits: ContainerLimits,
    ) -> Result<Self, ContainerError> {
        let mut parser = ContainerParser::new(limits);
        let mut buffer = Vec::new();
        while !parser.is_complete() {
            buffer.resize(parser.wanted(), 0);
            input.read_exact(&mut buffer).map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => ContainerError::Truncated,
                _ => ContainerError::Io(e),
            })?;
            parser.push(&buffer)?;
        }
        parser.into_head().ok_or(ContainerError::Truncated)
    }
}

fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let len = u32::try_from(bytes.len()).map_err(|_| io::Error::other("longer than 4 GiB"))?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(bytes)
}

/// What the parser is reading. Lengths have been checked before they get here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expecting {
    Magic,
    HeaderLen,
    Header,
    Count,
    PackageLen,
    Package,
    Payload,
}

/// Reads a head from chunks of any size, as they arrive over a network. No allocation is larger
/// than a checked length.
#[derive(Debug)]
pub struct ContainerParser {
    limits: ContainerLimits,
    expecting: Expecting,
    wanted: usize,
    field: Vec<u8>,
    header: Vec<u8>,
    packages: Vec<Vec<u8>>,
}

impl ContainerParser {
    /// A parser for one container.
    pub fn new(limits: ContainerLimits) -> Self {
        Self {
            limits,
            expecting: Expecting::Magic,
            wanted: MAGIC.len(),
            field: Vec::new(),
            header: Vec::new(),
            packages: Vec::new(),
        }
    }

    /// Takes bytes up to the end of the head and says how many; what is left over is payload.
    ///
    /// # Errors
    /// [`ContainerError`]; the parser is then of no more use.
    pub fn push(&mut self, bytes: &[u8]) -> Result<usize, ContainerError> {
        let mut taken = 0;
        while !self.is_complete() {
            let missing = self.wanted();
            let available = bytes.len() - taken;
            let take = missing.min(available);
            self.field.extend_from_slice(&bytes[taken..taken + take]);
            taken += take;
            if take < missing {
                break;
            }
            self.finish_field()?;
        }
        Ok(taken)
    }

    /// Whether the head is complete.
    pub fn is_complete(&self) -> bool {
        self.expecting == Expecting::Payload
    }

    /// The head, when it is complete.
    pub fn into_head(self) -> Option<ContainerHead> {
        self.is_complete().then_some(ContainerHead {
            header: self.header,
            packages: self.packages,
        })
    }

    fn wanted(&self) -> usize {
        self.wanted - self.field.len()
    }

    fn finish_field(&mut self) -> Result<(), ContainerError> {
        let field = std::mem::take(&mut self.field);
        let (next, wanted) = match self.expecting {
            Expecting::Magic => {
                if field != MAGIC {
                    return Err(ContainerError::Magic);
                }
                (Expecting::HeaderLen, 4)
            }
            Expecting::HeaderLen => {
                let actual = length(&field);
                let limit = Signed::<SubmissionHeader>::MAX_BYTES;
                if actual > limit {
                    return Err(ContainerError::HeaderTooLarge { limit, actual });
                }
                (Expecting::Header, actual)
            }
            Expecting::Header => {
                self.header = field;
                (Expecting::Count, 1)
            }
            Expecting::Count => {
                let (actual, expected) = (length(&field), self.limits.packages);
                if actual != expected {
                    return Err(ContainerError::PackageCount { expected, actual });
                }
                self.next_package()
            }
            Expecting::PackageLen => {
                let actual = length(&field);
                let (index, limit) = (self.packages.len(), MAX_PACKAGE_BYTES);
                if actual > limit {
                    return Err(ContainerError::PackageTooLarge {
                        index,
                        limit,
                        actual,
                    });
                }
                (Expecting::Package, actual)
            }
            Expecting::Package => {
                self.packages.push(field);
                self.next_package()
            }
            Expecting::Payload => (Expecting::Payload, 0),
        };
        self.expecting = next;
        self.wanted = wanted;
        Ok(())
    }

    fn next_package(&self) -> (Expecting, usize) {
        if self.packages.len() < self.limits.packages {
            (Expecting::PackageLen, 4)
        } else {
            (Expecting::Payload, 0)
        }
    }
}

/// A little-endian number of at most four bytes.
fn length(field: &[u8]) -> usize {
    field
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | usize::from(*byte))
}
