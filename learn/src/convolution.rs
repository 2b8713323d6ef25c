//! A convolution with its pooling (`docs/learning.md`, section 3.1): the patches of an image are the rows of a dense layer's
//! input, so that the products are those of dense layers. One image at a time; what a batch shares is kept for all of it.

use crate::backend::{Kernels, LANES, PANEL, Product, ROWS};
use crate::descent::{Descending, Weights, repack};
use crate::fixed::{ACTIVATION_EXPONENT_MAX, GRADIENT_EXPONENT_MAX};
use crate::layer::{Layer, Sums, Width, wide_product};
use crate::matrix::Matrix;
use crate::noise::offset;
use crate::spec::{ConvolutionShape, Sides};
use alloc::vec;
use alloc::vec::Vec;

/// The buffers of a convolution's forward pass.
pub(crate) struct Convolution {
    pub(crate) shape: ConvolutionShape,
    /// Of one image: positions by patch.
    patches: Matrix,
    /// The largest sum of every 2 x 2, for every image of the batch.
    pooled: Vec<i64>,
    /// Which of the four it was, row by row.
    chosen: Vec<u8>,
}

impl Convolution {
    /// For batches of at most `rows` images.
    pub(crate) fn new(shape: ConvolutionShape, rows: usize) -> Self {
        let pooled = rows * shape.pooled.features();
        Self {
            patches: Matrix::zeroed(shape.convolved.positions(), shape.layer.inputs),
            pooled: vec![0; pooled],
            chosen: vec![0; pooled],
            shape,
        }
    }

    /// From the images of a batch to what is left of them, rectified and narrowed.
    pub(crate) fn forward(
        &mut self,
        (kernels, layer): (&dyn Kernels, &Layer),
        (input, output): (&Matrix, &mut Matrix),
        rows: usize,
        biases: &[i32],
        (start, sums): (&mut [i32], &mut Sums),
    ) {
        let features = self.shape.pooled.features();
        let mut exponent = 0;
        for row in 0..rows {
            unfold(&self.shape, (input, row), &mut self.patches);
            let positions = self.shape.convolved.positions();
            let (width, of_sums) =
                layer.forward(kernels, &self.patches, positions, biases, start, sums);
            exponent = of_sums;
            let of_image = row * features..(row + 1) * features;
            let pooled = &mut self.pooled[of_image.clone()];
            let chosen = &mut self.chosen[of_image];
            match width {
                Width::Narrow => pool(&self.shape, &sums.narrow, layer.width(), pooled, chosen),
                Width::Wide => pool(&self.shape, &sums.wide, layer.width(), pooled, chosen),
            }
        }
        output.narrow_wide(
            (&self.pooled, features),
            rows,
            exponent,
            ACTIVATION_EXPONENT_MAX,
        );
    }
}

/// The patches of an image of the batch, a row for every position: rows of the kernel one after the other.
fn unfold(shape: &ConvolutionShape, (input, row): (&Matrix, usize), patches: &mut Matrix) {
    let Sides {
        width, channels, ..
    } = shape.before;
    let (image, stride) = (input.row(row), patches.stride);
    (patches.exponent, patches.largest) = (input.exponent, input.largest);
    let line = shape.kernel * channels;
    for (position, patch) in patches
        .mantissas
        .chunks_exact_mut(stride)
        .take(shape.convolved.positions())
        .enumerate()
    {
        let (y, x) = at(position, shape.convolved.width);
        let patch = patch[..shape.layer.inputs].chunks_exact_mut(line);
        for (patch, y) in patch.zip(y..) {
            patch.copy_from_slice(&image[(y * width + x) * channels..][..line]);
        }
    }
}

/// Adds what came back to every patch to the image.
fn fold<T: Copy + Into<i64>>(
    shape: &ConvolutionShape,
    sums: &[T],
    sums_width: usize,
    image: &mut [i64],
) {
    let Sides {
        width, channels, ..
    } = shape.before;
    let line = shape.kernel * channels;
    for (position, patch) in sums
        .chunks_exact(sums_width)
        .take(shape.convolved.positions())
        .enumerate()
    {
        let (y, x) = at(position, shape.convolved.width);
        let patch = patch[..shape.layer.inputs].chunks_exact(line);
        for (patch, y) in patch.zip(y..) {
            let image = &mut image[(y * width + x) * channels..][..line];
            for (sum, &back) in image.iter_mut().zip(patch) {
                *sum += back.into();
            }
        }
    }
}

fn at(position: usize, width: usize) -> (usize, usize) {
    (position / width, position % width)
}

