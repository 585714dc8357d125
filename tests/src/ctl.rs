//! An operator's orders to a running service, by `bodyscript ctl`.

use crate::programs;
use anyhow::{Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// An order to the service with this state folder.
pub fn ctl(state: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(programs::path("bodyscript").expect("built"));
    command.arg("ctl").arg("--state-dir").arg(state).args(words);
    command
}

/// What an order gives, as JSON.
pub fn order(state: &Path, words: &[&str]) -> Result<Value> {
    let output = ctl(state, &["--json"]).args(words).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words:?}: {error}");
    Ok(serde_json::from_slice(&output.stdout)?)
}
