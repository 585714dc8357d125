//! Statistics of a completed job, rounded for display. Pure.
//!
//! Called by [`crate::dispatcher::status::Status::of`].

use bodyscript_protocol::message::Summary;
use serde::Serialize;
use utoipa::ToSchema;

/// Statistics of a completed job.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Statistics {
    /// Share of the processed frames in which a person was found, 0 to 1.
    pub detection_rate: f64,
    /// Mean visibility of the landmarks over the frames with a person, 0 to 1.
    pub average_quality: f64,
    /// Frames decoded.
    pub frames_decoded: u32,
    /// Frames processed.
    pub frames_processed: u32,
    /// Frames in which a person was found.
    pub frames_detected: u32,
    /// How often a person was detected in one processed frame but not in the next.
    pub track_losses: u32,
    /// Jitter of the landmarks: root mean square of the second difference of their
    /// positions, as a fraction of the frame's diagonal.
    pub jitter: f64,
    /// Number of people distinguished.
    pub people: u32,
}

impl Statistics {
    pub(crate) fn of(summary: &Summary) -> Self {
        let processed = f64::from(summary.frames_processed.max(1));
        Self {
            detection_rate: rounded(f64::from(summary.frames_detected) / processed),
            average_quality: rounded(summary.mean_visibility.into()),
            frames_decoded: summary.frames_decoded,
            frames_processed: summary.frames_processed,
            frames_detected: summary.frames_detected,
            track_losses: summary.track_losses,
            jitter: (f64::from(summary.jitter) * 1e6).round() / 1e6,
            people: summary.people,
        }
    }
}

fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}
