//! What devices send: packages and containers.

use dawn_crypto::norm::params::REPETITIONS;
use dawn_crypto::shamir::ShareSum;
use dawn_crypto::vrf::prove;
use dawn_identity::to_canonical;
use dawn_protocol::container::ContainerHead;
use minicbor::Encode;
use minicbor::bytes::ByteVec;

use super::{Seed, chosen};
use crate::targets::{self, PACKAGES};
use crate::world::honest;

pub(super) fn packages(seeds: &mut Vec<Seed>) {
    let round = &honest().rounds[1];
    let header = round.submissions[0].header.peek();
    let plaintext = |share: Vec<u8>, beside: [usize; 2]| {
        let [digits, proofs] = beside.map(|length| ByteVec::from(vec![3; length]));
        let parts = (
            ByteVec::from(vec![8; 32]),
            ByteVec::from(share),
            digits,
            proofs,
        );
        encoded(&parts)
    };
    let params = targets::params();
    let beside = [4 * params.digits(), 4 * REPETITIONS * params.proof_len()];
    let elements = ShareSum::zero().to_bytes();
    let key = round.spec.peek().sealing_keys[0].as_ref().expect("seated");
    let mut add = |name: &str, label: &str, bytes: &[u8]| {
        let input = chosen(PACKAGES, name, |entry| entry.0, bytes);
        seeds.push(("packages", format!("{name} {label}"), input));
    };
    add("plaintext", "of a seed", &plaintext(vec![7; 32], [0, 0]));
    add(
        "plaintext",
        "explicit",
        &plaintext(elements.clone(), beside),
    );
    add("consistency proof", "", &to_canonical(&header.consistency));
    add("sealing key", "", key.peek().key.as_bytes());
    add("sealed", "", targets::sealed());
    add("payload", "", &round.submissions[0].payload[..64]);
    add("share sum", "", &elements);
    add("vrf key", "", targets::prover().public().as_bytes());
    let proof = prove(targets::prover(), b"input");
    add("vrf proof", "", &[&proof.as_bytes()[..], b"input"].concat());
}

pub(super) fn containers(seeds: &mut Vec<Seed>) {
    let submission = &honest().rounds[1].submissions[0];
    let heads = [
        (
            "honest",
            submission.header.bytes().to_vec(),
            submission.packages.clone(),
        ),
        ("small", vec![1; 9], vec![vec![2; 5], vec![], vec![3; 300]]),
        ("nothing", vec![], vec![]),
    ];
    for (name, header, packages) in heads {
        for cut in 0..4 {
            let count = u8::try_from(packages.len()).expect("few packages");
            let head = ContainerHead {
                header: header.clone(),
                packages: packages.clone(),
            };
            let mut bytes = vec![count, cut];
            head.write_to(&mut bytes).expect("writing into memory");
            bytes.extend_from_slice(&[0; 64]);
            seeds.push(("container", format!("{name} {cut}"), bytes));
        }
    }
}

fn encoded<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("encoding into memory does not fail")
}
