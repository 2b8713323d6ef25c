//! Training in fixed point beside f32, in one run and one thread: the same model, batches and rule, the matrix products by the
//! crates `matrixmultiply` and `gemm`, and by the framework candle (feature `bench`; without it these figures are missing).

use crate::core::median;
use dawn_learn::backend::{Backend, BackendError, measure};
use dawn_learn::spec::{Convolution, Image};
use dawn_learn::{Dataset, Model, ModelSpec, TrainError, TrainSpec, train::train_with};
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

/// Repetitions, of which the median is taken; all that is compared takes turns.
const ROUNDS: usize = 9;
/// What one repetition should take, in seconds.
const SPAN: f64 = 0.1;

/// Why a measurement cannot be made.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Samples a second, and their share of what the processor can multiply.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// The model.
    pub model: String,
    /// The backend that trained.
    pub backend: &'static str,
    /// Samples of a batch.
    pub batch: u16,
    /// Ours.
    pub samples_per_s: f64,
    /// The faster one of f32's.
    pub f32_samples_per_s: Option<f64>,
    /// Whose products that were.
    pub f32_by: Option<&'static str>,
    /// The faster one of f32's that keep to AVX2, whatever the processor has: beside our AVX2.
    pub f32_avx2_samples_per_s: Option<f64>,
    /// Whose products those were.
    pub f32_avx2_by: Option<&'static str>,
    /// Candle's.
    pub candle_samples_per_s: Option<f64>,
    /// Multiplications and additions of mantissas, in units of 10^9 a second.
    pub gmac_per_s: f64,
    /// The same of a loop that keeps to registers.
    pub peak_gmac_per_s: f64,
    /// The one by the other.
    pub peak_fraction: f64,
}

/// A layer with weights, as the measurements see it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// A convolution of an image by square kernels, before its pooling.
    Convolution {
        /// The image that comes in.
        before: Image,
        /// Channels that go out, and the kernel's side.
        by: Convolution,
    },
    /// Every output of every input.
    Dense {
        /// Values that come in.
        inputs: usize,
        /// Values that go out.
        outputs: usize,
    },
}

impl Part {
    /// Products of a forward pass of one sample.
    fn products(self) -> f64 {
        match self {
            Self::Dense { inputs, outputs } => (inputs * outputs) as f64,
            Self::Convolution { before, by } => {
                let positions = (before.height + 1 - by.kernel) * (before.width + 1 - by.kernel);
                let patch = by.kernel * by.kernel * before.channels;
                f64::from(positions) * f64::from(patch * by.channels)
            }
        }
    }
}

/// The layers of a classifier; nothing for a model that predicts numbers, which the baselines do not train.
pub(crate) fn parts(spec: &ModelSpec) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut inputs = spec.inputs();
    let hidden: &[u32] = match spec {
        ModelSpec::Logistic { .. } => &[],
        ModelSpec::Mlp { hidden, .. } => hidden,
        ModelSpec::Cnn {
            image,
            convolutions,
            hidden,
            ..
        } => {
            let mut before = *image;
            for &by in convolutions.iter() {
                parts.push(Part::Convolution { before, by });
                before = Image {
                    height: (before.height + 1 - by.kernel) / 2,
                    width: (before.width + 1 - by.kernel) / 2,
                    channels: by.channels,
                };
            }
            inputs = before.features() as usize;
            hidden
        }
        _ => return None,
    };
    let hidden = hidden.iter().map(|&units| units as usize);
    for outputs in hidden.chain([spec.classes()]) {
        parts.push(Part::Dense { inputs, outputs });
        inputs = outputs;
    }
    Some(parts)
}

/// Products of one sample: forward, the gradient of weights, and back through all layers but the first.
fn products(parts: &[Part]) -> f64 {
    let all: f64 = parts.iter().map(|part| 3.0 * part.products()).sum();
    all - parts.first().map_or(0.0, |first| first.products())
}

/// Features like pixels: eight bits, four of five zero.
fn data(inputs: usize, classes: usize) -> Result<Dataset, Failure> {
    const SAMPLES: usize = 2048;
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 33
    };
    let mut features = Vec::with_capacity(SAMPLES * inputs);
    for _ in 0..SAMPLES * inputs {
        let shown = next() % 5 == 0;
        features.push(if shown { (next() % 256) as i16 } else { 0 });
    }
    let labels = (0..SAMPLES)
        .map(|_| (next() % classes as u64) as u8)
        .collect();
    Ok(Dataset::new(features, inputs, 8, labels)?)
}

/// One way to train: so many epochs over all samples.
pub(crate) type Train<'a> = Box<dyn FnMut(u16) -> Result<(), Failure> + 'a>;

