//! An aggregator that lies about what was submitted, reported or decided.

use dawn_identity::{SecretKey, Signed};
use dawn_protocol::{Closed, Decision, Outcome, PackageReport, Rule, Verdict};
use dawn_steward::{OpenStep, Refusal, ReportStep, StewardError};

use crate::assert_rule;
use crate::world::{ClosedRound, Round, World, body, refusal};

fn begin(
    world: &mut World,
    state: &dawn_steward::StewardState,
    closed: &ClosedRound,
    statement: &Signed<Closed>,
) -> Result<Box<dawn_steward::ReportWork>, StewardError> {
    match state.report(&closed.announcement, statement, &mut world.rng)? {
        ReportStep::Pages(work) => Ok(work),
        ReportStep::Answered(_) => panic!("nothing was answered yet"),
    }
}

fn started() -> (World, dawn_steward::StewardState, Round, ClosedRound) {
    let mut world = World::new();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    (world, state, round, closed)
}

/// After every lie the honest question is still answered: a lie uses nothing up.
#[test]
fn lies_about_the_closed_list_give_no_report() {
    let (mut world, state, _, closed) = started();
    let honest = closed.statement.peek().clone();
    let page = closed.page(0, 10);

    // Counts that are not those of the root.
    for count in [4, 6] {
        let lie = world.by_aggregator(&Closed {
            count,
            ..honest.clone()
        });
        let mut work = begin(&mut world, &state, &closed, &lie).expect("not known yet");
        if count < 5 {
            assert!(matches!(work.page(&page), Err(Refusal::WrongCount { .. })));
            work.page(&closed.page(0, 4)).expect("four");
            assert_rule!(
                refusal(state.finish_report(*work, &mut world.rng)),
                Rule::ClosedRoot
            );
        } else {
            work.page(&page).expect("five");
            assert_eq!(work.next_index(), Some(5));
            assert!(
                matches!(
                    work.page(&closed.page(5, 10)),
                    Err(Refusal::WrongCount { .. })
                ),
                "an empty page"
            );
            let refused = refusal(state.finish_report(*work, &mut world.rng));
            assert!(matches!(
                refused,
                Refusal::WrongCount {
                    expected: 6,
                    found: 5,
                    ..
                }
            ));
        }
    }
    let too_many = world.by_aggregator(&Closed {
        count: 101,
        ..honest.clone()
    });
    assert_rule!(
        refusal(begin(&mut world, &state, &closed, &too_many).map(|_| Vec::new())),
        Rule::ClosedRoot
    );

    // Pages that are not the ones asked for.
    let mut work = begin(&mut world, &state, &closed, &closed.statement).expect("begun");
    assert!(matches!(
        work.page(&closed.page(1, 10)),
        Err(Refusal::WrongPage {
            expected: 0,
            found: 1,
            ..
        })
    ));

    // Headers unsorted, twice, unreadable.
    let mut unsorted = page.clone();
    unsorted.items.swap(1, 2);
    let mut twice = page.clone();
    twice.items[2] = twice.items[1].clone();
    for lie in [unsorted, twice] {
        let mut work = begin(&mut world, &state, &closed, &closed.statement).expect("begun");
        assert_rule!(work.page(&lie).expect_err("refused"), Rule::DeviceOrder);
    }
    let mut unreadable = page.clone();
    unreadable.items[0].header.truncate(100);
    let mut work = begin(&mut world, &state, &closed, &closed.statement).expect("begun");
    assert_rule!(
        work.page(&unreadable).expect_err("refused"),
        Rule::Statement
    );

    // A header that is not under the root: the list with one submission replaced by another of the same device.
    let mut replaced = page.clone();
    let header = closed.submissions[4].header.peek().clone();
    let stranger = SecretKey::generate(&mut world.rng);
    replaced.items[4].header = Signed::sign(&header, &stranger)
        .expect("sign")
        .bytes()
        .to_vec();
    let mut work = begin(&mut world, &state, &closed, &closed.statement).expect("begun");
    work.page(&replaced).expect("a bad header is an outcome");
    assert_rule!(
        refusal(state.finish_report(*work, &mut world.rng)),
        Rule::ClosedRoot
    );

    // Somebody else's signature under the closing.
    let forged = world.by_steward(&honest, 2);
    assert_rule!(
        refusal(begin(&mut world, &state, &closed, &forged).map(|_| Vec::new())),
        Rule::Signature
    );

    world.report(&state, &closed).expect("the truth");
}

