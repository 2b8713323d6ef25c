//! A steward that is connected: what it fetches for each item of work, and what it does with it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dawn_identity::{Signed, Statement};
use dawn_protocol::{
    Aborted, BeaconShare, Challenge, Endorsement, LogEntry, Opening, PackagePage, PackageReport,
    RoundId, RoundResult, RoundSpec, SealingKey, Terminal, WorkItem,
};
use dawn_transport::{Api, SubmissionBody, TransportError};
use getrandom::SysRng;
use rand_core::UnwrapErr;

use crate::beacon::BeaconStep;
use crate::error::StewardError;
use crate::examination::{ExamineWork, WantedAnswers};
use crate::list::ListWork;
use crate::noise::NoiseWork;
use crate::opening::{OpenRequest, OpenStep};
use crate::recomputing::ScalarWork;
use crate::report::ReportStep;
use crate::run::RunError;
use crate::state::StewardState;
use crate::witnessing::Witnessing;

/// What the noise of a steward is called in logs.
const NOISE: &str = "noise";
/// Entries of one page when the log is read.
const LOG_PAGE: u32 = 500;

/// A steward and its connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) api: Api,
    pub(crate) state: Arc<StewardState>,
    /// One checkpoint after the other.
    pub(crate) witnessing: Arc<tokio::sync::Mutex<Witnessing>>,
}

