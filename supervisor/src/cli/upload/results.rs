//! Waits for a job of a service, and saves its results.

use crate::cli::batch::error::BatchError;
use crate::cli::batch::placement::Placement;
use crate::cli::batch::progress::Line;
use crate::cli::batch::report::Outcome;
use crate::cli::upload::client::{Client, SILENCE_MAX};
use crate::cli::upload::error::TransferError;
use crate::cli::upload::patience::Patience;
use crate::policy::job::JobId;
use bodyscript_protocol::artefact::Artefact;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Time between two looks at the status of a job.
const POLL_PERIOD: Duration = Duration::from_secs(1);

/// The place of a video's results, and a folder on the same file system in which they are collected.
pub(crate) struct Destination {
    pub(crate) placement: Placement,
    pub(crate) place: PathBuf,
    pub(crate) working_folder: PathBuf,
}

/// Waits until a job is over; gives its status.
pub(crate) async fn wait(
    client: &Client,
    id: JobId,
    line: &mut Line<'_>,
) -> Result<Value, TransferError> {
    let path = format!("/api/status/{id}");
    let mut patience = Patience::new();
    loop {
        match client.document(&path).await {
            Ok(status) if !status["completed_at"].is_null() => return Ok(status),
            Ok(status) => {
                patience = Patience::new();
                let percent = status["progress"].as_u64().unwrap_or(0).min(100) as u8;
                line.show(percent, status["message"].as_str().unwrap_or("processing").to_owned());
                sleep(POLL_PERIOD).await;
            }
            Err(error) => patience.wait_after(error, |text| line.tell(text)).await?,
        }
    }
}

/// How a job that is over ended.
pub(crate) fn outcome(status: &Value) -> Outcome {
    let text = |key: &str| status[key].as_str().map(str::to_owned);
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    match status["status"].as_str() {
        Some("completed") => Outcome::Completed {
            frames: number(&status["current_frame"]),
            frames_detected: number(&status["statistics"]["frames_detected"]),
            warnings: serde_json::from_value(status["warnings"].clone()).unwrap_or_default(),
        },
        Some("cancelled") => Outcome::Cancelled,
        _ => Outcome::Failed {
            error: text("error").or_else(|| text("message")).unwrap_or_default(),
            error_code: text("error_code").map(Into::into),
        },
    }
}

/// Saves the results that a status names.
pub(crate) async fn save(
    client: &Client,
    status: &Value,
    destination: &Destination,
    line: &Line<'_>,
) -> Result<(), TransferError> {
    let id = status["job_id"].as_str().unwrap_or_default();
    // Only an id can be part of a path.
    let id: JobId =
        id.parse().map_err(|_| TransferError::NotUnderstood("its jobs have other ids"))?;
    let new = destination.working_folder.join(format!("delivery-{id}"));
    fs::create_dir(&new).map_err(BatchError::output("written", &new))?;
    for artefact in
        Artefact::ALL.into_iter().filter(|artefact| !status["urls"][artefact.name()].is_null())
    {
        let path = format!("/api/serve/{id}/{}", artefact.file_name());
        let mut patience = Patience::new();
        while let Err(error) = download(client, &path, &new.join(artefact.file_name())).await {
            patience.wait_after(error, |text| line.tell(text)).await?;
        }
    }
    Ok(destination.placement.place(&new, &destination.place)?)
}

async fn download(client: &Client, path: &str, to: &Path) -> Result<(), TransferError> {
    let failed = |source| TransferError::File { what: "written", path: to.to_owned(), source };
    let mut body = client.send(Method::GET, path, &[], Bytes::new()).await?.into_body();
    let mut file = File::create(to).map_err(failed)?;
    loop {
        let frame = timeout(SILENCE_MAX, body.frame()).await;
        match frame.map_err(|_| TransferError::Silent(SILENCE_MAX))? {
            None => return file.sync_all().map_err(failed),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    file.write_all(data).map_err(failed)?;
                }
            }
            Some(Err(error)) => return Err(TransferError::Unreachable(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_end_of_a_job_is_read_from_its_status() {
        let status = json!({"status": "completed", "current_frame": 5, "statistics": {"frames_detected": 4},
            "warnings": [{"code": "a", "sentence": "A."}]});
        let Outcome::Completed { frames: 5, frames_detected: 4, warnings } = outcome(&status)
        else {
            panic!("completed")
        };
        assert_eq!(warnings.len(), 1);
        let status = json!({"status": "failed", "error": "No video.", "error_code": "not_a_video"});
        let Outcome::Failed { error, error_code } = outcome(&status) else { panic!("failed") };
        assert_eq!((error.as_str(), error_code.as_deref()), ("No video.", Some("not_a_video")));
        assert!(matches!(outcome(&json!({"status": "cancelled"})), Outcome::Cancelled));
    }
}
