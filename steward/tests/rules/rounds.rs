//! A round after its specification: submissions, closing, the challenge, openings.

use dawn_crypto::mask::{PublicMatrix, add_assign, parse_payload};
use dawn_crypto::norm::projection::{MatrixBlocks, MatrixCache, PublicCheck};
use dawn_crypto::shamir::ShareSum;
use dawn_identity::{DeviceRequest, SecretKey, Signed, Validity};
use dawn_protocol::package::open_package;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    BeaconShare, Challenge, Closed, Endorsement, Judged, OpenedPackage, Opening, Outcome,
    PackageItem, PackagePage, RoundAnnouncement, RoundClosed, RoundOpen,
};
use dawn_steward::StewardState;

use crate::now;
use crate::world::{ClosedRound, Round, World};

impl World {
    /// The announcement with endorsements of the stewards at these points (not the real one).
    pub fn announce(&self, round: &Round, points: &[u8]) -> RoundAnnouncement {
        let context = self.context.verify_spec(&round.spec).expect("spec");
        let endorsements = points.iter().map(|point| {
            let steward = self.context.steward_id(*point).expect("steward");
            let statement = Endorsement {
                round: context.round_id(),
                session: context.session(),
                steward,
            };
            self.by_steward(&statement, *point)
        });
        RoundAnnouncement {
            spec: round.spec.clone(),
            endorsements: endorsements.collect(),
        }
    }

    /// Submissions of fresh devices of these organisations: the i-th submits `[i, i, ..]`, counted from 1.
    pub fn submissions(
        &mut self,
        announcement: &RoundAnnouncement,
        organisations: &[usize],
    ) -> Vec<PreparedSubmission> {
        let open = RoundOpen::from_announcement(&self.context, announcement).expect("open");
        let d = self.context.dimension().coordinates();
        let mut submissions = Vec::new();
        for (organisation, value) in organisations.iter().zip(1..) {
            let key = SecretKey::generate(&mut self.rng);
            let credential = self.organisations[*organisation]
                .enrol_device(
                    &DeviceRequest::of(&key, "device"),
                    Validity::starting(now() - 1000, 500_000),
                )
                .expect("credential");
            let x = vec![value; d];
            submissions.push(
                PreparedSubmission::new(&open, &credential, &key, &x, &mut self.rng)
                    .expect("submission"),
            );
        }
        submissions
    }

    /// The closed round, with the challenge of stewards 2 to 5.
    pub fn close(
        &self,
        announcement: &RoundAnnouncement,
        mut submissions: Vec<PreparedSubmission>,
    ) -> ClosedRound {
        submissions.sort_by_key(|s| s.header.peek().credential.claimed_device());
        let open = RoundOpen::from_announcement(&self.context, announcement).expect("open");
        let mut roll = Roll::new();
        for submission in &submissions {
            roll.push(&open, &self.members, submission.header.bytes())
                .expect("roll");
        }
        let statement = self.by_aggregator(&Closed {
            round: open.round_id(),
            session: open.session(),
            root: roll.root(),
            count: u32::try_from(roll.len()).expect("few"),
            closed_ms: now() * 1000 + 5,
            register: open.spec().register,
        });
        let closed = open.clone().close(&statement, roll).expect("close");
        let challenge = self.challenge(&closed, &[2, 3, 4, 5]);
        let challenged = closed.clone().challenged(&challenge).expect("challenge");
        let matrix = PublicMatrix::from_seed(&open.spec().matrix_seed);
        let matrix = MatrixCache::new(&matrix, self.context.dimension().blocks());
        let check = |(index, submission): (usize, &PreparedSubmission)| -> Option<PublicCheck> {
            let payload = parse_payload(&submission.payload).expect("payload");
            let verifier = challenged.verifier(index)?;
            let check = verifier.public_check(MatrixBlocks::Cached(&matrix), Some(&payload));
            Some(check.expect("check"))
        };
        ClosedRound {
            checks: submissions.iter().enumerate().map(check).collect(),
            announcement: announcement.clone(),
            open,
            closed,
            statement,
            challenge,
            challenged,
            submissions,
            seat: 0,
        }
    }

    pub fn beacon_share_of(&self, closed: &RoundClosed, point: u8) -> Signed<BeaconShare> {
        let steward = self.context.steward_id(point).expect("steward");
        let share = closed.beacon_share(&self.vrfs[usize::from(point) - 1], steward);
        self.by_steward(&share, point)
    }

