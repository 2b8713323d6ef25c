//! The second pass over a transcript: what the answers show about every submission (A11), with scalars that are
//! computed from its payload (A22).
//!
//! The questions follow from the beacon, and the beacon comes after the payloads: a round's submissions are fixed
//! before anybody knows what will be asked about them. So the payloads are read once to be summed and once to be
//! asked. Payloads and answers are in memory for a few submissions at a time, which are examined on all
//! processors.

use std::io::{Read, Seek};

use dawn_crypto::mask::PublicMatrix;
use dawn_crypto::norm::Answer;
use dawn_crypto::norm::projection::{MatrixBlocks, MatrixCache};
use dawn_identity::Signed;
use dawn_protocol::answers::{AnswersHasher, Scalars};
use dawn_protocol::{PackageReport, RoundChallenged, examine};

use crate::answers::AnswersAt;
use crate::finding::{Finding, Party};
use crate::records::{Again, Stop, out_of_place};
use crate::rule::AuditRule;
use crate::submissions::checked_payload;

/// Bytes of payloads and answers that are in memory at a time, when one submission alone does not have more.
const BATCH_BYTES: usize = 64 << 20;

/// What follows from answers and payloads, in root order.
pub(crate) struct Examination {
    pub(crate) findings: Vec<examine::Finding>,
    pub(crate) scalars: Scalars,
}

impl Examination {
    /// Nothing was answered: nothing can be said about any of `count` submissions.
    pub(crate) fn of_nothing(count: usize) -> Self {
        Self {
            findings: vec![examine::Finding::NONE; count],
            scalars: Scalars::new(vec![[0; 2]; count]),
        }
    }
}

/// The answers of one steward, as they are read again.
struct Answers<'a> {
    report: &'a PackageReport,
    point: u8,
    next: u64,
    hasher: AnswersHasher,
}

/// One submission with everything that is asked and answered about it.
struct Examined {
    index: usize,
    payload: Vec<u8>,
    answers: Vec<(u8, Answer)>,
}

/// Examines every submission of a round.
pub(crate) fn examine<R: Read + Seek>(
    again: &mut Again<'_, R>,
    round: &RoundChallenged,
    payloads: &[u64],
    reports: &[Signed<PackageReport>],
    places: &[AnswersAt],
) -> Result<Examination, Stop> {
    let matrix = PublicMatrix::from_seed(&round.spec().matrix_seed);
    let cache = MatrixCache::new(&matrix, round.dimension().blocks());
    let mut answers = Vec::with_capacity(reports.len());
    for (report, place) in reports.iter().zip(places) {
        let report = report.peek();
        let (point, _) = round
            .steward(&report.steward)
            .map_err(|e| Finding::of(AuditRule::Reports, e))?;
        answers.push(Answers {
            report,
            point,
            next: place.at,
            hasher: AnswersHasher::new(),
        });
    }
    let answer_bytes = round.proof_params().max_answer_bytes();
    let one = round.dimension().payload_bytes() + reports.len() * answer_bytes;
    let batch = (BATCH_BYTES / one).max(1);
    let mut findings = Vec::with_capacity(payloads.len());
    let mut scalars = Vec::with_capacity(payloads.len());
    for from in (0..payloads.len()).step_by(batch) {
        let to = (from + batch).min(payloads.len());
        let mut examined = Vec::with_capacity(to - from);
        for (index, at) in (from..to).zip(&payloads[from..to]) {
            let mut payload = vec![0; round.dimension().payload_bytes()];
            again.read(*at, &mut payload)?;
            examined.push(Examined {
                index,
                payload,
                answers: Vec::with_capacity(reports.len()),
            });
        }
        for steward in &mut answers {
            steward.read(again, round, &mut examined)?;
        }
        let results = on_all_processors(&examined, |submission| {
            submission.examine(round, MatrixBlocks::Cached(&cache))
        });
        for result in results {
            let (finding, pair) = result?;
            findings.push(finding);
            scalars.push(pair);
        }
    }
    for steward in answers {
        steward.finish()?;
    }
    Ok(Examination {
        findings,
        scalars: Scalars::new(scalars),
    })
}

impl Answers<'_> {
    /// Reads the answers about the next submissions and hands them out.
    fn read<R: Read + Seek>(
        &mut self,
        again: &mut Again<'_, R>,
        round: &RoundChallenged,
        examined: &mut [Examined],
    ) -> Result<(), Stop> {
        let outcomes = &self.report.outcomes;
        let params = |submission: &Examined| {
            let outcome = outcomes.get(submission.index)?;
            round.proof_params().of(*outcome)
        };
        let lengths = examined.iter().filter_map(params);
        let mut bytes = vec![0; lengths.map(|params| 4 * params.answer_len()).sum()];
        again.read(self.next, &mut bytes)?;
        self.next += bytes.len() as u64;
        self.hasher.update(&bytes);
        let mut rest = &bytes[..];
        for submission in examined {
            let Some(params) = params(submission) else {
                continue;
            };
            let (answer, after) = rest.split_at(4 * params.answer_len());
            rest = after;
            // They were canonical when they were read first.
            let answer = Answer::from_bytes(params, answer)
                .map_err(|_| out_of_place("other answers than before"))?;
            submission.answers.push((self.point, answer));
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Finding> {
        Finding::unless(
            self.hasher.finalize() == self.report.answers,
            AuditRule::Answers,
            Party::Provider,
            "the answers have changed while they were audited",
        )
    }
}

impl Examined {
    fn examine(
        &self,
        round: &RoundChallenged,
        matrix: MatrixBlocks<'_>,
    ) -> Result<(examine::Finding, [u32; 2]), Finding> {
        let Some(verifier) = round.verifier(self.index) else {
            return Ok((round.examine(self.index, &[], [0; 2]), [0; 2]));
        };
        let entry = &round.round_closed().roll().entries()[self.index];
        let words = checked_payload(&self.payload, &entry.payload, self.index)?;
        let scalars = verifier
            .public_check(matrix, Some(&words))
            .expect("the payload has the round's length, and so has the matrix")
            .masked
            .expect("the payload was given");
        Ok((verifier.examine(&self.answers, scalars), scalars))
    }
}

/// What `each` says of every item, in their order.
fn on_all_processors<T: Sync, U: Send>(items: &[T], each: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(workers).max(1);
    if items.len() <= 1 {
        return items.iter().map(each).collect();
    }
    let each = &each;
    std::thread::scope(|scope| {
        let shares: Vec<_> = items
            .chunks(share)
            .map(|share| scope.spawn(move || share.iter().map(each).collect::<Vec<U>>()))
            .collect();
        let done = shares.into_iter().flat_map(|share| {
            share
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        done.collect()
    })
}
