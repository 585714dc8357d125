//! What hosts tell each other of running attempts, so that any of them can tell a client.
//!
//! Part of the dispatcher's loop. It is told once a second, and lost in an outage of the journal.

use crate::dispatcher::state::State;
use crate::policy::job::{JobId, JobState};
use crate::runner::attempt::Live;
use crate::store::{JournalEntry, JournalState};
use bodyscript_protocol::message::{Progress, VideoFacts};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// How often the progress of an attempt is told.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// What is told; another version may know more or less.
#[derive(Debug, Serialize, Deserialize)]
struct SharedProgress {
    facts: Option<VideoFacts>,
    progress: Progress,
    rss_bytes: u64,
    peak_bytes: u64,
}

impl State {
    /// Tells the other hosts of the progress of an attempt of this one.
    pub(crate) fn tell_progress(&mut self, id: JobId) {
        if !self.journal.is_shared() || self.journal.state() != JournalState::Writable {
            return;
        }
        let Some(running) = self.scheduler.running_mut(id) else { return };
        if running.told_at.is_some_and(|at| at.elapsed() < TELL_INTERVAL) {
            return;
        }
        running.told_at = Some(Instant::now());
        let live = running.live.borrow();
        let told = SharedProgress {
            facts: live.facts.clone(),
            progress: live.progress,
            rss_bytes: live.rss_bytes,
            peak_bytes: live.peak_bytes,
        };
        let document = serde_json::to_string(&told).expect("plain values with text keys");
        self.journal.append(JournalEntry::Progress { job: id, document });
    }

    /// Takes what another host tells of its attempt.
    pub(crate) fn on_progress(&mut self, id: JobId, document: &str) {
        let is_elsewhere = self.jobs.get(id).is_some_and(|job| {
            matches!(job.state(), JobState::Processing { .. }) && job.host != Some(self.host)
        });
        let Ok(told) = serde_json::from_str::<SharedProgress>(document) else { return };
        if is_elsewhere {
            let SharedProgress { facts, progress, rss_bytes, peak_bytes } = told;
            let live = Live { facts, progress, rss_bytes, peak_bytes, ..Live::default() };
            self.remote_live.insert(id, live);
            self.jobs.notify(id);
        }
    }
}
