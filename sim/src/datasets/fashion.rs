//! Fashion-MNIST from Debian's package `dataset-fashion-mnist`: taken from where it is installed, or else downloaded by
//! `apt-get download`, which needs no root and compares the package with the archive's signed index.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dawn_learn::data::{FASHION_MNIST_FOLDER, fashion_mnist};

use super::Fetched;
use super::files::{put, run};

const PACKAGE: &str = "dataset-fashion-mnist";
/// The package's files, and after them the licence.
const FILES: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];
/// What the licence is called beside the files.
pub const LICENCE: &str = "LICENSE-fashion-mnist";
/// Where packages keep their licence.
const DOCUMENTS: &str = "/usr/share/doc/dataset-fashion-mnist/copyright";

/// Where the package is looked for, and the programs that get it.
#[derive(Clone, Debug)]
pub struct Places {
    /// The root of the file system that the package is installed in.
    pub root: PathBuf,
    /// The program that downloads packages.
    pub apt_get: PathBuf,
    /// The program that unpacks them.
    pub dpkg_deb: PathBuf,
    /// Samples to learn from and to judge with.
    pub samples: (usize, usize),
}

impl Default for Places {
    fn default() -> Self {
        Self {
            root: "/".into(),
            apt_get: "apt-get".into(),
            dpkg_deb: "dpkg-deb".into(),
            samples: (60_000, 10_000),
        }
    }
}

impl Places {
    /// Puts the four files and the licence into `out`, when they are whole. What is there already and whole is left.
    ///
    /// # Errors
    /// Neither installed nor to be had, or not whole; nothing is put into `out` then.
    pub fn fetch(&self, out: PathBuf, say: impl Fn(&str)) -> Result<Fetched> {
        if out.join(FILES[0]).exists() {
            say(&format!("verifying what is in {}", out.display()));
            return self.verified(&out, out.clone(), "it was there already");
        }
        if under(&self.root, FASHION_MNIST_FOLDER)
            .join(FILES[0])
            .exists()
        {
            say(&format!(
                "taking the files of the installed package {PACKAGE}"
            ));
            return self.take(&self.root, out, "the installed package");
        }
        say(&format!(
            "downloading the package {PACKAGE} (30 MB) with `apt-get download`: no root is needed, and nothing is installed"
        ));
        let scratch = tempfile::tempdir()?;
        let unpacked = scratch.path().join("unpacked");
        let package = self.download(scratch.path())?;
        run(
            Command::new(&self.dpkg_deb)
                .arg("-x")
                .args([&package, &unpacked]),
            "dpkg-deb",
        )?;
        self.take(&unpacked, out, "the archive's package")
    }

    fn download(&self, folder: &Path) -> Result<PathBuf> {
        let mut command = Command::new(&self.apt_get);
        command.args(["download", PACKAGE]).current_dir(folder);
        run(&mut command, "apt-get").with_context(|| {
            format!(
                "cannot download {PACKAGE}: this needs Debian or Ubuntu and a list of packages (`apt-get update` as root); elsewhere put {} into a folder and name it with --data-dir",
                FILES.join(", ")
            )
        })?;
        let files = fs::read_dir(folder)?.filter_map(Result::ok);
        let mut packages = files.map(|file| file.path());
        packages
            .find(|path| path.extension().is_some_and(|end| end == "deb"))
            .context("apt-get downloaded nothing")
    }

    /// Verifies the files below `root`, and copies them.
    fn take(&self, root: &Path, out: PathBuf, source: &str) -> Result<Fetched> {
        let folder = under(root, FASHION_MNIST_FOLDER);
        let fetched = self.verified(&folder, out.clone(), source)?;
        // The file that tells that all is there comes last.
        let licence = (under(root, DOCUMENTS), LICENCE);
        let files = FILES.iter().rev().map(|name| (folder.join(name), *name));
        put(std::iter::once(licence).chain(files), &out)?;
        Ok(fetched)
    }

    /// Reads all of it: checksums of the compression, forms, numbers, labels.
    fn verified(&self, folder: &Path, out: PathBuf, source: &str) -> Result<Fetched> {
        let split = fashion_mnist(Some(folder))?;
        let found = (split.train.len(), split.test.len());
        ensure!(
            found == self.samples,
            "{} has {} and {} samples, not {} and {}: remove it and fetch it again",
            folder.display(),
            found.0,
            found.1,
            self.samples.0,
            self.samples.1
        );
        Ok(Fetched {
            data: "fashion".into(),
            folder: out,
            source: source.into(),
            train: found.0,
            test: found.1,
        })
    }
}

