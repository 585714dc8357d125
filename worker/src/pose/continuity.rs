//! Numbers the tracks of one person: a track is a stretch of frames of the same person, and a new
//! one begins where somebody else is followed or the person was lost. Filters and curves do not
//! cross tracks.

use super::detection::Detection;
use super::identity::Identity;
use super::roi::Roi;
use std::time::Duration;

/// How long a person may be missing from processed frames within a track.
pub(crate) const GAP_MAX: Duration = Duration::from_millis(500);

/// The tracks of one person.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    track: Option<u32>,
    identity: Option<Identity>,
    /// Whether the person is missing since the last detection.
    is_missing: bool,
}

impl Continuity {
    /// Assigns a detection to a track, still to be added by [`Self::update`]; returns whether a new
    /// track begins.
    pub(super) fn follow(&mut self, pts: Duration, detection: &Detection) -> bool {
        let is_same = self.identity.as_ref().is_some_and(|identity| {
            let gap = pts.saturating_sub(identity.last_seen());
            match self.is_missing {
                false => identity.is_continued_by(pts, detection),
                true => gap <= GAP_MAX && identity.is_found_again_by(pts, detection),
            }
        });
        self.is_missing = false;
        if is_same {
            return false;
        }
        self.track = Some(self.track.map_or(0, |track| track + 1));
        self.identity = Some(Identity::new(pts, detection));
        true
    }

    /// Adds the detection, whose region in the next frame is this one; returns the track's number.
    pub(super) fn update(&mut self, pts: Duration, roi: Roi, detection: &Detection) -> u32 {
        if let Some(identity) = &mut self.identity {
            identity.update(pts, roi, &detection.appearance);
        }
        self.track.unwrap_or(0)
    }

    /// Records that the person is not found in a processed frame.
    pub(super) const fn miss(&mut self) {
        self.is_missing = true;
    }
}
