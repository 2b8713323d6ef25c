//! The layers of the twin: dense, and convolutions with their pooling (`docs/learning.md`, sections 3 and 3.1), in f32.

use super::product::{Product, Shape, Strided};
use dawn_learn::spec::{Convolution, Image};

/// How a step is made.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    /// Rate over the samples of the batch.
    pub(super) rate: f32,
    pub(super) momentum: f32,
    pub(super) product: Product,
}

/// Weights (outputs x inputs) and biases: from rows of inputs to rows of outputs.
pub(super) struct Affine {
    inputs: usize,
    outputs: usize,
    weights: Vec<f32>,
    biases: Vec<f32>,
    /// Velocities of weights and biases; nothing without momentum.
    velocities: (Vec<f32>, Vec<f32>),
}

impl Affine {
    fn new((inputs, outputs): (usize, usize), parameters: &mut Parameters<'_>) -> Self {
        let mut take = |count: usize| (&mut *parameters.values).take(count).collect::<Vec<f32>>();
        let (weights, biases) = (take(inputs * outputs), take(outputs));
        let still = |count: usize| vec![0.0; if parameters.moving { count } else { 0 }];
        Self {
            inputs,
            outputs,
            velocities: (still(weights.len()), still(outputs)),
            weights,
            biases,
        }
    }

    fn forward(&self, product: Product, input: &[f32], rows: usize, out: &mut [f32]) {
        let filled = out.chunks_exact_mut(self.outputs).take(rows);
        filled.for_each(|row| row.copy_from_slice(&self.biases));
        let shape = Shape {
            rows,
            columns: self.outputs,
            inner: self.inputs,
        };
        let (a, b) = (
            Strided(input, self.inputs, 1),
            Strided(&self.weights, 1, self.inputs),
        );
        product(shape, 1.0, a, b, 1.0, out);
    }

    /// From the gradient by the outputs that by the inputs.
    fn back(&self, product: Product, gradient: &[f32], rows: usize, out: &mut [f32]) {
        let shape = Shape {
            rows,
            columns: self.inputs,
            inner: self.outputs,
        };
        let (a, b) = (
            Strided(gradient, self.outputs, 1),
            Strided(&self.weights, self.inputs, 1),
        );
        product(shape, 1.0, a, b, 0.0, out);
    }

    fn step(&mut self, rule: Rule, gradient: &[f32], input: &[f32], rows: usize) {
        let shape = Shape {
            rows: self.outputs,
            columns: self.inputs,
            inner: rows,
        };
        let (a, b) = (
            Strided(gradient, 1, self.outputs),
            Strided(input, self.inputs, 1),
        );
        let gradients = gradient.chunks_exact(self.outputs).take(rows);
        if self.velocities.0.is_empty() {
            // In place: the gradient is not stored, as in fixed point.
            (rule.product)(shape, -rule.rate, a, b, 1.0, &mut self.weights);
            for row in gradients {
                for (bias, gradient) in self.biases.iter_mut().zip(row) {
                    *bias -= rule.rate * gradient;
                }
            }
            return;
        }
        let (weights, biases) = (&mut self.velocities.0, &mut self.velocities.1);
        (rule.product)(shape, rule.rate, a, b, rule.momentum, weights);
        biases.iter_mut().for_each(|v| *v *= rule.momentum);
        for row in gradients {
            for (velocity, gradient) in biases.iter_mut().zip(row) {
                *velocity += rule.rate * gradient;
            }
        }
        for (values, velocities) in [(&mut self.weights, weights), (&mut self.biases, biases)] {
            for (value, velocity) in values.iter_mut().zip(velocities) {
                *value -= *velocity;
            }
        }
    }
}

/// The parameters of a model, to be taken layer by layer.
pub(super) struct Parameters<'a> {
    pub(super) values: &'a mut dyn Iterator<Item = f32>,
    /// Whether there is momentum.
    pub(super) moving: bool,
}

/// A layer with the outputs of a batch, and the gradient by them (before the rectification).
pub(super) struct Layer {
    affine: Affine,
    /// A convolution has more.
    patches: Option<Patches>,
    pub(super) values: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    pub(super) outputs: usize,
}

/// A convolution of a batch as one product: every patch is a row.
struct Patches {
    before: Image,
    kernel: usize,
    convolved: Image,
    rows: Vec<f32>,
    sums: Vec<f32>,
    /// Of every output the place of its sum within the image.
    places: Vec<u32>,
}

impl Layer {
    pub(super) fn dense(
        sizes: (usize, usize),
        parameters: &mut Parameters<'_>,
        batch: usize,
    ) -> Self {
        Self {
            affine: Affine::new(sizes, parameters),
            patches: None,
            values: vec![0.0; batch * sizes.1],
            gradient: vec![0.0; batch * sizes.1],
            outputs: sizes.1,
        }
    }

