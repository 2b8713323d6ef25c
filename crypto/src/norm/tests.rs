use super::params::REPETITIONS;
use super::projection::{MatrixBlocks, PreparedLambdas, PublicChecker};
use super::*;
use crate::commit::key_commitment;
use crate::digest::{Digest, labels};
use crate::field;
use crate::gaussian::Gaussian;
use crate::mask::{MaskKey, PublicMatrix, mask, sample_error};
use crate::norm::prove::digits_of;
use crate::params::{Dimension, N, Q, Sigma};
use crate::shamir::{KeyShare, ShareEncoding, Threshold, share_key};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use zeroize::Zeroizing;

pub(super) const CLIP: u64 = 5_000;

/// One device's submission with everything that a test may look at or spoil.
pub(super) struct Submission {
    pub(super) params: NormParams,
    row: Option<FunctionalRow>,
    th: Threshold,
    context: Vec<u8>,
    v: Vec<i32>,
    c: Vec<u32>,
    matrix: PublicMatrix,
    keys: Vec<KeyShare>,
    encodings: Vec<ShareEncoding>,
    blinds: Vec<Zeroizing<[u8; 32]>>,
}

pub(super) fn threshold(m: u8, f: u8) -> Threshold {
    Threshold::new(m, f).expect("allowed")
}

impl Submission {
    fn new(x: &[i32], th: Threshold, rng: &mut ChaCha20Rng) -> Submission {
        let dim = Dimension::new(x.len()).expect("in range");
        let params = NormParams::derive(&dim, CLIP, Sigma::ERROR_MIN, Rows::R128).expect("fits");
        let e = sample_error(&Gaussian::new(Sigma::ERROR_MIN), &dim, rng);
        Submission::of(params, None, x, &e, th, rng)
    }

    /// Of an update and an error that the test chooses.
    pub(super) fn of(
        params: NormParams,
        row: Option<FunctionalRow>,
        x: &[i32],
        e: &[i32],
        th: Threshold,
        rng: &mut ChaCha20Rng,
    ) -> Submission {
        let dim = Dimension::new(x.len()).expect("in range");
        let matrix = PublicMatrix::from_seed(&[7; 32]);
        let key = MaskKey::sample(rng);
        let c = mask(&matrix, &key, &dim, x, e).expect("fits");
        let v = (0..e.len())
            .map(|i| e[i] + x.get(i).copied().unwrap_or(0))
            .collect();
        let encodings = share_key(&key, &th, rng);
        let keys: Vec<_> = encodings
            .iter()
            .map(|s| s.expand().expect("our own"))
            .collect();
        let blinds: Vec<_> = keys
            .iter()
            .map(|_| {
                let mut blind = Zeroizing::new([0; 32]);
                rng.fill_bytes(&mut *blind);
                blind
            })
            .collect();
        let mut context = b"session, device, payload".to_vec();
        for (j, key) in keys.iter().enumerate() {
            context.extend(key_commitment(j as u8 + 1, &blinds[j], key).0);
        }
        Submission {
            params,
            row,
            th,
            context,
            v,
            c,
            matrix,
            keys,
            encodings,
            blinds,
        }
    }

    pub(super) fn hidden(&self) -> Hidden<'_> {
        Hidden {
            v: &self.v,
            row: self.row.as_ref(),
        }
    }

    pub(super) fn prove(&self, rng: &mut ChaCha20Rng) -> Result<NormProof, NormError> {
        let Submission {
            params,
            th,
            context,
            encodings,
            blinds,
            ..
        } = self;
        let hidden = self.hidden();
        NormProof::new(params, th, context, hidden, encodings, blinds, rng)
    }

    /// The proof about digits of the device's choice.
    pub(super) fn prove_digits(&self, digits: &[u32], rng: &mut ChaCha20Rng) -> NormProof {
        let seed = super::fiat_shamir::projection_seed(&self.context);
        NormProof::of_digits(
            &self.params,
            &self.th,
            &seed,
            digits,
            &self.encodings,
            &self.blinds,
            rng,
        )
    }

    pub(super) fn digits(&self, hidden: Hidden<'_>) -> SecretVec<u32> {
        let seed = super::fiat_shamir::projection_seed(&self.context);
        digits_of(&self.params, &seed, hidden).expect("honest")
    }

    fn verification(&self, proof: &NormProof, beacon: u8) -> Verification<'_> {
        let verifier = NormVerifier::new(&self.params, &self.context, &proof.digit_commitments);
        let submission = Digest([9; 32]);
        let challenge = Challenge::derive(&self.params, &Digest([beacon; 32]), &submission);
        let projection = verifier.projection().expect("rows");
        let lambdas = PreparedLambdas::new(&challenge.lambdas).expect("rows");
        let matrix = MatrixBlocks::Expanded(&self.matrix);
        let mut checker = PublicChecker::new(&projection, &lambdas, matrix).expect("rows");
        if let Some(row) = &self.row {
            checker = checker.with_row(row, challenge.row_weights());
        }
        let public = checker.all(self.c.len() / N, Some(&self.c));
        let public = public.expect("blocks");
        let masked = public.masked.expect("with the payload");
        Verification {
            submission: self,
            verifier,
            challenge,
            u: public.u,
            masked,
        }
    }

    /// What T stewards decide.
    pub(super) fn decide(&self, proof: &NormProof) -> Result<(), Rejection> {
        let points: Vec<u8> = (1..=self.th.t()).collect();
        self.verification(proof, 1).decide(proof, &points)
    }
}

