//! Models, what they answer, and the model that follows.

use super::Refusal;
use super::case::{Case, backends, same};
use crate::layer::Layer;
use crate::network::Network;
use crate::way::rank::{Rank, Ranks};
use crate::{
    Dataset, Model, ModelSpec, RoundWay, Targets, Way, apply_update, evaluate::evaluate_with,
};

/// The specification of a list, such as `[1, 6, 8, 4]`.
pub(super) fn spec(case: &mut Case) -> Result<ModelSpec, Refusal> {
    let numbers: Vec<u64> = case.integers("model");
    let mut encoder = minicbor::Encoder::new(Vec::new());
    encoder.array(numbers.len() as u64).expect("in memory");
    for number in numbers {
        encoder.u64(number).expect("in memory");
    }
    decoded(&encoder.into_writer())
}

fn decoded(bytes: &[u8]) -> Result<ModelSpec, Refusal> {
    let spec: ModelSpec =
        minicbor::decode(bytes).map_err(|error| Refusal::Model(error.to_string()))?;
    spec.check()
        .map_err(|error| Refusal::Model(error.to_string()))?;
    Ok(spec)
}

/// The model that a training starts from.
pub(super) fn start(case: &mut Case, spec: ModelSpec) -> Model {
    let serde_json::Value::Object(fields) = case.take("start") else {
        panic!("start is no object")
    };
    let mut start = Case::new(fields);
    if start.has("seed") {
        return Model::initial(spec, start.seed("seed")).expect("checked");
    }
    Model::from_weights(spec, start.integers("parameters")).expect("as many as the model has")
}

pub(super) fn data(case: &mut Case, spec: &ModelSpec) -> Dataset {
    let features: Vec<i16> = case.integers("features");
    let samples: usize = case.number("samples");
    let (inputs, exponent) = (spec.inputs(), case.number("exponent"));
    assert_eq!(features.len(), samples * inputs);
    let data = if spec.is_regressor() {
        let exponent_of_targets = case.number("target_exponent");
        let targets = Targets::new(
            case.integers("targets"),
            spec.outputs(),
            exponent_of_targets,
        );
        Dataset::with_targets(features, inputs, exponent, targets.expect("fit"))
    } else {
        Dataset::new(features, inputs, exponent, case.integers("labels"))
    };
    data.expect("fits")
}

pub(super) fn initial(case: &mut Case) -> Result<(), Refusal> {
    let model = Model::initial(spec(case)?, case.seed("seed")).expect("checked");
    case.answer("parameters", model.weights())?;
    case.is_digest("digest", &model.to_bytes())
}

pub(super) fn canonical(case: &mut Case) -> Result<(), Refusal> {
    let model = Model::from_weights(spec(case)?, case.integers("parameters")).expect("fits");
    let bytes = case.hex("bytes");
    same("bytes", &model.to_bytes(), &bytes)?;
    same("what is read", &Model::from_bytes(&bytes), &Ok(model))?;
    case.is_digest("digest", &bytes)
}

pub(super) fn model(case: &mut Case) -> Result<(), Refusal> {
    let found = decoded(&case.hex("cbor"))?;
    same("model", &spec(case)?, &found)?;
    case.is("parameters", &found.parameters())
}

pub(super) fn logits(case: &mut Case) -> Result<(), Refusal> {
    let spec = spec(case)?;
    let model = start(case, spec);
    let (features, samples): (Vec<i16>, usize) =
        (case.integers("features"), case.number("samples"));
    // Nobody looks at the labels.
    let data = Dataset::new(
        features,
        spec.inputs(),
        case.number("exponent"),
        vec![0; samples],
    );
    let data = data.expect("fits");
    let expected: Vec<i64> = case.integers("logits");
    let exponent: i32 = case.number("logits_exponent");
    for backend in backends() {
        let kernels = backend.require().expect("available");
        let mut network = Network::new(&spec, samples, kernels);
        network.load_weights(model.weights());
        network.load_samples(&data, 0..samples);
        let biases = |layer: &Layer, _| &model.weights()[layer.shape.biases()];
        let (width, found) = network.forward(samples, biases, |_, _| {});
        same(
            "logits",
            &network.logits(samples, width).to_vec(),
            &expected,
        )?;
        same("logits_exponent", &found, &exponent)?;
    }
    Ok(())
}

pub(super) fn evaluate(case: &mut Case) -> Result<(), Refusal> {
    let spec = spec(case)?;
    let (model, data) = (start(case, spec), data(case, &spec));
    is_evaluation(case, &model, &data)
}

/// Compares the fields `correct` and `loss`.
pub(super) fn is_evaluation(case: &mut Case, model: &Model, data: &Dataset) -> Result<(), Refusal> {
    let expected: (u64, u64) = (case.number("correct"), case.number("loss"));
    for backend in backends() {
        let found = evaluate_with(backend, model, data).expect("fits");
        same("correct and loss", &(found.correct, found.loss), &expected)?;
    }
    Ok(())
}

/// A model with these parameters, whatever they are for.
fn any_model(weights: Vec<i32>) -> Model {
    let spec = format!("linear:{}-1", weights.len() - 1);
    Model::from_weights(spec.parse().expect("a model"), weights).expect("fits")
}

pub(super) fn update(case: &mut Case) -> Result<(), Refusal> {
    let model = any_model(case.integers("weights"));
    let sums: Vec<i64> = case.integers("sums");
    let next = apply_update(
        &model,
        &sums,
        case.number("count"),
        case.number("update_shift"),
    );
    case.is("next", &next.expect("fits").weights())
}

pub(super) fn adapter_update(case: &mut Case) -> Result<(), Refusal> {
    let (rank, inputs): (u16, usize) = (case.number("rank"), case.number("inputs"));
    let (round, layer): (u32, usize) = (case.number("round"), case.number("layer"));
    let weights: Vec<i32> = case.integers("weights");
    let mut sums: Vec<i64> = case.integers("sums");
    // Its place among others, of one unit each and not trained.
    let before = "1-".repeat(layer);
    let kind = if layer == 0 { "linear" } else { "regressor" };
    let spec = format!("{kind}:{before}{inputs}-{}", weights.len() / inputs);
    let spec: ModelSpec = spec.parse().expect("a model");
    let shapes = spec.layers();
    let shape = shapes.last().expect("the layer");
    let mut ranks = vec![Rank::Frozen; layer];
    ranks.push(Rank::of(rank));
    let way = Way::LowRank {
        ranks: Ranks::new(ranks),
    };
    let way = RoundWay::new(&spec, Some(&way), &case.seed("seed"), round).expect("fits");
    let mut start = vec![0; spec.parameters()];
    start[shape.weights()].copy_from_slice(&weights);
    let start = Model::from_weights(spec, start).expect("fits");
    // Biases, which stay.
    sums.extend(vec![0; shape.outputs]);
    let (count, shift): (u64, u8) = (case.number("count"), case.number("update_shift"));
    let next = way.apply(&start, &sums, count, shift).expect("fits");
    case.is("next", &next.weights()[shape.weights()].to_vec())
}

pub(super) fn direction(case: &mut Case) -> Result<(), Refusal> {
    let (before, after) = (
        any_model(case.integers("before")),
        any_model(case.integers("after")),
    );
    let direction = crate::direction(&before, &after, case.number("limit"));
    case.is("direction", &direction.expect("the limit is high enough"))
}
