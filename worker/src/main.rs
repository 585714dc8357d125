//! The worker process: one video, one run, one exit status.
//!
//! The order of the steps is what makes it secure: nothing of the video is read before the sandbox
//! is closed. Started by the supervisor only; it opens no path of its own choosing.

use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::message::{JobParameters, ToSupervisor};
use bodyscript_protocol::sandbox_report::SandboxReport;
use bodyscript_worker::ipc::{Channel, Inherited};
use bodyscript_worker::job::{Job, SecondPass, Warmup, WarmupError, WorkerError, probed, run};
use bodyscript_worker::pose::Estimator;
use bodyscript_worker::{inference, log, sandbox, video};
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
    let exit = match run_worker(&mut channel) {
        Ok(()) => WorkerExit::Done,
        Err(error) => {
            tracing::error!("{error}");
            // The supervisor may be gone; the exit status carries the same information.
            let _ = channel.send_failure(error.fault(), &error.to_string());
            error.exit()
        }
    };
    video::log_suppressed_messages();
    ExitCode::from(exit.code())
}

fn run_worker(channel: &mut Channel) -> Result<(), WorkerError> {
    // 1. Read the preparation request, version first.
    let prepare = channel.read_prepare()?;
    // 2. Adopt the inherited descriptors; there are no paths.
    let inherited = Inherited::adopt()?;
    // 3. Drop all rights but those that the next two steps need.
    let mut report = SandboxReport::default();
    sandbox::confine_early(&prepare, &mut report)?;
    // 4. Load the models and check them against the manifest.
    let landmark_model = (prepare.model, inherited.landmark_model);
    let estimator = Estimator::load(inherited.detector_model, landmark_model)?;
    // 5. Initialise the media framework with the allowlisted plugins.
    video::init()?;
    // 6. Drop the rest.
    let warmup = prepare.warms_up.then(Warmup::prepare);
    sandbox::lock_down(&prepare, &mut report)?;
    // 7. A pooled worker warms up on a small synthetic job.
    if let Some(warmup) = warmup {
        warm_up(warmup, &estimator);
    }
    // 8. Report readiness and wait for a job.
    channel.send(&ToSupervisor::Ready(report))?;
    let start = channel.read_start()?.ok_or(WorkerError::Cancelled)?;
    // 9. Receive the job's files, and watch for further messages.
    let files = inherited.job_files.receive(&start)?;
    let (cancelled, reply) = channel.watch_for_messages()?;
    // 10. Only now read the video: its headers.
    let JobParameters { limits, options, .. } = start.parameters;
    let second = files.recording.map(|recording| SecondPass::of(recording, &files.video));
    let second = second.transpose()?;
    let video = video::ProbedVideo::open(files.video, &limits, options.part())?;
    // 11. Report its memory need, and wait until the cap has room for it.
    channel.send(&ToSupervisor::Probed(probed(video.probe(), &start)))?;
    if !channel.await_reply(reply)? {
        return Err(WorkerError::Cancelled);
    }
    // 12. Frames in, poses out.
    let job = Job { start: &start, estimator: &estimator, cancelled: &cancelled };
    let files = (files.artefacts.into_iter().collect(), second);
    let summary = run(&job, video, files, &mut |message| channel.send(message))?;
    // 13. Everything is written.
    Ok(channel.send(&ToSupervisor::Done(summary))?)
}

/// A failed warm-up is only logged: the worker is then like one without a warm-up, and the cause
/// is reported by its job.
fn warm_up(warmup: Result<Warmup, WarmupError>, estimator: &Estimator) {
    let _name = tracing::error_span!("warm-up").entered();
    match warmup.and_then(|warmup| warmup.run(estimator)) {
        Ok(()) => {}
        Err(WarmupError::Job(WorkerError::Cancelled)) => tracing::debug!("cancelled"),
        Err(error) => tracing::warn!("{error}"),
    }
    video::log_suppressed_messages();
}
