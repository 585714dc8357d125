//! Replays the corpus of the fuzz targets: inputs of every kind that they know, and those that once failed.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[expect(unreachable_pub, reason = "it is a library's module for the fuzz targets")]
#[path = "../../fuzz/src/targets.rs"]
mod targets;

#[test]
fn no_target_panics_on_its_corpus() -> Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let list = |folder: &Path| {
        let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()
    };
    let stems = |folder| {
        let names = list(&fuzz.join(folder))?.into_iter();
        Ok::<BTreeSet<_>, anyhow::Error>(
            names.filter_map(|path| Some(path.file_stem()?.to_owned())).collect(),
        )
    };
    let names: BTreeSet<_> = targets::TARGETS.iter().map(|(name, _)| (*name).into()).collect();
    assert_eq!(stems("fuzz_targets")?, names);
    assert_eq!(stems("corpus")?, names);
    for (name, target) in targets::TARGETS {
        let inputs = list(&fuzz.join("corpus").join(name))?;
        ensure!(!inputs.is_empty(), "{name} has no corpus");
        for input in inputs {
            println!("{}", input.display());
            target(&fs::read(&input)?);
        }
    }
    Ok(())
}
