//! The protocol's state machine: which message is legal after which. Both ends run it.
//!
//! | phase    | from the supervisor | from the worker                      | next phase        |
//! |----------|---------------------|--------------------------------------|-------------------|
//! | Created  | Prepare             |                                      | Starting          |
//! | Starting | Start (once), Cancel | Ready, Failed                       | Ready, Ended      |
//! | Ready    | Start (once), Cancel | Probed (after Start), Failed        | Probed, Ended     |
//! | Probed   | Proceed, Cancel     | Failed                               | Running, Ended    |
//! | Running  | Cancel              | Skipped, Poses, Progress, Skipped, Written (none backwards), Done, Failed | Running, Ended |
//! | Ended    | Cancel              |                                      |                   |

use crate::limits::{LAYERS_MAX, TEXT_BYTES_MAX};
use crate::message::{JobParameters, Probed, Progress, Skipped, Summary, ToSupervisor, ToWorker};
use crate::options::LandmarkModel;
use crate::report_limits::{check_facts, frames_max, is_possible};
use crate::told_frames::Told;
use thiserror::Error;

/// The phase of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No message was exchanged.
    Created,
    /// The worker loads models and enables its sandbox.
    Starting,
    /// The worker waits for its job, or has read no more than the video's headers.
    Ready,
    /// The worker waits until its cap has room for the video.
    Probed,
    /// Frames are being processed.
    Running,
    /// The worker has sent its final message.
    Ended,
}

/// A message that is illegal now, or whose content is impossible.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum Violation {
    /// A message that is not legal in this phase.
    #[error("{message} is not legal in phase {phase:?}")]
    OutOfTurn {
        /// The message's name.
        message: &'static str,
        /// The phase it came in.
        phase: Phase,
    },
    /// A count that decreased, or more frames than possible.
    #[error("{message} reports impossible counts")]
    ImpossibleCounts {
        /// The message's name.
        message: &'static str,
    },
    /// Properties of a video, or poses in it, that no video within the limits has.
    #[error("{message} reports an impossible {what}")]
    ImpossibleFacts {
        /// The message's name.
        message: &'static str,
        /// The property.
        what: &'static str,
    },
    /// A text or list over its cap.
    #[error("{message} carries more than its cap")]
    OverCap {
        /// The message's name.
        message: &'static str,
    },
}

/// The session between the supervisor and one worker.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    /// The landmark model that the worker was prepared with: it gets no job with another one.
    model: LandmarkModel,
    /// Those of the job, once `Start` was sent.
    job: Option<JobParameters>,
    skipped: Skipped,
    progress: Progress,
    /// Frames written in the second pass.
    written: u32,
    /// The frames whose poses were told.
    told: Told,
}

impl Default for Session {
    fn default() -> Self {
        let skipped = Skipped { until_ms: 0 };
        let progress = Progress { frames_done: 0, frames_detected: 0 };
        let (told, model) = (Told::default(), LandmarkModel::default());
        Self { phase: Phase::Created, model, job: None, skipped, progress, written: 0, told }
    }
}

impl Session {
    /// The phase of the session.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether `Start` was sent.
    pub const fn has_job(&self) -> bool {
        self.job.is_some()
    }

    /// Advances the session by a message to the worker.
    pub fn on_to_worker(&mut self, message: &ToWorker) -> Result<(), Violation> {
        match (self.phase, message) {
            (Phase::Created, ToWorker::Prepare(prepare)) => {
                self.phase = Phase::Starting;
                self.model = prepare.model;
            }
            (Phase::Starting | Phase::Ready, ToWorker::Start(start))
                if self.job.is_none() && start.parameters.options.model == self.model =>
            {
                self.job = Some(start.parameters);
            }
            (Phase::Probed, ToWorker::Proceed) => self.phase = Phase::Running,
            (Phase::Created, ToWorker::Cancel) => return Err(self.out_of_turn("Cancel")),
            (_, ToWorker::Cancel) => {}
            (_, ToWorker::Prepare(_)) => return Err(self.out_of_turn("Prepare")),
            (_, ToWorker::Start(_)) => return Err(self.out_of_turn("Start")),
            (_, ToWorker::Proceed) => return Err(self.out_of_turn("Proceed")),
        }
        Ok(())
    }

