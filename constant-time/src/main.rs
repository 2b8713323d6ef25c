//! Shows that no secret decides a branch or an address in sampling, masking, sharing, sealing and opening
//! (`docs/crypto-table.md`, section 9). Run by `tools/ct.sh` under valgrind:
//!
//! * `dawn-constant-time clean [NAME..]` runs the cases, all or those that are named; all must be clean.
//! * `dawn-constant-time planted [NAME..]` runs leaks; all must be found.
//!
//! One line a case, and a last one that counts them. It fails when a case is not what it must be, and with 2 when nothing listens.

mod cases;
mod marks;
mod random;

/// The federation that the tests of dawn-protocol play with.
#[allow(dead_code, clippy::unwrap_used, missing_docs)]
#[path = "../../protocol/tests/rounds/world.rs"]
mod world;

use cases::{CASES, Case, planted};
use dawn_crypto::backend;
use std::process::ExitCode;

fn main() -> ExitCode {
    if !marks::listens() {
        eprintln!(
            "nothing listens: build with the feature valgrind and run under valgrind (make ct)"
        );
        return ExitCode::from(2);
    }
    let mut arguments = std::env::args().skip(1);
    let (cases, leaks): (Vec<Case>, bool) = match arguments.next().as_deref() {
        Some("clean") => (CASES.concat(), false),
        Some("planted") => (planted::CASES.to_vec(), true),
        _ => {
            eprintln!("usage: dawn-constant-time clean|planted [NAME..]");
            return ExitCode::from(2);
        }
    };
    let named: Vec<String> = arguments.collect();
    if let Some(unknown) = named
        .iter()
        .find(|n| !cases.iter().any(|(name, _)| n == name))
    {
        eprintln!("there is no case {unknown}");
        return ExitCode::from(2);
    }
    let backend = match backend::choose() {
        Ok(backend) => backend,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let backend = backend.name();
    println!("{backend:<9} {}", instructions());
    marks::listen_to_the_library();
    let (mut ran, mut wrong) = (0, 0);
    for (name, run) in cases {
        if !named.is_empty() && !named.iter().any(|n| n == name) {
            continue;
        }
        let before = marks::complaints();
        run();
        let complaints = marks::complaints() - before;
        let said = match (complaints, leaks) {
            (0, false) => "clean".to_owned(),
            (_, false) => format!("LEAK ({complaints} reports)"),
            (0, true) => "NOT FOUND".to_owned(),
            (_, true) => "found".to_owned(),
        };
        ran += 1;
        wrong += u32::from((complaints > 0) != leaks);
        println!("{backend:<9} {name:<22} {said}");
    }
    let all = if leaks { "found" } else { "clean" };
    println!("{backend:<9} {} of {ran} {all}", ran - wrong);
    ExitCode::from(u8::from(wrong > 0))
}

/// What the crates that choose for themselves (aes, blake3, sha2) find here: valgrind's processor, not the machine's.
fn instructions() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let found = [
            ("AES-NI", is_x86_feature_detected!("aes")),
            ("VAES", is_x86_feature_detected!("vaes")),
            ("PCLMULQDQ", is_x86_feature_detected!("pclmulqdq")),
            ("SHA-NI", is_x86_feature_detected!("sha")),
            ("AVX2", is_x86_feature_detected!("avx2")),
            ("AVX-512", is_x86_feature_detected!("avx512f")),
        ];
        let words = found.map(|(name, yes)| format!("{}{name}", if yes { "" } else { "no " }));
        words.join(", ")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        std::env::consts::ARCH.to_owned()
    }
}
