//! Follows everybody but the first person. Called by `track`, which follows the first one as if
//! there were nobody else; what is claimed by the first person is nobody else's.
//!
//! ```text
//! seen   -- no person in the region, or another's body there --> hidden
//! hidden -- somebody seen where and as the person must be ----> seen, under the same number
//! hidden -- longer than `MEMORY` -----------------------------> forgotten; who returns is new
//! ```

use super::Estimator;
use super::clothes::Clothes;
use super::landmarks::Found;
use super::roi::Roi;
use super::smooth::Smoother;
use crate::inference::ModelError;
use crate::output::Person;
use crate::picture::Picture;
use bodyscript_protocol::options::Smoothing;
use bodyscript_protocol::pose::Pose;
use std::time::Duration;

/// How long somebody who is out of sight keeps the number.
pub const MEMORY: Duration = Duration::from_secs(2);
/// How often people who are not followed are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Two poses whose landmarks lie nearer to each other than this share of the person's region are
/// of one person.
const SAME_BODY: f32 = 0.08;
/// Share of a new step in the running mean of the velocity.
const STEP_SHARE: f32 = 0.2;
/// How far from the expected place a hidden person may come back, as a share of the region; and
/// how much farther for each second out of sight.
const ASTRAY_MAX: f32 = 0.35;
const ASTRAY_MAX_PER_S: f32 = 0.25;
/// How differently a person may be dressed after having been hidden.
const CLOTHES_MAX: f32 = 0.15;
/// What a difference in clothes counts against one in place.
const CLOTHES_WEIGHT: f32 = 4.0;

/// How people are carried from frame to frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrying {
    /// By their region.
    Region(Smoothing),
    /// Each frame is looked at alone; only the numbers are carried.
    Number,
}

/// Everybody but the first person.
#[derive(Debug)]
pub struct Companions {
    carrying: Carrying,
    /// How many there may be at a time.
    max: usize,
    tracks: Vec<Track>,
    next_id: u32,
    looked: Option<Duration>,
}

#[derive(Debug)]
struct Track {
    id: u32,
    is_seen: bool,
    /// Where the person is looked for in the next frame.
    roi: Roi,
    /// Pixels a second.
    velocity: [f32; 2],
    last_seen: Duration,
    clothes: Clothes,
    smoother: Smoother,
}

/// Somebody seen in this frame.
#[derive(Debug)]
pub struct Body {
    found: Found,
    clothes: Clothes,
    strategy: &'static str,
}

/// What all steps of one frame need.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The models.
    pub estimator: &'a Estimator,
    /// The frame.
    pub picture: &'a Picture,
    /// When it is shown.
    pub pts: Duration,
}

impl Companions {
    /// At most so many people besides the first, before the first frame.
    pub fn new(max: usize, carrying: Carrying) -> Self {
        Self { carrying, max, tracks: Vec::new(), next_id: 1, looked: None }
    }

    /// Everybody but the first person, by rising number, where regions are carried.
    pub fn next(
        &mut self,
        now: Moment<'_>,
        first: Option<&Found>,
    ) -> Result<Vec<Person>, ModelError> {
        let mut people = Vec::new();
        let mut claimed: Vec<Found> = first.cloned().into_iter().collect();
        for (at, body) in self.follow(now, &claimed)? {
            claimed.push(body.found.clone());
            people.push(self.tracks[at].update(now, body, self.carrying));
        }
        let bodies = self.look(now, &claimed)?;
        Ok(self.take_in(now, people, bodies))
    }

    /// The same, where numbers alone are carried, of those who were seen in the frame.
    pub fn number(&mut self, now: Moment<'_>, seen: Vec<Body>) -> Vec<Person> {
        self.tracks.iter_mut().for_each(Track::hide);
        self.take_in(now, Vec::new(), seen)
    }

    /// Finds out who those are that nobody followed, and forgets who is long out of sight.
    fn take_in(
        &mut self,
        now: Moment<'_>,
        mut people: Vec<Person>,
        bodies: Vec<Body>,
    ) -> Vec<Person> {
        for body in bodies {
            let at = self.track_for(now.pts, &body);
            people.push(self.tracks[at].update(now, body, self.carrying));
        }
        self.tracks.retain(|track| now.pts.saturating_sub(track.last_seen) <= MEMORY);
        people.sort_by_key(|person| person.id);
        people
    }

    /// Who is where the last frame lets expect. Whoever is not, or is taken for somebody else,
    /// becomes hidden.
    fn follow(
        &mut self,
        now: Moment<'_>,
        claimed: &[Found],
    ) -> Result<Vec<(usize, Body)>, ModelError> {
        let mut seen: Vec<(usize, Body)> = Vec::new();
        for at in 0..self.tracks.len() {
            if !self.tracks[at].is_seen {
                continue;
            }
            let found = now.estimator.landmarks(now.picture, &self.tracks[at].roi)?;
            let free = found.filter(|found| !claimed.iter().any(|it| same_body(now, it, found)));
            let Some(found) = free else {
                self.tracks[at].hide();
                continue;
            };
            let clothes = Clothes::seen(now.picture, &found.pose);
            let body = Body { found, clothes, strategy: "track" };
            let rival = seen.iter().position(|(_, it)| same_body(now, &it.found, &body.found));
            match rival {
                None => seen.push((at, body)),
                Some(rival) => {
                    let cost = |track: &Track| track.cost(now.pts, &body);
                    let holder = seen[rival].0;
                    let is_better = cost(&self.tracks[at]) < cost(&self.tracks[holder]);
                    self.tracks[if is_better { holder } else { at }].hide();
                    if is_better {
                        seen[rival] = (at, body);
                    }
                }
            }
        }
        Ok(seen)
    }

