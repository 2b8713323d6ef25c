//! Federated averaging on the built-in digits with both presets and models: the table of `docs/learning.md`.
//!
//! `cargo run -p dawn-learn --example federated`

#[path = "../tests/support/mod.rs"]
mod support;

use dawn_learn::{ModelSpec, Preset};
use support::Federation;

const SEEDS: u8 = 8;

fn main() {
    println!(
        "accuracy on the test images after every round, mean of {SEEDS} seeds; worst seed after the last"
    );
    for preset in [Preset::Plain, Preset::Private] {
        for model in ["logistic:64-10", "mlp:64-32-10"] {
            let spec: ModelSpec = model.parse().expect("a model");
            let settings = preset.settings(&spec);
            let federation = match preset {
                Preset::Plain => Federation::plain(spec, settings),
                Preset::Private => Federation::private(spec, settings),
            };
            let mut means = vec![0.0; federation.rounds as usize];
            let mut worst: f64 = 1.0;
            for seed in 1..=SEEDS {
                let history = federation.run(seed);
                for (mean, evaluation) in means.iter_mut().zip(&history) {
                    *mean += evaluation.accuracy() / f64::from(SEEDS);
                }
                worst = history
                    .last()
                    .map_or(worst, |last| worst.min(last.accuracy()));
            }
            print!("{preset:8} {model:15}");
            means
                .iter()
                .for_each(|mean| print!(" {:5.1}", 100.0 * mean));
            println!("   worst {:.1}", 100.0 * worst);
        }
    }
}
