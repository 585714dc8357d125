//! What is written for each frame and at the end of a run: the data artefacts and the overlay.

pub mod angles;
pub mod csv;
pub mod data;
pub mod json;
pub mod metadata;
pub mod openpose;
pub mod overlay;
pub mod parquet;
pub mod statistics;
pub mod trc;

use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::pose::Pose;
use std::time::Duration;
use thiserror::Error;

/// Version of the layout of all data artefacts. It rises when a reader of the last one would fail.
pub const SCHEMA_VERSION: u32 = 1;

/// One processed frame.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Number of the frame in the video, from 0.
    pub id: u32,
    /// Presentation time.
    pub time: Duration,
    /// The people in it, by rising id.
    pub people: &'a [Person],
}

impl<'a> Frame<'a> {
    /// The person with the id 0: the most prominent one, and the only one unless more are asked for.
    pub fn first(&self) -> Option<&'a Person> {
        self.people.first().filter(|person| person.id == 0)
    }
}

/// One person in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Person {
    /// Number of the person in the video, from 0: the same from frame to frame.
    pub id: u32,
    /// The landmarks.
    pub pose: Pose,
    /// The name of what found them.
    pub strategy: &'static str,
}

/// An artefact could not be written.
#[derive(Debug, Error)]
#[error("cannot write {file}: {source}")]
pub struct OutputError {
    file: &'static str,
    source: std::io::Error,
}

impl OutputError {
    /// Says which artefact an I/O error was about.
    pub fn of(artefact: Artefact) -> impl Fn(std::io::Error) -> Self {
        move |source| Self { file: artefact.file_name(), source }
    }

    /// What the supervisor is told.
    pub const fn fault(&self) -> Fault {
        Fault::Output
    }
}
