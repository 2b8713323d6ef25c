//! Training once more, for tests: `docs/learning.md`, section 3, sentence by sentence, with long integers, no packing, no
//! blocks and no fast way. Every backend must give these bits.

mod convolution;
mod tests;

use crate::backend::Backend;
use crate::data::{Dataset, Targets};
use crate::model::Model;
use crate::randomness::{index, labels, permutation};
use crate::softmax;
use crate::spec::ModelSpec;
use crate::train::{TrainSpec, run};
use crate::way::adapter::Adapter;
use crate::way::part::{Part, pull};
use crate::way::{RoundWay, Way};

/// `v * 2^power`, to nearest, ties towards plus infinity.
fn scale(v: i128, power: i32) -> i128 {
    let shift = power.unsigned_abs().min(120);
    if power >= 0 {
        // No factor is large enough to need more than 120 bits, or it saturates at the next clamp anyway.
        return v << shift.min(60);
    }
    (2 * v + (1 << shift)).div_euclid(2 << shift)
}

/// Mantissas and their exponent.
type Tensor = (Vec<i128>, i32);

fn narrow(values: &[i128], exponent: i32, most: i32) -> Tensor {
    let largest = values.iter().map(|v| v.abs()).max().unwrap_or(0);
    let bits = (i128::BITS - largest.leading_zeros()).cast_signed();
    let shift = (bits - 12).max(exponent - most).max(0);
    let mantissas = values.iter().map(|&v| scale(v, -shift).clamp(-4095, 4095));
    (mantissas.collect(), exponent - shift)
}

struct Rule {
    rate: i128,
    rate_exponent: i32,
    momentum: Option<i128>,
}

impl Rule {
    fn new(spec: &TrainSpec, rows: usize) -> Self {
        let quotient = (u64::from(spec.learning_rate) << 32) / rows as u64;
        let shift = (64 - quotient.leading_zeros().cast_signed() - 16).max(0);
        Self {
            rate: scale(quotient.into(), -shift),
            rate_exponent: 48 - shift,
            momentum: (spec.momentum > 0).then_some(spec.momentum.into()),
        }
    }

    fn step(
        &self,
        (weight, velocity): (&mut i128, &mut i128),
        (gradient, exponent): (i128, i32),
        offset: i128,
    ) {
        const MOST: i128 = i32::MAX as i128;
        let mut v =
            scale(gradient * self.rate, 28 - exponent - self.rate_exponent).clamp(-MOST, MOST);
        if let Some(momentum) = self.momentum {
            v = (v + scale(*velocity * momentum, -16)).clamp(-MOST, MOST);
            *velocity = v;
        }
        *weight = (*weight - (v + offset).div_euclid(16)).clamp(-MOST, MOST);
    }
}

