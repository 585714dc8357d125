//! The record of a finished attempt. Pure.
//!
//! Made by the dispatcher from an exit report, stored in the journal, shown in status documents.

use crate::runner::attempt::exit_report::ExitReport;
use serde::Serialize;
use utoipa::ToSchema;

/// A finished attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
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
    pub end: &'static str,
    /// Whether the video was executed.
    #[serde(skip)]
    pub is_counted: bool,
}

impl AttemptRecord {
    /// The record of an exit report.
    pub fn of(exit_report: &ExitReport) -> Self {
        Self {
            cap_bytes: exit_report.cap_bytes,
            peak_bytes: exit_report.peak_bytes,
            wall_ms: exit_report.wall.as_millis() as u64,
            cpu_ms: exit_report.cpu.as_millis() as u64,
            end: exit_report.end.name(),
            is_counted: exit_report.end.is_counted(),
        }
    }
}
