//! What is inside a sealed package, the sealing itself, and other parts of statements that have an encoding of their own.

use std::sync::OnceLock;

use dawn_crypto::mask::{parse_payload, payload_bytes, payload_digest};
use dawn_crypto::norm::{NormParams, Rows};
use dawn_crypto::params::{Dimension, Q, Sigma};
use dawn_crypto::seal::{SealingPublicKey, SealingSecretKey, open, seal};
use dawn_crypto::shamir::{ConsistencyProof, ShareEncoding, ShareSum, Threshold};
use dawn_crypto::vrf::{VrfProof, VrfPublicKey, VrfSecretKey, proof_to_hash, prove, verify};
use dawn_identity::to_canonical;
use dawn_protocol::PackagePlaintext;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::canonical::{canonical, decoded};
use super::{Target, choose};
use crate::memory;

/// What a package may have; its own decoder reserves a whole one.
const ROOM: usize = 4 * dawn_protocol::submission::MAX_PACKAGE_BYTES;

/// Every kind of part by name; the place is the byte that chooses it.
pub const PACKAGES: &[(&str, Target)] = &[
    ("plaintext", plaintext),
    ("consistency proof", proof),
    ("sealing key", |bytes| {
        let read = |bytes: &[u8]| SealingPublicKey::from_bytes(bytes);
        decoded(bytes, read, |key| key.as_bytes().to_vec()).is_some_and(|key| {
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            if let Ok(sealed) = seal(&key, b"info", b"aad", b"plaintext", &mut rng) {
                assert!(
                    open(receiver(), b"info", b"aad", &sealed).is_ok()
                        == (key == receiver().public())
                );
            }
            true
        })
    }),
    ("sealed", |bytes| {
        let opened = open(receiver(), b"info", b"aad", bytes).is_ok();
        assert_eq!(opened, bytes == sealed(), "a changed package opens");
        opened
    }),
    ("payload", |bytes| {
        decoded(bytes, parse_payload, |words| payload_bytes(words)).is_some_and(|words| {
            assert!(words.iter().all(|word| *word < Q));
            assert_eq!(payload_digest(&words), payload_digest(&words.clone()));
            true
        })
    }),
    ("vrf key", |bytes| {
        let read = |bytes: &[u8]| VrfPublicKey::from_bytes(bytes);
        decoded(bytes, read, |key| key.as_bytes().to_vec()).is_some()
    }),
    ("vrf proof", vrf_proof),
    ("share sum", |bytes| {
        decoded(bytes, ShareSum::from_bytes, ShareSum::to_bytes).is_some()
    }),
];

/// The first byte chooses the part.
pub fn packages(data: &[u8]) -> bool {
    choose(PACKAGES, data).is_some_and(|((_, target), bytes)| target(bytes))
}

/// Who opens packages here.
fn receiver() -> &'static SealingSecretKey {
    static KEY: OnceLock<SealingSecretKey> = OnceLock::new();
    KEY.get_or_init(|| SealingSecretKey::from_bytes(&[3; 32]))
}

/// The one honest package.
pub(crate) fn sealed() -> &'static [u8] {
    static SEALED: OnceLock<Vec<u8>> = OnceLock::new();
    SEALED.get_or_init(|| {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        seal(
            &receiver().public(),
            b"info",
            b"aad",
            b"plaintext",
            &mut rng,
        )
        .expect("our own key")
    })
}

/// The smallest norm proof of a small model.
pub(crate) fn params() -> &'static NormParams {
    static PARAMS: OnceLock<NormParams> = OnceLock::new();
    PARAMS.get_or_init(|| {
        let dimension = Dimension::new(10).expect("in range");
        NormParams::derive(&dimension, 100, Sigma::ERROR_MIN, Rows::R128).expect("fits")
    })
}

fn plaintext(bytes: &[u8]) -> bool {
    let limit = memory::for_decoding(bytes) + ROOM;
    let Some(plaintext) =
        memory::within(limit, || PackagePlaintext::from_bytes(params(), bytes).ok())
    else {
        return false;
    };
    assert_eq!(plaintext.to_bytes().as_slice(), bytes);
    let again = to_canonical(&plaintext.share);
    let share: ShareEncoding = minicbor::decode(&again).expect("as encoded");
    assert!(share == plaintext.share);
    assert!(
        plaintext.share.expand().is_ok(),
        "what was decoded is a share"
    );
    // Of the lengths that were asked for; whether its words are canonical is seen only now.
    let _ = plaintext.expand(params());
    true
}

/// A proof of anything about anything is judged, and never accepted when it does not fit.
fn proof(bytes: &[u8]) -> bool {
    let Some(proof) = canonical::<ConsistencyProof>(bytes, 1 << 12) else {
        return false;
    };
    let share = ShareEncoding::Seed([5; 32])
        .expand()
        .expect("a seed expands");
    let share: &[&[u32]] = &[&share.elements()[..]];
    let mut fits = 0;
    for (m, f) in [(2, 0), (3, 0), (6, 1), (16, 0), (16, 5)] {
        let Ok(threshold) = Threshold::new(m, f) else {
            continue;
        };
        fits += usize::from(proof.fits(&threshold));
        let accepted = proof.accepts(&threshold, m, &[6; 32], share, bytes);
        assert!(!accepted, "a proof that nobody made is accepted");
        assert!(!proof.accepts(&threshold, 0, &[6; 32], share, bytes));
        assert!(!proof.accepts(&threshold, 17, &[6; 32], share, bytes));
    }
    assert!(fits <= 1);
    true
}

/// Whose proofs are verified here.
pub(crate) fn prover() -> &'static VrfSecretKey {
    static KEY: OnceLock<VrfSecretKey> = OnceLock::new();
    KEY.get_or_init(|| VrfSecretKey::from_seed(&[12; 32]))
}

/// A proof, then the input: whatever verifies proves the one output of the input.
fn vrf_proof(bytes: &[u8]) -> bool {
    let (proof, alpha) = bytes.split_at(bytes.len().min(VrfProof::BYTES));
    let Ok(proof) = VrfProof::from_bytes(proof) else {
        return false;
    };
    let verified = verify(prover().public(), alpha, &proof);
    let honest = prove(prover(), alpha);
    if let Ok(output) = &verified {
        assert_eq!(proof_to_hash(&honest).as_ref(), Ok(output));
        assert_eq!(proof_to_hash(&proof).as_ref(), Ok(output));
    }
    assert!(verified.is_ok() || proof != honest);
    verified.is_ok()
}
