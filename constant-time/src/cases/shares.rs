//! Shares of the mask key, their commitments and the proof that they belong together (`docs/protocol.md`,
//! sections 4.2 and 4.3).

use super::{Case, still_secret};
use crate::random::SecretRng;
use dawn_crypto::commit::key_commitment;
use dawn_crypto::mask::MaskKey;
use dawn_crypto::params::N;
use dawn_crypto::shamir::{
    ConsistencyProof, KeyShare, ShareEncoding, ShareSum, Threshold, share_key,
};
use rand_core::Rng;
use zeroize::Zeroizing;

pub const CASES: &[Case] = &[
    ("share-key", share),
    ("share-expansion", expand),
    ("share-encoding", encoding),
    ("share-commitment", commit),
    ("share-consistency", consistency),
];

fn threshold() -> Threshold {
    Threshold::new(6, 1).expect("allowed")
}

fn shares(rng: &mut SecretRng) -> Vec<ShareEncoding> {
    share_key(&MaskKey::sample(rng), &threshold(), rng)
}

/// A share's elements, which it does not show by itself.
fn elements(share: &KeyShare) -> ShareSum {
    let mut sum = ShareSum::zero();
    sum.add_assign(share);
    sum
}

fn share() {
    for encoding in shares(&mut SecretRng::new(11)) {
        match &encoding {
            ShareEncoding::Seed(seed) => still_secret(seed),
            ShareEncoding::Explicit(elements) => still_secret(elements),
        }
    }
}

fn expand() {
    let mut rng = SecretRng::new(12);
    for _ in 0..4 {
        let share = ShareEncoding::Seed(rng.seed()).expand().expect("a seed");
        still_secret(elements(&share).elements());
    }
    let uniform: Vec<u32> = elements(&expand_one(&mut rng)).elements().to_vec();
    let share = ShareEncoding::Explicit(uniform).expand().expect("elements");
    still_secret(elements(&share).elements());
}

fn expand_one(rng: &mut SecretRng) -> KeyShare {
    ShareEncoding::Seed(rng.seed()).expand().expect("a seed")
}

fn encoding() {
    let mut rng = SecretRng::new(13);
    let bytes = elements(&expand_one(&mut rng)).to_bytes();
    let read = ShareEncoding::from_bytes(&bytes).expect("elements");
    let ShareEncoding::Explicit(words) = &read else {
        panic!("elements are not a seed");
    };
    still_secret(words);
    // What a wrong word costs is said aloud; nothing else of the others.
    let mut wrong = bytes;
    wrong[4000..4004].fill(0xff);
    assert!(ShareEncoding::from_bytes(&wrong).is_err());
}

fn commit() {
    let mut rng = SecretRng::new(14);
    let share = expand_one(&mut rng);
    still_secret(key_commitment(3, &rng.seed(), &share).as_bytes());
}

fn consistency() {
    let mut rng = SecretRng::new(15);
    let shares: Vec<_> = shares(&mut rng)
        .iter()
        .map(|encoding| {
            let mut blind = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *blind);
            (blind, encoding.expand().expect("our own"))
        })
        .collect();
    for (blind, share) in &shares {
        still_secret(&blind[..]);
        still_secret(elements(share).elements());
    }
    let th = threshold();
    let segments: Vec<[&[u32]; 1]> = shares.iter().map(|(_, s)| [&s.elements()[..]]).collect();
    let given: Vec<(&[u8; 32], &[&[u32]])> = (shares.iter().zip(&segments))
        .map(|((blind, _), segments)| (&**blind, &segments[..]))
        .collect();
    let proof = ConsistencyProof::new(&th, &given, &[0; N], &mut rng);
    for (point, (blind, share)) in (1u8..).zip(&given) {
        assert!(proof.accepts(&th, point, blind, share, &[0; N]));
        assert!(!proof.accepts(&th, point, blind, given[0].1, &[1; N]));
    }
}
