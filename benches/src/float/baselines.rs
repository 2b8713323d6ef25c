//! The baselines of training: the same network, batches and steps in f32, with the products of the crates `matrixmultiply` and
//! `gemm`. The order of the samples costs nothing. Then once more by candle.

use super::candle::Candle;
use super::product::{Product, Shape, Strided};
use super::twin::{Samples, Twin};
use crate::products::{by_gemm, by_gemm_avx2, by_matrixmultiply, by_matrixmultiply_avx2};
use crate::train::{Failure, Part, Train};
use dawn_learn::{Dataset, Model, TrainSpec};
use std::hint::black_box;
use std::rc::Rc;

/// Adds the baselines to what is measured.
pub(crate) fn ways<'a>(
    model: &'a Model,
    parts: &[Part],
    data: &'a Dataset,
    rule: TrainSpec,
    ways: &mut Vec<(&'static str, Train<'a>)>,
) -> Result<(), Failure> {
    let samples = Rc::new(Samples::new(data));
    for (name, product) in [
        ("matrixmultiply", by_matrixmultiply as Product),
        ("gemm", by_gemm),
        ("matrixmultiply held to AVX2", by_matrixmultiply_avx2),
        ("gemm held to AVX2", by_gemm_avx2),
    ] {
        let twin = Twin::new(model, &rule, product);
        let mut twin = twin.ok_or("only classifiers are measured beside f32")?;
        let samples = Rc::clone(&samples);
        let (count, batch) = (data.len(), usize::from(rule.batch));
        let train = move |epochs| {
            for _ in 0..epochs {
                for first in (0..count).step_by(batch) {
                    // An odd step through the samples: another order than that in memory, which costs nothing to find.
                    let places = first..count.min(first + batch);
                    let rows = places.map(move |place| place * 701 % count);
                    twin.step(&samples, data.labels(), rows);
                }
            }
            black_box(&twin);
            Ok(())
        };
        ways.push((name, Box::new(train)));
    }
    // One thread for candle too, which would take all.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let candle = Candle::new(model, parts, data, samples.values(), rule)?;
    let train = move |epochs| {
        pool.install(|| (0..epochs).try_for_each(|_| candle.epoch()))
            .map_err(Failure::from)
    };
    ways.push(("candle", Box::new(train)));
    Ok(())
}

/// The same product of both crates, for the table of shapes.
pub(crate) fn products((rows, columns, inner): (usize, usize, usize)) -> Vec<Box<dyn FnMut()>> {
    let shape = Shape {
        rows,
        columns,
        inner,
    };
    [by_matrixmultiply as Product, by_gemm]
        .into_iter()
        .map(|product| -> Box<dyn FnMut()> {
            let (a, b) = (vec![0.5; rows * inner], vec![0.25; columns * inner]);
            let mut c = vec![0.0; rows * columns];
            // Weights lie output by output: the right operand is by columns.
            Box::new(move || {
                product(
                    shape,
                    1.0,
                    Strided(&a, inner, 1),
                    Strided(&b, 1, inner),
                    0.0,
                    &mut c,
                );
                black_box(&c);
            })
        })
        .collect()
}
