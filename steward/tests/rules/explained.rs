//! The model of a round follows from the rounds before it, also for a steward that was not there.

use dawn_identity::{SecretKey, Signed};
use dawn_protocol::{AbortReason, Aborted, Digest, RoundResult, Rule, Terminal};
use dawn_steward::{Refusal, StewardError, StewardState};

use crate::assert_rule;
use crate::now;
use crate::world::{World, refusal};

/// What an aggregator would have devices train from.
const CHOSEN: Digest = Digest([0x66; 32]);

/// The early end of a round: nobody saw a specification.
pub fn early(
    world: &World,
    number: u32,
    previous: Option<&Terminal>,
    model: Digest,
) -> Signed<Aborted> {
    world.by_aggregator(&Aborted {
        round: world.id(number),
        session: None,
        reason: AbortReason::TooFewSealingKeys,
        detail: String::new(),
        model,
        previous: previous.map(Terminal::digest),
        direction: None,
        draw: None,
    })
}

fn abort(world: &World, number: u32, previous: Option<&Terminal>, model: Digest) -> Terminal {
    Terminal::Aborted(early(world, number, previous, model))
}

/// Asks to endorse the specification of a round that continues this history.
fn endorse(
    world: &mut World,
    state: &StewardState,
    (number, own): (u32, &[u8]),
    history: &[Terminal],
    model: Digest,
) -> Result<Vec<u8>, StewardError> {
    let round = world.round_with(own, number, history.first(), model);
    world.endorse_spec(state, &round.spec, history)
}

#[test]
fn the_aggregator_does_not_choose_the_model_after_an_early_abort() {
    let mut world = World::new();
    let state = world.start();
    world.sealing_key(&state, 1).expect("key");
    let own = world.sealing_key(&state, 2).expect("key");
    let initial = world.initial_model();
    let changed = [abort(&world, 1, None, CHOSEN)];
    let honest = [abort(&world, 1, None, initial)];
    for (history, model) in [(&changed, CHOSEN), (&honest, CHOSEN), (&changed, initial)] {
        let refused = refusal(endorse(&mut world, &state, (2, &own), history, model));
        assert_rule!(refused, Rule::SpecModel);
    }
    endorse(&mut world, &state, (2, &own), &honest, initial).expect("the model stays");
}

