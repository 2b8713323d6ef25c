//! The next step of a round: a pure function of what is stored and the time.

use dawn_protocol::AbortReason;

use crate::store::rounds::Phase;

/// The answers that a phase waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// When they arrived, earliest first, unix milliseconds.
    pub arrived_ms: Vec<u64>,
    /// With this many the phase ends at once.
    pub expected: u32,
    /// With this many it ends after the time of grace.
    pub enough: u32,
    /// With fewer at the deadline the round is aborted.
    pub least: u32,
}

/// What a step depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Where the round is.
    pub phase: Phase,
    /// When the phase ends at the latest.
    pub deadline_ms: u64,
    /// How long to wait for more once there are enough.
    pub grace_ms: u64,
    /// The answers of this phase.
    pub answers: Answers,
    /// Submissions stored.
    pub submitted: u32,
    /// Collecting ends early at this many; 0 for never.
    pub target: u32,
    /// Whether the charge of this round would exceed the task's budget.
    pub exhausted: bool,
    /// Whether the aggregator's key was replaced after the round was specified.
    pub replaced: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this time, unless something arrives.
    Wait {
        /// Unix milliseconds.
        until_ms: u64,
    },
    /// Sign the specification.
    Specify,
    /// Let devices submit.
    Collect,
    /// Close the list of submissions.
    Close,
    /// Sign the challenge.
    Challenge,
    /// Judge the submissions.
    Judge,
    /// Open the sum.
    Open,
    /// End the round without a result.
    Abort(AbortReason),
}

/// The next step (docs/protocol.md, section 4).
pub fn next_step(view: &View, now_ms: u64) -> Step {
    if view.replaced && !view.phase.is_over() {
        return Step::Abort(AbortReason::KeyReplaced);
    }
    let (done, too_few) = match view.phase {
        Phase::Keying if view.exhausted => return Step::Abort(AbortReason::BudgetExhausted),
        Phase::Keying => (Step::Specify, AbortReason::TooFewSealingKeys),
        Phase::Endorsing => (Step::Collect, AbortReason::TooFewEndorsements),
        Phase::Collecting => return collecting(view, now_ms),
        Phase::Challenging => (Step::Challenge, AbortReason::TooFewBeaconShares),
        Phase::Reporting => (Step::Judge, AbortReason::TooFewReports),
        Phase::Opening => (Step::Open, AbortReason::TooFewOpenings),
        Phase::Done | Phase::Aborted => return Step::Wait { until_ms: u64::MAX },
    };
    match ready_at(view) {
        Some(ready_ms) if now_ms >= ready_ms => done,
        Some(ready_ms) if ready_ms < view.deadline_ms => Step::Wait { until_ms: ready_ms },
        _ if now_ms < view.deadline_ms => Step::Wait {
            until_ms: view.deadline_ms,
        },
        _ if view.answers.arrived_ms.len() >= view.answers.least as usize => done,
        _ => Step::Abort(too_few),
    }
}

fn collecting(view: &View, now_ms: u64) -> Step {
    let full = view.target > 0 && view.submitted >= view.target;
    // What is waited for beside the devices is the stewards' noise, if any.
    let ready_ms = ready_at(view).filter(|_| full).unwrap_or(u64::MAX);
    let until_ms = ready_ms.min(view.deadline_ms);
    if now_ms >= until_ms {
        Step::Close
    } else {
        Step::Wait { until_ms }
    }
}

