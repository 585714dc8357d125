//! Finds and runs the programs under test. They are built by the same `cargo build --workspace`
//! as the tests and lie beside them.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The path of a program of this workspace.
pub fn path(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("the test has no path")?;
    // Tests lie in deps/ below the folder of the programs, programs in it.
    let found =
        own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|p| p.exists());
    found.with_context(|| format!("{name} is not built; run `cargo build --workspace` first"))
}

/// What `bodyscript run` said and left behind.
#[derive(Debug)]
pub struct Run {
    /// Exit status and output.
    pub output: Output,
    /// The folder given with `-o`.
    pub folder: PathBuf,
}

impl Run {
    /// Runs `bodyscript run` on these videos; `options` come first.
    pub fn new(options: &[&str], videos: &[PathBuf], folder: &Path) -> Result<Self> {
        let output = Command::new(path("bodyscript")?)
            .arg("run")
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

    /// Fails with the program's own words unless every video succeeded.
    pub fn check(self) -> Result<Self> {
        ensure!(self.output.status.success(), "bodyscript run failed: {}", self.stderr());
        Ok(self)
    }
}
