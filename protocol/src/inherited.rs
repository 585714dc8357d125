//! The descriptors a worker is spawned with, and those passed to it later. The worker is
//! given descriptors, never paths.

use crate::artefact::Artefact;

/// Messages from the supervisor.
pub const MESSAGES_IN: i32 = 0;
/// Messages from the worker.
pub const MESSAGES_OUT: i32 = 1;
/// Log lines of the worker.
pub const LOG: i32 = 2;
/// A Unix socket for packets: one packet brings the files of the job (unix(7),
/// SCM_RIGHTS). First the uploaded video, read-only and seekable; then the artefacts in the order
/// in which `Start` lists them; then, if the job is recorded, the file for the recording.
pub const FILES_IN: i32 = 3;
/// The person detector's model file, read-only.
pub const DETECTOR_MODEL: i32 = 4;
/// The landmark model's file, read-only.
pub const LANDMARK_MODEL: i32 = 5;
/// Number of descriptors a worker is spawned with.
pub const COUNT: i32 = 6;

/// Most files that are passed for one job.
pub const PASSED_FILES_MAX: usize = 1 + Artefact::ALL.len() + 1;

const _: () = assert!(COUNT as usize + PASSED_FILES_MAX < 64);
