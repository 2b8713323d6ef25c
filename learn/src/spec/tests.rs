//! Every form of a specification, and what is refused.

use super::*;
use crate::model::Model;

fn mlp<const LAYERS: usize>(hidden: [u32; LAYERS]) -> ModelSpec {
    ModelSpec::Mlp {
        inputs: 64,
        hidden: hidden.into(),
        classes: 10,
    }
}

const LOGISTIC: ModelSpec = ModelSpec::Logistic {
    inputs: 64,
    classes: 10,
};

const LINEAR: ModelSpec = ModelSpec::Linear {
    inputs: 6,
    outputs: 1,
};

fn regressor<const LAYERS: usize>(hidden: [u32; LAYERS]) -> ModelSpec {
    ModelSpec::Regressor {
        inputs: 6,
        hidden: hidden.into(),
        outputs: 256,
    }
}

fn cnn() -> ModelSpec {
    let convolution = |channels, kernel| Convolution { channels, kernel };
    ModelSpec::Cnn {
        image: Image {
            height: 28,
            width: 28,
            channels: 1,
        },
        convolutions: [convolution(8, 3), convolution(16, 3)].into(),
        hidden: [64].into(),
        classes: 10,
    }
}

#[test]
fn text_cbor_and_json_come_back_the_same() {
    for (spec, text) in [
        (LOGISTIC, "logistic:64-10"),
        (cnn(), "cnn:28x28x1-8k3-16k3-64-10"),
        (LINEAR, "linear:6-1"),
        (regressor([16, 8]), "regressor:6-16-8-256"),
        (mlp([32]), "mlp:64-32-10"),
        (mlp([48, 32, 16]), "mlp:64-48-32-16-10"),
        (
            mlp([1, 2, 3, 4, 5, 6, 7, 65536]),
            "mlp:64-1-2-3-4-5-6-7-65536-10",
        ),
    ] {
        assert_eq!(spec.to_string(), text);
        assert_eq!(text.parse(), Ok(spec));
        let bytes = minicbor::to_vec(spec).unwrap();
        assert_eq!(minicbor::decode::<ModelSpec>(&bytes).unwrap(), spec);
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<ModelSpec>(&json).unwrap(), spec);
    }
}

#[test]
fn the_encoding_is_the_documents() {
    let bytes = |spec: ModelSpec| minicbor::to_vec(spec).unwrap();
    assert_eq!(bytes(LOGISTIC), [0x83, 0, 24, 64, 10]);
    assert_eq!(bytes(LINEAR), [0x83, 2, 6, 1]);
    assert_eq!(
        bytes(cnn()),
        [0x8b, 4, 24, 28, 24, 28, 1, 2, 8, 3, 16, 3, 24, 64, 10]
    );
    assert_eq!(bytes(regressor([16, 8])), [0x85, 3, 6, 16, 8, 25, 1, 0]);
    assert_eq!(bytes(mlp([32])), [0x84, 1, 24, 64, 24, 32, 10]);
    assert_eq!(
        bytes(mlp([300, 32, 1])),
        [0x86, 1, 24, 64, 25, 1, 44, 24, 32, 1, 10]
    );
}

#[test]
fn parameters_are_weights_and_biases() {
    assert_eq!(LOGISTIC.parameters(), 650);
    assert_eq!(LINEAR.parameters(), 7);
    assert_eq!((LINEAR.outputs(), LINEAR.classes()), (1, 0));
    assert_eq!((LOGISTIC.outputs(), LOGISTIC.classes()), (10, 10));
    assert!(LINEAR.is_regressor() && !LOGISTIC.is_regressor());
    assert_eq!(mlp([32]).parameters(), 64 * 32 + 32 + 32 * 10 + 10);
    let deep = mlp([32, 20]);
    let layers = deep.layers();
    assert_eq!(layers.len(), 3);
    assert_eq!(layers[1].offset, 64 * 32 + 32);
    assert_eq!(layers[2].offset, layers[1].offset + 32 * 20 + 20);
    assert_eq!(layers[2].biases().end, deep.parameters());
}

#[test]
fn convolutions_come_before_dense_layers() {
    let spec = cnn();
    let shapes: Vec<_> = spec.convolutions().collect();
    let sides = |sides: super::convolution::Sides| (sides.height, sides.width, sides.channels);
    assert_eq!(sides(shapes[0].convolved), (26, 26, 8));
    assert_eq!(sides(shapes[0].pooled), (13, 13, 8));
    assert_eq!(sides(shapes[1].before), (13, 13, 8));
    assert_eq!(sides(shapes[1].pooled), (5, 5, 16));
    let layers = spec.layers();
    let sizes: Vec<_> = layers
        .iter()
        .map(|layer| (layer.inputs, layer.outputs))
        .collect();
    assert_eq!(sizes, [(9, 8), (72, 16), (400, 64), (64, 10)]);
    assert_eq!(layers[1].offset, 80);
    assert_eq!(layers[2].offset, 80 + 73 * 16);
    assert_eq!(layers[3].biases().end, spec.parameters());
    assert_eq!(
        (spec.inputs(), spec.outputs(), spec.classes()),
        (784, 10, 10)
    );
    let small: ModelSpec = "cnn:2x3x2-1k1-2".parse().unwrap();
    assert_eq!(small.parameters(), 3 + 2 * 2);
}

