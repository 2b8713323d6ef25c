//! What an auditor puts its name to: the answer of an audit, short enough for a log entry.
//!
//! Anybody with the auditor's public key verifies it, and whoever has the transcript audits it again and compares. The
//! statement is docs/audit.md, section 5.

use dawn_crypto::digest::Digest;
use dawn_identity::{BrokenRule, Statement};
use minicbor::{Decode, Decoder, Encode, decode};

use crate::finding::Party;
use crate::report::{Answer, AuditReport};
use crate::rule::AuditRule;
use crate::verify::Mode;

/// Most transcripts of one statement.
pub const MAX_TRANSCRIPTS: usize = 1000;
/// Most remarks about what was not checked.
pub const MAX_UNCHECKED: usize = 40;
/// Most bytes of a remark, of the place and of the particulars.
pub const MAX_TEXT_BYTES: usize = 400;

/// The program that audited.
pub const SOFTWARE: &str = concat!("dawn-audits ", env!("CARGO_PKG_VERSION"));

/// The log that statements were found in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct AuditedLog {
    /// Its number of entries.
    #[n(0)]
    pub size: u64,
    /// The root over them.
    #[n(1)]
    pub root: Digest,
    /// Who stands behind it besides its own key; none when no checkpoint was shown.
    #[n(2)]
    pub witnesses: Option<AuditedWitnesses>,
}

/// A checkpoint of the log, and how many stewards have cosigned it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct AuditedWitnesses {
    /// Number of entries at the checkpoint.
    #[n(0)]
    pub size: u64,
    /// Stewards of the newest roster that have cosigned it.
    #[n(1)]
    pub cosigned: u64,
    /// The roster's T; none when the log has no roster that verifies.
    #[n(2)]
    pub needed: Option<u8>,
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct AuditedFinding {
    /// The number of the rule: 1 for A01.
    #[n(0)]
    pub rule: u8,
    /// Who is to blame: 0 provider, 1 founders, 2 organisation, 3 aggregator, 4 steward, 5 device.
    #[n(1)]
    pub role: u8,
    /// The identifier of an organisation, a steward or a device; none for others.
    #[n(2)]
    pub culprit: Option<Digest>,
    /// The transcript in which it was found, by round and digest, or `the log`; cut to 400 bytes. Names of files stay with
    /// their auditor.
    #[n(3)]
    pub place: String,
    /// The particulars, for people, cut to 400 bytes.
    #[n(4)]
    pub detail: String,
}

/// The answer of an audit, to be signed by its auditor.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct AuditStatement {
    /// 1.
    #[n(0)]
    pub version: u16,
    /// The program that audited, with its version.
    #[n(1)]
    pub software: String,
    /// When, unix seconds: the auditor's clock.
    #[n(2)]
    pub time: u64,
    /// The founding document that everything was checked against; none when not even that could be read.
    #[n(3)]
    pub federation: Option<Digest>,
    /// Whether the auditor had that digest from elsewhere.
    #[n(4)]
    pub pinned: bool,
    /// Whether everything was executed again; otherwise signatures and digests alone were checked.
    #[n(5)]
    pub full: bool,
    /// The digests at the end of the transcripts that were looked at, in that order; none where a file is damaged.
    #[cbor(n(6), decode_with = "decode_transcripts")]
    pub transcripts: Vec<Option<Digest>>,
    /// The log, when there was one.
    #[n(7)]
    pub log: Option<AuditedLog>,
    /// The first broken rule; none: every rule that was checked holds.
    #[n(8)]
    pub finding: Option<AuditedFinding>,
    /// What could not be checked. Remarks beyond the 39th are only counted, in the last.
    #[cbor(n(9), decode_with = "decode_unchecked")]
    pub unchecked: Vec<String>,
}

/// Reads the digests. In memory a missing one takes some 90 times its byte, so their number comes first.
fn decode_transcripts<C>(
    d: &mut Decoder<'_>,
    context: &mut C,
) -> Result<Vec<Option<Digest>>, decode::Error> {
    check_announced(d, MAX_TRANSCRIPTS)?;
    d.decode_with(context)
}

/// Reads the remarks, of which an empty one has one byte.
fn decode_unchecked<C>(d: &mut Decoder<'_>, context: &mut C) -> Result<Vec<String>, decode::Error> {
    check_announced(d, MAX_UNCHECKED)?;
    d.decode_with(context)
}

fn check_announced(d: &mut Decoder<'_>, most: usize) -> Result<(), decode::Error> {
    match d.probe().array()? {
        Some(items) if items <= most as u64 => Ok(()),
        _ => Err(decode::Error::message(
            "an audit report has at most 1000 transcripts and 40 remarks",
        )),
    }
}

