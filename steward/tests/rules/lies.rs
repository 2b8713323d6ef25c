//! An aggregator that lies about what was submitted, reported or decided.

use dawn_identity::{SecretKey, Signed};
use dawn_protocol::{Closed, Decision, Outcome, PackageReport, Rule, Verdict};
use dawn_steward::{
    BeaconStep, ListWork, Refusal, ReportStep, ReportWork, StewardError, StewardState,
};

use crate::assert_rule;
use crate::world::{ClosedRound, Round, World, body, refusal};

/// For what a list is read.
#[derive(Clone, Copy)]
enum For {
    Beacon,
    Report,
}

fn begin(
    (world, state, closed): (&mut World, &StewardState, &ClosedRound),
    what: For,
    statement: &Signed<Closed>,
) -> Result<Box<ListWork>, StewardError> {
    let announcement = &closed.announcement;
    world.logged(state, &[announcement.spec.bytes(), statement.bytes()]);
    world.logged(state, &[closed.challenge.bytes()]);
    match what {
        For::Beacon => match state.share_beacon(announcement, statement, &mut world.rng)? {
            BeaconStep::Pages(list) => Ok(list),
            BeaconStep::Answered(_) => panic!("nothing was answered yet"),
        },
        For::Report => {
            let challenge = &closed.challenge;
            match state.report(announcement, statement, challenge, &mut world.rng)? {
                ReportStep::List(list) => Ok(list),
                _ => panic!("nothing was known yet"),
            }
        }
    }
}

/// The refusal of a list that is not the closed one.
fn finish(
    (world, state, closed): (&mut World, &StewardState, &ClosedRound),
    what: For,
    list: ListWork,
) -> Refusal {
    refusal(match what {
        For::Beacon => state.finish_beacon(list, &mut world.rng),
        For::Report => {
            let begun = state.begin_report(list, &closed.challenge, &mut world.rng);
            begun.map(|_| Vec::new())
        }
    })
}

fn begin_report(world: &mut World, state: &StewardState, closed: &ClosedRound) -> ReportWork {
    let begun = world.begin_report(state, closed, 10).expect("begun");
    begun.expect("nothing was answered yet")
}

fn started() -> (World, StewardState, Round, ClosedRound) {
    let mut world = World::new();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    (world, state, round, closed)
}

/// After every lie the honest question is still answered: a lie uses nothing up.
#[test]
fn lies_about_the_closed_list_give_no_report() {
    lies_about_the_closed_list(For::Report);
}

#[test]
fn lies_about_the_closed_list_give_no_part_of_the_beacon() {
    lies_about_the_closed_list(For::Beacon);
}

