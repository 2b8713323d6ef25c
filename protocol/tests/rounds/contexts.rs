//! Everything that a lying aggregator, owner, steward or device can write into a round's beginning.

use dawn_identity::{Members, SecretKey, Signed, SignedRoster};
use dawn_protocol::prepare::{PrepareError, PreparedSubmission};
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    AbortReason, Closed, Culprit, Digest, Receipt, RoundAnnouncement, RoundOpen, RoundSpec, Rule,
    TaskContext,
};

use crate::assert_violates;
use crate::world::{NOW, World};

#[test]
fn a_task_counts_only_in_its_federation_and_by_its_owner() {
    let world = World::new(6, 1);
    let other = World::new(5, 1);
    let owner = Culprit::Organisation(world.organisations[0].id());
    let verify =
        |task: &Signed<_>| TaskContext::verify(&world.federation, &world.members, task).map(|_| ());
    verify(&world.task).unwrap();
    let foreign = Culprit::Organisation(other.organisations[0].id());
    assert_violates!(verify(&other.task), Rule::TaskOwner, foreign);

    let resign = |change: &dyn Fn(&mut dawn_protocol::Task)| {
        let mut task = world.task.peek().clone();
        change(&mut task);
        verify(&Signed::sign(&task, world.organisations[0].issuer()).unwrap())
    };
    let nothing = Digest([0; 32]);
    assert_violates!(
        resign(&|t| t.federation = nothing),
        Rule::TaskBinding,
        owner
    );
    assert_violates!(resign(&|t| t.roster = nothing), Rule::TaskBinding, owner);
    assert_violates!(resign(&|t| t.created = NOW * 2), Rule::TaskIssuer, owner);
    // Signed by the root key, or by another member's issuer.
    let body = world.task.peek();
    let by_root = Signed::sign(body, world.organisations[0].root()).unwrap();
    assert_violates!(verify(&by_root), Rule::Signature, owner);
    let by_member = Signed::sign(body, world.organisations[1].issuer()).unwrap();
    assert_violates!(verify(&by_member), Rule::Signature, owner);
}

#[test]
fn a_roster_that_the_organisations_did_not_sign_is_refused() {
    let world = World::new(6, 1);
    // The aggregator replaces a steward by its own.
    let mut roster = world.roster.peek().clone();
    roster.stewards[0].steward = world.aggregator.public();
    let stolen = SignedRoster::assemble(roster, world.roster.signatures().to_vec()).unwrap();
    let mut members = Members::founders_of(&world.federation);
    let posting = world.organisations[0].post_roster(&stolen, NOW).unwrap();
    assert!(members.push(posting.bytes()).is_err());
    // It is in nobody's register, and a task that names it is no task.
    let mut task = world.task.peek().clone();
    task.roster = stolen.peek().digest();
    let task = Signed::sign(&task, world.organisations[0].issuer()).unwrap();
    let owner = Culprit::Organisation(world.organisations[0].id());
    for members in [&members, &world.members] {
        assert_violates!(
            TaskContext::verify(&world.federation, members, &task).map(|_| ()),
            Rule::TaskBinding,
            owner
        );
    }
}