/// The four sums of a 2 x 2, row by row, as places of positions.
fn four(shape: &ConvolutionShape, pooled: usize) -> [usize; 4] {
    let (y, x) = at(pooled, shape.pooled.width);
    let width = shape.convolved.width;
    let first = 2 * y * width + 2 * x;
    [first, first + 1, first + width, first + width + 1]
}

/// The largest of every four sums, the first one of several; zero if it is negative.
fn pool<T: Copy + Ord + Into<i64>>(
    shape: &ConvolutionShape,
    sums: &[T],
    sums_width: usize,
    pooled: &mut [i64],
    chosen: &mut [u8],
) {
    let channels = shape.pooled.channels;
    let rows = pooled
        .chunks_exact_mut(channels)
        .zip(chosen.chunks_exact_mut(channels));
    for (place, (pooled, chosen)) in rows.enumerate() {
        let [a, b, c, d] =
            four(shape, place).map(|position| &sums[position * sums_width..][..channels]);
        for channel in 0..channels {
            let (mut largest, mut which) = (a[channel], 0);
            for (sums, number) in [(b, 1), (c, 2), (d, 3)] {
                let larger = sums[channel] > largest;
                largest = largest.max(sums[channel]);
                which = if larger { number } else { which };
            }
            pooled[channel] = largest.into().max(0);
            chosen[channel] = which;
        }
    }
}

/// The buffers of a convolution's gradients.
pub(crate) struct Unpooled {
    /// By the sums of one image: positions by channels, zero where another of the four was larger.
    gradient: Matrix,
    /// By the weights, inputs by outputs, whole eights by whole panels.
    weights: Vec<i64>,
    biases: Vec<i64>,
    /// By the input, for the whole batch; empty where nothing is learnt below.
    images: Vec<i64>,
}

impl Unpooled {
    /// For batches of at most `rows` images.
    pub(crate) fn new(
        convolution: &Convolution,
        layer: &Layer,
        rows: usize,
        carries_back: bool,
    ) -> Self {
        let shape = &convolution.shape;
        let images = if carries_back { rows } else { 0 };
        Self {
            gradient: Matrix::zeroed(shape.convolved.positions(), shape.convolved.channels),
            weights: vec![0; layer.blocks * ROWS * layer.width()],
            biases: vec![0; shape.convolved.channels],
            images: vec![0; images * shape.before.features()],
        }
    }

    /// Gives the gradient of an image to the sums that were the largest.
    fn unpool(&mut self, convolution: &Convolution, (gradient, row): (&Matrix, usize)) {
        let shape = &convolution.shape;
        let (features, channels) = (shape.pooled.features(), shape.pooled.channels);
        let out = &mut self.gradient;
        (out.exponent, out.largest) = (gradient.exponent, gradient.largest);
        out.mantissas.fill(0);
        let chosen = &convolution.chosen[row * features..][..features];
        let rows = gradient.row(row).chunks_exact(channels);
        for (place, (gradient, chosen)) in rows.zip(chosen.chunks_exact(channels)).enumerate() {
            let positions = four(shape, place);
            for (channel, (&gradient, &chosen)) in gradient.iter().zip(chosen).enumerate() {
                let position = positions[usize::from(chosen)];
                out.mantissas[position * out.stride + channel] = gradient;
            }
        }
    }

    /// Carries the gradient of a batch back to the convolution before, through its rectifier.
    pub(crate) fn carry_back(
        &mut self,
        (kernels, layer, convolution): (&dyn Kernels, &Layer, &Convolution),
        (gradient, rows): (&Matrix, usize),
        transposed: &mut [i16],
        sums: &mut Sums,
        (activations, deeper): (&Matrix, &mut Matrix),
    ) {
        layer.transpose(transposed);
        let shape = &convolution.shape;
        let (positions, columns) = (shape.convolved.positions(), layer.backward_width());
        let features = shape.before.features();
        let mut exponent = 0;
        for row in 0..rows {
            self.unpool(convolution, (gradient, row));
            let (width, of_sums) =
                layer.backward(kernels, &self.gradient, positions, transposed, sums);
            exponent = of_sums;
            let image = &mut self.images[row * features..][..features];
            image.fill(0);
            match width {
                Width::Narrow => fold(shape, &sums.narrow, columns, image),
                Width::Wide => fold(shape, &sums.wide, columns, image),
            }
            for (sum, &activation) in image.iter_mut().zip(activations.row(row)) {
                if activation == 0 {
                    *sum = 0;
                }
            }
        }
        deeper.narrow_wide(
            (&self.images, features),
            rows,
            exponent,
            GRADIENT_EXPONENT_MAX,
        );
    }

