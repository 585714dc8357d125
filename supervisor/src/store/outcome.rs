//! What a successful attempt leaves beside its artefacts, so that the one rename that publishes
//! them also tells how it went: a start after a crash between that rename and the journal's next
//! commit finds the job done and does not do it again.

use crate::policy::job::AttemptRecord;
use crate::runner::attempt::exit_report::ExitReason;
use bodyscript_protocol::message::{Summary, VideoFacts};
use bodyscript_protocol::sandbox_report::SandboxReport;
use serde::{Deserialize, Serialize};

/// How a successful attempt went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    cap_bytes: u64,
    peak_bytes: u64,
    wall_ms: u64,
    cpu_ms: u64,
    /// The worker's own account.
    pub summary: Summary,
    /// The video.
    pub facts: Option<VideoFacts>,
    /// The sandbox.
    #[serde(rename = "posture")]
    pub sandbox: Option<SandboxReport>,
}

impl Outcome {
    /// Of an attempt that is done.
    pub(crate) fn new(
        record: &AttemptRecord,
        summary: Summary,
        facts: Option<VideoFacts>,
        sandbox: Option<SandboxReport>,
    ) -> Self {
        let AttemptRecord { cap_bytes, peak_bytes, wall_ms, cpu_ms, .. } = *record;
        Self { cap_bytes, peak_bytes, wall_ms, cpu_ms, summary, facts, sandbox }
    }

    /// What its job remembers of it.
    pub(crate) const fn record(&self) -> AttemptRecord {
        let Self { cap_bytes, peak_bytes, wall_ms, cpu_ms, .. } = *self;
        let end = ExitReason::Done;
        let (end, is_counted) = (end.name(), end.is_counted());
        AttemptRecord { cap_bytes, peak_bytes, wall_ms, cpu_ms, end, is_counted }
    }

    /// For the disk.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain values with text keys")
    }

    /// From the disk; nothing where that is not what this program writes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