fn lies_about_the_closed_list(what: For) {
    let (mut world, state, _, closed) = started();
    let honest = closed.statement.peek().clone();
    let page = closed.page(0, 10);

    // Counts that are not those of the root.
    for count in [4, 6] {
        let lie = world.by_aggregator(&Closed {
            count,
            ..honest.clone()
        });
        let mut list = begin((&mut world, &state, &closed), what, &lie).expect("not known yet");
        if count < 5 {
            assert!(matches!(list.page(&page), Err(Refusal::WrongCount { .. })));
            list.page(&closed.page(0, 4)).expect("four");
            assert_rule!(
                finish((&mut world, &state, &closed), what, *list),
                Rule::ClosedRoot
            );
        } else {
            list.page(&page).expect("five");
            assert_eq!(list.next_index(), Some(5));
            assert!(
                matches!(
                    list.page(&closed.page(5, 10)),
                    Err(Refusal::WrongCount { .. })
                ),
                "an empty page"
            );
            let refused = finish((&mut world, &state, &closed), what, *list);
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
    let begun = begin((&mut world, &state, &closed), what, &too_many);
    assert_rule!(refusal(begun.map(|_| Vec::new())), Rule::ClosedRoot);

    // Pages that are not the ones asked for.
    let again = |world: &mut World| {
        begin((world, &state, &closed), what, &closed.statement).expect("begun")
    };
    assert!(matches!(
        again(&mut world).page(&closed.page(1, 10)),
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
        let refused = again(&mut world).page(&lie).expect_err("refused");
        assert_rule!(refused, Rule::DeviceOrder);
    }
    let mut unreadable = page.clone();
    unreadable.items[0].header.truncate(100);
    let refused = again(&mut world).page(&unreadable).expect_err("refused");
    assert_rule!(refused, Rule::Statement);

    // A header that is not under the root: the list with one submission replaced by another of the same device.
    let mut replaced = page.clone();
    let header = closed.submissions[4].header.peek().clone();
    let stranger = SecretKey::generate(&mut world.rng);
    replaced.items[4].header = Signed::sign(&header, &stranger)
        .expect("sign")
        .bytes()
        .to_vec();
    let mut list = again(&mut world);
    list.page(&replaced).expect("a bad header is entered");
    assert_rule!(
        finish((&mut world, &state, &closed), what, *list),
        Rule::ClosedRoot
    );

    // Somebody else's signature under the closing.
    let forged = world.by_steward(&honest, 2);
    let begun = begin((&mut world, &state, &closed), what, &forged);
    assert_rule!(refusal(begun.map(|_| Vec::new())), Rule::Signature);

    if let For::Beacon = what {
        world.beacon(&state, &closed).expect("the truth");
    }
    world.report(&state, &closed).expect("the truth");
}

/// When the list is known, the headers that come with the packages have to be its own.
#[test]
fn lies_in_the_second_reading_give_no_report() {
    let (mut world, state, _, closed) = started();
    world.beacon(&state, &closed).expect("beacon");
    let page = closed.page(0, 10);
    let mut swapped = page.clone();
    swapped.items.swap(1, 2);
    let mut twice = page.clone();
    twice.items[2] = twice.items[1].clone();
    let mut unreadable = page.clone();
    unreadable.items[4].header.truncate(100);
    for lie in [swapped, twice, unreadable] {
        let mut work = begin_report(&mut world, &state, &closed);
        let refused = refusal(work.page(&lie).map(|()| Vec::new()));
        assert!(
            matches!(refused, Refusal::SubmissionChanged { .. }),
            "{refused}"
        );
        work.page(&page).expect("nothing of a refused page is kept");
    }
    let mut work = begin_report(&mut world, &state, &closed);
    let refused = refusal(work.page(&closed.page(1, 10)).map(|()| Vec::new()));
    assert!(matches!(refused, Refusal::WrongPage { .. }), "{refused}");
    work.page(&closed.page(0, 4)).expect("four");
    let refused = refusal(state.finish_report(work, &mut world.rng));
    assert!(matches!(
        refused,
        Refusal::WrongCount {
            expected: 5,
            found: 4,
            ..
        }
    ));
    world.report(&state, &closed).expect("the truth");
}

#[test]
fn too_few_endorsements_give_no_report() {
    let (mut world, state, round, closed) = started();
    let report = |world: &mut World, announcement: &dawn_protocol::RoundAnnouncement| {
        let (statement, challenge) = (&closed.statement, &closed.challenge);
        let asked = state.report(announcement, statement, challenge, &mut world.rng);
        let refused = refusal(asked.map(|_| Vec::new()));
        let asked = state.share_beacon(announcement, statement, &mut world.rng);
        assert_eq!(refusal(asked.map(|_| Vec::new())), refused);
        refused
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
    page.items[3].package = vec![0; 70_000];
    let mut work = begin_report(&mut world, &state, &closed);
    work.page(&page).expect("page");
    assert_eq!(work.complaints(), 4);
    let report: PackageReport = body(&state.finish_report(work, &mut world.rng).expect("report"));
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
    forged[2].signed = world.by_steward(reports[2].peek(), 4);
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
    changed[3].signed = world.by_steward(&other, 4);
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
    renamed[0] = world.without_first(&closed, &reports[0]);
    let other = world.verdict(&closed, &renamed, 0);
    assert_eq!(
        refusal(world.open(&state, &closed, &renamed, &other)),
        Refusal::NotMyReport(world.id(1))
    );

    // Too few reports for any verdict.
    let few = reports[..4].to_vec();
    let lie = Verdict {
        reports: few.iter().map(|report| report.body_digest()).collect(),
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
    let mut work = begin_report(&mut world, &state, &closed);
    work.page(&page).expect("page");
    let own = world.finish_report(&state, work).expect("report");
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
    let outcomes = vec![Outcome::Ok; 5];
    let answers = vec![0; closed.challenged.answers_len(&outcomes)];
    let forged = world.reported(&closed, 1, outcomes, answers);
    let reports = world.reports(&round, &closed, forged.bytes(), &[2, 3, 4, 5, 6]);
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
    let begun = world.begin_open(&state, &closed, &reports, &verdict);
    let begun = begun.expect("begun").expect("nothing was answered yet");
    let shown = world.shown(&closed, &reports);
    let mut work = world.show(&state, begun, &shown).expect("shown");
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
        state.finish_open(work, &mut world.rng).is_err(),
        "not before everything is taken out"
    );
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("the truth");
}
