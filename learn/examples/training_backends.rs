//! Lists the backends of training, a line each: `chosen`, `yes`, `no` (this processor does not have it) or `refused` (it
//! failed its self-test; why is on standard error). `tools/test.sh` runs the suite with each.

use dawn_learn::backend::{self, Backend, BackendError};

fn main() -> Result<(), BackendError> {
    let chosen = backend::choose()?;
    for backend in Backend::ALL {
        let state = match backend.self_test() {
            Ok(()) if backend == chosen => "chosen",
            Ok(()) => "yes",
            Err(BackendError::SelfTest(..)) => "refused",
            Err(_) => "no",
        };
        println!("{backend} {state}");
    }
    for error in backend::refused() {
        eprintln!("{error}");
    }
    Ok(())
}
