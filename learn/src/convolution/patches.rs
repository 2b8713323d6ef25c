//! Images to patches and back, and sums to the largest of four and back (`docs/learning.md`, section 3.1).

use crate::layer::Width;
use crate::matrix::Matrix;
use crate::spec::ConvolutionShape;
use core::ops::AddAssign;

/// Mantissas that are copied, and channels that are pooled, at once.
const GROUP: usize = 8;

/// The patches of an image of the batch, a row for every position: rows of the kernel one after the other.
pub(super) fn unfold(shape: &ConvolutionShape, image: (&Matrix, usize), patches: &mut Matrix) {
    (patches.exponent, patches.largest) = (image.0.exponent, image.0.largest);
    let line = shape.kernel * shape.before.channels;
    let run = line.next_multiple_of(GROUP);
    let behind = shape.layer.inputs - line + run;
    // Copies of a constant length are a few instructions.
    match run {
        _ if behind > patches.stride => lines(shape, image, patches),
        8 => runs::<8>(shape, image, patches),
        16 => runs::<16>(shape, image, patches),
        24 => runs::<24>(shape, image, patches),
        32 => runs::<32>(shape, image, patches),
        48 => runs::<48>(shape, image, patches),
        _ => lines(shape, image, patches),
    }
}

/// Copies the rows of a kernel as they are.
fn lines(shape: &ConvolutionShape, (input, row): (&Matrix, usize), patches: &mut Matrix) {
    let (channels, line) = (shape.before.channels, shape.kernel * shape.before.channels);
    let (image, stride) = (input.row(row), patches.stride);
    let rows = patches
        .mantissas
        .chunks_exact_mut(stride * shape.convolved.width);
    for (y, patches) in rows.take(shape.convolved.height).enumerate() {
        for (x, patch) in patches.chunks_exact_mut(stride).enumerate() {
            for (ky, patch) in patch.chunks_exact_mut(line).take(shape.kernel).enumerate() {
                let from = ((y + ky) * shape.before.width + x) * channels;
                patch.copy_from_slice(&image[from..][..line]);
            }
        }
    }
}

/// Copies `RUN` mantissas for every row of a kernel: as many as it has, or some more, which are made zero. Behind it the next row is
/// copied later, or there are zeros. What is too much is of the next pixels or the next image; where there is none, rows are copied
/// as they are.
fn runs<const RUN: usize>(
    shape: &ConvolutionShape,
    (input, row): (&Matrix, usize),
    patches: &mut Matrix,
) {
    let (channels, line) = (shape.before.channels, shape.kernel * shape.before.channels);
    let (stride, width) = (patches.stride, shape.convolved.width);
    // What the compiler knows of the mask it would make branches of, one for every mantissa.
    let kept: [i16; RUN] = core::array::from_fn(|place| -i16::from(place < line));
    let kept = core::hint::black_box(kept);
    let image = &input.mantissas[row * input.stride..];
    let rows = patches.mantissas.chunks_exact_mut(stride * width);
    for (y, patches) in rows.take(shape.convolved.height).enumerate() {
        for ky in 0..shape.kernel {
            let pixels = &image[(y + ky) * shape.before.width * channels..];
            let places = patches[ky * line..].chunks_mut(stride);
            if (width - 1) * channels + RUN > pixels.len() {
                for (to, from) in places.zip(pixels.windows(line).step_by(channels)) {
                    to[..line].copy_from_slice(from);
                }
                continue;
            }
            for (to, from) in places.zip(pixels.windows(RUN).step_by(channels)) {
                let to = to.first_chunk_mut::<RUN>();
                if let (Some(to), Some(from)) = (to, from.first_chunk::<RUN>()) {
                    *to = core::array::from_fn(|place| from[place] & kept[place]);
                }
            }
        }
    }
}

/// Whether 32 bits hold every sum that [`fold`] makes for gradients and weights of at most so much: over a pixel lie a kernel's width
/// of positions each way, which touch one more than half as many pools, and of each pool one position has a gradient.
pub(super) fn folds_narrow(shape: &ConvolutionShape, gradient: u32, weight: u32) -> Width {
    let pools = (shape.kernel as u64 / 2 + 1).pow(2) * shape.convolved.channels as u64;
    // Both are mantissas.
    match pools * u64::from(gradient) * u64::from(weight) <= i32::MAX as u64 {
        true => Width::Narrow,
        false => Width::Wide,
    }
}

