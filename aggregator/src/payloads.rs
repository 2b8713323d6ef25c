//! Bytes that are too large for rows: payloads, sealed packages, models, transcripts.
//!
//! An object is written before the row that names it commits, and synced before that when the server is
//! durable; what is written and never named is swept later. Whoever can change the store can at most make
//! a round fail: every object is checked against a digest that a party signed.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use dawn_crypto::digest::Digest;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};

/// Bytes that an upload holds in memory: the smallest part that the clouds take.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// Bytes of the largest model: 2^24 weights and their specification.
pub(crate) const MOST_MODEL_BYTES: u64 = (4 << 24) + 1024;

/// Why the store of objects failed.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The store itself failed.
    #[error("object store: {0}")]
    Store(#[from] object_store::Error),
    /// The directory cannot be made.
    #[error("cannot make the object directory {0}: {1}")]
    Directory(PathBuf, std::io::Error),
    /// An object cannot be read.
    #[error("cannot read the object {0}: {1}")]
    Unreadable(String, io::Error),
    /// An object is larger than what its kind may be.
    #[error("the object {0} is larger than {1} bytes")]
    TooLarge(String, u64),
}

impl PayloadError {
    /// Whether the object simply is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Store(object_store::Error::NotFound { .. }))
    }
}

/// The name of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectKey(Path);

impl ObjectKey {
    /// The masked vector with this digest.
    pub fn payload(digest: &Digest) -> Self {
        Self(Path::from(format!("payloads/{digest}")))
    }

    /// The sealed packages of the submission whose signed header has this digest.
    pub fn packages(task: &Digest, round: u32, header: &Digest) -> Self {
        Self(Path::from(format!("packages/{task}/{round}/{header}")))
    }

    /// Weights, by their digest.
    pub fn model(digest: &Digest) -> Self {
        Self(Path::from(format!("models/{digest}")))
    }

    /// The public set of a distillation, by its digest.
    pub fn public_set(digest: &Digest) -> Self {
        Self(Path::from(format!("public-sets/{digest}")))
    }

    /// A steward's answers about the submissions of a round, by their digest.
    pub fn answers(task: &Digest, round: u32, digest: &Digest) -> Self {
        Self(Path::from(format!("answers/{task}/{round}/{digest}")))
    }

    /// The public scalars of the submissions of a round.
    pub fn scalars(task: &Digest, round: u32) -> Self {
        Self(Path::from(format!("scalars/{task}/{round}")))
    }

    /// The finished transcript of a round.
    pub fn transcript(task: &Digest, round: u32) -> Self {
        Self(Path::from(format!("transcripts/{task}/{round}")))
    }

    /// The same without payloads and answers.
    pub fn detached_transcript(task: &Digest, round: u32) -> Self {
        Self(Path::from(format!("detached-transcripts/{task}/{round}")))
    }

