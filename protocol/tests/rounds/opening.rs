//! The pure opening: every lie that up to f stewards can tell, and too few answers.

use dawn_crypto::field;
use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::mask::{MaskKey, PublicMatrix, add_assign, mask, sample_error};
use dawn_crypto::params::{Dimension, N, Sigma};
use dawn_crypto::shamir::{ShareSum, Threshold, share_key};
use dawn_protocol::AbortReason;
use dawn_protocol::open::{MaskedSums, OpenedSums, open};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const DEVICES: u32 = 3;
/// What the sum stays within.
const BOUND: u64 = 3000;

struct Sum {
    threshold: Threshold,
    dimension: Dimension,
    matrix: PublicMatrix,
    words: Vec<u32>,
    /// The honest answers; index = point - 1.
    answers: Vec<ShareSum>,
    /// The sum of what the devices put in, noise included.
    expected: Vec<i32>,
}

impl Sum {
    fn new(m: u8, f: u8, d: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(d as u64);
        let threshold = Threshold::new(m, f).unwrap();
        let dimension = Dimension::new(d).unwrap();
        let matrix = PublicMatrix::from_seed(&[5; 32]);
        let gaussian = Gaussian::new(Sigma::ERROR_MIN);
        let mut words = vec![0; dimension.padded()];
        let mut answers = vec![ShareSum::zero(); usize::from(m)];
        let mut expected = vec![0; d];
        for device in 0..DEVICES {
            let key = MaskKey::sample(&mut rng);
            let error = sample_error(&gaussian, &dimension, &mut rng);
            let x: Vec<i32> = (0..d).map(|i| (i as i32 + device as i32) % 7 - 3).collect();
            for (sum, (x, e)) in expected.iter_mut().zip(x.iter().zip(error.iter())) {
                *sum += x + e;
            }
            add_assign(
                &mut words,
                &mask(&matrix, &key, &dimension, &x, &error).unwrap(),
            );
            let shares = share_key(&key, &threshold, &mut rng);
            for (answer, share) in answers.iter_mut().zip(shares) {
                answer.add_assign(&share.expand().unwrap());
            }
        }
        Self {
            threshold,
            dimension,
            matrix,
            words,
            answers,
            expected,
        }
    }

    fn open(&self, answers: &[(u8, ShareSum)]) -> Result<OpenedSums, AbortReason> {
        let masked = MaskedSums {
            matrix: &self.matrix,
            dimension: self.dimension,
            groups: &[(&self.words, BOUND)],
        };
        let answers: Vec<_> = answers
            .iter()
            .map(|(point, sum)| (*point, std::slice::from_ref(sum)))
            .collect();
        open(&self.threshold, &masked, &answers)
    }

    fn honest(&self, points: impl IntoIterator<Item = u8>) -> Vec<(u8, ShareSum)> {
        let answer = |point: u8| (point, self.answers[usize::from(point) - 1].clone());
        points.into_iter().map(answer).collect()
    }
}

/// An answer that is off by the same amount everywhere, and one that is off in a single element.
fn lies(honest: &ShareSum) -> [ShareSum; 2] {
    let lie = |change: &dyn Fn(usize) -> u32| {
        let mut bytes = Vec::with_capacity(ShareSum::BYTES);
        for (i, element) in honest.elements().iter().enumerate() {
            let changed = (u64::from(*element) + u64::from(change(i))) % 4_293_918_721;
            bytes.extend_from_slice(&u32::try_from(changed).unwrap().to_le_bytes());
        }
        ShareSum::from_bytes(&bytes).unwrap()
    };
    [lie(&|_| 1), lie(&|i| u32::from(i == N - 1))]
}

