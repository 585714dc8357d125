//! The memory cap of a running worker: whether its video fits, and what follows if not.

use super::{Drive, KillStage};
use crate::runner::attempt::cap_request::CapReply;
use crate::runner::attempt::exit_report::Cause;
use bodyscript_protocol::session::Phase;

impl Drive {
    /// Lets the worker proceed if the probed video fits its cap, else asks for a higher one.
    pub(super) async fn check_need(&mut self) {
        let Some(need_bytes) = self.conversation.take_memory_need() else { return };
        if need_bytes <= self.evidence.cap_bytes {
            self.proceed().await;
        } else {
            self.cap_requests.send(self.conversation.job(), need_bytes);
        }
    }

    /// Raises the cap, or ends the worker before it creates a decoder.
    pub(super) async fn on_cap_reply(&mut self, reply: CapReply) {
        match reply {
            CapReply::Granted { cap_bytes } => match self.process.raise_cap(cap_bytes) {
                Ok(()) => {
                    self.evidence.cap_bytes = cap_bytes;
                    self.proceed().await;
                }
                Err(error) => {
                    self.terminate(Cause::CapNotRaised(error.to_string()), KillStage::Cancel);
                }
            },
            CapReply::Later { cap_bytes } => {
                self.terminate(Cause::MemoryAwaited { cap_bytes }, KillStage::Cancel);
            }
            CapReply::Never { limit_bytes } => {
                self.terminate(Cause::OverMemoryLimit { limit_bytes }, KillStage::Cancel);
            }
        }
    }

    async fn proceed(&mut self) {
        // A worker that is being ended, or has failed, creates no decoder any more.
        if self.stage.is_none() && self.conversation.phase() == Phase::Probed {
            let frame = self.conversation.proceed();
            self.send(frame).await;
        }
    }
}
