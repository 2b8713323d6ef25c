//! The measurements, every one beside its limit from the same run.
//!
//! | module | explains |
//! |---|---|
//! | [`core`] | masking, adding and unmasking, against AES, BLAKE3 and a plain addition of as many bytes |
//! | `prepare` | a device's whole message (feature `prepare`) |
//! | `prove` | a proven submission for device, steward and aggregator, against Prio3SumVec (feature `prepare`) |
//! | `soundness` | how often vectors that are too long pass the norm proof, against the predicted probability (feature `prepare`) |
//! | `honest` | whether honest submissions at the bound ever fail (feature `prepare`) |
//! | `identity` | enrolling devices, and the identity of a submission, against one bare Ed25519 verification (feature `prepare`) |
//! | `scene` | the federation that both are measured in |
//! | `train` | training in fixed point, and its matrix products, against f32 (feature `learn`; the baselines: feature `bench`) |
//! | `accuracy` | accuracy in fixed point beside the same training in f32 (feature `learn`) |
//! | `float` | that training in f32 (feature `learn`) |
//! | `samplers` | the discrete Gaussians against OpenDP's (feature `opendp`) |
//!
//! The bench `norm` needs no module: the norm proof's projection, against AES of the bytes that its matrix is made of.
//!
//! `cargo bench -p dawn-benches` runs them under criterion; `dawn bench` prints them as JSON. The recorded
//! results are in `benches/results/`.

#[cfg(feature = "learn")]
pub mod accuracy;
pub mod core;
#[cfg(feature = "learn")]
pub mod float;
#[cfg(feature = "prepare")]
pub mod honest;
#[cfg(feature = "prepare")]
pub mod identity;
#[cfg(feature = "prepare")]
pub mod prepare;
#[cfg(feature = "bench")]
mod products;
#[cfg(feature = "prepare")]
pub mod prove;
#[cfg(feature = "opendp")]
pub mod samplers;
#[cfg(feature = "prepare")]
pub mod scene;
#[cfg(feature = "prepare")]
pub mod soundness;
#[cfg(feature = "learn")]
pub mod train;
