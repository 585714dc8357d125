//! The result of pose estimation: the people of one frame.

use super::enhance::Enhancement;
use crate::motion::{LandmarkSet, MetricScale};
use bodyscript_protocol::pose::{LANDMARKS, Landmark, Pose};
use std::time::Duration;

/// One processed frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Number of the frame in the video, from 0.
    pub(crate) id: u32,
    /// Time in life.
    pub(crate) time: Duration,
    /// Presentation time in the file.
    pub(crate) source_time: Duration,
    /// The people in it, by ascending id.
    pub(crate) people: &'a [Person],
}

impl<'a> Frame<'a> {
    /// The person with the id 0, if detected.
    pub(crate) fn first_detected(&self) -> Option<&'a Person> {
        self.first().filter(|person| person.is_detected())
    }

    /// The person with the id 0: the most prominent one, and the only one unless more are requested.
    pub(crate) fn first(&self) -> Option<&'a Person> {
        self.people.first().filter(|person| person.id == 0)
    }
}

/// One person in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Person {
    /// Number of the person in the video, from 0: the same from frame to frame.
    pub(crate) id: u32,
    /// Number of the person's track, from 0: another one after the person was lost, or if this
    /// number stands for somebody else from here on.
    pub(crate) track: u32,
    /// The landmarks.
    pub(crate) pose: Pose,
    /// The name of the strategy that detected the person.
    pub(crate) strategy: &'static str,
    /// What a filter that knew later frames has changed, if there was one.
    pub(crate) filtered: Option<FilterTrace>,
}

impl Person {
    /// Whether the person was detected in the frame, and the pose not interpolated.
    pub(crate) const fn is_detected(&self) -> bool {
        !matches!(self.filtered, Some(FilterTrace { raw: None, .. }))
    }

    /// Left, top, right and bottom of the landmarks.
    pub(crate) fn bounds(&self) -> [f32; 4] {
        let values = |of: fn(&Landmark) -> f32| self.pose.iter().map(of);
        let least = |of| values(of).fold(f32::INFINITY, f32::min);
        let most = |of| values(of).fold(f32::NEG_INFINITY, f32::max);
        [least(|it| it.x), least(|it| it.y), most(|it| it.x), most(|it| it.y)]
    }

    /// x, y and z of a landmark before the filter.
    pub(crate) fn raw(&self, landmark: usize) -> Option<[f32; 3]> {
        Some(self.filtered.as_ref()?.raw.as_ref()?[landmark])
    }

    /// The landmarks in metres in the scene, of the person whose height is known.
    pub(crate) fn in_scene(&self, metres: Option<MetricScale>) -> Option<[[f32; 3]; LANDMARKS]> {
        metres.filter(|_| self.id == 0).map(|metres| metres.positions(&self.pose))
    }

    /// Whether a landmark is interpolated.
    pub(crate) fn is_filled(&self, landmark: usize) -> bool {
        self.filtered.as_ref().is_some_and(|trace| trace.filled.contains(landmark))
    }
}

/// What a filter that knew later frames has changed in a pose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FilterTrace {
    /// x, y and z before it; none if the person was not detected.
    pub(crate) raw: Option<[[f32; 3]; LANDMARKS]>,
    /// The landmarks that are interpolated.
    pub(crate) filled: LandmarkSet,
}

/// The name of the strategy of an interpolated pose.
pub(crate) const FILLED: &str = "filled";

/// The names of all strategies.
pub(crate) fn strategies() -> impl Iterator<Item = &'static str> {
    ["detect", "track"].into_iter().chain(Enhancement::ALL.map(Enhancement::name))
}
