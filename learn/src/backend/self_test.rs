//! What a vector backend must show before it is used: the portable backend's results on inputs that reach every lane, the ends
//! of every range, both kinds of tiles, and steps with every kind of shift.

use super::shapes::{
    Columns, Descent, LANES, Lines, Logits, PANEL, Parameters, Product, ROWS, Scale,
};
use super::{Kernels, Portable};
use crate::fixed::MANTISSA_MAX;
use crate::softmax::Total;
use alloc::vec;
use alloc::vec::Vec;

/// Compares all operations; an error names the one that differs.
pub(super) fn check(kernels: &dyn Kernels) -> Result<(), &'static str> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for panels in [1, 2, 3] {
        products(kernels, panels, &mut numbers)?;
        for shift in [1, 9, 28, 31, 32, 33, 47] {
            descents(kernels, panels, shift, &mut numbers)?;
        }
    }
    elementwise(kernels, &mut numbers)
}

/// Linear congruential numbers.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 24
    }

    /// Within `-bound..=bound`, and the ends often.
    fn within(&mut self, bound: i64) -> i64 {
        match self.next() % 8 {
            0 => bound,
            1 => -bound,
            2 => 0,
            _ => (self.next() % (2 * bound as u64 + 1)) as i64 - bound,
        }
    }

    pub(super) fn mantissas(&mut self, count: usize) -> Vec<i16> {
        (0..count)
            .map(|_| self.within(MANTISSA_MAX) as i16)
            .collect()
    }

    pub(super) fn words(&mut self, count: usize, bound: i64) -> Vec<i32> {
        (0..count).map(|_| self.within(bound) as i32).collect()
    }
}

fn same<T: PartialEq>(a: &T, b: &T, operation: &'static str) -> Result<(), &'static str> {
    if a == b { Ok(()) } else { Err(operation) }
}

fn products(
    kernels: &dyn Kernels,
    panels: usize,
    numbers: &mut Numbers,
) -> Result<(), &'static str> {
    for (rows, pairs) in [(1, 1), (ROWS - 1, 64), (2 * ROWS + 3, 5)] {
        let row_stride = 2 * pairs + 4;
        let a = numbers.mantissas((rows + ROWS) * row_stride);
        let panel_stride = (pairs + 1) * PANEL;
        let b = numbers.mantissas(panels * panel_stride);
        let start = numbers.words(panels * LANES, 1 << 16);
        for start in [&[][..], &start] {
            let product = Product {
                a: &a,
                rows,
                row_stride,
                pair_stride: 2,
                b: &b,
                panels,
                panel_stride,
                pairs: if start.is_empty() {
                    pairs
                } else {
                    pairs.min(63)
                },
                start,
            };
            let mut results = [
                vec![7; rows * panels * LANES],
                vec![7; rows * panels * LANES],
            ];
            Portable.product(&product, &mut results[0]);
            kernels.product(&product, &mut results[1]);
            same(&results[0], &results[1], "product")?;
        }
    }
    Ok(())
}

fn descents(
    kernels: &dyn Kernels,
    panels: usize,
    shift: u32,
    numbers: &mut Numbers,
) -> Result<(), &'static str> {
    let (blocks, pairs) = (3, 2);
    let weights = blocks * ROWS * panels * LANES;
    let inputs = numbers.mantissas(blocks * pairs * 2 * ROWS);
    let gradients = numbers.mantissas(panels * pairs * PANEL);
    let start = (
        numbers.words(weights, 1 << 28),
        numbers.words(weights, 1 << 28),
    );
    // Four products stay below 2^26, so that steps stay below 2^29.
    let step = Scale {
        multiplier: 1 << (shift + 2).min(16),
        rounding: 1 << (shift - 1),
        shift,
    };
    let momentum = Scale {
        multiplier: 58_982,
        rounding: 1 << 15,
        shift: 16,
    };
    for momentum in [None, Some(momentum)] {
        let descent = Descent {
            inputs: &inputs,
            blocks,
            gradients: &gradients,
            panels,
            pairs,
            step,
            momentum,
            velocity_shift: 4,
            shift: shift.min(18),
        };
        let run = |kernels: &dyn Kernels| {
            let (mut master, mut velocity) = start.clone();
            let mut packed = vec![0; weights];
            let mut parameters = Parameters {
                master: &mut master,
                velocity: &mut velocity,
                packed: &mut packed,
            };
            let magnitudes = kernels.descend(&descent, &mut parameters);
            (magnitudes, master, velocity, packed)
        };
        same(&run(&Portable), &run(kernels), "descend")?;
    }
    for shift in [0, 1, shift.min(18)] {
        let run = |kernels: &dyn Kernels| {
            let mut packed = vec![0; weights];
            kernels.pack(&start.0, panels * LANES, shift, &mut packed);
            packed
        };
        same(&run(&Portable), &run(kernels), "pack")?;
    }
    Ok(())
}

