//! The real steward's noise: the same candidates for ever, their seeds but one with the report, and nothing after a loss of
//! memory.

use dawn_crypto::params::Sigma;
use dawn_identity::Signed;
use dawn_protocol::noise::candidate_payload;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::{
    Candidate, Opening, PackageReport, RoundAnnouncement, RoundOpen, StewardNoise,
};
use dawn_steward::records::{AnswerKind, End};
use dawn_steward::secrets::SecretKind;
use dawn_steward::{Refusal, StewardError, StewardState};

use crate::reporting::noise_secret;
use crate::world::{World, body, refusal};

const NOISE: StewardNoise = StewardNoise {
    sigma: Sigma::ERROR_MIN,
    candidates: 4,
};

fn world() -> World {
    World::with_task(|task| task.options.noise = Some(NOISE))
}

/// All candidates of the real steward.
fn contribute(
    world: &mut World,
    state: &StewardState,
    announcement: &RoundAnnouncement,
) -> Result<Vec<PreparedSubmission>, StewardError> {
    let work = state.noise(announcement, &mut world.rng)?;
    assert_eq!(work.candidates(), NOISE.candidates);
    let candidates = 0..work.candidates();
    candidates
        .map(|index| state.candidate(&work, index))
        .collect()
}

fn refused(result: Result<Vec<PreparedSubmission>, StewardError>) -> Refusal {
    refusal(result.map(|_| Vec::new()))
}

/// The candidates of another steward.
fn others(world: &World, announcement: &RoundAnnouncement, point: u8) -> Vec<PreparedSubmission> {
    let open = RoundOpen::from_announcement(&world.context, announcement).expect("open");
    let steward = world.context.steward_id(point).expect("steward");
    let key = &world.stewards[usize::from(point) - 1];
    let candidate = |index| {
        let candidate = Candidate { index, steward };
        PreparedSubmission::noise(&open, key, candidate, &noise_secret(point)).expect("noise")
    };
    (0..NOISE.candidates).map(candidate).collect()
}

#[test]
fn the_same_candidates_after_a_crash_and_none_after_a_restore() {
    let mut world = world();
    let state = world.start();
    let round = world.first_round(&state);
    world.endorse(&state, &round).expect("endorse");
    let announcement = world.announce(&round, &[2, 3, 4, 5]);
    drop(state);
    let backup = world.back_up();
    let state = world.start();
    let first = contribute(&mut world, &state, &announcement).expect("noise");
    let again = contribute(&mut world, &state, &announcement).expect("noise");
    assert_eq!(again, first);
    // Killed and started again.
    drop(state);
    let state = world.start();
    let again = contribute(&mut world, &state, &announcement).expect("noise");
    assert_eq!(again, first);
    // There is one session a round, and it is the one that was endorsed.
    let mut other = round.spec.peek().clone();
    other.opened_ms += 1;
    let other = crate::world::Round {
        spec: world.by_aggregator(&other),
        secrets: Vec::new(),
    };
    let other = world.announce(&other, &[2, 3, 4, 5]);
    assert_eq!(
        refused(contribute(&mut world, &state, &other)),
        Refusal::AnsweredAnother {
            round: world.id(1),
            kind: AnswerKind::Noise
        }
    );
    drop(state);
    world.restore(&backup);
    let state = world.start();
    assert_eq!(
        refused(contribute(&mut world, &state, &announcement)),
        Refusal::Over {
            round: world.id(1),
            end: End::Restored
        }
    );
}

