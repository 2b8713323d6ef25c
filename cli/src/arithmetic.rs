//! Which instructions the arithmetic uses, settled before anything computes.

use anyhow::{Context, Result};
use dawn_crypto::backend;
use dawn_learn::backend as training;
use std::fmt::Display;

/// Chooses the backends of this process, of cryptography and of training, and warns about faster ones that compute wrongly
/// here.
///
/// # Errors
/// When `DAWN_BACKEND` or `DAWN_LEARN_BACKEND` names a backend that cannot be had.
pub fn choose() -> Result<()> {
    let chosen = backend::choose().with_context(|| {
        format!(
            "{} is set to what cannot be used (unset it, and the fastest backend is chosen)",
            backend::VARIABLE
        )
    })?;
    let mut all = warnings(chosen, &backend::refused());
    let chosen = training::choose().with_context(|| {
        format!(
            "{} is set to what cannot be used (unset it, and the fastest backend is chosen)",
            training::VARIABLE
        )
    })?;
    all.extend(warnings(chosen, &training::refused()));
    for warning in all {
        tracing::warn!("{warning}");
    }
    Ok(())
}

fn warnings(chosen: impl Display, refused: &[impl Display]) -> Vec<String> {
    refused
        .iter()
        .map(|error| format!("{error}; the backend {chosen} computes instead"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_crypto::backend::{BackendError, BackendKind};

    #[test]
    fn every_refused_backend_is_told_with_what_computes_instead() {
        let refused = [
            BackendError::SelfTest(BackendKind::Avx512, "forward"),
            BackendError::SelfTest(BackendKind::Avx2, "sample"),
        ];
        let told = warnings(BackendKind::Portable, &refused);
        assert_eq!(told.len(), 2);
        assert!(told[0].contains("avx512 failed its self-test") && told[0].contains("forward"));
        assert!(told[1].contains("avx2") && told[1].contains("portable computes instead"));
        let none: [BackendError; 0] = [];
        assert!(warnings(BackendKind::Avx2, &none).is_empty());
    }
}
