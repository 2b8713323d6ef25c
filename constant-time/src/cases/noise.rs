//! Sampling of keys, errors and noise; masking (`docs/protocol.md`, section 4.2).

use super::{Case, still_secret};
use crate::random::SecretRng;
use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::mask::{self, MaskKey, Masker, PublicMatrix, mask_once};
use dawn_crypto::noise::NoiseStream;
use dawn_crypto::params::{Dimension, N, Sigma};
use rand_core::Rng;

pub const CASES: &[Case] = &[
    ("gaussian-key", || sample(Sigma::KEY)),
    ("gaussian-error", || sample(sigma(417_069))),
    ("gaussian-wide-8", || sample(sigma(8 << 16))),
    ("gaussian-wide-18000", || sample(sigma(18_000 << 16))),
    ("gaussian-wide-2^24", || sample(sigma(1 << 40))),
    ("noise-stream", noise_stream),
    ("mask", two_steps),
    ("masker", block_by_block),
    ("mask-once-error", || one_pass(sigma(417_069))),
    ("mask-once-wide", || one_pass(sigma(1_000 << 16))),
];

fn sigma(units: u64) -> Sigma {
    Sigma::new(units).expect("in range")
}

/// Two blocks and a bit, so that whole vectors and the rest are both used; and the check coordinates' block.
fn dimension() -> Dimension {
    Dimension::new(2 * N + 13).expect("in range")
}

fn matrix() -> PublicMatrix {
    PublicMatrix::from_seed(&[7; 32])
}

fn sample(sigma: Sigma) {
    let drawn = Gaussian::new(sigma).sample_vec(2005, &mut SecretRng::new(1));
    still_secret(&drawn);
}

fn noise_stream() {
    let mut stream = NoiseStream::new(&mut SecretRng::new(2));
    let mut bytes = [0; 5000];
    stream.fill_bytes(&mut bytes);
    still_secret(&bytes);
    let drawn = Gaussian::new(Sigma::KEY).sample_vec(N, &mut stream);
    still_secret(&drawn);
}

fn two_steps() {
    let mut rng = SecretRng::new(3);
    let (dim, key) = (dimension(), MaskKey::sample(&mut rng));
    let x = rng.update(dim.coordinates());
    let error = mask::sample_error(&Gaussian::new(sigma(417_069)), &dim, &mut rng);
    let masked = mask::mask(&matrix(), &key, &dim, &x, &error).expect("fits");
    still_secret(&masked);
    still_secret(mask::payload_digest(&masked).as_bytes());
}

fn block_by_block() {
    let mut rng = SecretRng::new(4);
    let (dim, key, matrix) = (dimension(), MaskKey::sample(&mut rng), matrix());
    let x = rng.update(dim.coordinates());
    let mut stream = NoiseStream::new(&mut rng);
    let gaussian = Gaussian::new(sigma(417_069));
    let mut masker = Masker::with_digest(&matrix, &key, &dim);
    let mut blocks = x.chunks(N);
    while masker.left() > 0 {
        let mut v = gaussian.sample_vec(N, &mut stream);
        let mut out = [0; N];
        let x = blocks.next().unwrap_or_default();
        masker.block(x, &mut v, &mut out).expect("fits");
        still_secret(&out);
    }
    still_secret(masker.digest().expect("all blocks are masked").as_bytes());
}

fn one_pass(sigma: Sigma) {
    let mut rng = SecretRng::new(5);
    let (dim, key) = (dimension(), MaskKey::sample(&mut rng));
    let x = rng.update(dim.coordinates());
    let mut stream = NoiseStream::new(&mut rng);
    let gaussian = Gaussian::new(sigma);
    let masked = mask_once(&matrix(), &key, &dim, &x, &gaussian, &mut stream, |v| {
        still_secret(v);
    });
    still_secret(&masked.expect("fits").payload);
}