    /// The step of a convolution's weights and biases, and the new mantissas.
    ///
    /// A weight's gradient has at most one term for each of the 2^12 places of 2^10 images: it is below 2^46, and with the rate
    /// below 2^62.
    pub(crate) fn step(
        &mut self,
        descending: &mut Descending<'_>,
        (layer, convolution): (&mut Layer, &mut Convolution),
        (input, gradient, rows): (&Matrix, &Matrix, usize),
        weights: &mut Weights,
        (biases, bias_velocity): (&mut [i32], &mut [i32]),
    ) {
        self.weights.fill(0);
        self.biases.fill(0);
        for row in 0..rows {
            self.unpool(convolution, (gradient, row));
            let shape = &convolution.shape;
            unfold(shape, (input, row), &mut convolution.patches);
            self.add(descending, layer, convolution);
            for gradient in gradient.row(row).chunks_exact(shape.pooled.channels) {
                for (sum, &gradient) in self.biases.iter_mut().zip(gradient) {
                    *sum += i64::from(gradient);
                }
            }
        }
        let momentum = descending.momentum;
        let step = descending.rate.at(gradient.exponent + input.exponent);
        let mut magnitudes = (0, 0);
        let (width, outputs) = (layer.width(), layer.shape.outputs);
        let mut velocities = weights.velocity.chunks_exact_mut(width);
        let lines = weights
            .master
            .chunks_exact_mut(width)
            .zip(self.weights.chunks_exact(width));
        for (line, gradients) in lines.take(layer.shape.inputs) {
            let mut velocity = velocities.next().unwrap_or_default().iter_mut();
            for (weight, &gradient) in line[..outputs].iter_mut().zip(gradients) {
                let (velocity, offset) = (velocity.next(), offset(&mut descending.rounding));
                magnitudes.1 |= step.take(weight, gradient, momentum, velocity, offset);
                magnitudes.0 |= weight.unsigned_abs();
            }
        }
        weights.velocity_bits = u32::BITS - magnitudes.1.leading_zeros();
        repack(descending.kernels, layer, &weights.master, magnitudes.0);
        let step = descending.rate.at(gradient.exponent);
        let mut velocity = bias_velocity.iter_mut();
        for (bias, &gradient) in biases.iter_mut().zip(&self.biases) {
            let (velocity, offset) = (velocity.next(), offset(&mut descending.rounding));
            step.take(bias, gradient, momentum, velocity, offset);
        }
    }

    /// Adds an image's gradient by the weights.
    fn add(&mut self, descending: &mut Descending<'_>, layer: &Layer, convolution: &Convolution) {
        let (patches, gradient) = (&convolution.patches, &self.gradient);
        let positions = convolution.shape.convolved.positions();
        let places = convolution.shape.pooled.positions() as u64;
        let largest = places * u64::from(patches.largest) * u64::from(gradient.largest);
        patches.interleave(descending.kernels, positions, descending.columns);
        gradient.panels(descending.kernels, positions, descending.panels);
        let (pairs, tile) = (positions.div_ceil(2), ROWS * layer.width());
        for (block, weights) in self.weights.chunks_exact_mut(tile).enumerate() {
            let product = Product {
                a: &descending.columns[block * pairs * 2 * ROWS..],
                rows: ROWS,
                row_stride: 2,
                pair_stride: 2 * ROWS,
                b: descending.panels,
                panels: layer.panels,
                panel_stride: pairs * PANEL,
                pairs,
                start: &[],
            };
            let sums = &mut *descending.sums;
            if largest <= i32::MAX as u64 {
                descending.kernels.product(&product, &mut sums.narrow);
                let sums = weights.iter_mut().zip(&sums.narrow);
                sums.for_each(|(weight, &sum)| *weight += i64::from(sum));
            } else {
                wide_product(descending.kernels, &product, sums);
                let sums = weights.iter_mut().zip(&sums.wide);
                sums.for_each(|(weight, &sum)| *weight += sum);
            }
        }
    }
}

/// What the sums of a convolution's products need: of its forward pass, and of its backward pass if there is one.
pub(crate) fn sums_len(shape: &ConvolutionShape, layer: &Layer, carries_back: bool) -> usize {
    let back = if carries_back {
        layer.backward_width()
    } else {
        0
    };
    let widest = layer.width().max(back).max(LANES);
    shape.convolved.positions().max(ROWS) * widest
}
