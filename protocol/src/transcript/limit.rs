//! How long a transcript can be.

use dawn_crypto::params::MAX_STEWARDS;
use dawn_identity::register::MAX_BYTES;
use dawn_learn::Model;

use super::record::fixed_limit;
use super::{Form, Kind, MAGIC, MAX_REGISTER_ENTRIES, VERSION};
use crate::group_sums::group_sums_len;
use crate::task::Task;

/// Most bytes of a steward's sums over the groups of a round of this task; none when it does not ask for groups.
pub(super) fn max_group_sums(task: &Task) -> u64 {
    let groups = task.options.groups.map_or(0, |groups| groups.most);
    group_sums_len(groups.into()) as u64
}

/// Bytes of the public set of this task; none when it does not distil.
pub(super) fn public_set_bytes(task: &Task) -> u64 {
    let set = task
        .options
        .way
        .as_ref()
        .and_then(|way| way.public_set(&task.model));
    set.map_or(0, |(_, bytes)| bytes as u64)
}

/// Most bytes of a transcript of a round of this task, so that whoever fetches one knows when to stop.
pub fn max_bytes(task: &Task) -> u64 {
    most(task, Form::Whole)
}

/// As [`max_bytes`] for one without payloads and answers.
pub fn max_detached_bytes(task: &Task) -> u64 {
    most(task, Form::Detached)
}

fn most(task: &Task, form: Form) -> u64 {
    // A task whose model has no dimension is refused wherever it is read.
    let payload = task.dimension().map_or(0, |d| d.payload_bytes() as u64);
    let model = Model::encoded_len(task.model) as u64;
    let noise = task.options.noise;
    let candidates = noise.map_or(0, |noise| u64::from(noise.candidates) * MAX_STEWARDS as u64);
    let submissions = u64::from(task.policy.max_submissions) + candidates;
    let answer = task
        .proof_params()
        .map_or(0, |proofs| proofs.max_answer_bytes() as u64);
    let record = |kind: Kind| {
        let most = match kind {
            Kind::Payload => payload,
            Kind::Answers => submissions.saturating_mul(answer),
            Kind::GroupSums => max_group_sums(task),
            Kind::PublicSet => public_set_bytes(task),
            kind => fixed_limit(kind).map_or(model, |limit| limit as u64),
        };
        // Those at the end are of the same register as those at the beginning.
        match kind {
            Kind::Register => return MAX_REGISTER_ENTRIES as u64 * 9 + MAX_BYTES,
            Kind::Later => return 0,
            _ => {}
        }
        let times = match (kind, form) {
            (Kind::Payload | Kind::Answers, Form::Detached)
            | (Kind::PayloadDigest | Kind::AnswersDigest | Kind::WholeDigest, Form::Whole) => 0,
            (Kind::Header | Kind::Payload | Kind::PayloadDigest, _) => submissions,
            (Kind::Endorsement | Kind::Report | Kind::Answers, _)
            | (Kind::AnswersDigest | Kind::Opening | Kind::GroupSums, _) => MAX_STEWARDS as u64,
            _ => 1,
        };
        times.saturating_mul(9 + most)
    };
    let begin = MAGIC.len() + size_of_val(&VERSION);
    (0..=u8::MAX)
        .filter_map(Kind::from_code)
        .map(record)
        .fold(begin as u64, u64::saturating_add)
}
