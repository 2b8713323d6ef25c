//! What a steward does with its packages, and unmasking up to where the sum is public (`docs/protocol.md`,
//! sections 4.6 and 4.7).

use super::{Case, still_secret};
use crate::marks;
use crate::random::SecretRng;
use crate::world::World;
use dawn_crypto::mask::{PublicMatrix, Unmasker};
use dawn_crypto::params::N;
use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::{ShareEncoding, ShareSum, interpolate_at, reconstruct};
use dawn_protocol::package::open_package;
use dawn_protocol::{OpenedPackage, Outcome};

pub const CASES: &[Case] = &[
    ("steward-package", packages),
    ("steward-wrong-key", wrong_key),
    ("share-sum", sums),
    ("unmask", unmask),
];

/// One submission, opened by every steward with a key that `change` has seen.
fn open_all(change: fn(&mut [u8; 32])) -> Vec<Result<OpenedPackage, Outcome>> {
    let mut world = World::new(4, 1);
    let round = world.first_round();
    let sent = world.submissions(&round, &[0]).remove(0);
    let members = &world.members;
    let header = round
        .open
        .verify_header(&sent.header, members)
        .expect("honest");
    let mut found = Vec::new();
    for (seat, key) in round.sealing.iter().enumerate() {
        let mut stored = *key.to_bytes();
        change(&mut stored);
        marks::secret(&mut stored);
        let key = SealingSecretKey::from_bytes(&stored);
        let point = seat as u8 + 1;
        let package = &sent.packages[seat];
        found.push(open_package(&round.open, &header, package, &key, point));
    }
    found
}

fn packages() {
    for opened in open_all(|_| ()) {
        let opened = opened.expect("an honest device");
        let mut sum = ShareSum::zero();
        sum.add_assign(&opened.key);
        still_secret(sum.elements());
        still_secret(&opened.proof.digits);
        still_secret(&opened.proof.proofs);
    }
}

fn wrong_key() {
    for opened in open_all(|key| key[0] ^= 1) {
        assert_eq!(opened.err(), Some(Outcome::Unsealable));
    }
}

fn answers(rng: &mut SecretRng) -> Vec<ShareSum> {
    let mut answer = || {
        let mut sum = ShareSum::zero();
        for _ in 0..3 {
            let share = ShareEncoding::Seed(rng.seed()).expand().expect("a seed");
            sum.add_assign(&share);
        }
        sum
    };
    (0..4).map(|_| answer()).collect()
}

fn sums() {
    let mut rng = SecretRng::new(41);
    for mut sum in answers(&mut rng) {
        let share = ShareEncoding::Seed(rng.seed()).expand().expect("a seed");
        sum.sub_assign(&share);
        let bytes = sum.to_bytes();
        still_secret(&bytes);
        let read = ShareSum::from_bytes(&bytes).expect("our own");
        still_secret(read.elements());
    }
}

fn unmask() {
    let answers = answers(&mut SecretRng::new(42));
    let points: Vec<(u8, &ShareSum)> = (1u8..).zip(&answers).collect();
    let key = reconstruct(&points).expect("distinct points");
    still_secret(key.coefficients());
    still_secret(
        interpolate_at(&points, 6)
            .expect("distinct points")
            .elements(),
    );
    let matrix = PublicMatrix::from_seed(&[9; 32]);
    let sum = Unmasker::new(&matrix, &key).block(2, &[12_345; N]);
    still_secret(&sum.expect("a block"));
}
