//! Correction of wrong answers: Reed-Solomon decoding of shares, and of sums of shares, at the stewards' points.
//!
//! Every coordinate of the answers is a word of one code: the values of a polynomial of degree below T. Words
//! share their wrong places, because a place is a steward. Coordinates are gone through once: while the answers
//! that are not yet known to be wrong lie on one polynomial there is nothing to do; the first word in which they
//! do not is decoded, and its errors are culprits from then on.
//!
//! *Exact, without a random combination of the coordinates that somebody could aim at.* Let `e = (n - T)/2`,
//! rounded down. When polynomials (one a coordinate, degree below T) exist that at most e answers are off,
//! they are the only ones: two such answer vectors differ in more than `2e` places. Then every word that is
//! decoded has at most e errors and gives true culprits, at least one new one; at the end the answers left,
//! `T + e` or more, all lie on the polynomials. When none exist, a word has no decoding or more than e culprits
//! are found; it cannot end well, because answers left on common polynomials would be what does not exist.
//!
//! For published answers: the time depends on them.

mod word;

#[cfg(test)]
mod tests;

use super::lagrange::{check_points, coefficients_at};
use super::{ShamirError, ShareSum, Threshold};
use crate::field;
use crate::mask::KeySum;
use crate::secret::SecretVec;

/// What answers say after correction, and who was wrong.
#[derive(Debug)]
pub struct Corrected<S> {
    /// The value at 0 of the polynomials: the shared secret, or the sum of the secrets.
    pub secret: S,
    /// The points of the answers that lie on the polynomials, in the order of the answers.
    pub agreeing: Vec<u8>,
    /// The points of the others.
    pub culprits: Vec<u8>,
}

impl<S> Corrected<S> {
    /// Whether the polynomials are those of the honest stewards, when at most f stewards lie: at least
    /// `A = T + f` answers lie on them, and more than T (any T answers lie on some polynomials). Without this,
    /// `T - 1` honest answers and the lies may be what agrees, and the culprits may be honest
    /// (`docs/protocol.md`, section 4.7).
    pub fn is_believed(&self, th: &Threshold) -> bool {
        self.agreeing.len() >= usize::from(th.a().max(th.t() + 1))
    }
}

/// The sum of keys that the answers of stewards give after correction: the value at 0 of the only polynomials of
/// degree below `t` that at most `(answers - t)/2` answers are off, rounded down. With `t` or `t + 1` answers
/// nothing can be corrected; with `t`, nothing can be noticed either. Sums are shares of the sum, so that this is
/// for single shares and for sums alike.
///
/// # Errors
/// [`ShamirError::NoPoints`] when `t` is 0; [`ShamirError::Point`] for a point that is 0, above 16 or given
/// twice; [`ShamirError::TooFewAnswers`]; [`ShamirError::TooManyWrong`] when more answers are wrong than can be
/// corrected.
pub fn correct(answers: &[(u8, &ShareSum)], t: u8) -> Result<Corrected<KeySum>, ShamirError> {
    let answers: Vec<(u8, &[u32])> = answers
        .iter()
        .map(|&(point, answer)| (point, &answer.0[..]))
        .collect();
    let corrected = correct_vectors(&answers, t)?;
    let mut key = KeySum(Box::new([0; crate::params::N]));
    key.0.copy_from_slice(&corrected.secret);
    Ok(Corrected {
        secret: key,
        agreeing: corrected.agreeing,
        culprits: corrected.culprits,
    })
}

/// [`correct`] for vectors of any one length.
///
/// # Errors
/// As [`correct`]; [`ShamirError::Lengths`] when they do not have one length;
/// [`ShamirError::NotCanonical`] for an element of q or more.
pub fn correct_vectors(
    answers: &[(u8, &[u32])],
    t: u8,
) -> Result<Corrected<SecretVec<u32>>, ShamirError> {
    let word = Word::new(answers, t)?;
    let wrong = word.culprits()?;
    let basis = word.basis(wrong);
    let points: Vec<u8> = basis.iter().map(|&place| word.points[place]).collect();
    let mut secret = SecretVec::zeroed(word.length());
    for (weight, &place) in coefficients_at(&points, 0).iter().zip(&basis) {
        for (sum, &element) in secret.iter_mut().zip(word.vectors[place]) {
            *sum = field::add(*sum, field::mul(*weight, element));
        }
    }
    let (culprits, agreeing): (Vec<_>, Vec<_>) =
        (0..word.points.len()).partition(|place| wrong >> place & 1 == 1);
    let points = |places: Vec<usize>| places.iter().map(|&place| word.points[place]).collect();
    Ok(Corrected {
        secret,
        agreeing: points(agreeing),
        culprits: points(culprits),
    })
}

