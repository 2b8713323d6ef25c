//! Following a log that grows: every head extends the last, what stewards have cosigned is this log, nobody is heard twice, and
//! what is spent adds up.
//!
//! A monitor needs no transcripts. It keeps what it has seen in a folder, so that after a restart it still knows what the
//! service has promised: `federation` (the founding document), `head` (the last signed head), `entries` (`length u32 LE | entry`
//! for each), `checkpoint` (the longest one that stewards have cosigned, a signed note), and in `evidence/` what was signed and
//! contradicts each other. Where entries come from is behind [`LogSource`].

use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::{Frontier, leaf_hash};
use dawn_identity::{FoundingDocument, Signed, VerifiedFederation};
use dawn_protocol::log::LogHead;
use dawn_protocol::tlog::{Checkpoint, SignedNote, TlogError};
use dawn_transport::{Api, TransportError};

use crate::finding::{Finding, Party};
use crate::report::Witnesses;
use crate::rule::AuditRule;
use crate::verify::DEFAULT_MAX_BYTES;
use crate::watched::{Told, Watched};

mod ahead;
mod folder;
mod witnessed;

use ahead::{may_replace, next_kept};

pub use folder::WatchError;
use folder::{at, kept, replace};

/// Entries asked for at a time.
const PAGE: u32 = 500;
/// New entries that one look tells of; more are counted. A first look at a long log would fill the memory.
pub const MAX_TOLD: usize = 10_000;

/// Where a log comes from.
pub trait LogSource {
    /// The founding document that the source names.
    fn federation(&self) -> impl Future<Output = Result<FoundingDocument, TransportError>> + Send;
    /// The newest signed head.
    fn head(&self) -> impl Future<Output = Result<Signed<LogHead>, TransportError>> + Send;
    /// The newest checkpoint that is said to have the cosignatures of T stewards; none while there is none.
    fn witnessed(&self) -> impl Future<Output = Result<Option<SignedNote>, TransportError>> + Send;
    /// At most `limit` entries from index `from` on.
    fn entries(
        &self,
        from: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Vec<u8>>, TransportError>> + Send;
}

impl LogSource for Api {
    async fn federation(&self) -> Result<FoundingDocument, TransportError> {
        Api::federation(self).await
    }

    async fn head(&self) -> Result<Signed<LogHead>, TransportError> {
        self.log_head().await
    }

    async fn witnessed(&self) -> Result<Option<SignedNote>, TransportError> {
        match self.witnessed_checkpoint().await {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, TransportError> {
        let entries = self.log_entries(from, limit).await?;
        Ok(entries.into_iter().map(|entry| entry.envelope).collect())
    }
}

/// What one look at the log found.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// What is new, entry by entry, at most [`MAX_TOLD`].
    pub told: Vec<Told>,
    /// How many more entries are new.
    pub untold: u64,
    /// Rules that are broken; what was found before a restart is found again when the state is opened.
    pub findings: Vec<Finding>,
    /// The log is not an extension of what was seen: nothing of it was taken.
    pub forked: bool,
}

/// A log that is watched.
pub struct Watch {
    folder: PathBuf,
    federation: VerifiedFederation,
    head: Option<Signed<LogHead>>,
    frontier: Frontier,
    /// The leaves under it, for the roots of checkpoints that are behind the head.
    leaves: Vec<Digest>,
    checkpoint: Option<(Checkpoint, Witnesses)>,
    entries: File,
    /// Bytes of the entries that the last head promises.
    bytes: u64,
    max_bytes: u64,
    watched: Watched,
    standing: Vec<Finding>,
}

impl Watch {
    /// Opens the state in `folder`, or begins it with the federation that the source names, which must have the pinned digest
    /// when there is one.
    ///
    /// # Errors
    /// [`WatchError`].
    pub async fn open<S: LogSource>(
        folder: &Path,
        source: &S,
        pin: Option<&Digest>,
    ) -> Result<Self, WatchError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        let path = folder.join("federation");
        let (document, is_new) = match kept(&path)? {
            Some(bytes) => {
                let document = FoundingDocument::from_bytes(&bytes);
                (
                    document.map_err(|_| WatchError::Foreign(path.clone()))?,
                    false,
                )
            }
            None => (source.federation().await?, true),
        };
        let other = |why: String| WatchError::OtherFederation {
            expected: pin.map_or_else(|| "that is watched here".to_owned(), Digest::to_string),
            why,
        };
        let federation = match pin {
            Some(pin) => document.verify_pinned(pin),
            None => document.verify(),
        };
        let federation = federation.map_err(|error| other(error.to_string()))?;
        if is_new {
            replace(&path, &document.to_bytes())?;
        }
        let path = folder.join("entries");
        let entries = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(at(&path))?;
        let mut watch = Self {
            watched: Watched::new(&federation),
            folder: folder.to_owned(),
            federation,
            head: None,
            frontier: Frontier::new(),
            leaves: Vec::new(),
            checkpoint: None,
            entries,
            bytes: 0,
            max_bytes: DEFAULT_MAX_BYTES,
            standing: Vec::new(),
        };
        watch.read_again(&path)?;
        watch.read_checkpoint()?;
        watch.read_evidence()?;
        Ok(watch)
    }

