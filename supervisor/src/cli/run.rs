//! `bodyscript run`: processes local videos with the same dispatcher, cage and worker as the HTTP
//! service. Artefacts are written to `<output>/<stem of the video>/`.

use crate::cli::output;
use crate::cli::working_folder::working_folder;
use crate::config::Config;
use crate::dispatcher::status::Status;
use crate::dispatcher::{Dispatcher, DispatcherStopped, SubmitError};
use crate::ops::signals::Shutdown;
use crate::policy::admission;
use crate::policy::client::ClientAddress;
use crate::policy::display_name::{DisplayName, visible};
use crate::policy::job::{JobId, Upload};
use crate::runner::attempt::exit_report::Stop;
use crate::runner::factory::{WorkerFactory, WorkerFactoryError};
use crate::runner::models::ModelNotInstalled;
use crate::service::runner;
use crate::store::{ArtefactStore, Recovered, StateDir, StateError};
use bodyscript_protocol::formats::Formats;
use bodyscript_protocol::options::Options;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use thiserror::Error;
use tokio::task::JoinSet;

/// Why nothing could be processed. Failures of single videos are printed instead.
#[derive(Debug, Error)]
pub enum RunError {
    /// A video cannot be read.
    #[error("cannot read {}: {source}", shown(path))]
    Video {
        /// Path of the video.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Two videos would have the same results folder.
    #[error("two videos are named {}; process them into different folders", shown(.0))]
    SameName(PathBuf),
    /// The output folder cannot be used.
    #[error("the folder {} cannot be {what}: {source}", shown(path))]
    Output {
        /// What failed.
        what: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Workers cannot be started.
    #[error("cannot start workers: {0}")]
    WorkerFactory(#[from] WorkerFactoryError),
    /// The landmark model is not installed.
    #[error(transparent)]
    Model(#[from] ModelNotInstalled),
    /// The working folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A job was not admitted.
    #[error("cannot process the videos: {}", remedy(.0))]
    Refused(admission::Refusal),
    /// A job was not accepted.
    #[error(transparent)]
    SubmitError(#[from] SubmitError),
    /// The dispatcher has stopped.
    #[error(transparent)]
    DispatcherStopped(#[from] DispatcherStopped),
    /// The signal handlers could not be installed.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
}

fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy())
}

const fn remedy(refusal: &admission::Refusal) -> &'static str {
    match refusal {
        admission::Refusal::DiskFull => {
            "less than `disk_free_bytes_min` is free in the output folder; free up space, or lower \
             the limit"
        }
        admission::Refusal::DiskRefuses => {
            "the output folder is not writable; choose another folder"
        }
        admission::Refusal::MemoryShort { .. } => "the host is low on memory; try again later",
        // These cannot occur: the queue has a place for every video, and the limits do not apply.
        admission::Refusal::Closing
        | admission::Refusal::Paused
        | admission::Refusal::StoreUnreachable
        | admission::Refusal::JournalUnreachable
        | admission::Refusal::JournalLost
        | admission::Refusal::QueueFull { .. }
        | admission::Refusal::TooLarge { .. } => "the command is stopping",
    }
}

/// A video given on the command line.
struct Video {
    path: PathBuf,
    stem: OsString,
    bytes: u64,
}

/// Processes the videos; the exit status is 0 if all succeeded.
pub(crate) async fn run(
    mut config: Config,
    videos: Vec<PathBuf>,
    output: PathBuf,
    options: Options,
) -> Result<ExitCode, RunError> {
    let videos = check_videos(videos)?;
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| RunError::Output { what, path, source }
    };
    std::fs::create_dir_all(&output).map_err(failed("created", &output))?;
    // On the file system of the results, so that renames work; removed when this function returns.
    let folder = working_folder(&output).map_err(failed("written to", &output))?;
    let (state, _lock) = StateDir::open(folder.path())?;
    config.queue_max = videos.len();
    // Fewer concurrent jobs get larger shares of the processors.
    config.workers = config.workers.min(videos.len()).max(1);
    // No further jobs will come for which a worker could be started in advance.
    config.standby = 0;
    // The videos are not copied, so no disk space is needed for them.
    config.upload_bytes_max = 0;
    let factory = WorkerFactory::open(&config.factory())?;
    factory.installed_models().require(options.model)?;
    let files = ArtefactStore::new(state.clone(), None);
    let (dispatcher, dispatcher_task) =
        Dispatcher::start(Arc::new(config), runner(factory), files, Recovered::nothing());
    let mut shutdown = Shutdown::from_signals().map_err(RunError::Signals)?;

    let display = Display::new(&videos);
    let mut jobs = JoinSet::new();
    for (index, video) in videos.into_iter().enumerate() {
        let id = submit(&dispatcher, &state, &video, options).await?;
        let line = display.line(index, &video);
        let job = Job { dispatcher: dispatcher.clone(), id, formats: options.formats, line };
        let (state, target) = (state.clone(), output.join(&video.stem));
        jobs.spawn(async move { job.finish(&state, &target, &video.path).await });
    }
    let all_succeeded = tokio::select! {
        all_succeeded = wait(&mut jobs) => all_succeeded,
        () = shutdown.requested() => {
            // After a stop the dispatcher would report the jobs as queued again.
            jobs.abort_all();
            output::err("Cancelled.");
            dispatcher.stop(Stop::Shutdown).await?;
            false
        }
    };
    jobs.shutdown().await;
    drop(dispatcher);
    let _ = dispatcher_task.await;
    Ok(if all_succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn wait(jobs: &mut JoinSet<bool>) -> bool {
    let mut all_succeeded = true;
    while let Some(job) = jobs.join_next().await {
        all_succeeded &= job.unwrap_or(false);
    }
    all_succeeded
}

fn check_videos(paths: Vec<PathBuf>) -> Result<Vec<Video>, RunError> {
    let mut stems = HashSet::new();
    let check = |path: PathBuf| {
        // `metadata` first, because opening a pipe would block; then open, because a file may exist
        // but be unreadable.
        let bytes = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => match std::fs::File::open(&path) {
                Ok(_) => metadata.len(),
                Err(source) => return Err(RunError::Video { path, source }),
            },
            Ok(_) => {
                let source = io::Error::other("it is not a regular file");
                return Err(RunError::Video { path, source });
            }
            Err(source) => return Err(RunError::Video { path, source }),
        };
        let stem = path.file_stem().unwrap_or(path.as_os_str()).to_owned();
        if !stems.insert(stem.clone()) {
            return Err(RunError::SameName(stem.into()));
        }
        Ok(Video { path, stem, bytes })
    };
    paths.into_iter().map(check).collect()
}

async fn submit(
    dispatcher: &Dispatcher,
    state: &StateDir,
    video: &Video,
    options: Options,
) -> Result<JobId, RunError> {
    let request = admission::Request { client: ClientAddress::ThisHost, bytes: Some(0) };
    let ticket = dispatcher.admit(request).await?.map_err(RunError::Refused)?;
    let id = JobId::random();
    state.adopt_upload(id, &video.path)?;
    let upload = Upload {
        filename: DisplayName::new(&video.path.to_string_lossy()),
        bytes: video.bytes,
        sha256: String::new(),
        options,
        idempotency_key: None,
    };
    dispatcher.submit(ticket, id, upload).await??;
    Ok(id)
}

/// A submitted job and its progress display.
struct Job {
    dispatcher: Dispatcher,
    id: JobId,
    formats: Formats,
    line: Line,
}

impl Job {
    /// Waits for the job and moves its artefacts to `target`; prints the reason if that fails.
    async fn finish(self, state: &StateDir, target: &Path, video: &Path) -> bool {
        let Some(status) = self.follow().await else { return false };
        if status.status != "completed" {
            let reason = status.error.unwrap_or(status.message);
            self.line.fail(&format!("{}: {reason}", shown(video)));
            return false;
        }
        match deliver(state, self.id, self.formats, target) {
            Ok(()) => {
                let detected = status.statistics.map_or(0, |statistics| statistics.frames_detected);
                let mut sentence = format!(
                    "{}: {} frames, a person in {detected}; results in {}",
                    shown(video),
                    status.current_frame,
                    shown(target)
                );
                for warning in status.warnings {
                    sentence.push_str("\n  Warning: ");
                    sentence.push_str(warning.sentence);
                }
                self.line.succeed(&sentence).is_ok()
            }
            Err(error) => {
                self.line.fail(&format!("{}: {error}", shown(video)));
                false
            }
        }
    }

    async fn follow(&self) -> Option<Status> {
        let mut changes = self.dispatcher.watch(self.id).await.ok()??;
        loop {
            changes.borrow_and_update();
            let status = self.dispatcher.status(self.id).await.ok()??;
            if status.completed_at.is_some() {
                return Some(status);
            }
            self.line.show(&status);
            changes.changed().await.ok()?;
        }
    }
}

fn deliver(state: &StateDir, id: JobId, formats: Formats, target: &Path) -> Result<(), RunError> {
    let failed = |what, path: &Path, source| RunError::Output { what, path: path.into(), source };
    std::fs::create_dir_all(target).map_err(|source| failed("created", target, source))?;
    for artefact in formats.iter() {
        let to = target.join(artefact.file_name());
        std::fs::rename(state.result(id, artefact), &to)
            .map_err(|source| failed("written to", &to, source))?;
    }
    Ok(())
}

/// Progress bars on a terminal; otherwise one line per finished video.
struct Display {
    bars: Option<MultiProgress>,
}

struct Line {
    bar: Option<ProgressBar>,
}

impl Display {
    fn new(videos: &[Video]) -> Self {
        let is_terminal = io::stderr().is_terminal() && !videos.is_empty();
        let target = ProgressDrawTarget::stderr;
        Self { bars: is_terminal.then(|| MultiProgress::with_draw_target(target())) }
    }

    fn line(&self, index: usize, video: &Video) -> Line {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.insert(index, ProgressBar::new(100));
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3} % {msg}")
                .expect("the template is valid");
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(DisplayName::new(&video.path.to_string_lossy()).to_string());
            bar
        });
        Line { bar }
    }
}

impl Line {
    fn show(&self, status: &Status) {
        if let Some(bar) = &self.bar {
            bar.set_position(status.progress.into());
            bar.set_message(status.message.clone());
        }
    }

    fn succeed(&self, sentence: &str) -> io::Result<()> {
        let print = || output::out(&format!("{sentence}\n"));
        let printed = if let Some(bar) = &self.bar {
            bar.set_position(100);
            bar.finish_with_message("");
            bar.suspend(print)
        } else {
            print()
        };
        printed
            .inspect_err(|error| output::err(&format!("cannot write to standard output: {error}")))
    }

    fn fail(&self, sentence: &str) {
        if let Some(bar) = &self.bar {
            bar.abandon();
            bar.suspend(|| output::err(sentence));
        } else {
            output::err(sentence);
        }
    }
}
