//! The submission's container: the same bytes come back, in pieces of any size, and hostile bytes
//! are refused before memory is taken for them.

use dawn_protocol::container::{
    ContainerError, ContainerHead, ContainerLimits, ContainerParser, MAGIC,
};
use dawn_protocol::submission::MAX_PACKAGE_BYTES;
use proptest::prelude::*;

use crate::world::World;

const LIMITS: ContainerLimits = ContainerLimits {
    packages: 3,
    payload_bytes: 16,
};

fn head(header: usize, packages: [usize; 3]) -> ContainerHead {
    ContainerHead {
        header: vec![1; header],
        packages: packages.iter().map(|len| vec![2; *len]).collect(),
    }
}

fn bytes(head: &ContainerHead) -> Vec<u8> {
    let mut out = Vec::new();
    head.write_to(&mut out).unwrap();
    assert_eq!(out.len(), head.encoded_len());
    out
}

proptest! {
    #[test]
    fn heads_come_back_whatever_the_pieces(
        header in 0usize..3000,
        packages in prop::array::uniform3(0usize..2000),
        piece in 1usize..5000,
    ) {
        let head = head(header, packages);
        let mut wire = bytes(&head);
        wire.extend_from_slice(&[9; 16]);
        prop_assert_eq!(&ContainerHead::read_from(&mut wire.as_slice(), LIMITS).unwrap(), &head);
        let mut parser = ContainerParser::new(LIMITS);
        let mut consumed = 0;
        for chunk in wire.chunks(piece) {
            if parser.is_complete() { break; }
            consumed += parser.push(chunk).unwrap();
        }
        prop_assert_eq!(consumed, head.encoded_len());
        prop_assert_eq!(parser.into_head(), Some(head));
    }

    #[test]
    fn hostile_bytes_never_panic(mut wire in prop::collection::vec(any::<u8>(), 0..600), magic in any::<bool>()) {
        if magic && wire.len() >= 4 {
            wire[..4].copy_from_slice(&MAGIC);
        }
        let _ = ContainerHead::read_from(&mut wire.as_slice(), LIMITS);
    }

    #[test]
    fn every_truncation_is_noticed(cut in 0usize..60) {
        let wire = bytes(&head(20, [5, 6, 7]));
        prop_assume!(cut < wire.len());
        let result = ContainerHead::read_from(&mut &wire[..cut], LIMITS);
        prop_assert!(matches!(result, Err(ContainerError::Truncated)));
    }
}

#[test]
fn lengths_are_refused_before_they_are_believed() {
    let read = |wire: &[u8]| ContainerHead::read_from(&mut &*wire, LIMITS).unwrap_err();
    assert!(matches!(read(b"DWNX\0\0\0\0"), ContainerError::Magic));
    let huge = [&MAGIC[..], &[0xff; 4]].concat();
    assert!(matches!(read(&huge), ContainerError::HeaderTooLarge { .. }));
    let mut wire = bytes(&head(1, [1, 1, 1]));
    wire[9] = 4;
    assert!(matches!(
        read(&wire),
        ContainerError::PackageCount {
            expected: 3,
            actual: 4
        }
    ));
    wire[9] = 3;
    wire[10..14].copy_from_slice(&u32::try_from(MAX_PACKAGE_BYTES + 1).unwrap().to_le_bytes());
    assert!(matches!(
        read(&wire),
        ContainerError::PackageTooLarge { index: 0, .. }
    ));
}

#[test]
fn a_prepared_submission_is_a_container_within_the_rounds_limits() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let submission = world.submissions(&round, &[0]).remove(0);
    let limits = ContainerLimits::of(&round.open);
    let wire = submission.to_bytes();
    assert!(wire.len() <= limits.max_bytes());
    let mut input = wire.as_slice();
    let head = ContainerHead::read_from(&mut input, limits).unwrap();
    assert_eq!(head, submission.head());
    assert_eq!(input, submission.payload);
    assert_eq!(input.len(), limits.payload_bytes);
}
