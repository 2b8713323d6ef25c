//! Every culprit is named and nobody else is; what cannot be corrected is an error; what is correct is unique.

use super::*;
use crate::expand::uniform;
use crate::mask::{self, MaskKey};
use crate::params::{N, Q};
use crate::shamir::share_key;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Shares at `points` of a fresh random secret, by polynomials of degree below `t`; the secret first.
fn sharing(
    points: &[u8],
    t: usize,
    len: usize,
    rng: &mut ChaCha20Rng,
) -> (Vec<u32>, Vec<Vec<u32>>) {
    let mut coefficients = vec![vec![0; len]; t];
    coefficients.iter_mut().for_each(|row| uniform(rng, row));
    let at = |x: u8| -> Vec<u32> {
        let mut value = vec![0; len];
        for row in coefficients.iter().rev() {
            for (value, coefficient) in value.iter_mut().zip(row) {
                *value = field::add(field::mul(*value, u32::from(x)), *coefficient);
            }
        }
        value
    };
    (at(0), points.iter().map(|&point| at(point)).collect())
}

fn answers<'a>(points: &[u8], vectors: &'a [Vec<u32>]) -> Vec<(u8, &'a [u32])> {
    let vectors = vectors.iter().map(|vector| &vector[..]);
    points.iter().copied().zip(vectors).collect()
}

fn t8(t: usize) -> u8 {
    u8::try_from(t).expect("at most 16")
}

/// `n` of the points 1 to 16, in any order.
fn some_points(n: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut all: Vec<u8> = (1..=16).collect();
    for i in 0..n {
        all.swap(i, i + rng.next_u32() as usize % (16 - i));
    }
    all.truncate(n);
    all
}

/// Adds something that is not zero.
fn spoil(element: &mut u32, rng: &mut ChaCha20Rng) {
    *element = field::add(*element, 1 + rng.next_u32() % (Q - 1));
}

/// Corrects, and checks that exactly the answers in these places are named, and that the secret is right.
fn named(points: &[u8], vectors: &[Vec<u32>], t: usize, secret: &[u32], places: &[usize]) {
    let corrected = correct_vectors(&answers(points, vectors), t8(t)).expect("correctable");
    let (off, on): (Vec<usize>, Vec<usize>) =
        (0..points.len()).partition(|place| places.contains(place));
    let points_of = |places: Vec<usize>| places.iter().map(|&p| points[p]).collect::<Vec<_>>();
    assert_eq!(&corrected.secret[..], secret);
    assert_eq!(corrected.culprits, points_of(off), "{points:?} {t}");
    assert_eq!(corrected.agreeing, points_of(on), "{points:?} {t}");
}

/// All numbers of answers and all degrees: no culprit, each one, each pair, and as many as can be corrected.
/// Culprits spoil one coordinate each, different ones or the same.
#[test]
fn every_culprit_and_every_pair_is_named() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for n in 1..=16 {
        for t in 1..=n {
            let points = if n % 2 == 0 {
                (1..=t8(n)).collect()
            } else {
                some_points(n, &mut rng)
            };
            let (secret, honest) = sharing(&points, t, 3, &mut rng);
            named(&points, &honest, t, &secret, &[]);
            let correctable = (n - t) / 2;
            let mut sets: Vec<Vec<usize>> = Vec::new();
            if correctable >= 1 {
                sets.extend((0..n).map(|a| vec![a]));
            }
            if correctable >= 2 {
                sets.extend((0..n).flat_map(|a| (0..a).map(move |b| vec![b, a])));
            }
            for _ in 0..4 {
                let mut places: Vec<usize> = (0..n).collect();
                (0..correctable)
                    .for_each(|i| places.swap(i, i + rng.next_u32() as usize % (n - i)));
                places.truncate(correctable);
                sets.push(places);
            }
            for set in sets {
                for same in [false, true] {
                    let mut vectors = honest.clone();
                    for (i, &place) in set.iter().enumerate() {
                        spoil(&mut vectors[place][if same { 1 } else { i % 3 }], &mut rng);
                    }
                    named(&points, &vectors, t, &secret, &set);
                }
            }
        }
    }
}

/// One more than can be corrected: an error, in the same or in different coordinates.
#[test]
fn too_many_errors_are_an_error() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for n in 2..=16 {
        // With t = n everything lies on some polynomial: nothing to notice.
        for t in 1..n {
            let points = some_points(n, &mut rng);
            let (_, honest) = sharing(&points, t, 3, &mut rng);
            let correctable = (n - t) / 2;
            // Each lie is random, so that all of them on other polynomials are not to be expected.
            for wrong in correctable + 1..=(n - t).min(correctable + 3) {
                for spread in [false, true] {
                    let mut vectors = honest.clone();
                    for place in 0..wrong {
                        spoil(
                            &mut vectors[place][if spread { place % 3 } else { 2 }],
                            &mut rng,
                        );
                    }
                    let all = answers(&points, &vectors);
                    let refused = correct_vectors(&all, t8(t)).err();
                    let expected = ShamirError::TooManyWrong {
                        answers: n,
                        correctable,
                    };
                    assert_eq!(refused, Some(expected), "{n} {t} {wrong}");
                    assert_eq!(are_consistent(&all, t8(t)), Ok(false));
                }
            }
        }
    }
}

