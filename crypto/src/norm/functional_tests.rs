use super::tests::{CLIP, Submission, threshold};
use super::*;
use crate::digest::Digest;
use crate::gaussian::Gaussian;
use crate::mask::sample_error;
use crate::params::{Dimension, N, Q, Sigma};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// Coordinates of the update.
const D: usize = 100;

fn plain() -> NormParams {
    let dim = Dimension::new(D).expect("in range");
    NormParams::derive(&dim, CLIP, Sigma::ERROR_MIN, Rows::R128).expect("fits")
}

/// A row as long as one can be, and what an honest device's product with it is: not against it.
fn along() -> (NormParams, Vec<i32>) {
    let limit = plain().longest_row();
    let high = i64::from(limit) * CLIP as i64;
    let params = plain().with_functional(limit, 0..=high).expect("fits");
    let each = (f64::from(limit) / (D as f64).sqrt()).floor() as i32;
    let row = (0..D).map(|i| if i % 3 == 0 { -each } else { each });
    (params, row.collect())
}

/// Counts that are at most `CLIP` together.
fn counts() -> (NormParams, Vec<i32>) {
    let params = plain().with_functional(10, 0..=CLIP as i64);
    (params.expect("fits"), vec![1; D])
}

fn row(params: &NormParams, values: &[i32]) -> Option<FunctionalRow> {
    Some(FunctionalRow::new(params, values.to_vec()).expect("short enough"))
}

fn submission(
    (params, values): &(NormParams, Vec<i32>),
    x: &[i32],
    e: &[i32],
    rng: &mut ChaCha20Rng,
) -> Submission {
    let row = row(params, values);
    Submission::of(*params, row, x, e, threshold(3, 0), rng)
}

/// A short vector whose product with the row is `product`.
fn vector(values: &[i32], product: i64) -> Vec<i32> {
    // Spread over the row, and the rest on the last coordinate: entries are all of one size.
    let squares: i64 = values.iter().map(|&g| i64::from(g).pow(2)).sum();
    let scale = product as f64 / squares as f64;
    let mut v: Vec<i32> = values
        .iter()
        .map(|&g| (f64::from(g) * scale) as i32)
        .collect();
    let have: i64 = values
        .iter()
        .zip(&v)
        .map(|(&g, &v)| i64::from(g) * i64::from(v))
        .sum();
    let last = i64::from(values[D - 1]);
    v[D - 1] += i32::try_from((product - have) / last).expect("small");
    v
}

#[test]
fn honest_updates_pass_at_both_ends_of_their_range() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let dim = Dimension::new(D).expect("in range");
    let (along, counts) = (along(), counts());
    let mut spike = vec![0; D];
    spike[1] = CLIP as i32;
    let ones = vec![CLIP as i32 / D as i32; D];
    let mut across = vec![0; D];
    (across[0], across[1]) = (3000, 3000);
    let fastest: Vec<i32> = along
        .1
        .iter()
        .map(|g| g.signum() * (CLIP as i32 / 10))
        .collect();
    for (case, x) in [
        (&along, vec![0; D]),
        (&along, across),
        (&along, spike.clone()),
        (&along, fastest),
        (&counts, vec![0; D]),
        (&counts, spike),
        (&counts, ones),
    ] {
        let product = row(&case.0, &case.1).expect("one").product(&x);
        let functional = case.0.functional().expect("one");
        assert!(functional.honest().contains(&product), "{product}");
        for _ in 0..5 {
            let e = sample_error(&Gaussian::new(Sigma::ERROR_MIN), &dim, &mut rng);
            let submission = submission(case, &x, &e, &mut rng);
            let proof = submission.prove(&mut rng).expect("honest");
            assert_eq!(submission.decide(&proof), Ok(()));
        }
    }
}

#[test]
fn exactly_the_range_passes() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let case = counts();
    let (lo, hi) = case.0.functional().expect("one").proven().into_inner();
    let e = vec![0; 2 * N];
    for product in [lo, lo + 1, -1, 0, 1, hi - 1, hi] {
        let submission = submission(&case, &vector(&case.1, product), &e, &mut rng);
        let proof = submission.prove(&mut rng).expect("inside");
        assert_eq!(submission.decide(&proof), Ok(()), "{product}");
    }
    for product in [lo - 1, hi + 1, lo - 1000, hi + 1000] {
        let submission = submission(&case, &vector(&case.1, product), &e, &mut rng);
        assert_eq!(submission.prove(&mut rng).unwrap_err(), NormError::TooLong);
    }
}