#[test]
fn aborts_are_followed_back_to_what_explains_them() {
    let mut world = World::new();
    let state = world.start();
    // This steward was away in rounds 1 to 3.
    let own = world.sealing_key(&state, 4).expect("key");
    let left = Digest([3; 32]);
    let first = Terminal::Result(world.by_aggregator(&RoundResult {
        round: world.id(1),
        session: dawn_protocol::SessionId(Digest([1; 32])),
        verdict: Digest([2; 32]),
        openings: vec![Digest([1; 32]); 4],
        points: vec![1, 2, 3, 4],
        culprits: Vec::new(),
        accepted: 4,
        sum: Digest([2; 32]),
        model: left,
        direction: None,
        draw: None,
        evaluation: None,
    }));
    let second = abort(&world, 2, Some(&first), left);
    let third = abort(&world, 3, Some(&second), left);
    let honest = [third.clone(), second.clone(), first.clone()];

    let refused = |world: &mut World, history: &[Terminal], model| {
        refusal(endorse(world, &state, (4, &own), history, model))
    };
    // What explains the model is not shown.
    let unexplained = Refusal::Unexplained(world.id(4));
    assert_eq!(refused(&mut world, &honest[..1], left), unexplained);
    assert_eq!(refused(&mut world, &honest[..2], left), unexplained);
    let spec = world.round_with(&own, 4, honest.first(), left).spec;
    let without = state.endorse(&spec, &[], now(), &mut world.rng);
    assert_rule!(refusal(without), Rule::SpecPrevious);
    // Every abort, or only the last, changes the model.
    let second_lie = abort(&world, 2, Some(&first), CHOSEN);
    let third_lie = abort(&world, 3, Some(&second_lie), CHOSEN);
    let all_lies = [third_lie, second_lie.clone(), first.clone()];
    assert_eq!(refused(&mut world, &all_lies[..2], CHOSEN), unexplained);
    assert_rule!(refused(&mut world, &all_lies, CHOSEN), Rule::SpecModel);
    let last_lies = [
        abort(&world, 3, Some(&second), CHOSEN),
        second.clone(),
        first.clone(),
    ];
    assert_rule!(refused(&mut world, &last_lies, CHOSEN), Rule::SpecModel);
    // Ends that do not follow each other, are of other rounds, or are not the aggregator's.
    let other_history = Refusal::OtherHistory(world.id(4));
    let unlinked = [third.clone(), second_lie, first.clone()];
    assert_eq!(refused(&mut world, &unlinked, left), other_history);
    let skipped = [abort(&world, 3, Some(&first), left), first.clone()];
    assert_eq!(refused(&mut world, &skipped, left), other_history);
    let stranger = SecretKey::generate(&mut world.rng);
    let body = early(&world, 2, Some(&first), left).peek().clone();
    let forged = Terminal::Aborted(Signed::sign(&body, &stranger).expect("sign"));
    let forged = [third, forged, first];
    assert_rule!(refused(&mut world, &forged, left), Rule::Signature);

    // It asks for as many ends as it needs.
    for shown in 0..=3 {
        let wanted = state
            .wanted_history(&spec, &honest[..shown])
            .expect("vault");
        let expected = honest.get(shown).map(|end| (end.round(), end.digest()));
        assert_eq!(wanted, expected);
    }
    endorse(&mut world, &state, (4, &own), &honest, left).expect("explained");
}

/// What it has verified once need not be explained again, also when the rounds are forgotten.
#[test]
fn a_steward_remembers_the_model_that_it_endorsed() {
    let mut world = World::new();
    let state = world.start();
    let first = world.first_round(&state);
    world.endorse(&state, &first).expect("endorse");
    drop(state);
    let state = world.start();
    let initial = world.initial_model();
    let end_first = abort(&world, 1, None, initial);
    let own = world.sealing_key(&state, 2).expect("key");
    endorse(
        &mut world,
        &state,
        (2, &own),
        std::slice::from_ref(&end_first),
        initial,
    )
    .expect("endorse");

    let last = 30;
    let own = world.sealing_key(&state, last).expect("key");
    let chain = |world: &World, from: u32, end: &Terminal, model| {
        let mut history = vec![end.clone()];
        for number in from..last {
            history.insert(0, abort(world, number, history.first(), model));
        }
        history
    };
    let honest = chain(&world, 2, &end_first, initial);
    // Round 1 is not asked for: round 2 was endorsed.
    let enough = honest.len() - 1;
    let spec = world.round_with(&own, last, honest.first(), initial).spec;
    let wanted = |shown: usize| {
        state
            .wanted_history(&spec, &honest[..shown])
            .expect("vault")
    };
    assert_eq!(
        wanted(enough - 1).map(|(round, _)| round),
        Some(world.id(2))
    );
    assert_eq!(wanted(enough), None);
    // The whole chain of another model, and one that forks below what was endorsed.
    let lies = chain(&world, 2, &end_first, CHOSEN);
    assert_rule!(
        refusal(endorse(&mut world, &state, (last, &own), &lies, CHOSEN)),
        Rule::SpecModel
    );
    let other_first = Terminal::Aborted(world.by_aggregator(&Aborted {
        detail: "another".to_owned(),
        ..early(&world, 1, None, initial).peek().clone()
    }));
    let fork = chain(&world, 2, &other_first, initial);
    assert_eq!(
        refusal(endorse(&mut world, &state, (last, &own), &fork, initial)),
        Refusal::OtherHistory(world.id(last))
    );
    endorse(&mut world, &state, (last, &own), &honest[..enough], initial).expect("explained");
}
