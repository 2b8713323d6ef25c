//! Any T shares reconstruct; fewer say nothing; a wrong answer shows in the check coordinates.

use super::*;
use crate::expand::uniform;
use crate::field;
use crate::gaussian::Gaussian;
use crate::mask::{self, MaskKey, PublicMatrix, sample_error};
use crate::params::{Dimension, N, Q, Sigma};
use crate::ring::Transformed;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use subtle::ConstantTimeEq;

/// Every set of `size` of the points `1..=m`.
fn subsets(m: u8, size: u8) -> Vec<Vec<u8>> {
    (0u32..1 << m)
        .filter(|set| set.count_ones() == u32::from(size))
        .map(|set| (1..=m).filter(|p| set >> (p - 1) & 1 == 1).collect())
        .collect()
}

fn pick<'a>(set: &[u8], sums: &'a [ShareSum]) -> Vec<(u8, &'a ShareSum)> {
    set.iter()
        .map(|&p| (p, &sums[usize::from(p) - 1]))
        .collect()
}

/// The stewards' sums over keys that are shared afresh.
fn sums_over(keys: &[MaskKey], th: &Threshold, rng: &mut ChaCha20Rng) -> Vec<ShareSum> {
    let mut sums: Vec<ShareSum> = (0..th.m()).map(|_| ShareSum::zero()).collect();
    for key in keys {
        let encodings = share_key(key, th, rng);
        assert_eq!(encodings.len(), usize::from(th.m()));
        for (sum, encoding) in sums.iter_mut().zip(&encodings) {
            sum.add_assign(&encoding.expand().expect("our own share"));
        }
    }
    sums
}

fn key_sum(keys: &[MaskKey]) -> [u32; N] {
    let mut sum = [0; N];
    for key in keys {
        mask::add_assign(&mut sum, key.to_ring().coefficients());
    }
    sum
}

#[test]
fn every_set_of_t_reconstructs_the_sum_of_keys() {
    for (m, f) in [(3, 0), (4, 1), (6, 1), (8, 1), (11, 2), (2, 0)] {
        let th = Threshold::new(m, f).expect("allowed");
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(m));
        let keys: Vec<MaskKey> = (0..3).map(|_| MaskKey::sample(&mut rng)).collect();
        let sums = sums_over(&keys, &th, &mut rng);
        let expected = key_sum(&keys);
        let sets = subsets(m, th.t());
        for set in sets.iter().take(60) {
            let points = pick(set, &sums);
            let key = reconstruct(&points).expect("good points");
            assert_eq!(*key.coefficients(), expected, "{set:?}");
            for other in (1..=m).filter(|p| !set.contains(p)) {
                let value = interpolate_at(&points, other).expect("good points");
                assert_eq!(value, sums[usize::from(other) - 1]);
            }
            // One answer fewer: another polynomial, and not the key.
            let fewer = reconstruct(&points[1..]).expect("good points");
            assert_ne!(*fewer.coefficients(), expected);
        }
    }
}

/// Structure: T-1 shares fit every key equally well. Whatever T-1 stewards hold of one key, there is for any
/// other key exactly one set of remaining shares that completes theirs.
#[test]
fn fewer_than_t_shares_fit_every_key() {
    let th = Threshold::new(6, 1).expect("allowed");
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let key = MaskKey::sample(&mut rng);
    let shares: Vec<KeyShare> = share_key(&key, &th, &mut rng)
        .iter()
        .map(|e| e.expand().expect("our own"))
        .collect();
    let other = *MaskKey::sample(&mut rng).to_ring().coefficients();
    for set in subsets(6, th.t() - 1) {
        // A polynomial through (0, other) and the T-1 shares, continued to the remaining points.
        let mut known = vec![0];
        known.extend(&set);
        let mut completed: Vec<ShareSum> = shares.iter().map(|s| ShareSum(s.0.clone())).collect();
        for point in (1..=6).filter(|p| !set.contains(p)) {
            let weights = lagrange::coefficients_at(&known, point);
            for (i, &secret) in other.iter().enumerate() {
                let held = set.iter().map(|&p| shares[usize::from(p) - 1].0[i]);
                let values = core::iter::once(secret).chain(held);
                completed[usize::from(point) - 1].0[i] = weights
                    .iter()
                    .zip(values)
                    .fold(0, |sum, (&w, v)| field::add(sum, field::mul(w, v)));
            }
        }
        for opening in subsets(6, th.t()) {
            let got = reconstruct(&pick(&opening, &completed)).expect("good points");
            assert_eq!(*got.coefficients(), other);
        }
    }
}

