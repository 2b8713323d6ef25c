//! Fixed point loses no accuracy: the same training in `f64` is no better.

#![allow(clippy::unwrap_used)]

use dawn_learn::data::digits;
use dawn_learn::{Dataset, Model, TrainSpec, apply_update, evaluate, train};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Dense layers in `f64`: weights (outputs x inputs) and biases of each.
struct Twin {
    layers: Vec<(Vec<Vec<f64>>, Vec<f64>)>,
}

impl Twin {
    /// Starts from the same weights.
    fn new(model: &Model) -> Self {
        let text = model.spec().to_string();
        let (_, sizes) = text.split_once(':').unwrap();
        let sizes: Vec<u32> = sizes.split('-').map(|size| size.parse().unwrap()).collect();
        let mut weights = model
            .weights()
            .iter()
            .map(|&w| f64::from(w) / f64::from(1 << 24));
        let mut take = |count: u32| weights.by_ref().take(count as usize).collect::<Vec<f64>>();
        let layers = sizes
            .windows(2)
            .map(|size| ((0..size[1]).map(|_| take(size[0])).collect(), take(size[1])))
            .collect();
        Self { layers }
    }

    /// Inputs of every layer, then the logits.
    fn forward(&self, sample: &[f64]) -> Vec<Vec<f64>> {
        let mut values = vec![sample.to_vec()];
        for (index, (weights, biases)) in self.layers.iter().enumerate() {
            let input = &values[index];
            let output = weights.iter().zip(biases).map(|(row, bias)| {
                let sum = bias + row.iter().zip(input).map(|(w, x)| w * x).sum::<f64>();
                if index + 1 < self.layers.len() {
                    sum.max(0.0)
                } else {
                    sum
                }
            });
            let output = output.collect();
            values.push(output);
        }
        values
    }

    fn step(&mut self, data: &Dataset, batch: &[usize], rate: f64) {
        let mut changes: Vec<(Vec<Vec<f64>>, Vec<f64>)> = self
            .layers
            .iter()
            .map(|(weights, biases)| {
                (
                    vec![vec![0.0; weights[0].len()]; weights.len()],
                    vec![0.0; biases.len()],
                )
            })
            .collect();
        for &index in batch {
            let values = self.forward(&sample(data, index));
            let logits = &values[self.layers.len()];
            let largest = logits.iter().copied().fold(f64::MIN, f64::max);
            let exponentials: Vec<f64> = logits.iter().map(|z| (z - largest).exp()).collect();
            let total: f64 = exponentials.iter().sum();
            let mut gradient: Vec<f64> = exponentials.iter().map(|e| e / total).collect();
            gradient[usize::from(data.labels()[index])] -= 1.0;
            for (layer, (weights, biases)) in changes.iter_mut().enumerate().rev() {
                let input = &values[layer];
                for ((row, bias), g) in weights.iter_mut().zip(biases).zip(&gradient) {
                    row.iter_mut()
                        .zip(input)
                        .for_each(|(change, x)| *change += g * x);
                    *bias += g;
                }
                let back = |j: usize| {
                    self.layers[layer]
                        .0
                        .iter()
                        .zip(&gradient)
                        .map(|(row, g)| row[j] * g)
                        .sum::<f64>()
                };
                gradient = (0..input.len())
                    .map(|j| if input[j] > 0.0 { back(j) } else { 0.0 })
                    .collect();
            }
        }
        let rate = rate / batch.len() as f64;
        for ((weights, biases), (changes, bias_changes)) in self.layers.iter_mut().zip(changes) {
            for (row, changes) in weights.iter_mut().zip(changes) {
                row.iter_mut()
                    .zip(changes)
                    .for_each(|(weight, change)| *weight -= rate * change);
            }
            biases
                .iter_mut()
                .zip(bias_changes)
                .for_each(|(bias, change)| *bias -= rate * change);
        }
    }

    fn accuracy(&self, data: &Dataset) -> f64 {
        let correct = (0..data.len()).filter(|&index| {
            let values = self.forward(&sample(data, index));
            let logits = values.last().unwrap();
            let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            best == Some(usize::from(data.labels()[index]))
        });
        correct.count() as f64 / data.len() as f64
    }
}

fn sample(data: &Dataset, index: usize) -> Vec<f64> {
    data.row(index)
        .iter()
        .map(|&x| f64::from(x) / f64::from(1u32 << data.exponent()))
        .collect()
}

#[test]
fn the_float_twin_is_no_better() {
    let data = digits().unwrap();
    for (model, epochs, rate) in [("logistic:64-10", 10u16, 0.5), ("mlp:64-32-10", 15, 0.2)] {
        let mut difference = 0.0;
        for seed in 1..=4u8 {
            let start = Model::initial(model.parse().unwrap(), [seed; 32]).unwrap();
            let spec = TrainSpec {
                epochs,
                batch: 16,
                learning_rate: (rate * 65536.0) as u32,
                momentum: 0,
            };
            let delta = train(&start, &data.train, &spec, [seed; 32]).unwrap();
            let trained = apply_update(&start, delta.values(), 1, 0).unwrap();

            let mut twin = Twin::new(&start);
            let mut rng = ChaCha20Rng::seed_from_u64(seed.into());
            for _ in 0..epochs {
                let mut order: Vec<(u64, usize)> = (0..data.train.len())
                    .map(|index| (rng.next_u64(), index))
                    .collect();
                order.sort_unstable();
                let order: Vec<usize> = order.into_iter().map(|(_, index)| index).collect();
                order
                    .chunks(16)
                    .for_each(|batch| twin.step(&data.train, batch, rate));
            }
            difference += (evaluate(&trained, &data.test).unwrap().accuracy()
                - twin.accuracy(&data.test))
                / 4.0;
        }
        println!(
            "{model}: fixed point minus float {:+.2} points",
            100.0 * difference
        );
        assert!(difference > -0.01, "{model}: {difference}");
    }
}
