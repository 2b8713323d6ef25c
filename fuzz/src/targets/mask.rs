//! Masks: what is unmasked is the sum of what was masked, and every way to compute a mask gives the same bytes.

use arbitrary::{Result, Unstructured};
use dawn_crypto::backend::{self, BackendKind};
use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::mask::{
    KeySum, MaskKey, Masker, PayloadHasher, PublicMatrix, add_assign, mask, mask_once,
    parse_payload, payload_bytes, payload_digest, sample_error, sub_assign, unmask,
};
use dawn_crypto::noise::NoiseStream;
use dawn_crypto::params::{Dimension, MAX_COORDINATE, N, Sigma};
use dawn_crypto::shamir::{ShareSum, Threshold, reconstruct, share_key};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Input: a dimension, a deviation, a seed, devices, the first coordinates, how the payload is cut.
pub fn mask_target(data: &[u8]) -> bool {
    run(&mut Unstructured::new(data)).unwrap_or(false)
}

fn run(input: &mut Unstructured<'_>) -> Result<bool> {
    let edges = [1, 2, 31, 32, 33, N - 1, N, N + 1, 2 * N - 1, 2 * N];
    let d = match input.ratio(1, 2)? {
        true => *input.choose(&edges)?,
        false => input.int_in_range(1..=N)?,
    };
    let dimension = Dimension::new(d).expect("in range");
    let units = match input.ratio(3, 4)? {
        true => Sigma::ERROR_MIN.get(),
        false => input.int_in_range(Sigma::MIN.get()..=Sigma::MAX.get())?,
    };
    let sigma = Gaussian::new(Sigma::new(units).expect("in range"));
    let seed: u64 = input.arbitrary()?;
    let mut matrix_seed = [0; 32];
    ChaCha20Rng::seed_from_u64(!seed).fill_bytes(&mut matrix_seed);
    let matrix = PublicMatrix::from_seed(&matrix_seed);
    let devices = input.int_in_range(1..=2u64)?;
    let mut x = vec![0i32; d];
    for x in x.iter_mut().take(64) {
        *x = input.arbitrary::<i32>()? >> input.int_in_range(0..=31)?;
    }
    let allowed = x.iter().all(|x| x.unsigned_abs() <= MAX_COORDINATE as u32);

    // Two of the devices share so that the key sum comes out as in a round.
    let threshold = Threshold::new(2, 0).expect("two stewards");
    let mut answers = [ShareSum::zero(), ShareSum::zero()];
    let (mut sum, mut expected) = (
        vec![0u32; dimension.padded()],
        vec![0i64; dimension.padded()],
    );
    for device in 0..devices {
        let mut rng = ChaCha20Rng::seed_from_u64(seed.wrapping_add(device));
        let key = MaskKey::sample(&mut rng);
        let mut noise = [0; 32];
        rng.fill_bytes(&mut noise);
        let portable = backend::with(BackendKind::Portable, || {
            three_ways(&matrix, &key, &dimension, &x, &sigma, &noise)
        })
        .expect("always there");
        for kind in vector_backends() {
            let once = backend::with(kind, || {
                let mut noise = NoiseStream::from_seed(&noise);
                mask_once(&matrix, &key, &dimension, &x, &sigma, &mut noise, |_| ())
            });
            let payload = once.expect("supported").ok().map(|masked| masked.payload);
            let expected = portable.as_ref().map(|(payload, _)| payload);
            assert!(payload.as_ref() == expected, "{kind} gives other bytes");
        }
        assert_eq!(portable.is_some(), allowed);
        let Some((payload, v)) = portable else {
            return Ok(false);
        };
        add_assign(&mut sum, &payload);
        expected
            .iter_mut()
            .zip(&v)
            .for_each(|(sum, v)| *sum += i64::from(*v));
        for (answer, share) in answers
            .iter_mut()
            .zip(share_key(&key, &threshold, &mut rng))
        {
            answer.add_assign(&share.expand().expect("our own"));
        }
        if device == 0 {
            one_payload(&payload, input)?;
        }
        // Taking it out and putting it in again changes nothing.
        let before = sum.clone();
        sub_assign(&mut sum, &payload);
        add_assign(&mut sum, &payload);
        assert_eq!(sum, before);
    }
    let key = reconstruct(&[(1, &answers[0]), (2, &answers[1])]).expect("distinct points");
    let unmasked = || unmask(&matrix, &dimension, &sum, &key).expect("fits");
    let opened = backend::with(BackendKind::Portable, unmasked).expect("always there");
    for kind in vector_backends() {
        assert!(
            backend::with(kind, unmasked).as_ref() == Ok(&opened),
            "{kind} opens otherwise"
        );
    }
    for (opened, expected) in opened.iter().zip(&expected) {
        // Sums of coordinates near 2^30 wrap; a task that could wrap is refused.
        if expected.unsigned_abs() < u64::from(dawn_crypto::params::Q) / 2 {
            assert_eq!(i64::from(*opened), *expected);
        }
    }
    let wrong = KeySum::from_coefficients([1; N]);
    assert!(unmask(&matrix, &dimension, &sum, &wrong).expect("fits") != opened);
    Ok(true)
}

