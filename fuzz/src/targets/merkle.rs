//! Trees: the honest proof verifies, and none for another leaf, place or root; any proof is judged in bounded time.

use arbitrary::{Arbitrary, Result, Unstructured};
use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::{
    Frontier, consistency_proof, inclusion_proof, leaf_hash, node_hash, root, verify_consistency,
    verify_inclusion,
};

/// Input: number of leaves, places, what is changed, then numbers and digests for proofs of anything.
pub fn merkle(data: &[u8]) -> bool {
    run(&mut Unstructured::new(data)).unwrap_or(false)
}

fn run(input: &mut Unstructured<'_>) -> Result<bool> {
    anything(input)?;
    let size = input.int_in_range(1..=300usize)?;
    let salt: u8 = input.arbitrary()?;
    let leaf = |index: usize| leaf_hash(&[&[salt], &index.to_le_bytes()[..]].concat());
    let leaves: Vec<Digest> = (0..size).map(leaf).collect();
    let whole = root(&leaves);
    assert_eq!(whole, by_definition(&leaves));

    let index = input.int_in_range(0..=size - 1)?;
    let proof = inclusion_proof(&leaves, index).expect("a leaf");
    let verify = |leaf: &Digest, index: usize, proof: &[Digest], root: &Digest| {
        verify_inclusion(leaf, index as u64, size as u64, proof, root).is_ok()
    };
    assert!(verify(&leaves[index], index, &proof, &whole));
    assert!(inclusion_proof(&leaves, size).is_err());
    let other = input.int_in_range(0..=size - 1)?;
    assert_eq!(
        verify(&leaves[other], index, &proof, &whole),
        other == index
    );
    assert_eq!(
        verify(&leaves[index], other, &proof, &whole),
        other == index
    );
    assert!(!verify(&leaves[index], size, &proof, &whole));
    assert!(!verify(
        &leaves[index],
        index,
        &proof,
        &flipped(&whole, input)?
    ));
    assert!(!verify(
        &flipped(&leaves[index], input)?,
        index,
        &proof,
        &whole
    ));
    let longer = [&proof[..], &[whole]].concat();
    assert!(!verify(&leaves[index], index, &longer, &whole));
    if let Some(place) = proof.len().checked_sub(1) {
        assert!(!verify(&leaves[index], index, &proof[..place], &whole));
        let place = input.int_in_range(0..=place)?;
        let mut changed = proof.clone();
        changed[place] = flipped(&changed[place], input)?;
        assert!(!verify(&leaves[index], index, &changed, &whole));
    }

    let old = input.int_in_range(1..=size)?;
    let before = root(&leaves[..old]);
    let proof = consistency_proof(&leaves, old).expect("a prefix");
    let verify = |old: usize, before: &Digest, proof: &[Digest], root: &Digest| {
        verify_consistency(old as u64, before, size as u64, root, proof).is_ok()
    };
    assert!(verify(old, &before, &proof, &whole));
    assert!(!verify(old, &flipped(&before, input)?, &proof, &whole));
    assert!(!verify(old, &before, &proof, &flipped(&whole, input)?));
    assert!(!verify(
        old,
        &before,
        &[&proof[..], &[whole]].concat(),
        &whole
    ));
    assert!(!verify(0, &before, &proof, &whole) && !verify(size + 1, &before, &proof, &whole));
    if let Some(last) = proof.len().checked_sub(1) {
        assert!(!verify(old, &before, &proof[..last], &whole));
        let place = input.int_in_range(0..=last)?;
        let mut changed = proof.clone();
        changed[place] = flipped(&changed[place], input)?;
        assert!(!verify(old, &before, &changed, &whole));
    }

    // A frontier that was stored at any size goes on from there.
    let mut frontier = Frontier::new();
    leaves[..old].iter().for_each(|leaf| frontier.push(*leaf));
    assert_eq!(frontier.root(), before);
    let mut stored =
        Frontier::from_parts(old as u64, frontier.subtrees().to_vec()).expect("as stored");
    leaves[old..].iter().for_each(|leaf| stored.push(*leaf));
    assert_eq!((stored.root(), stored.size()), (whole, size as u64));
    Ok(true)
}

/// RFC 6962, section 2.1, word by word.
fn by_definition(leaves: &[Digest]) -> Digest {
    if let [leaf] = leaves {
        return *leaf;
    }
    let mut split = 1;
    while 2 * split < leaves.len() {
        split *= 2;
    }
    node_hash(
        &by_definition(&leaves[..split]),
        &by_definition(&leaves[split..]),
    )
}

fn flipped(digest: &Digest, input: &mut Unstructured<'_>) -> Result<Digest> {
    let mut digest = *digest;
    digest.0[input.int_in_range(0..=31usize)?] ^= 1 << input.int_in_range(0..=7)?;
    Ok(digest)
}

/// Numbers and proofs that nobody made: an answer, and soon.
fn anything(input: &mut Unstructured<'_>) -> Result<()> {
    let numbers = <[u64; 2]>::arbitrary(input)?;
    let digests: Vec<[u8; 32]> = (0..input.int_in_range(0..=4)?)
        .map(|_| input.arbitrary())
        .collect::<Result<_>>()?;
    let mut proof: Vec<Digest> = digests.into_iter().map(Digest).collect();
    proof.resize(input.int_in_range(0..=80)?, Digest([1; 32]));
    let (leaf, whole) = (Digest([2; 32]), Digest([3; 32]));
    assert!(verify_inclusion(&leaf, numbers[0], numbers[1], &proof, &whole).is_err());
    assert!(verify_consistency(numbers[0], &leaf, numbers[1], &whole, &proof).is_err());
    let _ = Frontier::from_parts(numbers[0], proof);
    Ok(())
}