/// Statistics: each steward's share of one and the same key is uniform, and differs every time.
#[test]
fn single_shares_are_uniform() {
    let th = Threshold::new(6, 1).expect("allowed");
    let mut rng = ChaCha20Rng::seed_from_u64(10);
    let key = MaskKey::sample(&mut rng);
    let repeats = 32;
    let mut counts = vec![[0f64; 64]; 6];
    for _ in 0..repeats {
        for (bins, encoding) in counts.iter_mut().zip(share_key(&key, &th, &mut rng)) {
            for &e in encoding.expand().expect("our own").0.iter() {
                bins[(u64::from(e) * 64 / u64::from(Q)) as usize] += 1.0;
            }
        }
    }
    let expected = (repeats * N) as f64 / 64.0;
    for bins in counts {
        let chi2: f64 = bins.iter().map(|c| (c - expected).powi(2) / expected).sum();
        assert!(chi2 < 63.0 + 5.0 * 126f64.sqrt(), "{chi2}");
    }
}

#[test]
fn the_first_shares_are_seeds_and_the_others_explicit() {
    let th = Threshold::new(8, 1).expect("allowed");
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let encodings = share_key(&MaskKey::sample(&mut rng), &th, &mut rng);
    for (i, encoding) in encodings.iter().enumerate() {
        let is_seed = matches!(encoding, ShareEncoding::Seed(_));
        assert_eq!(is_seed, i < usize::from(th.t() - 1));
        let cbor = minicbor::to_vec(encoding).expect("encodes");
        assert_eq!(cbor.len(), if is_seed { 34 } else { 3 + 4 * N });
        let back: ShareEncoding = minicbor::decode(&cbor).expect("decodes");
        assert!(bool::from(back.ct_eq(encoding)));
        let (a, b) = (
            back.expand().expect("ours"),
            encoding.expand().expect("ours"),
        );
        assert!(bool::from(a.ct_eq(&b)));
        assert!(format!("{encoding:?}{b:?}").contains("redacted"));
    }
}

/// What a liar adds to its answer: one off in one coefficient; noise; an element that is zero in all slots of
/// the transform but one, the least visible kind.
fn lies(rng: &mut ChaCha20Rng) -> Vec<[u32; N]> {
    let mut one = [0; N];
    one[1234] = 1;
    let mut noise = [0; N];
    uniform(rng, &mut noise);
    let mut slot = [0; N];
    slot[77] = 1;
    let slot = *Transformed::from_values(slot).invert().coefficients();
    vec![one, noise, slot]
}

#[test]
fn one_wrong_answer_makes_check_coordinates_huge() {
    for d in [10, 100_000] {
        let dim = Dimension::new(d).expect("in range");
        let th = Threshold::new(6, 1).expect("allowed");
        let mut rng = ChaCha20Rng::seed_from_u64(12 + d as u64);
        let matrix = PublicMatrix::from_seed(&[5; 32]);
        let gaussian = Gaussian::new(Sigma::ERROR_MIN);
        let devices = 3;
        let (mut keys, mut sum_c, mut sum_v) =
            (Vec::new(), vec![0; dim.padded()], vec![0i32; dim.padded()]);
        for _ in 0..devices {
            let key = MaskKey::sample(&mut rng);
            let x: Vec<i32> = (0..d)
                .map(|_| (rng.next_u32() % 2001) as i32 - 1000)
                .collect();
            let e = sample_error(&gaussian, &dim, &mut rng);
            let c = mask::mask(&matrix, &key, &dim, &x, &e).expect("fits");
            mask::add_assign(&mut sum_c, &c);
            for (i, v) in sum_v.iter_mut().enumerate() {
                *v += e[i] + x.get(i).unwrap_or(&0);
            }
            keys.push(key);
        }
        let honest = sums_over(&keys, &th, &mut rng);
        let bound = devices * (1000 + 14 * 7);
        let is_small = |v: &[i32]| v.iter().all(|x| x.abs() <= bound);

        for lie in lies(&mut rng) {
            let liar = 3u8;
            let mut answers = honest.clone();
            mask::add_assign(&mut answers[usize::from(liar) - 1].0[..], &lie);
            for set in subsets(6, th.t()) {
                let key = reconstruct(&pick(&set, &answers)).expect("good points");
                // The last block holds nothing but check coordinates.
                let last = dim.blocks() - 1;
                let check =
                    mask::unmask_block(&matrix, last, &sum_c[last * N..], &key).expect("a block");
                if set.contains(&liar) {
                    let huge = check.iter().filter(|x| x.abs() > bound).count();
                    assert!(huge > N / 2, "only {huge} coordinates show the lie");
                } else {
                    assert!(is_small(&check));
                    let opened = mask::unmask(&matrix, &dim, &sum_c, &key).expect("fits");
                    assert_eq!(opened, sum_v);
                    assert!(is_small(&opened));
                    // The polynomial through the good set names the liar, and nobody else.
                    let points = pick(&set, &answers);
                    let off: Vec<u8> = (1..=6)
                        .filter(|&p| {
                            interpolate_at(&points, p).expect("good points")
                                != answers[usize::from(p) - 1]
                        })
                        .collect();
                    assert_eq!(off, [liar]);
                }
            }
        }
    }
}

