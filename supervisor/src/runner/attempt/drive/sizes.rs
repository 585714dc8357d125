//! The sizes of a running worker's files: whether it may go on writing.

use super::{Drive, KillStage};

impl Drive {
    /// Publishes how much the worker has written, or ends it if that is too much.
    pub(super) fn check_sizes(&mut self) {
        let poses_bytes = self.conversation.poses().bytes();
        match self.results.as_ref().map(|results| results.measure(poses_bytes)) {
            None => {}
            Some(Ok(results_bytes)) => {
                self.conversation.publish(|live, _| live.results_bytes = results_bytes);
            }
            Some(Err(cause)) => self.terminate(cause, KillStage::Sigkill),
        }
    }
}
