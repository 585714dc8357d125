//! The worker process: one video, one run, one exit status.
//!
//! The order of the steps is the security of the whole: nothing of the video is read before the
//! sandbox is closed. Started by the supervisor only; it opens no path of its own choosing.

use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::message::ToSupervisor;
use bodyscript_protocol::sandbox_report::SandboxReport;
use bodyscript_worker::channel::Channel;
use bodyscript_worker::error::WorkerError;
use bodyscript_worker::inherited::Inherited;
use bodyscript_worker::pose::Estimator;
use bodyscript_worker::rehearsal::{RehearsalError, Stage};
use bodyscript_worker::{inference, log, run, sandbox, video};
use std::process::ExitCode;

fn main() -> ExitCode {
    log::init();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--sandbox-report"] => return sandbox::print_report(),
        ["--pack-model", from, to] => return inference::pack_model(from, to),
        _ => {}
    }
    let mut channel = Channel::default();
    let exit = match work(&mut channel) {
        Ok(()) => WorkerExit::Done,
        Err(error) => {
            tracing::error!("{error}");
            // Nobody may be listening any more; the exit status says it too.
            let _ = channel.send_failure(error.fault(), &error.to_string());
            error.exit()
        }
    };
    video::tell_left_out();
    ExitCode::from(exit.code())
}

fn work(channel: &mut Channel) -> Result<(), WorkerError> {
    // 1. Read how to get ready, version first.
    let prepare = channel.read_prepare()?;
    // 2. Adopt the descriptors; there are no paths.
    let inherited = Inherited::adopt()?;
    // 3. Give up everything but what the next two steps need.
    let mut report = SandboxReport::default();
    sandbox::confine_early(&prepare, &mut report)?;
    // 4. Load the models and check them against the manifest.
    let estimator = Estimator::load(inherited.detector_model, inherited.landmark_model)?;
    // 5. Initialise the media framework with the plugins on the list.
    video::init()?;
    // 6. Give up the rest.
    let stage = prepare.warms_up.then(Stage::set);
    sandbox::lock_down(&prepare, &mut report)?;
    // 7. Where there is time before a job, go through one.
    if let Some(stage) = stage {
        rehearse(stage, &estimator);
    }
    // 8. Say so, and wait for a job.
    channel.send(&ToSupervisor::Ready(report))?;
    let start = channel.read_start()?.ok_or(WorkerError::Cancelled)?;
    // 9. Take its files, and listen for a change of mind.
    let files = inherited.handover.receive(&start.artefacts)?;
    let cancelled = channel.listen()?;
    // 10. Only now touch the video.
    let decoder = video::Decoder::open(files.video, &start.limits)?;
    // 11. Frames in, poses out.
    let job = run::Job { start: &start, estimator: &estimator, cancelled: &cancelled };
    let summary = run::run(&job, decoder, files.artefacts, &mut |message| channel.send(message))?;
    // 12. Everything is written.
    Ok(channel.send(&ToSupervisor::Done(summary))?)
}

/// A failure is logged and no more: the worker has what one without a rehearsal has, and what
/// ails it is told by its job.
fn rehearse(stage: Result<Stage, RehearsalError>, estimator: &Estimator) {
    let _name = tracing::error_span!("rehearsal").entered();
    match stage.and_then(|stage| stage.rehearse(estimator)) {
        Ok(()) => {}
        Err(RehearsalError::Job(WorkerError::Cancelled)) => tracing::debug!("broken off"),
        Err(error) => tracing::warn!("{error}"),
    }
    video::tell_left_out();
}
