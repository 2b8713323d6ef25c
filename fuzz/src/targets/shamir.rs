//! Shares: any T of them give the key, fewer do not, and an answer beside the polynomial shows.

use arbitrary::{Result, Unstructured};
use dawn_crypto::mask::{MaskKey, PublicMatrix, add_assign, mask, unmask};
use dawn_crypto::params::{Dimension, N, Q};
use dawn_crypto::shamir::{
    ConsistencyProof, KeyShare, Segments, ShamirError, ShareEncoding, ShareSum, Threshold, correct,
    interpolate_at, reconstruct, share_key,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Input: stewards, faults, devices, a seed, which stewards answer, what is changed.
pub fn shamir(data: &[u8]) -> bool {
    run(&mut Unstructured::new(data)).unwrap_or(false)
}

fn run(input: &mut Unstructured<'_>) -> Result<bool> {
    let (m, f) = (input.int_in_range(0..=20)?, input.int_in_range(0..=8)?);
    let Ok(threshold) = Threshold::new(m, f) else {
        return Ok(false);
    };
    let mut rng = ChaCha20Rng::seed_from_u64(input.arbitrary()?);
    let devices = input.int_in_range(1..=2)?;
    let matrix = PublicMatrix::from_seed(&[1; 32]);
    let dimension = Dimension::new(1).expect("one coordinate");
    let mut sums = vec![ShareSum::zero(); usize::from(m)];
    let mut masked = vec![0; dimension.padded()];
    for _ in 0..devices {
        let key = MaskKey::sample(&mut rng);
        let nothing = vec![0; dimension.padded()];
        let c = mask(&matrix, &key, &dimension, &[0], &nothing).expect("fits");
        add_assign(&mut masked, &c);
        let encodings = share_key(&key, &threshold, &mut rng);
        consistent(&threshold, &encodings, input, &mut rng)?;
        for (sum, encoding) in sums.iter_mut().zip(&encodings) {
            sum.add_assign(&encoding.expand().expect("our own"));
        }
    }
    // Any T of them, in any order.
    let mut points: Vec<u8> = (1..=m).collect();
    for place in 0..points.len() {
        let other = input.int_in_range(place..=points.len() - 1)?;
        points.swap(place, other);
    }
    let (inside, outside) = points.split_at(usize::from(threshold.t()));
    let answer = |point: &u8| (*point, &sums[usize::from(*point) - 1]);
    let answers: Vec<_> = inside.iter().map(answer).collect();
    let key = reconstruct(&answers).expect("distinct points");
    let opened = unmask(&matrix, &dimension, &masked, &key).expect("fits");
    assert!(
        opened.iter().all(|value| *value == 0),
        "T answers gave another key"
    );
    for point in outside {
        let expected = interpolate_at(&answers, *point).expect("distinct points");
        assert!(
            expected == *answer(point).1,
            "an honest answer is not on the polynomial"
        );
    }
    // Fewer are worth nothing, and neither is one that lies.
    let fewer = reconstruct(&answers[1..]).expect("distinct points");
    assert!(fewer != key, "fewer than T answers gave the key");
    let mut lie = answers[0].1.to_bytes();
    let at = 4 * input.int_in_range(0..=N - 1)?;
    let word = u32::from_le_bytes(lie[at..at + 4].try_into().expect("4 bytes"));
    let other = (word + input.int_in_range(1..=Q - 1)?.min(Q - 1 - word).max(1)) % Q;
    lie[at..at + 4].copy_from_slice(&other.to_le_bytes());
    let lie = ShareSum::from_bytes(&lie).expect("below q");
    let mut lying = answers.clone();
    lying[0].1 = &lie;
    assert!(reconstruct(&lying).expect("distinct points") != key);
    for point in outside {
        let expected = interpolate_at(&lying, *point).expect("distinct points");
        assert!(expected != *answer(point).1, "a lie is on the polynomial");
    }
    // All answers together show who lies, when they are enough.
    let all: Vec<_> = lying
        .iter()
        .copied()
        .chain(outside.iter().map(answer))
        .collect();
    match (correct(&all, threshold.t()), outside.len()) {
        (Ok(corrected), 2..) => {
            assert!(corrected.secret == key);
            assert_eq!(corrected.culprits, [lying[0].0]);
        }
        (Err(ShamirError::TooManyWrong { .. }), 1) => (),
        (Ok(corrected), 0) => assert!(corrected.secret != key),
        (other, more) => panic!("{more} more answers than T: {other:?}"),
    }
    // Points that cannot be.
    let twice = [answers[0], answers[0]];
    assert!(reconstruct(&twice).is_err() && reconstruct(&[]).is_err());
    assert!(
        reconstruct(&[(0, answers[0].1)]).is_err() && reconstruct(&[(17, answers[0].1)]).is_err()
    );
    Ok(true)
}

/// The proof of consistency is accepted by every steward, and by none whose share is another one.
fn consistent(
    threshold: &Threshold,
    encodings: &[ShareEncoding],
    input: &mut Unstructured<'_>,
    rng: &mut ChaCha20Rng,
) -> Result<()> {
    let mut shares: Vec<([u8; 32], KeyShare)> = Vec::new();
    for encoding in encodings {
        let bytes = minicbor::to_vec(encoding).expect("encodes");
        let decoded: ShareEncoding = minicbor::decode(&bytes).expect("as encoded");
        assert!(decoded == *encoding);
        let mut blind = [0; 32];
        rng.fill_bytes(&mut blind);
        shares.push((blind, decoded.expand().expect("our own")));
    }
    // Two segments: how a share is cut changes nothing.
    let cut: Vec<_> = shares
        .iter()
        .map(|(_, share)| share.elements().split_at(7))
        .collect();
    let cut: Vec<[&[u32]; 2]> = cut.into_iter().map(|(a, b)| [a, b]).collect();
    let given: Vec<(&[u8; 32], Segments<'_>)> = shares
        .iter()
        .zip(&cut)
        .map(|((blind, _), cut)| (blind, &cut[..]))
        .collect();
    let proof = ConsistencyProof::new(threshold, &given, b"context", rng);
    let accepts = |point: u8, share: &KeyShare, context: &[u8]| {
        let blind = &shares[usize::from(point) - 1].0;
        proof.accepts(threshold, point, blind, &[&share.elements()[..]], context)
    };
    // Judging costs as much as all the rest: by a few.
    for _ in 0..3 {
        let point = input.int_in_range(1..=threshold.m())?;
        let share = &shares[usize::from(point) - 1].1;
        assert!(accepts(point, share, b"context"));
    }
    let point = input.int_in_range(1..=threshold.m())?;
    let share = &shares[usize::from(point) - 1].1;
    assert!(!accepts(point, share, b"another"));
    let mut elements = match &encodings[usize::from(point) - 1] {
        ShareEncoding::Explicit(elements) => elements.clone(),
        ShareEncoding::Seed(_) => vec![0; N],
    };
    let at = input.int_in_range(0..=N - 1)?;
    elements[at] = (elements[at] + 1) % Q;
    let other = ShareEncoding::Explicit(elements.clone())
        .expand()
        .expect("below q");
    assert!(
        !accepts(point, &other, b"context"),
        "another share was accepted"
    );
    Ok(())
}
