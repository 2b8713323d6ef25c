//! The watch data from the Python package `seglearn`, which `pip install --target` unpacks into a temporary folder. The package stores
//! it as a pickle; a script (`tools/watch_to_npy.py`) that allows nothing but arrays makes plain NPY files of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dawn_learn::data::watch;

use super::Fetched;
use super::files::{Known, put, run};

/// The package in the version whose data is known.
const PACKAGE: &str = "seglearn==1.2.5";
/// Where it keeps its licence, below the folder that it is installed in.
const DOCUMENTS: &str = "seglearn-1.2.5.dist-info/LICENSE";
/// What the licence is called beside the files.
pub const LICENCE: &str = "LICENSE-seglearn";
/// Makes NPY files of the package's pickle.
const SCRIPT: &str = include_str!("../../../tools/watch_to_npy.py");

/// The program that gets and converts the package, and what must come of it.
#[derive(Clone, Debug)]
pub struct Places {
    /// Python, with pip.
    pub python: PathBuf,
    /// The package's data, before anything reads it.
    pub source: Known,
    /// What is made of it; the file that tells that all are there comes last.
    pub files: [Known; 2],
}

impl Default for Places {
    fn default() -> Self {
        Self {
            python: "python3".into(),
            source: Known::new(
                "seglearn/data/watch_dataset.npy",
                "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537",
            ),
            files: [
                Known::new(
                    "readings.npy",
                    "7ab00ce9d1d3094ebf26dd8d84f668593122f54ac07f3608e8747ee439befa9c",
                ),
                Known::new(
                    "recordings.npy",
                    "bf9bd29e7250de6d30ff4fe29e98c53ce9db4b1e35be622c2a69761983f9b03b",
                ),
            ],
        }
    }
}

impl Places {
    /// Puts the two files and the licence into `out`, when they are whole. What is there already and whole is left.
    ///
    /// # Errors
    /// Not to be had, or not whole; nothing is put into `out` then.
    pub fn fetch(&self, out: PathBuf, say: impl Fn(&str)) -> Result<Fetched> {
        if out.join(self.files[1].name).exists() {
            say(&format!("verifying what is in {}", out.display()));
            return self.verified(&out, out.clone(), "it was there already");
        }
        say(&format!(
            "downloading the package {PACKAGE} (11 MB) with `pip install` into a temporary folder: nothing of it is run"
        ));
        let scratch = tempfile::tempdir()?;
        let (package, made) = (scratch.path().join("package"), scratch.path().join("made"));
        fs::create_dir(&made)?;
        self.install(&package)?;
        self.source.verify(&package)?;
        let script = scratch.path().join("watch_to_npy.py");
        fs::write(&script, SCRIPT)?;
        let mut convert = Command::new(&self.python);
        convert.arg("-I").arg(&script);
        convert.args([&package.join(self.source.name), &made]);
        run(&mut convert, "python3")?;
        let fetched = self.verified(&made, out.clone(), "the Python package seglearn")?;
        let files = self
            .files
            .iter()
            .map(|file| (made.join(file.name), file.name));
        put(
            std::iter::once((package.join(DOCUMENTS), LICENCE)).chain(files),
            &out,
        )?;
        Ok(fetched)
    }

