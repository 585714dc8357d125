//! Filters the frames of one track, in bounded memory whatever its length.
//!
//! A frame is complete once what follows it for [`LOOKAHEAD_S`] is known; frames are filtered in blocks of
//! [`BLOCK_FRAMES`] together with the seconds before and after them, beyond which nothing has an influence: the response
//! of the low pass has decayed to a millionth.

mod series;

use super::Hampel;
use super::landmark_set::LandmarkSet;
use super::outliers::NEIGHBOURS_MAX;
use super::swaps::{self, Poses};
use bodyscript_protocol::options::LowPass;
use bodyscript_protocol::pose::Pose;
use std::collections::VecDeque;

/// Frames that are filtered at a time.
const BLOCK_FRAMES: usize = 256;
/// Most frames that are kept before and after the first one that is not complete. Both are enough for the times below at
/// 240 frames per second; at higher rates less is seen.
const BEFORE_FRAMES_MAX: usize = 512;
const AFTER_FRAMES_MAX: usize = 1536;
/// How far the filters see, in seconds, before and after a frame.
const REACH_S: f64 = 2.0;
/// How far is seen beyond that to decide on exchanged sides.
const SWAP_REACH_S: f64 = 3.0;
/// What has to be known after a frame, in seconds.
const LOOKAHEAD_S: f64 = REACH_S + SWAP_REACH_S;

/// What is done to a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackFilterSettings {
    /// What counts as an outlier.
    pub outliers: Hampel,
    /// Longest gap that is filled: the time between the frames at its ends, in seconds.
    pub gap_s_max: f64,
    /// How noise is removed.
    pub low_pass: LowPass,
    /// Width of the picture in heights.
    pub aspect: f64,
}

impl TrackFilterSettings {
    /// The settings for pictures of this size.
    pub fn new(low_pass: LowPass, [width, height]: [u32; 2]) -> Self {
        Self {
            outliers: Hampel::default(),
            gap_s_max: 0.5,
            low_pass,
            aspect: f64::from(width) / f64::from(height.max(1)),
        }
    }
}

/// A frame of a filtered track.
#[derive(Debug, Clone, PartialEq)]
pub struct FilteredFrame {
    /// Presentation time in seconds.
    pub time: f64,
    /// The pose as it was added.
    pub raw: Option<Pose>,
    /// The filtered pose; none in a gap that is too long to be filled.
    pub pose: Option<Pose>,
    /// The landmarks that are interpolated: all of a pose that was missing, and outliers.
    pub filled: LandmarkSet,
    /// The landmarks whose sides were exchanged in the raw pose.
    pub exchanged: LandmarkSet,
}

/// A frame that is not complete, or near one.
#[derive(Debug, Clone)]
struct Recorded {
    time: f64,
    raw: Option<Pose>,
    exchanged: LandmarkSet,
    outliers: LandmarkSet,
}

impl Recorded {
    fn new(time: f64, raw: Option<Pose>) -> Self {
        let none = LandmarkSet::default();
        Self { time, raw, exchanged: none, outliers: none }
    }

    /// The pose with its sides as they should be.
    fn pose(&self) -> Option<Pose> {
        self.raw.as_ref().map(|pose| swaps::exchange(pose, self.exchanged))
    }
}

/// Takes the frames of one track one by one and gives them back filtered, in order.
#[derive(Debug)]
pub struct TrackFilter {
    settings: TrackFilterSettings,
    frames: VecDeque<Recorded>,
    /// How many of them were given back; they are kept for what follows.
    done: usize,
    /// How many have their sides decided.
    settled: usize,
    /// In how many outliers were looked for with all their neighbours known.
    checked: usize,
    ready: VecDeque<FilteredFrame>,
}

impl TrackFilter {
    /// A filter without frames.
    pub fn new(settings: TrackFilterSettings) -> Self {
        let (frames, ready) = (VecDeque::new(), VecDeque::new());
        Self { settings, frames, done: 0, settled: 0, checked: 0, ready }
    }

    /// Adds the next frame, with or without the person; its time, in seconds, is later than that of the last one.
    pub fn push(&mut self, time: f64, raw: Option<Pose>) {
        self.frames.push_back(Recorded::new(time, raw));
        let complete = self.count_until(time - LOOKAHEAD_S);
        if complete >= self.done + BLOCK_FRAMES {
            self.filter_until(complete);
        } else if self.frames.len() - self.done >= AFTER_FRAMES_MAX {
            self.filter_until(self.done + BLOCK_FRAMES);
        }
    }

    /// Completes the frames that were added: none follows.
    pub fn finish(&mut self) {
        self.settle(self.frames.len());
        self.filter_until(self.frames.len());
    }

    /// The next complete frame.
    pub fn pop(&mut self) -> Option<FilteredFrame> {
        self.ready.pop_front()
    }

    /// How many frames are not later than this.
    fn count_until(&self, time: f64) -> usize {
        self.frames.partition_point(|frame| frame.time <= time)
    }

    /// Decides on exchanged sides in the frames before this one.
    fn settle(&mut self, end: usize) {
        // Two settled frames say how the movement goes on.
        let first = self.settled.saturating_sub(2);
        let part = || self.frames.iter().skip(first);
        let (times, poses): (Vec<f64>, Vec<Pose>) =
            part().filter_map(|frame| Some((frame.time, frame.pose()?))).unzip();
        let is_present = |frame: &&Recorded| frame.raw.is_some();
        let settled = part().take(self.settled - first).filter(is_present).count();
        let found = swaps::find(Poses { times: &times, poses: &poses }, settled);
        let part = self.frames.iter_mut().take(end).skip(first);
        let present = part.filter(|frame| frame.raw.is_some());
        for (frame, exchanged) in present.zip(found).skip(settled) {
            frame.exchanged = exchanged;
        }
        self.settled = self.settled.max(end);
    }

    /// Gives back the frames before this one, and forgets those that are too long ago to matter.
    fn filter_until(&mut self, end: usize) {
        let Some(last) = self.frames.back().map(|frame| frame.time) else { return };
        if self.settled < self.frames.len() {
            let halfway = end + (self.frames.len() - end) / 2;
            self.settle(self.count_until(last - SWAP_REACH_S).max(halfway));
        }
        let is_last = self.settled == self.frames.len();
        let known = &mut self.frames.make_contiguous()[..self.settled];
        series::find_outliers(known, self.checked, &self.settings);
        self.checked =
            if is_last { known.len() } else { known.len().saturating_sub(NEIGHBOURS_MAX) };
        let filtered = series::filter(known, &self.settings);
        self.ready.extend(filtered.into_iter().take(end).skip(self.done));
        let start = self.frames.get(end).map_or(last, |frame| frame.time) - REACH_S;
        let forgotten = self.frames.partition_point(|frame| frame.time < start).min(end);
        let forgotten = forgotten.max(end.saturating_sub(BEFORE_FRAMES_MAX));
        self.frames.drain(..forgotten);
        self.done = end - forgotten;
        self.settled -= forgotten;
        self.checked = self.checked.saturating_sub(forgotten);
    }
}

#[cfg(test)]
mod tests;
