//! Training once more, for tests: `docs/learning.md`, section 3, sentence by sentence, with long integers, no packing, no
//! blocks and no fast way. Every backend must give these bits.

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
use proptest::prelude::*;

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

    fn step(&self, weight: &mut i128, velocity: &mut i128, gradient: i128, exponent: i32) {
        const MOST: i128 = i32::MAX as i128;
        let mut v =
            scale(gradient * self.rate, 28 - exponent - self.rate_exponent).clamp(-MOST, MOST);
        if let Some(momentum) = self.momentum {
            v = (v + scale(*velocity * momentum, -16)).clamp(-MOST, MOST);
            *velocity = v;
        }
        *weight = (*weight - scale(v, -4)).clamp(-MOST, MOST);
    }
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
    rule: &Rule,
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
            rule.step(&mut b[place], &mut bv[place], sum, g.1 + p.1);
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
    spec: &TrainSpec,
) {
    let (layers, rows) = (model.spec().layers(), batch.len());
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
        let mut sums = Vec::new();
        for row in x.0.chunks(layer.inputs) {
            for (weights, &bias) in m.0.chunks(layer.inputs).zip(&w[layer.biases()]) {
                let sum: i128 = row.iter().zip(weights).map(|(x, w)| x * w).sum();
                sums.push(sum + scale(bias, exponent - 24));
            }
        }
        if l + 1 < layers.len() {
            sums.iter_mut().for_each(|sum| *sum = (*sum).max(0));
            inputs.push(narrow(&sums, exponent, 24));
            continue;
        }
        gradient = narrow(&by_outputs(&sums, exponent, data, batch), 24, 32);
    }
    let rule = Rule::new(spec, rows);
    for (l, layer) in layers.iter().enumerate().rev() {
        let (x, g) = (&inputs[l], &gradient);
        let at = |row: usize, output: usize| g.0[row * layer.outputs + output];
        if let Some(pull) = *pull {
            for place in layer.weights().chain(layer.biases()) {
                let moving = rule.momentum.map(|_| &mut v[place]);
                draw_back(&mut w[place], moving, model.weights()[place], pull);
            }
        }
        match &parts[l] {
            Part::Frozen => {}
            Part::Adapter(adapter) => {
                let (b, start) = (
                    (&mut b[l][..], &mut bv[l][..]),
                    &model.weights()[layer.weights()],
                );
                let weights = (&mut w[layer.weights()], start);
                step_low_rank(adapter, b, (x, g), weights, &rule);
            }
            Part::Full | Part::Private => {
                for output in 0..layer.outputs {
                    for input in 0..layer.inputs {
                        let sum = (0..rows)
                            .map(|row| at(row, output) * x.0[row * layer.inputs + input])
                            .sum();
                        let place = layer.weights().start + output * layer.inputs + input;
                        rule.step(&mut w[place], &mut v[place], sum, g.1 + x.1);
                    }
                }
            }
        }
        if parts[l] != Part::Frozen {
            for output in 0..layer.outputs {
                let sum = (0..rows).map(|row| at(row, output)).sum();
                let place = layer.biases().start + output;
                rule.step(&mut w[place], &mut v[place], sum, g.1);
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
    let mut order = Vec::new();
    for epoch in 0..spec.epochs {
        permutation(
            labels::SHUFFLE,
            &seed,
            epoch.into(),
            &mut order,
            data.len() as u32,
        );
        for batch in order.chunks(spec.batch.into()) {
            step(model, trained, &mut state, data, batch, spec);
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

/// Features of which some are large, labels of all classes or targets as large as features.
fn data(samples: usize, model: &ModelSpec, exponent: u8, bits: u32) -> Dataset {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 33
    };
    let mut numbers = |count: usize| -> Vec<i16> {
        (0..count)
            .map(|_| (next() % (2 << bits)) as i64 - (1 << bits))
            .map(|x| x.clamp(i16::MIN.into(), i16::MAX.into()) as i16)
            .collect()
    };
    let features = numbers(samples * inputs);
    if model.is_regressor() {
        let targets = Targets::new(numbers(samples * outputs), outputs, exponent).expect("fits");
        return Dataset::with_targets(features, inputs, exponent, targets).expect("fits");
    }
    let labels = (0..samples)
        .map(|_| (next() % outputs as u64) as u8)
        .collect();
    Dataset::new(features, inputs, exponent, labels).expect("fits")
}

/// Shapes that meet every way: sums of 32 and of 64 bits forward, backward and over the batch; lanes, rows and pairs that are
/// not full; weights that grow and shrink by bits while they are trained.
#[test]
fn every_backend_gives_the_bits_of_the_document() {
    for (model, samples, batch, bits, rate, momentum) in [
        ("logistic:1-2", 5, 1, 3, 1 << 16, 0),
        ("logistic:300-17", 20, 7, 15, 600, 0),
        ("logistic:300-17", 20, 8, 8, 1 << 14, 58_982),
        ("mlp:20-33-10", 70, 32, 8, 1 << 13, 0),
        ("mlp:20-33-10", 70, 32, 8, 1 << 12, 58_982),
        ("mlp:140-150-150", 150, 9, 12, 500, 0),
        ("mlp:9-24-40", 300, 300, 15, 1 << 10, 30_000),
        ("mlp:9-24-40", 300, 299, 12, 1 << 17, 0),
        ("linear:30-17", 50, 7, 10, 1 << 10, 58_982),
        ("linear:300-2", 50, 32, 15, 1 << 16, 0),
        ("regressor:9-24-3", 70, 32, 8, 1 << 10, 0),
        ("regressor:9-24-20-3", 70, 32, 15, 1 << 12, 58_982),
        ("mlp:12-33-20-7", 70, 32, 8, 1 << 13, 0),
        ("mlp:20-40-150-17-10", 60, 20, 12, 1 << 11, 58_982),
        ("mlp:5-9-8-7-6-5-4-3-2-3", 40, 7, 10, 1 << 14, 0),
    ] {
        let spec = TrainSpec {
            epochs: 3,
            batch,
            learning_rate: rate,
            momentum,
        };
        let model = Model::initial(model.parse().expect("a model"), [5; 32]).expect("a model");
        let data = data(samples, &model.spec(), 8, bits);
        check(&model, &data, &spec);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    /// At the ends of the ranges of weights, features, rates and momenta.
    #[test]
    fn every_backend_gives_the_bits_of_the_document_at_the_extremes(
        weights in prop::collection::vec(prop_oneof![-i32::MAX..=i32::MAX, -1000i32..1000, Just(i32::MAX), Just(0)], 3 * 4 + 4 + 4 * 3 + 3),
        features in prop::collection::vec(prop_oneof![any::<i16>(), -10i16..10, Just(i16::MIN), Just(i16::MAX)], 3 * 6),
        labels in prop::collection::vec(0u8..3, 6),
        exponent in 0u8..=15,
        shift in 0u32..32,
        batch in 1u16..=6,
        learning_rate in prop_oneof![1u32..=16 << 16, 1u32..100],
        momentum in prop_oneof![Just(0u16), any::<u16>()],
    ) {
        let weights = weights.into_iter().map(|w| w >> shift).map(|w| w.max(-i32::MAX)).collect();
        let model = Model::from_weights("mlp:3-4-3".parse().expect("a model"), weights).expect("a model");
        let data = Dataset::new(features, 3, exponent, labels).expect("fits");
        check(&model, &data, &TrainSpec { epochs: 3, batch, learning_rate, momentum });
    }

    /// The same for targets.
    #[test]
    fn every_backend_gives_the_bits_of_the_document_at_the_extremes_of_targets(
        weights in prop::collection::vec(prop_oneof![-i32::MAX..=i32::MAX, -1000i32..1000, Just(i32::MAX), Just(0)], 3 * 4 + 4 + 4 * 3 + 3),
        features in prop::collection::vec(prop_oneof![any::<i16>(), -10i16..10, Just(i16::MIN), Just(i16::MAX)], 3 * 6),
        targets in prop::collection::vec(prop_oneof![any::<i16>(), Just(i16::MIN), Just(i16::MAX)], 3 * 6),
        (exponent, target_exponent) in (0u8..=15, 0u8..=15),
        shift in 0u32..32,
        batch in 1u16..=6,
        learning_rate in prop_oneof![1u32..=16 << 16, 1u32..100],
        momentum in prop_oneof![Just(0u16), any::<u16>()],
    ) {
        let weights = weights.into_iter().map(|w| w >> shift).map(|w| w.max(-i32::MAX)).collect();
        let model = Model::from_weights("regressor:3-4-3".parse().expect("a model"), weights).expect("a model");
        let targets = Targets::new(targets, 3, target_exponent).expect("fits");
        let data = Dataset::with_targets(features, 3, exponent, targets).expect("fits");
        check(&model, &data, &TrainSpec { epochs: 3, batch, learning_rate, momentum });
    }

    /// So do adapters, frozen layers and the proximal term.
    #[test]
    fn every_backend_gives_the_bits_of_the_document_for_every_way(
        weights in prop::collection::vec(prop_oneof![-i32::MAX..=i32::MAX, -1000i32..1000, Just(i32::MAX), Just(0)], 3 * 4 + 4 + 4 * 3 + 3),
        features in prop::collection::vec(prop_oneof![any::<i16>(), -10i16..10, Just(i16::MIN), Just(i16::MAX)], 3 * 6),
        labels in prop::collection::vec(0u8..3, 6),
        exponent in 0u8..=15,
        shift in 0u32..32,
        batch in 1u16..=6,
        learning_rate in prop_oneof![1u32..=16 << 16, 1u32..100],
        momentum in prop_oneof![Just(0u16), any::<u16>()],
        kinds in prop::array::uniform2(0usize..5),
        pull in prop_oneof![Just(None), (1u32..=1 << 24).prop_map(Some)],
    ) {
        let weights = weights.into_iter().map(|w| w >> shift).map(|w| w.max(-i32::MAX)).collect();
        let model = Model::from_weights("mlp:3-4-3".parse().expect("a model"), weights).expect("a model");
        let data = Dataset::new(features, 3, exponent, labels).expect("fits");
        let parts = kinds.into_iter().zip([3, 4]).zip(0u32..).map(|((kind, inputs), layer)| match kind {
            0 => Part::Frozen,
            1 => Part::Full,
            rank => Part::Adapter(Adapter::draw(rank - 1, inputs, &[8; 32], 2, layer)),
        });
        let parts: Vec<Part> = parts.collect();
        // The two are different ways; a pull is of whole layers.
        let pull = pull.filter(|_| parts.iter().all(|part| *part == Part::Full));
        check_parts(&model, (parts, pull), &data, &TrainSpec { epochs: 3, batch, learning_rate, momentum });
    }
}

/// Ordinary trainings, of shapes with lanes, rows and pairs that are not full.
#[test]
fn every_way_gives_the_bits_of_the_document() {
    for (model, way, batch, rate, momentum) in [
        ("logistic:300-17", "low-rank:5", 7, 600, 0),
        ("mlp:20-33-10", "low-rank:19-1", 32, 1 << 13, 0),
        ("mlp:20-33-10", "low-rank:4-full", 32, 1 << 12, 58_982),
        ("mlp:140-150-150", "low-rank:0-17", 9, 500, 30_000),
        ("mlp:20-33-10", "fedprox:0.5", 32, 1 << 13, 0),
        ("mlp:20-33-10", "fedprox:1", 32, 1 << 12, 58_982),
        ("logistic:300-17", "fedprox:16", 8, 1 << 12, 0),
        ("mlp:20-33-10", "personal:1", 32, 1 << 12, 58_982),
        ("regressor:20-33-2", "low-rank:4-2", 32, 1 << 10, 58_982),
        ("regressor:20-33-2", "fedprox:0.5", 32, 1 << 10, 0),
    ] {
        let spec = TrainSpec {
            epochs: 3,
            batch,
            learning_rate: rate,
            momentum,
        };
        let model = Model::initial(model.parse().expect("a model"), [5; 32]).expect("a model");
        let shape = model.spec();
        let way = Way::parse(way, &shape).expect("a way");
        let round = RoundWay::new(&shape, way.as_ref(), &[6; 32], 3).expect("a way that fits");
        let data = data(70, &shape, 8, 8);
        let pull = match way {
            Some(Way::Proximal { mu }) => pull(rate, mu),
            _ => None,
        };
        check_parts(&model, (round.parts(), pull), &data, &spec);
    }
}
