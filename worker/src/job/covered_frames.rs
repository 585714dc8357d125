//! The frames of a second pass in order, each with what is covered in it, for a job that covers heads. Called by
//! `two_passes`.
//!
//! A frame waits until it is known who is seen in the seconds after it.

use super::recording::RecordedFrame;
use super::replay::Replay;
use crate::heads::{Cover, Covering};
use crate::output::OutputError;
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
    /// The replayed frames, and the covering if heads are covered.
    pub(super) fn new(replay: Replay, covering: Option<Covering>) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads::Head;
    use crate::job::recording::Recorder;
    use crate::pose::VideoFrame;
    use bodyscript_protocol::options::Options;
    use std::time::Duration;

    /// How many covers each frame has, of 200 at 30 a second, of which these show a head.
    fn covers(shown: std::ops::Range<u32>, covering: Option<Covering>) -> Vec<usize> {
        let mut recorder = Recorder::new(tempfile::tempfile().expect("a file"));
        let head = Head { center: [100.0, 80.0], radius: 20.0 };
        for id in 0..200 {
            let pts = Duration::from_secs(1) * id / 30;
            let frame = VideoFrame { id, pts, time: pts, ..VideoFrame::default() };
            let heads = if shown.contains(&id) { vec![head] } else { vec![] };
            recorder.add(&frame, None, &heads).expect("written");
        }
        let recording = recorder.finish().expect("rewound");
        let replay = Replay::new((recording, None), &Options::default(), [640, 480]);
        let mut frames = CoveredFrames::new(replay, covering);
        let mut covers = Vec::new();
        while let Some((frame, of_frame)) = frames.next().expect("readable") {
            assert_eq!(frame.id as usize, covers.len(), "frames keep their order");
            covers.push(of_frame.len());
        }
        covers
    }

    #[test]
    fn heads_are_covered_before_they_are_seen_if_that_is_asked_for() {
        let covered = covers(150..200, Some(Covering::default()));
        assert_eq!(covered.len(), 200);
        assert_eq!(covered[..55], [0; 55]);
        assert!(covered[65..].iter().all(|count| *count > 0), "{covered:?}");
        assert_eq!(covers(150..200, None), [0; 200]);
    }
}
