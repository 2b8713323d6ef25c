//! `cargo bench -p dawn-benches --features opendp --bench samplers`: our discrete Gaussians beside OpenDP's exact
//! sampler (Canonne, Kamath, Steinke 2020; the build with `contrib` only, as the accountant uses it).

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dawn_crypto::backend::{self, BackendKind};
use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::noise::NoiseStream;
use dawn_crypto::params::Sigma;
use std::hint::black_box;

fn samplers(criterion: &mut Criterion) {
    for units in [
        294_912u64,
        417_069,
        8 << 16,
        6_586_368,
        18_000 << 16,
        1 << 40,
    ] {
        let sigma = Sigma::new(units).expect("in range");
        let mut group = criterion.benchmark_group(format!("sigma={}", sigma.to_f64()));
        group.sample_size(20).throughput(Throughput::Elements(1));
        group.bench_function("opendp", |b| {
            b.iter(|| black_box(dawn_benches::samplers::opendp(sigma)));
        });
        let sampler = Gaussian::new(sigma);
        let mut noise = NoiseStream::from_seed(&[1; 32]);
        let mut out = vec![0; 4096];
        group.throughput(Throughput::Elements(out.len() as u64));
        for kind in BackendKind::ALL {
            let work = || {
                group.bench_function(kind.name(), |b| {
                    b.iter(|| sampler.fill(&mut noise, black_box(&mut out)));
                });
            };
            if let Err(error) = backend::with(kind, work) {
                eprintln!("skipped: {error}");
            }
        }
    }
}

criterion_group!(benches, samplers);
criterion_main!(benches);
