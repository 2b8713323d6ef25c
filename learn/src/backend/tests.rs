//! The oracle against the definition, every backend against the oracle, and the choice of one.

use super::self_test::{self, Numbers};
use super::*;
use std::cell::RefCell;

thread_local! {
    static RAN: RefCell<Vec<Backend>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn note(backend: Backend) {
    RAN.with_borrow_mut(|ran| {
        if !ran.contains(&backend) {
            ran.push(backend);
        }
    });
}

/// Index arithmetic in 64 bits on matrices that are not packed, for the oracle and all others.
#[test]
fn products_are_exact_at_random_and_at_the_extremes() {
    for (case, (rows, columns, inner)) in [
        (1, 1, 1),
        (5, 16, 128),
        (8, 17, 127),
        (11, 40, 128),
        (33, 100, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let mut numbers = Numbers(case as u64);
        let fills = [(4095, 4095), (-4095, 4095), (-4095, -4095)];
        for fill in [None].into_iter().chain(fills.map(Some)) {
            let operand = |count, fill: Option<i16>, numbers: &mut Numbers| match fill {
                None => numbers.mantissas(count),
                Some(value) => vec![value; count],
            };
            let a = operand(rows * inner, fill.map(|f| f.0), &mut numbers);
            let b = operand(columns * inner, fill.map(|f| f.1), &mut numbers);
            let (pairs, panels) = (inner.div_ceil(2), columns.div_ceil(LANES));
            let mut left = vec![0; rows.next_multiple_of(ROWS) * 2 * pairs];
            let mut right = vec![0; panels * pairs * PANEL];
            for k in 0..inner {
                (0..rows).for_each(|r| left[r * 2 * pairs + k] = a[r * inner + k]);
                for c in 0..columns {
                    let place = c / LANES * pairs * PANEL + k / 2 * PANEL + 2 * (c % LANES) + k % 2;
                    right[place] = b[c * inner + k];
                }
            }
            let product = Product {
                a: &left,
                rows,
                row_stride: 2 * pairs,
                pair_stride: 2,
                b: &right,
                panels,
                panel_stride: pairs * PANEL,
                pairs,
                start: &[],
            };
            for backend in Backend::available() {
                let mut out = vec![7; rows * panels * LANES];
                backend
                    .require()
                    .expect("available")
                    .product(&product, &mut out);
                for (place, &sum) in out.iter().enumerate() {
                    let (r, c) = (place / (panels * LANES), place % (panels * LANES));
                    let term = |k| i64::from(a[r * inner + k]) * i64::from(b[c * inner + k]);
                    let exact: i64 = if c < columns {
                        (0..inner).map(term).sum()
                    } else {
                        0
                    };
                    assert_eq!(i64::from(sum), exact, "{backend}, case {case}, {r}, {c}");
                }
            }
        }
    }
}

#[test]
fn every_backend_passes_its_self_test() {
    for backend in Backend::ALL {
        match backend.self_test() {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, BackendError::Unsupported(backend));
                eprintln!("skipped: {error}");
            }
        }
    }
    assert_eq!(refused(), []);
}

