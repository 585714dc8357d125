//! The sources of poses, read part by part: the log of an attempt of this host, what another host shares of its own, and
//! `pose_data.json` of a completed job, in which each frame has a line.

use crate::http::blocking::blocking;
use crate::http::problem::ApiError;
use crate::runner::attempt::PoseLog;
use crate::runner::attempt::pose_log::{Extent, LogState, READ_BYTES_MAX};
use crate::store::{ArtefactStore, PosePart};
use bodyscript_protocol::pose_frame::PoseFrame;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use tokio::sync::watch;

/// What comes next from a source.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Whole lines, one for each frame.
    Frames(Vec<u8>),
    /// Nothing yet.
    Awaited,
    /// Nothing any more: all frames were read.
    End,
    /// The rest cannot be read.
    Broken,
}

/// A source, and how far it is read.
#[derive(Debug)]
pub(super) struct Lines {
    source: Source,
    offset: u64,
}

#[derive(Debug)]
enum Source {
    Log(PoseLog, watch::Receiver<Extent>),
    Results(Arc<File>),
    Shared(ArtefactStore, PosePart),
}

impl Lines {
    /// The log of an attempt.
    pub(super) fn of_log(log: PoseLog) -> Self {
        let extent = log.extent();
        Self { source: Source::Log(log, extent), offset: 0 }
    }

    /// The document of a completed job.
    pub(super) fn of_results(document: File) -> Self {
        Self { source: Source::Results(Arc::new(document)), offset: 0 }
    }

    /// What another host shares of an attempt, from its first part on.
    pub(super) const fn of_shared(store: ArtefactStore, part: PosePart) -> Self {
        Self { source: Source::Shared(store, part), offset: 0 }
    }

    /// Whether another host writes it, whose end is seen in the job alone.
    pub(super) const fn are_shared(&self) -> bool {
        matches!(self.source, Source::Shared(..))
    }

    /// Reads on.
    pub(super) async fn next(&mut self) -> Part {
        let read = match &mut self.source {
            Source::Log(log, extent) => {
                let Extent { bytes, state } = *extent.borrow_and_update();
                match state {
                    _ if self.offset < bytes => {
                        let (log, offset) = (log.clone(), self.offset);
                        blocking(move || log.read(offset))
                            .await
                            .map(|lines| lines.map(|lines| (lines.len(), Part::Frames(lines))))
                    }
                    LogState::Open => return Part::Awaited,
                    LogState::Complete => return Part::End,
                    LogState::Broken => return Part::Broken,
                }
            }
            Source::Shared(store, part) => return next_shared(store, part).await,
            Source::Results(document) => {
                let (document, offset) = (Arc::clone(document), self.offset);
                blocking(move || read_document(&document, offset)).await
            }
        };
        self.advance(read)
    }

    fn advance(&mut self, read: Result<io::Result<(usize, Part)>, ApiError>) -> Part {
        match read {
            Ok(Ok((bytes, part))) if bytes > 0 => {
                self.offset += bytes as u64;
                part
            }
            // A line that is longer than any frame, or none where one should be.
            Ok(Ok(_)) => Part::Broken,
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot read poses");
                Part::Broken
            }
            Err(_) => Part::Broken,
        }
    }

    /// Waits until there may be more; only after [`Part::Awaited`].
    pub(super) async fn changed(&mut self) {
        if let Source::Log(_, extent) = &mut self.source {
            // The sender lives as long as the log, to which this has a handle.
            let _ = extent.changed().await;
        }
    }
}

/// Reads the next part that another host has shared.
async fn next_shared(store: &ArtefactStore, part: &mut PosePart) -> Part {
    match store.shared_poses(*part).await {
        Ok(Some(lines)) => {
            part.frames_before += lines.iter().filter(|byte| **byte == b'\n').count() as u32;
            Part::Frames(lines.into())
        }
        // An error is noted and logged there, and the part is asked for again.
        Ok(None) | Err(_) => Part::Awaited,
    }
}