/// Odd and even numbers of rows, parts of panels.
fn columns(kernels: &dyn Kernels, numbers: &mut Numbers) -> Result<(), &'static str> {
    for (rows, width) in [(1, 3), (4, 16), (5, 40)] {
        let stride = usize::next_multiple_of(width, LANES) + LANES;
        let columns = Columns {
            mantissas: &numbers.mantissas((rows + 1) * stride),
            stride,
            width,
            rows,
        };
        let len = (rows + 1) * stride;
        let run = |pair: fn(&dyn Kernels, &Columns<'_>, &mut [i16]), kernels: &dyn Kernels| {
            let mut out = vec![7; len];
            pair(kernels, &columns, &mut out);
            out
        };
        for (name, pair) in [
            (
                "interleave",
                (|k, c, out| k.interleave(c, out)) as fn(&dyn Kernels, &Columns<'_>, &mut [i16]),
            ),
            ("panels", |k, c, out| k.panels(c, out)),
        ] {
            same(&run(pair, &Portable), &run(pair, kernels), name)?;
        }
        let sums = |kernels: &dyn Kernels| {
            let mut sums = vec![7; usize::next_multiple_of(width, LANES)];
            kernels.column_sums(&columns, &mut sums);
            sums
        };
        same(&sums(&Portable), &sums(kernels), "column sums")?;
    }
    Ok(())
}

/// Rows in which one class is far from all others, in which all are equal, and near ones.
fn gradients(kernels: &dyn Kernels, numbers: &mut Numbers) -> Result<(), &'static str> {
    // More than a vector of divisors, and not whole ones.
    const ROWS: usize = 11;
    for classes in [2, 10, 16, 17, 256] {
        let width = usize::next_multiple_of(classes, LANES);
        for shift in [2, 3, 9, 16, 31] {
            for bound in [0, 1i64 << (shift + 14), 1 << (shift + 18), i64::MAX] {
                let values = numbers.words(ROWS * width, bound.min(i32::MAX.into()));
                let labels: Vec<u8> = (0..ROWS).map(|row| (row * 7 % classes) as u8).collect();
                let run = |kernels: &dyn Kernels| {
                    let (mut values, mut totals) = (values.clone(), [Total::default(); ROWS]);
                    let mut logits = Logits {
                        classes,
                        shift,
                        labels: &labels,
                        totals: &mut totals,
                    };
                    (kernels.gradient(&mut logits, &mut values), values)
                };
                same(&run(&Portable), &run(kernels), "gradient")?;
            }
        }
    }
    Ok(())
}

fn elementwise(kernels: &dyn Kernels, numbers: &mut Numbers) -> Result<(), &'static str> {
    const COUNT: usize = 6 * LANES;
    // Rows of mantissas with something between them that is not to be touched.
    const LINES: Lines = Lines {
        width: 2 * LANES,
        stride: 3 * LANES + 1,
    };
    const MANTISSAS: usize = 3 * LINES.stride;
    let values = numbers.words(COUNT, i64::from(i32::MAX));
    let activations = numbers.mantissas(MANTISSAS);
    let rectify = |kernels: &dyn Kernels| {
        let mut values = values.clone();
        (kernels.rectify(&mut values), values)
    };
    same(&rectify(&Portable), &rectify(kernels), "rectify")?;
    let gate = |kernels: &dyn Kernels| {
        let mut values = values.clone();
        (kernels.gate(&mut values, &activations, LINES), values)
    };
    same(&gate(&Portable), &gate(kernels), "gate")?;
    gradients(kernels, numbers)?;
    columns(kernels, numbers)?;
    for shift in 0..=30 {
        let values = numbers.words(COUNT, (1 << 30) - 1);
        let narrow = |kernels: &dyn Kernels| {
            let mut out = vec![7; MANTISSAS];
            kernels.narrow(&values, shift, &mut out, LINES);
            out
        };
        same(&narrow(&Portable), &narrow(kernels), "narrow")?;
    }
    Ok(())
}