impl Statement for AuditStatement {
    const KIND: &'static str = "audit-report";
    const MAX_BYTES: usize = 60_000;

    fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(self.version == 1, "an audit report has version 1")?;
        BrokenRule::unless(
            self.transcripts.len() <= MAX_TRANSCRIPTS && self.unchecked.len() <= MAX_UNCHECKED,
            "an audit report has at most 1000 transcripts and 40 remarks",
        )?;
        let finding = self.finding.iter();
        let texts = finding.flat_map(|finding| [&finding.place, &finding.detail]);
        let mut texts = texts.chain(&self.unchecked).chain([&self.software]);
        BrokenRule::unless(
            texts.all(|text| text.len() <= MAX_TEXT_BYTES && text.chars().all(is_printable)),
            "a text of an audit report has at most 400 bytes, none of them control characters",
        )?;
        BrokenRule::unless(
            self.finding.as_ref().is_none_or(|finding| {
                usize::from(finding.rule.wrapping_sub(1)) < AuditRule::ALL.len()
                    && finding.role <= 5
                    && finding.culprit.is_some() == matches!(finding.role, 2 | 4 | 5)
            }),
            "a finding names a rule and a party that there is",
        )
    }
}

impl AuditStatement {
    /// What a report says, `time` unix seconds being now. None when it is about more than [`MAX_TRANSCRIPTS`] transcripts, or
    /// of an audit that could not be finished.
    pub fn of(report: &AuditReport, time: u64) -> Option<Self> {
        if report.transcripts.len() > MAX_TRANSCRIPTS || report.answer == Answer::Incomplete {
            return None;
        }
        let finding = report.finding.as_ref().map(|finding| {
            let (role, culprit) = role(finding.culprit);
            AuditedFinding {
                rule: number(finding.rule),
                role,
                culprit,
                place: cut(report.about.as_deref().unwrap_or_default()),
                detail: cut(&finding.detail),
            }
        });
        let mut unchecked: Vec<String> = report.unchecked.iter().map(|what| cut(what)).collect();
        if unchecked.len() > MAX_UNCHECKED {
            let more = unchecked.split_off(MAX_UNCHECKED - 1).len();
            unchecked.push(format!("and {more} more"));
        }
        Some(Self {
            version: 1,
            software: SOFTWARE.to_owned(),
            time,
            federation: report.federation,
            pinned: report.federation_pinned,
            full: report.mode == Mode::Full,
            transcripts: report.transcripts.clone(),
            log: report.log.as_ref().map(|log| AuditedLog {
                size: log.size,
                root: log.root,
                witnesses: log.witnesses.map(|witnesses| AuditedWitnesses {
                    size: witnesses.size,
                    cosigned: witnesses.cosigned as u64,
                    needed: witnesses.needed,
                }),
            }),
            finding,
            unchecked,
        })
    }

    /// Whether no rule was found broken.
    pub fn passed(&self) -> bool {
        self.finding.is_none()
    }
}

impl AuditedFinding {
    /// The rule.
    pub fn rule(&self) -> Option<AuditRule> {
        let place = usize::from(self.rule).checked_sub(1)?;
        AuditRule::ALL.get(place).copied()
    }

    /// Who is to blame, in words.
    pub fn culprit(&self) -> String {
        let role = [
            "the provider",
            "the founders",
            "organisation",
            "the aggregator",
            "steward",
            "device",
        ];
        let role = role
            .get(usize::from(self.role))
            .copied()
            .unwrap_or("nobody");
        match &self.culprit {
            Some(id) => format!("{role} {id}"),
            None => role.to_owned(),
        }
    }
}

fn number(rule: AuditRule) -> u8 {
    let place = AuditRule::ALL.iter().position(|other| *other == rule);
    place.map_or(0, |place| place as u8 + 1)
}

fn role(party: Party) -> (u8, Option<Digest>) {
    match party {
        Party::Provider => (0, None),
        Party::Founders => (1, None),
        Party::Organisation(id) => (2, Some(id.0)),
        Party::Aggregator => (3, None),
        Party::Steward(id) => (4, Some(id.0)),
        Party::Device(id) => (5, Some(id.0)),
    }
}

/// Whether a terminal shows a character and does not obey it; those that change the direction of a line are not shown either.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The beginning of a text, whole characters, a question mark for each that must not be in it.
fn cut(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if is_printable(c) { c } else { '?' })
        .collect();
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
