//! Counts what a run found, frame by frame, in constant memory.

use super::Frame;
use bodyscript_protocol::message::{Progress, Summary};
use bodyscript_protocol::pose::mean_visibility;
use serde::Serialize;

/// Running totals.
#[derive(Debug, Default)]
pub struct Statistics {
    frames_processed: u32,
    frames_detected: u32,
    visibility_sum: f64,
}

/// The totals as they appear in JSON artefacts.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Frames decoded.
    pub frames_decoded: u32,
    /// Frames processed.
    pub frames_processed: u32,
    /// Frames with a person.
    pub frames_detected: u32,
    /// Share of the processed frames with a person.
    pub detection_rate: f64,
    /// Mean visibility over the frames with a person.
    pub average_quality: f32,
}

impl Statistics {
    /// Counts one frame; gives the mean visibility of its pose, 0 without one.
    pub fn add(&mut self, frame: &Frame<'_>) -> f32 {
        self.frames_processed += 1;
        let Some((pose, _)) = frame.pose else { return 0.0 };
        let visibility = mean_visibility(pose);
        self.frames_detected += 1;
        self.visibility_sum += f64::from(visibility);
        visibility
    }

    /// The counts so far.
    pub const fn progress(&self) -> Progress {
        Progress { frames_done: self.frames_processed, frames_detected: self.frames_detected }
    }

    /// The totals of a run that decoded so many frames.
    pub fn summary(&self, frames_decoded: u32) -> Summary {
        let mean = self.visibility_sum / f64::from(self.frames_detected.max(1));
        Summary {
            frames_decoded,
            frames_processed: self.frames_processed,
            frames_detected: self.frames_detected,
            mean_visibility: mean as f32,
        }
    }
}

impl From<&Summary> for Report {
    fn from(summary: &Summary) -> Self {
        let processed = f64::from(summary.frames_processed.max(1));
        Self {
            frames_decoded: summary.frames_decoded,
            frames_processed: summary.frames_processed,
            frames_detected: summary.frames_detected,
            detection_rate: f64::from(summary.frames_detected) / processed,
            average_quality: summary.mean_visibility,
        }
    }
}