/// What a device outside can try: the digits of another product, digits of the right one that are none, the same
/// number modulo q.
#[test]
fn no_digits_pass_for_a_product_that_is_outside() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let e = vec![0; 2 * N];
    for (case, outside) in [(along(), -1), (along(), 1), (counts(), -1), (counts(), 1)] {
        let functional = *case.0.functional().expect("one");
        let (lo, hi) = functional.proven().into_inner();
        // Of a row of large entries only every so many products are possible.
        let step = i64::from(case.1[D - 1]).abs();
        let product = match outside {
            -1 => (lo - 1).div_euclid(step) * step,
            _ => (hi + 1 + step - 1).div_euclid(step) * step,
        };
        let submission = submission(&case, &vector(&case.1, product), &e, &mut rng);
        let row = row(&case.0, &case.1).expect("one");
        assert_eq!(row.product(submission.hidden().v), product);
        assert_eq!(submission.prove(&mut rng).unwrap_err(), NormError::TooLong);

        let zero = FunctionalRow::new(&case.0, vec![0; D]).expect("short");
        let hidden = Hidden {
            row: Some(&zero),
            ..submission.hidden()
        };
        let honest = submission.digits(hidden);
        let first = honest.len() - 2 * functional.digits();
        let string = |value: i64, spill: bool| {
            let value = value.rem_euclid(i64::from(Q)) as u64;
            let mut digits: Vec<u32> = (0..functional.digits())
                .map(|i| (value >> (2 * i)) as u32 & 3)
                .collect();
            let top = 2 * (functional.digits() - 1);
            if spill {
                digits[functional.digits() - 1] = (value >> top) as u32;
            }
            digits
        };
        for (above, below, spill, proof_is_wrong) in [
            // Of zero, and of the nearest product that would pass.
            (-lo, hi, false, false),
            (0, hi - lo, false, false),
            (hi - lo, 0, false, false),
            // Cut to digits, and modulo q in digits that are none.
            (product - lo, hi - product, false, false),
            (product - lo, hi - product, true, true),
            // Of the right difference, and one that only belongs to it.
            (product - lo, hi, true, false),
            (-lo, hi - product, true, false),
        ] {
            let mut digits = honest.to_vec();
            digits[first..first + functional.digits()].copy_from_slice(&string(above, spill));
            digits[first + functional.digits()..].copy_from_slice(&string(below, spill));
            let proof = submission.prove_digits(&digits, &mut rng);
            match submission.decide(&proof) {
                Err(Rejection::Projection) => assert!(!proof_is_wrong),
                Err(Rejection::Proof { repetition: 0 }) => assert!(proof_is_wrong),
                other => panic!("{product} {above} {below}: {other:?}"),
            }
        }
    }
}

#[test]
fn every_spoiled_digit_of_a_difference_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let case = along();
    let e = vec![1; 2 * N];
    let submission = submission(&case, &[5; D], &e, &mut rng);
    let digits = submission.digits(submission.hidden());
    let first = digits.len() - 2 * case.0.functional().expect("one").digits();
    for at in first..digits.len() {
        for change in [1, Q - 1, 4] {
            let mut digits = digits.to_vec();
            digits[at] = field::add(digits[at], change);
            let proof = submission.prove_digits(&digits, &mut rng);
            assert_eq!(
                submission.decide(&proof),
                Err(Rejection::Projection),
                "{at}"
            );
        }
    }
    // The same number in other digits: only the digits are wrong.
    let mut moved = digits.to_vec();
    moved[first] = field::add(moved[first], 4);
    moved[first + 1] = field::sub(moved[first + 1], 1);
    let proof = submission.prove_digits(&moved, &mut rng);
    assert!(matches!(
        submission.decide(&proof),
        Err(Rejection::Proof { .. })
    ));
}

/// A device and stewards that disagree about the row or its bounds, by one.
#[test]
fn another_row_or_other_bounds_are_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let (params, values) = counts();
    let e = vec![0; 2 * N];
    let mut x = vec![0; D];
    x[7] = 1;
    let honest = submission(&(params, values.clone()), &x, &e, &mut rng);
    let mut other = values.clone();
    other[7] = 0;
    let other = row(&params, &other);
    let hidden = Hidden {
        row: other.as_ref(),
        ..honest.hidden()
    };
    let proof = honest.prove_digits(&honest.digits(hidden), &mut rng);
    assert_eq!(honest.decide(&proof), Err(Rejection::Projection));
    for honest_range in [-1..=CLIP as i64, 0..=CLIP as i64 + 1] {
        let wider = plain().with_functional(10, honest_range).expect("fits");
        assert_eq!(wider.digits(), params.digits());
        let wider = submission(&(wider, values.clone()), &x, &e, &mut rng);
        let proof = honest.prove_digits(&wider.digits(wider.hidden()), &mut rng);
        assert!(honest.decide(&proof).is_err());
    }
    // Nor without it at all, or one where none is asked for.
    let missing = Hidden::vector(honest.hidden().v);
    for (params, hidden) in [(&params, missing), (&plain(), honest.hidden())] {
        let refused = prove::digits_of(params, &Digest([1; 32]), hidden);
        assert_eq!(refused.unwrap_err(), NormError::Row);
    }
}

