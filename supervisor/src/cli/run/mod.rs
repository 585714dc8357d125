//! `bodyscript run`: processes local videos with the same dispatcher, cage and worker as the HTTP
//! service. Results are written to a folder for each video, `<output>/<stem of the video>/`.

pub(crate) mod arguments;
mod delivery;
mod error;
mod job;
mod standard_input;

use crate::cli::batch::error::BatchError;
use crate::cli::batch::placement::Placement;
use crate::cli::batch::progress::Progress;
use crate::cli::batch::report::{Outcome, Report};
use crate::cli::batch::selection::{self, Chosen, Selection};
use crate::cli::batch::tasks::{Followed, Tasks};
use crate::cli::batch::videos::{self, Origin};
use crate::cli::batch::working_folder::working_folder;
use crate::config::Config;
use crate::dispatcher::Dispatcher;
use crate::ops::signals::Shutdown;
use crate::runner::attempt::exit_report::Stop;
use crate::runner::factory::WorkerFactory;
use crate::service::runner;
use crate::store::{ArtefactStore, Recovered, StateDir};
use arguments::RunArgs;
use bodyscript_protocol::options::Options;
use delivery::Delivery;
pub(crate) use error::RunError;
use job::Job;
use std::process::ExitCode;
use std::sync::Arc;

/// Processes the videos; the exit status is 0 if all succeeded.
pub(crate) async fn run(config: Config, args: RunArgs) -> Result<ExitCode, RunError> {
    let found = videos::find(&args.videos, &args.output, &args.stdin_name);
    let (formats, policy) = (args.options.0.formats, args.existing.policy());
    let selection =
        selection::select(found, Some(&args.output), formats, policy, args.format.format())?;
    let Selection { chosen, mut report, progress } = selection;
    if !chosen.is_empty() {
        let placement = Placement { output: args.output, formats, policy };
        let run = Run { placement, options: args.options.0, progress: progress.clone() };
        let processed = run.process(config, chosen, &mut report).await;
        processed.inspect_err(|_| progress.clear())?;
    }
    Ok(report.finish())
}

/// What is the same for all videos.
struct Run {
    placement: Placement,
    options: Options,
    progress: Progress,
}

impl Run {
    async fn process(
        self,
        mut config: Config,
        mut videos: Vec<Chosen>,
        report: &mut Report,
    ) -> Result<(), RunError> {
        let output = &self.placement.output;
        std::fs::create_dir_all(output).map_err(BatchError::output("created", output))?;
        // On the file system of the results, so that renames work; removed when this function returns.
        let folder = working_folder(output).map_err(BatchError::output("written to", output))?;
        let (state, _lock) = StateDir::open(folder.path())?;
        let mut shutdown = Shutdown::from_signals().map_err(RunError::Signals)?;
        tokio::select! {
            read = read_standard_input(&mut videos, &state, config.disk_free_bytes_min) => read?,
            () = shutdown.requested() => {
                report.print_cancelled();
                for video in videos {
                    report.add(&video.subject.ended(Outcome::Cancelled));
                }
                return Ok(());
            }
        }
        config.queue_max = videos.len();
        // Fewer concurrent jobs get larger shares of the processors.
        config.workers = config.workers.min(videos.len()).max(1);
        // No further jobs will come for which a worker could be started in advance.
        config.standby = 0;
        // The videos are not copied, so no disk space is needed for them.
        config.upload_bytes_max = 0;
        let factory = WorkerFactory::open(&config.factory())?;
        factory.installed_models().require(self.options.model)?;
        let files = ArtefactStore::new(state.clone(), None);
        let (dispatcher, dispatcher_task) =
            Dispatcher::start(Arc::new(config), runner(factory), files, Recovered::nothing());
        let processed = self.follow(&dispatcher, &state, videos, &mut shutdown, report).await;
        if processed.is_err() {
            dispatcher.stop(Stop::Shutdown).await?;
        }
        drop(dispatcher);
        let _ = dispatcher_task.await;
        processed
    }

    /// Submits the videos and reports each as it ends.
    async fn follow(
        &self,
        dispatcher: &Dispatcher,
        state: &StateDir,
        videos: Vec<Chosen>,
        shutdown: &mut Shutdown,
        report: &mut Report,
    ) -> Result<(), RunError> {
        let delivery = Delivery::new(state.clone(), self.placement.clone())?;
        let mut tasks = Tasks::default();
        for Chosen { video, place, subject } in videos {
            let (options, progress) = (self.options, self.progress.clone());
            let job = Job::submit(dispatcher, state, (video, place), options, progress).await?;
            let (delivery, ending) = (delivery.clone(), subject.clone());
            tasks.start(subject, async move { ending.ended(job.finish(&delivery).await) });
        }
        // Aborted tasks cannot report that a stop puts their jobs into the queue again.
        if tasks.follow(shutdown, report).await == Followed::Cancelled {
            dispatcher.stop(Stop::Shutdown).await?;
        }
        Ok(())
    }
}

/// Reads the video from standard input, if there is one among these, into a file.
async fn read_standard_input(
    videos: &mut [Chosen],
    state: &StateDir,
    disk_free_bytes_min: u64,
) -> Result<(), RunError> {
    let mut videos = videos.iter_mut().map(|chosen| &mut chosen.video);
    if let Some(video) = videos.find(|video| video.origin == Origin::StandardInput) {
        (video.absolute, video.bytes) = standard_input::read(state, disk_free_bytes_min).await?;
    }
    Ok(())
}
