//! What a job remembers of an attempt that is over. Pure.
//!
//! Made by the dispatcher from an obituary, kept by the journal, shown in status documents.

use crate::worker::obituary::Obituary;
use serde::Serialize;
use utoipa::ToSchema;

/// One attempt that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AttemptRecord {
    /// The cap on its memory.
    pub cap_bytes: u64,
    /// Most memory it ever used.
    pub peak_bytes: u64,
    /// From birth to reaping.
    pub wall_ms: u64,
    /// Processor time.
    pub cpu_ms: u64,
    /// How it ended: the name of an [`crate::worker::obituary::End`].
    pub end: &'static str,
    /// Whether the video was executed.
    #[serde(skip)]
    pub is_counted: bool,
}

impl AttemptRecord {
    /// What a job remembers of an obituary.
    pub fn of(obituary: &Obituary) -> Self {
        Self {
            cap_bytes: obituary.cap_bytes,
            peak_bytes: obituary.peak_bytes,
            wall_ms: obituary.wall.as_millis() as u64,
            cpu_ms: obituary.cpu.as_millis() as u64,
            end: obituary.end.name(),
            is_counted: obituary.end.is_counted(),
        }
    }
}