#[test]
fn rows_and_bounds_that_could_wrap_are_refused() {
    let params = plain();
    let longest = params.longest_row();
    assert!(u64::from(longest) * params.max_norm() < u64::from(Q / 4));
    assert!(u64::from(longest + 1) * params.max_norm() >= u64::from(Q / 4));
    let quarter = i64::from(Q / 4);
    for (limit, honest) in [
        (longest + 1, 0..=1),
        (u32::MAX, 0..=1),
        (1, 1..=2),
        (1, -2..=-1),
        (1, 0..=quarter),
        (1, 0..=i64::MAX),
        (1, i64::MIN..=0),
    ] {
        let refused = params.with_functional(limit, honest.clone());
        assert_eq!(
            refused,
            Err(NormError::Functional { limit, longest }),
            "{honest:?}"
        );
    }
    let bounded = params.with_functional(5, 0..=1).expect("fits");
    assert!(FunctionalRow::new(&bounded, vec![3, -4]).is_ok());
    assert_eq!(
        FunctionalRow::new(&bounded, vec![3, 4, 1]),
        Err(NormError::Row)
    );
    assert_eq!(FunctionalRow::new(&params, vec![0]), Err(NormError::Row));
}

/// What `python3 docs/norm-bound.py 650 3072 820 direction` and the like print, which shares no code with this.
#[test]
fn an_independent_program_derives_the_same_bounds() {
    let wide = Sigma::from_f64_ceil(820.0).expect("in range");
    for (d, clip, sigma, expected) in [
        (650, 3_072, wide, (7_433, -60_950_600, 83_784_776, 14)),
        (
            650,
            12_288,
            Sigma::ERROR_MIN,
            (35_304, -2_246_736, 436_062_288, 15),
        ),
        (
            1 << 20,
            4_096,
            Sigma::ERROR_MIN,
            (55_485, -3_531_048, 230_797_608, 14),
        ),
    ] {
        let dim = Dimension::new(d).expect("in range");
        let params = NormParams::derive(&dim, clip, sigma, Rows::R256).expect("fits");
        let limit = params.longest_row();
        let high = i64::from(limit) * clip as i64;
        let params = params.with_functional(limit, 0..=high).expect("fits");
        let functional = params.functional().expect("one");
        let (lo, hi) = functional.proven().into_inner();
        assert_eq!(
            (functional.limit(), lo, hi, functional.digits()),
            expected,
            "{d}"
        );
    }
}

proptest! {
    /// Whatever a task asks for: no sum of the linear check wraps, ten deviations are left, and the digits hold the range.
    #[test]
    fn bounds_leave_room_for_the_noise_and_none_to_wrap(
        d in 1usize..1 << 20,
        clip in 1u64..1 << 20,
        sigma in 6.37f64..5000.0,
        rows in prop::sample::select(Rows::ALL.to_vec()),
        part in 1u32..=8,
        high in 0.0f64..=1.0,
    ) {
        let sigma = Sigma::from_f64_ceil(sigma).expect("in range");
        let dim = Dimension::new(d).expect("in range");
        let params = NormParams::derive(&dim, clip, sigma, rows);
        prop_assume!(params.is_ok());
        let params = params.unwrap();
        let limit = params.longest_row() / part;
        let high = (high * clip as f64 * f64::from(limit)) as i64;
        // Always possible: what an honest device has is much less than what the norm allows.
        let with = params.with_functional(limit, 0..=high).expect("fits");
        let functional = with.functional().unwrap();
        let (lo, hi) = functional.proven().into_inner();
        let deviation = sigma.to_f64() * f64::from(limit);
        prop_assert!(-lo as f64 >= 10.0 * deviation && (hi - high) as f64 >= 10.0 * deviation);
        prop_assert!((-lo as f64) <= 10.0 * deviation + 1.0);
        let largest = 4i64.pow(functional.digits() as u32) - 1;
        prop_assert!(hi - lo <= largest);
        let product = params.max_norm() as i64 * i64::from(limit);
        let q = i64::from(Q);
        for string in [0, largest] {
            for claimed in [string + lo, hi - string] {
                prop_assert!(claimed - product > -q && claimed + product < q);
            }
        }
        prop_assert_eq!(with.digits(), params.digits() + 2 * functional.digits());
    }

    #[test]
    fn the_mask_of_an_honest_product_is_ones_and_of_others_zero(product in -10_000i64..10_000) {
        let params = counts().0;
        let functional = params.functional().unwrap();
        let inside = functional.honest().contains(&product);
        prop_assert_eq!(functional.honest_mask(product), if inside { u32::MAX } else { 0 });
    }
}
