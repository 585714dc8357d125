//! How long and how often a request is repeated while the network or the service fails.

use crate::cli::upload::error::TransferError;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Longest time without any progress.
const PATIENCE: Duration = Duration::from_secs(600);

/// First and longest pause between two requests.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

/// The code of a service that takes the video once others are processed: waiting for that is progress.
const QUEUE_FULL: &str = "queue_full";

/// The patience of one transfer.
#[derive(Debug)]
pub(crate) struct Patience {
    since: Instant,
    pause: Duration,
    is_told: bool,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), pause: PAUSES[0], is_told: false }
    }

    /// Waits before the request is repeated; the error if it is not worth it. The first wait is told.
    pub(crate) async fn wait_after(
        &mut self,
        error: TransferError,
        tell: impl FnOnce(&str),
    ) -> Result<(), TransferError> {
        if error.code() == Some(QUEUE_FULL) {
            self.since = Instant::now();
        }
        if !error.may_pass() || self.since.elapsed() > PATIENCE {
            return Err(error);
        }
        if !std::mem::replace(&mut self.is_told, true) {
            tell(&format!("{error}; trying again"));
        }
        let asked = match error {
            TransferError::Refused { retry_after, .. } => retry_after,
            _ => None,
        };
        sleep(asked.unwrap_or(self.pause).min(PAUSES[1])).await;
        self.pause = (self.pause * 2).min(PAUSES[1]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;
    use std::cell::Cell;

    fn refused(status: u16, code: &str) -> TransferError {
        TransferError::Refused {
            status: StatusCode::from_u16(status).expect("a status"),
            code: Some(code.into()),
            detail: String::new(),
            retry_after: Some(Duration::from_secs(1)),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_time_cures_is_waited_for_and_nothing_else() {
        let told = Cell::new(0);
        let tell = |_: &str| told.set(told.get() + 1);
        let mut patience = Patience::new();
        patience.wait_after(refused(503, "queue_full"), tell).await.expect("it passes");
        patience
            .wait_after(TransferError::Unreachable(String::new()), tell)
            .await
            .expect("it passes");
        patience.wait_after(refused(415, "unsupported"), tell).await.expect_err("it does not");
        assert_eq!(told.get(), 1, "once");
        let Some(past) = Instant::now().checked_sub(PATIENCE + Duration::from_secs(1)) else {
            return;
        };
        patience.since = past;
        patience.wait_after(refused(507, "disk_full"), tell).await.expect_err("not for ever");
        patience.since = past;
        patience.wait_after(refused(503, QUEUE_FULL), tell).await.expect("the queue moves");
    }
}
