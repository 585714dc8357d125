//! What is known of one person: the times in view, and the frame in which the person is seen best. Pure.

use super::picture::DataUri;
use crate::output::seconds;
use crate::pose::{Frame, Person};
use bodyscript_protocol::options::{Click, PersonChoice, Thousandths};
use bodyscript_protocol::pose::mean_visibility;
use serde::Serialize;
use std::time::Duration;

/// How much a frame is worth in which somebody else is at the person's place.
const CROWDED_WORTH: f32 = 0.25;

/// How many times the worth of another frame has to be that of the best one so far: small gains do not pay for a
/// new picture.
const BETTER_MIN: f32 = 1.05;

/// One person so far.
pub(super) struct View {
    frames: u32,
    first: Duration,
    last: Duration,
    last_frame: u32,
    in_view: Duration,
    best: Sight,
    picture: Option<DataUri>,
}

/// A person in one frame.
pub(super) struct Sight {
    frame: u32,
    time: Duration,
    /// Left, top, right and bottom, within the picture.
    bounds: [f32; 4],
    /// How well the person is seen: visible, large and alone.
    worth: f32,
}

/// The facts as they appear in JSON. Times are those of the file.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    frames: u32,
    first_s: f64,
    last_s: f64,
    in_view_s: f64,
    /// The time of the picture and the box.
    best_s: f64,
    /// Left, top, width and height, as fractions of the upright picture.
    #[serde(rename = "box")]
    area: [f32; 4],
    /// The option `person` that chooses this person.
    person: String,
    picture: Option<&'a DataUri>,
}

impl View {
    pub(super) const fn new(sight: Sight) -> Self {
        Self {
            frames: 1,
            first: sight.time,
            last: sight.time,
            last_frame: sight.frame,
            in_view: Duration::ZERO,
            best: sight,
            picture: None,
        }
    }

    /// Adds the person in the next frame; `before` is the processed frame before it.
    pub(super) fn add(&mut self, sight: Sight, before: Option<u32>) {
        if before == Some(self.last_frame) {
            self.in_view += sight.time.saturating_sub(self.last);
        }
        self.frames += 1;
        (self.last, self.last_frame) = (sight.time, sight.frame);
        if sight.worth > BETTER_MIN * self.best.worth {
            (self.best, self.picture) = (sight, None);
        }
    }

    pub(super) const fn frames(&self) -> u32 {
        self.frames
    }

    /// Whether the person is in the frame of this number, which is the latest.
    pub(super) const fn is_in(&self, frame: u32) -> bool {
        self.last_frame == frame
    }

    /// Whether the person is seen best in the frame of this number.
    pub(super) const fn needs_picture(&self, frame: u32) -> bool {
        self.best.frame == frame && self.picture.is_none()
    }

    pub(super) fn set_picture(&mut self, picture: Option<DataUri>) {
        self.picture = picture;
    }

    pub(super) fn report(&self) -> Report<'_> {
        let [left, top, right, bottom] = self.best.bounds;
        Report {
            frames: self.frames,
            first_s: seconds(self.first),
            last_s: seconds(self.last),
            in_view_s: seconds(self.in_view),
            best_s: seconds(self.best.time),
            area: [left, top, right - left, bottom - top],
            person: self.best.choice().to_string(),
            picture: self.picture.as_ref(),
        }
    }
}

impl Sight {
    /// A person in a frame, in which others are within these bounds.
    pub(super) fn of(
        frame: &Frame<'_>,
        person: &Person,
        mut others: impl Iterator<Item = [f32; 4]>,
    ) -> Self {
        let bounds = person.bounds().map(|side| side.clamp(0.0, 1.0));
        let [x, y] = middle(bounds);
        let is_crowded = others.any(|[left, top, right, bottom]| {
            (left..=right).contains(&x) && (top..=bottom).contains(&y)
        });
        let [left, top, right, bottom] = bounds;
        let size = ((right - left) * (bottom - top)).sqrt();
        let alone = if is_crowded { CROWDED_WORTH } else { 1.0 };
        let worth = mean_visibility(&person.pose) * size * alone;
        Self { frame: frame.id, time: frame.source_time, bounds, worth }
    }

    /// The choice of whoever is in the middle of the bounds at that time.
    fn choice(&self) -> PersonChoice {
        let thousandths = |value: f64| Thousandths::new((value * 1000.0).round() as u32);
        let [x, y] = middle(self.bounds).map(|place| thousandths(place.into()));
        PersonChoice::At(Click { x, y, time: thousandths(self.time.as_secs_f64()) })
    }
}

fn middle([left, top, right, bottom]: [f32; 4]) -> [f32; 2] {
    [(left + right) / 2.0, (top + bottom) / 2.0]
}
