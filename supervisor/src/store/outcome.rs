//! The outcome of a successful attempt, stored beside its artefacts and published by the same
//! rename. A start after a crash between that rename and the next commit of the journal finds that
//! the job is done and does not run it again.

use crate::policy::job::AttemptRecord;
use bodyscript_protocol::message::{Summary, VideoFacts};
use bodyscript_protocol::sandbox_report::SandboxReport;
use serde::{Deserialize, Serialize};

/// The outcome of a successful attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The record of the attempt in its job.
    #[serde(flatten)]
    pub attempt: AttemptRecord,
    /// The number of the claim that made it.
    #[serde(default)]
    pub claim: u32,
    /// The worker's summary.
    pub summary: Summary,
    /// The video.
    pub facts: Option<VideoFacts>,
    /// The sandbox.
    #[serde(rename = "posture")]
    pub sandbox: Option<SandboxReport>,
}

impl Outcome {
    /// Serialises it for the disk.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain values with text keys")
    }

    /// Reads it from the disk; none if it is unreadable.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
