//! Rounds of tasks that ask for sums over groups: honest ones pass, and every lie about the groups is caught.

use dawn_audits::{AuditRule, Party};
use dawn_crypto::digest::Digest;
use dawn_crypto::shamir::ShareSum;
use dawn_identity::Signed;
use dawn_learn::apply_update;
use dawn_protocol::digests::model_digest;
use dawn_protocol::transcript::Kind;
use dawn_protocol::{AbortReason, GroupSums, Opening};

use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::{Draft, transcript};
use crate::common::{World, plans};
use crate::lies::with_result;
use crate::{assert_broken, audit};

fn world_and_round(seed: u64, script: &Script) -> (World, PlayedRound) {
    let mut world = World::with(seed, &plans::grouped());
    let round = world.play(None, script);
    (world, round)
}

#[test]
fn an_honest_round_with_groups_passes() {
    let (world, round) = world_and_round(61, &Script::default());
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    let audited = &report.rounds[0];
    assert_eq!((audited.submitted, audited.accepted), (7, 7));
    assert_eq!(
        audited.next_model,
        model_digest(&round.next_model.to_bytes())
    );
    let mut world = world;
    let second = world.play(Some(&round), &Script::default());
    let report = audit(&world, &transcript(&world, &second));
    assert!(report.passed(), "{report}");
}

#[test]
fn a_steward_that_lies_about_one_group_is_named_and_the_round_passes() {
    let script = Script {
        lying_openers: vec![2],
        ..Script::default()
    };
    let (world, round) = world_and_round(62, &script);
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    assert_eq!(report.rounds[0].wrong_stewards, [world.steward_id(2)]);
}

#[test]
fn lies_about_what_the_groups_opened() {
    let (world, round) = world_and_round(63, &Script::default());
    // Another sum, such as that of other groups; the plain mean in the place of the robust one.
    let bytes = with_result(&world, &round, |result| result.sum = Digest([1; 32]));
    assert_broken(&audit(&world, &bytes), AuditRule::Sum, Party::Aggregator);
    let total = |i: usize| {
        round
            .updates
            .iter()
            .map(|update| i64::from(update[i]))
            .sum::<i64>()
    };
    let sum: Vec<i64> = (0..4).map(total).collect();
    let mean = apply_update(&round.model, &sum, 7, 12).unwrap();
    let bytes = with_result(&world, &round, |result| {
        result.model = model_digest(&mean.to_bytes());
    });
    assert_broken(&audit(&world, &bytes), AuditRule::Model, Party::Aggregator);
}

/// What stands beside an opening is what its steward signed for, or whoever gave the file away has changed it.
#[test]
fn sums_beside_openings() {
    let (world, round) = world_and_round(64, &Script::default());
    let changed = |change: &dyn Fn(&mut PlayedRound)| {
        let mut round = round.clone();
        change(&mut round);
        audit(&world, &transcript(&world, &round))
    };
    let provider = |change: &dyn Fn(&mut PlayedRound)| {
        assert_broken(&changed(change), AuditRule::Openings, Party::Provider);
    };
    provider(&|round| round.group_sums[1][0] ^= 1);
    provider(&|round| round.group_sums.swap(0, 1));
    provider(&|round| round.group_sums[0].truncate(2 * ShareSum::BYTES));
    // The groups of a steward in another order: the very same sums, about others.
    provider(&|round| round.group_sums[0].rotate_left(ShareSum::BYTES));
    let mut draft = Draft::of(&world, &round);
    let place = draft.places(Kind::GroupSums)[1];
    draft.records.remove(place);
    let report = audit(&world, &draft.seal());
    assert_broken(&report, AuditRule::Openings, Party::Provider);
}

/// Signed by the steward, and beside it what it signed for.
#[test]
fn sums_that_a_steward_should_not_have_signed() {
    let (world, round) = world_and_round(65, &Script::default());
    let resigned = |bytes: Vec<u8>, change: &dyn Fn(&mut Opening)| {
        let mut round = round.clone();
        let mut body = round.openings[1].peek().clone();
        body.groups = Some(dawn_protocol::group_sums::group_sums_digest(&bytes));
        change(&mut body);
        round.openings[1] = Signed::sign(&body, world.steward_key(2)).unwrap();
        round.group_sums[1] = bytes;
        audit(&world, &transcript(&world, &round))
    };
    let steward = Party::Steward(world.steward_id(2));
    let honest = round.group_sums[1].clone();
    // Its total is not that of its groups.
    let report = resigned(honest.clone(), &|body| body.share_sum = ShareSum::zero());
    assert_broken(&report, AuditRule::Openings, steward);
    // Words that are none, or of other groups: nothing that an aggregator may take.
    let mut large = honest.clone();
    large[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    for bytes in [large, honest[..2 * ShareSum::BYTES].to_vec()] {
        let report = resigned(bytes, &|_| {});
        assert_broken(&report, AuditRule::Openings, Party::Aggregator);
    }
    // An opening as in a round without groups.
    let report = resigned(honest, &|body| body.groups = None);
    assert!(!report.passed());
    // One that is consistent, and about groups in another order, is a lie that an audit finds in the result.
    let mut turned = round.group_sums[1].clone();
    turned.rotate_left(ShareSum::BYTES);
    let report = resigned(turned, &|_| {});
    assert!(!report.passed(), "the result does not name this opening");
}

/// The sums cannot be opened: the abort says so, and is right.
#[test]
fn an_abort_because_the_groups_do_not_open_is_checked() {
    let script = Script {
        lying_openers: vec![1, 2, 3],
        ..Script::default()
    };
    let (world, round) = world_and_round(66, &script);
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    assert_eq!(
        report.rounds[0].aborted.as_deref(),
        Some("no-small-opening")
    );
    let (world, mut honest) = world_and_round(67, &Script::default());
    let open = dawn_protocol::RoundOpen::from_announcement(&world.context, &honest.announcement());
    honest.terminal = world.abort(&open.unwrap(), AbortReason::NoSmallOpening);
    let report = audit(&world, &transcript(&world, &honest));
    assert_broken(&report, AuditRule::Abort, Party::Aggregator);
    assert_eq!(
        GroupSums::zero(3).to_bytes().len(),
        honest.group_sums[0].len()
    );
}
