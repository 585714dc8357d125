//! One pass of a run: the frames of the video through the tracker, to what takes them. Called by `run` and
//! `two_passes`.

use super::error::WorkerError;
use super::part::{FrameUse, PartStart};
use super::sampling::Sampler;
use super::skip_report::SkipReport;
use crate::ipc::{CancelFlag, ChannelError};
use crate::picture::Picture;
use crate::pose::{Estimator, TrackedFrame, Tracker, VideoFrame};
use crate::video::{Decoder, FrameTime};
use bodyscript_protocol::message::{Start, ToSupervisor};
use std::ops::Range;
use std::time::Instant;

/// The inputs of a run.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The job's description.
    pub start: &'a Start,
    /// The models.
    pub estimator: &'a Estimator,
    /// Raised when the job is cancelled.
    pub cancelled: &'a CancelFlag,
}

/// Sends a message to the supervisor.
pub(super) type Send<'a> = dyn FnMut(&ToSupervisor) -> Result<(), ChannelError> + 'a;

/// What the tracked frames of a pass go to.
pub(super) trait FrameSink {
    /// Takes a frame; returns its picture, whose memory is reused.
    fn take(&mut self, frame: TrackedFrame) -> Result<Picture, WorkerError>;

    /// Sends a message to the supervisor.
    fn send(&mut self, message: &ToSupervisor) -> Result<(), ChannelError>;
}

/// Passes the frames of the part, and those that the tracker needs before it, through the tracker; returns
/// the numbers of those in the part.
pub(super) fn track(
    job: &Job<'_>,
    decoder: &mut Decoder,
    mut tracker: Tracker<'_>,
    sink: &mut dyn FrameSink,
) -> Result<Range<u32>, WorkerError> {
    let options = &job.start.parameters.options;
    let (part, mut sampler) = (PartStart::of(options), Sampler::new(options));
    let mut skip_report = SkipReport::new(Instant::now());
    // Written pictures, whose memory is reused.
    let mut spare = Vec::new();
    let mut picture = Picture::default();
    let mut frames = 0..0;
    while let Some(FrameTime { pts }) = decoder.advance()? {
        if job.cancelled.is_raised() {
            return Err(WorkerError::Cancelled);
        }
        let id = frames.end;
        frames.end += 1;
        let time = options.time_in_life(pts);
        let (is_selected, frame_use) = (sampler.selects(id, time), part.use_of(pts));
        if frame_use != FrameUse::Written {
            frames.start = frames.end;
            if let Some(skipped) = skip_report.reached(pts, Instant::now()) {
                sink.send(&ToSupervisor::Skipped(skipped))?;
            }
        }
        if frame_use == FrameUse::Skipped {
            continue;
        }
        decoder.read(&mut picture)?;
        let frame = VideoFrame { id, pts, time, picture };
        if is_selected {
            tracker.push(frame);
        } else {
            tracker.push_skipped(frame);
        }
        while tracker.is_full()
            && let Some(tracked) = tracker.pop()
        {
            spare.push(sink.take(tracked)?);
        }
        picture = spare.pop().unwrap_or_default();
    }
    while let Some(tracked) = tracker.pop() {
        sink.take(tracked)?;
    }
    Ok(frames)
}
