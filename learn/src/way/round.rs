//! One round of a task: what its devices train and send, and what the mean of it does to the model.

use super::adapter::Adapter;
use super::distil;
use super::head::{Head, HeadError};
use super::part::{self, Part};
use super::public::{PublicSet, PublicSetError};
use super::rank::Rank;
use super::{Way, WayError};
use crate::backend::{self, Backend};
use crate::data::Dataset;
use crate::direction::{DirectionError, direction_of};
use crate::model::Model;
use crate::quantise::Delta;
use crate::spec::{LayerShape, ModelSpec};
use crate::train::{TrainError, TrainSpec, run};
use crate::update::{UpdateError, check_mean, moved};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// What a round of a task learns: a model's shape, the way, and the adapters of the round.
///
/// Its *coordinates* are what a device sends, layer by layer: nothing of a layer that is frozen or private; `outputs x inputs`
/// weights row by row and `outputs` biases of one that is trained in full; `outputs x rank` numbers of `B` row by row and
/// the biases of one with an adapter. In a distillation they are outputs: sample by sample of the public set, which has to be
/// given ([`RoundWay::with_public_set`]) to train and to apply.
#[derive(Clone, Debug)]
pub struct RoundWay {
    model: ModelSpec,
    way: Option<Way>,
    layers: Vec<(LayerShape, Part)>,
    dimension: usize,
    set: Option<Arc<PublicSet>>,
    student_seed: [u8; 32],
}

/// Number of coordinates of an update, for a model and a way; of every round the same.
///
/// # Errors
/// The way does not fit the model.
pub fn dimension(model: &ModelSpec, way: Option<&Way>) -> Result<usize, WayError> {
    if let Some(way) = way {
        way.check_shape(model)?;
    }
    if let Some(Way::Distillation { samples, .. }) = way {
        return Ok(*samples as usize * model.outputs());
    }
    let layers = model.layers();
    let sent = layers.iter().enumerate().map(|(index, layer)| {
        let weights = match kind(way, index, layers.len()) {
            Kind::Frozen | Kind::Private => return 0,
            Kind::Full => layer.weights().len(),
            Kind::Adapter(rank) => rank * layer.outputs,
        };
        weights + layer.outputs
    });
    Ok(sent.sum())
}

/// What becomes of a layer.
#[derive(Clone, Copy)]
enum Kind {
    Frozen,
    Full,
    Private,
    Adapter(usize),
}

fn kind(way: Option<&Way>, index: usize, layers: usize) -> Kind {
    match way {
        None | Some(Way::Proximal { .. } | Way::Distillation { .. }) => Kind::Full,
        Some(Way::LowRank { ranks }) => match ranks.as_slice().get(index) {
            None | Some(Rank::Frozen) => Kind::Frozen,
            Some(Rank::Full) => Kind::Full,
            Some(Rank::Adapter(rank)) => Kind::Adapter(rank.get().into()),
        },
        Some(Way::Personal { head }) if index + usize::from(*head) >= layers => Kind::Private,
        Some(Way::Personal { .. }) => Kind::Full,
    }
}

impl RoundWay {
    /// The way of a round of a task with this seed. Adapters are drawn from seed and round number, so that everybody has
    /// the same.
    ///
    /// # Errors
    /// The way does not fit the model.
    pub fn new(
        model: &ModelSpec,
        way: Option<&Way>,
        seed: &[u8; 32],
        round: u32,
    ) -> Result<Self, WayError> {
        let dimension = dimension(model, way)?;
        let shapes = model.layers();
        let count = shapes.len();
        let part = |index: usize, shape: &LayerShape| match kind(way, index, count) {
            Kind::Frozen => Part::Frozen,
            Kind::Full => Part::Full,
            Kind::Private => Part::Private,
            Kind::Adapter(rank) => Part::Adapter(Adapter::draw(
                rank,
                shape.inputs,
                seed,
                round,
                u32::try_from(index).expect("far fewer layers"),
            )),
        };
        let layers = shapes.into_iter().enumerate();
        Ok(Self {
            model: *model,
            way: way.cloned(),
            layers: layers
                .map(|(index, shape)| {
                    let part = part(index, &shape);
                    (shape, part)
                })
                .collect(),
            dimension,
            set: None,
            student_seed: distil::student_seed(seed, round),
        })
    }

