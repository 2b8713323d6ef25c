//! The sum of masked vectors unmasks to the sum of the vectors, and to nothing without every key.

use super::*;
use crate::field;
use crate::params::Q;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

struct Round {
    dim: Dimension,
    matrix: PublicMatrix,
    sum_c: Vec<u32>,
    sum_v: Vec<i32>,
    key_sum: KeySum,
}

/// `devices` masked vectors with coordinates up to `magnitude`, added up.
fn round(d: usize, devices: usize, magnitude: u32, sigma: Sigma, seed: u64) -> Round {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let dim = Dimension::new(d).expect("in range");
    let mut matrix_seed = [0; 32];
    rng.fill_bytes(&mut matrix_seed);
    let matrix = PublicMatrix::from_seed(&matrix_seed);
    let gaussian = Gaussian::new(sigma);
    let mut sum_c = vec![0; dim.padded()];
    let mut sum_v = vec![0i32; dim.padded()];
    let mut keys = [0; N];
    for _ in 0..devices {
        let key = MaskKey::sample(&mut rng);
        let span = 2 * u64::from(magnitude) + 1;
        let x: Vec<i32> = (0..d)
            .map(|_| (rng.next_u64() % span) as i32 - magnitude as i32)
            .collect();
        let e = sample_error(&gaussian, &dim, &mut rng);
        let c = mask(&matrix, &key, &dim, &x, &e).expect("fits");
        assert!(c.iter().all(|&word| word < Q));
        add_assign(&mut sum_c, &c);
        add_assign(&mut keys, key.to_ring().coefficients());
        for (i, v) in sum_v.iter_mut().enumerate() {
            *v += e[i] + x.get(i).unwrap_or(&0);
        }
    }
    Round {
        dim,
        matrix,
        sum_c,
        sum_v,
        key_sum: KeySum(Box::new(keys)),
    }
}

fn assert_opens(r: &Round) {
    let opened = unmask(&r.matrix, &r.dim, &r.sum_c, &r.key_sum).expect("lengths fit");
    assert_eq!(opened, r.sum_v);
}

#[test]
fn sums_open_at_the_edges_of_blocks() {
    for d in [1, 10, 2047, 2048, 2049, 100_000] {
        assert_opens(&round(d, 3, 1 << 20, Sigma::ERROR_MIN, d as u64));
    }
}

#[test]
fn many_devices_and_wide_noise() {
    assert_opens(&round(300, 64, 1 << 15, Sigma::ERROR_MIN, 1));
    assert_opens(&round(
        300,
        5,
        1 << 20,
        Sigma::new(1 << 36).expect("2^20"),
        2,
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sums_open(d in 1usize..9000, devices in 1usize..6, seed in any::<u64>()) {
        assert_opens(&round(d, devices, 1 << 24, Sigma::ERROR_MIN, seed));
    }

    #[test]
    fn payload_bytes_round_trip(c in prop::collection::vec(0..Q, 0..3000), cut in any::<prop::sample::Index>()) {
        let bytes = payload_bytes(&c);
        prop_assert_eq!(parse_payload(&bytes), Ok(c.clone()));
        let mut streamed = PayloadHasher::new();
        let (a, b) = bytes.split_at(cut.index(bytes.len() + 1));
        streamed.update(a);
        streamed.update(b);
        prop_assert_eq!(streamed.finalize(), payload_digest(&c));
    }

    #[test]
    fn hostile_payloads_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(words) = parse_payload(&bytes) {
            prop_assert_eq!(payload_bytes(&words), bytes);
        }
    }
}

#[test]
fn payloads_with_a_word_of_q_or_more_are_refused() {
    let mut c = vec![Q - 1; 5];
    assert!(parse_payload(&payload_bytes(&c)).is_ok());
    for bad in [Q, u32::MAX] {
        c[3] = bad;
        assert_eq!(
            parse_payload(&payload_bytes(&c)),
            Err(MaskError::NotCanonical { index: 3 })
        );
    }
    assert_eq!(
        parse_payload(&[0; 7]),
        Err(MaskError::NotWords { bytes: 7 })
    );
}

#[test]
fn wrong_shapes_are_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let dim = Dimension::new(10).expect("in range");
    let (matrix, key) = (PublicMatrix::from_seed(&[0; 32]), MaskKey::sample(&mut rng));
    let e = vec![0; dim.padded()];
    let refused = |x: &[i32], e: &[i32]| mask(&matrix, &key, &dim, x, e).expect_err("refused");
    assert_eq!(
        refused(&[0; 9], &e),
        MaskError::Length {
            expected: 10,
            actual: 9
        }
    );
    assert_eq!(
        refused(&[0; 10], &e[1..]),
        MaskError::Length {
            expected: 4096,
            actual: 4095
        }
    );
    let mut x = [0; 10];
    for bad in [MAX_COORDINATE + 1, -MAX_COORDINATE - 1, i32::MIN] {
        x[7] = bad;
        assert_eq!(refused(&x, &e), MaskError::CoordinateTooLarge { index: 7 });
    }
    x[7] = -MAX_COORDINATE;
    assert!(mask(&matrix, &key, &dim, &x, &e).is_ok());
    let sum = KeySum(Box::new([0; N]));
    assert!(unmask(&matrix, &dim, &[0; 4095], &sum).is_err());
    assert!(unmask_block(&matrix, 0, &[0; 2047], &sum).is_err());
}

