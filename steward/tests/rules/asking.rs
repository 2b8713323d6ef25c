//! Asking the real steward, as its session does.

use dawn_identity::Signed;
use dawn_protocol::{PackageReport, Verdict};
use dawn_steward::{
    BeaconStep, ExamineWork, ListWork, OpenRequest, OpenStep, OpenWork, ReportStep, ReportWork,
    ScalarWork, StewardError, StewardState,
};

use crate::reporting::{Reported, Shown, signed};
use crate::world::{ClosedRound, World};

/// Reads a list to its end, in pages of this size.
pub fn read_list(
    mut list: Box<ListWork>,
    closed: &ClosedRound,
    size: usize,
) -> Result<ListWork, StewardError> {
    while let Some(first) = list.next_index() {
        list.page(&closed.page(first, size))?;
    }
    Ok(*list)
}

impl World {
    /// The real steward's part of the beacon.
    pub fn beacon(
        &mut self,
        state: &StewardState,
        closed: &ClosedRound,
    ) -> Result<Vec<u8>, StewardError> {
        let spec = closed.announcement.spec.bytes();
        self.logged(state, &[spec, closed.statement.bytes()]);
        let step = state.share_beacon(&closed.announcement, &closed.statement, &mut self.rng)?;
        let list = match step {
            BeaconStep::Answered(bytes) => return Ok(bytes),
            BeaconStep::Pages(list) => read_list(list, closed, 3)?,
        };
        state.finish_beacon(list, &mut self.rng)
    }

    /// A report that waits for its first page, or the bytes of one that was made.
    pub fn begin_report(
        &mut self,
        state: &StewardState,
        closed: &ClosedRound,
        size: usize,
    ) -> Result<Result<ReportWork, Vec<u8>>, StewardError> {
        let (announcement, statement) = (&closed.announcement, &closed.statement);
        let spec = announcement.spec.bytes();
        self.logged(state, &[spec, statement.bytes(), closed.challenge.bytes()]);
        let step = state.report(announcement, statement, &closed.challenge, &mut self.rng)?;
        let list = match step {
            ReportStep::Answered(bytes) => return Ok(Err(bytes)),
            ReportStep::Pages(work) => return Ok(Ok(*work)),
            ReportStep::List(list) => read_list(list, closed, size)?,
        };
        let work = state.begin_report(list, &closed.challenge, &mut self.rng)?;
        Ok(Ok(work))
    }

    /// Finishes a report, and remembers the answers that go with it.
    pub fn finish_report(
        &mut self,
        state: &StewardState,
        work: ReportWork,
    ) -> Result<Vec<u8>, StewardError> {
        let round = work.round();
        let bytes = state.finish_report(work, &mut self.rng)?;
        let report = Signed::<PackageReport>::from_bytes(&bytes).expect("report");
        let file = state.own_answers(&round).expect("answers");
        let answers = std::fs::read(file).expect("read");
        self.own_answers.insert(report.peek().answers, answers);
        Ok(bytes)
    }

    /// The report of the real steward, in pages of this size.
    pub fn report_paged(
        &mut self,
        state: &StewardState,
        closed: &ClosedRound,
        size: usize,
    ) -> Result<Vec<u8>, StewardError> {
        let mut work = match self.begin_report(state, closed, size)? {
            Err(bytes) => return Ok(bytes),
            Ok(work) => work,
        };
        while let Some(first) = work.next_index() {
            work.page(&closed.page(first, size))?;
        }
        self.finish_report(state, work)
    }

    pub fn report(
        &mut self,
        state: &StewardState,
        closed: &ClosedRound,
    ) -> Result<Vec<u8>, StewardError> {
        self.report_paged(state, closed, 3)
    }

    /// A verdict that waits for what it was judged with, or the bytes of the answer that was given to it.
    pub fn begin_open(
        &mut self,
        state: &StewardState,
        closed: &ClosedRound,
        reports: &[Reported],
        verdict: &Signed<Verdict>,
    ) -> Result<Result<ExamineWork, Vec<u8>>, StewardError> {
        let asked = OpenRequest {
            announcement: &closed.announcement,
            closed: &closed.statement,
            challenge: &closed.challenge,
            reports: &signed(reports),
            verdict,
        };
        let round = [closed.announcement.spec.bytes(), closed.statement.bytes()];
        self.logged(state, &round);
        self.logged(state, &[closed.challenge.bytes(), verdict.bytes()]);
        Ok(match state.open(&asked, &mut self.rng)? {
            OpenStep::Answered(bytes) => Err(bytes),
            OpenStep::Examine(work) => Ok(*work),
        })
    }

    /// Shows what a verdict was judged with.
    pub fn show(
        &mut self,
        state: &StewardState,
        work: ExamineWork,
        shown: &Shown,
    ) -> Result<OpenWork, StewardError> {
        let mut work = self.examined(state, work, shown)?;
        loop {
            let wanted = work.wanted_payloads();
            if wanted.is_empty() {
                break;
            }
            let payloads: Vec<_> = wanted.iter().map(|d| shown.payloads[d].clone()).collect();
            state.check_payloads(&mut work, &payloads, &mut self.rng)?;
        }
        state.begin_open(work)
    }

    /// Shows what a verdict was judged with, but for payloads.
    pub fn examined(
        &mut self,
        state: &StewardState,
        mut work: ExamineWork,
        shown: &Shown,
    ) -> Result<ScalarWork, StewardError> {
        work.scalars(&shown.scalars)?;
        while let Some(wanted) = work.wanted_answers() {
            let file = state.scratch(&mut self.rng)?;
            std::fs::write(file.path(), &shown.answers[&wanted.digest]).expect("write");
            work.answers(wanted, file)?;
        }
        state.begin_scalars(work, &mut self.rng)
    }

    /// The opening of the real steward, which is shown this, with pages of 2 for what has to be taken out.
    pub fn open_shown(
        &mut self,
        state: &StewardState,
        closed: &ClosedRound,
        reports: &[Reported],
        verdict: &Signed<Verdict>,
        shown: &Shown,
    ) -> Result<Vec<u8>, StewardError> {
        let work = match self.begin_open(state, closed, reports, verdict)? {
            Err(bytes) => return Ok(bytes),
            Ok(work) => work,
        };
        let mut work = self.show(state, work, shown)?;
        while let Some(first) = work.next_index() {
            work.page(&closed.page(first, 2))?;
        }
        state.finish_open(work, &mut self.rng)
    }

    pub fn open(
        &mut self,
        state: &StewardState,
        closed: &ClosedRound,
        reports: &[Reported],
        verdict: &Signed<Verdict>,
    ) -> Result<Vec<u8>, StewardError> {
        let shown = self.shown(closed, reports);
        self.open_shown(state, closed, reports, verdict, &shown)
    }
}
