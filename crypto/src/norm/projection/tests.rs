use super::*;
use crate::backend::{self, BackendKind};
use crate::expand;
use crate::field;
use crate::gaussian::Gaussian;
use crate::mask::{self, MaskKey, PublicMatrix};
use crate::params::{Dimension, Q, Sigma};
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const SEED: [u8; 32] = [11; 32];

fn projection(rows: usize) -> Projection {
    Projection::new(SEED, rows).expect("a multiple of 64")
}

/// The entries of one block as the document states them, written once more with the bare cipher: row after row.
fn documented(rows: usize, block: u64) -> Vec<[i8; N]> {
    let mut input = Vec::new();
    input.extend_from_slice(&32u64.to_le_bytes());
    input.extend_from_slice(&SEED);
    input.extend_from_slice(&8u64.to_le_bytes());
    input.extend_from_slice(&block.to_le_bytes());
    let derived = blake3::derive_key(labels::PROJECTION_BLOCK, &input);
    let key: [u8; 16] = derived[..16].try_into().expect("16 bytes");
    let cipher = Aes128::new(&key.into());
    let mut bytes = Vec::new();
    for i in 0..(N * rows / 64) as u64 {
        let mut block = [0u8; 16];
        block[..8].copy_from_slice(&i.to_le_bytes());
        let mut block = block.into();
        cipher.encrypt_block(&mut block);
        bytes.extend_from_slice(&block);
    }
    let entry = |row: usize, column: usize| {
        let at = column / 32 * 8 * rows + row / 8 * 64 + column % 32 * 2;
        let bit = |byte: u8| (byte >> (row % 8) & 1) as i8;
        bit(bytes[at]) - bit(bytes[at + 1])
    };
    (0..rows)
        .map(|row| core::array::from_fn(|column| entry(row, column)))
        .collect()
}

fn supported() -> impl Iterator<Item = BackendKind> {
    BackendKind::ALL.into_iter().filter(|k| k.is_supported())
}

fn extreme(rng: &mut ChaCha20Rng, len: usize) -> Vec<Vec<i32>> {
    let edges = [i32::MIN, i32::MIN + 1, -1, 0, 1, 255, 256, -256, i32::MAX];
    vec![
        (0..len).map(|_| rng.next_u32() as i32).collect(),
        (0..len)
            .map(|_| edges[rng.next_u32() as usize % edges.len()])
            .collect(),
        (0..len).map(|_| rng.next_u32() as i32 >> 16).collect(),
        vec![i32::MIN; len],
        vec![i32::MAX; len],
        vec![-1; len],
    ]
}

#[test]
fn projections_are_the_documented_sums_on_every_backend() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for rows in [64, 128, 256, 512] {
        let blocks = [documented(rows, 0), documented(rows, 1)];
        for v in extreme(&mut rng, 2 * N) {
            let expected: Vec<i32> = (0..rows)
                .map(|row| {
                    let entries = blocks[0][row].iter().chain(&blocks[1][row]);
                    entries.zip(&v).fold(0i32, |sum, (&entry, &v)| {
                        sum.wrapping_add(i32::from(entry).wrapping_mul(v))
                    })
                })
                .collect();
            for kind in supported() {
                let z = backend::with(kind, || projection(rows).project(&v)).expect("supported");
                assert!(z.expect("whole blocks")[..] == expected, "{kind}, {rows}");
            }
        }
    }
}

#[test]
fn combinations_are_the_documented_sums_on_every_backend() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for rows in [64, 128, 256, 512] {
        let entries = documented(rows, 3);
        let mut uniform = || {
            let mut lambda = vec![0; rows];
            expand::uniform(&mut rng, &mut lambda);
            lambda
        };
        let pairs = [
            [uniform(), uniform()],
            [vec![0; rows], vec![Q - 1; rows]],
            [vec![1; rows], uniform()],
        ];
        for lambdas in pairs {
            let expected = [&lambdas[0], &lambdas[1]].map(|lambda| {
                let mut w = [0; N];
                for (entries, &l) in entries.iter().zip(lambda) {
                    for (w, &entry) in w.iter_mut().zip(entries) {
                        let term = field::mul(l, field::from_i32(i32::from(entry)));
                        *w = field::add(*w, term);
                    }
                }
                w
            });
            let prepared = PreparedLambdas::new(&lambdas).expect("canonical");
            for kind in supported() {
                let mut w = [[7; N]; 2];
                let combine = || projection(rows).combine_block(3, &prepared, &mut w);
                let result = backend::with(kind, combine).expect("supported");
                assert_eq!(result, Ok(()));
                assert!(w == expected, "{kind}, {rows}");
            }
        }
    }
}

