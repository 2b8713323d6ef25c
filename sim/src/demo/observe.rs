//! What a finished round's transcript says, read without believing it: the auditor judges; the demo
//! only compares it with what it knows of the devices.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result};
use dawn_crypto::mask::{self, PublicMatrix};
use dawn_crypto::params::Dimension;
use dawn_crypto::shamir;
use dawn_identity::{DeviceId, Signed};
use dawn_protocol::transcript::{Record, TranscriptReader};
use dawn_protocol::{Decision, Digest, Opening, RoundSpec, SubmissionHeader, Terminal, Verdict};

/// One round as its transcript tells it.
pub struct Observed {
    /// Who submitted, in root order: devices, and candidates of stewards' noise.
    pub devices: Vec<DeviceId>,
    /// How many of them are candidates of noise.
    pub candidates: usize,
    /// The verdict, when there was one.
    pub verdict: Option<Verdict>,
    /// How the round ended.
    pub terminal: Terminal,
    spec: RoundSpec,
    openings: Vec<(Digest, Opening)>,
    /// The sum of the payloads of accepted submissions.
    masked: Option<Vec<u32>>,
}

impl Observed {
    /// Reads a transcript twice: statements first, then the payloads of the accepted set.
    pub fn read(path: &Path, points: &BTreeMap<dawn_identity::StewardId, u8>) -> Result<Self> {
        let mut observed = Self::statements(path)?;
        observed
            .openings
            .retain(|(_, o)| points.contains_key(&o.steward));
        if let Some(verdict) = &observed.verdict {
            let accepted: Vec<bool> = verdict.decisions.iter().map(|d| d.is_summed()).collect();
            observed.masked = Some(sum_payloads(path, &accepted)?);
        }
        Ok(observed)
    }

    fn statements(path: &Path) -> Result<Self> {
        let mut devices = Vec::new();
        let mut candidates = 0;
        let (mut spec, mut verdict, mut terminal) = (None, None, None);
        let mut openings = Vec::new();
        each_record(path, |record| {
            match record {
                Record::Spec(s) => spec = Some(s.peek().clone()),
                Record::Header(bytes) => {
                    let header = Signed::<SubmissionHeader>::from_bytes(&bytes)?;
                    let author = &header.peek().credential;
                    candidates += usize::from(author.candidate().is_some());
                    devices.push(author.claimed_device());
                }
                Record::Verdict(v) => verdict = Some(v.peek().clone()),
                Record::Opening(o) => openings.push((o.body_digest(), o.peek().clone())),
                Record::Terminal(t) => terminal = Some(*t),
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self {
            devices,
            candidates,
            verdict,
            terminal: terminal.context("the transcript has no end of the round")?,
            spec: spec.context("the transcript has no round specification")?,
            openings,
            masked: None,
        })
    }

    /// The accepted devices.
    pub fn accepted(&self) -> Vec<DeviceId> {
        let decisions = self
            .verdict
            .as_ref()
            .map(|v| v.decisions.as_slice())
            .unwrap_or_default();
        self.devices
            .iter()
            .zip(decisions)
            .filter(|(_, d)| **d == Decision::Accepted)
            .map(|(device, _)| *device)
            .collect()
    }

    /// How many submissions the verdict left out, by reason.
    pub fn rejections(&self) -> BTreeMap<String, u32> {
        let mut reasons = BTreeMap::new();
        let decisions = self.verdict.iter().flat_map(|v| &v.decisions);
        for decision in decisions.filter(|d| !d.is_summed() && **d != Decision::NotChosen) {
            *reasons.entry(decision.name().to_owned()).or_default() += 1;
        }
        reasons
    }

    /// How the verdict decided, by what `kind` says of the device: how many of each decision.
    pub fn verdicts(
        &self,
        kind: impl Fn(&DeviceId) -> String,
    ) -> BTreeMap<String, BTreeMap<String, u32>> {
        let mut verdicts: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
        let decisions = self.verdict.iter().flat_map(|v| &v.decisions);
        for (device, decision) in self.devices.iter().zip(decisions) {
            let of_kind = verdicts.entry(kind(device)).or_default();
            *of_kind.entry(decision.name().to_owned()).or_default() += 1;
        }
        verdicts
    }

    /// Points of the stewards whose answers the verdict found beside the polynomial.
    pub fn liars(&self) -> &[u8] {
        self.verdict.as_ref().map_or(&[], |v| &v.liars)
    }

    /// The sum that the openings open, recomputed here: one value per coordinate of the update.
    /// `None` for a round that was given up.
    pub fn opened_sum(
        &self,
        points: &BTreeMap<dawn_identity::StewardId, u8>,
    ) -> Result<Option<Vec<i32>>> {
        let (Terminal::Result(result), Some(masked)) = (&self.terminal, &self.masked) else {
            return Ok(None);
        };
        let result = result.peek();
        let shares: Vec<_> = result
            .points
            .iter()
            .filter_map(|point| {
                let (_, opening) = self
                    .openings
                    .iter()
                    .find(|(_, o)| points.get(&o.steward) == Some(point))?;
                Some((*point, &opening.share_sum))
            })
            .collect();
        let threshold = shares.len();
        let key = shamir::reconstruct(&shares)
            .with_context(|| format!("reconstructing from {threshold} answers"))?;
        let dimension = Dimension::new(self.spec.dimension as usize)?;
        let matrix = PublicMatrix::from_seed(&self.spec.matrix_seed);
        let mut sum = mask::unmask(&matrix, &dimension, masked, &key)?;
        sum.truncate(dimension.coordinates());
        Ok(Some(sum))
    }
}

fn each_record(path: &Path, mut visit: impl FnMut(Record) -> Result<()>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut reader = TranscriptReader::new(BufReader::new(file));
    while let Some(record) = reader.next_record()? {
        visit(record)?;
    }
    Ok(())
}

fn sum_payloads(path: &Path, accepted: &[bool]) -> Result<Vec<u32>> {
    let mut sum: Vec<u32> = Vec::new();
    let mut index = 0;
    each_record(path, |record| {
        if let Record::Payload(bytes) = record {
            if accepted.get(index) == Some(&true) {
                let payload = mask::parse_payload(&bytes)?;
                if sum.is_empty() {
                    sum = payload;
                } else {
                    mask::add_assign(&mut sum, &payload);
                }
            }
            index += 1;
        }
        Ok(())
    })?;
    Ok(sum)
}
