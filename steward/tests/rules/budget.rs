//! Every steward keeps its own ledger, and does not open beyond the budget whatever the aggregator says.

use dawn_protocol::{AbortReason, Aborted, Rule, Terminal};
use dawn_steward::{Refusal, StewardError, StewardState};

use crate::assert_rule;
use crate::world::{World, refusal};

/// Runs round 1 up to the opening, with a verdict that says that this was spent before.
fn open_with(
    world: &mut World,
    state: &StewardState,
    spent_before: u64,
) -> Result<Vec<u8>, StewardError> {
    let (round, closed) = world.closed_round(state, &[0, 1, 2, 3]);
    let own = world.report(state, &closed)?;
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, spent_before);
    world.open(state, &closed, &reports, &verdict)
}

#[test]
fn an_opening_is_charged_once() {
    let mut world = World::new();
    let state = world.start();
    let charge = world.context.charge_micro_rho();
    open_with(&mut world, &state, 0).expect("open");
    assert_eq!(state.vault().spent("digits").expect("ledger"), charge);
    drop(state);
    let state = world.start();
    assert_eq!(state.vault().spent("digits").expect("ledger"), charge);
    assert_eq!(
        state.vault().task(&world.context.id()).expect("task").spent,
        charge
    );
}

#[test]
fn a_budget_below_one_round_is_refused_before_anything_is_said() {
    let mut world = World::new();
    let charge = world.context.charge_micro_rho();
    world.change_task(|task| task.privacy.budget_micro_rho = Some(charge - 1));
    let state = world.start();
    let refused = refusal(world.sealing_key(&state, 1));
    assert!(
        matches!(refused, Refusal::Budget { spent: 0, limit, .. } if limit == charge - 1),
        "{refused}"
    );
}

#[test]
fn the_budget_of_a_task_ends_it() {
    let mut world = World::new();
    let charge = world.context.charge_micro_rho();
    world.change_task(|task| task.privacy.budget_micro_rho = Some(charge));
    let state = world.start();
    open_with(&mut world, &state, 0).expect("one round fits");
    let refused = refusal(world.sealing_key(&state, 2));
    assert!(
        matches!(refused, Refusal::Budget { spent, .. } if spent == charge),
        "{refused}"
    );
}

/// The limit of a data source holds over all tasks that use it.
#[test]
fn a_data_source_has_one_ledger_for_all_tasks() {
    let mut world = World::new();
    let charge = world.context.charge_micro_rho();
    world.budgets.insert("digits".to_owned(), 2 * charge - 1);
    let state = world.start();
    open_with(&mut world, &state, 0).expect("one round fits");
    drop(state);
    world.change_task(|task| task.name = "Another".to_owned());
    let state = world.start();
    let refused = refusal(world.sealing_key(&state, 1));
    assert!(
        matches!(&refused, Refusal::Budget { ledger, .. } if ledger.contains("digits")),
        "{refused}"
    );
    drop(state);
    world.change_task(|task| task.data_source = "other".to_owned());
    let state = world.start();
    world.sealing_key(&state, 1).expect("other data");
}

/// Budget that runs out between sealing key and opening: nothing is opened, nothing charged.
#[test]
fn the_opening_itself_is_refused_beyond_the_budget() {
    let mut world = World::new();
    let charge = world.context.charge_micro_rho();
    world.budgets.insert("digits".to_owned(), charge);
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3]);
    let own = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, 0);
    drop(state);
    world.budgets.insert("digits".to_owned(), charge - 1);
    let state = world.start();
    let refused = refusal(world.open(&state, &closed, &reports, &verdict));
    assert!(matches!(refused, Refusal::Budget { .. }), "{refused}");
    assert_eq!(state.vault().spent("digits").expect("ledger"), 0);
    drop(state);
    world.budgets.insert("digits".to_owned(), charge);
    let state = world.start();
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("now it fits");
}

/// What the aggregator says was spent raises the ledger, but not beyond what can have been.
#[test]
fn the_aggregator_can_only_raise_the_ledger() {
    let mut world = World::new();
    let state = world.start();
    // In round 1 nothing can have been spent before.
    assert_rule!(refusal(open_with(&mut world, &state, 1)), Rule::Charge);
    assert_eq!(state.vault().spent("digits").expect("ledger"), 0);
}

/// An aggregator that lets other stewards open each round and states only what these know of could have the task opened
/// more often than its budget allows. A steward that knows of more refuses.
#[test]
fn a_verdict_that_leaves_out_what_was_spent_is_refused() {
    let mut world = World::new();
    let state = world.start();
    let charge = world.context.charge_micro_rho();
    open_with(&mut world, &state, 0).expect("open");
    let aborted = Terminal::Aborted(world.by_aggregator(&Aborted {
        round: world.id(1),
        session: None,
        reason: AbortReason::TooFewOpenings,
        detail: String::new(),
        model: world.initial_model(),
        previous: None,
        direction: None,
        draw: None,
    }));
    let own = world.sealing_key(&state, 2).expect("sealing key");
    let model = world.initial_model();
    let round = world.round_with(&own, 2, Some(&aborted), model);
    world
        .endorse_spec(&state, &round.spec, std::slice::from_ref(&aborted))
        .expect("endorse");
    let closed = world.closed(&round, &[0, 1, 2, 3]);
    let own = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5]);
    let low = world.verdict(&closed, &reports, 0);
    assert_rule!(
        refusal(world.open(&state, &closed, &reports, &low)),
        Rule::Charge
    );
    let right = world.verdict(&closed, &reports, charge);
    world
        .open(&state, &closed, &reports, &right)
        .expect("opened");
    assert_eq!(state.vault().spent("digits").expect("ledger"), 2 * charge);
}
