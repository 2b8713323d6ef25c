//! What can be chosen about a demo run, and where it writes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dawn_identity::Digest;
use dawn_learn::{ModelSpec, RobustRule};
use dawn_protocol::{GroupRule, Policy, Task};

use super::devices::derive;
use super::filter::Filter;
use super::setting::{DataSource, NoiseBy, Setting};
use crate::attack::{Attack, StewardAttack};

/// File that marks a folder as the output of a demo: only such a folder is ever emptied.
const MARKER: &str = ".dawn-demo";

/// Choices of a demo run.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// What is learnt from.
    pub data: DataSource,
    /// The folder of the data; where a package installs it when absent.
    pub data_dir: Option<PathBuf>,
    /// The model; the data set's usual one when absent.
    pub model: Option<ModelSpec>,
    /// How devices learn together, as [`dawn_learn::Way::parse`] reads it.
    pub way: String,
    /// Whether devices evaluate the model of each round on samples that they hold out.
    pub evaluate: bool,
    /// Of data with natural users, the people that take no part.
    pub unseen: Vec<u8>,
    /// Organisations, each with one steward: 3 to 16.
    pub organisations: u8,
    /// Devices of all organisations together.
    pub devices: u32,
    /// Rounds.
    pub rounds: u32,
    /// Share of the devices that fail in each round, 0 up to 1.
    pub dropout: f64,
    /// Share of the devices that are malicious, 0 up to 0.5.
    pub byzantine: f64,
    /// What they do, in turn; none is malicious when there is nothing.
    pub attacks: Vec<Attack>,
    /// What the last steward does, one a round in turn; it is honest when there is nothing.
    pub steward_attacks: Vec<StewardAttack>,
    /// What is asked of updates beside their norm.
    pub filter: Option<Filter>,
    /// The probability with which a device takes part in a round; all do when absent.
    pub selection: Option<f64>,
    /// Privacy target over all rounds; noise is the least that masking allows when absent.
    pub epsilon: Option<f64>,
    /// Who carries the noise of the privacy target.
    pub noise: NoiseBy,
    /// Sums over groups and a robust rule; one sum of all when absent.
    pub groups: Option<DemoGroups>,
    /// The round in which one steward is killed for good; none when 0.
    pub kill_steward_in: u32,
    /// Folder for transcripts and report.
    pub out: PathBuf,
    /// Seed of everything that is drawn by lot, except secrets of server and stewards.
    pub seed: u64,
    /// The `dawn` binary that server and stewards are started from.
    pub binary: PathBuf,
    /// Whether progress is shown on standard error.
    pub progress: bool,
}

/// Sums over groups in a demo run.
#[derive(Clone, Copy, Debug)]
pub struct DemoGroups {
    /// How many.
    pub number: u8,
    /// What becomes of their means.
    pub rule: RobustRule,
}

impl DemoGroups {
    /// The task's rule under a policy: as many dishonest devices as the policy counts on, which may all be in one group.
    pub fn rule(&self, policy: &Policy) -> Result<GroupRule> {
        let size = policy.min_accepted / u32::from(self.number.max(1));
        let dishonest = policy.min_accepted.saturating_sub(policy.min_honest);
        // A fifth of a group may be refused.
        let least = size - size / 5;
        ensure!(
            least >= dishonest + 2,
            "--groups {} of at least {} accepted devices have {least} each for certain, which is not enough to hide one among {dishonest} dishonest: ask for fewer groups or more devices",
            self.number,
            policy.min_accepted
        );
        self.rule
            .check(usize::from(self.number))
            .context("--groups, --rule and --mixing do not fit each other")?;
        Ok(GroupRule {
            most: self.number,
            size,
            least,
            honest: least - dishonest,
            dishonest,
            rule: self.rule,
        })
    }
}

/// Where a demo run writes.
#[derive(Clone, Debug)]
pub struct Output {
    /// One transcript per round, the log, nothing else.
    pub transcripts: PathBuf,
    /// The HTML report.
    pub report: PathBuf,
    /// The summary as JSON.
    pub summary: PathBuf,
    /// Logs of server and stewards.
    pub logs: PathBuf,
}

impl DemoOptions {
    /// Refuses choices that cannot work.
    pub fn check(&self) -> Result<()> {
        ensure!(
            (3..=16).contains(&self.organisations),
            "--orgs must be between 3 and 16: fewer cannot form a threshold"
        );
        ensure!(
            (u32::from(self.organisations)..=5_000).contains(&self.devices),
            "--devices must be between --orgs and 5000"
        );
        ensure!(
            (1..=1_000).contains(&self.rounds),
            "--rounds must be between 1 and 1000"
        );
        ensure!(
            (0.0..0.9).contains(&self.dropout),
            "--dropout must be at least 0 and below 0.9"
        );
        ensure!(
            (0.0..0.5).contains(&self.byzantine),
            "--byzantine must be at least 0 and below 0.5"
        );
        ensure!(
            (self.byzantine > 0.0) != self.attacks.is_empty(),
            "--attack says what the malicious devices do, --byzantine how many they are: give both"
        );
        ensure!(
            self.steward_attacks.is_empty() || super::tolerated(self.organisations) > 0,
            "--steward-attack needs stewards of whom one may be malicious: --orgs 6 or more"
        );
        ensure!(
            self.steward_attacks.is_empty() || self.kill_steward_in == 0,
            "--steward-attack and --kill-steward-in are two failing stewards, and the rest would be too few to decide: leave one of them out"
        );
        ensure!(
            (self.selection).is_none_or(|probability| (0.01..1.0).contains(&probability)),
            "--selection must be at least 0.01 and below 1"
        );
        if let Some(epsilon) = self.epsilon {
            ensure!(
                epsilon.is_finite() && epsilon > 0.0,
                "--epsilon must be a positive number"
            );
        }
        ensure!(
            self.epsilon.is_some() || self.noise == NoiseBy::Devices,
            "--noise says who carries the noise of --epsilon: give both"
        );
        Ok(())
    }