/// So many bytes of a stream.
fn stream(label: &str, seed: &[u8; 32], step: u64, len: usize) -> Vec<u8> {
    let key = blake3::derive_key(label, seed);
    let mut bytes = vec![0; len];
    blake3::Hasher::new_keyed(&key)
        .update(&step.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Section 3.2, dropout: what is left of units, and whether their gradients are.
fn leave_out(units: &mut Tensor, rate: u16, seed: &[u8; 32], number: u64) {
    let bytes = stream(labels::DROPOUT, seed, number, 2 * units.0.len());
    for (unit, bytes) in units.0.iter_mut().zip(bytes.chunks(2)) {
        if u16::from_le_bytes([bytes[0], bytes[1]]) < rate {
            *unit = 0;
        }
    }
    make_up(units, rate);
}

fn make_up(units: &mut Tensor, rate: u16) {
    let kept = 65536 - i128::from(rate);
    let power = (1..).find(|power| kept << power >= 65536).expect("a power");
    let multiplier = ((1 << 33) / (kept << power) + 1) / 2;
    for unit in &mut units.0 {
        *unit = scale(*unit * multiplier, -16);
    }
    units.1 -= power;
}

/// Section 3.2, stochastic rounding: what is added to the steps of a layer, input by input, then to those of the biases.
fn offsets(spec: &TrainSpec, seed: &[u8; 32], number: u64, len: usize) -> Vec<i128> {
    if spec.rounding.is_none() {
        return vec![8; len];
    }
    let bytes = stream(labels::ROUNDING, seed, number, len.div_ceil(2));
    (0..len)
        .map(|n| i128::from(bytes[n / 2] >> (4 * (n % 2)) & 15))
        .collect()
}

/// The gradient of the loss by the outputs, in units of 2^-24.
fn by_outputs(sums: &[i128], exponent: i32, data: &Dataset, batch: &[u64]) -> Vec<i128> {
    let samples = batch.iter().map(|&entry| index(entry));
    if let Some(targets) = data.targets() {
        const MOST: i128 = 1 << 40;
        let rows = samples.flat_map(|sample| targets.row(sample));
        return sums
            .iter()
            .zip(rows)
            .map(|(&sum, &target)| {
                let output = scale(sum, 24 - exponent).clamp(-MOST, MOST);
                let target = i128::from(target) << (24 - targets.exponent());
                (output - target).clamp(-MOST, MOST)
            })
            .collect();
    }
    let logits: Vec<i64> = sums
        .iter()
        .map(|&z| z.try_into().expect("64 bits"))
        .collect();
    let labels = samples.map(|sample| data.labels()[sample].into());
    let mut out = vec![0; logits.len()];
    let mut totals = vec![softmax::Total::default(); batch.len()];
    softmax::gradient(&logits, exponent, labels, &mut totals, &mut out);
    out.into_iter().map(i128::from).collect()
}

/// What is trained: every parameter and its velocity, and of layers with adapters `B` and its velocities.
struct State {
    w: Vec<i128>,
    v: Vec<i128>,
    b: Vec<Vec<i128>>,
    bv: Vec<Vec<i128>>,
}

/// What a way changes: the parts of the layers, and the pull.
type Trained = (Vec<Part>, Option<u32>);

/// The proximal term of a parameter's step.
fn draw_back(w: &mut i128, v: Option<&mut i128>, anchor: i32, pull: u32) {
    const MOST: i128 = i32::MAX as i128;
    let p = scale((*w - i128::from(anchor)) * i128::from(pull), -20).clamp(-MOST, MOST);
    if let Some(v) = v {
        *v = (*v + p).clamp(-MOST, MOST);
    }
    *w = (*w - scale(p, -4)).clamp(-MOST, MOST);
}

/// The step of a layer with an adapter, `inputs` being narrowed.
fn step_low_rank(
    adapter: &Adapter,
    (b, bv): (&mut [i128], &mut [i128]),
    (x, g): (&Tensor, &Tensor),
    (weights, start): (&mut [i128], &[i32]),
    (rule, offsets): (&Rule, &[i128]),
) {
    const MOST: i128 = i32::MAX as i128;
    let (rank, inputs) = (adapter.rank, adapter.inputs);
    let outputs = weights.len() / inputs;
    let sign = |k: usize, i: usize| i128::from(adapter.signs[k * inputs + i]);
    let projected: Vec<i128> =
        x.0.chunks(inputs)
            .flat_map(|row| (0..rank).map(|k| (0..inputs).map(|i| row[i] * sign(k, i)).sum()))
            .collect();
    let p = narrow(&projected, x.1 + adapter.shift.cast_signed(), 24);
    for output in 0..outputs {
        for k in 0..rank {
            let rows = p.0.chunks(rank).zip(g.0.chunks(outputs));
            let sum = rows.map(|(p, g)| p[k] * g[output]).sum();
            let place = output * rank + k;
            let offset = offsets[k * outputs + output];
            rule.step((&mut b[place], &mut bv[place]), (sum, g.1 + p.1), offset);
        }
    }
    for (place, weight) in weights.iter_mut().enumerate() {
        let (output, input) = (place / inputs, place % inputs);
        let sum = (0..rank)
            .map(|k| b[output * rank + k] * sign(k, input))
            .sum();
        let moved = i128::from(start[place]) + scale(sum, -adapter.shift.cast_signed());
        *weight = moved.clamp(-MOST, MOST);
    }
}

fn step(
    model: &Model,
    (parts, pull): &Trained,
    state: &mut State,
    data: &Dataset,
    batch: &[u64],
    (spec, seed, steps): (&TrainSpec, &[u8; 32], u64),
) {
    let (layers, rows) = (model.spec().layers(), batch.len());
    let convolutions: Vec<_> = model.spec().convolutions().collect();
    let mut largest = Vec::new();
    let State { w, v, b, bv } = state;
    let samples: Vec<i128> = batch
        .iter()
        .flat_map(|&entry| data.row(index(entry)).iter().map(|&x| x.into()))
        .collect();
    let mut inputs = vec![narrow(&samples, data.exponent().into(), 24)];
    let weights: Vec<Tensor> = layers
        .iter()
        .map(|layer| narrow(&w[layer.weights()], 24, 24))
        .collect();
    let mut gradient: Tensor = (Vec::new(), 0);
    for (l, layer) in layers.iter().enumerate() {
        let (x, m) = (&inputs[l], &weights[l]);
        let exponent = x.1 + m.1;
        if let Some(shape) = convolutions.get(l) {
            let (sums, places) = convolution::forward(shape, (x, m), &w[layer.biases()]);
            let mut units = narrow(&sums, exponent, 24);
            if let (Some(rate), true) = (spec.dropout, l + 1 == convolutions.len()) {
                leave_out(&mut units, rate.get(), seed, 16 * steps + l as u64 + 1);
            }
            inputs.push(units);
            largest.push(places);
            continue;
        }
        let mut sums = Vec::new();
        for row in x.0.chunks(layer.inputs) {
            for (weights, &bias) in m.0.chunks(layer.inputs).zip(&w[layer.biases()]) {
                let sum: i128 = row.iter().zip(weights).map(|(x, w)| x * w).sum();
                sums.push(sum + scale(bias, exponent - 24));
            }
        }
        if l + 1 < layers.len() {
            sums.iter_mut().for_each(|sum| *sum = (*sum).max(0));
            let mut units = narrow(&sums, exponent, 24);
            if let Some(rate) = spec.dropout {
                leave_out(&mut units, rate.get(), seed, 16 * steps + l as u64 + 1);
            }
            inputs.push(units);
            continue;
        }
        gradient = narrow(&by_outputs(&sums, exponent, data, batch), 24, 32);
    }
    let rule = Rule::new(spec, rows);
    for (l, layer) in layers.iter().enumerate().rev() {
        let (x, g) = (&inputs[l], &gradient);
        let of_convolution = convolutions
            .get(l)
            .map(|shape| convolution::backward(shape, (x, &weights[l], g), &largest[l]));
        // An adapter has no more parameters than its layer.
        let count = (layer.inputs + 1) * layer.outputs;
        let offsets = offsets(spec, seed, 16 * steps + l as u64, count);
        let offset = |input: usize, output: usize| offsets[input * layer.outputs + output];
        let at = |row: usize, output: usize| g.0[row * layer.outputs + output];
        if let Some(pull) = *pull {
            for place in layer.weights().chain(layer.biases()) {
                let moving = rule.momentum.map(|_| &mut v[place]);
                draw_back(&mut w[place], moving, model.weights()[place], pull);
            }
        }
        if let Some((by_weights, by_biases, by_pixels)) = of_convolution {
            if parts[l] != Part::Frozen {
                for (n, (place, sum)) in layer.weights().zip(by_weights).enumerate() {
                    let offset = offset(n % layer.inputs, n / layer.inputs);
                    rule.step((&mut w[place], &mut v[place]), (sum, g.1 + x.1), offset);
                }
                for (n, (place, sum)) in layer.biases().zip(by_biases).enumerate() {
                    let offset = offset(layer.inputs, n);
                    rule.step((&mut w[place], &mut v[place]), (sum, g.1), offset);
                }
            }
            let back: Vec<i128> = by_pixels
                .into_iter()
                .zip(&x.0)
                .map(|(sum, &x)| if x == 0 { 0 } else { sum })
                .collect();
            gradient = narrow(&back, g.1 + weights[l].1, 32);
            continue;
        }
        match &parts[l] {
            Part::Frozen => {}
            Part::Adapter(adapter) => {
                let (b, start) = (
                    (&mut b[l][..], &mut bv[l][..]),
                    &model.weights()[layer.weights()],
                );
                let weights = (&mut w[layer.weights()], start);
                step_low_rank(adapter, b, (x, g), weights, (&rule, &offsets));
            }
            Part::Full | Part::Private => {
                for output in 0..layer.outputs {
                    for input in 0..layer.inputs {
                        let sum = (0..rows)
                            .map(|row| at(row, output) * x.0[row * layer.inputs + input])
                            .sum();
                        let place = layer.weights().start + output * layer.inputs + input;
                        let offset = offset(input, output);
                        rule.step((&mut w[place], &mut v[place]), (sum, g.1 + x.1), offset);
                    }
                }
            }
        }
        if parts[l] != Part::Frozen {
            for output in 0..layer.outputs {
                let sum = (0..rows).map(|row| at(row, output)).sum();
                let place = layer.biases().start + output;
                let before = match &parts[l] {
                    Part::Adapter(adapter) => adapter.rank,
                    _ => layer.inputs,
                };
                let offset = offset(before, output);
                rule.step((&mut w[place], &mut v[place]), (sum, g.1), offset);
            }
        }
        if l > 0 {
            let m = &weights[l];
            let mut back = Vec::new();
            for row in 0..rows {
                for input in 0..layer.inputs {
                    let sum = (0..layer.outputs)
                        .map(|o| at(row, o) * m.0[o * layer.inputs + input])
                        .sum();
                    back.push(if x.0[row * layer.inputs + input] == 0 {
                        0
                    } else {
                        sum
                    });
                }
            }
            gradient = narrow(&back, g.1 + m.1, 32);
            if let Some(rate) = spec.dropout {
                make_up(&mut gradient, rate.get());
            }
        }
    }
}

/// What a device sends, and with a personal head what it keeps, one after the other.
fn reference(
    model: &Model,
    trained: &Trained,
    data: &Dataset,
    spec: &TrainSpec,
    seed: [u8; 32],
) -> Vec<i32> {
    let layers = model.spec().layers();
    let adapters = || {
        layers
            .iter()
            .zip(&trained.0)
            .map(|(layer, part)| match part {
                Part::Adapter(adapter) => vec![0; adapter.rank * layer.outputs],
                _ => Vec::new(),
            })
    };
    let mut state = State {
        w: model.weights().iter().map(|&w| w.into()).collect(),
        v: vec![0; model.weights().len()],
        b: adapters().collect(),
        bv: adapters().collect(),
    };
    let (mut order, mut steps) = (Vec::new(), 0);
    for epoch in 0..spec.epochs {
        permutation(
            labels::SHUFFLE,
            &seed,
            epoch.into(),
            &mut order,
            data.len() as u32,
        );
        for batch in order.chunks(spec.batch.into()) {
            let noise = (spec, &seed, steps);
            step(model, trained, &mut state, data, batch, noise);
            steps += 1;
        }
    }
    let change = |place: usize| {
        let difference = state.w[place] - i128::from(model.weights()[place]);
        difference.clamp(-i128::from(i32::MAX), i32::MAX.into())
    };
    let mut sent = Vec::new();
    for ((layer, part), b) in layers.iter().zip(&trained.0).zip(&state.b) {
        match part {
            Part::Frozen => continue,
            Part::Adapter(_) => sent.extend_from_slice(b),
            Part::Full | Part::Private => sent.extend(layer.weights().map(change)),
        }
        sent.extend(layer.biases().map(change));
    }
    sent.into_iter().map(|x| x as i32).collect()
}

fn check(model: &Model, data: &Dataset, spec: &TrainSpec) {
    let all = vec![Part::Full; model.spec().layers().len()];
    check_parts(model, (all, None), data, spec);
}

fn check_parts(model: &Model, trained: Trained, data: &Dataset, spec: &TrainSpec) {
    let expected = reference(model, &trained, data, spec, [3; 32]);
    for backend in Backend::available() {
        let delta = run(backend, model, trained.clone(), data, spec, [3; 32]).expect("trains");
        assert_eq!(delta.values().len(), expected.len());
        let differs = delta
            .values()
            .iter()
            .zip(&expected)
            .position(|(a, b)| a != b);
        assert_eq!(
            differs.map(|at| (at, delta.values()[at], expected[at])),
            None,
            "{backend}: {} {spec:?}",
            model.spec()
        );
    }
}
