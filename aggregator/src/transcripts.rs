//! Transcripts of rounds that are over: everything that an auditor needs, in one file
//! (docs/protocol.md, section 5).

use dawn_identity::{
    Digest, FederationEvent, FoundingDocument, Signed, SignedRoster, Statement, StewardId,
};
use dawn_protocol::answers::answers_len;
use dawn_protocol::transcript::{TranscriptError, TranscriptWriter};
use dawn_protocol::{
    AbortReason, Challenge, Closed, Endorsement, Opening, PackageReport, RoundId, RoundSpec,
    TaskContext, Terminal, Verdict,
};
use futures_util::TryStreamExt;

use crate::app::App;
use crate::payloads::{MOST_MODEL_BYTES, ObjectKey, ObjectWriter, PayloadError};
use crate::round::EngineError;
use crate::round::terminal;

/// Submissions whose headers are read at a time.
const PAGE: u32 = 256;

/// A transcript that goes into an object while it is written, and the same without payloads and answers.
struct Spool {
    whole: TranscriptWriter<Vec<u8>>,
    whole_object: ObjectWriter,
    detached: TranscriptWriter<Vec<u8>>,
    detached_object: ObjectWriter,
}

impl Spool {
    /// The same record in both.
    fn both(
        &mut self,
        mut record: impl FnMut(&mut TranscriptWriter<Vec<u8>>) -> Result<(), TranscriptError>,
    ) -> Result<(), EngineError> {
        record(&mut self.whole).map_err(unwritable)?;
        record(&mut self.detached).map_err(unwritable)
    }

    /// Moves what was written so far into the objects.
    async fn flush(&mut self) -> Result<(), PayloadError> {
        let bytes = std::mem::take(self.whole.get_mut());
        self.whole_object.write(&bytes).await?;
        let bytes = std::mem::take(self.detached.get_mut());
        self.detached_object.write(&bytes).await
    }

    /// Ends both. The detached one first: whoever finds the whole one finds both.
    async fn finish(mut self) -> Result<Digest, EngineError> {
        let (whole, rest) = self.whole.finish().map_err(unwritable)?;
        self.detached.whole_digest(&whole).map_err(unwritable)?;
        let (_, detached_rest) = self.detached.finish().map_err(unwritable)?;
        self.detached_object.write(&detached_rest).await?;
        self.detached_object.finish().await?;
        self.whole_object.write(&rest).await?;
        self.whole_object.finish().await?;
        Ok(whole)
    }
}

fn unwritable(error: TranscriptError) -> EngineError {
    tracing::error!(%error, "a transcript cannot be written");
    EngineError::Spoiled("order of statements")
}

/// Builds the transcript of a round that is over, unless it is there.
///
/// # Errors
/// The database or the objects fail, or what is stored does not make a transcript.
pub async fn build(app: &App, id: &RoundId) -> Result<(), EngineError> {
    let key = ObjectKey::transcript(&id.task.0, id.number);
    if app.payloads.exists(&key).await? {
        return Ok(());
    }
    let Some(row) = app.store.round(id).await?.filter(|row| row.phase.is_over()) else {
        return Ok(());
    };
    let task = app.task_of_round(id).await?;
    let detached = ObjectKey::detached_transcript(&id.task.0, id.number);
    let mut spool = Spool {
        whole: TranscriptWriter::new(Vec::new()).map_err(unwritable)?,
        whole_object: app.payloads.begin(&key).await?,
        detached: TranscriptWriter::detached(Vec::new()).map_err(unwritable)?,
        detached_object: app.payloads.begin(&detached).await?,
    };
    preamble(app, &task, id, &mut spool).await?;
    let model = app
        .payloads
        .get(&ObjectKey::model(&row.model), MOST_MODEL_BYTES)
        .await?;
    spool.both(|out| out.model(&model))?;
    spool.flush().await?;
    if let Some(spec) = app.own_statement::<RoundSpec>(id).await? {
        if let Some(from) = spec.peek().direction {
            let key = ObjectKey::model(&from);
            let model = app.payloads.get(&key, MOST_MODEL_BYTES).await?;
            spool.both(|out| out.direction(&model))?;
            spool.flush().await?;
        }
        spool.both(|out| out.spec(&spec))?;
        let endorsements = sorted::<Endorsement>(app, &task, id, |said| said.steward).await?;
        for endorsement in &endorsements {
            spool.both(|out| out.endorsement(endorsement))?;
        }
    }
    submissions(app, id, &mut spool).await?;
    answers(app, &task, id, &mut spool).await?;
    let end = terminal(app, id).await?;
    later_keys(app, id, &end, &mut spool).await?;
    spool.both(|out| out.terminal(&end))?;
    let digest = spool.finish().await?;
    tracing::debug!(round = %id, %digest, "a transcript is written");
    Ok(())
}

