//! The kernels, written once for all instruction sets. A tile of a product stays in registers for the whole of its sums:
//! `R` rows by `V` vectors of columns, with one load of each vector and one broadcast of each row's pair for every `R V`
//! multiplications of pairs.
//!
//! `unsafe` is the pointers: every kernel asserts the bounds of all that it touches before its loops.

#![allow(unsafe_code)]

use super::shapes::{Descent, LANES, Lines, Magnitudes, PANEL, Parameters, Product, ROWS};
use super::simd::Simd;
use crate::fixed::MANTISSA_MAX;

/// `R x V` sums of products of pairs. Vector `v` is a part of a panel, or the panels after the first are `panel_stride`
/// mantissas further.
///
/// # Safety
/// For all rows `r < R` and `k < pairs`, two mantissas at `a + r * row_stride + k * pair_stride` are readable; and for the panels
/// of all V vectors, `pairs * PANEL` mantissas.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize>(
    s: S,
    mut sums: [[S::V; V]; R],
    (a, row_stride, pair_stride): (*const i16, usize, usize),
    (b, panel_stride): (*const i16, usize),
    pairs: usize,
) -> [[S::V; V]; R] {
    let rows: [usize; R] = core::array::from_fn(|r| r * row_stride);
    let vectors: [usize; V] = core::array::from_fn(|v| {
        let (panel, lane) = (v * S::WIDTH / LANES, v * S::WIDTH % LANES);
        panel * panel_stride + 2 * lane
    });
    let (mut a, mut b) = (a, b);
    for _ in 0..pairs {
        // SAFETY: the caller answers for these reads; the pointers may end beyond what is readable, where they are not used.
        unsafe {
            let right = vectors.map(|offset| s.load_pairs(b.add(offset)));
            for (sums, offset) in sums.iter_mut().zip(rows) {
                let left = s.broadcast(a.add(offset));
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = s.multiply_add(*sum, left, right);
                }
            }
        }
        a = a.wrapping_add(pair_stride);
        b = b.wrapping_add(PANEL);
    }
    sums
}

/// Where a tile of `V` vectors begins, for a matrix of so many panels: whole tiles, then what is left by single vectors.
#[inline(always)]
fn tiles<S: Simd, const V: usize>(panels: usize) -> (usize, usize) {
    let columns = panels * LANES;
    let whole = columns / (V * S::WIDTH) * (V * S::WIDTH);
    (whole, columns)
}

/// [`super::Kernels::product`].
#[inline(always)]
pub(super) fn product<S: Simd, const R: usize, const V: usize>(
    s: S,
    p: &Product<'_>,
    out: &mut [i32],
) {
    let width = p.check(out);
    let (whole, columns) = tiles::<S, V>(p.panels);
    for first in (0..p.rows).step_by(R) {
        for column in (0..whole).step_by(V * S::WIDTH) {
            // SAFETY: see `product_tile`: the rows are within the next multiple of ROWS, the columns within the panels.
            unsafe { product_tile::<S, R, V>(s, p, out, width, first, column) }
        }
        for column in (whole..columns).step_by(S::WIDTH) {
            // SAFETY: as above.
            unsafe { product_tile::<S, R, 1>(s, p, out, width, first, column) }
        }
    }
}