#[test]
fn too_few_endorsements_give_no_report() {
    let (mut world, state, round, closed) = started();
    let report = |world: &mut World, announcement: &dawn_protocol::RoundAnnouncement| {
        let asked = state.report(announcement, &closed.statement, &mut world.rng);
        refusal(asked.map(|_| Vec::new()))
    };
    let few = world.announce(&round, &[2, 3, 4]);
    assert_rule!(report(&mut world, &few), Rule::Endorsements);
    let twice = world.announce(&round, &[2, 3, 4, 4]);
    assert_rule!(report(&mut world, &twice), Rule::Endorsements);
    let mut forged = world.announce(&round, &[2, 3, 4]);
    let fifth = world.announce(&round, &[5]).endorsements[0].peek().clone();
    forged.endorsements.push(world.by_steward(&fifth, 6));
    assert_rule!(report(&mut world, &forged), Rule::Endorsements);
    let mut other_round = world.announce(&round, &[2, 3, 4]);
    let mut fifth = fifth;
    fifth.round.number = 2;
    other_round.endorsements.push(world.by_steward(&fifth, 5));
    assert_rule!(report(&mut world, &other_round), Rule::Endorsements);
}

#[test]
fn swapped_packages_are_complaints_not_shares() {
    let (mut world, state, _, closed) = started();
    let mut page = closed.page(0, 10);
    let package = page.items[0].package.clone();
    page.items[0].package = page.items[1].package.clone();
    page.items[1].package = package;
    page.items[2].package.clear();
    page.items[3].package = vec![0; 40_000];
    let mut work = begin(&mut world, &state, &closed, &closed.statement).expect("begun");
    work.page(&page).expect("page");
    let report: PackageReport = body(&state.finish_report(*work, &mut world.rng).expect("report"));
    use Outcome::{Ok, Unsealable};
    assert_eq!(
        report.outcomes,
        [Unsealable, Unsealable, Unsealable, Unsealable, Ok]
    );
}

#[test]
fn lies_about_the_verdict_give_no_opening() {
    let (mut world, state, round, closed) = started();
    let own = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let verdict = world.verdict(&closed, &reports, 0);
    let honest = verdict.peek().clone();

    let change = |world: &mut World, change: &dyn Fn(&mut Verdict)| {
        let mut lie = honest.clone();
        change(&mut lie);
        let lie = world.by_aggregator(&lie);
        refusal(world.open(&state, &closed, &reports, &lie))
    };
    // One submission less: the aggregator would learn the difference from another round's trick.
    assert_rule!(
        change(&mut world, &|v| v.decisions[0] =
            Decision::OutsideOpeningSet),
        Rule::Verdict
    );
    assert_rule!(
        change(&mut world, &|v| v.openers = vec![1, 2, 3, 4, 5]),
        Rule::Verdict
    );
    assert_rule!(
        change(&mut world, &|v| v.decisions.truncate(4)),
        Rule::Verdict
    );
    assert_rule!(change(&mut world, &|v| v.root.0[0] ^= 1), Rule::Root);
    assert_rule!(
        change(&mut world, &|v| v.session.0.0[0] ^= 1),
        Rule::Session
    );
    assert_rule!(
        change(&mut world, &|v| v.reports.swap(0, 1)),
        Rule::VerdictReports
    );
    assert_rule!(
        change(&mut world, &|v| v.charge_micro_rho -= 1),
        Rule::Charge
    );
    let forged = world.by_steward(&honest, 2);
    assert_rule!(
        refusal(world.open(&state, &closed, &reports, &forged)),
        Rule::Signature
    );

    // Reports that the stewards did not give.
    let mut forged = reports.clone();
    forged[2] = world.by_steward(reports[2].peek(), 4);
    assert_rule!(
        refusal(world.open(&state, &closed, &forged, &verdict)),
        Rule::Signature
    );
    let mut doubled = reports.clone();
    doubled[2] = doubled[1].clone();
    assert_rule!(
        refusal(world.open(&state, &closed, &doubled, &verdict)),
        Rule::VerdictReports
    );
    let mut changed = reports.clone();
    let mut other = reports[3].peek().clone();
    other.outcomes[1] = Outcome::Malformed;
    changed[3] = world.by_steward(&other, 4);
    assert_rule!(
        refusal(world.open(&state, &closed, &changed, &verdict)),
        Rule::VerdictReports
    );

    // Its own report left out, or another one in its name.
    let without = reports[1..].to_vec();
    let other = world.verdict(&closed, &without, 0);
    assert_eq!(
        refusal(world.open(&state, &closed, &without, &other)),
        Refusal::NotMyReport(world.id(1))
    );
    let mut renamed = reports.clone();
    let mut own_changed = reports[0].peek().clone();
    own_changed.outcomes[0] = Outcome::Unsealable;
    renamed[0] = world.by_steward(&own_changed, 1);
    let other = world.verdict(&closed, &renamed, 0);
    assert_eq!(
        refusal(world.open(&state, &closed, &renamed, &other)),
        Refusal::NotMyReport(world.id(1))
    );

    // Too few reports for any verdict.
    let few = reports[..4].to_vec();
    let lie = Verdict {
        reports: few.iter().map(Signed::body_digest).collect(),
        ..honest.clone()
    };
    let lie = world.by_aggregator(&lie);
    assert_rule!(
        refusal(world.open(&state, &closed, &few, &lie)),
        Rule::Verdict
    );

    world
        .open(&state, &closed, &reports, &verdict)
        .expect("the truth");
}

