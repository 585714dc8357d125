//! The frames of a second pass in order, each with what is covered in it, for a job that covers heads. Called by
//! `two_passes`.
//!
//! A frame waits until it is known who is seen in the seconds after it.

use super::recording::RecordedFrame;
use super::replay::Replay;
use crate::heads::{Cover, Covering};
use crate::output::OutputError;
use bodyscript_protocol::options::{Blur, Options};
use std::collections::VecDeque;

/// The frames.
pub(super) struct CoveredFrames {
    replay: Replay,
    /// If heads are covered.
    covering: Option<Covering>,
    /// The frames whose covers are not known.
    waiting: VecDeque<RecordedFrame>,
}

impl CoveredFrames {
    /// The replayed frames of a job with these options.
    pub(super) fn new(replay: Replay, options: &Options) -> Self {
        let covering = (options.blur == Blur::Faces).then(Covering::default);
        Self { replay, covering, waiting: VecDeque::new() }
    }

    /// The next frame and what is covered in it; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<(RecordedFrame, Vec<Cover>)>, OutputError> {
        let Some(covering) = &mut self.covering else {
            return Ok(self.replay.next()?.map(|frame| (frame, Vec::new())));
        };
        loop {
            if let Some(covers) = covering.pop() {
                return Ok(self.waiting.pop_front().map(|frame| (frame, covers)));
            }
            match self.replay.next()? {
                Some(frame) => {
                    covering.push(frame.pts.as_secs_f64(), &frame.heads);
                    self.waiting.push_back(frame);
                }
                None if self.waiting.is_empty() => return Ok(None),
                None => covering.finish(),
            }
        }
    }
}
