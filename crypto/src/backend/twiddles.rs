//! The constants of the transform, computed when the crate is compiled.

use crate::field;
use crate::params::{N, Q};
use crate::ring::PSI;

/// `2^32 mod q`.
pub(super) const R: u32 = ((1u64 << 32) % Q as u64) as u32;

/// `2^64 mod q`: a Montgomery product by this undoes another's division.
pub(super) const R_SQUARED: u32 = field::mul(R, R);

/// Powers of psi and of its inverse in Montgomery form (times `2^32`), in the order in which the layers use
/// them: the layer whose butterflies are `half` apart uses entries `N/(2 half)` to `N/half`.
pub(super) struct Twiddles {
    pub(super) forward: [u32; N],
    pub(super) inverse: [u32; N],
}

pub(super) static TWIDDLES: Twiddles = twiddles();

const fn twiddles() -> Twiddles {
    let mut forward = [0; N];
    let mut inverse = [0; N];
    let psi_inverse = field::inv(PSI);
    let (mut power, mut inverse_power) = (R, R);
    let mut i = 0;
    while i < N {
        let reversed = i.reverse_bits() >> (usize::BITS - N.trailing_zeros());
        forward[reversed] = power;
        inverse[reversed] = inverse_power;
        power = field::mul(power, PSI);
        inverse_power = field::mul(inverse_power, psi_inverse);
        i += 1;
    }
    Twiddles { forward, inverse }
}

/// Twiddles of the layers inside a pair of vectors, one a lane: entry `[log2 half][pair LANES + lane]`.
pub(super) struct Tails {
    pub(super) forward: [[u32; N / 2]; 4],
    pub(super) inverse: [[u32; N / 2]; 4],
}

/// The tails for vectors of `lanes` lanes, by doing the kernels' exchanges on the positions.
pub(super) const fn tails(lanes: usize) -> Tails {
    let mut tails = Tails {
        forward: [[0; N / 2]; 4],
        inverse: [[0; N / 2]; 4],
    };
    let (mut x, mut y) = ([0usize; 16], [0usize; 16]);
    let mut lane = 0;
    while lane < lanes {
        x[lane] = lane;
        y[lane] = lanes + lane;
        lane += 1;
    }
    let mut half = lanes / 2;
    while half >= 1 {
        let (old_x, old_y) = (x, y);
        let mut lane = 0;
        while lane < lanes {
            if lane & half == 0 {
                y[lane] = old_x[lane + half];
            } else {
                x[lane] = old_y[lane - half];
            }
            lane += 1;
        }
        let layer = half.trailing_zeros() as usize;
        let first = N / (2 * half);
        let mut at = 0;
        while at < N / 2 {
            // Lane `at mod lanes` of pair `at / lanes` works on the butterfly whose lower end is there.
            let position = at / lanes * 2 * lanes + x[at % lanes];
            let index = first + position / (2 * half);
            tails.forward[layer][at] = TWIDDLES.forward[index];
            tails.inverse[layer][at] = TWIDDLES.inverse[index];
            at += 1;
        }
        half /= 2;
    }
    tails
}