/// Those of this processor, besides the portable one.
fn vector_backends() -> impl Iterator<Item = BackendKind> {
    let others = BackendKind::ALL.into_iter();
    others.filter(|kind| *kind != BackendKind::Portable && kind.is_supported())
}

/// A payload and `v = x + e`, computed in three ways; none when a coordinate is too large.
fn three_ways(
    matrix: &PublicMatrix,
    key: &MaskKey,
    dimension: &Dimension,
    x: &[i32],
    sigma: &Gaussian,
    noise: &[u8; 32],
) -> Option<(Vec<u32>, Vec<i32>)> {
    let e = sample_error(sigma, dimension, &mut NoiseStream::from_seed(noise));
    let plain = mask(matrix, key, dimension, x, &e);
    let mut v = Vec::new();
    let once = mask_once(
        matrix,
        key,
        dimension,
        x,
        sigma,
        &mut NoiseStream::from_seed(noise),
        |block| {
            v.extend_from_slice(block);
        },
    );
    let (Ok(plain), Ok(once)) = (plain.as_ref(), once.as_ref()) else {
        assert!(plain.is_err() && once.is_err());
        return None;
    };
    assert_eq!(plain, &once.payload);
    assert_eq!(once.digest, payload_digest(plain));
    let mut masker = Masker::new(matrix, key, dimension);
    let mut streamed = Vec::new();
    for (block, errors) in e.chunks_exact(N).enumerate() {
        let x = x.get(block * N..).unwrap_or_default();
        let mut out = [7; N];
        masker
            .block(&x[..x.len().min(N)], &mut errors.to_vec(), &mut out)
            .expect("a block that is not too many");
        streamed.extend_from_slice(&out);
    }
    assert_eq!(masker.left(), 0);
    assert!(
        masker.block(&[], &mut [0; N], &mut [0; N]).is_err(),
        "a block too many"
    );
    assert_eq!(&streamed, plain);
    for (place, v) in v.iter().enumerate() {
        assert_eq!(*v, x.get(place).unwrap_or(&0) + e[place]);
    }
    Some((streamed, v))
}

/// A payload is one string of bytes, however it arrives.
fn one_payload(payload: &[u32], input: &mut Unstructured<'_>) -> Result<()> {
    let bytes = payload_bytes(payload);
    assert_eq!(parse_payload(&bytes).as_deref(), Ok(payload));
    let mut hasher = PayloadHasher::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let longest = rest.len().min(40_000);
        let least = if input.is_empty() { longest } else { 1 };
        let (piece, after) = rest.split_at(input.int_in_range(least..=longest)?);
        hasher.update(piece);
        rest = after;
    }
    assert_eq!(hasher.finalize(), payload_digest(payload));
    Ok(())
}