/// Liars who agree on other polynomials, of their own choice in all but T - 1 places. They can have honest
/// answers named, but not when as few of them lie as the threshold says and the correction is believed.
#[test]
fn a_believed_correction_is_the_truth_whatever_the_liars_agree_on() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let (mut believed, mut misled) = (0, 0);
    for m in 2..=16u8 {
        for f in 0..m {
            let Ok(th) = Threshold::new(m, f) else {
                continue;
            };
            let t = usize::from(th.t());
            for liars in 0..=usize::from(f) + 1 {
                for n in t..=usize::from(m) {
                    let points = some_points(n, &mut rng);
                    let (secret, honest) = sharing(&points, t, 2, &mut rng);
                    // Their polynomials meet the honest ones in the T - 1 points after the liars.
                    let (_, mut lies) = sharing(&points, t, 2, &mut rng);
                    let shift: Vec<u8> = points.iter().copied().skip(liars).take(t - 1).collect();
                    for (place, lie) in lies.iter_mut().enumerate() {
                        let factor = shift.iter().fold(1, |product, &x| {
                            let difference = field::sub(u32::from(points[place]), u32::from(x));
                            field::mul(product, difference)
                        });
                        for (lie, honest) in lie.iter_mut().zip(&honest[place]) {
                            *lie = field::add(*honest, factor);
                        }
                    }
                    let liars = liars.min(n);
                    let mut vectors = honest.clone();
                    vectors[..liars].clone_from_slice(&lies[..liars]);
                    let Ok(corrected) = correct_vectors(&answers(&points, &vectors), th.t()) else {
                        continue;
                    };
                    let right = corrected.secret[..] == secret[..];
                    misled += usize::from(!right);
                    if corrected.is_believed(&th) && liars <= usize::from(f) {
                        believed += 1;
                        assert!(right, "{m} {f} {n} {liars}");
                        assert_eq!(corrected.culprits, points[..liars]);
                    }
                }
            }
        }
    }
    assert!(believed > 100 && misled > 20, "{believed} {misled}");
}

/// Sums of shares are shares of the sum: liars in the sums are named and the sum of the keys comes out.
#[test]
fn sums_of_shares_correct_to_the_sum_of_the_secrets() {
    for (m, f, liars) in [(6, 1, 1), (8, 1, 1), (11, 2, 2), (16, 2, 3)] {
        let th = Threshold::new(m, f).expect("allowed");
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(m));
        let keys: Vec<MaskKey> = (0..3).map(|_| MaskKey::sample(&mut rng)).collect();
        let mut expected = [0; N];
        let mut sums: Vec<ShareSum> = (0..m).map(|_| ShareSum::zero()).collect();
        for key in &keys {
            mask::add_assign(&mut expected, key.to_ring().coefficients());
            for (sum, share) in sums.iter_mut().zip(share_key(key, &th, &mut rng)) {
                sum.add_assign(&share.expand().expect("our own share"));
            }
        }
        let culprits: Vec<u8> = (0..liars).map(|i| 2 + 3 * i).collect();
        for (i, &culprit) in culprits.iter().enumerate() {
            let sum = &mut sums[usize::from(culprit) - 1];
            match i {
                // One element; all of them; another round's sum.
                0 => spoil(&mut sum.0[N - 1], &mut rng),
                1 => uniform(&mut rng, &mut sum.0[..]),
                _ => *sum = ShareSum::zero(),
            }
        }
        let all: Vec<(u8, &ShareSum)> = (1..).zip(&sums).collect();
        let corrected = correct(&all, th.t()).expect("correctable");
        assert_eq!(*corrected.secret.coefficients(), expected);
        assert_eq!(corrected.culprits, culprits);
        assert!(corrected.is_believed(&th) || liars > f);
        // Without the culprits: the same sum, by the plain way.
        let honest: Vec<(u8, &ShareSum)> = all
            .iter()
            .copied()
            .filter(|(point, _)| !culprits.contains(point))
            .collect();
        assert!(
            correct(&honest, th.t())
                .expect("honest")
                .culprits
                .is_empty()
        );
        let plain = crate::shamir::reconstruct(&honest[..usize::from(th.t())]).expect("points");
        assert_eq!(plain, corrected.secret);
        let elements: Vec<(u8, &[u32])> = all
            .iter()
            .map(|&(p, sum)| (p, &sum.elements()[..]))
            .collect();
        assert_eq!(are_consistent(&elements, th.t()), Ok(false));
    }
}

