//! Runs `bodyscript ctl` against a running service.

use crate::programs;
use anyhow::{Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A command to the service with this state folder.
pub fn ctl(state: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(programs::path("bodyscript").expect("built"));
    command.arg("ctl").arg("--state-dir").arg(state).args(words);
    command
}

/// The result of a command, as JSON.
pub fn ctl_json(state: &Path, words: &[&str]) -> Result<Value> {
    let output = ctl(state, &["--json"]).args(words).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words:?}: {error}");
    Ok(serde_json::from_slice(&output.stdout)?)
}
