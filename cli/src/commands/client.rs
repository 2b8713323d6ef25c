//! `dawn client`: a device that takes part, for trying out; an edge app embeds the library instead.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use dawn_client::{Client, ClientError};
use dawn_identity::TaskId;
use dawn_learn::data::{CsvAnswers, CsvFormat, LabelColumn, read_csv};
use dawn_learn::spec::MAX_CLASSES;
use rand_core::UnwrapErr;
use serde_json::json;

use super::client_prove::Prove;
use crate::{files, output};

/// Exit code of a device that was selected in none of the rounds that it was offered.
const NEVER_SELECTED: u8 = 3;

/// Before a server is asked again that did not answer.
const PAUSE: Duration = Duration::from_secs(2);

#[derive(Subcommand)]
pub enum Command {
    /// Takes part in the rounds of a task until it ends. Exits with 3 when the task selects devices and this one was
    /// selected in no round.
    Join(Join),
    /// Shows what became of a submission, from its receipt and the round's transcript. Exits with 0 when it is in the sum, 4
    /// when it was left out or nothing was opened, 1 when it is missing or the transcript does not hold together.
    Prove(Prove),
}

#[derive(Args)]
pub struct Join {
    /// Folder of the device, as `dawn device enrol` made it.
    #[arg(long)]
    device: PathBuf,
    #[arg(long)]
    server: String,
    #[arg(long)]
    task: TaskId,
    /// The device's own data: one sample a line, features then the label, or then the numbers that a regressor predicts.
    #[arg(long)]
    csv: PathBuf,
    /// Features are divided by 2 to this power.
    #[arg(long, default_value_t = 0)]
    scale_bits: u8,
    /// Fraction bits that are kept of a regressor's targets.
    #[arg(long, default_value_t = 0)]
    target_fraction_bits: u8,
    /// A regressor's targets are divided by 2 to this power.
    #[arg(long, default_value_t = 0)]
    target_scale_bits: u8,
    /// Stop after so many rounds.
    #[arg(long)]
    rounds: Option<u32>,
    #[arg(long)]
    json: bool,
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Join(join) => join.run().await,
        Command::Prove(prove) => prove.run().await,
    }
}

impl Join {
    async fn run(self) -> Result<ExitCode> {
        let Self {
            device,
            server,
            task,
            csv,
            rounds,
            json,
            ..
        } = self;
        let (key, chain, founding) = files::load_device(&device)?;
        let pin = founding.digest();
        let client = Client::builder()
            .server(server)
            .federation(founding, pin)
            .device(chain, key)
            .state_dir(device.join("state"))
            .build()?;
        let mut participation = client.join(task).await?;
        let model = participation.task().model;
        let format = CsvFormat {
            inputs: model.inputs(),
            answers: if model.is_regressor() {
                CsvAnswers::Targets {
                    outputs: model.outputs(),
                    fraction_bits: self.target_fraction_bits,
                    scale_bits: self.target_scale_bits,
                }
            } else {
                CsvAnswers::Label {
                    // Not the task's: whether a device takes part must not tell which labels it has.
                    classes: MAX_CLASSES,
                }
            },
            fraction_bits: 0,
            scale_bits: self.scale_bits,
            label: LabelColumn::Last,
            header: false,
            max_samples: dawn_learn::data::MAX_SAMPLES,
        };
        let file = File::open(&csv).with_context(|| format!("cannot read {}", csv.display()))?;
        let data =
            read_csv(BufReader::new(file), &format).with_context(|| csv.display().to_string())?;
        let (mut receipts, mut not_selected) = (Vec::new(), Vec::new());
        while rounds.is_none_or(|most| (receipts.len() as u32) < most) {
            let open = match participation.next_round(Duration::from_secs(30)).await {
                Ok(Some(open)) => open,
                Ok(None) => continue,
                Err(ClientError::NotSelected { round, reason }) => {
                    eprintln!("round {}: {reason}", round.number);
                    not_selected.push(round.number);
                    continue;
                }
                Err(ClientError::Ended(_)) => break,
                Err(ClientError::Transport(error)) if error.is_transient() => {
                    eprintln!("{error}; asking again");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let round = open.id();
            let rng = &mut UnwrapErr(getrandom::SysRng);
            let update = open.train(&data, rng)?;
            let receipt = match open.submit(update, rng).await {
                Ok(receipt) => receipt,
                // Others were faster, or the server was away for too long: there are more rounds.
                Err(error @ ClientError::TooLate { .. }) => {
                    eprintln!("{error}");
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            eprintln!("round {}: receipt for {}", round.number, receipt.header);
            receipts.push(json!({"round": round.number, "header": receipt.header}));
        }
        let done = json!({
            "device": client.device(),
            "task": task,
            "receipts": receipts,
            "not_selected": not_selected,
        });
        output::report(json, &done, |_| {
            let (rounds, others) = (receipts.len(), not_selected.len());
            match others {
                0 => format!("took part in {rounds} rounds"),
                _ => format!("took part in {rounds} rounds, not selected in {others}"),
            }
        })?;
        if receipts.is_empty() && !not_selected.is_empty() {
            return Ok(ExitCode::from(NEVER_SELECTED));
        }
        Ok(ExitCode::SUCCESS)
    }
}
