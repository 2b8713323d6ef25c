//! What devices are drawn from: a steward that answered a round's challenge knows the beacon that its result leaves.

use dawn_protocol::{Digest, Draw, RoundResult, Rule, Selection, Terminal};
use dawn_steward::Refusal;

use crate::assert_rule;
use crate::now;
use crate::world::{World, refusal};

#[test]
fn a_result_that_leaves_another_beacon_is_not_continued() {
    // At nearly every output: a device that was not selected would end the test.
    let selection = Some(Selection { rate: u32::MAX });
    let mut world = World::with_task(|task| task.options.selection = selection);
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    world.beacon(&state, &closed).expect("beacon");
    world.report(&state, &closed).expect("report");
    let model = Digest([3; 32]);
    let result = |draw| {
        Terminal::Result(world.by_aggregator(&RoundResult {
            round: world.id(1),
            session: round.spec.peek().session(),
            verdict: Digest([2; 32]),
            openings: vec![Digest([1; 32]); 4],
            points: vec![1, 2, 3, 4],
            culprits: Vec::new(),
            accepted: 4,
            sum: Digest([2; 32]),
            model,
            direction: None,
            draw,
            evaluation: None,
        }))
    };
    let right = closed.challenged.next_draw();
    let before = right.before + 1;
    let beacon = Digest([7; 32]);
    let lies = [
        Some(Draw { beacon, ..right }),
        Some(Draw { before, ..right }),
        round.spec.peek().draw,
    ]
    .map(result);
    let (none, honest) = (result(None), result(Some(right)));
    let own = world.sealing_key(&state, 2).expect("key");
    for lie in lies {
        let next = world.round_with(&own, 2, Some(&lie), model);
        let endorsed = state.endorse(&next.spec, &[lie], now(), &mut world.rng);
        assert_eq!(refusal(endorsed), Refusal::OtherHistory(world.id(2)));
    }
    // A result of a task that selects leaves something to draw from, as everybody sees.
    let mut next = world.round_with(&own, 2, Some(&none), model);
    let mut spec = next.spec.peek().clone();
    spec.draw = Some(right);
    next.spec = world.by_aggregator(&spec);
    let endorsed = state.endorse(&next.spec, &[none], now(), &mut world.rng);
    assert_rule!(refusal(endorsed), Rule::Selection);
    // The specification takes over what the result leaves.
    let mut next = world.round_with(&own, 2, Some(&honest), model);
    let mut spec = next.spec.peek().clone();
    spec.draw = round.spec.peek().draw;
    next.spec = world.by_aggregator(&spec);
    let endorsed = state.endorse(
        &next.spec,
        std::slice::from_ref(&honest),
        now(),
        &mut world.rng,
    );
    assert_rule!(refusal(endorsed), Rule::SpecModel);
    drop(state);
    let state = world.start();
    let next = world.round_with(&own, 2, Some(&honest), model);
    world
        .endorse_spec(&state, &next.spec, &[honest])
        .expect("follows");
}
