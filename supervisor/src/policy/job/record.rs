//! The record of a finished attempt. Pure.
//!
//! Made from an exit report, stored in the journal and with the results, shown in status documents.

use crate::runner::attempt::exit_report::{ExitReason, ExitReport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A finished attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptRecord {
    /// Memory cap in bytes.
    pub cap_bytes: u64,
    /// Peak memory in bytes.
    pub peak_bytes: u64,
    /// Milliseconds from spawn to reaping.
    pub wall_ms: u64,
    /// Processor time in milliseconds.
    pub cpu_ms: u64,
    /// How it ended: the name of an [`crate::runner::attempt::exit_report::ExitReason`].
    #[serde(skip_deserializing, default = "done")]
    pub end: &'static str,
    /// Whether the video was executed.
    #[serde(skip, default = "is_done_counted")]
    pub is_counted: bool,
    /// Whether a signal from outside the service ended it.
    #[serde(skip)]
    pub is_killed: bool,
}

/// Only successful attempts are read from JSON: with the results that they published.
const fn done() -> &'static str {
    ExitReason::Done.name()
}

const fn is_done_counted() -> bool {
    ExitReason::Done.is_counted()
}

impl AttemptRecord {
    /// The record of an exit report.
    pub fn of(exit_report: &ExitReport) -> Self {
        Self {
            cap_bytes: exit_report.evidence.cap_bytes,
            peak_bytes: exit_report.evidence.peak_bytes,
            wall_ms: exit_report.evidence.wall.as_millis() as u64,
            cpu_ms: exit_report.evidence.cpu.as_millis() as u64,
            end: exit_report.end.name(),
            is_counted: exit_report.end.is_counted(),
            is_killed: exit_report.is_killed(),
        }
    }
}