/// Nothing about a specification that was not checked panics.
#[test]
fn numbers_at_the_extremes_are_refused_without_overflow() {
    for convolution in [(0, 0), (u32::MAX, u32::MAX), (1, u32::MAX), (u32::MAX, 1)] {
        for side in [0, 1, u32::MAX] {
            let (channels, kernel) = convolution;
            let spec = ModelSpec::Cnn {
                image: Image {
                    height: side,
                    width: side,
                    channels: u32::MAX,
                },
                convolutions: [Convolution { channels, kernel }; 4].into(),
                hidden: [u32::MAX].into(),
                classes: u32::MAX,
            };
            assert!(spec.check().is_err());
            assert!(spec.parameters() > 0 && spec.inputs() < usize::MAX);
            assert_eq!(spec.to_string().parse(), spec.check().map(|()| spec));
        }
    }
}

#[test]
fn wrong_text_is_refused() {
    for text in [
        "",
        "mlp",
        "mlp:",
        "mlp:64-10",
        "logistic:64-32-10",
        "logistic:64-1",
        "cnn:28x28x1",
        "cnn:28x28x1-10",
        "cnn:28x28x1-8k3",
        "cnn:28x28-8k3-10",
        "cnn:28x28x1x1-8k3-10",
        "cnn:28x28x1-64-8k3-10",
        "cnn:28x28x1-8k-10",
        "cnn:28x28x1-8k3k3-10",
        "cnn:28x28x1-0k3-10",
        "cnn:28x28x1-257k3-10",
        "cnn:28x28x1-8k0-10",
        "cnn:28x28x1-8k8-10",
        "cnn:28x28x0-8k3-10",
        "cnn:1x28x1-8k1-10",
        "cnn:129x28x1-8k1-10",
        "cnn:28x28x1-8k3-1",
        "cnn:28x28x1-8k3-0-10",
        "cnn:4x4x1-8k4-10",
        "cnn:28x28x1-8k3-8k3-8k3-8k3-10",
        "cnn:128x128x1-8k1-8k1-8k1-8k1-8k1-10",
        "cnn:128x128x4-8k7-10",
        "cnn:128x128x1-32k3-10",
        "linear:64",
        "linear:64-0",
        "linear:64-257",
        "linear:64-3-1",
        "regressor:64-1",
        "regressor:64-0-1",
        "logistic:0-10",
        "tree:1-2",
        "logistic:+64-10",
        "logistic:64-257",
        "mlp:64-32-0-10",
        "mlp:64-65537-32-10",
        "mlp:64-32--10",
        "mlp:1-2-3-4-5-6-7-8-9-10-11",
        "mlp:1-2-3-4-5-6-7-8-9-10-11-12-13",
        "logistic:65537-10",
        "mlp:65536-65536-10",
        "logistic:99999999999-10",
    ] {
        assert!(text.parse::<ModelSpec>().is_err(), "{text}");
    }
}

#[test]
fn wrong_cbor_is_refused() {
    let encodings: [&[u8]; 12] = [
        &[0x83, 0, 0, 10],                                          // no inputs
        &[0x83, 24, 99, 24, 64, 10],                                // no such kind
        &[0x84, 0, 24, 64, 24, 32, 10], // a logistic model with a hidden layer
        &[0x9f, 0, 24, 64, 10, 0xff],   // indefinite length
        &[0x83, 0, 24, 64],             // cut
        &[0x84, 1, 0x1a, 0, 1, 0, 0, 0x1a, 0, 1, 0, 0, 10], // too large
        &[0x83, 1, 24, 64, 10],         // a perceptron without a hidden layer
        &[0x8c, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 2], // nine hidden layers
        &[0x85, 4, 8, 8, 1, 0],         // no convolutions, no classes
        &[0x87, 4, 8, 8, 1, 2, 3, 3],   // the second one is cut
        &[0x87, 4, 8, 8, 1, 0x1a, 0xff, 0xff, 0xff, 0xff, 3, 3], // far more than there are numbers
        &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], // endless
    ];
    for bytes in encodings {
        assert!(minicbor::decode::<ModelSpec>(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn a_specification_from_its_parts_is_checked() {
    let empty = ModelSpec::Mlp {
        inputs: 64,
        hidden: [].into(),
        classes: 10,
    };
    assert!(matches!(
        empty.check(),
        Err(SpecError::Size {
            what: "hidden layers",
            ..
        })
    ));
    assert!(Model::initial(empty, [0; 32]).is_err());
}
