//! The log as plain files (C2SP tlog-tiles), for anybody to serve, keep or verify: `checkpoint`, `tile/<level>/...` and
//! `tile/entries/...`. The tree is computed from the entries, so that nothing is written that does not lead to the root
//! which the log has signed.

use std::path::{Path, PathBuf};

use dawn_crypto::merkle::{Frontier, leaf_hash};
use dawn_identity::VerifiedFederation;
use dawn_protocol::Digest;
use dawn_protocol::tlog::tile::{Bundle, HEIGHT, TileId, WIDTH, tile_bytes};
use dawn_protocol::tlog::{Checkpoint, SignedNote, TlogError, origin};

use crate::api::Api;
use crate::error::TransportError;

/// Why a log is not copied.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The server.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The checkpoint, or a file that was there before.
    #[error(transparent)]
    Tlog(#[from] TlogError),
    /// The entries are not those that the log has signed.
    #[error("the entries do not lead to the root of the checkpoint, which is signed by the log")]
    OtherRoot,
    /// A file.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// The tiles of a tree that grows, written when they are full.
struct Tiles<'a> {
    dir: &'a Path,
    frontier: Frontier,
    /// For every level, how many tiles are written, and the hashes of the next.
    levels: Vec<(u64, Vec<Digest>)>,
}

impl Tiles<'_> {
    fn push(&mut self, leaf: Digest) -> Result<(), ExportError> {
        let levels = &mut self.levels;
        let mut add = |level: usize, hash: Digest| {
            if levels.len() <= level {
                levels.resize_with(level + 1, Default::default);
            }
            if let Some((_, hashes)) = levels.get_mut(level) {
                hashes.push(hash);
            }
        };
        add(0, leaf);
        self.frontier.push_with(leaf, |height, hash| {
            if height.is_multiple_of(HEIGHT) {
                add(usize::from(height / HEIGHT), hash);
            }
        });
        self.write(|hashes| hashes.len() as u64 == WIDTH)
    }

    fn write(&mut self, when: impl Fn(&[Digest]) -> bool) -> Result<(), ExportError> {
        for (level, (index, hashes)) in (0..).zip(&mut self.levels) {
            if hashes.is_empty() || !when(hashes) {
                continue;
            }
            let tile = TileId {
                level,
                index: *index,
                width: u16::try_from(hashes.len()).unwrap_or(u16::MAX),
            };
            write(&self.dir.join(tile.path()), &tile_bytes(hashes))?;
            *index += 1;
            hashes.clear();
        }
        Ok(())
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> ExportError {
    move |error| ExportError::Io {
        path: path.to_owned(),
        error,
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(io(dir))?;
    }
    std::fs::write(path, bytes).map_err(io(path))
}

impl Api {
    /// Copies the log as it is now into a directory. Full bundles that are there from an earlier copy are not fetched again;
    /// `checkpoint` is written last. Gives the checkpoint with the signatures that the server showed.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn export_log(
        &self,
        dir: &Path,
        federation: &VerifiedFederation,
    ) -> Result<(Checkpoint, SignedNote), ExportError> {
        let note = self.log_checkpoint().await?;
        let checkpoint = Checkpoint::verify(&note, &origin(&federation.digest()), &federation.log)?;
        let mut tiles = Tiles {
            dir,
            frontier: Frontier::new(),
            levels: Vec::new(),
        };
        for index in 0..checkpoint.size.div_ceil(WIDTH) {
            let Some(bundle) = Bundle::of(index, checkpoint.size) else {
                break;
            };
            let path = dir.join(bundle.path());
            let bytes = match std::fs::read(&path) {
                Ok(bytes) if bundle.is_full() => bytes,
                _ => {
                    let bytes = self.log_bundle(&bundle).await?;
                    write(&path, &bytes)?;
                    bytes
                }
            };
            for entry in bundle.entries(&bytes)? {
                tiles.push(leaf_hash(entry))?;
            }
        }
        if tiles.frontier.root() != checkpoint.root {
            return Err(ExportError::OtherRoot);
        }
        tiles.write(|_| true)?;
        write(&dir.join("checkpoint"), note.to_text().as_bytes())?;
        Ok((checkpoint, note))
    }
}