struct Verification<'a> {
    submission: &'a Submission,
    verifier: NormVerifier,
    challenge: Challenge,
    u: [Box<[u32; N]>; 2],
    masked: [u32; 2],
}

impl Verification<'_> {
    fn answer(&self, proof: &NormProof, point: u8) -> Answer {
        let j = usize::from(point) - 1;
        self.verifier
            .answer(
                &self.challenge,
                &self.submission.keys[j],
                &proof.shares[j],
                &self.u,
            )
            .expect("lengths")
    }

    fn opened(&self, proof: &NormProof, points: &[u8]) -> Answer {
        let answers: Vec<_> = points.iter().map(|&p| (p, self.answer(proof, p))).collect();
        let answers: Vec<_> = answers.iter().map(|(p, a)| (*p, a)).collect();
        Answer::open(&answers).expect("points")
    }

    fn decide(&self, proof: &NormProof, points: &[u8]) -> Result<(), Rejection> {
        self.verifier
            .decide(&self.opened(proof, points), self.masked)
    }
}

/// An update of norm just below the clip, spread over its coordinates.
fn update(d: usize) -> Vec<i32> {
    let each = (CLIP as f64 / (d as f64).sqrt()).floor() as i32;
    (0..d)
        .map(|i| if i % 2 == 0 { each } else { -each })
        .collect()
}

#[test]
fn honest_submissions_pass_with_every_set_of_stewards() {
    for (m, f) in [(2, 0), (3, 0), (6, 1), (11, 2)] {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(m));
        let submission = Submission::new(&update(100), threshold(m, f), &mut rng);
        let proof = submission.prove(&mut rng).expect("honest");
        let verification = submission.verification(&proof, 1);
        let t = submission.th.t();
        let first: Vec<u8> = (1..=t).collect();
        let last: Vec<u8> = (m - t + 1..=m).collect();
        assert_eq!(verification.decide(&proof, &first), Ok(()));
        assert_eq!(verification.decide(&proof, &last), Ok(()));
        // One fewer does not determine the answer.
        assert!(verification.decide(&proof, &first[1..]).is_err());
        // All answers are on one polynomial.
        assert_eq!(
            verification.opened(&proof, &first),
            verification.opened(&proof, &last)
        );
    }
}

#[test]
fn dense_sparse_and_spiky_updates_at_the_clip_pass() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut spike = vec![0; 50];
    spike[49] = -(CLIP as i32);
    let mut sparse = vec![0; 2048];
    for i in [0, 100, 1000, 2047] {
        sparse[i] = CLIP as i32 / 2;
    }
    for x in [vec![0], spike, sparse, update(3000)] {
        let submission = Submission::new(&x, threshold(3, 0), &mut rng);
        let proof = submission.prove(&mut rng).expect("honest");
        assert_eq!(submission.decide(&proof), Ok(()));
    }
}