    /// People who are nobody's yet, if there may be more.
    fn look(&mut self, now: Moment<'_>, claimed: &[Found]) -> Result<Vec<Body>, ModelError> {
        let free = self.max - self.tracks.iter().filter(|track| track.is_seen).count();
        let due = self.looked.is_none_or(|last| now.pts.saturating_sub(last) >= LOOK_EVERY);
        if free == 0 || !due {
            return Ok(Vec::new());
        }
        self.looked = Some(now.pts);
        bodies(now, claimed, free, "detect")
    }

    /// The place among the tracks of the hidden person that this must be, or of a new one.
    fn track_for(&mut self, pts: Duration, body: &Body) -> usize {
        let hidden = self.tracks.iter().enumerate().filter(|(_, track)| !track.is_seen);
        let known = hidden
            .filter(|(_, track)| track.could_be(pts, body))
            .min_by(|(_, a), (_, b)| a.cost(pts, body).total_cmp(&b.cost(pts, body)))
            .map(|(at, _)| at);
        if let Some(at) = known {
            return at;
        }
        let smoothing = match self.carrying {
            Carrying::Region(smoothing) => smoothing,
            Carrying::Number => Smoothing::Off,
        };
        self.tracks.push(Track {
            id: self.next_id,
            is_seen: false,
            roi: region(&body.found),
            velocity: [0.0; 2],
            last_seen: pts,
            clothes: body.clothes,
            smoother: Smoother::new(smoothing),
        });
        self.next_id += 1;
        self.tracks.len() - 1
    }
}

impl Track {
    fn hide(&mut self) {
        if self.is_seen {
            self.is_seen = false;
            self.smoother.lose_track();
        }
    }

    /// Takes in a sight of the person.
    fn update(&mut self, now: Moment<'_>, body: Body, carrying: Carrying) -> Person {
        let size = [now.picture.width() as f32, now.picture.height() as f32];
        let found = match carrying {
            Carrying::Region(_) => self.smoother.apply(body.found, now.pts, size),
            Carrying::Number => body.found,
        };
        let roi = region(&found);
        let elapsed = now.pts.saturating_sub(self.last_seen).as_secs_f32();
        if elapsed > 0.0 {
            let step = [roi.center_x - self.roi.center_x, roi.center_y - self.roi.center_y];
            for (velocity, step) in self.velocity.iter_mut().zip(step) {
                *velocity += STEP_SHARE * (step / elapsed - *velocity);
            }
        }
        self.clothes.follow(&body.clothes);
        (self.roi, self.last_seen, self.is_seen) = (roi, now.pts, true);
        Person { id: self.id, pose: found.pose, strategy: body.strategy }
    }

    /// How far a body is from where this person should be, as a share of the region.
    fn astray(&self, pts: Duration, body: &Body) -> f32 {
        let elapsed = pts.saturating_sub(self.last_seen).as_secs_f32();
        let at = region(&body.found);
        let dx = at.center_x - self.roi.center_x - self.velocity[0] * elapsed;
        let dy = at.center_y - self.roi.center_y - self.velocity[1] * elapsed;
        dx.hypot(dy) / self.roi.side.max(1.0)
    }

    fn could_be(&self, pts: Duration, body: &Body) -> bool {
        let elapsed = pts.saturating_sub(self.last_seen).as_secs_f32();
        self.astray(pts, body) <= ASTRAY_MAX + ASTRAY_MAX_PER_S * elapsed
            && self.clothes.difference(&body.clothes) <= CLOTHES_MAX
    }

    fn cost(&self, pts: Duration, body: &Body) -> f32 {
        self.astray(pts, body) + CLOTHES_WEIGHT * self.clothes.difference(&body.clothes)
    }
}

/// Everybody but the first person in a frame that is looked at alone, so many at most.
///
/// # Errors
/// A model fails.
pub fn alone(now: Moment<'_>, first: Option<&Found>, max: usize) -> Result<Vec<Body>, ModelError> {
    bodies(now, first.map_or(&[], std::slice::from_ref), max, "original")
}

/// Who is seen besides those who are claimed, so many at most.
fn bodies(
    now: Moment<'_>,
    claimed: &[Found],
    max: usize,
    strategy: &'static str,
) -> Result<Vec<Body>, ModelError> {
    let mut bodies: Vec<Body> = Vec::new();
    for roi in now.estimator.detect(now.picture)? {
        if bodies.len() == max {
            break;
        }
        let Some(found) = now.estimator.landmarks(now.picture, &roi)? else { continue };
        let mut taken = claimed.iter().chain(bodies.iter().map(|body| &body.found));
        if taken.any(|other| same_body(now, other, &found)) {
            continue;
        }
        let clothes = Clothes::seen(now.picture, &found.pose);
        bodies.push(Body { found, clothes, strategy });
    }
    Ok(bodies)
}

fn region(found: &Found) -> Roi {
    Roi::from_alignment(found.alignment[0], found.alignment[1])
}

fn same_body(now: Moment<'_>, a: &Found, b: &Found) -> bool {
    let side = region(a).side.min(region(b).side);
    distance_px(now.picture, &a.pose, &b.pose) < SAME_BODY * side
}

/// Mean distance of the landmarks, in pixels.
fn distance_px(picture: &Picture, a: &Pose, b: &Pose) -> f32 {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let apart = a.iter().zip(b).map(|(a, b)| ((a.x - b.x) * width).hypot((a.y - b.y) * height));
    apart.sum::<f32>() / a.len() as f32
}
