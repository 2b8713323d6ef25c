//! The container of a submission, read whole and in pieces of any size. Input: number of packages, how
//! pieces are cut, then the container.

use dawn_protocol::container::{ContainerHead, ContainerLimits, ContainerParser};
use dawn_protocol::submission::MAX_PACKAGE_BYTES;

use crate::cbor::Dice;
use crate::memory;

/// See the module.
pub fn container(data: &[u8]) -> bool {
    let [packages, cut, bytes @ ..] = data else {
        return false;
    };
    let limits = ContainerLimits {
        packages: usize::from(packages % 17),
        payload_bytes: 64,
    };
    // Memory is taken for what arrived, and for one package that was announced, which is checked.
    let room = 4 * bytes.len().min(limits.max_head_bytes()) + (40 << 10) + MAX_PACKAGE_BYTES;
    let mut rest = bytes;
    let whole = memory::within(room, || ContainerHead::read_from(&mut rest, limits));
    let (pieces, taken) = memory::within(room, || in_pieces(bytes, limits, *cut));
    match (whole, pieces) {
        (Ok(head), Ok(Some(same))) => {
            assert_eq!(head, same);
            assert_eq!(head.packages.len(), limits.packages);
            assert_eq!(taken, bytes.len() - rest.len());
            assert_eq!(taken, head.encoded_len());
            assert!(taken <= limits.max_head_bytes());
            let mut again = Vec::new();
            head.write_to(&mut again).expect("writing into memory");
            assert_eq!(again, bytes[..taken], "another encoding was accepted");
            true
        }
        // Pieces wait for what the whole says is missing.
        (Err(error), Ok(None)) => {
            assert_eq!(error.to_string(), "the submission ends too early");
            false
        }
        (Err(error), Err(same)) => {
            assert_eq!(error.to_string(), same);
            false
        }
        (whole, pieces) => panic!("whole: {whole:?}, in pieces: {pieces:?}"),
    }
}

/// The head, none when it is not complete yet, or the error; and how many bytes it took.
fn in_pieces(
    bytes: &[u8],
    limits: ContainerLimits,
    cut: u8,
) -> (Result<Option<ContainerHead>, String>, usize) {
    let mut parser = ContainerParser::new(limits);
    let (mut rest, mut dice, mut total) = (bytes, Dice::new(cut.into()), 0);
    while !rest.is_empty() && !parser.is_complete() {
        let longest = [1, 3, 100, 20_000][usize::from(cut % 4)];
        let piece = &rest[..rest.len().min(1 + dice.below(longest))];
        match parser.push(piece) {
            Err(error) => return (Err(error.to_string()), total),
            Ok(taken) => {
                assert!(taken == piece.len() || parser.is_complete());
                rest = &rest[taken..];
                total += taken;
            }
        }
    }
    (Ok(parser.into_head()), total)
}
