//! Requests to a running service.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::server::TestServer;
use serde_json::Value;
use std::path::Path;

/// Uploads a video with these options; gives the job's id.
pub(crate) fn start(server: &TestServer, video: &Path, fields: &[(&str, &str)]) -> Result<String> {
    let accepted: Value = server.upload(video, fields)?.error_for_status()?.json()?;
    Ok(accepted["job_id"].as_str().context("a job")?.to_owned())
}

/// Runs a job, which must succeed; gives its status.
pub(crate) fn finish(server: &TestServer, video: &Path, fields: &[(&str, &str)]) -> Result<Value> {
    let status = server.await_end(&start(server, video, fields)?)?;
    ensure!(status["status"] == "completed", "{status}");
    Ok(status)
}

/// Uploads a video as the request body; gives the job's id.
pub(crate) fn put(server: &TestServer, body: Vec<u8>) -> Result<String> {
    let request = server.client().put(server.url("/api/upload")).body(body);
    let accepted: Value = request.send()?.error_for_status()?.json()?;
    Ok(accepted["job_id"].as_str().context("a job")?.to_owned())
}