    /// With the public set, of a distillation.
    ///
    /// # Errors
    /// It is another set than the task's, or the task has none.
    pub fn with_public_set(mut self, set: Arc<PublicSet>) -> Result<Self, PublicSetError> {
        let way = self.way.as_ref().ok_or(PublicSetError::NotNeeded)?;
        way.check_public_set(&self.model, &set)?;
        self.set = Some(set);
        Ok(self)
    }

    /// Number of coordinates of an update.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Number of weights of a device's own head; 0 when nothing is private.
    #[must_use]
    pub fn head_len(&self) -> usize {
        let private = self
            .layers
            .iter()
            .filter(|(_, part)| *part == Part::Private);
        private
            .map(|(shape, _)| shape.weights().len() + shape.outputs)
            .sum()
    }

    /// The head that a device begins with: that of the published model. Empty when nothing is private.
    #[must_use]
    pub fn fresh_head(&self, model: &Model) -> Head {
        let weights = model.weights();
        Head::new(weights[weights.len().saturating_sub(self.head_len())..].to_vec())
    }

    /// Reads a head that a device has stored ([`Head::to_bytes`]).
    ///
    /// # Errors
    /// It is not one of this task.
    pub fn read_head(&self, bytes: &[u8]) -> Result<Head, HeadError> {
        Head::from_bytes(bytes, self.head_len())
    }

    /// The published model with a device's own head: what the device trains, and what it uses.
    ///
    /// # Errors
    /// The model or the head is not of this task.
    pub fn personal(&self, model: &Model, head: &Head) -> Result<Model, TrainError> {
        self.check_model(model)?;
        let expected = self.head_len();
        if head.weights().len() != expected {
            let found = head.weights().len();
            return Err(HeadError::Length { expected, found }.into());
        }
        let mut personal = model.clone();
        let start = personal.weights().len() - expected;
        personal.weights_mut()[start..].copy_from_slice(head.weights());
        Ok(personal)
    }

    /// Trains from the published model and the device's own head, which is trained as well ([`Self::fresh_head`] of a device
    /// that has none yet); gives what is sent, [`Self::dimension`] coordinates. A function of the arguments alone, as
    /// [`crate::train()`].
    ///
    /// # Errors
    /// As [`crate::train()`]; the model or the head is not of this task.
    ///
    /// # Panics
    /// As [`crate::train()`].
    pub fn train(
        &self,
        model: &Model,
        head: &mut Head,
        data: &Dataset,
        spec: &TrainSpec,
        seed: [u8; 32],
    ) -> Result<Delta, TrainError> {
        self.train_with(backend::current(), model, head, data, spec, seed)
    }

    /// [`Self::train`] on a chosen backend, which changes no bit of the result.
    ///
    /// # Errors
    /// As [`Self::train`]; and the processor does not have the backend.
    pub fn train_with(
        &self,
        backend: Backend,
        model: &Model,
        head: &mut Head,
        data: &Dataset,
        spec: &TrainSpec,
        seed: [u8; 32],
    ) -> Result<Delta, TrainError> {
        let pull = match self.way {
            Some(Way::Proximal { mu }) => {
                let pull = part::pull(spec.learning_rate, mu);
                Some(pull.ok_or(TrainError::Way(WayError::Pull))?)
            }
            _ => None,
        };
        let start = self.personal(model, head)?;
        let trained = run(backend, &start, (self.parts(), pull), data, spec, seed)?;
        if let Some(Way::Distillation { .. }) = self.way {
            let set = self.set.as_ref().ok_or(TrainError::NoPublicSet)?;
            let copy = distil::moved_by(model, &trained);
            return distil::differences(backend, (model, &copy), set);
        }
        if head.weights().is_empty() {
            return Ok(trained);
        }
        // The head is last.
        let (sent, kept) = trained.values().split_at(self.dimension);
        for (weight, &change) in head.weights_mut().iter_mut().zip(kept) {
            *weight = crate::fixed::to_master(i64::from(*weight) + i64::from(change));
        }
        Ok(Delta::new(sent.to_vec()))
    }