#[test]
fn a_round_with_noise_opens_and_the_secret_goes_with_it() {
    let mut world = world();
    let state = world.start();
    let round = world.first_round(&state);
    world.endorse(&state, &round).expect("endorse");
    let announcement = world.announce(&round, &[2, 3, 4, 5]);
    let mut submissions = world.submissions(&announcement, &[0, 1, 2, 3, 4]);
    submissions.extend(contribute(&mut world, &state, &announcement).expect("noise"));
    for point in 2..=6 {
        submissions.extend(others(&world, &announcement, point));
    }
    let closed = world.close(&announcement, submissions);
    world.beacon(&state, &closed).expect("beacon");
    let own = world.report(&state, &closed).expect("report");

    // Exactly the seeds of the three that were not picked.
    let revealed = body::<PackageReport>(&own).reveals.expect("seeds");
    let chosen = closed.challenged.chosen_candidate(1).expect("asked for");
    let entries = closed.closed.roll().entries().iter();
    let mut mine: Vec<_> = entries
        .filter_map(|entry| Some((entry.noise.filter(|n| n.point == 1)?.index, entry.payload)))
        .filter(|(index, _)| *index != chosen)
        .collect();
    mine.sort();
    let found = revealed
        .seeds()
        .map(|seed| candidate_payload(&closed.open, NOISE.sigma, &seed));
    let mine: Vec<_> = mine.into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(found.collect::<Vec<_>>(), mine);

    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let verdict = world.verdict(&closed, &reports, 0);
    assert!(verdict.peek().liars.is_empty());
    assert_eq!(
        (
            verdict.peek().accepted_count(),
            verdict.peek().noise_count()
        ),
        (5, 6)
    );
    let judged = world.adopt(&closed, &reports, &verdict);
    assert!(
        state
            .vault()
            .secret(&world.id(1), SecretKind::Noise)
            .expect("read")
            .is_some()
    );
    let answer = world
        .open(&state, &closed, &reports, &verdict)
        .expect("open");
    let mut openings = vec![Signed::<Opening>::from_bytes(&answer).expect("opening")];
    openings.extend((2..=4).map(|point| world.opening_of(&round, &closed, &judged, point)));
    let opened = judged.open(&world.masked_sum(&closed, &judged), &openings);
    assert_eq!(opened.expect("opens").points(), [1, 2, 3, 4]);
    assert!(
        state
            .vault()
            .secret(&world.id(1), SecretKind::Noise)
            .expect("read")
            .is_none()
    );
    // Asked again it has nothing to make candidates from.
    assert_eq!(
        refused(contribute(&mut world, &state, &announcement)),
        Refusal::SecretErased(world.id(1))
    );
}

/// A steward that judges again finds the liar that the aggregator covers, and does not open.
#[test]
fn a_verdict_that_counts_unproven_noise_is_not_answered() {
    let mut world = world();
    let state = world.start();
    let round = world.first_round(&state);
    world.endorse(&state, &round).expect("endorse");
    let announcement = world.announce(&round, &[2, 3, 4, 5]);
    let mut submissions = world.submissions(&announcement, &[0, 1, 2, 3, 4]);
    submissions.extend(contribute(&mut world, &state, &announcement).expect("noise"));
    for point in 2..=6 {
        submissions.extend(others(&world, &announcement, point));
    }
    let closed = world.close(&announcement, submissions);
    let own = world.report(&state, &closed).expect("report");
    let mut reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let true_verdict = world.verdict(&closed, &reports, 0);
    let mut silent = reports[5].peek().clone();
    silent.reveals = None;
    reports[5].signed = world.by_steward(&silent, 6);
    let mut covered = world.verdict(&closed, &reports, 0).peek().clone();
    assert_eq!((covered.noise_count(), &covered.liars[..]), (5, &[6][..]));
    covered.decisions = true_verdict.peek().decisions.clone();
    covered.liars.clear();
    let covered = world.by_aggregator(&covered);
    let refused = refusal(world.open(&state, &closed, &reports, &covered));
    crate::assert_rule!(refused, dawn_protocol::Rule::Verdict);
    let honest = world.verdict(&closed, &reports, 0);
    world
        .open(&state, &closed, &reports, &honest)
        .expect("the true verdict");
}

#[test]
fn a_task_that_asks_for_no_noise_gets_none() {
    let mut world = World::new();
    let state = world.start();
    let round = world.first_round(&state);
    world.endorse(&state, &round).expect("endorse");
    let announcement = world.announce(&round, &[2, 3, 4, 5]);
    let result = state
        .noise(&announcement, &mut world.rng)
        .map(|_| Vec::new());
    assert_eq!(refusal(result), Refusal::NoNoise(world.id(1)));
}