    fn install(&self, folder: &Path) -> Result<()> {
        let mut command = Command::new(&self.python);
        command
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--no-compile",
            ])
            .args([
                "--disable-pip-version-check",
                "--only-binary",
                ":all:",
                "--target",
            ])
            .arg(folder)
            .arg(PACKAGE);
        run(&mut command, "python3 -m pip").with_context(|| {
            format!(
                "cannot download {PACKAGE}: this needs Python with pip (`apt-get install python3-pip`) and its index; or fetch it elsewhere and copy the folder"
            )
        })
    }

    /// Compares the files with their checksums and reads all of them.
    fn verified(&self, folder: &Path, out: PathBuf, source: &str) -> Result<Fetched> {
        for file in &self.files {
            file.verify(folder)?;
        }
        let split = watch(folder)?.split()?;
        ensure!(
            !split.train.is_empty() && !split.test.is_empty(),
            "{} has too few readings",
            folder.display()
        );
        Ok(Fetched {
            data: "watch".into(),
            folder: out,
            source: source.into(),
            train: split.train.len(),
            test: split.test.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::files::tests::{known, names, program};

    /// A pickle as the package has it, made without NumPy: one recording of 500 readings by columns, reading `i` is `i / 1024` on the
    /// first axis. Names of NumPy are written as they are in the package.
    const PICKLE: &str = r#"
import struct, sys

def array(shape, dtype, by_columns, content):
    # The opcodes of numpy.ndarray: _reconstruct(ndarray, (0,), b"b"), then the state.
    out = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    out += b"(I1\n(" + b"".join(b"I%d\n" % s for s in shape) + b"t" + dtype
    return out + (b"I01\n" if by_columns else b"I00\n") + content + b"tb"

def kind(name, order):
    return b"cnumpy\ndtype\n(S'%s'\nI0\nI1\ntR(I3\nS'%s'\nNNNI-1\nI-1\nI0\ntb" % (name, order)

def numbers(code, values):
    text = struct.pack(f"<{len(values)}{code}", *values).decode("latin1").encode()
    return b"c_codecs\nencode\n(X" + struct.pack("<I", len(text)) + text + b"S'latin1'\ntR"

def words(values): return b"(" + b"".join(b"S'%s'\n" % v for v in values) + b"l"

n = 500
columns = [i / 1024 for i in range(n)] + [0.0] * (5 * n)
data = b"(S'X'\n(" + array((n, 6), kind(b"f8", b"<"), True, numbers("d", columns)) + b"l"
data += b"S'X_labels'\n" + words([b"ax", b"ay", b"az", b"wx", b"wy", b"wz"])
data += b"S'y_labels'\n" + words([b"PEN", b"ABD", b"FEL", b"IR", b"ER", b"TRAP", b"ROW"])
for name, code, value in [(b"y", "q", 4), (b"subject", "q", 3), (b"side", "d", 1)]:
    dtype = kind(b"i8" if code == "q" else b"f8", b"<")
    data += b"S'" + name + b"'\n" + array((1,), dtype, False, numbers(code, [value]))
pickled = array((), kind(b"O8", b"|"), False, b"(" + data + b"dl") + b"."
if len(sys.argv) > 2:
    pickled = b"cos\nsystem\n(S'touch " + sys.argv[2].encode() + b"'\ntR."
header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"
open(sys.argv[1], "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickled)
"#;

    /// Writes the package as pip unpacks it into `scratch/package`; with `command`, its data would run it.
    fn package(scratch: &Path, command: Option<&Path>) -> PathBuf {
        let package = scratch.join("package");
        for folder in ["seglearn/data", "seglearn-1.2.5.dist-info"] {
            fs::create_dir_all(package.join(folder)).unwrap();
        }
        fs::write(package.join(DOCUMENTS), "BSD").unwrap();
        let script = scratch.join("make_package.py");
        fs::write(&script, PICKLE).unwrap();
        let mut python = Command::new("python3");
        python
            .arg("-I")
            .arg(&script)
            .arg(package.join(Places::default().source.name));
        run(python.args(command), "python3").unwrap();
        package
    }

    /// pip gives the package that is in `scratch/package`, when it is asked as it should be; Python is the real one.
    fn places(scratch: &Path) -> Places {
        let package = package(scratch, None);
        let script = format!(
            r#"[ "$1" = -I ] && exec python3 "$@"
case "$*" in *"pip install"*--no-deps*--only-binary*--target*seglearn==1.2.5) ;; *) exit 2 ;; esac
while [ "$1" != --target ]; do shift; done
cp -r {} "$2""#,
            package.display()
        );
        let defaults = Places::default();
        let made = scratch.join("expected");
        fs::create_dir_all(&made).unwrap();
        let converter = scratch.join("converter.py");
        fs::write(&converter, SCRIPT).unwrap();
        let mut convert = Command::new("python3");
        convert
            .arg("-I")
            .arg(&converter)
            .args([&package.join(defaults.source.name), &made]);
        run(&mut convert, "python3").unwrap();
        Places {
            python: program(&scratch.join("python"), &script),
            source: known(defaults.source.name, &package),
            files: defaults.files.map(|file| known(file.name, &made)),
        }
    }

    #[test]
    fn the_package_is_converted_once_with_its_licence() {
        let scratch = tempfile::tempdir().unwrap();
        let places = places(scratch.path());
        let out = scratch.path().join("out");
        let fetched = places.fetch(out.clone(), |_| ()).unwrap();
        assert_eq!((fetched.train, fetched.test), (7, 1));
        assert_eq!(names(&out), [LICENCE, "readings.npy", "recordings.npy"]);
        let data = watch(&out).unwrap();
        let origin = data.origins[7];
        assert_eq!((origin.person, origin.late), (3, true));
        assert_eq!(data.windows.labels(), [4; 8]);
        // Readings 400 to 499: the mean is 449.5 / 1024, and half of it the feature.
        assert_eq!(data.windows.row(7)[0], 899);
        let again = places.fetch(out.clone(), |_| ()).unwrap();
        assert!(again.source.contains("already"));
        fs::write(out.join("readings.npy"), "damaged").unwrap();
        let error = places.fetch(out, |_| ()).unwrap_err().to_string();
        assert!(error.contains("readings.npy has the SHA-256"), "{error}");
    }

    #[test]
    fn a_pickle_that_is_no_data_runs_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let mut places = places(scratch.path());
        let touched = scratch.path().join("touched");
        let package = package(scratch.path(), Some(&touched));
        let out = scratch.path().join("out");
        // By its checksum it is refused before anything reads it,
        let error = places.fetch(out.clone(), |_| ()).unwrap_err().to_string();
        assert!(
            error.contains("watch_dataset.npy has the SHA-256"),
            "{error}"
        );
        // and by the script if it were the known one.
        places.source = known(places.source.name, &package);
        let error = places.fetch(out.clone(), |_| ()).unwrap_err().to_string();
        assert!(error.contains("os.system is not allowed"), "{error}");
        assert!(!touched.exists() && names(&out).is_empty());
    }

    #[test]
    fn failures_say_what_to_do() {
        let scratch = tempfile::tempdir().unwrap();
        let mut places = places(scratch.path());
        places.python = scratch.path().join("no-python");
        let out = scratch.path().join("out");
        let chain =
            |places: &Places| format!("{:#}", places.fetch(out.clone(), |_| ()).unwrap_err());
        let error = chain(&places);
        assert!(
            error.contains("cannot run python3") && error.contains("python3-pip"),
            "{error}"
        );
        let refuse = "echo 'ERROR: No matching distribution found' >&2; exit 1";
        places.python = program(&scratch.path().join("python"), refuse);
        let error = chain(&places);
        assert!(error.contains("No matching distribution"), "{error}");
        assert!(names(&out).is_empty());
    }
}
