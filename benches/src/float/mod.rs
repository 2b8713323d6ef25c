//! The same learning in f32, to measure ours against.
//!
//! | module | explains |
//! |---|---|
//! | [`twin`] | a network in f32: the same initial weights, batches, steps and rule |
//! | `layer` | its layers, dense and convolutions |
//! | [`product`] | the matrix product that it is made of |
//! | `baselines` | what is measured beside ours: the twin with the products of two crates, and candle (feature `bench`) |
//! | `candle` | the same network by a framework (feature `bench`) |

#[cfg(feature = "bench")]
pub(crate) mod baselines;
#[cfg(feature = "bench")]
mod candle;
mod layer;
pub mod product;
pub mod twin;
