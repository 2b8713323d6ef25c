//! The parts of a step, one after the other.

use super::Refusal;
use super::case::{Case, backends, same};
use crate::backend::{LANES, Logits};
use crate::fixed::{MASTER_FRACTION_BITS, scale};
use crate::matrix::Matrix;
use crate::noise::Noise;
use crate::randomness::{Key, labels};
use crate::rate::{NEAREST, Rate};
use crate::train::{Rounding, TrainSpec, epoch_order};
use crate::way::adapter::Adapter;
use crate::{Targets, softmax as entropy, squared};
use core::num::NonZeroU16;

pub(super) fn stream(case: &mut Case) -> Result<(), Refusal> {
    let label = format!("dawn v1 learn {}", case.text("label"));
    let all = [
        labels::INITIAL_WEIGHTS,
        labels::SHUFFLE,
        labels::DROPOUT,
        labels::ROUNDING,
        labels::ADAPTERS,
    ];
    let label = all
        .into_iter()
        .find(|known| *known == label)
        .expect("a label");
    let mut stream = Key::new(label, &case.seed("seed")).stream(case.number("step"));
    let expected: Vec<u64> = case.integers("numbers");
    let found = expected.iter().map(|_| stream.next_u64()).collect();
    same("numbers", &found, &expected)
}

pub(super) fn permutation(case: &mut Case) -> Result<(), Refusal> {
    let expected: Vec<u32> = case.integers("order");
    let samples = expected.len() as u32;
    let found = epoch_order(&case.seed("seed"), case.number("epoch"), samples);
    same("order", &found, &expected)
}

pub(super) fn narrow(case: &mut Case) -> Result<(), Refusal> {
    let values: Vec<i64> = case.integers("values");
    let (exponent, most) = (case.number("exponent"), case.number("most"));
    let expected: Vec<i16> = case.integers("mantissas");
    let narrowed: i32 = case.number("narrowed");
    let mut matrix = Matrix::zeroed(1, values.len());
    matrix.narrow_wide((&values, values.len()), 1, exponent, most);
    same("mantissas", &matrix.row(0).to_vec(), &expected)?;
    same("narrowed", &matrix.exponent, &narrowed)?;
    // Sums of 32 bits go another way.
    let mut sums: Vec<i32> = values
        .iter()
        .map_while(|&value| value.try_into().ok())
        .collect();
    if sums.len() < values.len() {
        return Ok(());
    }
    let magnitudes = sums.iter().fold(0, |all, sum| all | sum.unsigned_abs());
    sums.resize(sums.len().next_multiple_of(LANES), 0);
    for backend in backends() {
        let kernels = backend.require().expect("available");
        let mut matrix = Matrix::zeroed(1, values.len());
        matrix.narrow(kernels, (&sums, magnitudes), 1, exponent, most);
        same("mantissas by a kernel", &matrix.row(0).to_vec(), &expected)?;
        same("narrowed by a kernel", &matrix.exponent, &narrowed)?;
    }
    Ok(())
}

pub(super) fn softmax(case: &mut Case) -> Result<(), Refusal> {
    let logits: Vec<i64> = case.integers("logits");
    let exponent: i32 = case.number("exponent");
    let label: usize = case.number("label");
    let largest = logits.iter().copied().max().expect("logits");
    let exponential =
        |&logit: &i64| entropy::exp_negative(entropy::distance(largest, logit, exponent));
    let exponentials: Vec<u64> = logits.iter().map(exponential).collect();
    case.is("exponentials", &exponentials)?;
    let expected: Vec<i64> = case.integers("gradient");
    let mut gradient = vec![0; logits.len()];
    let mut totals = [entropy::Total::default()];
    let labels = [label].into_iter();
    entropy::gradient(&logits, exponent, labels, &mut totals, &mut gradient);
    same("gradient", &gradient, &expected)?;
    case.is("loss", &entropy::loss(&logits, exponent, label))?;
    // Narrow logits go another way.
    let mut narrow: Vec<i32> = logits
        .iter()
        .map_while(|&logit| logit.try_into().ok())
        .collect();
    let shift = exponent - entropy::LOSS_BITS as i32;
    if narrow.len() < logits.len() || !(2..=31).contains(&shift) {
        return Ok(());
    }
    narrow.resize(logits.len().next_multiple_of(LANES), 0);
    for backend in backends() {
        let (mut values, mut totals) = (narrow.clone(), [entropy::Total::default()]);
        let mut of_row = Logits {
            classes: logits.len(),
            shift: shift.cast_unsigned(),
            labels: &[u8::try_from(label).expect("a label")],
            totals: &mut totals,
        };
        backend
            .require()
            .expect("available")
            .gradient(&mut of_row, &mut values);
        let found = values[..logits.len()]
            .iter()
            .map(|&value| value.into())
            .collect();
        same("gradient by a kernel", &found, &expected)?;
    }
    Ok(())
}

