use super::patches::{fold, folds_narrow, pool, unfold, unpool};
use super::*;
use crate::spec::ModelSpec;

/// The shape of a convolution of images of this size.
fn shape(
    height: usize,
    width: usize,
    channels: usize,
    out: usize,
    kernel: usize,
) -> ConvolutionShape {
    let text = format!("cnn:{height}x{width}x{channels}-{out}k{kernel}-2");
    let spec: ModelSpec = text.parse().expect("a model");
    spec.convolutions().next().expect("one")
}

/// Rows of every length, copied in runs and as they are; the last image of the batch has nothing behind it.
#[test]
fn patches_are_what_lies_under_the_kernel() {
    for kernel in 1..=7 {
        for channels in [1, 2, 3, 5, 8, 9, 10, 13, 16, 17] {
            for (height, width) in [(kernel + 1, kernel + 1), (8, 11)] {
                let shape = shape(height, width, channels, 3, kernel);
                let mut images = Matrix::zeroed(8, shape.before.features());
                images.mantissas.fill(-1);
                for row in 0..8 {
                    for (place, pixel) in images.row_mut(row).iter_mut().enumerate() {
                        *pixel = (row * 331 + place * 7 % 4001 + 1) as i16;
                    }
                }
                let positions = shape.convolved.positions();
                let mut patches = Matrix::compact(positions, shape.layer.inputs);
                for row in 0..8 {
                    unfold(&shape, (&images, row), &mut patches);
                    for (position, found) in patches.mantissas.chunks(patches.stride).enumerate() {
                        let (y, x) = (
                            position / shape.convolved.width,
                            position % shape.convolved.width,
                        );
                        let expected = (0..patches.stride).map(|place| {
                            if position >= positions || place >= shape.layer.inputs {
                                return 0;
                            }
                            let (line, rest) = (kernel * channels, place % (kernel * channels));
                            let pixel = (y + place / line) * width + x + rest / channels;
                            images.row(row)[pixel * channels + rest % channels]
                        });
                        assert!(
                            found.iter().copied().eq(expected),
                            "{shape:?}, image {row}, {position}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_first_of_the_largest_is_chosen_and_gets_the_gradient() {
    for channels in [1, 7, 8, 9, 16, 19] {
        let shape = shape(8, 7, 1, channels, 2);
        let columns = channels.next_multiple_of(16);
        let (features, positions) = (shape.pooled.features(), shape.convolved.positions());
        // Few different numbers, so that many are equal.
        let sum = |position: usize, channel: usize| ((position * 5 + channel * 3) % 4) as i32 - 2;
        let mut sums = vec![i32::MAX; positions * columns];
        for (place, value) in sums.iter_mut().enumerate() {
            if place % columns < channels {
                *value = sum(place / columns, place % columns);
            }
        }
        let (mut pooled, mut chosen) = (vec![7i64; features], vec![9; features]);
        pool(&shape, &sums, columns, &mut pooled, &mut chosen);
        let gradient: Vec<i16> = (1..=features as i16).collect();
        let mut back = Matrix::compact(positions, channels);
        unpool(&shape, &gradient, &chosen, &mut back);
        let mut given = 0;
        for place in 0..features {
            let (pool, channel) = (place / channels, place % channels);
            let (y, x) = (
                2 * (pool / shape.pooled.width),
                2 * (pool % shape.pooled.width),
            );
            let four = [(y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1)];
            let four = four.map(|(y, x)| y * shape.convolved.width + x);
            let mut best = 0;
            for number in 1..4 {
                if sum(four[number], channel) > sum(four[best], channel) {
                    best = number;
                }
            }
            assert_eq!(pooled[place], i64::from(sum(four[best], channel)));
            assert_eq!(usize::try_from(chosen[place]), Ok(best));
            assert_eq!(back.row(four[best])[channel], gradient[place]);
            given += usize::from(gradient[place] != 0);
        }
        let all = back.mantissas.iter().filter(|&&gradient| gradient != 0);
        assert_eq!(all.count(), given, "all others are zero");
    }
}

/// For every pixel the pools of which a position lies over it are counted: no pixel has more than the bound says, and some have as
/// many.
#[test]
fn what_is_folded_in_32_bits_fits_them() {
    for kernel in 1..=7 {
        let shape = shape(19, 19, 1, 1, kernel);
        let side = shape.convolved.width;
        let pools = |pixel: usize| {
            let over =
                (0..side).filter(|&at| at <= pixel && pixel < at + kernel && at / 2 < side / 2);
            let mut pools: Vec<usize> = over.map(|at| at / 2).collect();
            pools.dedup();
            pools.len()
        };
        let most = (0..19).map(pools).max().expect("pixels");
        let fits = |terms: usize| terms as u64 * 4095 * 4095 <= i32::MAX as u64;
        let bound = folds_narrow(&shape, 4095, 4095) == Width::Narrow;
        assert_eq!(bound, fits(most * most), "kernel {kernel}");
        // One unit decides.
        let weight = (i32::MAX as usize / (most * most * 4095)) as u32;
        assert_eq!(folds_narrow(&shape, 4095, weight), Width::Narrow);
        assert_eq!(folds_narrow(&shape, 4095, weight + 1), Width::Wide);
    }
}

#[test]
fn every_pixel_sums_up_what_came_back_to_it() {
    for (kernel, channels) in [(1, 1), (2, 3), (3, 8), (4, 5)] {
        let shape = shape(9, 8, channels, 2, kernel);
        let columns = shape.layer.inputs.next_multiple_of(16);
        let back = |place: usize| (place * 2_654_435_761 % 2_000_003) as i32 - 1_000_000;
        let sums: Vec<i32> = (0..shape.convolved.positions() * columns)
            .map(back)
            .collect();
        let mut expected = vec![0i64; shape.before.features()];
        for position in 0..shape.convolved.positions() {
            let (y, x) = (
                position / shape.convolved.width,
                position % shape.convolved.width,
            );
            for place in 0..shape.layer.inputs {
                let (row, rest) = (place / (kernel * channels), place % (kernel * channels));
                expected[((y + row) * 8 + x) * channels + rest] +=
                    i64::from(back(position * columns + place));
            }
        }
        let (mut narrow, mut wide) = (vec![7i32; expected.len()], vec![7i64; expected.len()]);
        fold(&shape, &sums, columns, &mut narrow);
        fold(&shape, &sums, columns, &mut wide);
        assert_eq!(wide, expected);
        assert!(narrow.iter().map(|&sum| i64::from(sum)).eq(expected));
    }
}
