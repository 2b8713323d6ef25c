//! Where the bytes of a transcript come from: a file, or a detached one together with the payloads and answers beside it
//! (`docs/protocol.md`, section 5.1), read as if it were whole.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use dawn_crypto::digest::Digest;
use dawn_protocol::transcript::{
    DETACHED_MAGIC, Form, Kind, Part, Piece, TranscriptError, VERSION, pieces,
};

use crate::verify::{AuditError, Mode, Options};

/// The name of the folder of payloads and answers beside a transcript.
pub const PAYLOADS_FOLDER: &str = "payloads";

/// A transcript to be read.
#[derive(Debug)]
pub enum Source {
    /// A file as it is.
    File(File),
    /// A detached transcript with its parts.
    Attached(Box<Attached>),
}

impl Source {
    /// Opens a transcript. A full audit of a detached one needs its parts: in [`Options::payloads`], or in the folder
    /// [`PAYLOADS_FOLDER`] beside it, each under its digest.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`]; [`AuditError::PartMissing`] and [`AuditError::PartWrong`] for the first part that is not
    /// there, or is not what its name says.
    pub fn open(path: &Path, options: &Options) -> Result<Self, AuditError> {
        let unreadable = |source| AuditError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(unreadable)?;
        if options.mode == Mode::Light || !is_detached(&mut file).map_err(unreadable)? {
            return Ok(Self::File(file));
        }
        let found = pieces(BufReader::new(&mut file));
        file.rewind().map_err(unreadable)?;
        match found {
            Ok(found) => {
                let folder = match &options.payloads {
                    Some(folder) => folder.clone(),
                    None => path.with_file_name(PAYLOADS_FOLDER),
                };
                Attached::new(path, file, folder, &found).map(|it| Self::Attached(Box::new(it)))
            }
            Err(TranscriptError::Io(error)) => Err(unreadable(error)),
            // The audit will say what is wrong with it.
            Err(_) => Ok(Self::File(file)),
        }
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(out),
            Self::Attached(attached) => attached.read(out),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Attached(attached) => attached.seek(to),
        }
    }
}