#[test]
fn a_specification_that_does_not_follow_is_refused() {
    let mut world = World::new(6, 1);
    let model = world.initial_model();
    let (honest, _) = world.spec(1, None, model, &[1, 2, 3, 4, 5, 6]);
    let verify = |change: &dyn Fn(&mut RoundSpec)| {
        let mut spec = honest.clone();
        change(&mut spec);
        world
            .context
            .verify_spec(&world.by_aggregator(&spec))
            .map(|_| ())
    };
    verify(&|_| {}).unwrap();
    let nothing = Digest([0; 32]);
    type Change<'a> = &'a dyn Fn(&mut RoundSpec);
    let changes: [(Change<'_>, Rule); 11] = [
        (&|s| s.version = 2, Rule::Version),
        (&|s| s.round.task.0 = nothing, Rule::Round),
        (
            &|s| {
                s.round.number = 11;
                s.previous = Some(nothing);
            },
            Rule::Round,
        ),
        (&|s| s.federation = nothing, Rule::SpecBinding),
        (&|s| s.roster = nothing, Rule::SpecBinding),
        (&|s| s.dimension += 1, Rule::SpecBinding),
        (&|s| s.charge_micro_rho -= 1, Rule::SpecBinding),
        (&|s| s.matrix_seed[0] ^= 1, Rule::MatrixSeed),
        // Fewer than A keys, too few places, a key in another steward's place.
        (
            &|s| {
                s.sealing_keys[0] = None;
                s.sealing_keys[1] = None;
            },
            Rule::SealingKeys,
        ),
        (&|s| s.sealing_keys.truncate(5), Rule::SealingKeys),
        (&|s| s.sealing_keys.swap(0, 1), Rule::SealingKeys),
    ];
    for (change, rule) in changes {
        assert_violates!(verify(change), rule, Culprit::Aggregator);
    }
    let by_steward = world.by_steward(&honest, 1);
    assert_violates!(
        world.context.verify_spec(&by_steward).map(|_| ()),
        Rule::Signature,
        Culprit::Aggregator
    );
    // A key that another round's statement brought, and one that nobody of the roster signed.
    let (old, _) = world.sealing_key(2, 3);
    let mut spec = honest.clone();
    spec.sealing_keys[2] = Some(old.clone());
    assert_violates!(
        world
            .context
            .verify_spec(&world.by_aggregator(&spec))
            .map(|_| ()),
        Rule::SealingKeys,
        Culprit::Aggregator
    );
    let mut key = honest.sealing_keys[2].as_ref().unwrap().peek().clone();
    key.key = old.peek().key.clone();
    spec.sealing_keys[2] = Some(Signed::sign(&key, &world.aggregator).unwrap());
    assert_violates!(
        world
            .context
            .verify_spec(&world.by_aggregator(&spec))
            .map(|_| ()),
        Rule::SealingKeys,
        Culprit::Aggregator
    );
    let few = [(1, old)];
    assert_eq!(
        world.context.draft_spec(2, None, model, &few, 0),
        Err(AbortReason::TooFewSealingKeys)
    );
}

#[test]
fn t_endorsements_of_this_session_are_needed() {
    let mut world = World::new(6, 1);
    let model = world.initial_model();
    let round = world.first_round();
    // A second specification of the same round: other sealing keys, so another session.
    let (second, _) = world.spec(1, None, model, &[1, 2, 3, 4, 5, 6]);
    let second = world
        .context
        .verify_spec(&world.by_aggregator(&second))
        .unwrap();
    assert_ne!(second.session(), round.open.session());
    let verify = |e: &[_]| round.open.verify_endorsements(e);
    verify(&round.endorsements).unwrap();
    verify(&round.endorsements[..4]).unwrap();
    let endorsements = (Rule::Endorsements, Culprit::Aggregator);
    let wrong_session = world.endorsement(&second, 4);
    let mut in_other_name = wrong_session.peek().clone();
    in_other_name.session = round.open.session();
    for bad in [
        round.endorsements[..3].to_vec(),
        [&round.endorsements[..3], &round.endorsements[..1]].concat(),
        [&round.endorsements[..3], &[wrong_session]].concat(),
        [
            &round.endorsements[..3],
            &[world.by_steward(&in_other_name, 5)],
        ]
        .concat(),
    ] {
        assert_violates!(verify(&bad), endorsements.0, endorsements.1);
    }
    let announcement = RoundAnnouncement {
        spec: round.spec.clone(),
        endorsements: round.endorsements.clone(),
    };
    let read = RoundAnnouncement::from_bytes(&announcement.to_bytes()).unwrap();
    assert_eq!(read, announcement);
    RoundOpen::from_announcement(&world.context, &read).unwrap();
}

#[test]
fn headers_count_only_from_members_devices_in_this_session() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let device = world.device(1);
    let submission = world.submit(&round, &device, &[1; 10]);
    let culprit = Culprit::Device(device.credential.claimed_device());
    let verify = |change: &dyn Fn(&mut dawn_protocol::SubmissionHeader)| {
        let mut header = submission.header.peek().clone();
        change(&mut header);
        let signed = Signed::sign(&header, &device.key).unwrap();
        round
            .open
            .verify_header(&signed, &world.members)
            .map(|_| ())
    };
    verify(&|_| {}).unwrap();
    assert_violates!(verify(&|h| h.round.number = 2), Rule::Round, culprit);
    assert_violates!(verify(&|h| h.session.0 = h.payload), Rule::Session, culprit);
    assert_violates!(
        verify(&|h| {
            h.commitments.push(h.payload);
            h.digit_commitments.push(h.payload);
            h.proof_commitments.push(h.payload);
        }),
        Rule::HeaderShape,
        culprit
    );
    assert_violates!(
        verify(&|h| h.packages.truncate(5)),
        Rule::HeaderShape,
        culprit
    );
    assert_violates!(
        verify(&|h| h.consistency = Default::default()),
        Rule::HeaderShape,
        culprit
    );
    // Another device's credential.
    let other = world.device(2);
    let mut borrowed = submission.header.peek().clone();
    borrowed.credential = other.credential.clone().into();
    let borrowed = Signed::sign(&borrowed, &device.key).unwrap();
    assert_violates!(
        round
            .open
            .verify_header(&borrowed, &world.members)
            .map(|_| ()),
        Rule::Signature,
        Culprit::Device(other.credential.claimed_device())
    );
    // A device of an organisation that is not a member.
    let mut stranger = World::new(5, 1);
    let stranger = stranger.device(0);
    let foreign = world.submit(&round, &stranger, &[1; 10]);
    assert_violates!(
        round
            .open
            .verify_header(&foreign.header, &world.members)
            .map(|_| ()),
        Rule::Credential,
        Culprit::Device(stranger.credential.claimed_device())
    );
    // A credential that ends before collecting does.
    let key = SecretKey::generate(&mut world.rng);
    let short = dawn_identity::Validity::starting(NOW - 10, 11);
    let credential = world.organisations[0]
        .issue_device(&key.public(), "short", short)
        .unwrap();
    let late = crate::world::Device { key, credential };
    let late = world.submit(&round, &late, &[1; 10]);
    assert!(round.open.credential_time() > NOW);
    let refused = round.open.verify_header(&late.header, &world.members);
    assert_eq!(refused.map(|_| ()).unwrap_err().rule, Rule::Credential);
}