fn inner(a: &[u32], b: &[u32]) -> u32 {
    a.iter()
        .zip(b)
        .fold(0, |sum, (&a, &b)| field::add(sum, field::mul(a, b)))
}

/// `<lambda, R v> = <w, c> - <u, k>` for a vector that was really masked, and not for another.
#[test]
fn the_linear_check_holds_of_masked_vectors() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let dim = Dimension::new(3000).expect("in range");
    let matrix = PublicMatrix::from_seed(&[5; 32]);
    let cache = MatrixCache::new(&matrix, dim.blocks());
    assert_eq!(cache.blocks(), 3);
    let key = MaskKey::sample(&mut rng);
    let x: Vec<i32> = (0..3000).map(|i| i * 331 - 400_000).collect();
    let sigma = Gaussian::new(Sigma::ERROR_MIN);
    let mut v = Vec::new();
    let masked = mask::mask_once(&matrix, &key, &dim, &x, &sigma, &mut rng, |block| {
        v.extend_from_slice(block);
    });
    let c = masked.expect("fits").payload;
    let projection = projection(128);
    let z = projection.project(&v).expect("whole blocks");
    let z: Vec<u32> = z.iter().map(|&z| field::from_i32(z)).collect();
    let lambdas = [(); 2].map(|()| {
        let mut lambda = vec![0; 128];
        expand::uniform(&mut rng, &mut lambda);
        lambda
    });
    let prepared = PreparedLambdas::new(&lambdas).expect("canonical");
    let compute = |source, payload| {
        PublicCheck::compute(&projection, &prepared, source, dim.blocks(), payload)
            .expect("everything fits")
    };
    let check = compute(MatrixBlocks::Expanded(&matrix), Some(&c[..]));
    let k = key.to_ring();
    for (i, lambda) in lambdas.iter().enumerate() {
        let masked = check.masked.expect("the payload was given")[i];
        let mask = inner(&check.u[i][..], k.coefficients());
        assert_eq!(inner(lambda, &z), field::sub(masked, mask));
        assert_ne!(inner(lambda, &z), masked);
    }
    assert_eq!(check, compute(MatrixBlocks::Cached(&cache), Some(&c[..])));
    let without = compute(MatrixBlocks::Cached(&cache), None);
    assert_eq!((without.masked, &without.u), (None, &check.u));

    // Block by block, in parts, in another order, on every backend.
    for kind in supported() {
        let parts = || {
            let part = || PublicChecker::new(&projection, &prepared, MatrixBlocks::Cached(&cache));
            let (mut first, mut second) = (part()?, part()?);
            first.block(2, Some(&c[2 * N..]))?;
            second.block(1, Some(&c[N..2 * N]))?;
            second.block(0, Some(&c[..N]))?;
            first.merge(&part()?)?;
            first.merge(&second)?;
            Ok::<_, ProjectionError>(first.finish())
        };
        let merged = backend::with(kind, parts).expect("supported");
        assert_eq!(merged.as_ref(), Ok(&check), "{kind}");
    }

    // Another payload gives another answer.
    let mut other = c.clone();
    other[N] = field::add(other[N], 1);
    let other = compute(MatrixBlocks::Cached(&cache), Some(&other));
    assert_ne!(other.masked, check.masked);
}

