//! The log in a file, and what it must contain (A18).
//!
//! ```text
//! "DWNL" | head length u32 LE | signed head | for each entry: length u32 LE | envelope
//! ```
//!
//! Entries have no index in the file: their position is their index, so there can be no gap.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read, Write};

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::{Frontier, leaf_hash};
use dawn_identity::{Envelope, Members, Register, Signed, VerifiedFederation};
use dawn_protocol::log::LogHead;
use dawn_protocol::tlog::LogKeys;
use dawn_protocol::{MAX_STATEMENT_BYTES, RoundId};

use crate::finding::{Finding, Party};
use crate::heard::Heard;
use crate::logged_register::LoggedRegister;
use crate::logged_round::LoggedRounds;
use crate::records::Stop;
use crate::report::{LogReport, Witnesses};
use crate::rule::AuditRule;
use crate::said::Said;

/// The first four bytes of a log file.
pub const MAGIC: [u8; 4] = *b"DWNL";

/// The log's leaves under a verified head.
#[derive(Debug)]
pub(crate) struct VerifiedLog<'a> {
    leaves: BTreeSet<Digest>,
    heard: Heard,
    rounds: LoggedRounds<'a>,
    size: u64,
    root: Digest,
    /// The root at the size that was asked for.
    root_at: Option<Digest>,
    /// The register as of the end.
    register: Register,
    keys: LogKeys,
}

/// Writes a log file: the head, then entry by entry.
#[derive(Debug)]
pub struct LogWriter<W>(W);

impl<W: Write> LogWriter<W> {
    /// Begins a file with the signed head over the entries that will follow.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(mut out: W, head: &Signed<LogHead>) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        let mut writer = Self(out);
        writer.entry(head.bytes())?;
        Ok(writer)
    }

    /// The next entry's envelope.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn entry(&mut self, envelope: &[u8]) -> io::Result<()> {
        let len = u32::try_from(envelope.len()).map_err(io::Error::other)?;
        self.0.write_all(&len.to_le_bytes())?;
        self.0.write_all(envelope)
    }

    /// Flushes and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.0.flush()?;
        Ok(self.0)
    }
}

/// Reads and verifies a log: entries without gaps under a head that the log's key signed, and no
/// party heard twice in one round. It is going to be compared with what these transcripts say.
pub(crate) fn read<'a, R: Read>(
    input: R,
    federation: &VerifiedFederation,
    at: Option<u64>,
    said: impl Iterator<Item = &'a Said>,
) -> Result<VerifiedLog<'a>, Stop> {
    let mut input = BufReader::new(input);
    let mut magic = [0; 4];
    input.read_exact(&mut magic).map_err(ended)?;
    if magic != MAGIC {
        return Err(provider("it does not begin with DWNL").into());
    }
    let head = next(&mut input)?.ok_or_else(|| provider("it ends before its head"))?;
    let head = Signed::<LogHead>::from_bytes(&head).map_err(provider)?;
    let signed = head.clone();
    let head = head.peek();
    let mut frontier = Frontier::new();
    let mut leaves = BTreeSet::new();
    let mut heard = Heard::new();
    let mut rounds = LoggedRounds::of(said, head.time_ms / 1000);
    let mut register = LoggedRegister::new(federation);
    // Told when the head shows that these are the aggregator's entries, in its order: anybody can write into a file.
    let mut broken = None;
    let mut root_at = None;
    let mut members = Register::new(federation);
    let mut keys = LogKeys::founded(&federation.log);
    while let Some(entry) = next(&mut input)? {
        let leaf = leaf_hash(&entry);
        frontier.push(leaf);
        leaves.insert(leaf);
        if at == Some(frontier.size()) {
            root_at = Some(frontier.root());
        }
        // The founding document is no envelope.
        if let Ok(envelope) = Envelope::parse(&entry, MAX_STATEMENT_BYTES) {
            let noted = [
                heard.note(&envelope, members.members()),
                register.note(&envelope),
            ];
            for finding in noted.into_iter().filter_map(Result::err) {
                broken.get_or_insert(finding);
            }
            rounds.note(&envelope, members.members());
            // What is no entry of the register is not taken; a round with one that is wrong breaks A03.
            if members.push(&entry).is_ok() {
                keys.note(frontier.size(), members.members().log());
            }
        }
    }
    if (frontier.size(), frontier.root()) != (head.size, head.root) {
        let detail = format_args!(
            "{} entries are here, the signed head is over {} with another root",
            frontier.size(),
            head.size
        )
        .to_string();
        return Err(provider(detail).into());
    }
    // Which key signs a log of this size, its own entries say.
    keys.head(&signed).map_err(provider)?;
    if let Some(finding) = broken {
        return Err(finding.into());
    }
    Ok(VerifiedLog {
        leaves,
        heard,
        rounds,
        size: head.size,
        root: head.root,
        root_at,
        register: members,
        keys,
    })
}

impl VerifiedLog<'_> {
    /// Every statement of a transcript is in the log, and every one that is in the log and about its round is in the transcript.
    pub(crate) fn agrees(&self, place: &str, said: &Said) -> Result<(), Finding> {
        let mut all = said.statements().iter();
        if let Some(missing) = all.find(|said| !self.leaves.contains(&said.leaf)) {
            return Err(Finding::new(
                AuditRule::Log,
                self.rounds.hider(missing, &self.heard),
                format_args!("a {} of {place} is not in the log", missing.kind),
            ));
        }
        self.rounds.check(place, said, &self.heard)
    }

    /// Rounds that are over, as the aggregator says in the log.
    pub(crate) fn ended(&self) -> BTreeSet<RoundId> {
        self.heard.ended()
    }

    /// The root at the size that [`read`] was asked for; none when the log is shorter.
    pub(crate) fn root_at_checkpoint(&self) -> Option<Digest> {
        self.root_at
    }

    /// Which keys may sign which sizes.
    pub(crate) fn keys(&self) -> &LogKeys {
        &self.keys
    }

    /// The register as of the end.
    pub(crate) fn members(&self) -> &Members {
        self.register.members()
    }

    pub(crate) fn report(
        &self,
        statements_found: usize,
        witnesses: Option<Witnesses>,
    ) -> LogReport {
        LogReport {
            witnesses,
            size: self.size,
            root: self.root,
            statements_found,
        }
    }
}

fn next(input: &mut impl Read) -> Result<Option<Vec<u8>>, Stop> {
    let mut len = [0; 4];
    match input.read(&mut len[..1]).map_err(Stop::Unreadable)? {
        0 => return Ok(None),
        _ => input.read_exact(&mut len[1..]).map_err(ended)?,
    }
    let len = u32::from_le_bytes(len) as usize;
    if len == 0 || len > MAX_STATEMENT_BYTES {
        return Err(provider("an entry is empty or longer than 65,535 bytes").into());
    }
    let mut bytes = vec![0; len];
    input.read_exact(&mut bytes).map_err(ended)?;
    Ok(Some(bytes))
}

fn ended(error: io::Error) -> Stop {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => provider("it ends in the middle of an entry").into(),
        _ => Stop::Unreadable(error),
    }
}

fn provider(detail: impl std::fmt::Display) -> Finding {
    Finding::new(
        AuditRule::Log,
        Party::Provider,
        format_args!("the log: {detail}"),
    )
}
