//! Rounds of a task that asks for sums over groups: the steward answers once, with all of them together.

use dawn_identity::Signed;
use dawn_learn::{Aggregation, RobustRule};
use dawn_protocol::{Culprit, Decision, GroupRule, GroupSums, Opening, Task};
use dawn_steward::Refusal;
use dawn_steward::records::AnswerKind;

use crate::world::{ClosedRound, Round, World, body, refusal};

fn in_groups(task: &mut Task) {
    task.policy.min_accepted = 6;
    task.policy.min_honest = 6;
    task.options.groups = Some(GroupRule {
        most: 3,
        size: 2,
        least: 2,
        honest: 2,
        dishonest: 0,
        rule: RobustRule {
            aggregation: Aggregation::Median,
            mixing: None,
        },
    });
}

/// What a steward other than the real one adds up for every group.
fn sums_of(
    world: &World,
    round: &Round,
    closed: &ClosedRound,
    accepted: &[usize],
    point: u8,
) -> GroupSums {
    let mut sums = GroupSums::zero(3);
    let groups = closed.challenged.groups().expect("groups");
    for index in accepted {
        let opened = world.package_of(round, closed, point, *index);
        let sum = sums.group_mut(groups.of(*index).expect("a group"));
        sum.expect("a group")
            .add_assign(&opened.expect("opens").key);
    }
    sums
}

/// Seven devices of one organisation among twelve: two are cut by the policy, and have to be taken out of their groups.
#[test]
fn the_sums_of_all_groups_are_one_answer() {
    let mut world = World::with_task(in_groups);
    let mut state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5]);
    let own = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let verdict = world.verdict(&closed, &reports, 0);
    let decisions = &verdict.peek().decisions;
    let cut = decisions
        .iter()
        .filter(|d| **d == Decision::OrganisationShare);
    assert!(cut.count() >= 2, "the test has to take something out");
    let judged = world.adopt(&closed, &reports, &verdict);
    assert_eq!(state.own_group_sums(&world.id(1)).expect("read"), None);
    let answer = world
        .open(&state, &closed, &reports, &verdict)
        .expect("open");
    let sums = state
        .own_group_sums(&world.id(1))
        .expect("read")
        .expect("kept");

    // The same question, also after a restart: the same statement and the same sums.
    drop(state);
    state = world.start();
    let again = world.open(&state, &closed, &reports, &verdict);
    assert_eq!(again.expect("again"), answer);
    let kept = state.own_group_sums(&world.id(1)).expect("read");
    assert_eq!(kept.as_ref(), Some(&sums));

    // They are right: with those of three others every group opens, and without them three are too few.
    let accepted: Vec<usize> = judged.verdict().accepted().collect();
    let mut openings = vec![Signed::<Opening>::from_bytes(&answer).expect("opening")];
    let culprit = Culprit::Aggregator;
    let mut given = vec![GroupSums::from_bytes(&sums, 3, culprit).expect("sums")];
    given[0].verify(openings[0].peek(), culprit).expect("named");
    for point in 2..=4 {
        let sums = sums_of(&world, &round, &closed, &accepted, point);
        let steward = world.context.steward_id(point).expect("steward");
        openings.push(world.by_steward(&judged.group_opening(steward, &sums), point));
        given.push(sums);
    }
    let groups = closed.challenged.groups().expect("groups");
    let mut masked = vec![vec![0; world.context.dimension().padded()]; 3];
    for index in &accepted {
        let words = dawn_crypto::mask::parse_payload(&closed.submissions[*index].payload);
        let sum = &mut masked[groups.of(*index).expect("a group")];
        dawn_crypto::mask::add_assign(sum, &words.expect("words"));
    }
    let opened = judged
        .open_groups(&masked, &openings, &given)
        .expect("opens");
    assert!(opened.culprits().is_empty());
    assert_eq!(opened.points(), [1, 2, 3, 4]);
    assert!(
        judged
            .open_groups(&masked, &openings[1..], &given[1..])
            .is_err()
    );
}

/// Other groups are another beacon, and that is another challenge: nothing is said about it.
#[test]
fn there_is_no_answer_for_other_groups() {
    let mut world = World::with_task(in_groups);
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4, 5, 0, 1]);
    let own = world.report(&state, &closed).expect("report");
    let other = world.challenged_again(&closed, &[3, 4, 5, 6]);
    assert_ne!(other.challenged.groups(), closed.challenged.groups());
    let answered = |kind| Refusal::AnsweredAnother {
        round: world.context.round(1),
        kind,
    };
    let report = answered(AnswerKind::Report);
    assert_eq!(refusal(world.report(&state, &other)), report);
    // A verdict about the other groups is not opened, before and after the right one is.
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let verdict = world.verdict(&closed, &reports, 0);
    let others = world.reports(&round, &other, &own, &[2, 3, 4, 5, 6]);
    let wrong = {
        let mut body = verdict.peek().clone();
        body.challenge = other.challenge.body_digest();
        world.by_aggregator(&body)
    };
    world
        .open(&state, &other, &others, &wrong)
        .expect_err("refused");
    let answer = world
        .open(&state, &closed, &reports, &verdict)
        .expect("open");
    world
        .open(&state, &other, &others, &wrong)
        .expect_err("refused");
    let opening: Opening = body(&answer);
    assert!(opening.groups.is_some());
    assert_eq!(
        world
            .open(&state, &closed, &reports, &verdict)
            .expect("again"),
        answer
    );
}
