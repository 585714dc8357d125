//! The machine and the versions of the programs that are measured.

use anyhow::{Context, Result};
use jiff::Timestamp;
use procfs::{CpuInfo, Current, Meminfo};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;

/// The machine and the versions.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// Processor, cores, memory, instruction set.
    pub(crate) name: String,
    pub(crate) kernel: String,
    pub(crate) commit: String,
    pub(crate) date: String,
    /// Versions of the peers.
    pub(crate) versions: BTreeMap<String, String>,
}

impl Machine {
    /// Describes this machine; `isa` is the instruction set in use.
    pub(crate) fn this(isa: &str) -> Result<Self> {
        let cpus = CpuInfo::current()?;
        let model = cpus.model_name(0).unwrap_or("unknown processor").to_owned();
        let memory = Meminfo::current()?.mem_total >> 30;
        Ok(Self {
            name: format!("{} x {model}, {memory} GiB, {isa}", cpus.num_cores()),
            kernel: output_of("uname", &["--kernel-release"])?,
            commit: output_of("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default(),
            date: Timestamp::now().to_string().chars().take_while(|it| *it != 'T').collect(),
            versions: BTreeMap::new(),
        })
    }

    pub(crate) fn json(&self) -> Value {
        let Self { name, kernel, commit, date, versions } = self;
        json!({
            "name": name, "kernel": kernel, "commit": commit, "date": date, "versions": versions,
        })
    }
}

fn output_of(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("{program} cannot be run"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
