//! What a device hides is what is opened, and what it sends is what it signed for.

use dawn_crypto::mask::{parse_payload, payload_digest};
use dawn_learn::ModelSpec;
use dawn_protocol::prepare::{PrepareError, PreparedSubmission};
use dawn_protocol::upload::UploadSize;

use crate::world::{Device, Round, World};

fn world_of(inputs: u32, classes: u32) -> World {
    World::with_task(3, 0, |task| {
        task.model = ModelSpec::Logistic { inputs, classes }
    })
}

/// A submission, and what is hidden in it.
fn observed(
    world: &mut World,
    round: &Round,
    device: &Device,
    x: &[i32],
) -> (PreparedSubmission, Vec<i32>) {
    let mut hidden = vec![];
    let (open, rng) = (&round.open, &mut world.rng);
    let see = |block: &[i32]| hidden.extend_from_slice(block);
    let prepared =
        PreparedSubmission::observed(open, &device.credential, &device.key, x, rng, see).unwrap();
    (prepared, hidden)
}

/// Around the edges of the blocks, where check coordinates begin in a block of their own or in the last.
#[test]
fn what_is_hidden_is_what_is_opened() {
    for (inputs, classes, d) in [(4, 2, 10), (1022, 2, 2046), (1023, 2, 2048), (682, 3, 2049)] {
        let mut world = world_of(inputs, classes);
        let round = world.first_round();
        let (first, second) = (world.device(0), world.device(1));
        let x: Vec<i32> = (0..d).map(|i| i % 7 - 3).collect();
        let (a, hidden) = observed(&mut world, &round, &first, &x);
        let (b, too) = observed(&mut world, &round, &second, &x);
        assert_eq!(hidden.len(), world.context.dimension().padded());
        // 16 deviations of the error.
        let bound = i32::try_from((16 * world.task.peek().sigma_error.get()) >> 16).unwrap() + 1;
        for (at, v) in hidden.iter().enumerate() {
            let x = x.get(at).copied().unwrap_or_default();
            assert!((v - x).abs() <= bound, "coordinate {at}");
        }
        assert!(
            hidden.iter().skip(x.len()).any(|v| *v != 0),
            "check coordinates carry noise"
        );

        let closed = world.close(&round, vec![a, b]);
        let points = [1, 2, 3];
        let reports = world.reports(&round, &closed, &points);
        let (judged, _) = world.judge(&closed, &reports);
        let openings = world.openings(&round, &closed, &judged, &points);
        let opened = judged
            .open(&world.masked_sum(&closed, &judged), &openings)
            .unwrap();
        let sum: Vec<i32> = hidden.iter().zip(&too).map(|(a, b)| a + b).collect();
        assert_eq!(opened.sum(), &sum[..x.len()]);
    }
}

#[test]
fn the_header_names_the_payload_and_the_container_holds_both() {
    let mut world = world_of(682, 3);
    let round = world.first_round();
    let device = world.device(0);
    let (prepared, _) = observed(&mut world, &round, &device, &[1; 2049]);
    let words = parse_payload(&prepared.payload).unwrap();
    assert_eq!(words.len(), world.context.dimension().padded());
    assert_eq!(prepared.header.peek().payload, payload_digest(&words));
    let bytes = prepared.to_bytes();
    assert_eq!(prepared.into_bytes(), bytes);
}

/// The same update twice: another key, another error, and nothing of the one in the other.
#[test]
fn key_and_error_are_fresh_in_every_call() {
    let mut world = world_of(4, 2);
    let round = world.first_round();
    let device = world.device(0);
    let (first, hidden) = observed(&mut world, &round, &device, &[3; 10]);
    let (second, too) = observed(&mut world, &round, &device, &[3; 10]);
    let same = |a: &[i32], b: &[i32]| a.iter().zip(b).filter(|(a, b)| a == b).count();
    // Of deviation 6.36 each, two errors are the same in one coordinate of 23.
    assert!(same(&hidden, &too) < hidden.len() / 10);
    let words = |s: &PreparedSubmission| parse_payload(&s.payload).unwrap();
    let (first, second) = (words(&first), words(&second));
    let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
    assert!(same < 3, "{same} of {} words", first.len());
}

#[test]
fn updates_of_another_length_are_refused() {
    let mut world = world_of(4, 2);
    let round = world.first_round();
    let device = world.device(0);
    for length in [0, 9, 11, 4096] {
        let refused = PreparedSubmission::new(
            &round.open,
            &device.credential,
            &device.key,
            &vec![0; length],
            &mut world.rng,
        );
        assert!(matches!(refused, Err(PrepareError::Mask(_))), "{length}");
    }
}

/// What a task maker is told is what devices send.
#[test]
fn the_size_of_a_submission_is_known_before() {
    for (m, f, rows) in [(2, 0, 128), (3, 0, 256), (6, 1, 128), (11, 2, 512)] {
        let mut world = World::with_task(m, f, |task| {
            task.projections = rows;
            task.rounds = 1;
        });
        let round = world.first_round();
        let device = world.device(0);
        let x = vec![0; world.context.dimension().coordinates()];
        let (made, _) = observed(&mut world, &round, &device, &x);
        let task = world.task.peek();
        let size = UploadSize::of(
            task,
            round.open.threshold(),
            &device.credential,
            &device.key,
        )
        .unwrap();
        assert_eq!(size.header, made.header.bytes().len());
        let packages: usize = made.packages.iter().map(Vec::len).sum();
        assert_eq!(size.packages, packages);
        assert_eq!(size.payload, made.payload.len());
        assert_eq!(size.total, made.to_bytes().len());
    }
}
