//! Linear functionals (`docs/protocol.md`, section 4.5): a public row `g` that everybody's hidden vector is measured against,
//! within bounds, in the same check as its norm. There are two kinds, and both follow by a fixed rule from what everybody
//! knows: a row or bounds of a task maker's choice would ask a question about one device.

use std::sync::Arc;

use dawn_crypto::digest::Digest;
use dawn_crypto::norm::{FunctionalParams, FunctionalRow, NormError, NormParams};
use dawn_crypto::params::Dimension;
use dawn_crypto::secret::SecretVec;
use dawn_learn::direction::least_limit;
use dawn_learn::{DirectionError, Model, RoundWay, along, least_clip};
use minicbor::{Decode, Encode};

use crate::digests;
use crate::round_context::RoundContext;
use crate::violation::{Culprit, Rule, Violation};

/// What a task asks of every update beside its norm. An honest device's is changed so that it passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Functional {
    /// The update does not point against the last accepted global update: `0 <= <g, x> <= clip ||g||`, with `g` the
    /// [direction](RoundWay::direction) of that update. Zeros, and so nothing, before there is one. What an honest update has against it is
    /// taken away ([`along`]).
    #[n(0)]
    Direction,
    /// The update's coordinates are counts that sum to one at most, which is the clip bound: `0 <= sum x <= clip`. An honest
    /// update that does not is replaced by zero.
    #[n(1)]
    Counts,
}

impl Functional {
    /// The norm proof with this functional in it.
    ///
    /// # Errors
    /// [`NormError::Functional`] when the row would be too short to say something, or too long for the field;
    /// [`NormError::Slack`] when noise or rounding would be larger than what is bounded.
    pub fn bound(
        self,
        norm: NormParams,
        dimension: &Dimension,
        clip: u32,
    ) -> Result<NormParams, NormError> {
        match self {
            Self::Direction => {
                let (limit, least) = (norm.longest_row(), least_limit(dimension.coordinates()));
                if limit < least {
                    return Err(NormError::Functional {
                        limit: least,
                        longest: limit,
                    });
                }
                if clip < least_clip(dimension.coordinates()) {
                    return Err(NormError::Slack);
                }
                norm.with_functional(limit, 0..=i64::from(limit) * i64::from(clip))
            }
            Self::Counts => {
                let root = dimension.coordinates().isqrt();
                let limit = root + usize::from(root * root < dimension.coordinates());
                let limit = u32::try_from(limit).expect("a dimension is at most 2^24");
                let norm = norm.with_functional(limit, 0..=i64::from(clip))?;
                let slack = norm.functional().map_or(0, |counts| counts.slack());
                if slack > i64::from(clip) {
                    return Err(NormError::Slack);
                }
                Ok(norm)
            }
        }
    }

    /// What an honest device submits of an update, which is at most `clip` long: what the functional allows, and changed in
    /// time that does not depend on the update where it does not.
    pub(crate) fn allowed(
        self,
        params: &FunctionalParams,
        row: &FunctionalRow,
        x: &[i32],
        clip: u32,
    ) -> SecretVec<i32> {
        SecretVec::new(match self {
            // Beyond the update the row is zero.
            Self::Direction => along(&row.values()[..x.len()], x, clip),
            Self::Counts => {
                let kept = params.honest_mask(row.product(x)).cast_signed();
                x.iter().map(|x| x & kept).collect()
            }
        })
    }

    /// Whether the row follows from models, and the specification of a round names one.
    pub fn follows_models(self) -> bool {
        matches!(self, Self::Direction)
    }

    /// The row of a round that names no models.
    pub(crate) fn constant_row(self, params: &NormParams, coordinates: usize) -> FunctionalRow {
        let entry = match self {
            Self::Direction => 0,
            Self::Counts => 1,
        };
        FunctionalRow::new(params, vec![entry; coordinates])
            .expect("the parameters were made for it")
    }
}

/// The row of a round that starts from `to`, when the last accepted one started from `from`; zeros where evaluations are.
pub(crate) fn direction_row(
    params: &NormParams,
    way: &RoundWay,
    coordinates: usize,
    (from, to): (&Model, &Model),
) -> Result<FunctionalRow, DirectionError> {
    let limit = params.functional().map_or(0, |f| f.limit());
    let mut values = way.direction(from, to, limit)?;
    values.resize(coordinates, 0);
    Ok(FunctionalRow::new(params, values).expect("a direction is within its limit"))
}

impl RoundContext {
    /// The row of the task's functional in this round. None when the task has no functional, and as long as models are
    /// [wanted](Self::wanted_models).
    pub fn functional_row(&self) -> Option<Arc<FunctionalRow>> {
        if let Some(row) = self.inner.row.get() {
            return Some(Arc::clone(row));
        }
        let functional = self.task().options.functional?;
        if self.spec().direction.is_some() {
            return None;
        }
        let coordinates = self.dimension().coordinates();
        let row = || Arc::new(functional.constant_row(self.norm_params(), coordinates));
        Some(Arc::clone(self.inner.row.get_or_init(row)))
    }

    /// Digests of the two models that the row follows from, in the order in which they came, until they are known:
    /// [`Self::learn_models`].
    pub fn wanted_models(&self) -> Option<[Digest; 2]> {
        let start = self.spec().start();
        let from = start.direction.filter(|_| self.inner.row.get().is_none());
        from.map(|from| [from, start.model])
    }

    /// Takes the canonical bytes of the models that are wanted. What they give is known to all clones of this context.
    ///
    /// # Errors
    /// [`Rule::SpecModel`], by the aggregator, for other bytes.
    pub fn learn_models(&self, from: &[u8], to: &[u8]) -> Result<(), Violation> {
        let Some(wanted) = self.wanted_models() else {
            return Ok(());
        };
        let wrong = |detail: &dyn std::fmt::Display| {
            Violation::new(Culprit::Aggregator, Rule::SpecModel, detail)
        };
        let mut models = Vec::with_capacity(2);
        for (bytes, digest) in [from, to].into_iter().zip(wanted) {
            Violation::unless(
                digests::model_digest(bytes) == digest,
                Culprit::Aggregator,
                Rule::SpecModel,
                "a model is not the one that the specification names",
            )?;
            let model = Model::from_bytes(bytes).map_err(|e| wrong(&e))?;
            // Another shape would reach into the check coordinates, or leave weights out.
            Violation::unless(
                model.spec() == self.task().model,
                Culprit::Aggregator,
                Rule::SpecModel,
                "a model is not of the task's shape",
            )?;
            models.push(model);
        }
        let coordinates = self.dimension().coordinates();
        let between = (&models[0], &models[1]);
        let row = direction_row(self.norm_params(), &self.way(), coordinates, between);
        let row = row.map_err(|e| wrong(&e))?;
        // Another thread may have been faster, with the same.
        let _ = self.inner.row.set(Arc::new(row));
        Ok(())
    }
}