/// # Safety
/// `p.check(out)` was asked and is `width`; the row is a multiple of R below `p.rows`, R divides ROWS, and the V vectors from the
/// column are within the width, whole panels or parts of one.
#[inline(always)]
unsafe fn product_tile<S: Simd, const R: usize, const V: usize>(
    s: S,
    p: &Product<'_>,
    out: &mut [i32],
    width: usize,
    first: usize,
    column: usize,
) {
    let (panel, lane) = (column / LANES, column % LANES);
    // SAFETY: rows are read up to the next multiple of ROWS, panels to their end, as `check` asserted; `start` is empty or as wide
    // as the result; only rows below `p.rows` are written.
    unsafe {
        let start: [S::V; V] = core::array::from_fn(|v| {
            if p.start.is_empty() {
                s.splat(0)
            } else {
                s.load(p.start.as_ptr().add(column + v * S::WIDTH))
            }
        });
        let a = p.a.as_ptr().add(first * p.row_stride);
        let b = p.b.as_ptr().add(panel * p.panel_stride + 2 * lane);
        let sums = tile::<S, R, V>(
            s,
            [start; R],
            (a, p.row_stride, p.pair_stride),
            (b, p.panel_stride),
            p.pairs,
        );
        for (r, sums) in sums.into_iter().enumerate().take(p.rows - first) {
            for (v, sum) in sums.into_iter().enumerate() {
                s.store(
                    out.as_mut_ptr()
                        .add((first + r) * width + column + v * S::WIDTH),
                    sum,
                );
            }
        }
    }
}

/// [`super::Kernels::descend`]: the gradient of a tile of weights never leaves the registers. `RAISED` says that the step's shift
/// is 32 and more.
#[inline(always)]
pub(super) fn descend<
    S: Simd,
    const R: usize,
    const V: usize,
    const MOMENTUM: bool,
    const RAISED: bool,
>(
    s: S,
    d: &Descent<'_>,
    parameters: &mut Parameters<'_>,
) -> Magnitudes {
    let (width, panel_stride) = d.check(parameters);
    let (whole, columns) = tiles::<S, V>(d.panels);
    let mut magnitudes = [s.splat(0); 2];
    for row in (0..d.blocks * ROWS).step_by(R) {
        let mut at = Place {
            row,
            column: 0,
            width,
            panel_stride,
        };
        while at.column < whole {
            // SAFETY: see `descend_tile`: rows and columns are within the layer.
            unsafe {
                descend_tile::<S, R, V, MOMENTUM, RAISED>(s, d, parameters, &at, &mut magnitudes)
            }
            at.column += V * S::WIDTH;
        }
        while at.column < columns {
            // SAFETY: as above.
            unsafe {
                descend_tile::<S, R, 1, MOMENTUM, RAISED>(s, d, parameters, &at, &mut magnitudes)
            }
            at.column += S::WIDTH;
        }
    }
    let [weights, velocities] = magnitudes.map(|lanes| s.or_lanes(lanes));
    Magnitudes {
        weights,
        velocities,
    }
}

struct Place {
    row: usize,
    column: usize,
    width: usize,
    panel_stride: usize,
}

/// # Safety
/// `d.check(parameters)` was asked and is `(at.width, at.panel_stride)`; the row is a multiple of R within the blocks, R is even
/// and divides ROWS, and the V vectors from the column are within the width, whole panels or parts of one.
#[inline(always)]
unsafe fn descend_tile<
    S: Simd,
    const R: usize,
    const V: usize,
    const MOMENTUM: bool,
    const RAISED: bool,