#[test]
fn bad_inputs_are_refused() {
    let vector = [1u32, 2];
    let at = |points: &[u8]| -> Vec<(u8, &[u32])> {
        points.iter().map(|&point| (point, &vector[..])).collect()
    };
    let refused = |answers: &[(u8, &[u32])], t: u8| {
        let error = correct_vectors(answers, t).err();
        assert_eq!(are_consistent(answers, t).err(), error);
        error
    };
    assert_eq!(refused(&[], 1), Some(ShamirError::NoPoints));
    assert_eq!(refused(&at(&[1, 2]), 0), Some(ShamirError::NoPoints));
    for point in [0, 17, 255, 3] {
        let error = ShamirError::Point { point };
        assert_eq!(refused(&at(&[3, 5, point, 2]), 2), Some(error));
    }
    for needed in [4, 16, 17, 255] {
        let error = ShamirError::TooFewAnswers { answers: 3, needed };
        assert_eq!(refused(&at(&[1, 2, 3]), needed), Some(error));
    }
    assert_eq!(refused(&at(&[1, 2, 3]), 3), None);
    for other in [&[1u32][..], &[1, 2, 3], &[]] {
        let mut answers = at(&[1, 2, 3]);
        answers[2].1 = other;
        assert_eq!(refused(&answers, 2), Some(ShamirError::Lengths));
    }
    for word in [Q, u32::MAX] {
        let mut answers = at(&[1, 2, 3]);
        let wrong = [0, word];
        answers[1].1 = &wrong;
        let error = ShamirError::NotCanonical { index: 1 };
        assert_eq!(refused(&answers, 1), Some(error));
    }
    // Nothing to correct in nothing.
    let empty: Vec<(u8, &[u32])> = (1..4).map(|point| (point, &[][..])).collect();
    let corrected = correct_vectors(&empty, 2).expect("no coordinates");
    assert!(corrected.secret.is_empty() && corrected.culprits.is_empty());
    assert!(correct(&[(1, &ShareSum::zero()), (1, &ShareSum::zero())], 1).is_err());
}

/// By trying all T-subsets: what some polynomials leave off, when it is at most half of what is too many.
fn brute_force(answers: &[(u8, &[u32])], t: usize) -> Vec<Vec<u8>> {
    let n = answers.len();
    let mut found: Vec<Vec<u8>> = Vec::new();
    for set in (0u32..1 << n).filter(|set| set.count_ones() as usize == t) {
        let basis: Vec<usize> = (0..n).filter(|place| set >> place & 1 == 1).collect();
        let points: Vec<u8> = basis.iter().map(|&place| answers[place].0).collect();
        let off: Vec<u8> = answers
            .iter()
            .filter(|(point, vector)| {
                let weights = coefficients_at(&points, *point);
                (0..vector.len()).any(|at| {
                    let terms = weights.iter().zip(&basis);
                    let value = terms.fold(0, |sum, (&weight, &place)| {
                        field::add(sum, field::mul(weight, answers[place].1[at]))
                    });
                    value != vector[at]
                })
            })
            .map(|(point, _)| *point)
            .collect();
        if 2 * off.len() <= n - t && !found.contains(&off) {
            found.push(off);
        }
    }
    found
}

proptest! {
    /// Against trying everything: the same culprits, an error where there are none, and never two answers.
    /// Differences are small, so that other polynomials are near too.
    #[test]
    fn agrees_with_trying_all_subsets(
        seed in any::<u64>(),
        n in 1usize..9,
        t in 1usize..9,
        changes in prop::collection::vec((0usize..8, 0usize..2, 0u32..3), 0..9),
    ) {
        let t = t.min(n);
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let points = some_points(n, &mut rng);
        let (_, mut vectors) = sharing(&points, t, 2, &mut rng);
        for (place, at, value) in changes {
            let element = &mut vectors[place % n][at];
            *element = field::add(*element, value);
        }
        let all = answers(&points, &vectors);
        let expected = brute_force(&all, t);
        prop_assert!(expected.len() <= 1);
        match correct_vectors(&all, t8(t)) {
            Ok(corrected) => {
                prop_assert_eq!(Some(&corrected.culprits), expected.first());
                let consistent = are_consistent(&all, t8(t)).expect("good answers");
                prop_assert_eq!(corrected.culprits.is_empty(), consistent);
            }
            Err(error) => {
                let too_many = matches!(error, ShamirError::TooManyWrong { .. });
                prop_assert!(too_many && expected.is_empty());
            }
        }
    }

    /// Honest answers and any lies, as many as can be corrected: the truth, by the sum of two sharings too.
    #[test]
    fn any_correctable_lies_are_corrected(
        seed in any::<u64>(),
        n in 1usize..17,
        t in 1usize..17,
        lies in prop::collection::vec(prop::collection::vec(0..Q, 5), 8),
    ) {
        let t = t.min(n);
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let points = some_points(n, &mut rng);
        let (mut secret, mut vectors) = sharing(&points, t, 5, &mut rng);
        let (second, others) = sharing(&points, t, 5, &mut rng);
        mask::add_assign(&mut secret, &second);
        for (vector, other) in vectors.iter_mut().zip(&others) {
            mask::add_assign(vector, other);
        }
        let honest = vectors.clone();
        for (vector, lie) in vectors.iter_mut().zip(&lies).take((n - t) / 2) {
            vector.clone_from(lie);
        }
        let lied: Vec<usize> = (0..n).filter(|&place| vectors[place] != honest[place]).collect();
        named(&points, &vectors, t, &secret, &lied);
    }
}
