//! `cargo bench -p dawn-benches --bench core`: every operation on every backend that the processor has, and
//! their limits, at d = 2^12, 2^16 and 2^20.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dawn_benches::core::{Operation, Subject};
use dawn_crypto::backend::{self, BackendKind};

fn operations(criterion: &mut Criterion) {
    for dim in [1 << 12, 1 << 16, 1 << 20] {
        let mut group = criterion.benchmark_group(format!("d={dim}"));
        group
            .throughput(Throughput::Elements(dim as u64))
            .sample_size(20);
        let mut subject = Subject::new(dim).expect("in range");
        group.bench_function("limit/aes", |b| b.iter(|| subject.run_aes()));
        group.bench_function("limit/blake3", |b| b.iter(|| subject.run_blake3()));
        group.bench_function("limit/add", |b| b.iter(|| subject.run_add()));
        for kind in BackendKind::ALL {
            for (name, operation) in [
                ("mask", Operation::Mask),
                ("aggregate", Operation::Aggregate),
                ("unmask", Operation::Unmask),
            ] {
                let work = || {
                    group.bench_function(BenchmarkId::new(name, kind), |b| {
                        b.iter(|| subject.run(operation));
                    });
                };
                if let Err(error) = backend::with(kind, work) {
                    eprintln!("skipped: {error}");
                    break;
                }
            }
        }
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);