/// A rejected submission is taken out of the sum again.
#[test]
fn sums_subtract() {
    let (a, b) = (vec![Q - 1, 5, 0], vec![3, Q - 2, Q - 1]);
    let mut sum = a.clone();
    add_assign(&mut sum, &b);
    assert_eq!(sum, [2, 3, Q - 1]);
    sub_assign(&mut sum, &b);
    assert_eq!(sum, a);
}

/// Without one of the keys the result has the size of q everywhere, also in the check coordinates.
#[test]
fn a_missing_key_leaves_noise() {
    let mut r = round(50, 3, 100, Sigma::ERROR_MIN, 4);
    r.key_sum.0[0] = field::add(r.key_sum.0[0], 1);
    let opened = unmask(&r.matrix, &r.dim, &r.sum_c, &r.key_sum).expect("lengths fit");
    let huge = opened.iter().filter(|v| v.unsigned_abs() > 1 << 20).count();
    assert!(huge > opened.len() * 99 / 100);
}

/// The same update masked under two keys: neither payload, nor their difference, is small anywhere near.
#[test]
fn payloads_look_uniform() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let dim = Dimension::new(30_000).expect("in range");
    let matrix = PublicMatrix::from_seed(&[1; 32]);
    let gaussian = Gaussian::new(Sigma::ERROR_MIN);
    let mut payload = || {
        let key = MaskKey::sample(&mut rng);
        let e = sample_error(&gaussian, &dim, &mut rng);
        mask(&matrix, &key, &dim, &vec![0; 30_000], &e).expect("fits")
    };
    let (a, b) = (payload(), payload());
    let mut difference = a.clone();
    sub_assign(&mut difference, &b);
    for c in [a, b, difference] {
        let mut bins = [0f64; 64];
        for &word in &c {
            bins[(u64::from(word) * 64 / u64::from(Q)) as usize] += 1.0;
        }
        let expected = c.len() as f64 / 64.0;
        let chi2: f64 = bins.iter().map(|n| (n - expected).powi(2) / expected).sum();
        assert!(chi2 < 63.0 + 5.0 * 126f64.sqrt(), "{chi2}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let key = MaskKey::sample(&mut ChaCha20Rng::seed_from_u64(6));
    assert_eq!(format!("{key:?}"), "MaskKey(redacted)");
    assert_eq!(format!("{:?}", KeySum(Box::new([7; N]))), "KeySum(..)");
    assert!(bool::from(key.ct_eq(&key)));
}
