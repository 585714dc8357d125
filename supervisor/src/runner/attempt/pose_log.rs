//! The poses of one attempt as they are found: a line of JSON for each processed frame, in a file without a name.
//!
//! Written by `drive`, read by any number of clients at their own pace. The memory for it depends neither on the length
//! of the video nor on the readers; the disk space is free again with the last handle.

use bodyscript_protocol::pose_frame::PoseFrame;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn, spawn_blocking};

/// Most bytes that are read at once; more than the longest line has.
pub(crate) const READ_BYTES_MAX: u64 = 64 << 10;

/// How far a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The bytes of all lines.
    pub(crate) bytes: u64,
    /// Whether more may follow.
    pub(crate) state: LogState,
}

/// Whether lines may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogState {
    /// The attempt runs.
    Open,
    /// The attempt has ended, and all of its poses are there.
    Complete,
    /// The disk has refused a line, and later ones are left out.
    Broken,
}

/// A handle to the log of one attempt.
#[derive(Debug, Clone)]
pub struct PoseLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: File,
    extent: watch::Sender<Extent>,
}

impl PoseLog {
    /// An empty log in this file.
    pub(crate) fn new(file: File) -> Self {
        let extent = watch::Sender::new(Extent { bytes: 0, state: LogState::Open });
        Self(Arc::new(Shared { file, extent }))
    }

    /// How far it is written, now and later.
    pub(crate) fn extent(&self) -> watch::Receiver<Extent> {
        self.0.extent.subscribe()
    }

    /// Its size, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.0.extent.borrow().bytes
    }

    /// The whole lines from this offset on, or as many of them as are read at once. Blocks.
    pub(crate) fn read(&self, offset: u64) -> io::Result<Vec<u8>> {
        let bytes = self.bytes().saturating_sub(offset).min(READ_BYTES_MAX);
        let mut lines = vec![0; bytes as usize];
        self.0.file.read_exact_at(&mut lines, offset)?;
        let end = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        lines.truncate(end);
        Ok(lines)
    }

    /// Adds lines. Blocks.
    fn append(&self, lines: &[u8]) {
        let Extent { bytes, state } = *self.0.extent.borrow();
        if lines.is_empty() || state != LogState::Open {
            return;
        }
        match self.0.file.write_all_at(lines, bytes) {
            Ok(()) => self.0.extent.send_modify(|extent| extent.bytes += lines.len() as u64),
            Err(error) => {
                tracing::warn!(%error, "the poses of a running job can no longer be followed");
                self.0.extent.send_modify(|extent| extent.state = LogState::Broken);
            }
        }
    }

    fn complete(&self) {
        self.0.extent.send_modify(|extent| {
            if extent.state == LogState::Open {
                extent.state = LogState::Complete;
            }
        });
    }
}

/// Completes the log when dropped.
#[derive(Debug)]
struct OpenLog(PoseLog);

impl Drop for OpenLog {
    fn drop(&mut self) {
        self.0.complete();
    }
}

/// Writes the log of one attempt, one write at a time. Without a log, poses are dropped.
#[derive(Debug, Default)]
pub(super) struct PoseWriter {
    log: Option<OpenLog>,
    /// What is to be written next.
    lines: Vec<u8>,
    writing: Option<JoinHandle<()>>,
}

impl PoseWriter {
    /// Writes to this log from now on.
    pub(super) fn open(&mut self, log: Option<PoseLog>) {
        self.log = log.map(OpenLog);
    }

    /// Adds a frame to what is to be written.
    pub(super) fn add(&mut self, frame: &PoseFrame) {
        if self.log.is_some() {
            serde_json::to_writer(&mut self.lines, frame).expect("plain values with text keys");
            self.lines.push(b'\n');
        }
    }

    /// Begins to write what was added, unless a write is in progress.
    pub(super) fn flush(&mut self) {
        if let Some(OpenLog(log)) = &self.log
            && !self.is_writing()
            && !self.lines.is_empty()
        {
            let (log, lines) = (log.clone(), std::mem::take(&mut self.lines));
            self.writing = Some(spawn_blocking(move || log.append(&lines)));
        }
    }

    /// Whether a write is in progress; meanwhile no more messages are to be read, which bounds what is added.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Waits for the write in progress. Cancel-safe.
    pub(super) async fn written(&mut self) {
        if let Some(writing) = &mut self.writing {
            // An error means that the runtime shuts down.
            let _ = writing.await;
            self.writing = None;
        }
    }

    /// The size of the log, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, |OpenLog(log)| log.bytes())
    }

    /// Writes the rest and completes the log, without making the caller wait for the disk.
    pub(super) fn finish(mut self) {
        spawn(async move {
            self.written().await;
            self.flush();
            self.written().await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(frame_id: u32) -> PoseFrame {
        let (detected, strategy, people) = (false, None, Vec::new());
        PoseFrame { frame_id, time_s: 0.0, detected, strategy, source_time_s: 0.0, people }
    }

    fn ids(lines: &[u8]) -> Vec<u32> {
        let frames = serde_json::Deserializer::from_slice(lines).into_iter::<PoseFrame>();
        frames.map(|frame| frame.expect("a frame").frame_id).collect()
    }

    #[tokio::test]
    async fn lines_are_read_in_order_from_any_of_them_until_the_log_is_complete() {
        let log = PoseLog::new(tempfile::tempfile().expect("a file"));
        let mut extent = log.extent();
        let mut writer = PoseWriter::default();
        writer.open(Some(log.clone()));
        writer.add(&frame(0));
        writer.flush();
        assert!(writer.is_writing());
        writer.add(&frame(1));
        writer.written().await;
        let first = log.read(0).expect("reads");
        assert_eq!(ids(&first), [0]);
        writer.finish();
        extent.wait_for(|extent| extent.state == LogState::Complete).await.expect("completes");
        assert_eq!(ids(&log.read(0).expect("reads")), [0, 1]);
        assert_eq!(ids(&log.read(first.len() as u64).expect("reads")), [1]);
        assert!(log.read(extent.borrow().bytes).expect("reads").is_empty());
    }

    #[tokio::test]
    async fn a_refused_write_breaks_the_log_and_nothing_else() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let log = PoseLog::new(File::open(file.path()).expect("a file that is only read"));
        let mut writer = PoseWriter::default();
        writer.open(Some(log.clone()));
        for id in 0..2 {
            writer.add(&frame(id));
            writer.flush();
            writer.written().await;
        }
        drop(writer);
        assert_eq!(*log.extent().borrow(), Extent { bytes: 0, state: LogState::Broken });
    }

    #[test]
    fn no_more_than_a_part_of_a_long_log_is_in_memory() {
        let log = PoseLog::new(tempfile::tempfile().expect("a file"));
        let line = [&b"x".repeat(999)[..], b"\n"].concat();
        (0..1_000).for_each(|_| log.append(&line));
        let mut offset = 0;
        while offset < log.bytes() {
            let part = log.read(offset).expect("reads");
            assert!(!part.is_empty() && part.len() as u64 <= READ_BYTES_MAX);
            assert_eq!(part.len() % line.len(), 0, "whole lines");
            offset += part.len() as u64;
        }
        assert_eq!(offset, 1_000_000);
    }
}
