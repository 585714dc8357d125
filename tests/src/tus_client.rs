//! tus-js-client, the protocol's own client, run by Node.js. `make browser-tools` fetches it.

use crate::report::skipped;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// One upload under way.
#[derive(Debug)]
pub struct TusClient {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Whether the first piece is part of the request that begins the upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// It is.
    AtOnce,
    /// It has a request of its own.
    Apart,
}

impl TusClient {
    /// Begins to upload a file in pieces of so many bytes, with `metadata` as JSON. None where
    /// the client is not there, which it says.
    pub fn start(
        endpoint: &str,
        file: &Path,
        (first, chunk_bytes): (First, u64),
        metadata: &Value,
    ) -> Result<Option<Self>> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let modules = here.join("../target/browser/node_modules");
        if !modules.join("tus-js-client").exists() {
            skipped("tus-js-client", "it is not there; run `make browser-tools`");
            return Ok(None);
        }
        let child = Command::new("node")
            .arg(here.join("tus/upload.mjs"))
            .arg(endpoint)
            .arg(file)
            .arg(chunk_bytes.to_string())
            .arg(metadata.to_string())
            .env("NODE_MODULES", modules)
            .env("AT_ONCE", if first == First::AtOnce { "yes" } else { "no" })
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            skipped("tus-js-client", "there is no Node.js to run it");
            return Ok(None);
        };
        let lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        Ok(Some(Self { child, lines }))
    }

    /// What it says next; nothing at its end.
    fn hear(&mut self) -> Result<Option<Value>> {
        let line = self.lines.next().transpose()?;
        Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
    }

    /// Reads on until a field is said; gives its value.
    pub fn until(&mut self, field: &str) -> Result<Value> {
        let mut said = Vec::new();
        while let Some(mut line) = self.hear()? {
            if line.get(field).is_some() {
                return Ok(line[field].take());
            }
            said.push(line);
        }
        anyhow::bail!("the client never said {field}, but {said:?}")
    }

    /// The job that came of it.
    pub fn job(mut self) -> Result<String> {
        let job = self.until("done")?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the client ended with {status}");
        Ok(job.as_str().context("no Job-Id in the last answer")?.to_owned())
    }
}

impl Drop for TusClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
