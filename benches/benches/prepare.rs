//! `cargo bench -p dawn-benches --features prepare --bench prepare`: what a device does for one submission.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dawn_benches::prepare::Device;
use dawn_crypto::backend::{self, BackendKind};

fn submissions(criterion: &mut Criterion) {
    for dim in [1 << 12, 1 << 16, 1 << 20] {
        let mut group = criterion.benchmark_group(format!("d={dim}"));
        group
            .throughput(Throughput::Elements(dim as u64))
            .sample_size(10);
        let mut device = Device::new(dim);
        for kind in BackendKind::ALL {
            let work = || {
                group.bench_function(BenchmarkId::new("prepare", kind), |b| {
                    b.iter(|| device.prepare());
                });
            };
            if let Err(error) = backend::with(kind, work) {
                eprintln!("skipped: {error}");
            }
        }
    }
}

criterion_group!(benches, submissions);
criterion_main!(benches);