>(
    s: S,
    d: &Descent<'_>,
    parameters: &mut Parameters<'_>,
    at: &Place,
    magnitudes: &mut [S::V; 2],
) {
    let (panel, lane) = (at.column / LANES, at.column % LANES);
    let step = s.scale(d.step);
    let momentum = s.scale(d.momentum.unwrap_or(d.step));
    let (half, velocity_shift) = (1 << (d.velocity_shift.max(1) - 1), d.velocity_shift.max(1));
    let narrow = Narrow::new(s, d.shift);
    // SAFETY: `check` asserted the length of inputs and gradients for all blocks and panels, and that weights, velocities (with
    // momentum) and mantissas are `blocks * ROWS` rows of the width; row, column and vectors are within.
    unsafe {
        let inputs = d
            .inputs
            .as_ptr()
            .add(at.row / ROWS * d.pairs * 2 * ROWS + at.row % ROWS * 2);
        let gradients = d.gradients.as_ptr().add(panel * d.pairs * PANEL + 2 * lane);
        let sums = tile::<S, R, V>(
            s,
            [[s.splat(0); V]; R],
            (inputs, 2, 2 * ROWS),
            (gradients, d.pairs * PANEL),
            d.pairs,
        );
        for r in (0..R).step_by(2) {
            #[allow(clippy::needless_range_loop)] // two rows of sums at once
            for v in 0..V {
                let mut mantissas = [s.splat(0); 2];
                for (odd, mantissa) in mantissas.iter_mut().enumerate() {
                    let place = (at.row + r + odd) * at.width + at.column + v * S::WIDTH;
                    let gradient = sums[r + odd][v];
                    let mut change = if RAISED {
                        s.apply_raised(gradient, step)
                    } else {
                        s.apply(gradient, step)
                    };
                    if MOMENTUM {
                        let velocity = parameters.velocity.as_mut_ptr().add(place);
                        let new = s.add(change, s.apply(s.load(velocity), momentum));
                        s.store(velocity, new);
                        magnitudes[1] = s.or(magnitudes[1], s.abs(new));
                        change = s
                            .shift_right(s.add(new, s.splat(half)), s.splat(velocity_shift as i32));
                    }
                    let weight = parameters.master.as_mut_ptr().add(place);
                    let new = s.sub(s.load(weight), change);
                    s.store(weight, new);
                    magnitudes[0] = s.or(magnitudes[0], s.abs(new));
                    *mantissa = narrow.apply(s, new);
                }
                let (panel, lane) = (v * S::WIDTH / LANES + panel, v * S::WIDTH % LANES + lane);
                let to = panel * at.panel_stride + (at.row + r) / 2 * PANEL + 2 * lane;
                s.store_pairs(
                    parameters.packed.as_mut_ptr().add(to),
                    mantissas[0],
                    mantissas[1],
                );
            }
        }
    }
}

/// Rounding to mantissas.
#[derive(Clone, Copy)]
struct Narrow<S: Simd> {
    half: S::V,
    shift: S::V,
    most: S::V,
    least: S::V,
}

impl<S: Simd> Narrow<S> {
    #[inline(always)]
    fn new(s: S, shift: u32) -> Self {
        Self {
            half: s.splat((1i32 << shift) >> 1),
            shift: s.splat(shift as i32),
            most: s.splat(MANTISSA_MAX as i32),
            least: s.splat(-MANTISSA_MAX as i32),
        }
    }

    #[inline(always)]
    fn apply(self, s: S, v: S::V) -> S::V {
        let rounded = s.shift_right(s.add(v, self.half), self.shift);
        s.min(s.max(rounded, self.least), self.most)
    }
}

/// [`super::Kernels::pack`].
#[inline(always)]
pub(super) fn pack<S: Simd>(s: S, master: &[i32], width: usize, shift: u32, packed: &mut [i16]) {
    assert!(width > 0 && width.is_multiple_of(LANES) && master.len().is_multiple_of(2 * width));
    assert!(master.len() == packed.len() && shift <= 30);
    let rows = master.len() / width;
    let narrow = Narrow::new(s, shift);
    for row in (0..rows).step_by(2) {
        for column in (0..width).step_by(S::WIDTH) {
            let (panel, lane) = (column / LANES, column % LANES);
            // SAFETY: `row + 1 < rows` and a vector from the column is within the width, so that all of it is within
            // `rows * width` elements, the length of both.
            unsafe {
                let from = master.as_ptr().add(row * width + column);
                let even = narrow.apply(s, s.load(from));
                let odd = narrow.apply(s, s.load(from.add(width)));
                let to = panel * rows * LANES + row / 2 * PANEL + 2 * lane;
                s.store_pairs(packed.as_mut_ptr().add(to), even, odd);
            }
        }
    }
}

