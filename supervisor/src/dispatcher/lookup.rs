//! Asks a shared journal for a job before a client is told that there is none, or none with results: another host may
//! have accepted or completed it since the last look at its changes.
//!
//! Part of the dispatcher's loop.

use crate::dispatcher::Command;
use crate::dispatcher::state::{LookedUp, State};
use crate::policy::job::{JobId, JobState};
use crate::store::{JournalEntry, JournalError};

/// Most commands that wait for the journal; others are answered with what is known. Anybody can ask for a job that
/// does not exist.
const LOOKUPS_MAX: usize = 32;

impl State {
    /// Asks the journal if that may change the reply to a command; else returns it to be executed.
    pub(crate) fn look_up(&mut self, command: Command) -> Option<Command> {
        if !self.journal.is_shared() || self.lookups.len() >= LOOKUPS_MAX {
            return Some(command);
        }
        let Some(id) = self.outdated(&command) else { return Some(command) };
        let answer = self.journal.commit(JournalEntry::Look { job: id });
        self.lookups.spawn(async move { LookedUp { id, command, answer: answer.await } });
        None
    }

    /// The job for which a command would fail, if another host may have changed that.
    fn outdated(&self, command: &Command) -> Option<JobId> {
        let state = |id| self.jobs.get(id).map(|job| job.state());
        match command {
            Command::Status { id, .. }
            | Command::Watch { id, .. }
            | Command::Poses { id, .. }
            | Command::Cancel { id, .. }
            | Command::Remove { id, .. } => state(*id).is_none().then_some(*id),
            Command::Retry { id, .. } => {
                (!matches!(state(*id), Some(JobState::Failed { .. }))).then_some(*id)
            }
            Command::Results { id, .. } => {
                (!matches!(state(*id), Some(JobState::Completed { .. }))).then_some(*id)
            }
            _ => None,
        }
    }

    pub(crate) fn on_looked_up(&mut self, LookedUp { id, command, answer }: LookedUp) {
        match answer.as_ref().map_err(|error| &**error) {
            Err(JournalError::Superseded(Some(row))) => self.take_newer((**row).clone()),
            Err(JournalError::Superseded(None)) => self.forget(id),
            _ => {}
        }
        self.execute(command);
    }
}
