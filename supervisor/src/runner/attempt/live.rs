//! The published state of a running worker, and the fields of its attempt's log lines.

use crate::runner::attempt::origin::Origin;
use crate::runner::attempt::progress_rate::ProgressRate;
use bodyscript_protocol::message::{Progress, Skipped, VideoFacts};
use bodyscript_protocol::sandbox_report::SandboxReport;
use bodyscript_protocol::session::Phase;

/// The state of a running worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Its process id, once it is spawned.
    pub pid: Option<i32>,
    /// The phase of the session.
    pub phase: Phase,
    /// The video, once it is probed.
    pub facts: Option<VideoFacts>,
    /// How far it was read on the way to the chosen part, if that does not begin with the video.
    pub skipped: Option<Skipped>,
    /// Frames processed so far.
    pub progress: Progress,
    /// Frames written, in the second pass of a recorded job.
    pub frames_written: u32,
    /// Its frame rate.
    pub rate: ProgressRate,
    /// The sandbox, once it is applied.
    pub sandbox: Option<SandboxReport>,
    /// Resident size at the last sample, in bytes.
    pub rss_bytes: u64,
    /// Most memory used so far, in bytes.
    pub peak_bytes: u64,
    /// What it has written so far, in bytes.
    pub results_bytes: u64,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            pid: None,
            phase: Phase::Created,
            facts: None,
            skipped: None,
            progress: Progress { frames_done: 0, frames_detected: 0 },
            frames_written: 0,
            rate: ProgressRate::default(),
            sandbox: None,
            rss_bytes: 0,
            peak_bytes: 0,
            results_bytes: 0,
        }
    }
}

/// What all log lines of one attempt have in common.
#[derive(Debug, Clone)]
pub(crate) struct LogFields {
    pub(crate) job: String,
    pub(crate) attempt: u32,
    pub(crate) origin: Origin,
}
