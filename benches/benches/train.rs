//! `cargo bench -p dawn-benches --features bench --bench train`: training and its matrix products beside f32's, on every
//! backend that this processor has. `cargo bench ... -- MODEL ...` for other models, `-- gemm` for the products only.

use dawn_benches::train::{Failure, SHAPES, measure, shape};
use dawn_learn::Backend;

fn main() -> Result<(), Failure> {
    let mut models: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let products = models.is_empty() || models == ["gemm"];
    if models.is_empty() {
        models = [
            "mlp:784-128-10",
            "mlp:64-64-10",
            "logistic:784-10",
            "cnn:28x28x1-8k3-16k3-64-10",
        ]
        .map(String::from)
        .to_vec();
    }
    let or = |rate: Option<f64>| rate.map_or_else(|| "-".into(), |rate| format!("{rate:.1}"));
    println!("samples a second, in thousands, batch 32");
    println!(
        "| model | backend | ours | f32 | by | f32 held to AVX2 | candle | of peak |\n|---|---|---|---|---|---|---|---|"
    );
    for model in models.iter().filter(|model| *model != "gemm") {
        for backend in Backend::available().into_iter().rev() {
            let m = measure(model, 32, Some(backend))?;
            println!(
                "| {} | {} | {:.1} | {} | {} | {} | {} | {:.2} |",
                m.model,
                m.backend,
                m.samples_per_s / 1e3,
                or(m.f32_samples_per_s.map(|rate| rate / 1e3)),
                m.f32_by.unwrap_or("-"),
                or(m.f32_avx2_samples_per_s.map(|rate| rate / 1e3)),
                or(m.candle_samples_per_s.map(|rate| rate / 1e3)),
                m.peak_fraction
            );
        }
    }
    if products {
        println!("\nmatrix products, 10^9 multiplications a second");
        println!(
            "| rows x columns x inner | backend | ours | of peak | matrixmultiply | gemm |\n|---|---|---|---|---|---|"
        );
        for dimensions in SHAPES {
            for backend in Backend::available().into_iter().rev() {
                let s = shape(backend, dimensions)?;
                let (rows, columns, inner) = s.shape;
                println!(
                    "| {rows} x {columns} x {inner} | {backend} | {:.1} | {:.2} | {} | {} |",
                    s.gmac_per_s,
                    s.peak_fraction,
                    or(s.matrixmultiply_gmac_per_s),
                    or(s.gemm_gmac_per_s)
                );
            }
        }
    }
    Ok(())
}