#[test]
fn a_longer_vector_is_refused_by_the_library_and_by_the_stewards() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for factor in [6, 100] {
        let x: Vec<i32> = update(100).into_iter().map(|x| factor * x).collect();
        let submission = Submission::new(&x, threshold(3, 0), &mut rng);
        assert_eq!(submission.prove(&mut rng).unwrap_err(), NormError::TooLong);
        // A device that cheats: digits of a shorter vector, then true projections with a wrapped slack.
        let honest = Submission::new(&update(100), threshold(3, 0), &mut rng);
        let proof = submission.prove_digits(&honest.digits(honest.hidden()), &mut rng);
        assert_eq!(submission.decide(&proof), Err(Rejection::Projection));
    }
    let x: Vec<i32> = update(100).into_iter().map(|x| 6 * x).collect();
    let submission = Submission::new(&x, threshold(3, 0), &mut rng);
    let seed = super::fiat_shamir::projection_seed(&submission.context);
    let projection = projection::Projection::new(seed.0, 128).expect("rows");
    let z = projection.project(&submission.v).expect("blocks");
    let mut digits = vec![0; submission.params.digits()];
    let per_row = submission.params.digits_per_row();
    for (row, z) in digits.chunks_mut(per_row).zip(z.iter()) {
        let above = i64::from(*z) + (1 << (submission.params.range_bits() - 1));
        // As many low digits as there are, and all the rest in the last one: right projections, a wrong digit.
        for (i, digit) in row.iter_mut().enumerate() {
            *digit = (above >> (2 * i)) as u32 & 3;
        }
        row[per_row - 1] = field::from_i32((above >> (2 * (per_row - 1))) as i32);
    }
    let proof = submission.prove_digits(&digits, &mut rng);
    assert!(matches!(
        submission.decide(&proof),
        Err(Rejection::Proof { .. })
    ));
}

#[test]
fn every_spoiled_digit_and_slack_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let submission = Submission::new(&update(100), threshold(3, 0), &mut rng);
    let digits = submission.digits(submission.hidden());
    let slack = submission.params.rows() * submission.params.digits_per_row();
    let last = digits.len() - 1;
    for (at, change) in [
        (0, 1),
        (0, 4),
        (0, Q - 4),
        (slack - 1, 1),
        (slack, 1),
        (last, 1),
        (last, Q - 1),
    ] {
        let mut digits = digits.to_vec();
        digits[at] = field::add(digits[at], change);
        let proof = submission.prove_digits(&digits, &mut rng);
        let expected_projection = at < slack;
        match submission.decide(&proof) {
            Err(Rejection::Projection) => assert!(expected_projection, "{at}"),
            Err(Rejection::Proof { repetition: 0 }) => assert!(!expected_projection, "{at}"),
            other => panic!("{at} {change}: {other:?}"),
        }
    }
    // Another representation of the same number: the linear check passes, the digits do not.
    let mut moved = digits.to_vec();
    moved[0] = field::add(moved[0], 4);
    moved[1] = field::sub(moved[1], 1);
    let proof = submission.prove_digits(&moved, &mut rng);
    assert!(matches!(
        submission.decide(&proof),
        Err(Rejection::Proof { .. })
    ));
}

/// Each element of a proof share, changed at one steward, changes the decision.
#[test]
fn a_spoiled_proof_share_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let submission = Submission::new(&update(100), threshold(3, 0), &mut rng);
    let mut proof = submission.prove(&mut rng).expect("honest");
    let len = proof.shares[0].proofs.len();
    for at in (0..len).step_by(17).chain([len - 1]) {
        let old = proof.shares[1].proofs[at];
        proof.shares[1].proofs[at] = field::add(old, 1);
        let refused = submission.decide(&proof);
        let repetition = at / submission.params.proof_len();
        assert_eq!(refused, Err(Rejection::Proof { repetition }), "{at}");
        proof.shares[1].proofs[at] = old;
    }
    assert_eq!(submission.decide(&proof), Ok(()));
}

#[test]
fn a_proof_of_another_submission_key_payload_or_context_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut one = Submission::new(&update(100), threshold(3, 0), &mut rng);
    let mut other = Submission::new(&update(100), threshold(3, 0), &mut rng);
    let (proof, others) = (
        one.prove(&mut rng).expect("ok"),
        other.prove(&mut rng).expect("ok"),
    );
    assert!(one.decide(&others).is_err() && other.decide(&proof).is_err());
    core::mem::swap(&mut one.c, &mut other.c);
    assert_eq!(one.decide(&proof), Err(Rejection::Projection));
    core::mem::swap(&mut one.c, &mut other.c);
    core::mem::swap(&mut one.keys, &mut other.keys);
    assert_eq!(one.decide(&proof), Err(Rejection::Projection));
    core::mem::swap(&mut one.keys, &mut other.keys);
    one.context[0] ^= 1;
    assert!(one.decide(&proof).is_err());
}