/// The verdict accepts a submission that this steward complained about: that may be, when enough others opened it, but then
/// this steward does not answer.
#[test]
fn a_steward_that_complained_does_not_open() {
    let (mut world, state, round, closed) = started();
    let mut page = closed.page(0, 10);
    page.items[0].package = page.items[1].package.clone();
    let mut work = begin(&mut world, &state, &closed, &closed.statement).expect("begun");
    work.page(&page).expect("page");
    let own = state.finish_report(*work, &mut world.rng).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let verdict = world.verdict(&closed, &reports, 0);
    assert_eq!(verdict.peek().decisions, vec![Decision::Accepted; 5]);
    assert_eq!(verdict.peek().openers, [2, 3, 4, 5, 6]);
    assert_eq!(
        refusal(world.open(&state, &closed, &reports, &verdict)),
        Refusal::NotAnOpener(world.id(1))
    );
    let lie = Verdict {
        openers: vec![1, 2, 3, 4, 5, 6],
        ..verdict.peek().clone()
    };
    let lie = world.by_aggregator(&lie);
    assert_rule!(
        refusal(world.open(&state, &closed, &reports, &lie)),
        Rule::Verdict
    );
}

#[test]
fn an_opening_needs_the_report_on_this_list() {
    let (mut world, state, round, closed) = started();
    let steward = world.context.steward_id(1).expect("steward");
    let forged = world.by_steward(&closed.closed.report(steward, vec![Outcome::Ok; 5]), 1);
    let reports = world.reports(&round, &closed, forged.bytes(), &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, 0);
    assert_eq!(
        refusal(world.open(&state, &closed, &reports, &verdict)),
        Refusal::NotReported(world.id(1))
    );
}

/// What has to be taken out of the sum is recognised: another submission in its place is refused.
#[test]
fn what_is_taken_out_must_be_what_was_added() {
    let mut world = World::new();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 0, 0, 0, 0, 1, 2, 3]);
    let own = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, 0);
    let step = state
        .open(
            &closed.announcement,
            &closed.statement,
            &reports,
            &verdict,
            &mut world.rng,
        )
        .expect("begun");
    let OpenStep::Items(mut work) = step else {
        panic!("nothing was answered yet")
    };
    let wanted = work.next_index().expect("something is cut");
    let honest = closed.page(wanted, 1);
    let other = closed.page((wanted + 1) % 8, 1);

    let mut lie = honest.clone();
    lie.items[0] = other.items[0].clone();
    assert!(matches!(
        work.page(&lie),
        Err(Refusal::SubmissionChanged { .. })
    ));
    let mut lie = honest.clone();
    lie.items[0].package = other.items[0].package.clone();
    assert!(matches!(
        work.page(&lie),
        Err(Refusal::SubmissionChanged { .. })
    ));
    assert!(matches!(work.page(&other), Err(Refusal::WrongPage { .. })));
    let mut lie = honest.clone();
    lie.items.clear();
    assert!(matches!(work.page(&lie), Err(Refusal::WrongPage { .. })));
    assert_eq!(work.next_index(), Some(wanted));
    assert!(
        state.finish_open(*work, &mut world.rng).is_err(),
        "not before everything is taken out"
    );
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("the truth");
}
