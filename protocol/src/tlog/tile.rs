//! Tiles (c2sp.org/tlog-tiles): the tree in pieces of 256 hashes, and the entries in bundles of 256, each with a path
//! that names it for ever.
//!
//! A tile of level `l` has the roots of complete subtrees of `256^l` leaves; what lies between two levels is hashed by
//! whoever reads it. The rightmost tile of a level may be partial, and is then named with its width.

use std::collections::BTreeMap;

use dawn_crypto::digest::Digest;

use super::{TlogError, format, parse_decimal};

/// Levels of the tree in one tile.
pub const HEIGHT: u8 = 8;
/// Hashes in a full tile, and entries in a full bundle.
pub const WIDTH: u64 = 1 << HEIGHT;
/// Tiles above this one would need more leaves than a log can have.
pub const MAX_LEVEL: u8 = 7;

const TILE: &str = "tile";
const BUNDLE: &str = "bundle of entries";

/// A tile: its level, its place in the level, and how many hashes it has (1 to 256).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TileId {
    /// 0 has leaf hashes.
    pub level: u8,
    /// From 0.
    pub index: u64,
    /// Hashes in it; 256 when it is full.
    pub width: u16,
}

/// Tiles that have been read.
pub type TileSet = BTreeMap<TileId, Vec<Digest>>;

/// How wide the tile, or bundle for level 0, is in a tree of this size; `None` when the tree does not have it.
pub fn width(level: u8, index: u64, size: u64) -> Option<u16> {
    if level > MAX_LEVEL {
        return None;
    }
    let hashes = size >> (HEIGHT * level);
    let first = index.checked_mul(WIDTH)?;
    let width = hashes.checked_sub(first)?.min(WIDTH);
    // At most 256.
    (width > 0).then_some(width as u16)
}

impl TileId {
    /// The tile at a place in a tree of this size.
    pub fn of(level: u8, index: u64, size: u64) -> Option<Self> {
        let width = width(level, index, size)?;
        Some(Self {
            level,
            index,
            width,
        })
    }

    /// Whether it will never change.
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == WIDTH
    }

    /// Whether a tree of this size has it: a partial tile is also one of every larger tree that has its hashes.
    pub fn within(&self, size: u64) -> bool {
        width(self.level, self.index, size).is_some_and(|width| self.width <= width)
    }

    /// Its path below the log: `tile/<level>/<index>[.p/<width>]`.
    pub fn path(&self) -> String {
        let place = place_text(self.index, self.width);
        format!("tile/{}/{place}", self.level)
    }

    /// Reads what follows `tile/` in a path.
    ///
    /// # Errors
    /// [`TlogError::Format`] for anything but the one spelling.
    pub fn parse(rest: &str) -> Result<Self, TlogError> {
        let (level, place) = rest
            .split_once('/')
            .ok_or(format(TILE, "a path is tile/<level>/<index>[.p/<width>]"))?;
        let level = parse_decimal(level)
            .and_then(|level| u8::try_from(level).ok())
            .filter(|level| *level <= MAX_LEVEL)
            .ok_or(format(TILE, "the level is not a number from 0 to 7"))?;
        let (index, width) = parse_place(place).ok_or(format(TILE, PLACE))?;
        Ok(Self {
            level,
            index,
            width,
        })
    }

    /// The hashes in a tile's bytes.
    ///
    /// # Errors
    /// [`TlogError::Format`] unless they are exactly as many as its width says.
    pub fn hashes(&self, bytes: &[u8]) -> Result<Vec<Digest>, TlogError> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() != usize::from(self.width) {
            return Err(format(
                TILE,
                "it does not have the hashes that its name says",
            ));
        }
        Ok(hashes.iter().copied().map(Digest).collect())
    }
}

impl std::fmt::Display for TileId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path())
    }
}

/// Bytes of a tile.
pub fn tile_bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// A bundle of entries: its place, and how many entries it has (1 to 256).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bundle {
    /// From 0.
    pub index: u64,
    /// Entries in it; 256 when it is full.
    pub width: u16,
}

impl Bundle {
    /// The bundle at a place in a log of this size.
    pub fn of(index: u64, size: u64) -> Option<Self> {
        let width = width(0, index, size)?;
        Some(Self { index, width })
    }

    /// Whether it will never change.
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == WIDTH
    }

    /// Whether a log of this size has it.
    pub fn within(&self, size: u64) -> bool {
        width(0, self.index, size).is_some_and(|width| self.width <= width)
    }

    /// Index of its first entry.
    pub fn first(&self) -> u64 {
        self.index.saturating_mul(WIDTH)
    }

    /// Its path below the log: `tile/entries/<index>[.p/<width>]`.
    pub fn path(&self) -> String {
        format!("tile/entries/{}", place_text(self.index, self.width))
    }

    /// Reads what follows `tile/entries/` in a path.
    ///
    /// # Errors
    /// [`TlogError::Format`] for anything but the one spelling.
    pub fn parse(rest: &str) -> Result<Self, TlogError> {
        let (index, width) = parse_place(rest).ok_or(format(BUNDLE, PLACE))?;
        Ok(Self { index, width })
    }

    /// The entries in a bundle's bytes.
    ///
    /// # Errors
    /// [`TlogError::Format`] unless they are exactly as many as its width says.
    pub fn entries<'a>(&self, mut bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, TlogError> {
        let short = format(BUNDLE, "an entry is longer than the bundle");
        let mut entries = Vec::with_capacity(usize::from(self.width));
        while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, rest) = rest.split_at_checked(length).ok_or(short.clone())?;
            if entries.len() == usize::from(self.width) {
                return Err(format(BUNDLE, "it has more entries than its name says"));
            }
            entries.push(entry);
            bytes = rest;
        }
        if !bytes.is_empty() || entries.len() != usize::from(self.width) {
            return Err(format(
                BUNDLE,
                "it does not have the entries that its name says",
            ));
        }
        Ok(entries)
    }
}

/// Appends an entry to a bundle's bytes: its length as a big-endian `u16`, then the entry.
///
/// # Errors
/// [`TlogError::Format`] for an entry of more than 65,535 bytes.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TlogError> {
    let length = u16::try_from(entry.len())
        .map_err(|_| format(BUNDLE, "an entry has at most 65,535 bytes"))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

const PLACE: &str = "the place is not <index>[.p/<width>] in elements of three digits";

fn place_text(index: u64, width: u16) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    if u64::from(width) < WIDTH {
        text.push_str(&format!(".p/{width}"));
    }
    text
}

fn parse_place(text: &str) -> Option<(u64, u16)> {
    let (place, width) = match text.split_once(".p/") {
        None => (text, WIDTH as u16),
        Some((place, width)) => {
            let width = u16::try_from(parse_decimal(width)?).ok()?;
            (place, (1..WIDTH as u16).contains(&width).then_some(width)?)
        }
    };
    let mut index = 0_u64;
    let elements: Vec<&str> = place.split('/').take(8).collect();
    let (last, before) = elements.split_last()?;
    for element in before.iter().map(|element| element.strip_prefix('x')) {
        index = index
            .checked_mul(1000)?
            .checked_add(three_digits(element?)?)?;
    }
    index = index.checked_mul(1000)?.checked_add(three_digits(last)?)?;
    // The one spelling: no leading elements of zeros, nothing left over.
    (place_text(index, width) == text).then_some((index, width))
}

fn three_digits(text: &str) -> Option<u64> {
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
