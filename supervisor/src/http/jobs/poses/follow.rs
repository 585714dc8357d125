//! Follows the poses of one job, through all of its starts, to its end.
//!
//! ```text
//! nothing yet --> the log of a start, on this host or another --> its end: the next start, or the end of the job
//!      '-----------------> the results of a job that has completed ----------------------------------'
//! ```

use super::encoding::Encoding;
use super::lines::{Lines, Part};
use super::position::Position;
use crate::dispatcher::PoseSource;
use crate::http::blocking::blocking;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::policy::job::JobId;
use crate::store::{PosePart, ResultsOf};
use axum::body::Bytes;
use bodyscript_protocol::artefact::Artefact;
use serde_json::{Value, json};
use std::fs::File;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How long a stream is silent at most.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One client that follows a job.
pub(super) struct Follower {
    pub(super) service: Service,
    pub(super) id: JobId,
    pub(super) encoding: Encoding,
    /// Changes with the status of the job.
    pub(super) changes: watch::Receiver<u64>,
    /// How far the client was told.
    pub(super) told: Position,
    /// What is being read.
    lines: Option<Lines>,
    /// How many frames of it were told before.
    skipped: u32,
    /// The start whose poses were read to their end.
    read: Option<u32>,
    /// What is sent next.
    out: Vec<u8>,
}

/// What follows a step.
enum Next {
    Step,
    Wait,
    /// The last message was told.
    End,
}

impl Follower {
    /// Follows a job after what the client was told.
    pub(super) fn new(
        service: Service,
        id: JobId,
        encoding: Encoding,
        changes: watch::Receiver<u64>,
        told: Position,
    ) -> Self {
        let (lines, skipped, read, out) = (None, 0, None, Vec::new());
        Self { service, id, encoding, changes, told, lines, skipped, read, out }
    }

    /// Opens a source; the poses of an earlier start, if the client was told any, are void.
    fn open(&mut self, start: u32, lines: Option<Lines>) {
        let Position { start: before, frames, .. } = self.told;
        if before != start {
            self.told = Position::before(start);
            if frames > 0 {
                self.push("reset", &json!({"reset": {"attempt": start}}));
            }
        }
        self.told.is_end = false;
        self.skipped = self.told.frames;
        self.lines = lines;
        self.read = Some(start);
    }

    /// Opens the results of a completed job.
    pub(super) async fn open_results(&mut self, start: u32, of: ResultsOf) -> Result<(), ApiError> {
        let path = self.service.artefacts.result(of, Artefact::Json).await?;
        let opened = blocking(move || File::open(path)).await?;
        let document = opened.map_err(|error| match error.kind() {
            ErrorKind::NotFound => ApiError::FileNotFound,
            _ => ApiError::Internal,
        })?;
        self.open(start, Some(Lines::of_results(document)));
        Ok(())
    }

    /// The next bytes for the client; none after the last ones, and if the service stops or the poses are lost.
    pub(super) async fn next(mut self) -> Option<(Bytes, Option<Self>)> {
        loop {
            let next = self.step().await?;
            if !self.out.is_empty() {
                let bytes = std::mem::take(&mut self.out).into();
                return Some((bytes, (!matches!(next, Next::End)).then_some(self)));
            }
            if matches!(next, Next::Wait) && !self.wait().await? {
                let bytes = Bytes::from_static(self.encoding.keep_alive());
                return Some((bytes, Some(self)));
            }
        }
    }

    async fn step(&mut self) -> Option<Next> {
        let Some(lines) = &mut self.lines else { return self.look().await };
        self.changes.borrow_and_update();
        match lines.next().await {
            Part::Frames(frames) => self.tell(&frames),
            Part::Awaited if lines.are_shared() => return self.look_elsewhere().await,
            Part::Awaited => return Some(Next::Wait),
            Part::End => self.lines = None,
            Part::Broken => return None,
        }
        Some(Next::Step)
    }

    /// Looks for a source.
    async fn look(&mut self) -> Option<Next> {
        self.changes.borrow_and_update();
        match self.service.dispatcher.poses(self.id).await.ok()?? {
            PoseSource::Awaited => return Some(Next::Wait),
            // Its worker has ended, and the job is about to change.
            PoseSource::Running { start, .. } if self.read == Some(start) => {
                return Some(Next::Wait);
            }
            PoseSource::Running { start, log } => self.open(start, Some(Lines::of_log(log))),
            PoseSource::Elsewhere { start } => {
                let part = PosePart { job: self.id, claim: start, frames_before: 0 };
                let store = self.service.artefacts.clone();
                self.open(start, Some(Lines::of_shared(store, part)));
            }
            PoseSource::Ended { start, results: Some(of), .. } if self.read != Some(start) => {
                self.open_results(start, of).await.ok()?;
            }
            PoseSource::Ended { start, status, .. } => {
                if self.read != Some(start) {
                    self.open(start, None);
                }
                self.told.is_end = true;
                let frames = self.told.frames;
                self.push("end", &json!({"end": {"status": status, "frames": frames}}));
                return Some(Next::End);
            }
        }
        Some(Next::Step)
    }

    /// Whether another host still processes the job. If not, what it has not shared is in the results.
    async fn look_elsewhere(&mut self) -> Option<Next> {
        match self.service.dispatcher.poses(self.id).await.ok()?? {
            PoseSource::Elsewhere { start } if self.read == Some(start) => Some(Next::Wait),
            _ => {
                (self.lines, self.read) = (None, None);
                Some(Next::Step)
            }
        }
    }

    /// Adds the frames that the client was not told before.
    fn tell(&mut self, frames: &[u8]) {
        for frame in frames.split(|byte| *byte == b'\n').filter(|frame| !frame.is_empty()) {
            if self.skipped > 0 {
                self.skipped -= 1;
                continue;
            }
            self.told.frames += 1;
            self.encoding.push(&mut self.out, "poses", self.told, frame);
        }
    }

    fn push(&mut self, name: &str, object: &Value) {
        self.encoding.push(&mut self.out, name, self.told, object.to_string().as_bytes());
    }

    /// Waits until there may be more; false if a sign of life is due first, none if the service stops or the job is
    /// removed.
    async fn wait(&mut self) -> Option<bool> {
        let Self { lines, changes, service, .. } = self;
        let changed = async {
            match lines {
                Some(lines) if !lines.are_shared() => {
                    lines.changed().await;
                    Some(())
                }
                _ => changes.changed().await.ok(),
            }
        };
        tokio::select! {
            changed = changed => changed.map(|()| true),
            () = service.closing.cancelled() => None,
            () = sleep(KEEP_ALIVE) => Some(false),
        }
    }
}
