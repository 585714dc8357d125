//! tus-js-client, the reference client of the protocol, run by Node.js. `make browser-tools` fetches it.

use crate::report::skipped;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// One running upload.
#[derive(Debug)]
pub struct TusClient {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Whether the first chunk is part of the request that creates the upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstChunk {
    /// It is.
    WithCreation,
    /// It has a separate request.
    Separate,
}

impl TusClient {
    /// Starts to upload a file in chunks of this many bytes, with `metadata` as JSON. None, which is counted
    /// as a skip, where the client is not installed.
    pub fn start(
        endpoint: &str,
        file: &Path,
        (first, chunk_bytes): (FirstChunk, u64),
        metadata: &Value,
    ) -> Result<Option<Self>> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let modules = here.join("../target/browser/node_modules");
        if !modules.join("tus-js-client").exists() {
            skipped("tus-js-client", "it is not installed; run `make browser-tools`");
            return Ok(None);
        }
        let child = Command::new("node")
            .arg(here.join("tus/upload.mjs"))
            .arg(endpoint)
            .arg(file)
            .arg(chunk_bytes.to_string())
            .arg(metadata.to_string())
            .env("NODE_MODULES", modules)
            .env("WITH_CREATION", if first == FirstChunk::WithCreation { "yes" } else { "no" })
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

    /// The next object it prints; none at its end.
    fn next_object(&mut self) -> Result<Option<Value>> {
        let line = self.lines.next().transpose()?;
        Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
    }

    /// Reads until an object has this field; gives its value.
    pub fn until(&mut self, field: &str) -> Result<Value> {
        let mut printed = Vec::new();
        while let Some(mut line) = self.next_object()? {
            if line.get(field).is_some() {
                return Ok(line[field].take());
            }
            printed.push(line);
        }
        anyhow::bail!("the client never printed {field}, but {printed:?}")
    }

    /// The job created from the upload.
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
