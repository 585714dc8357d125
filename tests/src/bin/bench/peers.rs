//! Programs that work by turns: one line in, one line of JSON with the cost out. The peers in Python
//! (tests/bench/*.py), and this program itself in another process, for an instruction set of its own.

use crate::paths::{bench_folder, root};
use anyhow::{Context, Result, bail};
use bodyscript_worker::simd;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What some work cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Number of frames or of other units of work.
    pub(crate) frames: f64,
    pub(crate) wall_s: f64,
    /// Of all threads and processes.
    pub(crate) cpu_s: f64,
    /// Largest resident memory; 0 if it was not measured.
    pub(crate) peak_bytes: f64,
}

/// A program that works by turns; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    /// What it reported when it was ready.
    pub(crate) facts: Value,
}

impl Peer {
    /// A script of tests/bench. Fails if the packages are not there.
    pub(crate) fn python(script: &str, arguments: &[&str]) -> Result<Self> {
        let python = bench_folder().join("venv/bin/python");
        if !python.exists() {
            bail!("the packages to compare with are not installed; run `make bench-peers`");
        }
        let mut command = Command::new(python);
        command.arg(root().join("tests/bench").join(script)).args(arguments);
        Self::start(command)
    }

    /// This program, told to work by turns, with this instruction set or the best.
    pub(crate) fn own(work: &str, isa: Option<&str>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["turns", work]).env_remove(simd::VARIABLE);
        command.envs(isa.map(|name| (simd::VARIABLE, name)));
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self> {
        let errors = bench_folder().join("peers.log");
        let errors = File::options().create(true).append(true).open(errors)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("its output")?).lines();
        let mut peer = Self { child, input, output, facts: Value::Null };
        peer.facts = peer.next_object().with_context(|| format!("{command:?}"))?;
        Ok(peer)
    }

    /// One round.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Cost> {
        let input = self.input.as_mut().context("its input is open")?;
        writeln!(input, "{line}")
            .context("it does not read its input; see target/bench/peers.log")?;
        let cost = self.next_object()?;
        if let Some(error) = cost["error"].as_str() {
            bail!("{error}");
        }
        let number = |name: &str| cost[name].as_f64().with_context(|| format!("no {name}: {cost}"));
        Ok(Cost {
            frames: number("frames")?,
            wall_s: number("wall_s")?,
            cpu_s: number("cpu_s")?,
            peak_bytes: cost["peak_bytes"].as_f64().unwrap_or_default(),
        })
    }

    fn next_object(&mut self) -> Result<Value> {
        let line = self.output.next().context("it has ended; see target/bench/peers.log")??;
        Ok(serde_json::from_str(&line)?)
    }

    /// The versions of what it runs.
    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        let versions = self.facts["versions"].as_object().into_iter().flatten();
        let text = |version: &Value| version.as_str().unwrap_or_default().to_owned();
        versions.map(|(name, version)| (name.clone(), text(version))).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