    /// Advances the session by a message to the supervisor.
    pub fn on_to_supervisor(&mut self, message: &ToSupervisor) -> Result<(), Violation> {
        check_caps(message)?;
        self.phase = match (self.phase, message, &self.job) {
            (Phase::Starting, ToSupervisor::Ready(_), _) => Phase::Ready,
            (Phase::Ready, ToSupervisor::Probed(probed), Some(job)) => {
                let message = "Probed";
                check_facts(&probed.facts, &job.limits)
                    .map_err(|what| Violation::ImpossibleFacts { message, what })?;
                Phase::Probed
            }
            (Phase::Running, ToSupervisor::Skipped(skipped), Some(job)) => {
                self.check_skipped(*skipped, job)?;
                self.skipped = *skipped;
                Phase::Running
            }
            (Phase::Running, ToSupervisor::Poses(frame), Some(job)) => {
                self.told
                    .add(frame, job)
                    .map_err(|what| Violation::ImpossibleFacts { message: "Poses", what })?;
                Phase::Running
            }
            (Phase::Running, ToSupervisor::Progress(progress), Some(job)) => {
                self.check_progress(*progress, job)?;
                (self.progress, self.skipped) = (*progress, Skipped { until_ms: 0 });
                Phase::Running
            }
            (Phase::Running, ToSupervisor::Written(frames), Some(job)) => {
                self.check_written(*frames, job)?;
                self.written = *frames;
                Phase::Running
            }
            (Phase::Running, ToSupervisor::Done(summary), Some(job)) => {
                self.check_end(summary, job)?;
                Phase::Ended
            }
            (
                Phase::Starting | Phase::Ready | Phase::Probed | Phase::Running,
                ToSupervisor::Failed(_),
                _,
            ) => Phase::Ended,
            (_, message, _) => return Err(self.out_of_turn(name(message))),
        };
        Ok(())
    }

    /// The time rises up to the start of the part, and no frame of that was processed; or was written, where a
    /// second pass comes there again.
    fn check_skipped(&self, next: Skipped, job: &JobParameters) -> Result<(), Violation> {
        let possible = next.until_ms > self.skipped.until_ms
            && job.options.start.is_some_and(|start| next.until_ms < start.get())
            && (self.progress.frames_done == 0 || job.options.is_recorded() && self.written == 0);
        if possible { Ok(()) } else { Err(Violation::ImpossibleCounts { message: "Skipped" }) }
    }

    fn check_progress(&self, next: Progress, job: &JobParameters) -> Result<(), Violation> {
        let last = self.progress;
        let is_first_pass =
            self.written == 0 && (last.frames_done == 0 || self.skipped.until_ms == 0);
        let possible = is_first_pass
            && next.frames_done > last.frames_done
            && u64::from(next.frames_done) <= frames_max(job)
            && next.frames_detected >= last.frames_detected
            && next.frames_detected <= next.frames_done;
        if possible { Ok(()) } else { Err(Violation::ImpossibleCounts { message: "Progress" }) }
    }

    fn check_written(&self, frames: u32, job: &JobParameters) -> Result<(), Violation> {
        let possible = job.options.is_recorded()
            && frames > self.written
            && frames <= self.progress.frames_done;
        if possible { Ok(()) } else { Err(Violation::ImpossibleCounts { message: "Written" }) }
    }

    fn check_end(&self, summary: &Summary, job: &JobParameters) -> Result<(), Violation> {
        let possible = is_possible(summary, job)
            && summary.frames_processed == self.told.frames
            && summary.frames_processed >= self.progress.frames_done
            && summary.frames_detected >= self.progress.frames_detected;
        if possible { Ok(()) } else { Err(Violation::ImpossibleCounts { message: "Done" }) }
    }

    const fn out_of_turn(&self, message: &'static str) -> Violation {
        Violation::OutOfTurn { message, phase: self.phase }
    }
}

const fn name(message: &ToSupervisor) -> &'static str {
    match message {
        ToSupervisor::Ready(_) => "Ready",
        ToSupervisor::Probed(_) => "Probed",
        ToSupervisor::Progress(_) => "Progress",
        ToSupervisor::Done(_) => "Done",
        ToSupervisor::Failed(_) => "Failed",
        ToSupervisor::Skipped(_) => "Skipped",
        ToSupervisor::Written(_) => "Written",
        ToSupervisor::Poses(_) => "Poses",
    }
}

fn check_caps(message: &ToSupervisor) -> Result<(), Violation> {
    use crate::sandbox_report::LayerState;
    let fits = |text: &String| text.len() <= TEXT_BYTES_MAX;
    let within = match message {
        ToSupervisor::Ready(report) => {
            report.layers.len() <= LAYERS_MAX
                && report.layers.iter().all(|(_, state)| match state {
                    LayerState::Active(text) | LayerState::Unavailable(text) => fits(text),
                    LayerState::Off => true,
                })
        }
        ToSupervisor::Probed(Probed { facts, .. }) => fits(&facts.container) && fits(&facts.codec),
        ToSupervisor::Failed(failure) => fits(&failure.detail),
        ToSupervisor::Skipped(_)
        | ToSupervisor::Progress(_)
        | ToSupervisor::Done(_)
        | ToSupervisor::Written(_)
        | ToSupervisor::Poses(_) => true,
    };
    if within { Ok(()) } else { Err(Violation::OverCap { message: name(message) }) }
}