#[test]
fn updates_beyond_the_clip_bound_are_not_masked() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let device = world.device(0);
    let clip = i32::try_from(world.task.peek().quantiser.clip).unwrap();
    let mut prepare = |x: &[i32], key: &SecretKey| {
        PreparedSubmission::new(&round.open, &device.credential, key, x, &mut world.rng).map(|_| ())
    };
    let mut x = [0; 10];
    x[3] = clip;
    prepare(&x, &device.key).unwrap();
    x[4] = 1;
    assert!(matches!(
        prepare(&x, &device.key),
        Err(PrepareError::TooLong { .. })
    ));
    x[3] = i32::MIN;
    assert!(matches!(
        prepare(&x, &device.key),
        Err(PrepareError::TooLong { .. })
    ));
    assert!(matches!(
        prepare(&[0; 9], &device.key),
        Err(PrepareError::Mask(_))
    ));
    let other = SecretKey::from_seed(&[3; 32]);
    assert_eq!(prepare(&[0; 10], &other), Err(PrepareError::OtherKey));
}

#[test]
fn a_roll_is_sorted_and_its_root_is_the_closed_one() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1, 2]);
    submissions.sort_by_key(|s| s.header.peek().credential.claimed_device());
    let headers: Vec<&[u8]> = submissions.iter().map(|s| s.header.bytes()).collect();
    let fill = |headers: &[&[u8]], members: &Members| {
        let mut roll = Roll::new();
        for header in headers {
            roll.push(&round.open, members, header)?;
        }
        Ok::<_, dawn_protocol::Violation>(roll)
    };
    let roll = fill(&headers, &world.members).unwrap();
    let disorder = [headers[1], headers[0]];
    assert_violates!(
        fill(&disorder, &world.members),
        Rule::DeviceOrder,
        Culprit::Aggregator
    );
    let twice = [headers[0], headers[0]];
    assert_violates!(
        fill(&twice, &world.members),
        Rule::DeviceOrder,
        Culprit::Aggregator
    );
    assert_violates!(
        fill(&[b"junk"], &world.members),
        Rule::Statement,
        Culprit::Aggregator
    );

    let close = |roll: &Roll, root: Digest, count: u32| {
        let closed = world.by_aggregator(&Closed {
            round: round.open.round_id(),
            session: round.open.session(),
            root,
            count,
            closed_ms: 0,
            register: round.open.spec().register,
        });
        round.open.clone().close(&closed, roll.clone()).map(|_| ())
    };
    close(&roll, roll.root(), 3).unwrap();
    let part = fill(&headers[..2], &world.members).unwrap();
    assert_violates!(
        close(&part, roll.root(), 3),
        Rule::ClosedRoot,
        Culprit::Aggregator
    );
    assert_violates!(
        close(&roll, part.root(), 3),
        Rule::ClosedRoot,
        Culprit::Aggregator
    );
    assert_violates!(
        close(&roll, roll.root(), 2),
        Rule::ClosedRoot,
        Culprit::Aggregator
    );
    assert_violates!(
        close(&roll, roll.root(), 101),
        Rule::ClosedRoot,
        Culprit::Aggregator
    );
}