/// When the answers are as many as they need to be.
fn ready_at(view: &View) -> Option<u64> {
    let answers = &view.answers;
    if answers.arrived_ms.len() >= answers.expected as usize {
        return Some(0);
    }
    let enough = (answers.enough as usize).checked_sub(1)?;
    let since = answers.arrived_ms.get(enough)?;
    Some(since.saturating_add(view.grace_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn view(phase: Phase, arrived_ms: &[u64]) -> View {
        View {
            phase,
            deadline_ms: 1000,
            grace_ms: 100,
            answers: Answers {
                arrived_ms: arrived_ms.to_vec(),
                expected: 6,
                enough: 5,
                least: match phase {
                    Phase::Challenging | Phase::Opening => 4,
                    _ => 5,
                },
            },
            submitted: 0,
            target: 0,
            exhausted: false,
            replaced: false,
        }
    }

    #[test]
    fn a_round_whose_key_was_replaced_is_aborted_at_once() {
        for phase in [
            Phase::Endorsing,
            Phase::Collecting,
            Phase::Challenging,
            Phase::Reporting,
            Phase::Opening,
        ] {
            for arrived in [&[][..], &[1, 2, 3, 4, 5, 6]] {
                let mut view = view(phase, arrived);
                view.replaced = true;
                let aborted = Step::Abort(AbortReason::KeyReplaced);
                assert_eq!(next_step(&view, 0), aborted, "{phase:?}");
            }
        }
        let mut over = view(Phase::Done, &[]);
        over.replaced = true;
        assert!(matches!(next_step(&over, 0), Step::Wait { .. }));
    }

    #[test]
    fn all_answers_end_a_phase_at_once() {
        let all = view(Phase::Keying, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(next_step(&all, 6), Step::Specify);
    }

    #[test]
    fn enough_answers_end_it_after_the_grace() {
        let enough = view(Phase::Reporting, &[1, 2, 3, 4, 50]);
        assert_eq!(next_step(&enough, 51), Step::Wait { until_ms: 150 });
        assert_eq!(next_step(&enough, 149), Step::Wait { until_ms: 150 });
        assert_eq!(next_step(&enough, 150), Step::Judge);
    }

    #[test]
    fn grace_does_not_outlast_the_deadline() {
        let late = view(Phase::Reporting, &[1, 2, 3, 4, 950]);
        assert_eq!(next_step(&late, 951), Step::Wait { until_ms: 1000 });
        assert_eq!(next_step(&late, 1000), Step::Judge);
    }

    #[test]
    fn too_few_answers_abort_at_the_deadline_and_not_before() {
        for (phase, reason) in [
            (Phase::Keying, AbortReason::TooFewSealingKeys),
            (Phase::Endorsing, AbortReason::TooFewEndorsements),
            (Phase::Reporting, AbortReason::TooFewReports),
        ] {
            let few = view(phase, &[1, 2, 3, 4]);
            assert_eq!(next_step(&few, 999), Step::Wait { until_ms: 1000 });
            assert_eq!(next_step(&few, 1000), Step::Abort(reason));
        }
    }

    #[test]
    fn an_opening_makes_do_with_t_answers_at_the_deadline() {
        let t = view(Phase::Opening, &[1, 2, 3, 4]);
        assert_eq!(next_step(&t, 999), Step::Wait { until_ms: 1000 });
        assert_eq!(next_step(&t, 1000), Step::Open);
        let few = view(Phase::Opening, &[1, 2, 3]);
        assert_eq!(
            next_step(&few, 1000),
            Step::Abort(AbortReason::TooFewOpenings)
        );
    }

    #[test]
    fn the_challenge_waits_for_t_parts_and_a_little_for_more() {
        let mut view = view(Phase::Challenging, &[1, 2, 3, 50]);
        view.answers.enough = 4;
        assert_eq!(next_step(&view, 51), Step::Wait { until_ms: 150 });
        assert_eq!(next_step(&view, 150), Step::Challenge);
        view.answers.arrived_ms = vec![1, 2, 3, 4, 5, 6];
        assert_eq!(next_step(&view, 6), Step::Challenge);
        view.answers.arrived_ms = vec![1, 2, 3];
        assert_eq!(next_step(&view, 999), Step::Wait { until_ms: 1000 });
        let reason = AbortReason::TooFewBeaconShares;
        assert_eq!(next_step(&view, 1000), Step::Abort(reason));
    }

    #[test]
    fn collecting_ends_at_the_target_or_the_deadline() {
        let mut collecting = view(Phase::Collecting, &[]);
        collecting.answers.expected = 0;
        collecting.submitted = 9;
        assert_eq!(next_step(&collecting, 999), Step::Wait { until_ms: 1000 });
        assert_eq!(next_step(&collecting, 1000), Step::Close);
        collecting.target = 10;
        assert_eq!(next_step(&collecting, 999), Step::Wait { until_ms: 1000 });
        collecting.submitted = 10;
        assert_eq!(next_step(&collecting, 1), Step::Close);
    }

    #[test]
    fn collecting_waits_for_the_noise_of_stewards() {
        let mut collecting = view(Phase::Collecting, &[1, 2, 3, 4]);
        (collecting.submitted, collecting.target) = (10, 10);
        assert_eq!(next_step(&collecting, 5), Step::Wait { until_ms: 1000 });
        collecting.answers.arrived_ms.push(50);
        assert_eq!(next_step(&collecting, 51), Step::Wait { until_ms: 150 });
        assert_eq!(next_step(&collecting, 150), Step::Close);
        collecting.submitted = 9;
        assert_eq!(next_step(&collecting, 150), Step::Wait { until_ms: 1000 });
        collecting.submitted = 10;
        collecting.answers.arrived_ms.push(51);
        assert_eq!(next_step(&collecting, 52), Step::Close);
    }

    #[test]
    fn an_exhausted_budget_ends_the_round_before_it_begins() {
        let mut keying = view(Phase::Keying, &[1, 2, 3, 4, 5, 6]);
        keying.exhausted = true;
        assert_eq!(
            next_step(&keying, 7),
            Step::Abort(AbortReason::BudgetExhausted)
        );
    }

    proptest! {
        /// A wait never ends in the past, and at the deadline nothing waits any longer.
        #[test]
        fn no_phase_waits_for_ever(
            arrived in prop::collection::vec(0_u64..1000, 0..7),
            now in 0_u64..2000,
            phase in prop::sample::select(vec![
                Phase::Keying, Phase::Endorsing, Phase::Collecting, Phase::Challenging, Phase::Reporting,
                Phase::Opening,
            ]),
        ) {
            let mut arrived = arrived;
            arrived.sort_unstable();
            match next_step(&view(phase, &arrived), now) {
                Step::Wait { until_ms } => prop_assert!(now < until_ms && until_ms <= 1000),
                Step::Abort(_) => prop_assert!(now >= 1000),
                _ => {}
            }
        }
    }
}