    /// The challenge that stewards at T points make.
    pub fn challenge(&self, closed: &RoundClosed, points: &[u8]) -> Signed<Challenge> {
        let share = |point: &u8| self.beacon_share_of(closed, *point);
        let shares: Vec<_> = points.iter().map(share).collect();
        self.by_aggregator(&closed.challenge(&shares).expect("challenge"))
    }

    /// The same list with the challenge that other stewards make.
    pub fn challenged_again(&self, closed: &ClosedRound, points: &[u8]) -> ClosedRound {
        let challenge = self.challenge(&closed.closed, points);
        let mut again = self.close(&closed.announcement, closed.submissions.clone());
        again.challenged = closed.closed.clone().challenged(&challenge).expect("true");
        // What is public about the linear check depends on the challenge.
        let matrix = PublicMatrix::from_seed(&closed.open.spec().matrix_seed);
        let check = |(index, submission): (usize, &PreparedSubmission)| -> Option<PublicCheck> {
            let payload = parse_payload(&submission.payload).expect("payload");
            let verifier = again.challenged.verifier(index)?;
            let check = verifier.public_check(MatrixBlocks::Expanded(&matrix), Some(&payload));
            Some(check.expect("check"))
        };
        again.checks = again.submissions.iter().enumerate().map(check).collect();
        again.challenge = challenge;
        again
    }

    /// Round 1 up to its closing, endorsed by the real steward, with submissions of these organisations.
    pub fn closed_round(
        &mut self,
        state: &StewardState,
        organisations: &[usize],
    ) -> (Round, ClosedRound) {
        let round = self.first_round(state);
        self.endorse(state, &round).expect("endorse");
        let closed = self.closed(&round, organisations);
        (round, closed)
    }

    /// An endorsed round up to its closing.
    pub fn closed(&mut self, round: &Round, organisations: &[usize]) -> ClosedRound {
        let announcement = self.announce(round, &[2, 3, 4, 5]);
        let submissions = self.submissions(&announcement, organisations);
        self.close(&announcement, submissions)
    }

    /// What another steward finds in its package of a submission.
    pub fn package_of(
        &self,
        round: &Round,
        closed: &ClosedRound,
        point: u8,
        index: usize,
    ) -> Result<OpenedPackage, Outcome> {
        let key = round.secrets[usize::from(point) - 1]
            .as_ref()
            .expect("not the real steward");
        let seat = closed.open.seat_index(point).expect("seat");
        let s = &closed.submissions[index];
        let header = closed.open.verify_header(&s.header, &self.members);
        let header = header.map_err(|_| Outcome::BadHeader)?;
        open_package(&closed.open, &header, &s.packages[seat], key, point)
    }

    /// The honest answer of another steward.
    pub fn opening_of(
        &self,
        round: &Round,
        closed: &ClosedRound,
        judged: &Judged,
        point: u8,
    ) -> Signed<Opening> {
        let mut sum = ShareSum::zero();
        for index in judged.verdict().accepted() {
            let opened = self.package_of(round, closed, point, index);
            sum.add_assign(&opened.expect("package").key);
        }
        let steward = self.context.steward_id(point).expect("steward");
        self.by_steward(&judged.opening(steward, sum), point)
    }

    pub fn masked_sum(&self, closed: &ClosedRound, judged: &Judged) -> Vec<u32> {
        let mut sum = vec![0; self.context.dimension().padded()];
        for index in judged.verdict().accepted() {
            add_assign(
                &mut sum,
                &parse_payload(&closed.submissions[index].payload).expect("payload"),
            );
        }
        sum
    }
}

impl ClosedRound {
    /// An honest page for the steward at the seat that is played.
    pub fn page(&self, first: u32, size: usize) -> PackagePage {
        let rest = self.submissions.iter().skip(first as usize);
        let items: Vec<PackageItem> = rest
            .take(size)
            .map(|s| PackageItem {
                header: s.header.bytes().to_vec(),
                package: s.packages[self.seat].clone(),
            })
            .collect();
        let next = first + u32::try_from(items.len()).expect("few");
        PackagePage {
            first,
            items,
            next: ((next as usize) < self.submissions.len()).then_some(next),
        }
    }
}
