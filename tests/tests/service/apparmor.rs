//! The AppArmor profile of the package is valid. That it confines the service and its workers is checked
//! by `make test-vm`.

use anyhow::{Result, ensure};
use bodyscript_tests::report::skipped;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const PARSER: &str = "/sbin/apparmor_parser";
/// What the profile is compiled for, in place of the running kernel's features.
const FEATURES: &str = "/etc/apparmor.d/abi/3.0";

/// Compiles a profile without loading it.
fn compile(profile: &Path) -> Result<Output> {
    let mut parser = Command::new(PARSER);
    parser.args(["--skip-kernel-load", "--skip-cache", "--features-file", FEATURES]);
    Ok(parser.arg(profile).output()?)
}

#[test]
fn the_profile_is_valid() -> Result<()> {
    if !Path::new(PARSER).exists() {
        skipped("apparmor", "apparmor_parser is not installed");
        return Ok(());
    }
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/apparmor/bodyscript");
    let compiled = compile(&profile)?;
    ensure!(compiled.status.success(), "{compiled:?}");

    let folder = tempfile::tempdir()?;
    let broken = folder.path().join("broken");
    fs::write(&broken, fs::read_to_string(&profile)?.replace("pivot_root,", "pivot_rooot,"))?;
    ensure!(!compile(&broken)?.status.success(), "the parser accepts anything");
    Ok(())
}