pub(super) fn residual(case: &mut Case) -> Result<(), Refusal> {
    let outputs: Vec<i64> = case.integers("outputs");
    let exponent: i32 = case.number("exponent");
    let targets: Vec<i16> = case.integers("targets");
    let targets = Targets::new(targets, outputs.len(), case.number("target_exponent"));
    let targets = targets.expect("fit");
    let pairs = outputs.iter().zip(targets.row(0));
    let gradient: Vec<i64> = pairs
        .map(|(&output, &target)| {
            squared::residual((output, exponent), (target, targets.exponent()))
        })
        .collect();
    case.is("gradient", &gradient)?;
    let squares = squared::squares((&outputs, exponent), &targets, 0);
    case.is("loss", &squared::loss(squares))
}

pub(super) fn bias(case: &mut Case) -> Result<(), Refusal> {
    let exponent: i32 = case.number("exponent");
    let biases: Vec<i64> = case.integers("biases");
    let power = exponent - MASTER_FRACTION_BITS as i32;
    let aligned: Vec<i64> = biases
        .iter()
        .map(|&bias| scale(bias, power, 1 << 56))
        .collect();
    case.is("aligned", &aligned)
}

pub(super) fn rate(case: &mut Case) -> Result<(), Refusal> {
    let rate = Rate::new(case.number("learning_rate"), case.number("batch"));
    case.is("multiplier", &rate.multiplier)?;
    case.is("exponent", &rate.exponent)
}

pub(super) fn step(case: &mut Case) -> Result<(), Refusal> {
    let rate = Rate::new(case.number("learning_rate"), case.number("batch"));
    let (momentum, step) = (case.number("momentum"), rate.at(case.number("exponent")));
    let mut weights: Vec<i32> = case.integers("weights");
    let mut velocities: Vec<i32> = case.integers("velocities");
    let gradients: Vec<i64> = case.integers("gradients");
    let upwards = match case.take("upwards") {
        serde_json::Value::Null => vec![NEAREST; weights.len()],
        list => serde_json::from_value(list).expect("numbers"),
    };
    for place in 0..weights.len() {
        let velocity = (momentum != 0).then_some(&mut velocities[place]);
        let weight = &mut weights[place];
        step.take(weight, gradients[place], momentum, velocity, upwards[place]);
    }
    case.is("after", &weights)?;
    case.is("after_velocities", &velocities)
}

fn with(dropout: Option<u16>, seed: &[u8; 32]) -> Noise {
    let spec = TrainSpec {
        epochs: 1,
        batch: 1,
        learning_rate: 1,
        momentum: 0,
        dropout: dropout.and_then(NonZeroU16::new),
        rounding: Some(Rounding::Stochastic),
    };
    Noise::new(&spec, seed)
}

pub(super) fn dropped(case: &mut Case) -> Result<(), Refusal> {
    let noise = with(Some(case.number("rate")), &case.seed("seed"));
    let (rows, units) = (case.number("rows"), case.number("units"));
    let mut matrix = Matrix::zeroed(rows, units);
    (0..rows).for_each(|row| matrix.row_mut(row).fill(4095));
    let dropout = noise.dropout.expect("a rate");
    dropout.leave_out(case.number("step"), case.number("layer"), &mut matrix, rows);
    let all = (0..rows).flat_map(|row| matrix.row(row)).enumerate();
    let zero: Vec<usize> = all
        .filter(|(_, m)| **m == 0)
        .map(|(place, _)| place)
        .collect();
    case.is("zero", &zero)
}

pub(super) fn enlarge(case: &mut Case) -> Result<(), Refusal> {
    let dropout = with(Some(case.number("rate")), &[0; 32])
        .dropout
        .expect("a rate");
    case.is("factor", &dropout.multiplier)?;
    case.is("power", &dropout.power)?;
    let mantissas: Vec<i16> = case.integers("mantissas");
    let mut matrix = Matrix::zeroed(1, mantissas.len());
    matrix.row_mut(0).copy_from_slice(&mantissas);
    matrix.exponent = case.number("exponent");
    dropout.scale(&mut matrix, 1);
    case.is("enlarged", &matrix.row(0))?;
    case.is("lowered", &matrix.exponent)
}

pub(super) fn upwards(case: &mut Case) -> Result<(), Refusal> {
    let mut rounding = with(None, &case.seed("seed")).rounding.expect("at random");
    rounding.begin(case.number("step"), case.number("layer"));
    let (inputs, outputs): (usize, usize) = (case.number("inputs"), case.number("outputs"));
    let mut weights = vec![0; inputs * outputs];
    for input in 0..inputs {
        for output in 0..outputs {
            weights[output * inputs + input] = rounding.next();
        }
    }
    let biases: Vec<i64> = (0..outputs).map(|_| rounding.next()).collect();
    case.is("weights", &weights)?;
    case.is("biases", &biases)
}

pub(super) fn adapter(case: &mut Case) -> Result<(), Refusal> {
    let (rank, inputs, seed) = (
        case.number("rank"),
        case.number("inputs"),
        case.seed("seed"),
    );
    let adapter = Adapter::draw(
        rank,
        inputs,
        &seed,
        case.number("round"),
        case.number("layer"),
    );
    case.is("signs", &adapter.signs)?;
    case.is("exponent", &adapter.shift)
}
