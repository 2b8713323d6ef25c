//! The proof of the norm, as the device makes it and as a steward answers about it (`docs/protocol.md`, sections 4.3
//! and 4.6).

use super::{Case, still_secret};
use crate::random::SecretRng;
use dawn_crypto::digest::Digest;
use dawn_crypto::mask::{MaskKey, PublicMatrix};
use dawn_crypto::norm::projection::{MatrixBlocks, PreparedLambdas, Projection, PublicChecker};
use dawn_crypto::norm::{
    Challenge, FunctionalRow, Hidden, NormParams, NormProof, NormVerifier, Rows,
};
use dawn_crypto::params::{Dimension, N, Sigma};
use dawn_crypto::shamir::{ShareEncoding, Threshold, share_key};
use zeroize::Zeroizing;

pub const CASES: &[Case] = &[("norm-projection", project), ("norm-proof", prove)];

fn project() {
    let projection = Projection::new([8; 32], 256).expect("in range");
    let v = SecretRng::new(71).update(3 * N);
    still_secret(&projection.project(&v).expect("whole blocks"));
}

/// A proof about secrets under secret keys and blinds, with a functional; every steward's shares and answer. What a steward answers is
/// published, so that only what goes into it is still secret.
fn prove() {
    let mut rng = SecretRng::new(72);
    let threshold = Threshold::new(4, 1).expect("allowed");
    let dimension = Dimension::new(10).expect("in range");
    let params = NormParams::derive(&dimension, 10_000, Sigma::ERROR_MIN, Rows::R128);
    let params = params.expect("in range");
    let limit = params.longest_row();
    let params = params.with_functional(limit, 0..=10_000 * i64::from(limit));
    let params = params.expect("in range");
    let row = FunctionalRow::new(&params, vec![3, -1, 0, 2, 0, -5, 1, 0, 0, 7]);
    let row = row.expect("short");
    let v = rng.update(dimension.padded());
    let functional = params.functional().expect("there is one");
    still_secret(&[functional.honest_mask(row.product(&v))]);
    let key = MaskKey::sample(&mut rng);
    let keys = share_key(&key, &threshold, &mut rng);
    let blinds: Vec<_> = keys.iter().map(|_| Zeroizing::new(rng.seed())).collect();
    let hidden = Hidden {
        v: &v,
        row: Some(&row),
    };
    let proof = NormProof::new(
        &params, &threshold, b"context", hidden, &keys, &blinds, &mut rng,
    );
    let proof = proof.expect("short enough");
    let verifier = NormVerifier::new(&params, b"context", &proof.digit_commitments);
    let challenge = Challenge::derive(&params, &Digest([1; 32]), &Digest([2; 32]));
    let matrix = PublicMatrix::from_seed(&[9; 32]);
    let projection = verifier.projection().expect("derived");
    let lambdas = PreparedLambdas::new(&challenge.lambdas).expect("derived");
    let matrix = MatrixBlocks::Expanded(&matrix);
    let checker = PublicChecker::new(&projection, &lambdas, matrix).expect("derived");
    let checker = checker.with_row(&row, challenge.row_weights());
    let check = checker.all(dimension.blocks(), None);
    let u = check.expect("every block").u;
    for (key, share) in keys.iter().zip(&proof.shares) {
        still_secret(&share.digits);
        still_secret(&share.proofs);
        let key = ShareEncoding::expand(key).expect("our own");
        still_secret(key.elements());
        let answer = verifier
            .answer(&challenge, &key, share, &u)
            .expect("lengths");
        assert_eq!(answer.elements().len(), params.answer_len());
    }
}