#[test]
fn what_does_not_fit_is_refused() {
    for rows in [0, 1, 32, 65, 96, 576, 1 << 20] {
        assert_eq!(
            Projection::new(SEED, rows),
            Err(ProjectionError::Rows { rows })
        );
        let refused = PreparedLambdas::new(&[vec![0; rows], vec![0; rows]]);
        assert_eq!(refused.err(), Some(ProjectionError::Rows { rows }));
    }
    let projection = projection(128);
    for coordinates in [1, 2047, 2049] {
        let refused = projection.project(&vec![0; coordinates]);
        assert_eq!(
            refused.err(),
            Some(ProjectionError::Coordinates { coordinates })
        );
    }
    assert!(projection.project(&[]).is_ok_and(|z| z[..] == [0; 128]));
    let refused = PreparedLambdas::new(&[vec![0; 128], vec![0; 64]]);
    let coefficients = ProjectionError::Coefficients {
        expected: 128,
        actual: 64,
    };
    assert_eq!(refused.err(), Some(coefficients));
    let mut wrong = vec![0; 128];
    wrong[77] = Q;
    let refused = PreparedLambdas::new(&[vec![0; 128], wrong]);
    assert_eq!(
        refused.err(),
        Some(ProjectionError::NotCanonical { index: 77 })
    );
    let few = PreparedLambdas::new(&[vec![0; 64], vec![0; 64]]).expect("canonical");
    let mut w = [[0; N]; 2];
    assert_eq!(projection.combine_block(0, &few, &mut w), Err(coefficients));

    let lambdas = PreparedLambdas::new(&[vec![3; 128], vec![4; 128]]).expect("canonical");
    let matrix = PublicMatrix::from_seed(&[1; 32]);
    let cache = MatrixCache::new(&matrix, 2);
    let source = MatrixBlocks::Cached(&cache);
    assert!(PublicChecker::new(&projection, &few, source).is_err());
    let mut checker = PublicChecker::new(&projection, &lambdas, source).expect("fits");
    let not_cached = ProjectionError::NotCached { block: 2 };
    assert_eq!(checker.block(2, None), Err(not_cached));
    let short = ProjectionError::Coordinates { coordinates: 5 };
    assert_eq!(checker.block(0, Some(&[0; 5])), Err(short));
    assert_eq!(checker.block(0, Some(&[1; N])), Ok(()));
    assert_eq!(checker.block(1, None), Err(ProjectionError::Payload));
    assert_eq!(checker.block(1, Some(&[1; N])), Ok(()));
    let mut without = PublicChecker::new(&projection, &lambdas, source).expect("fits");
    assert_eq!(without.block(0, None), Ok(()));
    assert_eq!(checker.merge(&without), Err(ProjectionError::Payload));
    let payload = [1; 2 * N];
    assert_eq!(
        PublicCheck::compute(&projection, &lambdas, source, 2, Some(&payload)),
        Ok(checker.finish())
    );
    assert!(PublicCheck::compute(&projection, &lambdas, source, 1, Some(&payload)).is_err());
}

/// Mean 0, variance 1/2, and no dependence within rows, within columns, or between the two bits: chi-square over the nine
/// pairs of values at fixed distances, seed fixed.
#[test]
fn entries_are_independent_and_of_the_stated_distribution() {
    let rows = 128;
    let entries: Vec<_> = (0..4).map(|block| documented(rows, block)).collect();
    let total = (4 * rows * N) as f64;
    let all = || entries.iter().flatten().flatten().map(|&e| f64::from(e));
    let (mean, variance) = (
        all().sum::<f64>() / total,
        all().map(|e| e * e).sum::<f64>() / total,
    );
    // Deviations: sqrt(1/2) and 1/2, over sqrt(total); five of them.
    assert!(mean.abs() < 5.0 * 0.5f64.sqrt() / total.sqrt(), "{mean}");
    assert!((variance - 0.5).abs() < 2.5 / total.sqrt(), "{variance}");
    for (down, along) in [
        (1, 0),
        (4, 0),
        (8, 0),
        (64, 0),
        (0, 1),
        (0, 8),
        (0, 32),
        (3, 5),
    ] {
        let mut counts = [[0f64; 3]; 3];
        let mut pairs = 0.0;
        for block in &entries {
            for row in 0..rows - down {
                for column in 0..N - along {
                    let x = block[row][column] + 1;
                    let y = block[row + down][column + along] + 1;
                    counts[x as usize][y as usize] += 1.0;
                    pairs += 1.0;
                }
            }
        }
        let weight = [0.25, 0.5, 0.25];
        let mut chi2 = 0.0;
        for (x, counts) in counts.iter().enumerate() {
            for (y, count) in counts.iter().enumerate() {
                let expected = pairs * weight[x] * weight[y];
                chi2 += (count - expected).powi(2) / expected;
            }
        }
        // Eight degrees of freedom, five deviations.
        assert!(chi2 < 8.0 + 5.0 * 4.0, "{down} {along}: {chi2}");
    }
}
