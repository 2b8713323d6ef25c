//! What follows from commitments: two steps of Fiat and Shamir for the device, and the beacon's challenge
//! (`docs/protocol.md`, sections 4.3 and 4.6). Every stream is of elements by rejection.

use super::functional::WEIGHTS;
use super::params::{NormParams, REPETITIONS};
use crate::digest::{Digest, Hasher, Xof, labels};
use crate::expand;
use crate::field;
use prio::field::FieldPrio2 as F;

/// The seed of R: after the payload and all key shares are committed. A key chosen after R would give any projection.
pub(super) fn projection_seed(context: &[u8]) -> Digest {
    let mut hasher = Hasher::new(labels::PROJECTION_SEED);
    hasher.field(context);
    hasher.finalize()
}

/// The seed of all joint randomness: after all shares of the digits are committed.
pub(super) fn joint_seed(projection: &Digest, digit_commitments: &[Digest]) -> Digest {
    let mut hasher = Hasher::new(labels::JOINT_SEED);
    hasher.field(&projection.0);
    for commitment in digit_commitments {
        hasher.field(&commitment.0);
    }
    hasher.finalize()
}

/// What follows from a submission's commitments, and all that verifying needs of its header: two digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormSeeds {
    /// The seed of R.
    pub projection: Digest,
    /// The seed of all joint randomness.
    pub joint: Digest,
}

impl NormSeeds {
    /// Of a submission with these commitments; `context` is as in [`super::NormProof::new`].
    pub fn new(context: &[u8], digit_commitments: &[Digest]) -> NormSeeds {
        let projection = projection_seed(context);
        NormSeeds {
            projection,
            joint: joint_seed(&projection, digit_commitments),
        }
    }
}

/// A repetition's own joint randomness: the weights within a call, then the weights of the calls. All of them are
/// independent, so that a wrong digit is missed with probability at most `2/q`.
pub(crate) fn joint_randomness(
    params: &NormParams,
    seed: &Digest,
    repetition: usize,
) -> (Vec<F>, Vec<F>) {
    let mut hasher = Hasher::new(labels::JOINT_RANDOMNESS);
    hasher.field(&seed.0).field(&[repetition as u8]);
    let chunks = params.digit_chunks();
    let mut elements = vec![0; chunks.arity + chunks.calls];
    expand::stream_elements(&mut hasher.xof(), &mut elements);
    let mut weights: Vec<F> = elements.into_iter().map(F::from).collect();
    let calls = weights.split_off(chunks.arity);
    (weights, calls)
}

/// What the beacon asks of one submission, public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The weights of the projections in the two linear checks.
    pub lambdas: [Vec<u32>; 2],
    /// The weights of a functional's two differences in the two linear checks; zeros without one.
    pub(super) functional: [[u32; WEIGHTS]; 2],
    /// For each repetition the weights of the circuit's two outputs and the query points of its two gadgets.
    pub(crate) queries: Vec<[u32; 4]>,
}

impl Challenge {
    /// From the stream of `NORM_CHALLENGE` over the beacon and the digest of the submission's signed header: both lambdas,
    /// each followed by the weights of a functional when there is one, then the queries. A query point that is a root of unity of the wire polynomials would show wires, and is replaced by
    /// the next of the stream.
    pub fn derive(params: &NormParams, beacon: &Digest, submission: &Digest) -> Challenge {
        let mut hasher = Hasher::new(labels::NORM_CHALLENGE);
        hasher.field(&beacon.0).field(&submission.0);
        let mut stream = hasher.xof();
        let mut functional = [[0; WEIGHTS]; 2];
        let lambdas = [0, 1].map(|check| {
            let mut weights = vec![0; params.rows()];
            expand::stream_elements(&mut stream, &mut weights);
            if params.functional().is_some() {
                expand::stream_elements(&mut stream, &mut functional[check]);
            }
            weights
        });
        let sizes = [params.digit_chunks(), params.square_chunks()]
            .map(|chunks| (1 + chunks.calls).next_power_of_two() as u64);
        let queries = (0..REPETITIONS)
            .map(|_| {
                let outputs = [next(&mut stream), next(&mut stream)];
                let points = sizes.map(|size| {
                    loop {
                        let point = next(&mut stream);
                        if field::pow(point, size) != 1 {
                            return point;
                        }
                    }
                });
                [outputs[0], outputs[1], points[0], points[1]]
            })
            .collect();
        Challenge {
            lambdas,
            functional,
            queries,
        }
    }

    /// The weight of a functional's row in each of the two linear checks.
    pub fn row_weights(&self) -> [u32; 2] {
        self.functional
            .map(|[above, below]| field::add(above, below))
    }
}

fn next(stream: &mut Xof) -> u32 {
    let mut one = [0];
    expand::stream_elements(stream, &mut one);
    one[0]
}