    /// Keeps at most so many bytes of entries; [`DEFAULT_MAX_BYTES`] when nothing is said.
    pub fn limit(&mut self, max_bytes: u64) {
        self.max_bytes = max_bytes;
    }

    /// The federation that is watched.
    pub fn federation(&self) -> Digest {
        self.federation.digest()
    }

    /// How many entries were seen.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// What was found broken in what is kept here. It stays broken.
    pub fn standing(&self) -> &[Finding] {
        &self.standing
    }

    /// Looks once: takes everything that is new.
    ///
    /// # Errors
    /// [`WatchError`]; what was taken before it stays.
    pub async fn look<S: LogSource>(&mut self, source: &S) -> Result<Look, WatchError> {
        let mut look = Look::default();
        // Before the head: a log never becomes smaller.
        let shown = source.witnessed().await?;
        let head = source.head().await?;
        let is_longer = match &self.head {
            Some(before) => head.peek().size > before.peek().size,
            None => true,
        };
        // Of a longer one the entries may say that the key was replaced.
        let signed = self.watched.log_keys().head(&head);
        if let Err(error) = signed
            && !(is_longer && matches!(error, TlogError::UnknownKey(_)))
        {
            unsigned(&error, &mut look);
            return Ok(look);
        }
        let mut look = if is_longer {
            self.extend(source, head, look).await?
        } else {
            self.not_longer(&head, look)?
        };
        if let Some(note) = shown
            && !look.forked
        {
            self.compare(&note, &mut look)?;
        }
        Ok(look)
    }

    /// A head over no more entries than the last one.
    fn not_longer(&mut self, head: &Signed<LogHead>, mut look: Look) -> Result<Look, WatchError> {
        let Some(before) = &self.head else {
            return Ok(look);
        };
        let (old, new) = (before.peek(), head.peek());
        if new.size == old.size && new.root == old.root {
            return Ok(look);
        }
        // A replica that lags shows an older head; only a newer one that says less takes something back.
        if new.size < old.size && new.time_ms < old.time_ms {
            return Ok(look);
        }
        let what = if new.size == old.size {
            format!(
                "two signed heads over {} entries with different roots",
                new.size
            )
        } else {
            format!(
                "a signed head over {} entries after one over {}",
                new.size, old.size
            )
        };
        self.contradiction(&head_file(head), &what, &mut look)?;
        Ok(look)
    }

    /// Takes the entries up to a longer head, when they lead to it and say that its key is the log's.
    async fn extend<S: LogSource>(
        &mut self,
        source: &S,
        head: Signed<LogHead>,
        mut look: Look,
    ) -> Result<Look, WatchError> {
        let size = head.peek().size;
        let mut frontier = self.frontier.clone();
        // Written as they come, so that no log is too long for the memory; cut off again when they do not lead to the head.
        self.entries.set_len(self.bytes).map_err(at(&self.folder))?;
        let mut bytes = self.bytes;
        let mut replaced = false;
        while frontier.size() < size {
            let left = u32::try_from(size - frontier.size())
                .unwrap_or(PAGE)
                .min(PAGE);
            let page = source.entries(frontier.size(), left).await?;
            if page.is_empty() {
                if let Err(error) = self.watched.log_keys().head(&head) {
                    unsigned(&error, &mut look);
                    return Ok(look);
                }
                look.findings.push(broken(format_args!(
                    "the signed head is over {size} entries, the service gives {}",
                    frontier.size()
                )));
                return Ok(look);
            }
            for entry in page.into_iter().take(left as usize) {
                bytes += 4 + entry.len() as u64;
                if bytes > self.max_bytes {
                    return Err(WatchError::TooMuch(self.max_bytes));
                }
                frontier.push(leaf_hash(&entry));
                replaced |= may_replace(&entry);
                self.keep(&entry)?;
            }
        }
        let signed = match replaced {
            true => self.log_keys_ahead(size)?.head(&head),
            false => self.watched.log_keys().head(&head),
        };
        if let Err(error) = signed {
            unsigned(&error, &mut look);
            return Ok(look);
        }
        if frontier.root() != head.peek().root {
            let what = format!(
                "the entries up to the signed head over {size} do not lead to its root from those that were seen"
            );
            self.contradiction(&head_file(&head), &what, &mut look)?;
            return Ok(look);
        }
        self.entries.sync_data().map_err(at(&self.folder))?;
        replace(&self.folder.join("head"), head.bytes())?;
        self.head = Some(head);
        self.take_in(size, &mut look)?;
        self.standing.extend(look.findings.iter().cloned());
        Ok(look)
    }

