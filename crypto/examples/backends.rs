//! Lists the arithmetic's backends, a line each: `chosen`, `yes`, `no` (this processor does not have it) or `refused` (it
//! failed its self-test; why is on standard error). `tools/test.sh` runs the suite with each.

use dawn_crypto::backend::{self, BackendError, BackendKind};

fn main() -> Result<(), BackendError> {
    let chosen = backend::choose()?;
    for kind in BackendKind::ALL {
        let state = match kind.self_test() {
            Ok(()) if kind == chosen => "chosen",
            Ok(()) => "yes",
            Err(BackendError::SelfTest(..)) => "refused",
            Err(_) => "no",
        };
        println!("{kind} {state}");
    }
    for error in backend::refused() {
        eprintln!("{error}");
    }
    Ok(())
}
