//! The request of an attempt for a higher memory cap, and the answer of who owns the memory budget.
//!
//! Sent by `drive` once a video is probed, answered by the dispatcher. An attempt asks at most once.

use std::future::pending;
use tokio::sync::{mpsc, oneshot};

/// A request for a higher cap.
#[derive(Debug)]
pub struct CapRequest {
    /// The id of the job.
    pub job: String,
    /// What the video needs, in bytes, as its worker estimates.
    pub need_bytes: u64,
    /// Receives the answer; closed if the attempt no longer waits.
    pub reply: oneshot::Sender<CapReply>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapReply {
    /// The cap is reserved.
    Granted {
        /// The new cap, in bytes.
        cap_bytes: u64,
    },
    /// Others use the memory now. The attempt is given up, so that it holds none while the job waits.
    Later {
        /// The cap that the next attempt needs, in bytes.
        cap_bytes: u64,
    },
    /// No attempt may ever have so much.
    Never {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
}

/// The request of one attempt.
#[derive(Debug)]
pub(crate) struct CapRequests {
    sender: mpsc::UnboundedSender<CapRequest>,
    awaited: Option<(u64, oneshot::Receiver<CapReply>)>,
}

impl CapRequests {
    pub(crate) const fn new(sender: mpsc::UnboundedSender<CapRequest>) -> Self {
        Self { sender, awaited: None }
    }

    /// Asks for a cap.
    pub(crate) fn send(&mut self, job: &str, need_bytes: u64) {
        let (reply, answer) = oneshot::channel();
        // An error means that nothing is left to answer, which `next_reply` reports.
        let _ = self.sender.send(CapRequest { job: job.to_owned(), need_bytes, reply });
        self.awaited = Some((need_bytes, answer));
    }

    /// The answer; waits forever if none is expected. Without a dispatcher there is no memory now.
    pub(crate) async fn next_reply(&mut self) -> CapReply {
        let Some((need_bytes, answer)) = &mut self.awaited else { return pending().await };
        let reply = answer.await.unwrap_or(CapReply::Later { cap_bytes: *need_bytes });
        self.awaited = None;
        reply
    }
}
