//! The checks of Prometheus itself: `promtool` of Debian's package, unpacked by `make prometheus-tools`.

use crate::report;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program.
#[derive(Debug)]
pub struct Promtool {
    program: PathBuf,
}

impl Promtool {
    /// None where it is missing, which is counted as a skip.
    pub fn find() -> Option<Self> {
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/prometheus");
        let program = unpacked.join("usr/bin/promtool");
        if program.exists() {
            return Some(Self { program });
        }
        let program = program.display();
        report::skipped("promtool", &format!("no {program}; run `make prometheus-tools`"));
        None
    }

    /// What it prints about the files that these arguments name; an error if it finds a fault.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_on(Stdio::null(), arguments)
    }

    /// As [`Promtool::run`], of what it reads from this.
    pub fn run_on(&self, input: impl Into<Stdio>, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let output = command.stdin(input).output().context("promtool")?;
        let [out, err] = [output.stdout, output.stderr].map(String::from_utf8);
        let (out, err) = (out?, err?);
        ensure!(output.status.success(), "promtool {arguments:?}: {out}{err}");
        Ok(out)
    }
}
