//! The two message types. Nothing else crosses the pipe.

use crate::artefact::Artefact;
use crate::fault::Fault;
use crate::options::{LandmarkModel, Options};
use crate::pose_frame::PoseFrame;
use crate::sandbox_report::{Layer, SandboxReport};
use crate::warning::Warnings;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::ops::Range;

/// A message from the supervisor to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// The first message: get ready for a job.
    Prepare(Prepare),
    /// The first and only job. Its files are in [`crate::inherited::FILES_IN`] by then.
    Start(Start),
    /// Stop as soon as you can.
    Cancel,
    /// The reply to `Probed`: the memory cap has room for the video.
    Proceed,
}

/// A message from the worker to the supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToSupervisor {
    /// The sandbox is closed and the models are loaded; the video has not been touched.
    Ready(SandboxReport),
    /// What the video is, before a decoder for it exists. The worker then waits for `Proceed`.
    Probed(Probed),
    /// Progress of the run.
    Progress(Progress),
    /// All artefacts are complete.
    Done(Summary),
    /// The run failed; no result.
    Failed(Failure),
    /// How far the video was read on the way to the part that is processed.
    Skipped(Skipped),
    /// So many processed frames are written, in the second pass of a recorded run.
    Written(u32),
    /// The people in the next processed frame, as they are found.
    Poses(PoseFrame),
}

/// How a worker is to set itself up, before there is a job for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// [`crate::PROTOCOL_VERSION`] of the sender.
    pub version: u32,
    /// The sandbox layers to enable.
    pub layers: Vec<Layer>,
    /// The layers without which the worker must refuse to start.
    pub layers_required: Vec<Layer>,
    /// The user and group that a worker started as root becomes, of which no other process is.
    pub user_id: u32,
    /// The landmark model whose file it inherits: jobs with another one need another worker.
    pub model: LandmarkModel,
    /// Whether to process a generated video before `Ready`, so that code and memory are warm:
    /// the worker will wait in the pool.
    pub warms_up: bool,
}

/// One job for one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The job's id, for log lines.
    pub job: String,
    /// How to process the video.
    pub parameters: JobParameters,
    /// The artefacts to write; their descriptors are passed in this order, after the video's.
    pub artefacts: Vec<Artefact>,
}

/// How to process a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobParameters {
    /// The options chosen for it.
    pub options: Options,
    /// Limits on the video.
    pub limits: MediaLimits,
    /// The job's share of the processors: how many threads run inference at a time.
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

impl MediaLimits {
    /// Most frames in the processed part of one video: those of the longest one at the highest rate, and one
    /// second more, because nominal rates and durations are rounded.
    pub const fn frames_max(&self) -> u64 {
        self.frames_max_in(self.duration_ms_max as u64)
    }

    /// Most frames in so many milliseconds of a video.
    pub const fn frames_max_in(&self, ms: u64) -> u64 {
        let frame_rate_max = self.frame_rate_max as u64;
        frame_rate_max * ms / 1000 + 1 + frame_rate_max
    }
}

/// A probed video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Its properties.
    pub facts: VideoFacts,
    /// The memory cap that its worker needs, in bytes: an estimate with a margin.
    pub memory_need_bytes: u64,
}

/// Properties of the video, from its container and caps.
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
    /// Whether the video is longer than the limit and will be trimmed.
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

/// Progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Frames processed so far.
    pub frames_done: u32,
    /// Frames in which a person was found, so far.
    pub frames_detected: u32,
}

/// Progress before the first frame of the part that is processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Presentation time that was reached, in milliseconds.
    pub until_ms: u32,
}

/// Statistics of a successful run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of the first frame of the processed part in the video, from 0.
    #[serde(default)]
    pub first_frame: u32,
    /// Frames decoded of the part.
    pub frames_decoded: u32,
    /// Frames processed, as the sampling has it.
    pub frames_processed: u32,
    /// Frames in which a person was found.
    pub frames_detected: u32,
    /// Mean visibility of all landmarks over the frames with a person; 0 without any.
    pub mean_visibility: f32,
    /// How often the person was seen in one processed frame and not in the next.
    pub track_losses: u32,
    /// Jitter of the landmarks: root mean square of the second difference of their
    /// positions over three processed frames, as a fraction of the picture's diagonal.
    pub jitter: f32,
    /// How many people were distinguished.
    pub people: u32,
    /// What was left out or assumed.
    #[serde(default)]
    pub warnings: Warnings,
}

impl Summary {
    /// The numbers of the decoded frames of the part.
    pub const fn frames(&self) -> Range<u32> {
        self.first_frame..self.first_frame.saturating_add(self.frames_decoded)
    }
}

/// The reason a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The fault, as data: the receiver makes the sentence for users from it.
    pub fault: Fault,
    /// The cause in the worker's words, for the log only: it may quote hostile input.
    pub detail: String,
}
