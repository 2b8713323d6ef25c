//! `dawn client prove`: a device's own check of what became of its submission.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use dawn_audits::inclusion::{Outcome, Proof, Submitted, prove};
use dawn_audits::standing::Standing;
use dawn_audits::{Options, Source};
use dawn_client::ledger::Ledger;
use dawn_identity::{Digest, Signed, TaskId};
use dawn_protocol::transcript::max_bytes;
use dawn_protocol::{Receipt, RoundId};
use dawn_transport::Api;
use serde_json::json;

use crate::{files, output};

/// Exit code when the submission is not in a published sum, and nobody broke a rule.
const NOT_IN_A_SUM: u8 = 4;

#[derive(Args)]
pub struct Prove {
    /// The round's transcript, or the http(s) address of the service that has it.
    source: String,
    /// Folder of the device. It must not be taking part at the same time.
    #[arg(long, conflicts_with = "receipt", requires_all = ["task", "round"])]
    device: Option<PathBuf>,
    #[arg(long)]
    task: Option<TaskId>,
    #[arg(long)]
    round: Option<u32>,
    /// A receipt that was written with --write-receipt, instead of a device's folder.
    #[arg(long, required_unless_present = "device", requires = "federation")]
    receipt: Option<PathBuf>,
    /// Writes the receipt. Together with the transcript it is what convinces others, when the submission is missing.
    #[arg(long, value_name = "FILE")]
    write_receipt: Option<PathBuf>,
    /// Digest of the founding document, when there is no device's folder that has it.
    #[arg(long)]
    federation: Option<Digest>,
    /// For a transcript without payloads: the folder that has them. The folder `payloads` beside it when absent.
    #[arg(long, value_name = "DIR")]
    payloads: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

impl Prove {
    pub async fn run(self) -> Result<ExitCode> {
        let (submitted, known) = self.submitted()?;
        let options = Options {
            federation: self.federation.or(known),
            payloads: self.payloads.clone(),
            ..Options::default()
        };
        if let Some(path) = &self.write_receipt {
            let receipt = submitted.receipt.as_ref();
            let receipt = receipt.context("there is no receipt for this submission")?;
            files::overwrite(path, receipt.bytes(), 0o644)?;
        }
        let scratch = tempfile::tempdir()?;
        let path = self.transcript(&submitted.round, scratch.path()).await?;
        let mut transcript = Source::open(&path, &options)?;
        let mut proof = prove(&mut transcript, &options, &submitted)?;
        let standing = match (proof.rests.take(), self.service()?) {
            (Some(rests), Some(api)) => Some(rests.standing(&api, &submitted.round).await?),
            _ => None,
        };
        let shown = json!({
            "task": submitted.round.task,
            "round": submitted.round.number,
            "header": submitted.header,
            "receipt": submitted.receipt.is_some(),
            "evidence": proof.outcome.is_evidence(),
            "result": proof.outcome,
            "audit": proof.report.summary(),
            "unchecked": proof.report.unchecked,
            "checkpoint": standing,
        });
        output::report(self.json, &shown, |_| {
            in_words(&submitted, &proof, standing.as_ref())
        })?;
        if standing.as_ref().is_some_and(Standing::is_broken) {
            return Ok(ExitCode::FAILURE);
        }
        Ok(match proof.outcome {
            Outcome::Counted { .. } => ExitCode::SUCCESS,
            Outcome::LeftOut { .. } | Outcome::NothingOpened { .. } | Outcome::NoResult { .. } => {
                ExitCode::from(NOT_IN_A_SUM)
            }
            Outcome::Missing { .. } | Outcome::OtherSession { .. } | Outcome::Unsound => {
                ExitCode::FAILURE
            }
        })
    }

    /// The service that is asked, unless the transcript is a file.
    fn service(&self) -> Result<Option<Api>> {
        let source = &self.source;
        if source.starts_with("http://") || source.starts_with("https://") {
            return Ok(Some(Api::new(source)?));
        }
        Ok(None)
    }

