//! Shares the poses of an attempt of this host with the other hosts, in parts in the store, while they are found.
//!
//! Without effect on the attempt: while the store does not answer, the clients of other hosts wait.

use crate::policy::job::JobId;
use crate::runner::attempt::PoseLog;
use crate::runner::attempt::pose_log::{Extent, LogState};
use crate::store::{ArtefactStore, PosePart, StateError, blocking};
use std::time::Duration;
use tokio::time::sleep;

/// How often parts are shared.
const SHARE_INTERVAL: Duration = Duration::from_secs(1);

/// Shares the log of one start of a job while it is written. What comes last is in the results; the parts are removed
/// with the files of the job, after which no more may follow.
pub(crate) async fn share(store: ArtefactStore, (job, claim): (JobId, u32), log: PoseLog) {
    let mut extent = log.extent();
    let mut offset = 0;
    let mut part = PosePart { job, claim, frames_before: 0 };
    loop {
        let is_due = |extent: &Extent| extent.bytes > offset || has_ended(extent);
        // An error is impossible: the sender lives as long as the log.
        let Ok(Extent { bytes, state: LogState::Open }) =
            extent.wait_for(is_due).await.map(|extent| *extent)
        else {
            return;
        };
        while offset < bytes && !has_ended(&log.extent().borrow()) {
            match share_part(&store, part, &log, offset).await {
                Ok((0, _)) => return,
                Ok((taken, frames)) => {
                    offset += taken;
                    part.frames_before += frames;
                }
                Err(error) => {
                    tracing::debug!(%job, %error, "poses are not shared yet");
                    break;
                }
            }
        }
        tokio::select! {
            _ = extent.wait_for(has_ended) => return,
            () = sleep(SHARE_INTERVAL) => {}
        }
    }
}

fn has_ended(extent: &Extent) -> bool {
    extent.state != LogState::Open
}

/// Shares the next lines; returns their bytes and their number.
async fn share_part(
    store: &ArtefactStore,
    part: PosePart,
    log: &PoseLog,
    offset: u64,
) -> Result<(u64, u32), StateError> {
    let reader = log.clone();
    let Ok(lines) = blocking(move || reader.read(offset)).await else { return Ok((0, 0)) };
    let frames = lines.iter().filter(|byte| **byte == b'\n').count() as u32;
    let bytes = lines.len() as u64;
    if bytes > 0 {
        store.share_poses(part, lines.into()).await?;
    }
    Ok((bytes, frames))
}