/// Whether all answers lie on polynomials of degree below `t`. With `t` answers they always do.
///
/// # Errors
/// As [`correct_vectors`], without [`ShamirError::TooManyWrong`].
pub fn are_consistent(answers: &[(u8, &[u32])], t: u8) -> Result<bool, ShamirError> {
    let word = Word::new(answers, t)?;
    Ok(word.first_inconsistent(0, 0).is_none())
}

/// Checked answers. Sets of answers are bits, by their places.
struct Word<'a> {
    points: Vec<u8>,
    vectors: Vec<&'a [u32]>,
    t: usize,
}

impl<'a> Word<'a> {
    fn new(answers: &[(u8, &'a [u32])], t: u8) -> Result<Word<'a>, ShamirError> {
        if t == 0 {
            return Err(ShamirError::NoPoints);
        }
        let (points, vectors): (Vec<u8>, Vec<&[u32]>) = answers.iter().copied().unzip();
        check_points(&points)?;
        if points.len() < usize::from(t) {
            return Err(ShamirError::TooFewAnswers {
                answers: points.len(),
                needed: t,
            });
        }
        let length = vectors[0].len();
        for vector in &vectors {
            if vector.len() != length {
                return Err(ShamirError::Lengths);
            }
            if let Some(index) = vector.iter().position(|&e| !field::is_canonical(e)) {
                return Err(ShamirError::NotCanonical { index });
            }
        }
        Ok(Word {
            points,
            vectors,
            t: usize::from(t),
        })
    }

    fn length(&self) -> usize {
        self.vectors.first().map_or(0, |vector| vector.len())
    }

    fn correctable(&self) -> usize {
        (self.points.len() - self.t) / 2
    }

    /// The answers that the only polynomials with at most [`Word::correctable`] others leave off.
    fn culprits(&self) -> Result<u32, ShamirError> {
        let too_many = ShamirError::TooManyWrong {
            answers: self.points.len(),
            correctable: self.correctable(),
        };
        let (mut wrong, mut from) = (0u32, 0);
        while let Some(coordinate) = self.first_inconsistent(wrong, from) {
            let values: Vec<u32> = self.vectors.iter().map(|v| v[coordinate]).collect();
            let found = word::errors(&self.points, &values, self.t).ok_or(too_many)?;
            // The answers left were inconsistent here, so that one of them is among the errors; if it were not,
            // this would not end.
            let new = found & !wrong;
            wrong |= found;
            if new == 0 || wrong.count_ones() as usize > self.correctable() {
                return Err(too_many);
            }
            // What is left lies on one polynomial here and, being fewer, in all coordinates before.
            from = coordinate + 1;
        }
        Ok(wrong)
    }

    /// The places of the first T answers that are not in `wrong`, which at most [`Word::correctable`] are.
    fn basis(&self, wrong: u32) -> Vec<usize> {
        (0..self.points.len())
            .filter(|place| wrong >> place & 1 == 0)
            .take(self.t)
            .collect()
    }

    /// The first coordinate from `from` in which the answers outside `wrong` are on no common polynomial.
    fn first_inconsistent(&self, wrong: u32, from: usize) -> Option<usize> {
        let basis = self.basis(wrong);
        let points: Vec<u8> = basis.iter().map(|&place| self.points[place]).collect();
        let mut first = self.length();
        for (place, (&point, vector)) in self.points.iter().zip(&self.vectors).enumerate() {
            if wrong >> place & 1 == 1 || basis.contains(&place) {
                continue;
            }
            let weights = coefficients_at(&points, point);
            let value = |at: usize| {
                let terms = weights.iter().zip(&basis);
                terms.fold(0, |sum, (&weight, &place)| {
                    field::add(sum, field::mul(weight, self.vectors[place][at]))
                })
            };
            first = (from..first)
                .find(|&at| value(at) != vector[at])
                .unwrap_or(first);
        }
        (first < self.length()).then_some(first)
    }
}