/// Kernels of which one operation is wrong in one place are refused, with its name.
#[test]
fn a_wrong_kernel_is_refused() {
    struct Wrong(&'static str);
    impl Kernels for Wrong {
        fn product(&self, product: &Product<'_>, out: &mut [i32]) {
            Portable.product(product, out);
            let last = product.rows * product.panels * LANES - 1;
            out[last] += i32::from(self.0 == "product");
        }
        fn descend(&self, descent: &Descent<'_>, parameters: &mut Parameters<'_>) -> Magnitudes {
            let mut magnitudes = Portable.descend(descent, parameters);
            match self.0 {
                "descend" => parameters.master[17] += 1,
                "velocity" => parameters.velocity[17] += 1,
                "magnitudes" => magnitudes.weights ^= 1,
                "mantissas" => parameters.packed[17] += 1,
                _ => {}
            }
            magnitudes
        }
        fn pack(&self, master: &[i32], width: usize, shift: u32, packed: &mut [i16]) {
            Portable.pack(master, width, shift, packed);
            packed[1] += i16::from(self.0 == "pack");
        }
        fn spin(&self, iterations: u64) -> (u64, i32) {
            Portable.spin(iterations)
        }
        fn rectify(&self, values: &mut [i32]) -> u32 {
            Portable.rectify(values) ^ u32::from(self.0 == "rectify")
        }
        fn gate(&self, values: &mut [i32], activations: &[i16], lines: Lines) -> u32 {
            Portable.gate(values, activations, lines) ^ u32::from(self.0 == "gate")
        }
        fn interleave(&self, columns: &Columns<'_>, out: &mut [i16]) {
            Portable.interleave(columns, out);
            out[1] += i16::from(self.0 == "interleave");
        }
        fn panels(&self, columns: &Columns<'_>, out: &mut [i16]) {
            Portable.panels(columns, out);
            out[1] += i16::from(self.0 == "panels");
        }
        fn column_sums(&self, columns: &Columns<'_>, sums: &mut [i32]) {
            Portable.column_sums(columns, sums);
            sums[1] += i32::from(self.0 == "column sums");
        }
        fn gradient(&self, logits: &mut Logits<'_>, values: &mut [i32]) -> u32 {
            Portable.gradient(logits, values) ^ u32::from(self.0 == "gradient")
        }
        fn narrow(&self, values: &[i32], shift: u32, out: &mut [i16], lines: Lines) {
            Portable.narrow(values, shift, out, lines);
            if self.0 == "narrow" && shift == 30 {
                out[0] += 1;
            }
        }
    }
    assert_eq!(self_test::check(&Wrong("nothing")), Ok(()));
    for operation in [
        "product",
        "descend",
        "pack",
        "rectify",
        "gate",
        "gradient",
        "narrow",
        "interleave",
        "panels",
        "column sums",
    ] {
        assert_eq!(self_test::check(&Wrong(operation)), Err(operation));
    }
    for part in ["velocity", "magnitudes", "mantissas"] {
        assert_eq!(self_test::check(&Wrong(part)), Err("descend"));
    }
}

#[test]
fn names_round_trip_and_wrong_ones_are_refused() {
    for backend in Backend::ALL {
        assert_eq!(backend.name().parse(), Ok(backend));
        let expected = if backend.kernels().is_some() {
            Ok(backend)
        } else {
            Err(BackendError::Unsupported(backend))
        };
        assert_eq!(select(backend.name()), expected);
    }
    for wrong in ["AVX2", "scalar", "avx-512"] {
        let refused = select(wrong).expect_err("refused");
        assert!(refused.to_string().contains(&format!("{wrong:?}")));
    }
    assert_eq!(
        select(""),
        Ok(*Backend::available().last().expect("portable"))
    );
}

/// The suite runs with the backend that the variable names: this test fails when it was not the one that computed.
#[test]
fn the_variable_is_obeyed() {
    match std::env::var(VARIABLE) {
        Ok(name) if !name.is_empty() => assert_eq!(current().name(), name),
        _ => assert_eq!(Some(&current()), Backend::available().last()),
    }
    let data = crate::data::digits().expect("built in");
    let model =
        crate::Model::initial("mlp:64-32-10".parse().expect("a model"), [1; 32]).expect("a model");
    let spec = crate::TrainSpec {
        epochs: 1,
        batch: 32,
        learning_rate: 13_107,
        momentum: 0,
        dropout: None,
        rounding: None,
    };
    choose().expect("as above");
    RAN.take();
    crate::train(&model, &data.train, &spec, [1; 32]).expect("trains");
    crate::evaluate(&model, &data.test).expect("evaluates");
    assert_eq!(RAN.take(), [current()]);
}