/// Writes a part under its digest, whole or not at all. One that is there stays, unless it is not what its name says: an earlier
/// attempt may have been broken off.
///
/// # Errors
/// Those of the file system.
pub fn keep_part(folder: &Path, part: Part, bytes: &[u8]) -> io::Result<()> {
    let name = part.digest().to_string();
    let path = folder.join(&name);
    match open_part(folder, part) {
        Ok((len, file)) if len == bytes.len() as u64 => {
            let (found, _) = part.digest_of(&mut file.take(len))?;
            if found == *part.digest() {
                return Ok(());
            }
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let aside = folder.join(format!("{name}.new"));
    let written = std::fs::write(&aside, bytes).and_then(|()| std::fs::rename(&aside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&aside);
    }
    written
}

/// Opens what lies under the name of a part, and says how long it is; whether it is that part, nobody has looked.
///
/// # Errors
/// Those of the file system; what is no file is refused, because it may never end.
pub fn open_part(folder: &Path, part: Part) -> io::Result<(u64, File)> {
    let path = folder.join(part.digest().to_string());
    let metadata = std::fs::metadata(&path)?;
    if !metadata.is_file() {
        return Err(io::Error::other(format!(
            "{} is not a file",
            path.display()
        )));
    }
    Ok((metadata.len(), File::open(path)?))
}

/// Whether the file begins as a detached transcript.
fn is_detached(file: &mut File) -> io::Result<bool> {
    let mut magic = Vec::new();
    file.take(DETACHED_MAGIC.len() as u64)
        .read_to_end(&mut magic)?;
    file.rewind()?;
    Ok(magic == DETACHED_MAGIC)
}

/// What stands at a place of the whole transcript.
#[derive(Clone, Copy, Debug)]
enum Span {
    /// Bytes of the detached file, from there on.
    Kept(u64),
    /// Few bytes that are in neither.
    Head([u8; HEAD]),
    /// Bytes of a part.
    Part(Digest),
    /// The digest at the end.
    End(Digest),
}

/// Kind and length of a record.
const HEAD: usize = 9;

/// A detached transcript and the folder with its parts, read as the whole transcript. In memory is where each part stands.
#[derive(Debug)]
pub struct Attached {
    detached: File,
    folder: PathBuf,
    /// Where each begins, in order; the last is the end.
    spans: Vec<(u64, Span)>,
    len: u64,
    at: u64,
    /// The part that was read last.
    open: Option<(Digest, File)>,
}

impl Attached {
    fn new(
        path: &Path,
        detached: File,
        folder: PathBuf,
        pieces: &[Piece],
    ) -> Result<Self, AuditError> {
        let begin = [&Form::Whole.magic()[..], &VERSION.to_le_bytes()].concat();
        let skipped = begin.len() as u64;
        let mut spans = Vec::with_capacity(2 * pieces.len() + 1);
        let mut len = 0;
        let mut push = |span, bytes: u64| {
            spans.push((len, span));
            len += bytes;
        };
        let mut first = [0; HEAD];
        first[..begin.len()].copy_from_slice(&begin);
        push(Span::Head(first), skipped);
        for piece in pieces {
            match piece {
                // The magic is another one.
                Piece::Kept(0, bytes) => push(Span::Kept(skipped), bytes.saturating_sub(skipped)),
                Piece::Kept(from, bytes) => push(Span::Kept(*from), *bytes),
                Piece::Part(part, bytes) => {
                    check(path, &folder, *part, *bytes)?;
                    push(Span::Head(head(part.kind(), *bytes)), HEAD as u64);
                    push(Span::Part(*part.digest()), *bytes);
                }
                Piece::End(digest) => {
                    push(Span::Head(head(Kind::End, 32)), HEAD as u64);
                    push(Span::End(*digest), 32);
                }
            }
        }
        Ok(Self {
            detached,
            folder,
            spans,
            len,
            at: 0,
            open: None,
        })
    }

    fn part(&mut self, digest: &Digest) -> io::Result<&mut File> {
        if self.open.as_ref().is_none_or(|(open, _)| open != digest) {
            let file = File::open(self.folder.join(digest.to_string()))?;
            self.open = Some((*digest, file));
        }
        let open = self.open.as_mut();
        Ok(&mut open.ok_or(io::ErrorKind::NotFound)?.1)
    }
}

impl Read for Attached {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let next = self.spans.partition_point(|(from, _)| *from <= self.at);
        let Some((from, span)) = next.checked_sub(1).map(|place| self.spans[place]) else {
            return Ok(0);
        };
        let end = self.spans.get(next).map_or(self.len, |(from, _)| *from);
        let (skip, left) = (self.at - from, end.saturating_sub(self.at));
        let most = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let out = &mut out[..most];
        let copied = |bytes: &[u8], out: &mut [u8]| {
            let skip = usize::try_from(skip).unwrap_or(usize::MAX);
            bytes.get(skip..).unwrap_or_default().read(out)
        };
        let read = match span {
            Span::Head(bytes) => copied(&bytes, out)?,
            Span::End(digest) => copied(&digest.0, out)?,
            Span::Kept(first) => {
                self.detached.seek(SeekFrom::Start(first + skip))?;
                self.detached.read(out)?
            }
            Span::Part(digest) => {
                let file = self.part(&digest)?;
                file.seek(SeekFrom::Start(skip))?;
                file.read(out)?
            }
        };
        if read == 0 && left > 0 && most > 0 {
            // A file that became shorter since it was looked at.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Attached {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

fn head(kind: Kind, bytes: u64) -> [u8; HEAD] {
    let mut head = [kind as u8; HEAD];
    head[1..].copy_from_slice(&bytes.to_le_bytes());
    head
}

/// Whether a part is there, of so many bytes, and has the digest that is its name.
fn check(path: &Path, folder: &Path, part: Part, bytes: u64) -> Result<(), AuditError> {
    let name = folder.join(part.digest().to_string());
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => AuditError::PartMissing {
            path: path.to_owned(),
            part: name.clone(),
        },
        _ => AuditError::Unreadable {
            path: name.clone(),
            source,
        },
    };
    let (len, file) = open_part(folder, part).map_err(unreadable)?;
    // What has another length is not read: it may be long.
    if len != bytes {
        return Err(AuditError::PartWrong(name));
    }
    let (found, read) = part.digest_of(&mut file.take(bytes)).map_err(unreadable)?;
    if found != *part.digest() || read != bytes {
        return Err(AuditError::PartWrong(name));
    }
    Ok(())
}