    fn keep(&mut self, entry: &[u8]) -> Result<(), WatchError> {
        let len = (entry.len() as u32).to_le_bytes();
        let record = [&len[..], entry].concat();
        self.entries.write_all(&record).map_err(at(&self.folder))
    }

    /// What the log's key has signed now (a file's name and bytes) and the last head cannot both be of one log: both are kept,
    /// and it stays found.
    fn contradiction(
        &mut self,
        (name, bytes): &(String, Vec<u8>),
        what: &str,
        look: &mut Look,
    ) -> Result<(), WatchError> {
        let evidence = self.folder.join(EVIDENCE);
        fs::create_dir_all(&evidence).map_err(at(&evidence))?;
        if let Some((name, bytes)) = self.head.as_ref().map(head_file) {
            replace(&evidence.join(name), &bytes)?;
        }
        replace(&evidence.join(name), bytes)?;
        look.forked = true;
        let finding = broken(format_args!("{what}; both are in {}", evidence.display()));
        self.standing.push(finding.clone());
        look.findings.push(finding);
        Ok(())
    }

    /// A fork that was found is not forgotten because the service shows the first history again.
    fn read_evidence(&mut self) -> Result<(), WatchError> {
        let evidence = self.folder.join(EVIDENCE);
        let found = match fs::read_dir(&evidence) {
            Ok(mut files) => files.next().is_some(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(at(&evidence)(error)),
        };
        if found {
            self.standing.push(broken(format_args!(
                "the log's key has signed what cannot be of one log: see {}",
                evidence.display()
            )));
        }
        Ok(())
    }

    /// Reads what was kept: all entries that the last head promises. What was written after it is cut off.
    fn read_again(&mut self, path: &Path) -> Result<(), WatchError> {
        let folder = self.folder.clone();
        let foreign = || WatchError::Foreign(folder.clone());
        let head = match kept(&self.folder.join("head"))? {
            Some(bytes) => {
                let head = Signed::<LogHead>::from_bytes(&bytes).map_err(|_| foreign())?;
                Some(head)
            }
            None => None,
        };
        let size = head.as_ref().map_or(0, |head| head.peek().size);
        let mut look = Look::default();
        self.take_in(size, &mut look)?;
        let keys = self.watched.log_keys();
        if head.as_ref().is_some_and(|head| {
            head.peek().root != self.frontier.root() || keys.head(head).is_err()
        }) {
            return Err(foreign());
        }
        self.standing = look.findings;
        self.entries.set_len(self.bytes).map_err(at(path))?;
        self.head = head;
        Ok(())
    }

    /// Notes what is on the disk, from what was noted before up to `size` entries.
    fn take_in(&mut self, size: u64, look: &mut Look) -> Result<(), WatchError> {
        let folder = self.folder.clone();
        let foreign = || WatchError::Foreign(folder.clone());
        let mut input = BufReader::new(&self.entries);
        let start = SeekFrom::Start(self.bytes);
        input.seek(start).map_err(at(&self.folder))?;
        for index in self.frontier.size()..size {
            let entry = next_kept(&mut input).ok_or_else(foreign)?;
            self.bytes += 4 + entry.len() as u64;
            let leaf = leaf_hash(&entry);
            self.frontier.push(leaf);
            self.leaves.push(leaf);
            let (told, findings) = self.watched.note(index, &entry);
            if look.told.len() < MAX_TOLD {
                look.told.push(told);
            } else {
                look.untold += 1;
            }
            look.findings.extend(findings);
        }
        Ok(())
    }
}

/// The folder of what contradicts each other.
const EVIDENCE: &str = "evidence";

/// What a signed head is called in the folder of evidence.
fn head_file(head: &Signed<LogHead>) -> (String, Vec<u8>) {
    let name = format!("head-{}-{}.cose", head.peek().size, head.envelope_digest());
    (name, head.bytes().to_vec())
}

/// Nothing is taken from a head that the log's key did not sign, and nothing kept as evidence against it.
fn unsigned(error: &TlogError, look: &mut Look) {
    look.findings.push(broken(format_args!(
        "a head that the log's key did not sign: {error}"
    )));
    look.forked = true;
}

fn broken(detail: std::fmt::Arguments<'_>) -> Finding {
    Finding::new(AuditRule::Log, Party::Aggregator, detail)
}