/// Reads the frames of a document from this offset on; returns also how many bytes that took. The worker that wrote
/// it may have divided its lines as it liked: what is no frame ends the reading.
fn read_document(document: &File, offset: u64) -> io::Result<(usize, Part)> {
    let mut bytes = vec![0; READ_BYTES_MAX as usize];
    let filled = read_at(document, &mut bytes, offset)?;
    bytes.truncate(filled);
    let mut frames = Vec::with_capacity(filled);
    let mut taken = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let is_first = offset == 0 && taken == 0;
        let Some(content) = line.strip_suffix(b"\n") else { break };
        if content.starts_with(b"]") {
            let part = if frames.is_empty() { Part::End } else { Part::Frames(frames) };
            // The line is read again, and is the end then.
            return Ok((taken.max(1), part));
        }
        taken += line.len();
        if is_first {
            continue;
        }
        let content = content.strip_suffix(b",").unwrap_or(content);
        if !is_frame(content) {
            return Ok((taken, Part::Broken));
        }
        frames.extend_from_slice(content);
        frames.push(b'\n');
    }
    Ok((taken, Part::Frames(frames)))
}

/// Whether this is a frame that can be told as it is: what is told goes on after the first brace, and a carriage return,
/// which JSON allows between values, would end the line of an event.
fn is_frame(line: &[u8]) -> bool {
    line.starts_with(b"{")
        && !line.contains(&b'\r')
        && serde_json::from_slice::<PoseFrame>(line).is_ok()
}

/// Fills the buffer as far as the file goes.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn frame(frame_id: u32) -> String {
        let (detected, strategy, people) = (false, None, Vec::new());
        let frame =
            PoseFrame { frame_id, time_s: 0.5, detected, strategy, source_time_s: 0.5, people };
        serde_json::to_string(&frame).expect("plain values")
    }

    fn lines(document: &str) -> Lines {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(document.as_bytes()).expect("room");
        Lines::of_results(file)
    }

    async fn read(mut lines: Lines) -> (String, Part) {
        let mut text = String::new();
        loop {
            match lines.next().await {
                Part::Frames(part) => text += std::str::from_utf8(&part).expect("text"),
                end => return (text, end),
            }
        }
    }

    #[tokio::test]
    async fn the_frames_of_a_document_are_read_one_a_line_and_nothing_else_of_it() {
        // More than is read at once.
        let frames: Vec<_> = (0..2_000).map(frame).collect();
        let document = format!("{{\"frames\":[\n{}\n],\"statistics\":{{}}}}\n", frames.join(",\n"));
        assert!(document.len() > 2 * READ_BYTES_MAX as usize);
        let (text, end) = read(lines(&document)).await;
        assert!(end == Part::End && text == frames.join("\n") + "\n");
        let empty = read(lines("{\"frames\":[\n],\"statistics\":{}}\n")).await;
        assert_eq!(empty, (String::new(), Part::End));
    }

    #[tokio::test]
    async fn a_document_with_other_lines_is_not_told() {
        for document in [
            String::new(),
            "{\"frames\":[]}".into(),
            format!("{{\"frames\":[\n{},\n", frame(0)),
            format!("{{\"frames\":[\n{},{}\n],\n", frame(0), frame(1)),
            "{\"frames\":[\n<script>\n],\n".into(),
            format!("{{\"frames\":[\n {}\n],\n", frame(0)),
            format!("{{\"frames\":[\n{}\n],\n", frame(0).replacen(',', ",\r", 1)),
            format!("{{\"frames\":[\n{{\"a\":\"{}\"}}\n],\n", "x".repeat(READ_BYTES_MAX as usize)),
        ] {
            let (_, end) = read(lines(&document)).await;
            assert_eq!(end, Part::Broken, "{document}");
        }
    }
}
