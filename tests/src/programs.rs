//! Finds and runs the programs under test, which lie beside the tests in the folder of the profile. Where they
//! are not built yet, as with `cargo test -p bodyscript-tests` on a clean clone, they are built first.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

/// Held while programs are built, so that one test does it and the others wait.
static BUILDING: Mutex<()> = Mutex::new(());

/// The path of a program of this workspace.
pub fn path(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("the test has no path")?;
    // Tests lie in deps/ below the folder of the programs, programs in it.
    let folder = own.parent().context("the test has no folder")?;
    let folder = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    let folder = folder.context("the programs have no folder")?;
    let program = folder.join(name);
    if !program.exists() {
        build_into(folder)?;
    }
    ensure!(program.exists(), "{} is not built; run `make build`", program.display());
    Ok(program)
}

fn build_into(profile_folder: &Path) -> Result<()> {
    let _building = BUILDING.lock().expect("no test panics while it builds");
    if profile_folder.join("bodyscript").exists() && profile_folder.join("fault_worker").exists() {
        return Ok(());
    }
    let profile = match profile_folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        other => other.context("the folder of the profile has no name")?,
    };
    // Set by cargo for the tests that it runs.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--workspace", "--bins", "--profile", profile])
        .arg("--target-dir")
        .arg(profile_folder.parent().context("the profile's folder has no parent")?)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("cargo cannot be run to build the programs")?;
    ensure!(status.success(), "the programs cannot be built: cargo ended with {status}");
    Ok(())
}

/// The output of `bodyscript run` and the files it wrote.
#[derive(Debug)]
pub struct Run {
    /// Exit status and output.
    pub output: Output,
    /// The folder given with `-o`.
    pub folder: PathBuf,
}

impl Run {
    /// Runs `bodyscript run` on these videos; `options` come first. Results of an earlier run are replaced.
    pub fn new(options: &[&str], videos: &[PathBuf], folder: &Path) -> Result<Self> {
        let output = Command::new(path("bodyscript")?)
            .args(["run", "--force"])
            .args(options)
            .args(videos)
            .arg("-o")
            .arg(folder)
            .output()
            .context("bodyscript cannot be run")?;
        Ok(Self { output, folder: folder.to_owned() })
    }

    /// What it wrote to standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// The path of an artefact of one video.
    pub fn artefact(&self, video: &Path, name: &str) -> PathBuf {
        self.folder.join(video.file_stem().unwrap_or_default()).join(name)
    }

    /// Fails with the program's output unless every video succeeded.
    pub fn check(self) -> Result<Self> {
        ensure!(self.output.status.success(), "bodyscript run failed: {}", self.stderr());
        Ok(self)
    }
}
