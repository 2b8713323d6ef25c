//! Rounds of a task that selects devices: the auditor follows what they are drawn from, and who was.

use dawn_audits::{AuditRule, Party};
use dawn_protocol::{Decision, Digest, Draw, Selection, TaskOptions, Terminal};

use crate::common::round::{Cheat, PlayedRound, Script};
use crate::common::transcript::transcript;
use crate::common::{NOW, Plan, World};
use crate::lies::{resigned, with_verdict};
use crate::{assert_broken, audit, rounds};

fn world(seed: u64) -> World {
    let selection = Some(Selection {
        rate: (1 << 31) + (1 << 30),
    });
    let options = TaskOptions {
        selection,
        ..TaskOptions::default()
    };
    let plan = Plan {
        devices: 12,
        rounds: 5,
        options,
        ..Plan::default()
    };
    World::with(seed, &plan)
}

/// A round, one that is aborted, and two more.
fn four(world: &mut World) -> Vec<PlayedRound> {
    let few = Script {
        devices: vec![0],
        ..Script::default()
    };
    let all = Script::default();
    rounds(world, &[all.clone(), few, all.clone(), all])
}

fn draw(round: &PlayedRound) -> Draw {
    round.spec.peek().draw.unwrap()
}

fn left(round: &PlayedRound) -> Draw {
    round.terminal.next_start().draw.unwrap()
}

#[test]
fn rounds_draw_from_the_beacon_of_the_last_result() {
    let mut world = world(81);
    let played = four(&mut world);
    // 600 s for clocks, 60 s for credentials that are dated back.
    let opened = |round: &PlayedRound| round.spec.peek().opened_ms / 1000 - 660;
    assert_eq!(draw(&played[0]), Draw::initial(world.context.task()));
    assert_eq!(draw(&played[0]).before, NOW - 660);
    assert_ne!(left(&played[0]), draw(&played[0]));
    assert_eq!(left(&played[0]).before, opened(&played[0]));
    // An abort leaves what there was.
    assert_eq!(draw(&played[1]), left(&played[0]));
    assert_eq!(left(&played[1]), left(&played[0]));
    assert_eq!(draw(&played[2]), left(&played[0]));
    assert_eq!(draw(&played[3]), left(&played[2]));
    assert_ne!(left(&played[2]).beacon, left(&played[0]).beacon);
    let mut absent = 0;
    for round in &played {
        let report = audit(&world, &transcript(&world, round));
        assert!(report.passed(), "{report}");
        absent += world.devices.len() - round.submissions.len();
    }
    // The aborted round has one device, or none.
    assert!(absent > 12, "somebody was not selected in the other rounds");
}

#[test]
fn another_beacon_is_found() {
    let mut world = world(82);
    let played = four(&mut world);
    let Terminal::Result(honest) = &played[2].terminal else {
        panic!("a result");
    };
    let right = left(&played[2]);
    let others = [
        Draw {
            beacon: Digest([3; 32]),
            ..right
        },
        Draw {
            before: right.before + 1,
            ..right
        },
        draw(&played[2]),
    ];
    for lie in [None, Some(others[0]), Some(others[1]), Some(others[2])] {
        let lie = PlayedRound {
            terminal: Terminal::Result(resigned(&world, honest, |result| result.draw = lie)),
            ..played[2].clone()
        };
        let bytes = transcript(&world, &lie);
        assert_broken(&audit(&world, &bytes), AuditRule::Result, Party::Aggregator);
    }
    let Terminal::Aborted(honest) = &played[1].terminal else {
        panic!("an abort");
    };
    for lie in [None, Some(others[0])] {
        let lie = PlayedRound {
            terminal: Terminal::Aborted(resigned(&world, honest, |aborted| aborted.draw = lie)),
            ..played[1].clone()
        };
        let bytes = transcript(&world, &lie);
        assert_broken(&audit(&world, &bytes), AuditRule::Model, Party::Aggregator);
    }
    // A specification that does not take it over.
    let lie = PlayedRound {
        spec: resigned(&world, &played[3].spec, |spec| spec.draw = Some(others[0])),
        ..played[3].clone()
    };
    let bytes = transcript(&world, &lie);
    assert_broken(&audit(&world, &bytes), AuditRule::Model, Party::Aggregator);
    let lie = PlayedRound {
        spec: resigned(&world, &played[3].spec, |spec| spec.draw = None),
        ..played[3].clone()
    };
    let bytes = transcript(&world, &lie);
    assert_broken(
        &audit(&world, &bytes),
        AuditRule::RoundSpec,
        Party::Aggregator,
    );
}

#[test]
fn who_is_not_selected_is_in_nobodys_sum() {
    let mut world = world(83);
    let script = Script {
        cheats: vec![(0, Cheat::Unselected)],
        ..Script::default()
    };
    let round = world.play(None, &script);
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    let verdict = round.verdict.as_ref().unwrap().peek();
    let refused: Vec<_> = (0..verdict.decisions.len())
        .filter(|index| verdict.decisions[*index] == Decision::BadHeader)
        .collect();
    assert_eq!(refused.len(), 1);
    let bytes = with_verdict(&world, &round, |verdict| {
        verdict.decisions[refused[0]] = Decision::Accepted;
    });
    assert_broken(
        &audit(&world, &bytes),
        AuditRule::Verdict,
        Party::Aggregator,
    );
}
