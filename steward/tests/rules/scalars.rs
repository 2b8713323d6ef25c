//! An aggregator that lies in the public scalars: it gets one choice of payloads a round, and one verdict.

use dawn_crypto::field;
use dawn_identity::{Digest, Signed};
use dawn_protocol::answers::Scalars;
use dawn_protocol::{Rule, Verdict};
use dawn_steward::recomputing::RECOMPUTED;
use dawn_steward::records::End;
use dawn_steward::{Refusal, ScalarWork, StewardError, StewardState};

use crate::assert_rule;
use crate::reporting::{Reported, Shown};
use crate::world::{ClosedRound, World, refusal};

/// More submissions than are recomputed.
const DEVICES: [usize; 10] = [0, 1, 2, 3, 4, 5, 0, 1, 2, 3];

/// A steward that treats every round as one of large payloads.
fn start(world: &mut World) -> StewardState {
    let mut state = world.start();
    state.recompute_all_up_to(0);
    state
}

struct Case {
    world: World,
    closed: ClosedRound,
    reports: Vec<Reported>,
    truth: Signed<Verdict>,
    shown: Shown,
}

impl Case {
    /// A round up to the reports.
    fn new() -> (Self, StewardState) {
        let mut world = World::new();
        let state = start(&mut world);
        let (round, closed) = world.closed_round(&state, &DEVICES);
        let own = world.report(&state, &closed).expect("report");
        let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5]);
        let truth = world.verdict(&closed, &reports, 0);
        let shown = world.shown(&closed, &reports);
        let case = Self {
            world,
            closed,
            reports,
            truth,
            shown,
        };
        (case, state)
    }

    /// A verdict with lies about these submissions, and what is shown with it.
    fn lie(&self, about: &[usize]) -> (Signed<Verdict>, Shown) {
        let truth = self.world.scalars(&self.closed);
        let mut scalars: Vec<[u32; 2]> = (0..DEVICES.len())
            .map(|i| truth.get(i).expect("one each"))
            .collect();
        for index in about {
            scalars[*index][0] = field::add(scalars[*index][0], 1);
        }
        let scalars = Scalars::new(scalars);
        let verdict = self
            .world
            .verdict_with(&self.closed, &self.reports, &scalars);
        let shown = Shown {
            scalars: scalars.to_bytes(),
            ..self.shown.clone()
        };
        (self.world.by_aggregator(&verdict), shown)
    }

    /// Shows everything but payloads.
    fn choice(
        &mut self,
        state: &StewardState,
        verdict: &Signed<Verdict>,
        shown: &Shown,
    ) -> Result<ScalarWork, StewardError> {
        let begun = self
            .world
            .begin_open(state, &self.closed, &self.reports, verdict)?;
        let work = begun.expect("nothing was answered yet");
        self.world.examined(state, work, shown)
    }

    fn refused(
        &mut self,
        state: &StewardState,
        verdict: &Signed<Verdict>,
        shown: &Shown,
    ) -> Refusal {
        let (closed, reports) = (&self.closed, &self.reports);
        refusal(
            self.world
                .open_shown(state, closed, reports, verdict, shown),
        )
    }

    fn another(&self) -> Refusal {
        Refusal::AnotherVerdict(self.world.id(1))
    }
}

/// What is not delivered, or is something else, is asked for again, also after a restart: nothing is drawn anew.
#[test]
fn a_withheld_payload_is_asked_for_until_it_comes() {
    let (mut case, mut state) = Case::new();
    let (truth, shown) = (case.truth.clone(), case.shown.clone());
    let first: Vec<Digest> = case
        .choice(&state, &truth, &shown)
        .expect("chosen")
        .wanted_payloads();
    assert_eq!(first.len(), RECOMPUTED);
    for attempt in 0..8 {
        if attempt % 2 == 1 {
            drop(state);
            state = start(&mut case.world);
        }
        let mut work = case.choice(&state, &truth, &shown).expect("again");
        assert_eq!(work.wanted_payloads(), first, "attempt {attempt}");
        // All but the last, and something else in its place.
        let mut payloads: Vec<_> = first.iter().map(|d| shown.payloads[d].clone()).collect();
        match attempt % 3 {
            0 => payloads[RECOMPUTED - 1].clear(),
            1 => payloads[RECOMPUTED - 1][0] ^= 1,
            _ => payloads[RECOMPUTED - 1].truncate(8),
        }
        let refused = state.check_payloads(&mut work, &payloads, &mut case.world.rng);
        assert_rule!(refusal(refused.map(|()| Vec::new())), Rule::Payload);
        assert_eq!(work.wanted_payloads(), first);
        let refused = state.begin_open(work).map(|_| Vec::new());
        assert_eq!(refusal(refused), Refusal::NotExamined(case.world.id(1)));
    }
    // Without it there is no opening; with it there is.
    let mut work = case.choice(&state, &truth, &shown).expect("again");
    let mut payloads: Vec<_> = first.iter().map(|d| shown.payloads[d].clone()).collect();
    let last = payloads.pop().expect("eight");
    let rng = &mut case.world.rng;
    state
        .check_payloads(&mut work, &payloads, rng)
        .expect("right");
    assert_eq!(work.wanted_payloads(), first[RECOMPUTED - 1..]);
    state
        .check_payloads(&mut work, &[last], rng)
        .expect("right");
    state.begin_open(work).expect("complete");
    let (closed, reports) = (&case.closed, &case.reports);
    case.world
        .open(&state, closed, reports, &truth)
        .expect("the truth");
}

