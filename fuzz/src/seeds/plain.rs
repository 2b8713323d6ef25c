//! What is no CBOR: models, tables and texts.

use dawn_transport::AggregatorInfo;

use super::{Seed, chosen};
use crate::targets::TEXTS;
use crate::world::{self, honest};

pub(super) fn models(seeds: &mut Vec<Seed>) {
    let model = honest().rounds[1].model.to_bytes();
    let le = |numbers: &[i32]| {
        numbers
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let mut add = |name: &str, parts: &[&[u8]]| {
        seeds.push(("models", name.to_owned(), parts.concat()));
    };
    add("model", &[&[0], &model]);
    add(
        "update",
        &[
            &[1, 12, 4, 0, 0, 0],
            &le(&[1, -1, 1 << 24, i32::MAX, 5, -6, 7, 1 << 30]),
        ],
    );
    add(
        "quantise",
        &[
            &[2, 12, 0xe8, 3, 0, 0, 1],
            &le(&[1 << 20, -1, i32::MIN, 4000, 0]),
        ],
    );
    add(
        "csv",
        &[&[3, 2, 3, 4, 0x23], b"label,a,b\n0.5,-1,2\n1e-1,+3.25,0\n"],
    );
    add(
        "csv",
        &[&[3, 2, 2, 0x34, 0x25], b"0.5,-1,2,0.125\n1e-1,+3.25,0,-7\n"],
    );
    let file = |descr: &str, shape: &str, elements: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), elements].concat()
    };
    let floats: Vec<u8> = [0.5f32, -1.0, 2.5, 0.0]
        .iter()
        .flat_map(|f| f.to_le_bytes())
        .collect();
    let (features, wide) = (
        file("<f4", "(2, 2)", &floats),
        [0.25f64.to_le_bytes(); 2].concat(),
    );
    for (name, classes, answers) in [
        ("npy labels", 3, file("|u1", "(2,)", &[2, 0])),
        ("npy targets", 0, file("<f8", "(2, 1)", &wide)),
    ] {
        let length = answers.len() as u8;
        add(name, &[&[4, classes, 0x23, 2, length], &features, &answers]);
    }
}

pub(super) fn texts(seeds: &mut Vec<Seed>) {
    let key = world::key();
    let info = AggregatorInfo {
        aggregator_key: key.public(),
        log_key: key.public(),
        protocol_version: 1,
        software_version: "0.1.0".to_owned(),
    };
    let problem =
        br#"{"type":"urn:dawn:problem:conflict","title":"T","status":409,"detail":"d\u001b"}"#;
    let mut add = |name: &str, bytes: &[u8]| {
        let input = chosen(TEXTS, name, |entry| entry.0, bytes);
        let label = format!("{name} {}", seeds.len());
        seeds.push(("texts", label, input));
    };
    add("digest", "0af9".repeat(16).as_bytes());
    add("identifier", "b7".repeat(32).as_bytes());
    add("public key", key.public().to_string().as_bytes());
    add("public key file", key.public().to_pem().as_bytes());
    add("secret key file", key.to_pkcs8_pem().as_bytes());
    add("model", b"logistic:64-10");
    add("model", b"mlp:64-32-10");
    add("model", b"mlp:64-48-32-10");
    add("model", b"cnn:28x28x1-8k3-16k3-64-10");
    add("model", b"linear:6-2");
    add("model", b"regressor:6-16-2");
    add("preset", b"private");
    add("backend", b"portable");
    add("problem", problem);
    add(
        "description",
        &serde_json::to_vec(&info).expect("plain data"),
    );
    add("deviation", b"1234.5678");
}
