//! The known answers of RFC 9381, and everything that a verifier must refuse.

use super::curve::{encode_to_curve, string_to_point};
use super::proof::{challenge, nonce, scalar_of};
use super::*;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use subtle::ConstantTimeEq;

/// An example of RFC 9381, appendix B.3, in its notation.
struct Example {
    sk: &'static str,
    pk: &'static str,
    alpha: &'static str,
    x: &'static str,
    counter: u8,
    h: &'static str,
    k: &'static str,
    u: &'static str,
    v: &'static str,
    pi: &'static str,
    beta: &'static str,
}

/// Examples 16, 17 and 18.
const EXAMPLES: [Example; 3] = [
    Example {
        sk: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        pk: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        alpha: "",
        x: "307c83864f2833cb427a2ef1c00a013cfdff2768d980c0a3a520f006904de94f",
        counter: 0,
        h: "91bbed02a99461df1ad4c6564a5f5d829d0b90cfc7903e7a5797bd658abf3318",
        k: "8a49edbd1492a8ee09766befe50a7d563051bf3406cbffc20a88def030730f0f",
        u: "aef27c725be964c6a9bf4c45ca8e35df258c1878b838f37d9975523f09034071",
        v: "5016572f71466c646c119443455d6cb9b952f07d060ec8286d678615d55f954f",
        pi: "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f\
             26f8a57ccaed74ee1b190bed1f479d9727d2d0f9b005a6e456a35d4fb0daab12\
             68a1b0db10836d9826a528ca76567805",
        beta: "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff\
               66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae",
    },
    Example {
        sk: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        pk: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        alpha: "72",
        x: "68bd9ed75882d52815a97585caf4790a7f6c6b3b7f821c5e259a24b02e502e51",
        counter: 1,
        h: "5b659fc3d4e9263fd9a4ed1d022d75eaacc20df5e09f9ea937502396598dc551",
        k: "d8c3a66921444cb3427d5d989f9b315aa8ca3375e9ec4d52207711a1fdb44107",
        u: "1dcb0a4821a2c48bf53548228b7f170962988f6d12f5439f31987ef41f034ab3",
        v: "fd03c0bf498c752161bae4719105a074630a2aa5f200ff7b3995f7bfb1513423",
        pi: "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed593\
             3bf0864a62558b3ed7f2fea45c92a465301b3bbf5e3e54ddf2d935be3b67926d\
             a3ef39226bbc355bdc9850112c8f4b02",
        beta: "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb\
               5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031",
    },
    Example {
        sk: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        pk: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        alpha: "af82",
        x: "909a8b755ed902849023a55b15c23d11ba4d7f4ec5c2f51b1325a181991ea95c",
        counter: 0,
        h: "bf4339376f5542811de615e3313d2b36f6f53c0acfebb482159711201192576a",
        k: "5ffdbc72135d936014e8ab708585fda379405542b07e3bd2c0bd48437fbac60a",
        u: "2bae73e15a64042fcebf062abe7e432b2eca6744f3e8265bc38e009cd577ecd5",
        v: "88cba1cb0d4f9b649d9a86026b69de076724a93a65c349c988954f0961c5d506",
        pi: "9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf80\
             96bb474e53895c362d8628ee9f9ea3c0e52c7a5c691b6c18c9979866568add7a\
             2d41b00b05081ed0f58ee5e31b3a970e",
        beta: "645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c45\
               2118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f",
    },
];

fn bytes<const L: usize>(text: &str) -> [u8; L] {
    let bytes = hex::decode(text).expect("hexadecimal");
    bytes.try_into().expect("the length")
}

fn encoded(point: &EdwardsPoint) -> String {
    hex::encode(point.compress().as_bytes())
}

impl Example {
    fn key(&self) -> VrfSecretKey {
        VrfSecretKey::from_seed(&bytes(self.sk))
    }
    fn alpha(&self) -> Vec<u8> {
        hex::decode(self.alpha).expect("hexadecimal")
    }
    fn proof(&self) -> VrfProof {
        VrfProof(bytes(self.pi))
    }
}

