//! Fails the queued jobs whose landmark model is not installed: no worker could run them.
//!
//! Part of the dispatcher's loop. An upload with such a model is refused, so these are jobs of an earlier start with
//! other files in the folder of the models. Hosts that share a journal leave them to one that has the model.

use crate::dispatcher::state::State;
use crate::policy::job::{JobError, JobEvent};

impl State {
    /// Fails every queued job whose model is not installed.
    pub(crate) fn reject_without_model(&mut self) {
        if self.journal.is_shared() {
            return;
        }
        let installed = self.models;
        let refused = |id| {
            let job = self.jobs.get(id)?;
            Some((id, installed.require(job.upload.options.model).err()?))
        };
        let refused: Vec<_> = self.scheduler.queue().iter().filter_map(refused).collect();
        for (id, missing) in &refused {
            self.scheduler.dequeue(*id);
            let sentence = missing.to_string();
            self.change(
                *id,
                JobEvent::Failed(JobError { code: "model_not_installed".into(), sentence }),
            );
        }
        if !refused.is_empty() {
            self.notify_queue();
        }
    }
}