    /// The model that follows from the mean of a round's updates, `numerators / denominator`, one number a coordinate. A weight
    /// moves by its coordinate; with an adapter by `mean(B) A`, computed exactly and rounded once, to nearest, ties to even.
    /// What is frozen or private stays. In a distillation the model is trained towards its outputs moved by the mean.
    ///
    /// # Errors
    /// Lengths differ, the denominator is zero, or the shift is out of range; the model is of another shape; the public set of a
    /// distillation is missing.
    ///
    /// # Panics
    /// In a distillation as [`crate::train()`].
    pub fn apply<S: Copy + Into<i64>>(
        &self,
        model: &Model,
        numerators: &[S],
        denominator: u64,
        update_shift: u8,
    ) -> Result<Model, UpdateError> {
        if model.spec() != self.model {
            return Err(UpdateError::Model {
                expected: Box::new(self.model),
                found: Box::new(model.spec()),
            });
        }
        check_mean(numerators.len(), self.dimension, denominator, update_shift)?;
        if let Some(Way::Distillation { student, .. }) = &self.way {
            let refused = |error| UpdateError::Student(Box::new(error));
            let set = self.set.as_ref().ok_or(TrainError::NoPublicSet);
            let mean = (numerators, denominator, update_shift);
            let rule = (student, self.student_seed);
            return distil::student(backend::current(), model, set.map_err(refused)?, mean, rule)
                .map_err(refused);
        }
        let mut next = model.clone();
        let mut rest = numerators;
        let mut take = |count: usize| {
            let (these, others) = rest.split_at(count);
            rest = others;
            these
        };
        let whole = i128::from(denominator);
        let plain = |weights: &mut [i32], numerators: &[S]| {
            for (weight, &n) in weights.iter_mut().zip(numerators) {
                *weight = moved(*weight, i128::from(n.into()), whole, update_shift);
            }
        };
        for (shape, part) in &self.layers {
            match part {
                Part::Frozen | Part::Private => continue,
                Part::Full => {
                    plain(
                        &mut next.weights_mut()[shape.weights()],
                        take(shape.weights().len()),
                    );
                }
                Part::Adapter(adapter) => {
                    let mut sums = vec![0; shape.inputs];
                    let rows = next.weights_mut()[shape.weights()].chunks_exact_mut(shape.inputs);
                    for (row, b) in
                        rows.zip(take(adapter.rank * shape.outputs).chunks_exact(adapter.rank))
                    {
                        adapter.expand(b.iter().map(|&b| b.into()), &mut sums);
                        for (weight, &sum) in row.iter_mut().zip(&sums) {
                            *weight = moved(*weight, sum, whole << adapter.shift, update_shift);
                        }
                    }
                }
            }
            plain(&mut next.weights_mut()[shape.biases()], take(shape.outputs));
        }
        Ok(next)
    }

    /// The direction from one model to another in the coordinates of this round, as [`crate::direction()`] makes it of the
    /// difference `D` of the weights: `D` itself, or with an adapter `D A^T`, so that the product with an update is that of
    /// `D` with what the update does to the weights.
    ///
    /// # Errors
    /// The models have other shapes, or the limit is too low.
    pub fn direction(
        &self,
        from: &Model,
        to: &Model,
        limit: u32,
    ) -> Result<Vec<i32>, DirectionError> {
        for model in [from, to] {
            if model.spec() != self.model {
                return Err(DirectionError::Shape {
                    from: Box::new(from.spec()),
                    to: Box::new(to.spec()),
                });
            }
        }
        if let Some(Way::Distillation { .. }) = self.way {
            return Err(DirectionError::NotLinear);
        }
        let moved: Vec<i64> = (from.weights().iter().zip(to.weights()))
            .map(|(&from, &to)| i64::from(to) - i64::from(from))
            .collect();
        let mut seen = Vec::with_capacity(self.dimension);
        for (shape, part) in &self.layers {
            match part {
                Part::Frozen | Part::Private => continue,
                Part::Full => seen.extend_from_slice(&moved[shape.weights()]),
                Part::Adapter(adapter) => {
                    for row in moved[shape.weights()].chunks_exact(shape.inputs) {
                        seen.extend(adapter.project(row));
                    }
                }
            }
            seen.extend_from_slice(&moved[shape.biases()]);
        }
        direction_of(&seen, limit)
    }

    fn check_model(&self, model: &Model) -> Result<(), TrainError> {
        if model.spec() == self.model {
            Ok(())
        } else {
            Err(TrainError::Model {
                expected: Box::new(self.model),
                found: Box::new(model.spec()),
            })
        }
    }

    /// What is trained of every layer.
    pub(crate) fn parts(&self) -> Vec<Part> {
        self.layers.iter().map(|(_, part)| part.clone()).collect()
    }
}