    /// What is asked about, and the federation that the device pins.
    fn submitted(&self) -> Result<(Submitted, Option<Digest>)> {
        if let Some(path) = &self.receipt {
            let bytes = files::read(path)?;
            let receipt = Signed::<Receipt>::from_bytes(&bytes)
                .with_context(|| format!("{}: not a receipt", path.display()))?;
            return Ok((Submitted::of(&receipt), None));
        }
        let (Some(device), Some(task), Some(number)) = (&self.device, self.task, self.round) else {
            bail!("give a --receipt, or a --device with a --task and a --round");
        };
        let (_, chain, founding) = files::load_device(device)?;
        let ledger = Ledger::open(&device.join("state"), chain.claimed_device())?;
        let round = RoundId::new(task, number);
        let claim = ledger
            .find(round)?
            .with_context(|| format!("this device has submitted nothing in round {round}"))?;
        let submitted = Submitted {
            round,
            session: claim.session,
            header: claim.header,
            receipt: claim.receipt,
        };
        Ok((submitted, Some(founding.digest())))
    }

    /// Where the transcript is, after downloading it where it has to be.
    async fn transcript(&self, round: &RoundId, scratch: &Path) -> Result<PathBuf> {
        let Some(api) = self.service()? else {
            return Ok((&self.source).into());
        };
        let task = api.task(&round.task).await?;
        let path = scratch.join("round.dawn");
        let mut file = tokio::fs::File::create(&path).await?;
        api.download_transcript(round, max_bytes(task.peek()), &mut file)
            .await
            .with_context(|| format!("the service gives no transcript of round {round}"))?;
        Ok(path)
    }
}

fn in_words(submitted: &Submitted, proof: &Proof, standing: Option<&Standing>) -> String {
    let round = submitted.round;
    let evidence = "With the receipt this transcript is evidence against the aggregator: keep both (--write-receipt).";
    let said = match &proof.outcome {
        Outcome::Counted { place, accepted } => format!(
            "in the sum: submission {place} of the closed list, one of {accepted} devices in the sum"
        ),
        Outcome::LeftOut { place, reason } => {
            format!(
                "not in the sum: submission {place} of the closed list was left out as {reason}"
            )
        }
        Outcome::NothingOpened { reason } => {
            format!("nothing was opened: the round ended as {reason}, before a verdict")
        }
        Outcome::NoResult {
            reason,
            sum_is_open: true,
            ..
        } => format!(
            "there is no result: the round ended as {reason}. But enough stewards have opened the sum that the submission is in, and whoever has the transcript can compute it"
        ),
        Outcome::NoResult { reason, .. } => format!(
            "there is no result: the round ended as {reason}, after the verdict had accepted the submission. That not enough stewards opened the sum is the aggregator's word"
        ),
        Outcome::Missing { closed: false, .. } => {
            "not in this list, which nobody has closed: the round ended before".to_owned()
        }
        Outcome::Missing { receipt: true, .. } => {
            format!("MISSING from the closed list, although there is a receipt for it. {evidence}")
        }
        Outcome::Missing { receipt: false, .. } => {
            "not in the closed list; there is no receipt for it, so that it may never have arrived"
                .to_owned()
        }
        Outcome::OtherSession { receipt: true } => {
            format!("made for ANOTHER session of this round, and taken with a receipt. {evidence}")
        }
        Outcome::OtherSession { receipt: false } => {
            "made for another session of this round; there is no receipt for it".to_owned()
        }
        Outcome::Unsound => "the transcript breaks a rule and says nothing:".to_owned(),
    };
    match proof.outcome {
        Outcome::Unsound => format!("round {round}: {said}\n{}", proof.report),
        _ => {
            let behind = match standing {
                Some(standing) => format!("what that rests on: {standing}"),
                None => "whether stewards have cosigned a log that has what that rests on was not checked: that needs the service's address"
                    .to_owned(),
            };
            format!("round {round}: {said}\n{behind}")
        }
    }
}
