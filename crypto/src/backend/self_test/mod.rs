//! What a vector backend must show before it computes for a process: the same bytes as the portable one, in every
//! operation. A processor that has the instructions is not proof enough: a backend may have been written for
//! processors that nobody had, and compilers and emulators make mistakes. The suite compares far more inputs;
//! this is what fits a start.
//!
//! The inputs are those where vectors go wrong: every pair of edges, in every lane; lengths that are not whole
//! vectors; numbers at, next to and between the entries of the sampler's tables.

#[cfg(test)]
mod faulty;
#[cfg(test)]
mod faulty_bytes;
#[cfg(test)]
mod tests;

use super::portable::Portable;
use super::ternary::{LambdaTables, MAX_ROWS};
use super::{Backend, SAMPLES};
use crate::expand::keep_canonical;
use crate::gaussian::Cdt;
use crate::params::{N, Q};
use aes::{Aes128, Aes256};
use ctr::Ctr64LE;
use ctr::cipher::{KeyIvInit, StreamCipher};

/// Lengths from nothing to two of the longest vectors and a rest.
const LENGTHS: core::ops::Range<usize> = 0..36;

/// Values at which a comparison, a carry or a reduction turns.
const EDGES: [u32; 11] = [
    0,
    1,
    Q - 1,
    Q - 2,
    Q / 2,
    Q / 2 + 1,
    (1 << 20) - 1,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    0x9e37_79b9,
];

/// As [`EDGES`], signed.
const SIGNED: [i32; 7] = [0, 1, -1, i32::MIN, i32::MIN + 1, i32::MAX, 1 << 20];

/// Compares a backend with the portable one.
///
/// # Errors
/// The first operation that differs.
pub(super) fn check(candidate: &dyn Backend) -> Result<(), &'static str> {
    blocks(candidate)?;
    slices(candidate)?;
    rejection(candidate)?;
    sampling(candidate)?;
    ternary(candidate)?;
    keystreams(candidate)
}

fn same<T: PartialEq>(
    operation: &'static str,
    candidate: &dyn Backend,
    run: impl Fn(&dyn Backend) -> T,
) -> Result<(), &'static str> {
    if run(candidate) == run(&Portable) {
        Ok(())
    } else {
        Err(operation)
    }
}

/// Words that look random, from a counter: nothing here is secret.
fn scrambled(i: usize) -> u64 {
    // The finaliser of SplitMix64.
    let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn random(i: usize) -> u32 {
    (scrambled(i) % u64::from(Q)) as u32
}

/// The first of a pair of edges; with [`second`], all pairs in any `EDGES.len()^2` following places.
fn first(i: usize) -> u32 {
    EDGES[i % EDGES.len()]
}

fn second(i: usize) -> u32 {
    EDGES[i / EDGES.len() % EDGES.len()]
}

fn block(word: impl Fn(usize) -> u32) -> [u32; N] {
    core::array::from_fn(word)
}

fn blocks(candidate: &dyn Backend) -> Result<(), &'static str> {
    let uniform = block(random);
    let edges = block(|i| if i % 16 == 15 { random(i) } else { first(i) });
    for input in [&uniform, &edges, &block(|_| Q - 1)] {
        let transformed = |f: fn(&dyn Backend, &mut [u32; N])| {
            move |backend: &dyn Backend| {
                let mut out = *input;
                f(backend, &mut out);
                out
            }
        };
        let forward = transformed(|backend, a| backend.forward(a));
        same("the transform", candidate, forward)?;
        let inverse = transformed(|backend, a| backend.inverse(a));
        same("the inverse transform", candidate, inverse)?;
    }
    // 121 pairs, an odd number: each comes into every lane.
    let pairs = (block(first), block(second));
    for (a, b) in [(&pairs.0, &pairs.1), (&uniform, &edges)] {
        same("the product", candidate, |backend| {
            let mut out = *a;
            backend.mul_montgomery(&mut out, b);
            out
        })?;
        for sum in [&uniform, &block(|_| Q - 1), &block(|_| 0)] {
            same("the sum of products", candidate, |backend| {
                let mut out = *sum;
                backend.mul_add(&mut out, a, b);
                out
            })?;
        }
    }
    Ok(())
}

fn slices(candidate: &dyn Backend) -> Result<(), &'static str> {
    // The long length has all pairs in every lane.
    for length in LENGTHS.chain([16 * EDGES.len() * EDGES.len() + 13]) {
        let a: Vec<u32> = (length..2 * length).map(first).collect();
        let b: Vec<u32> = (length..2 * length).map(second).collect();
        let signed: Vec<i32> = (0..length)
            .map(|i| {
                let edge = SIGNED.get(i / EDGES.len() % (SIGNED.len() + 1));
                edge.copied().unwrap_or(scrambled(i) as i32)
            })
            .collect();
        let changed = |f: &dyn Fn(&mut [u32])| {
            let mut out = a.clone();
            f(&mut out);
            out
        };
        same("the sum", candidate, |backend| {
            changed(&|a| backend.add_assign(a, &b))
        })?;
        same("the difference", candidate, |backend| {
            changed(&|a| backend.sub_assign(a, &b))
        })?;
        same("the sum with signed numbers", candidate, |backend| {
            changed(&|a| backend.add_signed(a, &signed))
        })?;
        same("the centred difference", candidate, |backend| {
            let mut out = vec![0; length];
            backend.sub_center(&a, &b, &mut out);
            out
        })?;
    }
    Ok(())
}