#[test]
fn a_header_that_does_not_verify_is_on_the_roll_but_counts_for_nothing() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1, 2]);
    let mut forged = submissions[0].header.peek().clone();
    forged.payload = Digest([9; 32]);
    submissions[0].header = Signed::sign(&forged, &world.aggregator).unwrap();
    let bad = submissions[0].header.peek().credential.claimed_device();
    submissions.sort_by_key(|s| s.header.peek().credential.claimed_device());
    let mut roll = Roll::new();
    for submission in &submissions {
        let verified = roll
            .push(&round.open, &world.members, submission.header.bytes())
            .unwrap();
        let device = submission.header.peek().credential.claimed_device();
        assert_eq!(verified.is_none(), device == bad);
    }
    let refused: Vec<_> = roll
        .entries()
        .iter()
        .filter(|e| e.refused.is_some())
        .collect();
    assert_eq!(refused.len(), 1);
    let why = refused[0].refused.as_ref().unwrap();
    assert_eq!(
        (why.rule, why.culprit),
        (Rule::Signature, Culprit::Device(bad))
    );
}

#[test]
fn a_receipt_is_for_one_header() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let submissions = world.submissions(&round, &[0, 1]);
    let header = &submissions[0].header;
    let receipt = Receipt {
        round: round.open.round_id(),
        session: round.open.session(),
        device: header.peek().credential.claimed_device(),
        header: header.envelope_digest(),
        received_ms: 1,
    };
    let signed = world.by_aggregator(&receipt);
    round.open.verify_receipt(&signed, header).unwrap();
    assert_violates!(
        round
            .open
            .verify_receipt(&signed, &submissions[1].header)
            .map(|_| ()),
        Rule::Receipt,
        Culprit::Aggregator
    );
    assert_violates!(
        round
            .open
            .verify_receipt(&world.by_steward(&receipt, 1), header)
            .map(|_| ()),
        Rule::Signature,
        Culprit::Aggregator
    );
}

#[test]
fn a_list_with_more_of_one_organisation_than_its_quota_is_not_closed() {
    let mut world = World::with_task(3, 0, |task| task.options.quota = Some(2));
    let round = world.first_round();
    let within = world.submissions(&round, &[0, 0, 1, 1, 2]);
    let closed = world.close(&round, within);
    assert_eq!(closed.closed.roll().most_of_one(), 2);
    let mut beyond = world.submissions(&round, &[0, 0, 0, 1]);
    beyond.sort_by_key(|s| s.header.peek().credential.claimed_device());
    let mut roll = Roll::new();
    for submission in &beyond {
        roll.push(&round.open, &world.members, submission.header.bytes())
            .unwrap();
    }
    let statement = world.by_aggregator(&Closed {
        round: round.open.round_id(),
        session: round.open.session(),
        root: roll.root(),
        count: 4,
        closed_ms: 1,
        register: round.open.spec().register,
    });
    assert_violates!(
        round.open.close(&statement, roll),
        Rule::Quota,
        Culprit::Aggregator
    );
}

#[test]
fn a_quota_is_at_least_one_and_at_most_the_places_of_a_round() {
    let task = World::new(3, 0).task.peek().clone();
    let with = |quota| {
        let mut task = task.clone();
        task.options.quota = Some(quota);
        dawn_identity::Statement::check(&task).is_ok()
    };
    assert_eq!([0, 1, 100, 101].map(with), [false, true, true, false]);
}

/// Whoever has the key of an issuer that has ended dates tasks back; no round of them is opened any more.
#[test]
fn an_issuer_that_has_ended_has_no_round() {
    let mut world = World::new(6, 1);
    let model = world.initial_model();
    let (honest, _) = world.spec(1, None, model, &[1, 2, 3, 4, 5, 6]);
    let ends = world.task.peek().issuer.peek().not_after;
    let verify = |opened: u64| {
        let mut spec = honest.clone();
        spec.opened_ms = opened * 1000;
        let round = world.context.verify_spec(&world.by_aggregator(&spec));
        round.unwrap().verify_register(&world.members)
    };
    verify(ends - 1).unwrap();
    assert_violates!(verify(ends), Rule::Register, Culprit::Aggregator);
}
