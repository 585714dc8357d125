//! The job of one video, from its submission to the delivery of its results.

use crate::cli::batch::error::shown;
use crate::cli::batch::progress::{Line, Progress};
use crate::cli::batch::report::{Outcome, Warning};
use crate::cli::batch::videos::Video;
use crate::cli::run::delivery::Delivery;
use crate::cli::run::error::RunError;
use crate::dispatcher::Dispatcher;
use crate::dispatcher::status::Status;
use crate::policy::admission::Request;
use crate::policy::client::ClientAddress;
use crate::policy::display_name::DisplayName;
use crate::policy::job::{JobId, Upload};
use crate::store::StateDir;
use bodyscript_protocol::options::Options;
use std::path::PathBuf;

/// A submitted job.
pub(crate) struct Job {
    dispatcher: Dispatcher,
    id: JobId,
    place: PathBuf,
    progress: Progress,
}

impl Job {
    /// Submits a video, whose results go to this place.
    pub(crate) async fn submit(
        dispatcher: &Dispatcher,
        state: &StateDir,
        (video, place): (Video, PathBuf),
        options: Options,
        progress: Progress,
    ) -> Result<Self, RunError> {
        let request = Request { client: ClientAddress::ThisHost, bytes: Some(0) };
        let ticket = dispatcher.admit(request).await?.map_err(RunError::Refused)?;
        let id = JobId::random();
        state.adopt_upload(id, &video.absolute)?;
        let upload = Upload {
            filename: DisplayName::new(&video.below.to_string_lossy()),
            bytes: video.bytes,
            sha256: String::new(),
            options,
            idempotency_key: None,
        };
        dispatcher.submit(ticket, id, upload).await??;
        Ok(Self { dispatcher: dispatcher.clone(), id, place, progress })
    }

    /// Waits for the end of the job and delivers its results.
    pub(crate) async fn finish(self, delivery: &Delivery) -> Outcome {
        let failed = |error| Outcome::Failed { error, error_code: None };
        let followed = self.follow(self.progress.line(shown(&self.place))).await;
        let Some(status) = followed else { return failed("the dispatcher has stopped".into()) };
        if status.status != "completed" {
            let error = status.error.unwrap_or(status.message);
            return Outcome::Failed { error, error_code: status.error_code };
        }
        match delivery.deliver(self.id, &self.place) {
            Ok(()) => Outcome::Completed {
                frames: status.current_frame,
                frames_detected: status
                    .statistics
                    .map_or(0, |statistics| statistics.frames_detected),
                warnings: status.warnings.into_iter().map(Warning::from).collect(),
            },
            Err(error) => failed(error.to_string()),
        }
    }

    async fn follow(&self, mut line: Line<'_>) -> Option<Status> {
        let mut changes = self.dispatcher.watch(self.id).await.ok()??;
        loop {
            changes.borrow_and_update();
            let status = self.dispatcher.status(self.id).await.ok()??;
            if status.completed_at.is_some() {
                return Some(status);
            }
            if status.started_at.is_some() {
                line.show(
                    status.progress,
                    match status.total_frames {
                        Some(total) => format!("{}/{total}", status.current_frame),
                        None => status.message,
                    },
                );
            }
            changes.changed().await.ok()?;
        }
    }
}