fn rejection(candidate: &dyn Backend) -> Result<(), &'static str> {
    const SEARCH: &str = "the search for words that are not canonical";
    let largest = [Q - 1; LENGTHS.end];
    for length in LENGTHS {
        let words = &largest[..length];
        same(SEARCH, candidate, |backend| backend.canonical_prefix(words))?;
        for at in 0..length {
            let mut words = words.to_vec();
            words[at] = if at % 2 == 0 { Q } else { u32::MAX };
            same(SEARCH, candidate, |backend| {
                backend.canonical_prefix(&words)
            })?;
        }
    }
    // One word in seven is to be skipped, some of them next to each other.
    let words: Vec<u32> = (0..500)
        .map(|i| match scrambled(i) % 7 {
            0 => Q + i as u32,
            _ => random(i),
        })
        .collect();
    same("rejection", candidate, |backend| {
        let mut kept = words.clone();
        let count = keep_canonical(backend, &mut kept);
        kept.truncate(count);
        kept
    })
}

/// The tables of the mask key (4.5) and of the smallest error (`4.5 sqrt 2`).
fn sampling(candidate: &dyn Backend) -> Result<(), &'static str> {
    for units in [294_912, 417_069] {
        let table = Cdt::of_deviation(units);
        let top = (1u128 << 126) - 1;
        let mut numbers = vec![0, 1, top, top - 1];
        for (i, entry) in table.entries().into_iter().enumerate() {
            // Every limb of 32 bits in turn differs, or all below a bit.
            let other = entry ^ 1 << (scrambled(i) % 126);
            let below = entry ^ (u128::from(scrambled(i)) << 30 >> (scrambled(i + 1) % 94));
            numbers.extend([entry - 1, entry, entry + 1, other, below]);
        }
        let mut bytes = Vec::new();
        // Twice, at other places: what differs only in one lane is not seen once by chance.
        for shift in [0, 5] {
            numbers.rotate_left(shift);
            for (i, number) in numbers.iter().enumerate() {
                let number = (*number).min(top);
                // Two halves of 63 bits; the bits that are left are a sign, and nobody's.
                let word = (number >> 63) << 65 | (number & (u128::MAX >> 65)) << 1;
                let free = u128::from(scrambled(i)) & 1 | (i as u128 & 1) << 64;
                bytes.extend((word | free).to_le_bytes());
            }
        }
        bytes.resize(bytes.len().next_multiple_of(16 * SAMPLES), 0x5a);
        same("the table sampler", candidate, |backend| {
            let mut out = vec![0i32; bytes.len() / 16];
            backend.sample(&table, &bytes, &mut out);
            out
        })?;
    }
    Ok(())
}

/// Both lengths of keys, all numbers of blocks up to two groups and one, counters that carry.
fn keystreams(candidate: &dyn Backend) -> Result<(), &'static str> {
    let Some(unit) = candidate.aes() else {
        return Ok(());
    };
    let key: [u8; 32] = core::array::from_fn(|i| scrambled(i) as u8);
    let (short, _) = key.split_first_chunk::<16>().expect("16 of 32 bytes");
    let mut right = [vec![0; 16 * 65], vec![0; 16 * 65]];
    for first in [0u64, 0xffff_fff0] {
        let mut iv = [0; 16];
        iv[..8].copy_from_slice(&first.to_le_bytes());
        Ctr64LE::<Aes128>::new(&(*short).into(), &iv.into()).write_keystream(&mut right[0]);
        Ctr64LE::<Aes256>::new(&key.into(), &iv.into()).write_keystream(&mut right[1]);
        for (keys, right) in [unit.expand(short), unit.expand(&key)].iter().zip(&right) {
            for blocks in 0..=65 {
                let mut out = vec![0; 16 * blocks];
                unit.keystream(keys, first, &mut out);
                if out != right[..out.len()] {
                    return Err("the keystream");
                }
            }
        }
    }
    Ok(())
}

/// Random entries, and those whose limbs are the largest, all 1 and all -1, also with the most rows.
fn ternary(candidate: &dyn Backend) -> Result<(), &'static str> {
    const COLUMNS: usize = 64;
    let random_bytes = |i: usize| scrambled(i) as u8;
    let ones = |i: usize| [255, 0][i % 2];
    let minus_ones = |i: usize| [0, 255][i % 2];
    let cases: [(usize, &dyn Fn(usize) -> u8); 4] = [
        (64, &random_bytes),
        (64, &ones),
        (64, &minus_ones),
        (MAX_ROWS, &ones),
    ];
    for (rows, fill) in cases {
        let tiles: Vec<u8> = (0..COLUMNS * rows / 4).map(fill).collect();
        let uniform: Vec<u32> = (0..rows).map(random).collect();
        let tables = LambdaTables::new([&uniform, &vec![0x00ff_ffff; rows]]);
        same("the combination of rows", candidate, |backend| {
            let mut out = [[0; COLUMNS]; 2];
            let halves = out.each_mut().map(|out| &mut out[..]);
            backend.combine(&tiles, &tables, halves);
            out
        })?;
        for edge in [None, Some(-1)] {
            let value = |i: usize| edge.unwrap_or(scrambled(i) as i32);
            let v: [i32; COLUMNS] = core::array::from_fn(value);
            same("the projection", candidate, |backend| {
                let mut z: Vec<i32> = (0..rows).map(|i| scrambled(i) as i32).collect();
                backend.project(&mut tiles.clone(), &v, &mut z);
                z
            })?;
        }
    }
    Ok(())
}
