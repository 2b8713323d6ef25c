//! Any history of questions, restarts, backups, restores and losses: what left is never contradicted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dawn_protocol::RoundId;
use dawn_steward::StewardState;
use dawn_steward::records::AnswerKind;
use proptest::prelude::*;

use crate::world::{Round, World};

#[derive(Clone, Debug)]
enum Event {
    /// Ask for the sealing key of a round.
    Key(u32),
    /// Ask to endorse the first round, as the specification with this number has it.
    Endorse(u8),
    Restart,
    BackUp,
    /// Put back a backup, if there is one.
    Restore(prop::sample::Index),
    /// The same, on a machine without the guard.
    RestoreElsewhere(prop::sample::Index),
    LoseStore,
    /// Never together with the store: then only the log is left, which is another test.
    LoseGuard,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1u32..4).prop_map(Event::Key),
        4 => (0u8..3).prop_map(Event::Endorse),
        1 => Just(Event::Restart),
        2 => Just(Event::BackUp),
        3 => any::<prop::sample::Index>().prop_map(Event::Restore),
        1 => any::<prop::sample::Index>().prop_map(Event::RestoreElsewhere),
        1 => Just(Event::LoseStore),
        1 => Just(Event::LoseGuard),
    ]
}

/// What left, by round and kind.
type Left = BTreeMap<(RoundId, AnswerKind), Vec<u8>>;

struct History {
    world: World,
    state: Option<StewardState>,
    backups: Vec<PathBuf>,
    rounds: BTreeMap<u8, Round>,
    left: Left,
}

impl History {
    fn answer(&mut self, round: RoundId, kind: AnswerKind, answer: Option<Vec<u8>>) {
        let Some(answer) = answer else { return };
        let first = self
            .left
            .entry((round, kind))
            .or_insert_with(|| answer.clone());
        assert_eq!(
            *first, answer,
            "a second, different {kind} in round {round}"
        );
    }

    fn stop(&mut self) {
        self.state = None;
    }

    fn happen(&mut self, event: &Event) {
        let state = self.state.take();
        let state = state.unwrap_or_else(|| self.world.start());
        match event {
            Event::Key(number) => {
                let answer = self.world.sealing_key(&state, *number).ok();
                self.answer(self.world.id(*number), AnswerKind::SealingKey, answer);
            }
            Event::Endorse(variant) => {
                // Specifications of round 1 that differ in the others' sealing keys; all have this steward's first one.
                if let Some(own) = self
                    .left
                    .get(&(self.world.id(1), AnswerKind::SealingKey))
                    .cloned()
                {
                    let model = self.world.initial_model();
                    if !self.rounds.contains_key(variant) {
                        let round = self.world.round_with(&own, 1, None, model);
                        self.rounds.insert(*variant, round);
                    }
                    let spec = &self.rounds[variant].spec;
                    let answer = self.world.endorse_spec(&state, spec, &[]).ok();
                    self.answer(self.world.id(1), AnswerKind::Endorsement, answer);
                }
            }
            Event::Restart => return self.stop(),
            Event::BackUp => {
                drop(state);
                self.backups.push(self.world.back_up());
                return;
            }
            Event::Restore(which) => {
                drop(state);
                if !self.backups.is_empty() {
                    let backup: &PathBuf = which.get(&self.backups);
                    self.world.restore(backup);
                }
                return;
            }
            Event::RestoreElsewhere(which) => {
                drop(state);
                if !self.backups.is_empty() {
                    let backup: &PathBuf = which.get(&self.backups);
                    self.world.restore(backup);
                    std::fs::remove_dir_all(self.world.guard_dir()).expect("left behind");
                }
                return;
            }
            Event::LoseStore => {
                drop(state);
                std::fs::remove_dir_all(self.world.data_dir()).expect("lost");
                return;
            }
            Event::LoseGuard => {
                drop(state);
                std::fs::remove_dir_all(self.world.guard_dir()).expect("lost");
                return;
            }
        }
        self.state = Some(state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_history_gives_two_answers(events in prop::collection::vec(event(), 1..25)) {
        let mut history = History {
            world: World::new(),
            state: None,
            backups: Vec::new(),
            rounds: BTreeMap::new(),
            left: BTreeMap::new(),
        };
        for event in &events {
            history.happen(event);
        }
    }
}
