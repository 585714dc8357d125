//! Notices that a graph waits for data that never come: damaged headers make demuxers do so. Called by `source` and
//! `decode` while they wait.
//!
//! Counts the waits, not the time on a clock: a process that was stopped meanwhile has not stalled.

use super::corrected_file::CorrectedFile;
use std::time::Duration;

/// Watches one wait.
pub(super) struct StallWatch<'a> {
    file: &'a CorrectedFile,
    /// How long nothing of the file is read before the graph counts as stalled.
    unread_max: Duration,
    reads: u64,
    unread: Duration,
}

impl<'a> StallWatch<'a> {
    pub(super) fn new(file: &'a CorrectedFile, unread_max: Duration) -> Self {
        Self { file, unread_max, reads: file.reads(), unread: Duration::ZERO }
    }

    /// To be called after each part of the wait; returns whether the graph has stalled.
    pub(super) fn has_stalled(&mut self, waited: Duration) -> bool {
        let reads = self.file.reads();
        self.unread = if reads == self.reads { self.unread + waited } else { Duration::ZERO };
        self.reads = reads;
        self.unread >= self.unread_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wait_without_reads_is_a_stall() {
        let file = tempfile::tempfile().expect("a file");
        let file = CorrectedFile::new(file, Default::default());
        let part = Duration::from_secs(1);
        let mut watch = StallWatch::new(&file, part * 2);
        for _ in 0..4 {
            file.read_at(&mut [0], 0).expect("readable");
            assert!(!watch.has_stalled(part), "it is read");
            assert!(!watch.has_stalled(part / 2), "not yet");
        }
        assert!(watch.has_stalled(part * 2));
    }
}