    /// The last part of the name.
    pub fn file_name(&self) -> &str {
        self.0.filename().unwrap_or_default()
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The store of objects: a local folder. Clones are of the same folder.
#[derive(Debug, Clone)]
pub struct Payloads {
    store: LocalFileSystem,
    directory: PathBuf,
}

impl Payloads {
    /// Opens the folder, making it when it is missing. With `durable`, a finished write survives a power failure.
    ///
    /// # Errors
    /// The folder cannot be made or used.
    pub fn open(directory: PathBuf, durable: bool) -> Result<Self, PayloadError> {
        std::fs::create_dir_all(&directory)
            .map_err(|error| PayloadError::Directory(directory.clone(), error))?;
        let store = LocalFileSystem::new_with_prefix(&directory)?.with_fsync(durable);
        Ok(Self { store, directory })
    }

    /// Writes a whole object under its name, atomically.
    pub async fn put(&self, key: &ObjectKey, bytes: impl Into<Bytes>) -> Result<(), PayloadError> {
        self.store
            .put(&key.0, PutPayload::from_bytes(bytes.into()))
            .await?;
        Ok(())
    }

    /// Begins an object that arrives in pieces; it appears under its name when it is finished, or never.
    pub async fn begin(&self, key: &ObjectKey) -> Result<ObjectWriter, PayloadError> {
        let upload = self.store.put_multipart(&key.0).await?;
        Ok(ObjectWriter {
            upload,
            buffer: BytesMut::new(),
        })
    }

    /// Reads a whole object of at most `limit` bytes.
    pub async fn get(&self, key: &ObjectKey, limit: u64) -> Result<Bytes, PayloadError> {
        let found = self.store.get(&key.0).await?;
        if found.meta.size > limit {
            return Err(PayloadError::TooLarge(key.to_string(), limit));
        }
        Ok(found.bytes().await?)
    }

    /// Size of an object and a stream of its bytes.
    pub async fn stream(
        &self,
        key: &ObjectKey,
    ) -> Result<
        (
            u64,
            impl futures_util::Stream<Item = Result<Bytes, object_store::Error>> + Send + 'static,
        ),
        PayloadError,
    > {
        let found = self.store.get(&key.0).await?;
        Ok((found.meta.size, found.into_stream()))
    }

    /// An object and its size, for computations, which read it on threads of their own.
    ///
    /// # Errors
    /// It is not there, or cannot be opened.
    pub fn open_blocking(&self, key: &ObjectKey) -> Result<(u64, File), PayloadError> {
        let path = self.store.path_to_filesystem(&key.0)?;
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        opened.map_err(|error| PayloadError::Unreadable(key.to_string(), error))
    }

    /// Whether the object is there.
    pub async fn exists(&self, key: &ObjectKey) -> Result<bool, PayloadError> {
        match self.store.head(&key.0).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes an object; one that is not there is fine.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), PayloadError> {
        match self.store.delete(&key.0).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the sealed packages of a whole round.
    pub async fn delete_packages(&self, task: &Digest, round: u32) -> Result<usize, PayloadError> {
        let prefix = Path::from(format!("packages/{task}/{round}"));
        let found: Vec<_> = self.store.list(Some(&prefix)).try_collect().await?;
        for object in &found {
            self.delete(&ObjectKey(object.location.clone())).await?;
        }
        Ok(found.len())
    }

    /// Objects of a folder that were written before `before` (unix seconds).
    pub async fn older_than(
        &self,
        folder: &'static str,
        before: u64,
    ) -> Result<Vec<ObjectKey>, PayloadError> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let found = self.store.list(Some(&Path::from(folder)));
        let keys = found
            .try_filter(|object| std::future::ready(object.last_modified.timestamp() < before))
            .map_ok(|object| ObjectKey(object.location))
            .try_collect()
            .await?;
        Ok(keys)
    }

    /// Deletes files of uploads that were broken off before `before` (unix seconds) by a crash: they never
    /// got a name, so listing does not show them. Says how many.
    pub async fn delete_unfinished(&self, before: u64) -> Result<usize, PayloadError> {
        let directory = self.directory.clone();
        let before = UNIX_EPOCH + Duration::from_secs(before);
        tokio::task::spawn_blocking(move || {
            delete_unfinished_below(&directory, before)
                .map_err(|error| PayloadError::Directory(directory, error))
        })
        .await
        .unwrap_or(Ok(0))
    }
}

/// Whether a file name is that of an upload in progress: a name, `#`, and a number.
fn is_unfinished(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    name.split_once('#').is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn delete_unfinished_below(directory: &std::path::Path, before: SystemTime) -> io::Result<usize> {
    let mut deleted = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // A file that is gone meanwhile was finished or given up.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            deleted += delete_unfinished_below(&entry.path(), before)?;
        } else if is_unfinished(&entry.file_name())
            && metadata.modified().is_ok_and(|modified| modified < before)
            && std::fs::remove_file(entry.path()).is_ok()
        {
            deleted += 1;
        }
    }
    Ok(deleted)
}

/// An object that is being written. Dropping it without [`ObjectWriter::finish`] leaves nothing.
#[derive(Debug)]
pub struct ObjectWriter {
    upload: Box<dyn MultipartUpload>,
    buffer: BytesMut,
}

impl ObjectWriter {
    /// Appends bytes.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), PayloadError> {
        while !bytes.is_empty() {
            let room = PART_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == PART_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), PayloadError> {
        let part = self.buffer.split().freeze();
        self.upload.put_part(PutPayload::from_bytes(part)).await?;
        Ok(())
    }