/// Runs a decision on a thread that may block: they sync files and open packages.
pub(crate) async fn decide<T: Send + 'static>(
    state: &Arc<StewardState>,
    f: impl FnOnce(&StewardState, &mut UnwrapErr<SysRng>) -> Result<T, StewardError> + Send + 'static,
) -> Result<T, RunError> {
    let state = state.clone();
    let done = tokio::task::spawn_blocking(move || f(&state, &mut UnwrapErr(SysRng))).await;
    done.map_err(|error| RunError::Internal(error.to_string()))?
        .map_err(RunError::Steward)
}

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl Session {
    /// A connected steward.
    pub fn new(api: Api, state: Arc<StewardState>) -> Self {
        Self {
            api,
            state,
            witnessing: Arc::default(),
        }
    }

    /// The decisions.
    pub fn state(&self) -> &Arc<StewardState> {
        &self.state
    }

    /// When the memory may have lost answers: looks through the whole log for statements of this steward that it does not
    /// remember. Does nothing once that has been done.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn catch_up(&self) -> Result<(), RunError> {
        if !decide(&self.state, |state, _| state.should_read_log()).await? {
            return Ok(());
        }
        let mut from = 0u64;
        loop {
            let entries = self.api.log_entries(from, LOG_PAGE).await?;
            let read = entries.len() as u64;
            if read == 0 {
                return decide(&self.state, |state, rng| state.log_has_been_read(rng)).await;
            }
            from += read;
            decide(&self.state, move |state, rng| {
                state.observe_log(&entries, rng)
            })
            .await?;
        }
    }

    /// The work that waits.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn work(&self, wait_seconds: u32) -> Result<Vec<WorkItem>, RunError> {
        Ok(self.api.work(&self.state.id(), wait_seconds).await?)
    }

    /// Does one item and publishes the answer.
    ///
    /// # Errors
    /// [`RunError`]; [`RunError::Steward`] with the rule when the steward refuses.
    pub async fn answer(&self, item: WorkItem) -> Result<(), RunError> {
        let round = item.round();
        self.know(&round.task).await?;
        let entries = self.observed(&round).await?;
        match item {
            WorkItem::PublishSealingKey { round } => {
                self.refresh_register().await?;
                let bytes = decide(&self.state, move |state, rng| {
                    state.sealing_key(&round, now(), rng)
                })
                .await?;
                self.publish::<SealingKey>(&round, bytes).await
            }
            WorkItem::Endorse { spec } => {
                self.refresh_register().await?;
                self.logged(&round, &entries, &[spec.bytes()]).await?;
                drop(entries);
                let history = self.history(&spec).await?;
                self.prove_draw(&history).await?;
                let bytes = decide(&self.state, move |state, rng| {
                    state.endorse(&spec, &history, now(), rng)
                })
                .await?;
                self.publish::<Endorsement>(&round, bytes).await
            }
            WorkItem::ContributeNoise { announcement } => {
                drop(entries);
                self.refresh_register().await?;
                let work = decide(&self.state, move |state, rng| {
                    state.noise(&announcement, rng).map(Arc::new)
                })
                .await?;
                self.contribute(work).await
            }
            WorkItem::ShareBeacon {
                announcement,
                closed,
            } => {
                let needed = [announcement.spec.bytes(), closed.bytes()];
                self.logged(&round, &entries, &needed).await?;
                drop(entries);
                self.refresh_register().await?;
                let step = decide(&self.state, move |state, rng| {
                    state.share_beacon(&announcement, &closed, rng)
                })
                .await?;
                let bytes = match step {
                    BeaconStep::Answered(bytes) => bytes,
                    BeaconStep::Pages(list) => {
                        let list = self.read_list(list).await?;
                        decide(&self.state, |state, rng| state.finish_beacon(*list, rng)).await?
                    }
                };
                self.publish::<BeaconShare>(&round, bytes).await
            }
            WorkItem::Report {
                announcement,
                closed,
                challenge,
            } => {
                let spec = announcement.spec.bytes();
                let needed = [spec, closed.bytes(), challenge.bytes()];
                self.logged(&round, &entries, &needed).await?;
                drop(entries);
                self.refresh_register().await?;
                let asked = challenge.clone();
                let step = decide(&self.state, move |state, rng| {
                    state.report(&announcement, &closed, &challenge, rng)
                })
                .await?;
                let bytes = self.report(step, asked).await?;
                self.publish_report(&round, &bytes).await
            }
            WorkItem::Open {
                announcement,
                closed,
                challenge,
                reports,
                verdict,
            } => {
                let spec = announcement.spec.bytes();
                let needed = [spec, closed.bytes(), challenge.bytes(), verdict.bytes()];
                self.logged(&round, &entries, &needed).await?;
                drop(entries);
                self.refresh_register().await?;
                let step = decide(&self.state, move |state, rng| {
                    let asked = OpenRequest {
                        announcement: &announcement,
                        closed: &closed,
                        challenge: &challenge,
                        reports: &reports,
                        verdict: &verdict,
                    };
                    state.open(&asked, rng)
                })
                .await?;
                let bytes = self.open(step).await?;
                let sums =
                    decide(&self.state, move |state, _| state.own_group_sums(&round)).await?;
                match sums {
                    None => self.publish::<Opening>(&round, bytes).await,
                    Some(sums) => self.publish_opening(&round, &bytes, sums).await,
                }
            }
        }
    }

    async fn page(&self, round: &RoundId, first: u32) -> Result<PackagePage, RunError> {
        Ok(self.api.packages(round, &self.state.id(), first).await?)
    }

    /// Reads the closed list to its end.
    async fn read_list(&self, mut list: Box<ListWork>) -> Result<Box<ListWork>, RunError> {
        while let Some(first) = list.next_index() {
            let page = self.page(&list.round(), first).await?;
            list = decide(&self.state, move |_, _| {
                list.page(&page)?;
                Ok(list)
            })
            .await?;
        }
        Ok(list)
    }

    async fn report(
        &self,
        step: ReportStep,
        challenge: Signed<Challenge>,
    ) -> Result<Vec<u8>, RunError> {
        let mut work = match step {
            ReportStep::Answered(bytes) => return Ok(bytes),
            ReportStep::Pages(work) => work,
            ReportStep::List(list) => {
                let list = self.read_list(list).await?;
                decide(&self.state, move |state, rng| {
                    state.begin_report(*list, &challenge, rng).map(Box::new)
                })
                .await?
            }
        };
        self.learn_models(work.context()).await?;
        while let Some(first) = work.next_index() {
            let page = self.page(&work.round(), first).await?;
            work = decide(&self.state, move |_, _| {
                work.page(&page)?;
                Ok(work)
            })
            .await?;
        }
        decide(&self.state, move |state, rng| {
            state.finish_report(*work, rng)
        })
        .await
    }

    /// Sends every candidate of this steward's noise, one after the other.
    async fn contribute(&self, work: Arc<NoiseWork>) -> Result<(), RunError> {
        let round = work.round();
        for index in 0..work.candidates() {
            let making = work.clone();
            let made = decide(&self.state, move |state, _| state.candidate(&making, index)).await?;
            let header = made.header.clone();
            let submitter = header.peek().credential.claimed_device();
            let body = SubmissionBody::Bytes(made.into_bytes().into());
            let receipt = self.api.submit(&round, &submitter, &body).await?;
            work.verify_receipt(&receipt, &header)?;
        }
        tracing::info!(%round, kind = NOISE, candidates = work.candidates(), "answered");
        Ok(())
    }

    /// Sends the report with the answers that it names. They are gone when the round is over for this steward; then the
    /// aggregator has them, or does not need them any more.
    async fn publish_report(&self, round: &RoundId, report: &[u8]) -> Result<(), RunError> {
        let answers = self.state.own_answers(round).map_or_else(
            || SubmissionBody::Bytes(Default::default()),
            SubmissionBody::File,
        );
        let id = self.state.id();
        self.api.put_report(round, &id, report, &answers).await?;
        tracing::info!(%round, kind = PackageReport::KIND, "answered");
        Ok(())
    }

    /// Sends an opening with the sums over groups that it names.
    async fn publish_opening(
        &self,
        round: &RoundId,
        opening: &[u8],
        sums: Vec<u8>,
    ) -> Result<(), RunError> {
        let id = self.state.id();
        self.api.put_opening(round, &id, opening, sums).await?;
        tracing::info!(%round, kind = Opening::KIND, "answered");
        Ok(())
    }

    async fn open(&self, step: OpenStep) -> Result<Vec<u8>, RunError> {
        let work = match step {
            OpenStep::Answered(bytes) => return Ok(bytes),
            OpenStep::Examine(work) => self.gather(work).await?,
        };
        let work = decide(&self.state, move |state, rng| {
            state.begin_scalars(*work, rng).map(Box::new)
        })
        .await?;
        let work = self.recompute(work).await?;
        let begun = decide(&self.state, move |state, _| state.begin_open(*work)).await?;
        let mut work = Box::new(begun);
        while let Some(first) = work.next_index() {
            let page = self.page(&work.round(), first).await?;
            work = decide(&self.state, move |_, _| {
                work.page(&page)?;
                Ok(work)
            })
            .await?;
        }
        decide(&self.state, move |state, rng| state.finish_open(*work, rng)).await
    }

    /// Fetches what a verdict is judged with, but for payloads.
    async fn gather(&self, mut work: Box<ExamineWork>) -> Result<Box<ExamineWork>, RunError> {
        let round = work.round();
        if let Some(count) = work.wanted_scalars() {
            let scalars = self.api.scalars(&round, count).await;
            let scalars = scalars.map_err(not_shown("scalars"))?;
            work.scalars(&scalars).map_err(StewardError::from)?;
        }
        while let Some(wanted) = work.wanted_answers() {
            self.fetch_answers(&mut work, wanted).await?;
        }
        Ok(work)
    }

    /// Fetches the payloads whose scalars are recomputed. The choice is on disk: one that is not delivered is asked for
    /// again next time.
    async fn recompute(&self, mut work: Box<ScalarWork>) -> Result<Box<ScalarWork>, RunError> {
        self.learn_models(work.context()).await?;
        let round = work.round();
        loop {
            let wanted = work.wanted_payloads();
            if wanted.is_empty() {
                return Ok(work);
            }
            let length = work.payload_bytes();
            let mut payloads = Vec::with_capacity(wanted.len());
            for digest in wanted {
                let mut payload = Vec::with_capacity(length);
                self.api
                    .download_payload(&round, &digest, length as u64, &mut payload)
                    .await
                    .map_err(not_shown("payload"))?;
                payloads.push(payload);
            }
            work = decide(&self.state, move |state, rng| {
                state.check_payloads(&mut work, &payloads, rng)?;
                Ok(work)
            })
            .await?;
        }
    }

    /// Fetches the answers of another steward into a file.
    async fn fetch_answers(
        &self,
        work: &mut ExamineWork,
        wanted: WantedAnswers,
    ) -> Result<(), RunError> {
        let file = decide(&self.state, |state, rng| state.scratch(rng)).await?;
        let options = tokio::fs::OpenOptions::new().write(true).clone();
        let opened = options.open(file.path()).await;
        let mut writer = opened.map_err(TransportError::from)?;
        self.api
            .download_answers(&work.round(), &wanted.digest, wanted.bytes, &mut writer)
            .await
            .map_err(not_shown("answers"))?;
        Ok(work.answers(wanted, file)?)
    }

    async fn publish<T: Statement>(&self, round: &RoundId, bytes: Vec<u8>) -> Result<(), RunError> {
        self.api.put_statement_bytes(round, T::KIND, bytes).await?;
        tracing::info!(%round, kind = T::KIND, "answered");
        Ok(())
    }

    /// The log's entries about a round, compared with the memory.
    async fn observed(&self, round: &RoundId) -> Result<Vec<LogEntry>, RunError> {
        let entries = match self.api.statements(round).await {
            Ok(entries) => entries,
            // A round of which nothing has been said yet.
            Err(error) if error.status() == Some(404) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        decide(&self.state, move |state, rng| {
            state.observe_log(&entries, rng)?;
            Ok(entries)
        })
        .await
    }

    /// The ends of the rounds before a specification, the latest first, as far back as it takes to explain its model.
    /// What the log does not have is missing at the end: then the state refuses.
    async fn history(&self, spec: &Signed<RoundSpec>) -> Result<Vec<Terminal>, RunError> {
        let mut history = Vec::new();
        while let Some((round, digest)) = self.state.wanted_history(spec, &history)? {
            let entries = self.observed(&round).await?;
            let found = entries
                .iter()
                .filter_map(|entry| terminal(&entry.envelope))
                .find(|terminal| terminal.round() == round && terminal.digest() == digest);
            match found {
                Some(terminal) => history.push(terminal),
                None => break,
            }
        }
        Ok(history)
    }
}

/// Reads a terminal statement; what is none is skipped.
fn terminal(envelope: &[u8]) -> Option<Terminal> {
    if let Ok(result) = Signed::<RoundResult>::from_bytes(envelope) {
        return Some(Terminal::Result(result));
    }
    Signed::<Aborted>::from_bytes(envelope)
        .ok()
        .map(Terminal::Aborted)
}

/// What a verdict was judged with has to be shown as long as the verdict is.
fn not_shown(what: &'static str) -> impl Fn(TransportError) -> RunError {
    move |error| RunError::NotShown { what, error }
}

/// A short name of an item for logs.
pub(crate) fn item_name(item: &WorkItem) -> &'static str {
    match item {
        WorkItem::PublishSealingKey { .. } => SealingKey::KIND,
        WorkItem::Endorse { .. } => Endorsement::KIND,
        WorkItem::ContributeNoise { .. } => NOISE,
        WorkItem::ShareBeacon { .. } => BeaconShare::KIND,
        WorkItem::Report { .. } => PackageReport::KIND,
        WorkItem::Open { .. } => Opening::KIND,
    }
}