/// Measures a model on a backend; the fastest when there is none.
///
/// # Errors
/// The model is none, or the processor does not have the backend.
pub fn measure(model: &str, batch: u16, backend: Option<Backend>) -> Result<Measured, Failure> {
    let spec: ModelSpec = model.parse()?;
    let parts = parts(&spec)
        .ok_or("only logistic, mlp and cnn are measured: they are what the baselines train")?;
    let backend = backend.unwrap_or_else(dawn_learn::backend::current);
    let start = Model::initial(spec, [1; 32])?;
    let data = data(spec.inputs(), spec.classes())?;
    let rule = |epochs| TrainSpec {
        epochs,
        batch,
        learning_rate: 655,
        momentum: 0,
        dropout: None,
        rounding: None,
    };

    let mut ways: Vec<(&'static str, Train<'_>)> = Vec::new();
    let ours = |epochs| -> Result<(), Failure> {
        black_box(train_with(backend, &start, &data, &rule(epochs), [1; 32]))
            .map(|_| ())
            .map_err(|error: TrainError| error.into())
    };
    ways.push(("ours", Box::new(ours)));
    #[cfg(feature = "bench")]
    crate::float::baselines::ways(&start, &parts, &data, rule(1), &mut ways)?;

    let mut epochs = Vec::new();
    for (_, train) in &mut ways {
        train(1)?;
        let began = Instant::now();
        train(1)?;
        epochs.push((SPAN / began.elapsed().as_secs_f64()).clamp(1.0, 1000.0) as u16);
    }
    let mut seconds = vec![Vec::new(); ways.len()];
    let mut peaks = Vec::new();
    for _ in 0..ROUNDS {
        for ((seconds, (_, train)), &epochs) in seconds.iter_mut().zip(&mut ways).zip(&epochs) {
            let began = Instant::now();
            train(epochs)?;
            seconds.push(began.elapsed().as_secs_f64() / f64::from(epochs));
        }
        peaks.push(1.0 / peak(backend)?);
    }
    let mut rates = ways
        .iter()
        .zip(seconds)
        .map(|((name, _), seconds)| (*name, data.len() as f64 / median(seconds)));
    let (_, samples_per_s) = rates.next().unwrap_or_default();
    let mut f32s: Option<(&'static str, f64)> = None;
    let mut held: Option<(&'static str, f64)> = None;
    let mut candle = None;
    for (name, rate) in rates {
        if name == "candle" {
            candle = Some(rate);
            continue;
        }
        let fastest = if name.ends_with("held to AVX2") {
            &mut held
        } else {
            &mut f32s
        };
        if fastest.is_none_or(|(_, fastest)| rate > fastest) {
            *fastest = Some((name, rate));
        }
    }
    let gmac_per_s = samples_per_s * products(&parts) / 1e9;
    let peak_gmac_per_s = 1.0 / median(peaks);
    Ok(Measured {
        model: spec.to_string(),
        backend: backend.name(),
        batch,
        samples_per_s,
        f32_samples_per_s: f32s.map(|(_, rate)| rate),
        f32_by: f32s.map(|(name, _)| name),
        f32_avx2_samples_per_s: held.map(|(_, rate)| rate),
        f32_avx2_by: held.map(|(name, _)| name),
        candle_samples_per_s: candle,
        gmac_per_s,
        peak_gmac_per_s,
        peak_fraction: gmac_per_s / peak_gmac_per_s,
    })
}

/// 10^9 products a second in registers.
fn peak(backend: Backend) -> Result<f64, BackendError> {
    let began = Instant::now();
    let (products, sum) = measure::spin(backend, 2_000_000)?;
    black_box(sum);
    Ok(products as f64 / began.elapsed().as_secs_f64() / 1e9)
}

/// A matrix product beside f32's: 10^9 products a second.
#[derive(Clone, Debug, Serialize)]
pub struct Shape {
    /// Rows, columns, and length of the sums.
    pub shape: (usize, usize, usize),
    /// Ours.
    pub gmac_per_s: f64,
    /// Ours by a loop that keeps to registers.
    pub peak_fraction: f64,
    /// The crates'.
    pub matrixmultiply_gmac_per_s: Option<f64>,
    /// The crates'.
    pub gemm_gmac_per_s: Option<f64>,
}

/// The shapes of training at batch 32, and squares.
pub const SHAPES: [(usize, usize, usize); 8] = [
    (32, 128, 784),
    (32, 10, 128),
    (784, 128, 32),
    (32, 64, 64),
    (64, 64, 32),
    (32, 512, 512),
    (256, 256, 256),
    (1024, 1024, 1024),
];

/// Measures one product on a backend.
///
/// # Errors
/// The processor does not have the backend.
pub fn shape(backend: Backend, shape: (usize, usize, usize)) -> Result<Shape, BackendError> {
    let mut gemm = measure::Gemm::new(backend, shape)?;
    let mut ways: Vec<Box<dyn FnMut()>> = vec![Box::new(move || {
        black_box(gemm.run());
    })];
    #[cfg(feature = "bench")]
    ways.extend(crate::float::baselines::products(shape));
    let products = (shape.0 * shape.1 * shape.2) as f64 / 1e9;
    let repeats = (0.02 / (products / 50.0)).ceil() as usize;
    let mut seconds = vec![Vec::new(); ways.len()];
    let mut peaks = Vec::new();
    for _ in 0..ROUNDS {
        for (seconds, way) in seconds.iter_mut().zip(&mut ways) {
            way();
            let began = Instant::now();
            (0..repeats).for_each(|_| way());
            seconds.push(began.elapsed().as_secs_f64() / repeats as f64);
        }
        peaks.push(1.0 / peak(backend)?);
    }
    let mut rates = seconds
        .into_iter()
        .map(|seconds| products / median(seconds));
    let gmac_per_s = rates.next().unwrap_or_default();
    Ok(Shape {
        shape,
        gmac_per_s,
        peak_fraction: gmac_per_s * median(peaks),
        matrixmultiply_gmac_per_s: rates.next(),
        gemm_gmac_per_s: rates.next(),
    })
}
