//! The two message types. Nothing else crosses the pipe.

use crate::artefact::Artefact;
use crate::fault::Fault;
use crate::options::Options;
use crate::posture::{Layer, Posture};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// What the supervisor says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// The first message: get ready for a job.
    Prepare(Prepare),
    /// The first and only job. Its files are in [`crate::inherited::HANDOVER`] by then.
    Start(Start),
    /// Stop as soon as you can.
    Cancel,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToSupervisor {
    /// The sandbox is closed and the models are loaded; the video has not been touched.
    Ready(Posture),
    /// What the video is, before any frame of it is decoded.
    Probed(VideoFacts),
    /// How far the run has come.
    Progress(Progress),
    /// All artefacts are complete.
    Done(Summary),
    /// The run is over without a result.
    Failed(Failure),
}

/// What a worker is told before there is a job for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// [`crate::PROTOCOL_VERSION`] of the sender.
    pub version: u32,
    /// The sandbox layers to put on.
    pub layers: Vec<Layer>,
    /// The layers without which the worker must refuse to start.
    pub layers_required: Vec<Layer>,
    /// Whether to go through a job of the worker's own making before it says that it is ready,
    /// because it will stand by.
    pub rehearses: bool,
}

/// One job for one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The job's id, for log lines.
    pub job: String,
    /// What was chosen for this video.
    pub options: Options,
    /// What is refused or cut.
    pub limits: MediaLimits,
    /// What to write; the files are handed over in this order, after the video.
    pub artefacts: Vec<Artefact>,
    /// The job's share of the processors: on how many threads poses are looked for at a time.
    pub threads: NonZeroU32,
}

/// What happens to a video longer than the limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLong {
    /// Process the beginning, up to the limit.
    #[default]
    Trim,
    /// Refuse the video.
    Reject,
}

/// Limits on the video itself, checked before a decoder allocates for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaLimits {
    /// Longest part that is processed, in milliseconds of presentation time.
    pub duration_ms_max: u32,
    /// What happens to a longer one.
    pub on_long: OnLong,
    /// Longest side of the picture, in pixels.
    pub side_px_max: u32,
    /// Area of the picture, in pixels.
    pub area_px_max: u32,
    /// Highest nominal frame rate, in frames per second.
    pub frame_rate_max: u32,
}

/// What the containers and caps say of the video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoFacts {
    /// Width as displayed (upright), in pixels.
    pub width: u32,
    /// Height as displayed (upright), in pixels.
    pub height: u32,
    /// Nominal frame rate as a fraction; 0/1 where the rate varies or is unknown.
    pub frame_rate: (u32, u32),
    /// Duration of the whole video, in milliseconds, where the container knows it.
    pub duration_ms: Option<u64>,
    /// How many frames will be processed, as far as can be known.
    pub frames_expected: u32,
    /// Whether the video is longer than the limit and will be cut.
    pub trimmed: bool,
    /// How far the stored picture is turned clockwise to be upright, in degrees.
    pub rotation_degrees: u32,
    /// Whether the stored picture is mirrored left to right before that turn.
    pub mirrored: bool,
    /// Media type of the container.
    pub container: String,
    /// Media type of the video codec.
    pub codec: String,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Frames processed so far.
    pub frames_done: u32,
    /// Frames in which a person was found, so far.
    pub frames_detected: u32,
}

/// How a successful run went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Frames decoded.
    pub frames_decoded: u32,
    /// Frames processed, as the sampling has it.
    pub frames_processed: u32,
    /// Frames in which a person was found.
    pub frames_detected: u32,
    /// Mean visibility of all landmarks over the frames with a person; 0 without any.
    pub mean_visibility: f32,
    /// How often the person was seen in one processed frame and not in the next.
    pub track_losses: u32,
    /// How much the landmarks tremble: root mean square of the second difference of their
    /// positions over three processed frames, as a fraction of the picture's diagonal.
    pub jitter: f32,
    /// How many people were told apart.
    pub people: u32,
}

/// Why a run ended without a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What is wrong, as data: the sentence people read is made from it by the receiver.
    pub fault: Fault,
    /// The cause in the worker's words. For the log alone: it may quote hostile input.
    pub detail: String,
}