/// A vector of all `(q-1)/2` has tiny projections modulo q under a matrix of +-1; with zeros in it every row exposes it
/// with probability one half.
#[test]
fn half_of_the_modulus_everywhere_is_exposed_by_half_of_the_rows() {
    let dim = Dimension::new(100).expect("in range");
    let params = NormParams::derive(&dim, CLIP, Sigma::ERROR_MIN, Rows::R128).expect("fits");
    let projection = projection::Projection::new([6; 32], params.rows()).expect("rows");
    // The number of entries that are not zero, modulo 2, from a vector of ones.
    let z = projection.project(&vec![1; dim.padded()]).expect("blocks");
    let half = i64::from(Q / 2);
    let limit = 1i64 << (params.range_bits() - 1);
    let small = z.iter().filter(|&&z| {
        let z = (i64::from(z) * half).rem_euclid(i64::from(Q)) as u32;
        i64::from(field::center(z)).abs() < limit
    });
    let small = small.count();
    assert!((30..98).contains(&small), "{small} of 128 rows are small");
}

#[test]
fn challenges_follow_from_beacon_and_submission_and_avoid_roots_of_unity() {
    let dim = Dimension::new(10).expect("in range");
    let params = NormParams::derive(&dim, CLIP, Sigma::ERROR_MIN, Rows::R256).expect("fits");
    let challenge = |b, s| Challenge::derive(&params, &Digest([b; 32]), &Digest([s; 32]));
    assert_eq!(challenge(1, 2), challenge(1, 2));
    assert_ne!(challenge(1, 2), challenge(2, 1));
    assert_ne!(challenge(1, 2), challenge(1, 1));
    let [a, b] = challenge(1, 2).lambdas;
    assert_ne!(a, b);
    assert_eq!(challenge(1, 2).queries.len(), REPETITIONS);
    for query in challenge(1, 2).queries {
        assert!(
            query[2..]
                .iter()
                .all(|&point| field::pow(point, 1 << 20) != 1)
        );
    }
}

#[test]
fn answers_of_another_length_or_not_canonical_are_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let submission = Submission::new(&[1], threshold(2, 0), &mut rng);
    let params = submission.params;
    let len = params.answer_len();
    assert!(Answer::new(&params, vec![Q - 1; len]).is_ok());
    assert_eq!(
        Answer::new(&params, vec![Q; len]),
        Err(NormError::NotCanonical { index: 0 })
    );
    assert!(Answer::new(&params, vec![0; len - 1]).is_err());
    let proof = submission.prove(&mut rng).expect("ok");
    let verification = submission.verification(&proof, 1);
    let short = ProofShare {
        digits: SecretVec::zeroed(3),
        proofs: SecretVec::zeroed(1),
    };
    let refused = verification.verifier.answer(
        &verification.challenge,
        &submission.keys[0],
        &short,
        &verification.u,
    );
    assert_eq!(refused.unwrap_err(), NormError::ShareLength);
    let other = Answer(vec![0; 3]);
    assert!(verification.verifier.decide(&other, [0, 0]).is_err());
    let _ = labels::NORM_CHALLENGE;
}

/// A device that ground the joint randomness of some repetitions until they decide true about wrong digits: each that is left
/// refuses it alone.
#[test]
fn one_repetition_that_decides_true_is_worth_nothing() {
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let submission = Submission::new(&update(100), threshold(3, 0), &mut rng);
    let mut digits = submission.digits(submission.hidden()).to_vec();
    // Another representation of the same projections: the linear check holds.
    digits[0] = field::add(digits[0], 4);
    digits[1] = field::sub(digits[1], 1);
    let proof = submission.prove_digits(&digits, &mut rng);
    let verification = submission.verification(&proof, 1);
    let opened = verification.opened(&proof, &[1, 2]);
    let len = submission.params.verifier_len();
    let decide = |ground: &[usize]| {
        let mut elements = opened.elements().to_vec();
        for repetition in ground {
            // A message of zeros decides true.
            elements[2 + repetition * len..2 + (repetition + 1) * len].fill(0);
        }
        let answer = Answer::new(&submission.params, elements).expect("length");
        verification.verifier.decide(&answer, verification.masked)
    };
    for ground in 0..REPETITIONS {
        let repetition = usize::from(ground == 0);
        assert_eq!(decide(&[ground]), Err(Rejection::Proof { repetition }));
        let others: Vec<usize> = (0..REPETITIONS).filter(|r| *r != ground).collect();
        let repetition = ground;
        assert_eq!(decide(&others), Err(Rejection::Proof { repetition }));
    }
    assert_eq!(decide(&[0, 1, 2, 3, 4]), Ok(()));
}