    /// The names of what malicious devices do.
    pub fn attack_names(&self) -> Option<String> {
        (!self.attacks.is_empty()).then(|| joined(&self.attacks))
    }

    /// The seed for one purpose.
    pub fn seed_for(&self, purpose: &str) -> [u8; 32] {
        derive(&[0; 32], purpose, &[self.seed])
    }

    /// Prints a line of progress.
    pub fn say(&self, line: &str) {
        if self.progress {
            eprintln!("{line}");
        }
    }

    /// The run in one sentence.
    pub fn describe(&self, setting: &Setting, task: &Task) -> String {
        let privacy = match self.epsilon {
            Some(epsilon) => format!("noise for epsilon {epsilon} over all rounds"),
            None => "the least noise that masking allows".into(),
        };
        let stewards = match task.options.noise {
            Some(noise) => format!(
                ", {:.1} per steward, one of {} candidates",
                noise.sigma.to_f64(),
                noise.candidates
            ),
            None => String::new(),
        };
        let groups = match task.options.groups {
            Some(groups) => format!(
                "sums over {} groups of {} devices or more, {} of a group counted on to be honest, ",
                groups.most, groups.size, groups.honest
            ),
            None => String::new(),
        };
        let mut attack = String::new();
        if let Some(kinds) = self.attack_names() {
            attack = format!(
                "{:.0} % of the devices are malicious ({kinds}), ",
                100.0 * self.byzantine
            );
        }
        if !self.steward_attacks.is_empty() {
            let kinds = joined(&self.steward_attacks);
            attack.push_str(&format!("the last steward is malicious ({kinds}), "));
        }
        let filter = match self.filter {
            Some(filter) => format!("updates are filtered by {filter}, "),
            None => String::new(),
        };
        let sent = setting.dimension().unwrap_or_default();
        let way = match &setting.way {
            Some(way) => format!("learning by {way} ({sent} numbers sent), "),
            None => String::new(),
        };
        let evaluation = if self.evaluate {
            "devices evaluate the model on samples that they hold out, "
        } else {
            ""
        };
        format!(
            "{} data, model {} ({} parameters: {:.1} KB as a plain update), {way}{evaluation}{} organisations, {} devices, {} rounds, {:.0} % of the devices fail in each round, {attack}{groups}{filter}{privacy} (sigma {:.1} per device{stewards}, clip {})",
            self.data,
            setting.model,
            setting.model.parameters(),
            setting.model.parameters() as f64 * 4.0 / 1000.0,
            self.organisations,
            self.devices,
            self.rounds,
            100.0 * self.dropout,
            task.sigma_error.to_f64(),
            task.quantiser.clip
        )
    }

    /// Says what a reader of the table would ask.
    pub fn explain_columns(&self) {
        if self.epsilon.is_none() {
            self.say("epsilon: - = no privacy guarantee for the outputs; only the noise that masking needs");
        }
        self.say(
            "KB/device: one whole upload; it is smaller once a steward is gone, because devices seal nothing to a steward without a key of the round",
        );
    }

    /// The shell command that audits transcripts with this very program.
    pub fn check_command(&self, transcripts: &Path, federation: &Digest) -> String {
        let here = std::env::current_dir().ok();
        let program = here
            .and_then(|here| self.binary.strip_prefix(here).ok())
            .unwrap_or(&self.binary);
        let mut program = program.display().to_string();
        if !program.contains('/') {
            // A name alone would be looked for on the PATH.
            program.insert_str(0, "./");
        }
        format!(
            "{} audit verify {} --federation {federation}",
            quoted(&program),
            quoted(&transcripts.display().to_string())
        )
    }

    /// Makes the output folder, or empties the one of an earlier demo.
    pub fn prepare_output(&self) -> Result<Output> {
        let root = &self.out;
        if root.exists() {
            let empty = fs::read_dir(root)
                .with_context(|| format!("cannot read the output folder {}", root.display()))?
                .next()
                .is_none();
            ensure!(
                empty || root.join(MARKER).exists(),
                "{} exists and is not the output of a demo: choose another folder with --out",
                root.display()
            );
            if !empty {
                fs::remove_dir_all(root)
                    .with_context(|| format!("cannot empty {}", root.display()))?;
            }
        }
        let folder = |name: &str| -> Result<PathBuf> {
            let path = root.join(name);
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
            Ok(path)
        };
        let output = Output {
            transcripts: folder("transcripts")?,
            logs: folder("logs")?,
            report: root.join("report.html"),
            summary: root.join("summary.json"),
        };
        fs::write(
            root.join(MARKER),
            "Made by `dawn demo`; the next demo empties this folder.\n",
        )?;
        Ok(output)
    }
}

/// Names with commas between them.
pub fn joined<T: std::fmt::Display>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// A word for a POSIX shell: in single quotes unless no character of it means anything there.
fn quoted(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_are() {
        for word in ["dawn-demo/transcripts", "my demo", "it's $HOME", "", "*"] {
            let echoed = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(echoed.stdout).unwrap(), word);
        }
        assert_eq!(quoted("dawn-demo/transcripts"), "dawn-demo/transcripts");
    }
}
