//! A convolution with its pooling, pixel by pixel: `docs/learning.md`, section 3.1.

use super::{Tensor, scale};
use crate::spec::ConvolutionShape;

/// The largest sums, zero if negative, and the row and column of each before the pooling.
pub(super) fn forward(
    shape: &ConvolutionShape,
    (x, m): (&Tensor, &Tensor),
    biases: &[i128],
) -> (Vec<i128>, Vec<(usize, usize)>) {
    let exponent = x.1 + m.1;
    let (mut values, mut places) = (Vec::new(), Vec::new());
    for image in x.0.chunks(shape.before.features()) {
        for row in 0..shape.pooled.height {
            for column in 0..shape.pooled.width {
                for (weights, &bias) in m.0.chunks(shape.layer.inputs).zip(biases) {
                    let sum = |(y, x): (usize, usize)| {
                        let taps = taps(shape, (y, x)).zip(weights);
                        let sum: i128 = taps.map(|(place, w)| image[place] * w).sum();
                        sum + scale(bias, exponent - 24)
                    };
                    let (top, left) = (2 * row, 2 * column);
                    let mut best = (top, left);
                    for other in [(top, left + 1), (top + 1, left), (top + 1, left + 1)] {
                        if sum(other) > sum(best) {
                            best = other;
                        }
                    }
                    values.push(sum(best).max(0));
                    places.push(best);
                }
            }
        }
    }
    (values, places)
}

/// The pixels under a kernel at a place, in the order of its weights.
fn taps(shape: &ConvolutionShape, (y, x): (usize, usize)) -> impl Iterator<Item = usize> + use<> {
    let (kernel, width, channels) = (shape.kernel, shape.before.width, shape.before.channels);
    (0..kernel * kernel * channels).map(move |tap| {
        let (row, rest) = (tap / (kernel * channels), tap % (kernel * channels));
        let (column, channel) = (rest / channels, rest % channels);
        ((y + row) * width + x + column) * channels + channel
    })
}

/// The gradients by the weights, the biases and the pixels.
pub(super) fn backward(
    shape: &ConvolutionShape,
    (x, m, g): (&Tensor, &Tensor, &Tensor),
    places: &[(usize, usize)],
) -> (Vec<i128>, Vec<i128>, Vec<i128>) {
    let (inputs, channels) = (shape.layer.inputs, shape.layer.outputs);
    let mut by_weights = vec![0; inputs * channels];
    let mut by_biases = vec![0; channels];
    let mut by_pixels = vec![0; x.0.len()];
    for (index, (&gradient, &place)) in g.0.iter().zip(places).enumerate() {
        let first = index / shape.pooled.features() * shape.before.features();
        let channel = index % channels;
        by_biases[channel] += gradient;
        for (tap, pixel) in taps(shape, place).enumerate() {
            by_weights[channel * inputs + tap] += gradient * x.0[first + pixel];
            by_pixels[first + pixel] += gradient * m.0[channel * inputs + tap];
        }
    }
    (by_weights, by_biases, by_pixels)
}
