//! Lists the arithmetic's backends: `chosen`, `yes` or `no`, a line each. `tools/test.sh` runs the suite with each.

use dawn_crypto::backend::{self, BackendKind};

fn main() -> Result<(), backend::BackendError> {
    let chosen = backend::choose()?;
    for kind in BackendKind::ALL {
        let supported = match kind {
            _ if kind == chosen => "chosen",
            _ if kind.is_supported() => "yes",
            _ => "no",
        };
        println!("{kind} {supported}");
    }
    Ok(())
}
