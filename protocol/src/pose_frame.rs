//! The people in one processed frame as they are found: a message of the worker, and a line that clients get while the
//! video is processed. It has the names and the numbers of a frame of `pose_data.json`.

use crate::limits::MESSAGE_BYTES_MAX;
use crate::options::PEOPLE_MAX;
use crate::pose::{LANDMARKS, Landmark};
use serde::{Deserialize, Serialize};

/// Longest name of a strategy, in bytes.
pub(crate) const STRATEGY_BYTES_MAX: usize = 32;

/// Bytes of one person in a message: numbers, lengths and the strategy.
const PERSON_BYTES_MAX: usize = LANDMARKS * size_of::<Landmark>() + STRATEGY_BYTES_MAX + 24;

const _: () =
    assert!(PEOPLE_MAX as usize * PERSON_BYTES_MAX + STRATEGY_BYTES_MAX + 64 < MESSAGE_BYTES_MAX);

/// One processed frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoseFrame {
    /// Number of the frame in the video, from 0.
    pub frame_id: u32,
    /// Time in life, in seconds.
    pub time_s: f64,
    /// Whether the person with the id 0 was found.
    pub detected: bool,
    /// The strategy that found that person.
    pub strategy: Option<String>,
    /// Presentation time in the file, in seconds.
    pub source_time_s: f64,
    /// The people in it, by ascending id.
    pub people: Vec<PersonPose>,
}

/// One person in one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PersonPose {
    /// Number of the person in the video, from 0.
    pub person_id: u32,
    /// The strategy that found the person.
    pub strategy: String,
    /// Number of the person's track.
    pub track_id: u32,
    /// The landmarks, in the order of [`crate::pose::NAMES`].
    pub landmarks: Vec<Landmark>,
}