#[test]
fn honest_answers_open_in_every_number_from_t() {
    for d in [1, 10, N - 1, N, N + 1, 100_000] {
        let sum = Sum::new(6, 1, d);
        for answers in 4..=6 {
            let opened = sum.open(&sum.honest(1..=answers)).unwrap();
            assert_eq!(opened.sums, std::slice::from_ref(&sum.expected));
            assert_eq!(opened.points, [1, 2, 3, 4]);
            assert!(opened.culprits.is_empty());
        }
        assert_eq!(
            sum.open(&sum.honest(1..=3)),
            Err(AbortReason::TooFewOpenings)
        );
        assert_eq!(sum.open(&[]), Err(AbortReason::TooFewOpenings));
    }
}

#[test]
fn one_liar_is_named_in_every_position() {
    for d in [10, 100_000] {
        let sum = Sum::new(6, 1, d);
        for present in [
            vec![1, 2, 3, 4, 5],
            vec![2, 3, 4, 5, 6],
            vec![1, 2, 3, 4, 5, 6],
        ] {
            for liar in present.clone() {
                for lie in lies(&sum.answers[usize::from(liar) - 1]) {
                    let mut answers = sum.honest(present.clone());
                    let place = present.iter().position(|p| *p == liar).unwrap();
                    answers[place].1 = lie;
                    let opened = sum.open(&answers).unwrap();
                    assert_eq!(
                        opened.sums,
                        std::slice::from_ref(&sum.expected),
                        "d {d} liar {liar}"
                    );
                    assert!(!opened.points.contains(&liar));
                    // Also with five answers: four agree.
                    assert_eq!(opened.culprits, [liar]);
                }
            }
        }
    }
}

#[test]
fn a_liar_among_only_t_answers_opens_nothing() {
    for d in [10, 100_000] {
        let sum = Sum::new(6, 1, d);
        for liar in 1..=4u8 {
            for lie in lies(&sum.answers[usize::from(liar) - 1]) {
                let mut answers = sum.honest(1..=4);
                answers[usize::from(liar) - 1].1 = lie;
                assert_eq!(sum.open(&answers), Err(AbortReason::NoSmallOpening));
            }
        }
    }
}

#[test]
fn two_liars_are_named_in_every_pair_of_positions() {
    let sum = Sum::new(11, 2, 10);
    for first in 1..=11u8 {
        for second in first + 1..=11 {
            let mut answers = sum.honest(1..=11);
            answers[usize::from(first) - 1].1 =
                lies(&sum.answers[usize::from(first) - 1])[0].clone();
            answers[usize::from(second) - 1].1 =
                lies(&sum.answers[usize::from(second) - 1])[1].clone();
            let opened = sum.open(&answers).unwrap();
            assert_eq!(opened.sums, std::slice::from_ref(&sum.expected));
            assert_eq!(opened.culprits, [first, second]);
        }
    }
}

/// Two liars who add errors that cancel at 0 in the first subset: the sum is right on their
/// polynomial too, and the honest stewards are off it. Nobody honest may be named.
#[test]
fn liars_whose_errors_cancel_cannot_frame_the_honest() {
    use dawn_crypto::shamir::interpolate_at;
    let sum = Sum::new(8, 2, 10);
    let t = sum.threshold.t();
    assert_eq!(t, 6);
    // A polynomial that is 0 at 0 and at 3..=6, and not at 1 and 2, added to the liars' answers.
    let mut known = vec![ShareSum::zero(); 6];
    known[0] = lies(&ShareSum::zero())[0].clone();
    let zeros: Vec<(u8, &ShareSum)> = [1, 3, 4, 5, 6].into_iter().zip(&known).collect();
    // Degree at most 5 through (1, 1), (3..=6, 0) and (0, 0): its value at 2, by scaling the
    // polynomial of degree 4 through the five points by x.
    let scaled = |point: u8| {
        // g(x) = x * h(x), h through (1, 1), (3, 0) ... (6, 0).
        let h = interpolate_at(&zeros, point).unwrap();
        let mut out = ShareSum::zero();
        let share = dawn_crypto::shamir::ShareEncoding::Explicit(h.elements().to_vec())
            .expand()
            .unwrap();
        (0..point).for_each(|_| out.add_assign(&share));
        out
    };
    let mut answers = sum.honest(1..=8);
    for liar in [1u8, 2] {
        let error = dawn_crypto::shamir::ShareEncoding::Explicit(scaled(liar).elements().to_vec())
            .expand()
            .unwrap();
        answers[usize::from(liar) - 1].1.add_assign(&error);
    }
    // Their own subset opens to the right sum.
    let theirs = sum.open(&answers[..6]).unwrap();
    assert_eq!(theirs.sums, std::slice::from_ref(&sum.expected));
    let all = sum.open(&answers).unwrap();
    assert_eq!(all.sums, std::slice::from_ref(&sum.expected));
    // Two polynomials with six answers each open it: nobody can be named.
    assert!(theirs.culprits.is_empty() && all.culprits.is_empty());
    // With one honest steward less the liars' polynomial is the only one, and an honest answer is off it.
    let seven = sum.open(&answers[..7]).unwrap();
    assert_eq!(seven.sums, std::slice::from_ref(&sum.expected));
    assert!(seven.culprits.is_empty());
}