#[test]
fn bad_points_are_refused() {
    let sum = ShareSum::zero();
    assert_eq!(reconstruct(&[]), Err(ShamirError::NoPoints));
    for point in [0, 17, 255] {
        assert_eq!(
            reconstruct(&[(point, &sum)]),
            Err(ShamirError::Point { point })
        );
    }
    let twice = [(1, &sum), (2, &sum), (1, &sum)];
    assert_eq!(reconstruct(&twice), Err(ShamirError::Point { point: 1 }));
    assert_eq!(
        interpolate_at(&twice, 3),
        Err(ShamirError::Point { point: 1 })
    );
}

#[test]
fn corrupted_encodings_are_refused() {
    let mut bytes = ShareSum::zero().to_bytes();
    assert_eq!(ShareSum::from_bytes(&bytes), Ok(ShareSum::zero()));
    bytes[4 * 9..4 * 10].copy_from_slice(&Q.to_le_bytes());
    assert_eq!(
        ShareSum::from_bytes(&bytes),
        Err(ShamirError::NotCanonical { index: 9 })
    );
    let cbor = minicbor::to_vec(minicbor::bytes::ByteVec::from(bytes.clone())).expect("encodes");
    assert!(minicbor::decode::<ShareSum>(&cbor).is_err());
    assert!(minicbor::decode::<ShareEncoding>(&cbor).is_err());
    bytes.pop();
    assert_eq!(
        ShareSum::from_bytes(&bytes),
        Err(ShamirError::EncodedLength { bytes: 8191 })
    );
    for elements in [vec![0; N - 1], vec![Q; N], vec![]] {
        assert!(ShareEncoding::Explicit(elements).expand().is_err());
    }
}

#[test]
fn sums_add_and_subtract() {
    let mut rng = ChaCha20Rng::seed_from_u64(13);
    let th = Threshold::new(3, 0).expect("allowed");
    let a = share_key(&MaskKey::sample(&mut rng), &th, &mut rng)[2]
        .expand()
        .expect("ours");
    let b = share_key(&MaskKey::sample(&mut rng), &th, &mut rng)[2]
        .expand()
        .expect("ours");
    let mut sum = ShareSum::zero();
    sum.add_assign(&a);
    let only_a = sum.clone();
    sum.add_assign(&b);
    assert_ne!(sum, only_a);
    sum.sub_assign(&b);
    assert_eq!(sum, only_a);
    let cbor = minicbor::to_vec(&sum).expect("encodes");
    assert_eq!(minicbor::decode::<ShareSum>(&cbor).expect("decodes"), sum);
    assert_eq!(ShareSum::from_bytes(&sum.to_bytes()), Ok(sum));
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        let _ = ShareSum::from_bytes(&bytes);
        let _ = minicbor::decode::<ShareSum>(&bytes);
        let _ = minicbor::decode::<ShareEncoding>(&bytes);
        let _ = minicbor::decode::<Threshold>(&bytes);
    }
}
