//! The layers of a personal model that never leave this device (docs/learning.md, section 5.2), in the state directory: one
//! file a task, which only this user may read.
//!
//! A file is replaced as a whole: after a crash it is the old one or the new one. Who can read it knows what the device
//! has learnt from its own data alone; it is never sent, and no message of the protocol depends on it but through training.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use dawn_learn::way::HeadError;
use dawn_learn::{Head, Model, RoundWay};
use dawn_protocol::TaskId;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why the device's own head cannot be had or kept.
#[derive(Debug, Error)]
pub enum HeadsError {
    /// The file cannot be read or written.
    #[error("the device's own layers cannot be kept in {path}: {error}", path = .path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{path} does not hold the device's own layers ({error}): remove it to begin with those of the published model",
        path = .path.display()
    )]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: HeadError,
    },
}

/// The heads of one device.
pub(crate) struct Heads {
    dir: PathBuf,
}

impl Heads {
    /// In a directory that exists.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn path(&self, task: &TaskId) -> PathBuf {
        self.dir.join(format!("head-{task}"))
    }

    /// The device's head in a task; that of the published model before there is one. Empty when nothing is private.
    pub(crate) fn load(
        &self,
        task: &TaskId,
        way: &RoundWay,
        model: &Model,
    ) -> Result<Head, HeadsError> {
        let fresh = way.fresh_head(model);
        if way.head_len() == 0 {
            return Ok(fresh);
        }
        let path = self.path(task);
        // The length is known before anything is read, whatever lies there.
        let bytes = match File::open(&path).and_then(|file| read_bounded(&file, way.head_len())) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(fresh),
            Err(error) => return Err(HeadsError::Storage { path, error }),
        };
        way.read_head(&bytes)
            .map_err(|error| HeadsError::Wrong { path, error })
    }

    /// Keeps a head, unless it is empty. On disk when this returns.
    pub(crate) fn store(&self, task: &TaskId, head: &Head) -> Result<(), HeadsError> {
        if head.weights().is_empty() {
            return Ok(());
        }
        let path = self.path(task);
        self.replace(&path, &head.to_bytes())
            .map_err(|error| HeadsError::Storage { path, error })
    }

    fn replace(&self, path: &PathBuf, bytes: &[u8]) -> io::Result<()> {
        let aside = path.with_extension("new");
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        File::open(&self.dir)?.sync_all()
    }
}

/// All of a file, or one byte more than so many weights take.
fn read_bounded(file: &File, weights: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    use std::io::Read as _;
    // Allocated at once, so that no copy is left behind while it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(4 * weights + 1));
    file.take(4 * weights as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_learn::Way;
    use dawn_protocol::Digest;

    fn way(text: &str, model: &Model) -> RoundWay {
        let way = Way::parse(text, &model.spec()).expect("a way");
        RoundWay::new(&model.spec(), way.as_ref(), &[1; 32], 1).expect("fits")
    }

    fn model(text: &str) -> Model {
        Model::initial(text.parse().expect("a model"), [3; 32]).expect("a model")
    }

    #[test]
    fn a_head_is_kept_for_its_task_and_only_for_its_owner() {
        let dir = tempfile::tempdir().expect("a directory");
        let heads = Heads::new(dir.path().to_owned());
        let (one, two) = (TaskId(Digest([1; 32])), TaskId(Digest([2; 32])));
        let model = model("mlp:4-3-2");
        let personal = way("personal:1", &model);
        let fresh = heads.load(&one, &personal, &model).expect("fresh");
        assert_eq!(fresh.weights(), &model.weights()[15..]);
        let kept = personal.read_head(&[7; 32]).expect("a head");
        heads.store(&one, &kept).expect("kept");
        assert_eq!(heads.load(&one, &personal, &model).expect("kept"), kept);
        assert_eq!(heads.load(&two, &personal, &model).expect("fresh"), fresh);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(heads.path(&one))
                .expect("a file")
                .permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
        // Nothing is kept where nothing is private.
        let averaging = way("fedavg", &model);
        let none = heads.load(&two, &averaging, &model).expect("empty");
        assert!(none.weights().is_empty());
        heads.store(&two, &none).expect("nothing to do");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let heads = Heads::new(dir.path().to_owned());
        let task = TaskId(Digest([1; 32]));
        let model = model("mlp:4-3-2");
        let personal = way("personal:1", &model);
        let lowest = [0, 0, 0, 0x80].repeat(8);
        for bytes in [&[][..], &[1; 31], &[1; 33], &[1; 100_000], &lowest] {
            fs::write(heads.path(&task), bytes).expect("written");
            let refused = heads.load(&task, &personal, &model);
            assert!(matches!(refused, Err(HeadsError::Wrong { .. })));
        }
    }
}
