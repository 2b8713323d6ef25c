//! What a proven submission costs everybody, in one thread, beside Prio3SumVec of the same vector: the verifiable
//! aggregation that proves something about every coordinate, with two verifiers that both need the whole share.
//!
//! Every figure is a median. The matrix of the round is expanded once for all submissions and is not counted.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dawn_crypto::backend;
use dawn_crypto::mask::{self, PayloadHasher, PublicMatrix};
use dawn_crypto::norm::Answer;
use dawn_crypto::norm::projection::{MatrixBlocks, MatrixCache};
use dawn_protocol::RoundChallenged;
use dawn_protocol::package::{OpenedPackage, open_package};
use dawn_protocol::prepare::PreparedSubmission;
use prio::codec::Encode;
use prio::vdaf::prio3::{Prio3SumVec, optimal_chunk_length};
use prio::vdaf::{Aggregator as _, Client as _};
use serde::Serialize;

use crate::core::median;
use crate::scene::{Scene, SceneError};

/// One submission's costs: medians in milliseconds, and bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Proved {
    /// Coordinates: those that were asked for, or the next number below that a model has.
    pub dim: usize,
    /// Stewards.
    pub stewards: u8,
    /// How many of them may be malicious: as many as leave room for one that is away.
    pub malicious: u8,
    /// Rows of the norm proof.
    pub rows: u16,
    /// The backend that computed.
    pub backend: &'static str,
    /// The device: from integers to the signed message. Noise, mask, proof, shares, sealing, signature.
    pub device_ms: f64,
    /// One steward: header, package, the public side of the linear check, its answer.
    pub steward_ms: f64,
    /// The aggregator: header, digest of the payload, scalars, what the answers of all stewards show, the sum.
    pub aggregator_ms: f64,
    /// What the device sends.
    pub upload_bytes: usize,
    /// The vector alone, four bytes a coordinate.
    pub plain_bytes: usize,
    /// Prio3SumVec of as many numbers of 16 bits, two verifiers, the best chunk length: the device. Null above 100,000
    /// coordinates.
    pub prio_device_ms: Option<f64>,
    /// One verifier of it.
    pub prio_verifier_ms: Option<f64>,
    /// What its device sends to both.
    pub prio_upload_bytes: Option<usize>,
}

/// Longest that one party is measured, unless its fewest repetitions take longer.
const LONGEST: Duration = Duration::from_secs(3);
/// Largest vector that the baseline is measured with.
const PRIO_MOST: usize = 100_000;
/// Bits of a number in the baseline.
const PRIO_BITS: usize = 16;