/// Three lies of ten: every choice of eight has one of them.
#[test]
fn a_lie_that_was_caught_cannot_be_moved() {
    let (mut case, state) = Case::new();
    let (lie, shown) = case.lie(&[1, 4, 7]);
    let (moved, moved_shown) = case.lie(&[2]);
    let (truth, true_shown) = (case.truth.clone(), case.shown.clone());
    assert_rule!(case.refused(&state, &lie, &shown), Rule::Scalars);
    let mut running = Some(state);
    for _ in 0..2 {
        let state = running.take().unwrap_or_else(|| start(&mut case.world));
        let caught = Refusal::FalseScalars(case.world.id(1));
        assert_eq!(case.refused(&state, &lie, &shown), caught);
        assert_eq!(case.refused(&state, &moved, &moved_shown), case.another());
        assert_eq!(case.refused(&state, &truth, &true_shown), case.another());
    }
}

/// The lie is caught however long the payload about which the aggregator lied is withheld, and another verdict meanwhile
/// is not looked at.
#[test]
fn a_lie_whose_payload_is_withheld_is_never_opened() {
    let (mut case, mut state) = Case::new();
    let lied = [0, 3, 9];
    let (lie, shown) = case.lie(&lied);
    let (moved, moved_shown) = case.lie(&[5]);
    let payload = |index: usize| case.closed.submissions[index].header.peek().payload;
    let withheld = lied.map(payload);
    let first = case
        .choice(&state, &lie, &shown)
        .expect("chosen")
        .wanted_payloads();
    assert!(first.iter().any(|digest| withheld.contains(digest)));
    for _ in 0..4 {
        drop(state);
        state = start(&mut case.world);
        assert_eq!(case.refused(&state, &moved, &moved_shown), case.another());
        let work = case.choice(&state, &lie, &shown).expect("again");
        assert_eq!(work.wanted_payloads(), first);
        assert!(state.begin_open(work).is_err());
    }
    assert_rule!(case.refused(&state, &lie, &shown), Rule::Scalars);
}

/// Two verdicts that are examined at the same time: payloads are chosen for one of them.
#[test]
fn verdicts_that_race_get_one_choice() {
    let (mut case, state) = Case::new();
    let (moved, moved_shown) = case.lie(&[5]);
    let (truth, shown) = (case.truth.clone(), case.shown.clone());
    let begin = |case: &mut Case, verdict| {
        let begun = case
            .world
            .begin_open(&state, &case.closed, &case.reports, verdict);
        begun.expect("begun").expect("nothing was answered yet")
    };
    let first = begin(&mut case, &truth);
    let second = begin(&mut case, &moved);
    let work = case.world.examined(&state, first, &shown).expect("chosen");
    let refused = case.world.examined(&state, second, &moved_shown);
    assert_eq!(refusal(refused.map(|_| Vec::new())), case.another());
    assert_eq!(work.wanted_payloads().len(), RECOMPUTED);
}

/// A backup from before the choice does not bring a second one.
#[test]
fn restored_before_the_choice() {
    let (mut case, state) = Case::new();
    let (lie, shown) = case.lie(&[1, 4, 7]);
    let (truth, true_shown) = (case.truth.clone(), case.shown.clone());
    drop(state);
    let backup = case.world.back_up();
    let state = start(&mut case.world);
    case.choice(&state, &lie, &shown).expect("chosen");
    drop(state);
    case.world.restore(&backup);
    let state = start(&mut case.world);
    let over = Refusal::Over {
        round: case.world.id(1),
        end: End::Restored,
    };
    assert_eq!(case.refused(&state, &lie, &shown), over);
    assert_eq!(case.refused(&state, &truth, &true_shown), over);
}