/// The image that sums up what came back to every patch, `columns` a position.
pub(super) fn fold<T, S>(shape: &ConvolutionShape, sums: &[T], columns: usize, image: &mut [S])
where
    T: Copy + Into<S>,
    S: Copy + Default + AddAssign,
{
    let (channels, line) = (shape.before.channels, shape.kernel * shape.before.channels);
    image.fill(S::default());
    let rows = sums.chunks_exact(columns * shape.convolved.width);
    for (y, patches) in rows.take(shape.convolved.height).enumerate() {
        for ky in 0..shape.kernel {
            let pixels = &mut image[(y + ky) * shape.before.width * channels..];
            for (x, patch) in patches.chunks_exact(columns).enumerate() {
                let pixels = &mut pixels[x * channels..][..line];
                for (sum, &back) in pixels.iter_mut().zip(&patch[ky * line..][..line]) {
                    *sum += back.into();
                }
            }
        }
    }
}

/// The four positions of every pool, row by row.
fn pools(shape: &ConvolutionShape) -> impl Iterator<Item = [usize; 4]> {
    let width = shape.convolved.width;
    let row = move |y| (0..shape.pooled.width).map(move |x| 2 * y * width + 2 * x);
    let first = (0..shape.pooled.height).flat_map(row);
    first.map(move |first| [first, first + 1, first + width, first + width + 1])
}

/// The largest of every four sums, and which it was: the first one of several. A position has `columns` sums, whole panels.
pub(super) fn pool<T, S>(
    shape: &ConvolutionShape,
    sums: &[T],
    columns: usize,
    pooled: &mut [S],
    chosen: &mut [i16],
) where
    T: Copy + Ord + Into<S>,
{
    let channels = shape.pooled.channels;
    let rows = pooled
        .chunks_exact_mut(channels)
        .zip(chosen.chunks_exact_mut(channels));
    for (positions, (pooled, chosen)) in pools(shape).zip(rows) {
        let four = positions.map(|position| sums[position * columns..][..columns].as_chunks().0);
        let lanes = pooled.chunks_mut(GROUP).zip(chosen.chunks_mut(GROUP));
        for (group, (pooled, chosen)) in lanes.enumerate() {
            let [a, b, c, d] = four.map(|sums: &[[T; GROUP]]| sums[group]);
            let largest: [T; GROUP] =
                core::array::from_fn(|lane| a[lane].max(b[lane]).max(c[lane].max(d[lane])));
            let which: [i16; GROUP] = core::array::from_fn(|lane| {
                let is = |sums: [T; GROUP]| sums[lane] == largest[lane];
                let of_last = if is(c) { 2 } else { 3 };
                let of_others = if is(b) { 1 } else { of_last };
                if is(a) { 0 } else { of_others }
            });
            for (pooled, largest) in pooled.iter_mut().zip(largest) {
                *pooled = largest.into();
            }
            chosen.copy_from_slice(&which[..chosen.len()]);
        }
    }
}

/// Gives the gradient of a pool to the position that was chosen, and nothing to the others. Positions that are in no pool keep
/// what they have: nothing.
pub(super) fn unpool(
    shape: &ConvolutionShape,
    gradient: &[i16],
    chosen: &[i16],
    positions: &mut Matrix,
) {
    let (channels, stride) = (shape.pooled.channels, positions.stride);
    let rows = gradient
        .chunks_exact(channels)
        .zip(chosen.chunks_exact(channels));
    for (places, (gradient, chosen)) in pools(shape).zip(rows) {
        let (gradient, chosen) = (gradient.as_chunks::<GROUP>(), chosen.as_chunks::<GROUP>());
        for (number, place) in (0..).zip(places) {
            let given = |gradient, chosen| if chosen == number { gradient } else { 0 };
            let out = &mut positions.mantissas[place * stride..][..channels];
            let (groups, rest) = out.as_chunks_mut::<GROUP>();
            for ((out, gradient), chosen) in groups.iter_mut().zip(gradient.0).zip(chosen.0) {
                *out = core::array::from_fn(|lane| given(gradient[lane], chosen[lane]));
            }
            for ((out, &gradient), &chosen) in rest.iter_mut().zip(gradient.1).zip(chosen.1) {
                *out = given(gradient, chosen);
            }
        }
    }
}
