//! `bodyscript upload`: sends videos to a service, over connections that break, and fetches the results.

pub(crate) mod arguments;
mod client;
mod error;
mod patience;
mod records;
mod results;
mod resumable;

use crate::cli::batch::error::{BatchError, shown};
use crate::cli::batch::placement::Placement;
use crate::cli::batch::progress::Progress;
use crate::cli::batch::report::{Ended, JobLink, Outcome, Report};
use crate::cli::batch::selection::{self, Chosen, Selection};
use crate::cli::batch::tasks::Tasks;
use crate::cli::batch::videos::{self, Found};
use crate::cli::batch::working_folder::locked_working_folder;
use crate::ops::signals::Shutdown;
use crate::policy::display_name::DisplayName;
use crate::policy::job::JobId;
use arguments::UploadArgs;
use bodyscript_protocol::options::Options;
use client::Client;
use error::TransferError;
pub(crate) use error::UploadError;
use records::{Record, Records};
use results::Destination;
use resumable::ResumableUpload;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Uploads the videos; the exit status is 0 if all succeeded.
pub(crate) async fn upload(args: UploadArgs) -> Result<ExitCode, UploadError> {
    let client = Client::new(&args.url)?;
    let (output, options) = (args.output.as_deref(), args.options.0);
    let found = find(&args.videos, output);
    let (policy, format) = (args.existing.policy(), args.format.format());
    let selection = selection::select(found, output, options.formats, policy, format)?;
    let Selection { chosen, mut report, progress } = selection;
    if chosen.is_empty() {
        return Ok(report.finish());
    }
    let mut shutdown = Shutdown::from_signals().map_err(UploadError::Signals)?;
    let folder = output.map(prepare).transpose().inspect_err(|_| progress.clear())?;
    let then = match (&args.output, &folder) {
        (Some(output), Some((folder, _lock))) => Then::Save {
            placement: Placement { output: output.clone(), formats: options.formats, policy },
            working_folder: folder.path().to_owned(),
        },
        _ if args.wait => Then::Wait,
        _ => Then::Nothing,
    };
    let turn = Semaphore::new(1);
    let records = Records::of_user();
    let transfer = Arc::new(Transfer { client, options, records, progress, then, turn });
    transfer.all(chosen, &mut shutdown, &mut report).await;
    Ok(report.finish())
}

/// The videos. Standard input cannot be sent again after a connection broke.
fn find(arguments: &[PathBuf], output: Option<&Path>) -> Found {
    let mut found = videos::find(arguments, output.unwrap_or(Path::new("")), Path::new("stdin"));
    found.refuse_standard_input("save it to a file, so that the upload can be resumed");
    found
}

fn prepare(output: &Path) -> Result<(tempfile::TempDir, std::fs::File), BatchError> {
    std::fs::create_dir_all(output).map_err(BatchError::output("created", output))?;
    locked_working_folder(output).map_err(BatchError::output("written to", output))
}

/// What is the same for all videos.
struct Transfer {
    client: Client,
    options: Options,
    records: Records,
    progress: Progress,
    then: Then,
    /// One video at a time uses the connection.
    turn: Semaphore,
}

/// What follows an upload.
enum Then {
    Nothing,
    Wait,
    Save { placement: Placement, working_folder: PathBuf },
}

impl Transfer {
    async fn all(
        self: Arc<Self>,
        videos: Vec<Chosen>,
        shutdown: &mut Shutdown,
        report: &mut Report,
    ) {
        let mut tasks = Tasks::default();
        for chosen in videos {
            let transfer = Arc::clone(&self);
            let subject = chosen.subject.clone();
            tasks.start(subject, async move { transfer.one(chosen).await });
        }
        tasks.follow(shutdown, report).await;
    }

    /// Uploads one video, and does what follows.
    async fn one(&self, chosen: Chosen) -> Ended {
        let name = DisplayName::new(&chosen.video.below.to_string_lossy());
        let metadata = resumable::metadata(name.as_str(), &self.options);
        let record = self.records.of(self.client.base(), &chosen.video.absolute, &metadata);
        let id = match self.send(&chosen, &metadata, &record).await {
            Ok(id) => id,
            Err(error) => return chosen.subject.ended(failed(&error)),
        };
        let outcome = match self.follow(id, &chosen).await {
            Ok(outcome) => {
                record.remove();
                outcome
            }
            // The record stays: the same command finds the job again.
            Err(error) => failed(&error),
        };
        let page = format!("{}/#job={id}", self.client.base());
        Ended {
            job: Some(JobLink { job_id: id.to_string(), page }),
            ..chosen.subject.ended(outcome)
        }
    }

    async fn send(
        &self,
        chosen: &Chosen,
        metadata: &str,
        record: &Record,
    ) -> Result<JobId, TransferError> {
        // The semaphore is never closed.
        let _turn = self.turn.acquire().await;
        let mut line = self.progress.line(shown(&chosen.video.below));
        let (client, video) = (&self.client, chosen.video.absolute.as_path());
        let upload = ResumableUpload { client, video, bytes: chosen.video.bytes, metadata, record };
        upload.run(&mut line).await
    }

    async fn follow(&self, id: JobId, chosen: &Chosen) -> Result<Outcome, TransferError> {
        if let Then::Nothing = self.then {
            return Ok(Outcome::Uploaded);
        }
        let mut line = self.progress.line(shown(&chosen.video.below));
        let status = results::wait(&self.client, id, &mut line).await?;
        let outcome = results::outcome(&status);
        if let (Then::Save { placement, working_folder }, Outcome::Completed { .. }) =
            (&self.then, &outcome)
        {
            let (place, placement) = (chosen.place.clone(), placement.clone());
            let working_folder = working_folder.clone();
            let destination = Destination { placement, place, working_folder };
            results::save(&self.client, &status, &destination, &line).await?;
        }
        Ok(outcome)
    }
}

fn failed(error: &TransferError) -> Outcome {
    let error_code = error.code().map(|code| code.to_owned().into());
    Outcome::Failed { error: error.to_string(), error_code }
}