    /// Makes the object appear under its name, durably.
    pub async fn finish(mut self) -> Result<(), PayloadError> {
        if !self.buffer.is_empty() {
            self.flush().await?;
        }
        self.upload.complete().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, Payloads) {
        let dir = tempfile::tempdir().expect("a directory");
        let payloads = Payloads::open(dir.path().join("objects"), false).expect("opens");
        (dir, payloads)
    }

    fn files(dir: &std::path::Path) -> usize {
        let Ok(entries) = std::fs::read_dir(dir) else {
            return 0;
        };
        entries
            .filter_map(Result::ok)
            .map(|entry| {
                if entry.path().is_dir() {
                    files(&entry.path())
                } else {
                    1
                }
            })
            .sum()
    }

    #[tokio::test]
    async fn an_unfinished_object_leaves_nothing() {
        let (dir, payloads) = open();
        let key = ObjectKey::payload(&Digest([7; 32]));
        let mut writer = payloads.begin(&key).await.expect("begins");
        writer
            .write(&vec![1; PART_BYTES + 17])
            .await
            .expect("writes");
        drop(writer);
        // The file is removed by a blocking task of the runtime.
        for _ in 0..200 {
            if files(dir.path()) == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(files(dir.path()), 0);
        assert!(!payloads.exists(&key).await.expect("asks"));
    }

    #[tokio::test]
    async fn what_a_crash_broke_off_is_deleted_when_it_is_old() {
        let (dir, payloads) = open();
        let key = ObjectKey::payload(&Digest([7; 32]));
        payloads.put(&key, vec![1]).await.expect("writes");
        let mut writer = payloads
            .begin(&ObjectKey::payload(&Digest([8; 32])))
            .await
            .expect("begins");
        writer.write(&vec![1; PART_BYTES]).await.expect("writes");
        // As a crash would leave it.
        std::mem::forget(writer);
        assert_eq!(files(dir.path()), 2);
        assert_eq!(payloads.delete_unfinished(1000).await.expect("sweeps"), 0);
        let later = crate::clock::now_s() + 10;
        assert_eq!(payloads.delete_unfinished(later).await.expect("sweeps"), 1);
        assert_eq!(files(dir.path()), 1);
        assert!(payloads.exists(&key).await.expect("asks"));
    }

    #[tokio::test]
    async fn a_finished_object_is_read_back() {
        let (_dir, payloads) = open();
        let key = ObjectKey::payload(&Digest([7; 32]));
        let bytes: Vec<u8> = (0..PART_BYTES + 17).map(|i| (i % 251) as u8).collect();
        let mut writer = payloads.begin(&key).await.expect("begins");
        for piece in bytes.chunks(100_003) {
            writer.write(piece).await.expect("writes");
        }
        writer.finish().await.expect("finishes");
        assert_eq!(payloads.get(&key, 1 << 24).await.expect("reads"), bytes);
        assert!(matches!(
            payloads.get(&key, 100).await,
            Err(PayloadError::TooLarge(..))
        ));
    }

    #[tokio::test]
    async fn packages_of_one_round_are_deleted_alone() {
        let (_dir, payloads) = open();
        let task = Digest([1; 32]);
        for round in [1, 10] {
            for header in 0..3 {
                let key = ObjectKey::packages(&task, round, &Digest([header; 32]));
                payloads.put(&key, vec![0; 8]).await.expect("writes");
            }
        }
        assert_eq!(
            payloads.delete_packages(&task, 1).await.expect("deletes"),
            3
        );
        assert_eq!(
            payloads.delete_packages(&task, 1).await.expect("deletes"),
            0
        );
        let other = ObjectKey::packages(&task, 10, &Digest([0; 32]));
        assert!(payloads.exists(&other).await.expect("asks"));
    }
}