/// Who takes part in what: federation, members, roster, task, and the end of the round before.
async fn preamble(
    app: &App,
    task: &TaskContext,
    id: &RoundId,
    spool: &mut Spool,
) -> Result<(), EngineError> {
    let federation = app.federation().await?;
    let document: &FoundingDocument = federation.document();
    spool.both(|out| out.founding(document))?;
    // As far as the round goes: to its closing; of one that was not closed all that there is, because its devices were
    // taken as of then.
    let closed = app.own_statement::<Closed>(id).await?;
    let mut left = closed.map_or(u64::MAX, |closed| closed.peek().register.entries);
    let mut position = 0;
    while left > 0 {
        let page = app.store.register_after(position, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for entry in page
            .iter()
            .take(usize::try_from(left).unwrap_or(usize::MAX))
        {
            spool.both(|out| out.register(entry))?;
            (position, left) = (position + 1, left - 1);
        }
        spool.flush().await?;
    }
    let roster: &SignedRoster = task.roster().signed();
    spool.both(|out| out.roster(roster))?;
    spool.both(|out| out.task(task.task().signed()))?;
    if let Some(set) = task.public_set() {
        let set = set.to_bytes();
        spool.both(|out| out.public_set(&set))?;
        spool.flush().await?;
    }
    if let Some(before) = id.number.checked_sub(1).filter(|number| *number > 0) {
        let end = terminal(app, &RoundId::new(id.task, before)).await?;
        spool.both(|out| out.previous(&end))?;
    }
    Ok(())
}

/// Of a round that was aborted because its key was replaced: the register after its closing, up to the key that signed the end.
/// Without a closing it is there from the beginning.
async fn later_keys(
    app: &App,
    id: &RoundId,
    end: &Terminal,
    spool: &mut Spool,
) -> Result<(), EngineError> {
    let Terminal::Aborted(aborted) = end else {
        return Ok(());
    };
    let replaced = aborted.peek().reason == AbortReason::KeyReplaced;
    let Some(closed) = app.own_statement::<Closed>(id).await?.filter(|_| replaced) else {
        return Ok(());
    };
    let mut position = closed.peek().register.entries;
    loop {
        let page = app.store.register_after(position, PAGE).await?;
        if page.is_empty() {
            return Err(EngineError::Spoiled("key that signed the end of a round"));
        }
        position += page.len() as u64;
        for entry in &page {
            spool.both(|out| out.later(entry))?;
            let event = Signed::<FederationEvent>::from_bytes(entry);
            let key = event.map(|event| event.peek().change.peek().new.key().id());
            if key == Ok(aborted.signer()) {
                return spool.flush().await.map_err(Into::into);
            }
        }
        spool.flush().await?;
    }
}

async fn submissions(app: &App, id: &RoundId, spool: &mut Spool) -> Result<(), EngineError> {
    let mut after = None;
    loop {
        let page = app
            .store
            .submissions_after(id, after.as_ref(), PAGE)
            .await?;
        let Some((last, ..)) = page.last() else {
            return Ok(());
        };
        after = Some(*last);
        for (_, header, payload) in page {
            let bytes = app
                .payloads
                .get(&ObjectKey::payload(&payload), 8 << 24)
                .await?;
            spool.both(|out| out.header(&header))?;
            (spool.detached.payload_digest(&payload)).map_err(unwritable)?;
            let len = bytes.len() as u64;
            spool.whole.begin_payload(len).map_err(unwritable)?;
            for piece in bytes.chunks(1 << 20) {
                spool.whole.chunk(piece).map_err(unwritable)?;
                spool.flush().await?;
            }
        }
    }
}

/// What was said after collecting.
async fn answers(
    app: &App,
    task: &TaskContext,
    id: &RoundId,
    spool: &mut Spool,
) -> Result<(), EngineError> {
    let Some(closed) = app.own_statement::<Closed>(id).await? else {
        return Ok(());
    };
    spool.both(|out| out.closed(&closed))?;
    let Some(challenge) = app.own_statement::<Challenge>(id).await? else {
        return spool.flush().await.map_err(Into::into);
    };
    spool.both(|out| out.challenge(&challenge))?;
    for report in &sorted::<PackageReport>(app, task, id, |said| said.steward).await? {
        spool.both(|out| out.report(report))?;
        report_answers(app, task, id, report.peek(), spool).await?;
    }
    let Some(verdict) = app.own_statement::<Verdict>(id).await? else {
        return Ok(());
    };
    spool.both(|out| out.verdict(&verdict))?;
    for opening in &sorted::<Opening>(app, task, id, |said| said.steward).await? {
        spool.both(|out| out.opening(opening))?;
        if opening.peek().groups.is_some() {
            let sums = app.store.group_sums(id, &opening.peek().steward).await?;
            let sums = sums.ok_or(EngineError::Spoiled("sums over groups"))?;
            spool.both(|out| out.group_sums(&sums))?;
        }
    }
    spool.flush().await?;
    Ok(())
}

/// The answers of one report, never held whole.
async fn report_answers(
    app: &App,
    task: &TaskContext,
    id: &RoundId,
    report: &PackageReport,
    spool: &mut Spool,
) -> Result<(), EngineError> {
    let key = ObjectKey::answers(&id.task.0, id.number, &report.answers);
    let (size, stream) = app.payloads.stream(&key).await?;
    if size != answers_len(task.proof_params(), &report.outcomes) as u64 {
        return Err(EngineError::Spoiled("answers"));
    }
    (spool.detached.answers_digest(&report.answers)).map_err(unwritable)?;
    spool.whole.begin_answers(size).map_err(unwritable)?;
    spool.flush().await?;
    let mut stream = std::pin::pin!(stream);
    while let Some(piece) = stream.try_next().await.map_err(PayloadError::from)? {
        spool.whole.chunk(&piece).map_err(unwritable)?;
        spool.flush().await?;
    }
    Ok(())
}

/// The stewards' statements of one kind in increasing evaluation point.
async fn sorted<T: Statement>(
    app: &App,
    task: &TaskContext,
    id: &RoundId,
    steward: impl Fn(&T) -> StewardId,
) -> Result<Vec<Signed<T>>, EngineError> {
    let mut statements = app.statements::<T>(id).await?;
    statements.sort_by_key(|signed| task.roster().point_of(&steward(signed.peek())));
    Ok(statements)
}
