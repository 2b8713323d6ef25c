//! The beacon: who has a part in it, and that nobody can ask other questions than those of the closed
//! list.

use dawn_crypto::norm::Challenge as Questions;
use dawn_crypto::vrf::{VrfSecretKey, prove};
use dawn_identity::Signed;
use dawn_protocol::beacon::beacon_input;
use dawn_protocol::phase::JudgeError;
use dawn_protocol::{AbortReason, BeaconShare, Challenge, Culprit, Digest, Rule};

use crate::assert_violates;
use crate::world::{ClosedRound, World};

fn closed_round(world: &mut World, seated: &[u8]) -> ClosedRound {
    let model = world.initial_model();
    let round = world.round(1, None, model, seated);
    let submissions = world.submissions(&round, &[0, 1]);
    world.close(&round, submissions)
}

#[test]
fn the_parts_of_exactly_t_seated_stewards_make_the_challenge() {
    let mut world = World::new(6, 1);
    let closed = closed_round(&mut world, &[1, 2, 4, 5, 6]);
    let share = |point| world.beacon_share(&closed.closed, point);
    for point in [1, 2, 4, 5, 6] {
        assert_eq!(closed.closed.verify_beacon_share(&share(point)), Ok(point));
    }
    // In any order, more than enough, one of them twice.
    let made = closed
        .closed
        .challenge(&[6, 2, 4, 2, 5, 1].map(share))
        .unwrap();
    assert_eq!(made.shares, [1, 2, 4, 5].map(share));
    for few in [&[][..], &[1, 2, 4], &[1, 2, 4, 4]] {
        let few: Vec<_> = few.iter().map(|point| share(*point)).collect();
        let none = closed.closed.challenge(&few);
        assert_eq!(
            none,
            Err(JudgeError::Abort(AbortReason::TooFewBeaconShares))
        );
    }
    let verify = |challenge: &Challenge| {
        let signed = world.by_aggregator(challenge);
        closed.closed.clone().challenged(&signed).map(|_| ())
    };
    verify(&made).unwrap();
    let with = |shares: &[Signed<BeaconShare>]| {
        verify(&Challenge {
            shares: shares.to_vec(),
            ..made.clone()
        })
    };
    let other_root = |point: u8| {
        let mut share = share(point).peek().clone();
        share.root = share.session.0;
        world.by_steward(&share, point)
    };
    let refused = [
        // Too few, too many, twice, in another order.
        vec![share(1), share(2), share(4)],
        vec![share(1), share(2), share(4), share(5), share(6)],
        vec![share(1), share(2), share(4), share(4)],
        vec![share(2), share(1), share(4), share(5)],
        // Without a sealing key of this round, and about another root.
        vec![share(1), share(2), share(3), share(4)],
        vec![share(1), share(2), share(4), other_root(5)],
    ];
    for shares in refused {
        assert_violates!(with(&shares), Rule::Challenge, Culprit::Aggregator);
    }
    let change = |change: &dyn Fn(&mut Challenge)| {
        let mut challenge = made.clone();
        change(&mut challenge);
        verify(&challenge)
    };
    assert_violates!(
        change(&|c| c.root = c.session.0),
        Rule::Root,
        Culprit::Aggregator
    );
    assert_violates!(
        change(&|c| c.session.0 = c.root),
        Rule::Session,
        Culprit::Aggregator
    );
    assert_violates!(
        change(&|c| c.round.number = 2),
        Rule::Round,
        Culprit::Aggregator
    );
    let by_steward = world.by_steward(&made, 1);
    assert_violates!(
        closed.closed.clone().challenged(&by_steward).map(|_| ()),
        Rule::Signature,
        Culprit::Aggregator
    );
}

#[test]
fn a_part_counts_only_from_a_seated_steward_under_its_own_vrf_key() {
    let mut world = World::new(6, 1);
    let closed = closed_round(&mut world, &[1, 2, 4, 5, 6]);
    let honest = world.beacon_share(&closed.closed, 2).peek().clone();
    let culprit = Culprit::Steward(world.steward_id(2));
    let verify = |change: &dyn Fn(&mut BeaconShare)| {
        let mut share = honest.clone();
        change(&mut share);
        closed
            .closed
            .verify_beacon_share(&world.by_steward(&share, 2))
    };
    assert_eq!(verify(&|_| {}), Ok(2));
    // Another's key, a key that nobody has registered, and another input.
    let input = |root: &Digest| beacon_input(&honest.session, root).0;
    let under = |key: &VrfSecretKey, root: &Digest| prove(key, &input(root));
    let own = &world.vrfs[1];
    assert_eq!(verify(&|s| s.proof = under(own, &s.root)), Ok(2));
    let fresh = VrfSecretKey::from_seed(&[9; 32]);
    for proof in [
        under(&world.vrfs[3], &honest.root),
        under(&fresh, &honest.root),
        under(own, &honest.session.0),
    ] {
        assert_violates!(
            verify(&|s| s.proof = proof.clone()),
            Rule::BeaconShare,
            culprit
        );
    }
    assert_violates!(verify(&|s| s.root = s.session.0), Rule::Root, culprit);
    assert_violates!(verify(&|s| s.session.0 = s.root), Rule::Session, culprit);
    assert_violates!(verify(&|s| s.round.number = 2), Rule::Round, culprit);
    // In another steward's name, and of a steward that is not seated.
    let mut stolen = honest.clone();
    stolen.steward = world.steward_id(4);
    assert_violates!(
        closed
            .closed
            .verify_beacon_share(&world.by_steward(&stolen, 2)),
        Rule::Signature,
        Culprit::Steward(world.steward_id(4))
    );
    assert_violates!(
        closed
            .closed
            .verify_beacon_share(&world.beacon_share(&closed.closed, 3)),
        Rule::RosterMember,
        Culprit::Steward(world.steward_id(3))
    );
}

/// Other stewards, another list or another session: other questions about every submission.
#[test]
fn challenges_of_other_parts_and_of_other_lists_ask_something_else() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1, 2]);
    let closed = world.close(&round, submissions.clone());
    submissions.pop();
    let shorter = world.close(&round, submissions);
    let beacon = |closed: &ClosedRound, points: &[u8]| {
        let challenge = world.challenge(&closed.closed, points);
        let challenged = closed.closed.clone().challenged(&challenge).unwrap();
        (challenged.beacon(), challenged.challenge_digest())
    };
    let first = beacon(&closed, &[1, 2, 3, 4]);
    assert_eq!(beacon(&closed, &[4, 3, 2, 1]), first);
    let mut seen = vec![first];
    for other in [
        beacon(&closed, &[1, 2, 3, 5]),
        beacon(&closed, &[3, 4, 5, 6]),
        beacon(&shorter, &[1, 2, 3, 4]),
    ] {
        assert!(seen.iter().all(|s| s.0 != other.0 && s.1 != other.1));
        seen.push(other);
    }
    let params = world.context.norm_params();
    let header = closed.closed.roll().entries()[0].header;
    let questions = |beacon: &Digest| Questions::derive(params, beacon, &header);
    assert_ne!(questions(&seen[0].0), questions(&seen[1].0));
    // A report about another challenge of the same list does not count.
    let report = world.honest(&round, &closed, 1);
    let other = world.challenge(&closed.closed, &[3, 4, 5, 6]);
    let other = closed.closed.clone().challenged(&other).unwrap();
    assert_eq!(closed.challenged.verify_report(&report.signed), Ok(1));
    assert_violates!(
        other.verify_report(&report.signed),
        Rule::Challenge,
        Culprit::Steward(world.steward_id(1))
    );
}
