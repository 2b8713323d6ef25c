//! What a training takes in memory, with an allocator that counts: nothing inside a step, and little before.

#![allow(clippy::unwrap_used)]
// An allocator cannot be written without it.
#![allow(unsafe_code)]

use dawn_learn::{Backend, Dataset, Model, Rounding, Targets, TrainSpec, train::train_with};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::num::NonZeroU16;

thread_local! {
    /// Allocations, bytes that are allocated, and the most that they were.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

fn note(size: i64) {
    // While a thread ends its counters may be gone; then nobody asks for them any more.
    let _ = COUNT.try_with(|count| count.set(count.get() + u64::from(size > 0)));
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + size);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-(layout.size() as i64));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations and the most bytes at once of a training.
fn measure(backend: Backend, model: &Model, data: &Dataset, spec: &TrainSpec) -> (u64, i64) {
    backend.self_test().unwrap();
    let (count, live) = (COUNT.get(), LIVE.get());
    PEAK.set(live);
    let delta = train_with(backend, model, data, spec, [1; 32]).unwrap();
    let measured = (COUNT.get() - count, PEAK.get() - live);
    assert!(delta.values().iter().any(|&value| value != 0));
    measured
}

/// Features of all sizes, so that weights and batches change their exponents.
fn features(samples: usize, inputs: usize) -> Vec<i16> {
    (0..samples * inputs)
        .map(|i| ((i * i % 911) as i16) << (i / inputs % 6))
        .collect()
}

/// Ten targets a sample, as different.
fn with_targets(samples: usize, inputs: usize) -> Dataset {
    let targets = Targets::new(features(samples, 10), 10, 12).unwrap();
    Dataset::with_targets(features(samples, inputs), inputs, 10, targets).unwrap()
}

fn data(samples: usize, inputs: usize) -> Dataset {
    let features = features(samples, inputs);
    let labels = (0..samples).map(|i| (i % 10) as u8).collect();
    Dataset::new(features, inputs, 10, labels).unwrap()
}

#[test]
fn no_step_allocates() {
    let (labels, targets) = (data(75, 60), with_targets(75, 60));
    for model in [
        "logistic:60-10",
        "mlp:60-150-10",
        "mlp:60-20-30-10",
        "linear:60-10",
        "regressor:60-20-30-10",
        "cnn:10x6x1-5k1-7k2-9-10",
    ] {
        let model = Model::initial(model.parse().unwrap(), [1; 32]).unwrap();
        let data = if model.spec().is_regressor() {
            &targets
        } else {
            &labels
        };
        for backend in Backend::available() {
            for (momentum, random) in [(0, false), (58_982, false), (58_982, true)] {
                // The last one with steps that leave the fast way.
                for (batch, learning_rate) in [(1, 6554), (32, 6554), (75, 6554), (8, 16 << 16)] {
                    let spec = |epochs| TrainSpec {
                        epochs,
                        batch,
                        learning_rate,
                        momentum,
                        dropout: NonZeroU16::new(if random { 9000 } else { 0 }),
                        rounding: random.then_some(Rounding::Stochastic),
                    };
                    let (one, _) = measure(backend, &model, data, &spec(1));
                    let (five, _) = measure(backend, &model, data, &spec(5));
                    assert!(one > 0, "the allocator counts");
                    assert_eq!(one, five, "{backend}, {}, {:?}", model.spec(), spec(5));
                }
            }
        }
    }
}

/// At most three times the weights and one batch.
#[test]
fn training_takes_little_memory() {
    const BATCH: usize = 32;
    let model = Model::initial("mlp:784-128-10".parse().unwrap(), [1; 32]).unwrap();
    let data = data(2 * BATCH, 784);
    let most = 3 * 4 * model.weights().len() + 2 * BATCH * 784;
    for momentum in [0, 58_982] {
        let spec = TrainSpec {
            epochs: 1,
            batch: BATCH as u16,
            learning_rate: 6554,
            momentum,
            dropout: None,
            rounding: None,
        };
        let (_, peak) = measure(dawn_learn::backend::current(), &model, &data, &spec);
        println!("momentum {momentum}: {peak} bytes, at most {most}");
        assert!(
            peak > 4 * model.weights().len() as i64 && peak <= most as i64,
            "{peak}"
        );
    }
}
