//! The ways of learning together on the built-in digits: the same bits everywhere, and whether anything is learnt.

#![allow(clippy::unwrap_used)]

use dawn_learn::data::{PartitionSpec, digits, partition};
use dawn_learn::{Backend, Dataset, Head, Model, ModelSpec, RoundWay, TrainSpec, Way, evaluate};

#[derive(Debug, PartialEq, serde::Deserialize)]
struct Vector {
    model: ModelSpec,
    way: String,
    seed_byte: u8,
    train: TrainSpec,
    /// Of what a device sends in round 3, little-endian.
    sent_blake3: String,
    /// Of the head that it keeps.
    head_blake3: String,
    /// Of the model that follows.
    next_blake3: String,
}

fn compute(vector: &Vector, backend: Backend) -> Vector {
    let seed = [vector.seed_byte; 32];
    let model = Model::initial(vector.model, seed).unwrap();
    let way = Way::parse(&vector.way, &vector.model).unwrap();
    let round = RoundWay::new(&vector.model, way.as_ref(), &seed, 3).unwrap();
    let mut head = round.fresh_head(&model);
    let data = digits().unwrap().train;
    let sent = round
        .train_with(backend, &model, &mut head, &data, &vector.train, seed)
        .unwrap();
    let bytes: Vec<u8> = sent.values().iter().flat_map(|x| x.to_le_bytes()).collect();
    let next = round.apply(&model, sent.values(), 3, 1).unwrap();
    let digest = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    Vector {
        model: vector.model,
        way: vector.way.clone(),
        seed_byte: vector.seed_byte,
        train: vector.train,
        sent_blake3: digest(&bytes),
        head_blake3: digest(&head.to_bytes()),
        next_blake3: digest(&next.to_bytes()),
    }
}

#[test]
fn updates_heads_and_models_have_the_committed_digests() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../test_vectors/ways.json")).unwrap();
    assert_eq!(vectors.len(), 4);
    for backend in Backend::ALL {
        if !Backend::available().contains(&backend) {
            println!("skipped: backend {backend} (this processor does not support it)");
            continue;
        }
        let computed = vectors.iter().map(|vector| compute(vector, backend));
        assert_eq!(computed.collect::<Vec<_>>(), vectors, "{backend:?}");
    }
}

/// Averaging in the clear: accuracy of the published model on the test images, and of the devices' own models on their
/// own images.
fn learn(way: &str, rounds: u32, learning_rate: u32) -> (f64, f64) {
    let split = digits().unwrap();
    let spec = PartitionSpec {
        organisations: 4,
        devices: 12,
        alpha: 1 << 15,
    };
    let shards = partition(&split.train, &spec, [1; 32]).unwrap();
    let local: Vec<Dataset> = shards
        .iter()
        .map(|shard| split.train.subset(&shard.samples).unwrap())
        .collect();
    let shape: ModelSpec = "mlp:64-32-10".parse().unwrap();
    let way = Way::parse(way, &shape).unwrap();
    let train = TrainSpec {
        epochs: 3,
        batch: 8,
        learning_rate,
        momentum: 58_982,
        dropout: None,
        rounding: None,
    };
    let mut model = Model::initial(shape, [2; 32]).unwrap();
    let mut heads: Vec<Option<Head>> = vec![None; local.len()];
    let mut own = 0.0;
    for number in 1..=rounds {
        let round = RoundWay::new(&shape, way.as_ref(), &[3; 32], number).unwrap();
        let mut sum = vec![0i64; round.dimension()];
        for (device, (data, head)) in local.iter().zip(&mut heads).enumerate() {
            let head = head.get_or_insert_with(|| round.fresh_head(&model));
            let seed = [u8::try_from(device).unwrap() + 1; 32];
            let sent = round.train(&model, head, data, &train, seed).unwrap();
            for (sum, &x) in sum.iter_mut().zip(sent.values()) {
                *sum += i64::from(x);
            }
        }
        model = round.apply(&model, &sum, local.len() as u64, 0).unwrap();
        let each = local.iter().zip(&heads).map(|(data, head)| {
            let own = round.personal(&model, head.as_ref().unwrap()).unwrap();
            evaluate(&own, data).unwrap().accuracy()
        });
        own = each.sum::<f64>() / local.len() as f64;
    }
    (evaluate(&model, &split.test).unwrap().accuracy(), own)
}

#[test]
fn every_way_learns() {
    let (averaging, _) = learn("fedavg", 6, 2000);
    let (proximal, _) = learn("fedprox:0.1", 6, 2000);
    let (low_rank, _) = learn("low-rank:16-full", 6, 2000);
    let (_, personal) = learn("personal:1", 6, 2000);
    println!("{averaging} {proximal} {low_rank} {personal}");
    assert!(averaging > 0.85, "{averaging}");
    assert!(proximal > 0.85, "{proximal}");
    assert!(low_rank > 0.75, "{low_rank}");
    assert!(personal > 0.9, "{personal}");
}