#[test]
fn known_answers_with_every_step_between() {
    for example in &EXAMPLES {
        let (key, alpha) = (example.key(), example.alpha());
        assert_eq!(hex::encode(key.public().as_bytes()), example.pk);
        let x = Scalar::from_bytes_mod_order(bytes(example.x));
        assert_eq!(key.scalar, x);
        let (h, counter) = encode_to_curve(key.public().as_bytes(), &alpha).expect("a point");
        assert_eq!(
            (encoded(&h).as_str(), counter),
            (example.h, example.counter)
        );
        let k = nonce(&key, &h);
        assert_eq!(hex::encode(k.as_bytes()), example.k);
        assert_eq!(encoded(&EdwardsPoint::mul_base(&k)), example.u);
        assert_eq!(encoded(&(h * *k)), example.v);

        let proof = prove(&key, &alpha);
        assert_eq!(hex::encode(proof.as_bytes()), example.pi);
        let public = VrfPublicKey::from_bytes(&bytes::<32>(example.pk)).expect("a key");
        let output = verify(&public, &alpha, &proof).expect("holds");
        assert_eq!(hex::encode(output.as_bytes()), example.beta);
        assert_eq!(proof_to_hash(&proof), Ok(output));
    }
}

#[test]
fn every_flipped_bit_of_a_proof_is_refused() {
    for example in &EXAMPLES {
        let (key, alpha) = (example.key(), example.alpha());
        for bit in 0..8 * VrfProof::BYTES {
            let mut proof = example.proof();
            proof.0[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(key.public(), &alpha, &proof).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn another_key_or_input_is_refused() {
    for (i, example) in EXAMPLES.iter().enumerate() {
        let (key, alpha, proof) = (example.key(), example.alpha(), example.proof());
        for other in EXAMPLES.iter().skip(i + 1).chain(&EXAMPLES[..i]) {
            let other = other.key();
            let refused = verify(other.public(), &alpha, &proof);
            assert_eq!(refused, Err(VrfError::Invalid));
            // Nor does a key whose encoding has another bit.
            for bit in 0..256 {
                let mut flipped = *key.public().as_bytes();
                flipped[bit / 8] ^= 1 << (bit % 8);
                if let Ok(flipped) = VrfPublicKey::from_bytes(&flipped) {
                    assert!(verify(&flipped, &alpha, &proof).is_err());
                }
            }
        }
        let mut inputs = vec![[&alpha[..], &[0]].concat(), [&[0], &alpha[..]].concat()];
        inputs.extend((0..8 * alpha.len()).map(|bit| {
            let mut flipped = alpha.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        }));
        inputs.extend((0..alpha.len()).map(|len| alpha[..len].to_vec()));
        for other in inputs {
            let refused = verify(key.public(), &other, &proof);
            assert_eq!(refused, Err(VrfError::Invalid), "{other:?}");
        }
    }
}

/// Encodings of y of p or more, and of x = 0 with the sign set.
fn non_canonical_points() -> Vec<[u8; 32]> {
    let mut all = Vec::new();
    for sign in [0, 0x80] {
        // p = 2^255 - 19, so that y + p fits 255 bits for y below 19.
        for low in 0xed..=0xffu8 {
            let mut y = [0xff; 32];
            y[0] = low;
            y[31] = 0x7f | sign;
            all.push(y);
        }
    }
    // (0, 1) and (0, -1), negative.
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    one[31] = 0x80;
    all.extend([one, minus_one]);
    all
}

#[test]
fn points_that_are_not_canonical_are_refused_everywhere() {
    let example = &EXAMPLES[0];
    let taken_by_the_library = non_canonical_points()
        .iter()
        .filter(|bytes| CompressedEdwardsY(**bytes).decompress().is_some())
        .count();
    assert!(taken_by_the_library > 4, "else this tests nothing");
    for point in non_canonical_points() {
        assert!(string_to_point(&point).is_none());
        assert_eq!(
            VrfPublicKey::from_bytes(&point).err(),
            Some(VrfError::PublicKey)
        );
        let mut proof = example.proof();
        proof.0[..32].copy_from_slice(&point);
        let refused = verify(example.key().public(), &example.alpha(), &proof);
        assert_eq!(refused, Err(VrfError::Gamma));
        assert_eq!(proof_to_hash(&proof), Err(VrfError::Gamma));
    }
    // Not on the curve at all.
    let mut two = [0; 32];
    two[0] = 2;
    assert_eq!(
        VrfPublicKey::from_bytes(&two).err(),
        Some(VrfError::PublicKey)
    );
}

/// The scalar plus multiples of the order: the same equation, other bytes.
#[test]
fn scalars_that_are_not_canonical_are_refused() {
    let order: [u8; 32] = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    for example in &EXAMPLES {
        let mut proof = example.proof();
        let mut shifted = 0;
        loop {
            let mut carry = 0u16;
            for (byte, add) in proof.0[48..].iter_mut().zip(&order) {
                carry += u16::from(*byte) + u16::from(*add);
                *byte = carry as u8;
                carry >>= 8;
            }
            if carry > 0 {
                break;
            }
            shifted += 1;
            let s = Scalar::from_bytes_mod_order(bytes(&hex::encode(&proof.0[48..])));
            assert_eq!(
                s.as_bytes()[..],
                example.proof().0[48..],
                "the same modulo q"
            );
            let refused = verify(example.key().public(), &example.alpha(), &proof);
            assert_eq!(refused, Err(VrfError::Scalar));
            assert_eq!(proof_to_hash(&proof), Err(VrfError::Scalar));
        }
        assert!(shifted >= 14);
    }
}

#[test]
fn keys_of_small_order_are_refused() {
    for point in &EIGHT_TORSION {
        let refused = VrfPublicKey::from_bytes(point.compress().as_bytes());
        assert_eq!(refused.err(), Some(VrfError::SmallOrder));
    }
    assert!(VrfPublicKey::from_bytes(&bytes::<32>(EXAMPLES[0].pk)).is_ok());
}

#[test]
fn other_lengths_are_refused() {
    for len in (0..200).filter(|len| *len != VrfProof::BYTES) {
        let refused = VrfProof::from_bytes(&vec![0; len]).err();
        assert_eq!(refused, Some(VrfError::ProofLength { bytes: len }));
    }
    for len in (0..100).filter(|len| *len != VrfPublicKey::BYTES) {
        let refused = VrfPublicKey::from_bytes(&vec![0; len]).err();
        assert_eq!(refused, Some(VrfError::PublicKeyLength { bytes: len }));
    }
}

/// A proof by somebody who knows the secret and plays with points of small order: `Gamma + T`, under a key
/// `Y + K`, guessing `c mod 8` and trying nonces until the guess is right.
fn crafted(
    secret: &VrfSecretKey,
    public: &VrfPublicKey,
    alpha: &[u8],
    [t, k]: [&EdwardsPoint; 2],
    guess: u8,
) -> VrfProof {
    let (h, _) = encode_to_curve(public.as_bytes(), alpha).expect("a point");
    let gamma = h * secret.scalar + t;
    for number in 1u64.. {
        let nonce = Scalar::from(number);
        let guess_scalar = Scalar::from(guess);
        let u = EdwardsPoint::mul_base(&nonce) - guess_scalar * k;
        let v = h * nonce - guess_scalar * t;
        let c = challenge(public, &h, &gamma, &u, &v);
        if c[0] % 8 == guess {
            let s = nonce + scalar_of(&c) * secret.scalar;
            let parts = [gamma.compress().as_bytes(), &c[..], s.as_bytes()].concat();
            return VrfProof::from_bytes(&parts).expect("80 bytes");
        }
    }
    unreachable!("one nonce in eight fits")
}

/// Such proofs hold, as the RFC says: `c` is an integer, and multiplies the whole point. But all of them have
/// one output.
#[test]
fn parts_of_small_order_change_the_proof_and_never_the_output() {
    let secret = EXAMPLES[1].key();
    for key_part in [0, 1, 4] {
        let point = secret.public().point + EIGHT_TORSION[key_part];
        let public = VrfPublicKey::from_bytes(point.compress().as_bytes()).expect("large order");
        let (h, _) = encode_to_curve(public.as_bytes(), b"alpha").expect("a point");
        let expected = VrfOutput::of(&(h * secret.scalar));
        for part in &EIGHT_TORSION {
            for guess in [0, 1, 4, 7] {
                let parts = [part, &EIGHT_TORSION[key_part]];
                let proof = crafted(&secret, &public, b"alpha", parts, guess);
                assert_eq!(verify(&public, b"alpha", &proof), Ok(expected));
            }
        }
        // The part put in afterwards, under the challenge of another proof: refused.
        let mut proof = crafted(
            &secret,
            &public,
            b"alpha",
            [&EIGHT_TORSION[0], &EIGHT_TORSION[key_part]],
            1,
        );
        for part in &EIGHT_TORSION[1..] {
            let gamma = h * secret.scalar + part;
            proof.0[..32].copy_from_slice(gamma.compress().as_bytes());
            let refused = verify(&public, b"alpha", &proof);
            assert_eq!(refused, Err(VrfError::Invalid));
        }
    }
}

/// The one forgery that small order would allow: with `Y` and `Gamma` of small order the equation holds for
/// everybody. The key is what is refused.
#[test]
fn a_forgery_without_a_secret_needs_a_key_of_small_order() {
    for key in &EIGHT_TORSION {
        let bytes = key.compress().to_bytes();
        let forged_key = VrfPublicKey::unchecked(bytes, *key);
        let nothing = VrfSecretKey::with_scalar(Scalar::ZERO);
        for gamma in &EIGHT_TORSION {
            let proof = crafted(&nothing, &forged_key, b"any", [gamma, key], 3);
            assert!(verify(&forged_key, b"any", &proof).is_ok());
        }
        assert_eq!(
            VrfPublicKey::from_bytes(&bytes).err(),
            Some(VrfError::SmallOrder)
        );
        assert!(minicbor::decode::<VrfPublicKey>(&[&[0x58, 32], &bytes[..]].concat()).is_err());
    }
}

#[test]
fn encodings_round_trip_and_secrets_are_not_printed() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = VrfSecretKey::generate(&mut rng);
    let other = VrfSecretKey::generate(&mut rng);
    let again = VrfSecretKey::from_seed(&key.to_seed());
    assert!(bool::from(key.ct_eq(&again)) && !bool::from(key.ct_eq(&other)));
    assert_eq!(key.public(), again.public());
    assert_ne!(key.public(), other.public());
    assert_eq!(format!("{key:?}"), "VrfSecretKey(redacted)");

    let cbor = minicbor::to_vec(key.public()).expect("encodes");
    assert_eq!(cbor.len(), 34);
    let back: VrfPublicKey = minicbor::decode(&cbor).expect("decodes");
    assert_eq!(&back, key.public());
    let proof = prove(&key, b"input");
    let cbor = minicbor::to_vec(&proof).expect("encodes");
    assert_eq!(cbor.len(), 82);
    let back: VrfProof = minicbor::decode(&cbor).expect("decodes");
    assert_eq!(back, proof);
    assert!(verify(key.public(), b"input", &back).is_ok());
}

proptest! {
    /// One key and input, one output, whoever computes it; another key or input, another one.
    #[test]
    fn outputs_are_functions_of_key_and_input(
        seed in any::<[u8; 32]>(),
        alpha in prop::collection::vec(any::<u8>(), 0..300),
        other in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let key = VrfSecretKey::from_seed(&seed);
        let proof = prove(&key, &alpha);
        prop_assert_eq!(&proof, &prove(&VrfSecretKey::from_seed(&seed), &alpha));
        let public = VrfPublicKey::from_bytes(key.public().as_bytes()).expect("a key");
        let output = verify(&public, &alpha, &proof);
        prop_assert_eq!(output, proof_to_hash(&proof));
        prop_assert!(output.is_ok());
        // The holder with another nonce: another proof, the same output.
        let trivial = &EIGHT_TORSION[0];
        let second = crafted(&key, &public, &alpha, [trivial, trivial], seed[0] % 8);
        prop_assert_ne!(&second, &proof);
        prop_assert_eq!(verify(&public, &alpha, &second), output);
        if other != alpha {
            prop_assert_eq!(verify(&public, &other, &proof), Err(VrfError::Invalid));
            prop_assert_ne!(proof_to_hash(&prove(&key, &other)), output);
        }
        let mut seed = seed;
        seed[31] ^= 1;
        let stranger = VrfSecretKey::from_seed(&seed);
        prop_assert_eq!(verify(stranger.public(), &alpha, &proof), Err(VrfError::Invalid));
        prop_assert_ne!(proof_to_hash(&prove(&stranger, &alpha)), output);
    }

    #[test]
    fn hostile_bytes_never_panic_and_never_verify(
        proof in prop::collection::vec(any::<u8>(), 80),
        key in any::<[u8; 32]>(),
        cbor in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let proof = VrfProof::from_bytes(&proof).expect("80 bytes");
        let example = EXAMPLES[0].key();
        prop_assert!(verify(example.public(), b"", &proof).is_err());
        if let Ok(public) = VrfPublicKey::from_bytes(&key) {
            prop_assert_eq!(public.as_bytes(), &key);
            prop_assert!(verify(&public, b"", &proof).is_err());
        }
        let _ = minicbor::decode::<VrfPublicKey>(&cbor);
        let _ = minicbor::decode::<VrfProof>(&cbor);
    }
}
