//! The protocol's state machine: which message is legal after which. Both ends run it.
//!
//! | phase    | from the supervisor | from the worker                      | next phase        |
//! |----------|---------------------|--------------------------------------|-------------------|
//! | Created  | Prepare             |                                      | Starting          |
//! | Starting | Start (once), Cancel | Ready, Failed                       | Ready, Ended      |
//! | Ready    | Start (once), Cancel | Probed (after Start), Failed        | Probed, Ended     |
//! | Probed   | Proceed, Cancel     | Failed                               | Running, Ended    |
//! | Running  | Cancel              | Progress (never backwards), Done, Failed | Running, Ended |
//! | Ended    | Cancel              |                                      |                   |

use crate::limits::{FRAMES_MAX, LAYERS_MAX, TEXT_BYTES_MAX};
use crate::message::{Probed, Progress, Summary, ToSupervisor, ToWorker};
use crate::options::PEOPLE_MAX;
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
    has_job: bool,
    progress: Progress,
}

impl Default for Session {
    fn default() -> Self {
        let progress = Progress { frames_done: 0, frames_detected: 0 };
        Self { phase: Phase::Created, has_job: false, progress }
    }
}

impl Session {
    /// The phase of the session.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether `Start` was sent.
    pub const fn has_job(&self) -> bool {
        self.has_job
    }

    /// Advances the session by a message to the worker.
    pub fn on_to_worker(&mut self, message: &ToWorker) -> Result<(), Violation> {
        match (self.phase, message) {
            (Phase::Created, ToWorker::Prepare(_)) => self.phase = Phase::Starting,
            (Phase::Starting | Phase::Ready, ToWorker::Start(_)) if !self.has_job => {
                self.has_job = true;
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
        self.phase = match (self.phase, message) {
            (Phase::Starting, ToSupervisor::Ready(_)) => Phase::Ready,
            (Phase::Ready, ToSupervisor::Probed(_)) if self.has_job => Phase::Probed,
            (Phase::Running, ToSupervisor::Progress(progress)) => {
                self.advance(*progress)?;
                Phase::Running
            }
            (Phase::Running, ToSupervisor::Done(summary)) => {
                self.conclude(summary)?;
                Phase::Ended
            }
            (
                Phase::Starting | Phase::Ready | Phase::Probed | Phase::Running,
                ToSupervisor::Failed(_),
            ) => Phase::Ended,
            (_, message) => return Err(self.out_of_turn(name(message))),
        };
        Ok(())
    }

    fn advance(&mut self, next: Progress) -> Result<(), Violation> {
        let last = self.progress;
        let possible = next.frames_done > last.frames_done
            && next.frames_done <= FRAMES_MAX
            && next.frames_detected >= last.frames_detected
            && next.frames_detected <= next.frames_done;
        if !possible {
            return Err(Violation::ImpossibleCounts { message: "Progress" });
        }
        self.progress = next;
        Ok(())
    }

    fn conclude(&self, summary: &Summary) -> Result<(), Violation> {
        let possible = summary.frames_processed >= self.progress.frames_done
            && summary.frames_processed <= summary.frames_decoded
            && summary.frames_decoded <= FRAMES_MAX
            && summary.frames_detected >= self.progress.frames_detected
            && summary.frames_detected <= summary.frames_processed
            && (0.0..=1.0).contains(&summary.mean_visibility)
            && summary.track_losses <= summary.frames_detected
            && (0.0..=f32::MAX).contains(&summary.jitter)
            && u64::from(summary.people)
                <= u64::from(summary.frames_processed) * u64::from(PEOPLE_MAX);
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
        ToSupervisor::Probed(Probed { facts, .. }) => {
            fits(&facts.container) && fits(&facts.codec) && facts.frames_expected <= FRAMES_MAX
        }
        ToSupervisor::Failed(failure) => fits(&failure.detail),
        ToSupervisor::Progress(_) | ToSupervisor::Done(_) => true,
    };
    if within { Ok(()) } else { Err(Violation::OverCap { message: name(message) }) }
}
