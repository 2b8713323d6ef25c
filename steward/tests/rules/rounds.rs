//! A round after its specification: submissions, closing, reports, verdict, openings.

use dawn_crypto::mask::{add_assign, parse_payload};
use dawn_crypto::shamir::ShareSum;
use dawn_identity::{SecretKey, Signed, Validity};
use dawn_protocol::package::open_package;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    Closed, Endorsement, Judged, Opening, Outcome, PackageItem, PackagePage, PackageReport,
    RoundAnnouncement, RoundOpen, Verdict,
};
use dawn_steward::{OpenStep, ReportStep, StewardError, StewardState};

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
                .issue_device(
                    &key.public(),
                    "device",
                    Validity::starting(now() - 10, 500_000),
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
        });
        let closed = open.clone().close(&statement, roll).expect("close");
        ClosedRound {
            announcement: announcement.clone(),
            open,
            closed,
            statement,
            submissions,
        }
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

    /// The report of the real steward, in pages of this size.
    pub fn report_paged(
        &mut self,
        state: &StewardState,
        closed: &ClosedRound,
        size: usize,
    ) -> Result<Vec<u8>, StewardError> {
        let mut work = match state.report(&closed.announcement, &closed.statement, &mut self.rng)? {
            ReportStep::Answered(bytes) => return Ok(bytes),
            ReportStep::Pages(work) => work,
        };
        while let Some(first) = work.next_index() {
            work.page(&closed.page(first, size))?;
        }
        state.finish_report(*work, &mut self.rng)
    }

    pub fn report(
        &mut self,
        state: &StewardState,
        closed: &ClosedRound,
    ) -> Result<Vec<u8>, StewardError> {
        self.report_paged(state, closed, 3)
    }

    /// The honest findings of another steward.
    pub fn report_of(
        &self,
        round: &Round,
        closed: &ClosedRound,
        point: u8,
    ) -> Signed<PackageReport> {
        let key = round.secrets[usize::from(point) - 1]
            .as_ref()
            .expect("not the real steward");
        let seat = closed.open.seat_index(point).expect("seat");
        let outcome = |s: &PreparedSubmission| {
            let Ok(header) = closed.open.verify_header(&s.header, &self.members) else {
                return Outcome::BadHeader;
            };
            open_package(&closed.open, &header, &s.packages[seat], key, point)
                .err()
                .unwrap_or(Outcome::Ok)
        };
        let outcomes = closed.submissions.iter().map(outcome).collect();
        let steward = self.context.steward_id(point).expect("steward");
        self.by_steward(&closed.closed.report(steward, outcomes), point)
    }

    /// The real steward's report and those of others, in increasing point.
    pub fn reports(
        &self,
        round: &Round,
        closed: &ClosedRound,
        own: &[u8],
        others: &[u8],
    ) -> Vec<Signed<PackageReport>> {
        let mut reports = vec![Signed::from_bytes(own).expect("report")];
        reports.extend(
            others
                .iter()
                .map(|point| self.report_of(round, closed, *point)),
        );
        reports
    }

    pub fn verdict(
        &self,
        closed: &ClosedRound,
        reports: &[Signed<PackageReport>],
        spent: u64,
    ) -> Signed<Verdict> {
        self.by_aggregator(&closed.closed.verdict(reports, spent).expect("verdict"))
    }

    /// The opening of the real steward, with pages of this size for what has to be taken out.
    pub fn open(
        &mut self,
        state: &StewardState,
        closed: &ClosedRound,
        reports: &[Signed<PackageReport>],
        verdict: &Signed<Verdict>,
    ) -> Result<Vec<u8>, StewardError> {
        let step = state.open(
            &closed.announcement,
            &closed.statement,
            reports,
            verdict,
            &mut self.rng,
        )?;
        let mut work = match step {
            OpenStep::Answered(bytes) => return Ok(bytes),
            OpenStep::Items(work) => work,
        };
        while let Some(first) = work.next_index() {
            work.page(&closed.page(first, 2))?;
        }
        state.finish_open(*work, &mut self.rng)
    }

    /// The honest answer of another steward.
    pub fn opening_of(
        &self,
        round: &Round,
        closed: &ClosedRound,
        judged: &Judged,
        point: u8,
    ) -> Signed<Opening> {
        let key = round.secrets[usize::from(point) - 1]
            .as_ref()
            .expect("not the real steward");
        let seat = closed.open.seat_index(point).expect("seat");
        let mut sum = ShareSum::zero();
        for index in judged.verdict().accepted() {
            let s = &closed.submissions[index];
            let header = closed
                .open
                .verify_header(&s.header, &self.members)
                .expect("header");
            sum.add_assign(
                &open_package(&closed.open, &header, &s.packages[seat], key, point)
                    .expect("package"),
            );
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
    /// An honest page for the steward at point 1, who sits at the first seat.
    pub fn page(&self, first: u32, size: usize) -> PackagePage {
        let rest = self.submissions.iter().skip(first as usize);
        let items: Vec<PackageItem> = rest
            .take(size)
            .map(|s| PackageItem {
                header: s.header.bytes().to_vec(),
                package: s.packages[0].clone(),
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
