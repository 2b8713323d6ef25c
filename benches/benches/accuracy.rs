//! `cargo bench -p dawn-benches --features learn --bench accuracy -- FOLDER [DATA ...]`: the table of `benches/results/accuracy.md`, of the
//! data that `dawn data fetch` has put below the folder. As `dawn bench accuracy`, without building the rest of Dawn.

use dawn_benches::accuracy::{HEAD, Source, cases, compare};
use dawn_benches::train::Failure;
use std::path::PathBuf;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with('-'));
    // `cargo bench` runs in the folder of the crate.
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "..".into()));
    let mut wanted = arguments
        .map(|a| a.parse())
        .collect::<Result<Vec<Source>, _>>()?;
    if wanted.is_empty() {
        wanted = Source::ALL.to_vec();
    }
    println!("{HEAD}");
    let cases = cases()?;
    for source in wanted {
        let split = source.load(&folder)?;
        for case in cases.iter().filter(|case| case.source == source) {
            println!("{}", compare(case, &split)?);
        }
    }
    Ok(())
}
