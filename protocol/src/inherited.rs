//! Which descriptor is which in a newborn worker, and what is handed over later. The worker is
//! given descriptors, never paths.

use crate::artefact::Artefact;

/// The supervisor's frames come in here.
pub const FRAMES_IN: i32 = 0;
/// The worker's frames go out here.
pub const FRAMES_OUT: i32 = 1;
/// The worker's log lines go out here.
pub const LOG: i32 = 2;
/// A Unix socket for packets: one comes in, and brings the files of the job (unix(7),
/// SCM_RIGHTS). First the uploaded video, read-only and seekable; then the artefacts in the order
/// in which `Start` lists them.
pub const HANDOVER: i32 = 3;
/// The person detector's model file, read-only.
pub const DETECTOR_MODEL: i32 = 4;
/// The landmark model's file, read-only.
pub const LANDMARK_MODEL: i32 = 5;
/// How many there are.
pub const COUNT: i32 = 6;

/// Most files that are handed over for one job.
pub const HANDED_OVER_MAX: usize = 1 + Artefact::ALL.len();

const _: () = assert!(COUNT as usize + HANDED_OVER_MAX < 64);
