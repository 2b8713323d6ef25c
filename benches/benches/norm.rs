//! `cargo bench -p dawn-benches --bench norm`: the norm proof's projection in both directions with 256 rows at d = 2^20, on
//! every backend that the processor has, and in the same run what nothing can go below: AES-128 in counter mode of the
//! 64 bytes a coordinate that R is made of.

use aes::Aes128;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ctr::Ctr64LE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use dawn_crypto::backend::{self, BackendKind};
use dawn_crypto::expand;
use dawn_crypto::mask::PublicMatrix;
use dawn_crypto::norm::projection::{
    MatrixBlocks, MatrixCache, PreparedLambdas, Projection, PublicCheck,
};
use dawn_crypto::params::{Dimension, N};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::hint::black_box;

const ROWS: usize = 256;

/// AES-128 in counter mode of as many bytes as R has, in the pieces in which R is expanded.
fn expand_only(blocks: usize, buffer: &mut [u8]) {
    for block in 0..blocks {
        let key = [block as u8; 16];
        let mut cipher = Ctr64LE::<Aes128>::new(&key.into(), &[0; 16].into());
        for _ in 0..N * ROWS / 4 / buffer.len() {
            cipher.write_keystream(buffer);
            black_box(&mut *buffer);
        }
    }
}

fn norm(criterion: &mut Criterion) {
    let dim = Dimension::new(1 << 20).expect("in range");
    let (len, blocks) = (dim.padded(), dim.blocks());
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let v: Vec<i32> = (0..len).map(|_| rng.next_u32() as i32 >> 12).collect();
    let mut uniform = |len: usize| {
        let mut words = vec![0; len];
        expand::uniform(&mut rng, &mut words);
        words
    };
    let payload = uniform(len);
    let lambdas = [uniform(ROWS), uniform(ROWS)];
    let prepared = PreparedLambdas::new(&lambdas).expect("canonical");
    let projection = Projection::new([3; 32], ROWS).expect("a multiple of 64");
    let matrix = PublicMatrix::from_seed(&[9; 32]);
    let cache = MatrixCache::new(&matrix, blocks);
    let cached = MatrixBlocks::Cached(&cache);
    let check = |matrix, payload| {
        PublicCheck::compute(&projection, &prepared, matrix, blocks, payload).expect("fits")
    };

    let mut group = criterion.benchmark_group("norm");
    group
        .throughput(Throughput::Elements(len as u64))
        .sample_size(20);
    let mut buffer = vec![0; 64 * ROWS];
    group.bench_function("limit/aes", |b| {
        b.iter(|| expand_only(blocks, &mut buffer));
    });
    for kind in BackendKind::ALL {
        let all = || {
            group.bench_function(BenchmarkId::new("project", kind), |b| {
                b.iter(|| projection.project(&v));
            });
            group.bench_function(BenchmarkId::new("combine", kind), |b| {
                let mut w = [[0; N]; 2];
                b.iter(|| {
                    for block in 0..blocks as u64 {
                        let result = projection.combine_block(block, &prepared, &mut w);
                        black_box((&mut w, result.is_ok()));
                    }
                });
            });
            group.bench_function(BenchmarkId::new("check, matrix cached", kind), |b| {
                b.iter(|| check(cached, None));
            });
            let name = "check with payload, matrix cached";
            group.bench_function(BenchmarkId::new(name, kind), |b| {
                b.iter(|| check(cached, Some(&payload)));
            });
            let name = "check with payload, matrix expanded";
            group.bench_function(BenchmarkId::new(name, kind), |b| {
                b.iter(|| check(MatrixBlocks::Expanded(&matrix), Some(&payload)));
            });
        };
        if let Err(error) = backend::with(kind, all) {
            eprintln!("skipped: {error}");
        }
    }
}

criterion_group!(benches, norm);
criterion_main!(benches);
