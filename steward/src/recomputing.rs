//! Recomputing the public scalars of payloads of this steward's own choice (`docs/protocol.md`, section 4.6).
//!
//! The scalars are the aggregator's word: the verdict names their digest. What follows from everything else has been
//! judged ([`crate::examination`]) when the choice is made. The choice and the verdict's digest are on disk before the
//! first payload is asked for: from then on no other verdict of the round is looked at, and a payload that is withheld
//! is asked for again until it comes. An aggregator that could have the choice drawn again, by failing downloads or
//! with another verdict, would do so until it misses the lie.

use dawn_crypto::mask::{PublicMatrix, parse_payload, payload_digest};
use dawn_crypto::norm::projection::{MatrixBlocks, MatrixCache};
use dawn_identity::Digest;
use dawn_protocol::answers::Scalars;
use dawn_protocol::violation::{Culprit, Rule, Violation};
use dawn_protocol::{Judged, Outcome, RoundChallenged, RoundContext, RoundId};
use rand_core::CryptoRng;

use crate::error::{Refusal, StewardError};
use crate::examination::{ExamineWork, Own};
use crate::parallel;
use crate::records::{AnswerKind, Recomputed, RoundRecord};
use crate::state::StewardState;
use crate::vault::VaultError;

/// When all payloads together are not larger, all scalars are recomputed; in bytes.
pub const RECOMPUTE_ALL_BYTES: u64 = 32 << 20;
/// Otherwise so many, of the steward's secret choice.
pub const RECOMPUTED: usize = 8;
/// Payloads that are looked at together, in bytes; at least one.
const PAYLOADS_BYTES: usize = 8 << 20;

/// A verdict that follows when the scalars are the true ones. It needs some payloads.
pub struct ScalarWork {
    pub(crate) judged: Judged,
    pub(crate) own: Own,
    scalars: Scalars,
    /// Submissions whose scalars are still to be recomputed.
    chosen: Vec<usize>,
    matrix: Option<MatrixCache>,
}

impl std::fmt::Debug for ScalarWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not which: nobody else may know the choice.
        write!(
            f,
            "ScalarWork({}, {} left)",
            self.round(),
            self.chosen.len()
        )
    }
}

impl ScalarWork {
    /// The round.
    pub fn round(&self) -> RoundId {
        self.judged.round_id()
    }

    /// Digests of the payloads that are needed next, of the length of the round; none when no more are.
    pub fn wanted_payloads(&self) -> Vec<Digest> {
        let entries = self.judged.round_closed().roll().entries();
        let page = (PAYLOADS_BYTES / self.payload_bytes().max(1)).max(1);
        let chosen = self.chosen.iter().rev().take(page);
        chosen.map(|index| entries[*index].payload).collect()
    }

    /// The round, for [the models](RoundContext::wanted_models) that its functional follows from. They have to be known
    /// before the first payload is checked.
    pub fn context(&self) -> &RoundContext {
        &self.judged
    }

    /// Bytes of a payload.
    pub fn payload_bytes(&self) -> usize {
        self.judged.payload_bytes()
    }

    pub(crate) fn finished(&self) -> bool {
        self.chosen.is_empty()
    }

    /// Recomputes the scalars of the payloads that were wanted; they stay wanted unless all is well.
    fn recompute(&mut self, payloads: &[Vec<u8>]) -> Result<(), Violation> {
        let challenged = self.judged.round_challenged();
        let matrix = self.matrix.get_or_insert_with(|| {
            let matrix = PublicMatrix::from_seed(&challenged.spec().matrix_seed);
            MatrixCache::new(&matrix, challenged.dimension().blocks())
        });
        let items: Vec<_> = self.chosen.iter().rev().copied().zip(payloads).collect();
        let (matrix, scalars) = (&*matrix, &self.scalars);
        let checked = parallel::map(&items, |(index, payload)| {
            check_scalars(challenged, matrix, *index, payload, scalars.get(*index))
        });
        let left = self.chosen.len() - items.len();
        let mut wrong: Vec<Violation> = checked.into_iter().filter_map(Result::err).collect();
        // A lie says more than a payload that was not delivered.
        wrong.sort_by_key(|violation| violation.rule != Rule::Scalars);
        match wrong.into_iter().next() {
            Some(violation) => Err(violation),
            None => {
                self.chosen.truncate(left);
                Ok(())
            }
        }
    }
}

impl StewardState {
    /// Judges a verdict by everything but the payloads, and makes the secret choice of those, or goes on with the one that
    /// was made: it is on disk when this returns. Slow: examines every submission. Nobody else may know `rng`.
    ///
    /// # Errors
    /// [`Refusal`], and then nothing has been chosen for this verdict; [`StewardError::Vault`].
    pub fn begin_scalars<R: CryptoRng>(
        &self,
        work: ExamineWork,
        rng: &mut R,
    ) -> Result<ScalarWork, StewardError> {
        let round = work.round();
        let (judged, own, scalars) = work.judge()?;
        if !judged.verdict().openers.contains(&own.point) {
            return Err(Refusal::NotAnOpener(round).into());
        }
        let all = verified(judged.round_challenged());
        let bytes = all.len() as u64 * judged.payload_bytes() as u64;
        let drawn = (bytes > self.recompute_all_bytes).then(|| draw(&all, RECOMPUTED, rng));
        let verdict = judged.verdict_digest();
        let kept = self.vault.write(rng, |change| {
            let given = self.serve(change, &round, AnswerKind::Opening, &own.request)?;
            let mut record = change.round(&round)?;
            bound_to(&record, &round, &verdict)?;
            if let Some(kept) = record.recomputed {
                return Ok::<_, StewardError>(kept);
            }
            let kept = Recomputed {
                verdict,
                drawn,
                lie: false,
            };
            if given.is_none() {
                record.recomputed = Some(kept.clone());
                change.put_round(&round, &record)?;
            }
            Ok(kept)
        })?;
        let chosen = match kept.drawn {
            None => all,
            Some(drawn) => {
                let chosen: Vec<usize> = drawn.iter().map(|index| *index as usize).collect();
                if chosen.is_empty() || !chosen.iter().all(|index| all.contains(index)) {
                    return Err(VaultError::Damaged("the choice of payloads").into());
                }
                chosen
            }
        };
        Ok(ScalarWork {
            judged,
            own,
            scalars,
            chosen,
            matrix: None,
        })
    }