/// The median of some repetitions, in milliseconds. The first only warms up.
fn repeat<T>(mut work: impl FnMut() -> Result<T, SceneError>) -> Result<f64, SceneError> {
    const REPETITIONS: std::ops::Range<usize> = 3..101;
    let mut times = Vec::new();
    let began = Instant::now();
    for repetition in 0.. {
        let enough = repetition > REPETITIONS.start && began.elapsed() > LONGEST;
        if enough || repetition >= REPETITIONS.end {
            break;
        }
        let started = Instant::now();
        black_box(work()?);
        if repetition > 0 {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(median(times))
}

/// Measures one submission of `dim` coordinates.
///
/// # Errors
/// When there is no such round.
pub fn measure(dim: usize, stewards: u8, rows: u16) -> Result<Proved, SceneError> {
    let mut scene = Scene::new(dim, stewards, rows)?;
    let dimension = scene.open.dimension();
    let dim = dimension.coordinates();
    let update: Vec<i32> = (0..dim).map(|i| (i % 3) as i32 - 1).collect();
    let submission = scene.prepare(&update)?;
    let device_ms = repeat(|| scene.prepare(&update))?;

    let round = scene.challenged(&submission)?;
    let matrix = PublicMatrix::from_seed(&round.spec().matrix_seed);
    let cache = MatrixCache::new(&matrix, dimension.blocks());
    let blocks = MatrixBlocks::Cached(&cache);
    let steward_ms = repeat(|| answer(&scene, &round, &submission, blocks, 1))?;
    let answers = (1..=stewards)
        .map(|point| Ok((point, answer(&scene, &round, &submission, blocks, point)?)))
        .collect::<Result<Vec<_>, SceneError>>()?;
    let mut sum = vec![0; dimension.padded()];
    let aggregator_ms = repeat(|| take_in(&round, &submission, &answers, blocks, &mut sum))?;

    let prio = (dim <= PRIO_MOST).then(|| measure_prio(dim)).transpose()?;
    Ok(Proved {
        dim,
        stewards,
        malicious: scene.open.threshold().f(),
        rows,
        backend: backend::current().name(),
        device_ms,
        steward_ms,
        aggregator_ms,
        upload_bytes: submission.to_bytes().len(),
        plain_bytes: 4 * dim,
        prio_device_ms: prio.map(|(device, _, _)| device),
        prio_verifier_ms: prio.map(|(_, verifier, _)| verifier),
        prio_upload_bytes: prio.map(|(_, _, bytes)| bytes),
    })
}

/// All that a steward computes for one submission.
fn answer(
    scene: &Scene,
    round: &RoundChallenged,
    submission: &PreparedSubmission,
    matrix: MatrixBlocks<'_>,
    point: u8,
) -> Result<Answer, SceneError> {
    let header = round.verify_header(&submission.header, round.verified_with())?;
    let place = usize::from(point) - 1;
    let (package, key) = (&submission.packages[place], &scene.sealing[place]);
    let opened: OpenedPackage = open_package(round, &header, package, key, point)
        .map_err(|outcome| format!("the package does not open: {outcome:?}"))?;
    let verifier = round.verifier(0).ok_or("there is no submission")?;
    let check = verifier.public_check(matrix, None)?;
    Ok(verifier.answer(&opened, &check.u)?)
}

/// Whether a submission is valid by the answers of all stewards.
///
/// # Errors
/// When a steward has nothing to answer about it.
pub(crate) fn is_valid(
    scene: &Scene,
    round: &RoundChallenged,
    submission: &PreparedSubmission,
    matrix: MatrixBlocks<'_>,
    stewards: u8,
) -> Result<bool, SceneError> {
    let answers = (1..=stewards)
        .map(|point| Ok((point, answer(scene, round, submission, matrix, point)?)))
        .collect::<Result<Vec<_>, SceneError>>()?;
    let words = mask::parse_payload(&submission.payload)?;
    let verifier = round.verifier(0).ok_or("there is no submission")?;
    let check = verifier.public_check(matrix, Some(&words))?;
    let found = verifier.examine(&answers, check.masked.unwrap_or_default());
    Ok(found.result == dawn_protocol::Examined::Valid)
}

/// All that the aggregator computes for one submission.
fn take_in(
    round: &RoundChallenged,
    submission: &PreparedSubmission,
    answers: &[(u8, Answer)],
    matrix: MatrixBlocks<'_>,
    sum: &mut [u32],
) -> Result<(), SceneError> {
    round.verify_header(&submission.header, round.verified_with())?;
    let mut hasher = PayloadHasher::new();
    hasher.update(&submission.payload);
    if hasher.finalize() != submission.header.peek().payload {
        return Err("another payload".into());
    }
    let words = mask::parse_payload(&submission.payload)?;
    let verifier = round.verifier(0).ok_or("there is no submission")?;
    let check = verifier.public_check(matrix, Some(&words))?;
    let found = verifier.examine(answers, check.masked.unwrap_or_default());
    if found.result != dawn_protocol::Examined::Valid {
        return Err(format!("an honest submission is not valid: {found:?}").into());
    }
    mask::add_assign(sum, &words);
    Ok(())
}

/// The device's and one verifier's milliseconds, and the bytes of an upload.
fn measure_prio(dim: usize) -> Result<(f64, f64, usize), SceneError> {
    let chunk = optimal_chunk_length(PRIO_BITS * dim);
    let vdaf = Prio3SumVec::new_sum_vec(2, (1 << PRIO_BITS) - 1, dim, chunk)?;
    let measurement: Vec<u128> = (0..dim as u128).map(|i| i % (1 << PRIO_BITS)).collect();
    let (context, key, nonce) = (b"measured", [7; 32], [9; 16]);
    let shard = || {
        vdaf.shard(context, &measurement, &nonce)
            .map_err(SceneError::from)
    };
    let device_ms = repeat(shard)?;
    let (public, shares) = shard()?;
    let init = |id: usize| vdaf.verify_init(&key, context, id, &(), &nonce, &public, &shares[id]);
    // Of the other verifier only its message is needed.
    let (_, theirs) = init(1)?;
    let verifier_ms = repeat(|| {
        let (state, ours) = init(0)?;
        let message = vdaf.verifier_shares_to_message(context, &(), [ours, theirs.clone()])?;
        Ok(vdaf.verify_next(context, state, message)?)
    })?;
    let mut bytes = public.get_encoded()?.len();
    for share in &shares {
        bytes += share.get_encoded()?.len();
    }
    Ok((device_ms, verifier_ms, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of docs/protocol.md, section 3.
    #[test]
    fn federations_have_the_documented_thresholds() {
        for (m, f, t, a) in [(3, 0, 2, 2), (6, 1, 4, 5), (8, 1, 5, 6), (11, 2, 7, 9)] {
            let scene = Scene::new(1000, m, 256).expect("exists");
            let th = scene.open.threshold();
            assert_eq!((th.m(), th.f(), th.t(), th.a()), (m, f, t, a));
        }
    }

    #[test]
    fn what_was_asked_for_is_what_is_measured() {
        let got = measure(1000, 4, 128).expect("measures");
        assert_eq!((got.dim, got.stewards, got.rows), (1000, 4, 128));
        assert_eq!(got.plain_bytes, 4000);
        assert!(got.upload_bytes > 4 * 4096);
        for ms in [got.device_ms, got.steward_ms, got.aggregator_ms] {
            assert!(ms > 0.0);
        }
        assert!(got.prio_device_ms.is_some_and(|ms| ms > 0.0));
        assert!(
            got.prio_upload_bytes
                .is_some_and(|bytes| bytes > 16 * 16 * 1000)
        );
        assert!(measure(1000, 4, 100).is_err());
        assert!(measure(1 << 25, 4, 128).is_err());
    }
}