fn under(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::files::tests::{names, program};

    /// A file system with the package installed: two samples to learn from, one to judge with.
    fn installed(root: &Path) {
        let folder = under(root, FASHION_MNIST_FOLDER);
        let licence = under(root, DOCUMENTS);
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(licence.parent().unwrap()).unwrap();
        fs::write(licence, "MIT").unwrap();
        for (part, samples) in [("train", 2u8), ("t10k", 1)] {
            let mut images = vec![0, 0, 8, 3, 0, 0, 0, samples, 0, 0, 0, 1, 0, 0, 0, 2];
            images.resize(images.len() + 2 * usize::from(samples), 7);
            let mut labels = vec![0, 0, 8, 1, 0, 0, 0, samples];
            labels.resize(labels.len() + usize::from(samples), 9);
            fs::write(folder.join(format!("{part}-images-idx3-ubyte.gz")), images).unwrap();
            fs::write(folder.join(format!("{part}-labels-idx1-ubyte.gz")), labels).unwrap();
        }
    }

    fn places(root: &Path) -> Places {
        Places {
            root: root.join("system"),
            apt_get: root.join("no-apt-get"),
            dpkg_deb: root.join("no-dpkg-deb"),
            samples: (2, 1),
        }
    }

    #[test]
    fn an_installed_package_is_taken_once_with_its_licence() {
        let scratch = tempfile::tempdir().unwrap();
        let places = places(scratch.path());
        installed(&places.root);
        let out = scratch.path().join("out");
        let fetched = places.fetch(out.clone(), |_| ()).unwrap();
        assert_eq!((fetched.train, fetched.test), (2, 1));
        let mut expected: Vec<String> = FILES.iter().map(ToString::to_string).collect();
        expected.push(LICENCE.into());
        expected.sort();
        assert_eq!(names(&out), expected);
        let again = places.fetch(out.clone(), |_| ()).unwrap();
        assert!(again.source.contains("already"));
        // A file that was damaged since is noticed.
        fs::write(out.join(FILES[2]), [0, 0, 8, 3, 0, 0, 0, 9]).unwrap();
        let error = places.fetch(out, |_| ()).unwrap_err().to_string();
        assert!(error.contains("t10k-images"), "{error}");
    }

    #[test]
    fn what_is_not_installed_is_downloaded_and_unpacked() {
        let scratch = tempfile::tempdir().unwrap();
        let package = scratch.path().join("package");
        installed(&package);
        let mut places = places(scratch.path());
        let apt =
            r#"test "$1 $2" = "download dataset-fashion-mnist" && echo x > fashion_1_all.deb"#;
        places.apt_get = program(&scratch.path().join("apt-get"), apt);
        let unpack = format!(
            r#"test "$1" = -x && test -f "$2" && cp -r {} "$3""#,
            package.display()
        );
        places.dpkg_deb = program(&scratch.path().join("dpkg-deb"), &unpack);
        let out = scratch.path().join("out");
        let fetched = places.fetch(out.clone(), |_| ()).unwrap();
        assert!(fetched.source.contains("archive"));
        assert_eq!(fs::read_to_string(out.join(LICENCE)).unwrap(), "MIT");
        // Fewer samples than there should be: nothing is put there.
        places.samples = (60_000, 10_000);
        let other = scratch.path().join("other");
        let error = places.fetch(other.clone(), |_| ()).unwrap_err().to_string();
        assert!(error.contains("not 60000 and 10000"), "{error}");
        assert!(names(&other).is_empty());
    }

    #[test]
    fn failures_say_what_to_do() {
        let scratch = tempfile::tempdir().unwrap();
        let mut places = places(scratch.path());
        let out = scratch.path().join("out");
        let chain =
            |places: &Places| format!("{:#}", places.fetch(out.clone(), |_| ()).unwrap_err());
        let error = chain(&places);
        assert!(
            error.contains("cannot run apt-get") && error.contains("--data-dir"),
            "{error}"
        );
        let refuse = "echo 'E: Unable to locate package' >&2; exit 100";
        places.apt_get = program(&scratch.path().join("apt-get"), refuse);
        let error = chain(&places);
        assert!(
            error.contains("Unable to locate") && error.contains("apt-get update"),
            "{error}"
        );
        assert!(names(&out).is_empty());
    }
}