/// A - 1 answers on one polynomial are more than liars can bring together, so that it names the others.
#[test]
fn with_two_liars_expected_a_minus_one_answers_name_the_others() {
    let sum = Sum::new(11, 2, 10);
    for (answering, named) in [(8u8, false), (9, true), (10, true), (11, true)] {
        let mut answers = sum.honest(1..=answering);
        answers[2].1 = lies(&answers[2].1)[0].clone();
        let opened = sum.open(&answers).unwrap();
        assert_eq!(opened.sums, std::slice::from_ref(&sum.expected));
        // T = 7, A = 9: of eight answers seven agree, of nine eight.
        let expected: &[u8] = if named { &[3] } else { &[] };
        assert_eq!(opened.culprits, expected, "{answering}");
        assert_eq!(opened.points, [1, 2, 4, 5, 6, 7, 8]);
    }
}

#[test]
fn random_answers_of_the_largest_roster_open_nothing() {
    // C(16, 9) = 11440 candidates, more than any other roster has.
    let sum = Sum::new(16, 1, 10);
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let answers: Vec<(u8, ShareSum)> = (1..=16)
        .map(|point| {
            let words = (0..N).flat_map(|_| (rng.next_u32() >> 1).to_le_bytes());
            (
                point,
                ShareSum::from_bytes(&words.collect::<Vec<_>>()).unwrap(),
            )
        })
        .collect();
    assert_eq!(sum.open(&answers), Err(AbortReason::NoSmallOpening));
}

/// The bound, and not only the polynomial, decides: one coordinate beyond it, and the sum does not open.
#[test]
fn a_sum_beyond_its_bound_does_not_open() {
    let mut sum = Sum::new(6, 1, 10);
    let honest = sum.honest(1..=6);
    let beyond = u32::try_from(BOUND + 500).unwrap();
    for index in [9, 10, N, 2 * N - 1] {
        let before = sum.words[index];
        sum.words[index] = field::add(before, beyond);
        let opened = sum.open(&honest);
        assert_eq!(
            opened,
            Err(AbortReason::NoSmallOpening),
            "coordinate {index}"
        );
        // Within it, wherever it is.
        sum.words[index] = field::add(before, beyond - 1000);
        assert!(sum.open(&honest).is_ok(), "coordinate {index}");
        sum.words[index] = before;
    }
}

/// A roster for crashes only: a wrong answer still does not stop the round, and is named.
#[test]
fn with_no_liars_expected_a_wrong_answer_does_not_stop_the_round() {
    let sum = Sum::new(3, 0, 10);
    for liar in 0..3 {
        let mut answers = sum.honest(1..=3);
        answers[liar].1 = lies(&answers[liar].1)[0].clone();
        let opened = sum.open(&answers).unwrap();
        assert_eq!(opened.sums, std::slice::from_ref(&sum.expected));
        assert_eq!(opened.culprits, [answers[liar].0]);
    }
}
