//! The worker of a job: its process, its memory and its sandbox. Pure.
//!
//! Called by [`crate::dispatcher::status::Status::of`]. Text from a worker is shown without control
//! characters and at a limited length.

use crate::policy::job::JobState;
use crate::runner::attempt::Live;
use bodyscript_protocol::sandbox_report::{Layer, LayerState, SandboxReport};
use serde::Serialize;
use utoipa::ToSchema;

/// A running worker.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct WorkerStatus {
    /// Process id.
    pub pid: Option<i32>,
    /// Memory cap in bytes.
    pub cap_bytes: u64,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// Peak memory in bytes.
    pub peak_bytes: u64,
}

/// One layer of the sandbox.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LayerReport {
    layer: &'static str,
    state: &'static str,
    detail: Option<String>,
}

impl WorkerStatus {
    pub(crate) fn of(state: &JobState, live: &Live) -> Option<Self> {
        let JobState::Processing { memory_bytes_max, .. } = state else { return None };
        Some(Self {
            pid: live.pid,
            cap_bytes: *memory_bytes_max,
            rss_bytes: live.rss_bytes,
            peak_bytes: live.peak_bytes,
        })
    }
}

/// The sandbox report as shown in documents.
pub(crate) fn layer_reports(sandbox: &SandboxReport) -> Vec<LayerReport> {
    let report = |(layer, state): &(Layer, LayerState)| {
        let (state, detail) = match state {
            LayerState::Active(detail) => ("active", Some(printable(detail))),
            LayerState::Unavailable(detail) => ("unavailable", Some(printable(detail))),
            LayerState::Off => ("off", None),
        };
        LayerReport { layer: layer.name(), state, detail }
    };
    sandbox.layers.iter().map(report).collect()
}

/// Text from a worker, made safe for a terminal. A worker sends it before it reads its video, but
/// nothing else guarantees that it is harmless.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