/// [`super::Kernels::rectify`].
#[inline(always)]
pub(super) fn rectify<S: Simd>(s: S, values: &mut [i32]) -> u32 {
    let zero = s.splat(0);
    let mut magnitudes = zero;
    assert!(values.len().is_multiple_of(S::WIDTH));
    for at in (0..values.len()).step_by(S::WIDTH) {
        // SAFETY: the length is a multiple of a vector's.
        unsafe {
            let value = values.as_mut_ptr().add(at);
            let new = s.max(s.load(value), zero);
            s.store(value, new);
            magnitudes = s.or(magnitudes, new);
        }
    }
    s.or_lanes(magnitudes)
}

/// [`super::Kernels::gate`].
#[inline(always)]
pub(super) fn gate<S: Simd>(s: S, values: &mut [i32], activations: &[i16], lines: Lines) -> u32 {
    let (zero, sign) = (s.splat(0), s.splat(31));
    let mut magnitudes = zero;
    let rows = lines.check(values.len(), activations.len());
    for row in 0..rows {
        for column in (0..lines.width).step_by(S::WIDTH) {
            // SAFETY: `check` asserted that there are so many rows of values, whose width is a multiple of a vector's, and of
            // activations a stride apart.
            unsafe {
                let value = values.as_mut_ptr().add(row * lines.width + column);
                let activation =
                    s.load_mantissas(activations.as_ptr().add(row * lines.stride + column));
                // All ones where the activation is not zero.
                let open = s.shift_right(s.sub(zero, s.abs(activation)), sign);
                let new = s.and(s.load(value), open);
                s.store(value, new);
                magnitudes = s.or(magnitudes, s.abs(new));
            }
        }
    }
    s.or_lanes(magnitudes)
}

/// [`super::Kernels::narrow`].
#[inline(always)]
pub(super) fn narrow<S: Simd>(s: S, values: &[i32], shift: u32, out: &mut [i16], lines: Lines) {
    let rows = lines.check(values.len(), out.len());
    assert!(shift <= 30);
    let narrow = Narrow::new(s, shift);
    for row in 0..rows {
        for column in (0..lines.width).step_by(S::WIDTH) {
            // SAFETY: as for the gate: so many rows of values, and room for mantissas a stride apart.
            unsafe {
                let from = values.as_ptr().add(row * lines.width + column);
                let to = out.as_mut_ptr().add(row * lines.stride + column);
                s.store_mantissas(to, narrow.apply(s, s.load(from)));
            }
        }
    }
}

/// [`super::Kernels::spin`]: multiplications with operands that stay in registers, and sums enough to hide the latency. One
/// operand is new to the compiler in every iteration, or it would compute the products once for all.
#[inline(always)]
pub(super) fn spin<S: Simd>(s: S, iterations: u64) -> (u64, i32) {
    const LEFT: usize = 4;
    const RIGHT: usize = 2;
    let left = core::hint::black_box([3i16, 5, 7, 11, 13]);
    let right = core::hint::black_box([7i16; PANEL]);
    // SAFETY: a broadcast reads two mantissas, a vector of pairs at most a panel.
    let (left, mut right): ([S::Pair; LEFT], _) = unsafe {
        let left = core::array::from_fn(|i| s.broadcast(left.as_ptr().add(i)));
        (left, [s.load_pairs(right.as_ptr()); RIGHT])
    };
    let mut sums = [[s.splat(0); RIGHT]; LEFT];
    for _ in 0..iterations {
        right = right.map(|right| s.opaque(right));
        for (sums, left) in sums.iter_mut().zip(left) {
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = s.multiply_add(*sum, left, right);
            }
        }
    }
    let all = sums
        .into_iter()
        .flatten()
        .fold(s.splat(0), |all, sum| s.or(all, sum));
    (
        iterations * (LEFT * RIGHT * S::WIDTH * 2) as u64,
        s.or_lanes(all).cast_signed(),
    )
}
