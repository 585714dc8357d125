//! The last bytes of a worker's log, bounded and escaped.
//!
//! Filled by `drive`, copied into the exit report. The text is hostile: it never reaches a terminal
//! or a log line unescaped.

use std::collections::VecDeque;

/// How much is kept, in bytes.
pub(crate) const KEPT_BYTES_MAX: usize = 16 * 1024;

/// How much a worker may write in all, in bytes; more is a protocol violation.
pub(crate) const WRITTEN_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Longest line that is shown, in characters.
const LINE_CHARS_MAX: usize = 400;

/// Keeps the end of a byte stream.
#[derive(Debug, Default)]
pub(crate) struct StderrRing {
    kept: VecDeque<u8>,
    written: u64,
}

impl StderrRing {
    /// Adds bytes and drops the oldest beyond the limit.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.written += bytes.len() as u64;
        let tail = &bytes[bytes.len().saturating_sub(KEPT_BYTES_MAX)..];
        let surplus = (self.kept.len() + tail.len()).saturating_sub(KEPT_BYTES_MAX);
        self.kept.drain(..surplus);
        self.kept.extend(tail);
    }

    /// Whether more was written than allowed.
    pub(crate) fn is_flooded(&self) -> bool {
        self.written > WRITTEN_BYTES_MAX
    }

    /// The kept lines, escaped and shortened.
    pub(crate) fn lines(&self) -> Vec<String> {
        let bytes: Vec<u8> = self.kept.iter().copied().collect();
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| escaped(&String::from_utf8_lossy(line)))
            .collect()
    }
}

/// A worker's text on one line, without control characters, cut at 400 characters.
pub(crate) fn escaped(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars().take(LINE_CHARS_MAX) {
        match character {
            '"' | '\'' => line.push(character),
            other => line.extend(other.escape_debug()),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_bytes_are_kept() {
        let mut ring = StderrRing::default();
        for line in 0..10_000 {
            ring.push(format!("line {line}\n").as_bytes());
        }
        let lines = ring.lines();
        assert_eq!(lines.last().map(String::as_str), Some("line 9999"));
        assert!(lines.iter().map(|line| line.len() + 1).sum::<usize>() <= KEPT_BYTES_MAX);
        assert!(lines.len() > 1_000, "{}", lines.len());
    }

    #[test]
    fn a_write_larger_than_the_ring_keeps_its_end() {
        let mut ring = StderrRing::default();
        ring.push(&vec![b'a'; KEPT_BYTES_MAX + 1]);
        ring.push(b"\nend");
        assert_eq!(ring.lines().last().map(String::as_str), Some("end"));
        assert_eq!(ring.kept.len(), KEPT_BYTES_MAX);
    }

    #[test]
    fn one_byte_over_the_limit_counts_as_flooded() {
        let mut ring = StderrRing::default();
        ring.push(&vec![0; WRITTEN_BYTES_MAX as usize]);
        assert!(!ring.is_flooded());
        ring.push(b"x");
        assert!(ring.is_flooded());
    }

    #[test]
    fn control_characters_are_escaped_and_long_lines_cut() {
        let text = format!("\u{1b}[2J\r\u{202e}\"caf\u{e9}\" {}", "x".repeat(1_000));
        let line = escaped(&text);
        assert!(line.starts_with("\\u{1b}[2J\\r\\u{202e}\"caf\u{e9}\""), "{line}");
        assert!(line.len() < 500);
    }
}