    /// A convolution of an image, with its pooling.
    pub(super) fn convolution(
        before: Image,
        convolution: Convolution,
        parameters: &mut Parameters<'_>,
        batch: usize,
    ) -> Self {
        let convolved = Image {
            height: before.height + 1 - convolution.kernel,
            width: before.width + 1 - convolution.kernel,
            channels: convolution.channels,
        };
        let pooled = Image {
            height: convolved.height / 2,
            width: convolved.width / 2,
            ..convolved
        };
        let patch = (convolution.kernel.pow(2) * before.channels) as usize;
        let positions = (convolved.height * convolved.width) as usize;
        let (channels, outputs) = (convolved.channels as usize, pooled.features() as usize);
        Self {
            affine: Affine::new((patch, channels), parameters),
            patches: Some(Patches {
                before,
                kernel: convolution.kernel as usize,
                convolved,
                rows: vec![0.0; batch * positions * patch],
                sums: vec![0.0; batch * positions * channels],
                places: vec![0; batch * outputs],
            }),
            values: vec![0.0; batch * outputs],
            gradient: vec![0.0; batch * outputs],
            outputs,
        }
    }

    /// The outputs of a batch, rectified in all layers but the last.
    pub(super) fn forward(&mut self, product: Product, input: &[f32], count: usize, last: bool) {
        let Self { affine, values, .. } = self;
        match &mut self.patches {
            None => affine.forward(product, input, count, values),
            Some(patches) => {
                patches.gather(input, count);
                let rows = count * patches.positions();
                affine.forward(product, &patches.rows, rows, &mut patches.sums);
                patches.pool(count, values);
            }
        }
        if !last {
            values.iter_mut().for_each(|value| *value = value.max(0.0));
        }
    }

    /// The gradient by the inputs when it is wanted, then the step.
    pub(super) fn backward(
        &mut self,
        rule: Rule,
        input: &[f32],
        count: usize,
        deeper: Option<&mut [f32]>,
    ) {
        let affine = &mut self.affine;
        let Some(patches) = &mut self.patches else {
            if let Some(deeper) = deeper {
                affine.back(rule.product, &self.gradient, count, deeper);
            }
            return affine.step(rule, &self.gradient, input, count);
        };
        // Before the step the patches are those of the forward pass; the sums are no longer needed.
        patches.unpool(count, &self.gradient);
        let rows = count * patches.positions();
        if let Some(deeper) = deeper {
            let mut by_patches = vec![0.0; rows * affine.inputs];
            affine.back(rule.product, &patches.sums, rows, &mut by_patches);
            patches.scatter(&by_patches, count, deeper);
        }
        affine.step(rule, &patches.sums, &patches.rows, rows);
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = f32> {
        let affine = &self.affine;
        affine.weights.iter().chain(&affine.biases).copied()
    }
}

impl Patches {
    fn positions(&self) -> usize {
        (self.convolved.height * self.convolved.width) as usize
    }

    /// Calls with the place of every row of pixels under a kernel, in the input and in the patches.
    fn rows_of_pixels(&self, count: usize, mut each: impl FnMut(usize, usize, usize)) {
        let line = self.before.width as usize * self.before.channels as usize;
        let run = self.kernel * self.before.channels as usize;
        let mut at = 0;
        for image in 0..count {
            for y in 0..self.convolved.height as usize {
                for x in 0..self.convolved.width as usize {
                    for row in 0..self.kernel {
                        let pixel = (image * self.before.height as usize + y + row) * line;
                        each(pixel + x * self.before.channels as usize, at, run);
                        at += run;
                    }
                }
            }
        }
    }

    fn gather(&mut self, input: &[f32], count: usize) {
        let mut rows = std::mem::take(&mut self.rows);
        self.rows_of_pixels(count, |pixel, at, run| {
            rows[at..][..run].copy_from_slice(&input[pixel..][..run]);
        });
        self.rows = rows;
    }

    /// What a pixel is to all patches that contain it.
    fn scatter(&self, by_patches: &[f32], count: usize, deeper: &mut [f32]) {
        deeper.fill(0.0);
        self.rows_of_pixels(count, |pixel, at, run| {
            let to = deeper[pixel..][..run].iter_mut();
            to.zip(&by_patches[at..][..run])
                .for_each(|(to, by)| *to += by);
        });
    }

    /// The largest of every 2 x 2, the first one of several; a last odd row or column is left out.
    fn pool(&mut self, count: usize, values: &mut [f32]) {
        let (width, channels) = (
            self.convolved.width as usize,
            self.convolved.channels as usize,
        );
        let all = self.positions() * channels;
        let (high, wide) = (self.convolved.height as usize / 2, width / 2);
        let mut out = values.iter_mut().zip(&mut self.places);
        for sums in self.sums.chunks_exact(all).take(count) {
            for place in 0..high * wide * channels {
                let (position, channel) = (place / channels, place % channels);
                let first = 2 * (position / wide) * width + 2 * (position % wide);
                let mut best = first * channels + channel;
                for other in [first + 1, first + width, first + width + 1] {
                    let other = other * channels + channel;
                    if sums[other] > sums[best] {
                        best = other;
                    }
                }
                if let Some((value, taken)) = out.next() {
                    (*value, *taken) = (sums[best], best as u32);
                }
            }
        }
    }

    /// Puts the gradients by the outputs in the places of the sums that were taken, and zero in all others.
    fn unpool(&mut self, count: usize, gradient: &[f32]) {
        let all = self.positions() * self.convolved.channels as usize;
        let outputs = self.places.len() / (self.sums.len() / all);
        self.sums.fill(0.0);
        let images = gradient
            .chunks_exact(outputs)
            .zip(self.places.chunks_exact(outputs));
        for (sums, (gradients, places)) in self.sums.chunks_exact_mut(all).zip(images).take(count) {
            for (&place, &gradient) in places.iter().zip(gradients) {
                sums[place as usize] = gradient;
            }
        }
    }
}
