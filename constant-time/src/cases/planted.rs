//! Leaks that must be found: if one is not, a clean run means nothing.

use super::Case;
use crate::marks;
use crate::random::SecretRng;
use core::hint::black_box;

pub const CASES: &[Case] = &[
    ("planted-branch", branch),
    ("planted-table", table),
    ("planted-comparison", comparison),
    ("planted-sampler", sampler),
    ("planted-declassified", declassified),
];

/// A branch on one bit of a secret.
fn branch() {
    let seed = SecretRng::new(51).seed();
    if seed[0] & 1 == 1 {
        black_box(&seed);
    }
}

/// An address that depends on a secret.
fn table() {
    const TABLE: [u8; 256] = [3; 256];
    let seed = SecretRng::new(52).seed();
    black_box(black_box(&TABLE)[usize::from(seed[0])]);
}

/// A comparison that stops at the first difference.
fn comparison() {
    let seed = SecretRng::new(53).seed();
    if seed[..] == black_box([0u8; 32])[..] {
        black_box(&seed);
    }
}

/// A table sampler that stops at the entry that it looks for.
fn sampler() {
    let seed = SecretRng::new(54).seed();
    let entries: [u8; 4] = black_box([10, 100, 200, 250]);
    for byte in seed {
        black_box(entries.iter().position(|entry| byte < *entry));
    }
}

/// A decision that was declared public does not make public what it was about.
fn declassified() {
    let mut seed = SecretRng::new(55).seed();
    let mut first = [u8::from(seed[0] < 128)];
    marks::public(&mut first);
    if black_box(first[0]) == 1 {
        seed[1] ^= 1;
    }
    if black_box(seed[0]) == 77 {
        black_box(&seed);
    }
}