    /// Takes the payloads that were [wanted](ScalarWork::wanted_payloads). A wrong scalar is remembered: the round is never
    /// opened then. Slow.
    ///
    /// # Errors
    /// [`Rule::Payload`], and the same payloads stay wanted; [`Rule::Scalars`]; both by the aggregator;
    /// [`StewardError::Vault`].
    pub fn check_payloads<R: CryptoRng>(
        &self,
        work: &mut ScalarWork,
        payloads: &[Vec<u8>],
        rng: &mut R,
    ) -> Result<(), StewardError> {
        let Err(violation) = work.recompute(payloads) else {
            return Ok(());
        };
        let round = work.round();
        if violation.rule == Rule::Scalars {
            tracing::error!(%round, %violation, "the aggregator's scalars are wrong: this steward will not open the round");
            self.vault.write(rng, |change| {
                let mut record = change.round(&round)?;
                if let Some(kept) = &mut record.recomputed {
                    kept.lie = true;
                    change.put_round(&round, &record)?;
                }
                Ok::<_, StewardError>(())
            })?;
        }
        Err(violation.into())
    }

    /// Recomputes all scalars only up to so many bytes of payloads instead of [`RECOMPUTE_ALL_BYTES`]. For tests.
    #[doc(hidden)]
    pub fn recompute_all_up_to(&mut self, bytes: u64) {
        self.recompute_all_bytes = bytes;
    }
}

/// Whether a round may still be opened with this verdict.
pub(crate) fn bound_to(
    record: &RoundRecord,
    round: &RoundId,
    verdict: &Digest,
) -> Result<(), Refusal> {
    match &record.recomputed {
        Some(kept) if kept.verdict != *verdict => Err(Refusal::AnotherVerdict(*round)),
        Some(kept) if kept.lie => Err(Refusal::FalseScalars(*round)),
        _ => Ok(()),
    }
}

/// That the scalars of a submission are those of its payload.
fn check_scalars(
    challenged: &RoundChallenged,
    matrix: &MatrixCache,
    index: usize,
    payload: &[u8],
    claimed: Option<[u32; 2]>,
) -> Result<(), Violation> {
    let aggregator = |rule, detail: &str| {
        let detail = format!("submission {index}: {detail}");
        Violation::new(Culprit::Aggregator, rule, detail)
    };
    let entries = challenged.round_closed().roll().entries();
    let words = parse_payload(payload)
        .ok()
        .filter(|words| payload_digest(words) == entries[index].payload);
    let words = words
        .ok_or_else(|| aggregator(Rule::Payload, "the payload is not the one of its header"))?;
    let verifier = challenged.verifier(index);
    let check = verifier.and_then(|verifier| {
        let matrix = MatrixBlocks::Cached(matrix);
        verifier.public_check(matrix, Some(&words)).ok()
    });
    let check = check.ok_or_else(|| {
        aggregator(
            Rule::Payload,
            "the payload has another length than the round's",
        )
    })?;
    if check.masked.is_some() && check.masked == claimed {
        return Ok(());
    }
    Err(aggregator(
        Rule::Scalars,
        "the scalars are not those of the payload",
    ))
}

/// The submissions that have scalars.
fn verified(challenged: &RoundChallenged) -> Vec<usize> {
    let asked = |index: &usize| {
        let expected = challenged.expected_outcome(*index);
        expected.is_some_and(Outcome::is_ok)
    };
    let count = challenged.round_closed().roll().len();
    (0..count).filter(asked).collect()
}

/// Draws `number` different items at random.
fn draw<R: CryptoRng>(items: &[usize], number: usize, rng: &mut R) -> Vec<u32> {
    let mut items = items.to_vec();
    for place in 0..number.min(items.len()) {
        let left = (items.len() - place) as u128;
        // At most 50,000 are left: no choice is more probable than another by more than 2^-48.
        let offset = (u128::from(rng.next_u64()) * left) >> 64;
        let other = place + usize::try_from(offset).unwrap_or(0);
        items.swap(place, other);
    }
    // A list is counted in 32 bits.
    let drawn = items.into_iter().take(number);
    drawn.filter_map(|item| u32::try_from(item).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn everything_is_chosen_sometimes_and_nothing_twice() {
        let rng = &mut ChaCha20Rng::seed_from_u64(5);
        let mut seen = [0; 20];
        let all: Vec<usize> = (0..20).collect();
        for _ in 0..200 {
            let mut items = draw(&all, RECOMPUTED, rng);
            assert_eq!(items.len(), RECOMPUTED);
            items.iter().for_each(|item| seen[*item as usize] += 1);
            items.sort_unstable();
            items.dedup();
            assert_eq!(items.len(), RECOMPUTED, "twice");
        }
        // Each is expected 80 times.
        assert!(
            seen.iter().all(|times| (40..120).contains(times)),
            "{seen:?}"
        );
        assert_eq!(draw(&[3, 4], RECOMPUTED, rng).len(), 2);
    }
}
