//! A convolution with its pooling (`docs/learning.md`, section 3.1): the patches of an image are the rows of a dense layer's
//! input, so that the products are those of dense layers. One image at a time; what a batch shares is kept for all of it.

mod patches;
#[cfg(test)]
mod tests;

use crate::backend::{Kernels, LANES, PANEL, Product, ROWS};
use crate::descent::{Descending, Weights, repack};
use crate::fixed::{ACTIVATION_EXPONENT_MAX, GRADIENT_EXPONENT_MAX};
use crate::layer::{Layer, Sums, Width, wide_product};
use crate::matrix::Matrix;
use crate::noise::offset;
use crate::spec::ConvolutionShape;
use alloc::vec;
use alloc::vec::Vec;

/// The buffers of a convolution's forward pass.
pub(crate) struct Convolution {
    pub(crate) shape: ConvolutionShape,
    /// Of one image: positions by patch.
    patches: Matrix,
    /// The largest sum of every 2 x 2, a row for every image of the batch; whole panels, zero beyond the features.
    pooled: Sums,
    /// Which of the four it was, row by row, for every image of the batch.
    chosen: Vec<i16>,
}

impl Convolution {
    /// For batches of at most `rows` images.
    pub(crate) fn new(shape: ConvolutionShape, rows: usize) -> Self {
        let features = shape.pooled.features();
        Self {
            patches: Matrix::compact(shape.convolved.positions(), shape.layer.inputs),
            pooled: Sums::zeroed(rows * features.next_multiple_of(LANES)),
            chosen: vec![0; rows * features],
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
        let (shape, features) = (&self.shape, self.shape.pooled.features());
        let (positions, columns) = (shape.convolved.positions(), layer.width());
        let pooled_width = features.next_multiple_of(LANES);
        let (mut exponent, mut batch) = (0, Width::Narrow);
        for row in 0..rows {
            patches::unfold(shape, (input, row), &mut self.patches);
            let (width, of_sums) =
                layer.forward(kernels, &self.patches, positions, biases, start, sums);
            exponent = of_sums;
            let Sums { narrow, wide } = &mut self.pooled;
            if (batch, width) == (Width::Narrow, Width::Wide) {
                // The first one of which a sum may need more than 32 bits: from here on the batch is wide.
                let before = ..row * pooled_width;
                let both = wide[before].iter_mut().zip(&narrow[before]);
                both.for_each(|(wide, &narrow)| *wide = narrow.into());
                batch = Width::Wide;
            }
            let place = row * pooled_width;
            let (narrow, wide) = (
                &mut narrow[place..][..features],
                &mut wide[place..][..features],
            );
            let chosen = &mut self.chosen[row * features..][..features];
            match (batch, width) {
                (Width::Narrow, _) => patches::pool(shape, &sums.narrow, columns, narrow, chosen),
                (_, Width::Narrow) => patches::pool(shape, &sums.narrow, columns, wide, chosen),
                (_, Width::Wide) => patches::pool(shape, &sums.wide, columns, wide, chosen),
            }
        }
        let Sums { narrow, wide } = &mut self.pooled;
        match batch {
            Width::Narrow => {
                let sums = &mut narrow[..rows * pooled_width];
                let magnitudes = kernels.rectify(sums);
                let sums = (&*sums, magnitudes);
                output.narrow(kernels, sums, rows, exponent, ACTIVATION_EXPONENT_MAX);
            }
            Width::Wide => {
                let sums = &mut wide[..rows * pooled_width];
                sums.iter_mut().for_each(|sum| *sum = (*sum).max(0));
                let sums = (&*sums, pooled_width);
                output.narrow_wide(sums, rows, exponent, ACTIVATION_EXPONENT_MAX);
            }
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
    /// By the input, a row for every image of the batch; whole panels, zero beyond the features. Empty where nothing is learnt below.
    images: Sums,
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
            gradient: Matrix::compact(shape.convolved.positions(), shape.convolved.channels),
            weights: vec![0; layer.blocks * ROWS * layer.width()],
            biases: vec![0; shape.convolved.channels],
            images: Sums::zeroed(images * shape.before.features().next_multiple_of(LANES)),
        }
    }

    /// Gives the gradient of an image to the sums that were the largest.
    fn unpool(&mut self, convolution: &Convolution, (gradient, row): (&Matrix, usize)) {
        let features = convolution.shape.pooled.features();
        let chosen = &convolution.chosen[row * features..][..features];
        let out = &mut self.gradient;
        (out.exponent, out.largest) = (gradient.exponent, gradient.largest);
        patches::unpool(&convolution.shape, gradient.row(row), chosen, out);
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
        let (features, lines) = (shape.before.features(), activations.lines());
        let batch = patches::folds_narrow(shape, gradient.largest, layer.largest);
        let mut exponent = 0;
        for row in 0..rows {
            self.unpool(convolution, (gradient, row));
            let (width, of_sums) =
                layer.backward(kernels, &self.gradient, positions, transposed, sums);
            exponent = of_sums;
            let place = row * lines.width..row * lines.width + features;
            let narrow = &mut self.images.narrow[place.clone()];
            let wide = &mut self.images.wide[place];
            match (batch, width) {
                (Width::Narrow, _) => patches::fold(shape, &sums.narrow, columns, narrow),
                (_, Width::Narrow) => patches::fold(shape, &sums.narrow, columns, wide),
                (_, Width::Wide) => patches::fold(shape, &sums.wide, columns, wide),
            }
        }
        let images = ..rows * lines.width;
        match batch {
            Width::Narrow => {
                let sums = &mut self.images.narrow[images];
                let magnitudes = kernels.gate(sums, &activations.mantissas, lines);
                let sums = (&*sums, magnitudes);
                deeper.narrow(kernels, sums, rows, exponent, GRADIENT_EXPONENT_MAX);
            }
            Width::Wide => {
                let sums = &mut self.images.wide[images];
                activations.gate_wide(sums, lines.width);
                deeper.narrow_wide((sums, lines.width), rows, exponent, GRADIENT_EXPONENT_MAX);
            }
        }
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
            patches::unfold(shape, (input, row), &mut convolution.patches);
            self.add(descending, layer, convolution);
            let sums = &mut descending.sums.narrow[..layer.width()];
            let positions = shape.convolved.positions();
            self.gradient
                .column_sums(descending.kernels, positions, sums);
            for (bias, &sum) in self.biases.iter_mut().zip(&*sums) {
                *bias += i64::from(sum);
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
