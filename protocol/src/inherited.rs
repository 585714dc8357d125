//! Which descriptor is which in a newborn worker. The worker is handed descriptors, never paths.

use crate::artefact::Artefact;

/// The supervisor's frames come in here.
pub const FRAMES_IN: i32 = 0;
/// The worker's frames go out here.
pub const FRAMES_OUT: i32 = 1;
/// The worker's log lines go out here.
pub const LOG: i32 = 2;
/// The uploaded video, read-only and seekable.
pub const VIDEO: i32 = 3;
/// The person detector's model file, read-only.
pub const DETECTOR_MODEL: i32 = 4;
/// The landmark model's file, read-only.
pub const LANDMARK_MODEL: i32 = 5;
/// The first artefact; the others follow in the order in which `Start` lists them.
pub const FIRST_ARTEFACT: i32 = 6;

/// The descriptor of the artefact at `position` in `Start::artefacts`.
pub const fn artefact(position: usize) -> i32 {
    FIRST_ARTEFACT + position as i32
}

const _: () = assert!(artefact(Artefact::ALL.len()) < 64);
