//! Follows one task for each video: reports each as it ends, and cancels the rest when a stop is requested.

use crate::cli::batch::report::{Ended, Outcome, Report, Subject};
use crate::ops::signals::Shutdown;
use std::collections::HashMap;
use tokio::task::{Id, JoinSet};

/// The tasks, and the videos that they are about.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    tasks: JoinSet<Ended>,
    subjects: HashMap<Id, Subject>,
}

/// Whether a stop was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    ToTheEnd,
    Cancelled,
}

impl Tasks {
    /// Starts a task about a video.
    pub(crate) fn start(
        &mut self,
        subject: Subject,
        task: impl Future<Output = Ended> + Send + 'static,
    ) {
        let task = self.tasks.spawn(task);
        self.subjects.insert(task.id(), subject);
    }

    /// Reports all, and cancels those that still run when a stop is requested.
    pub(crate) async fn follow(mut self, shutdown: &mut Shutdown, report: &mut Report) -> Followed {
        let mut followed = Followed::ToTheEnd;
        loop {
            let ended = tokio::select! {
                ended = self.tasks.join_next_with_id() => ended,
                () = shutdown.requested(), if followed == Followed::ToTheEnd => {
                    followed = Followed::Cancelled;
                    report.print_cancelled();
                    self.tasks.abort_all();
                    continue;
                }
            };
            match ended {
                None => return followed,
                Some(Ok((_, ended))) => report.add(&ended),
                Some(Err(error)) => {
                    let outcome =
                        if error.is_cancelled() { Outcome::Cancelled } else { panicked() };
                    if let Some(subject) = self.subjects.remove(&error.id()) {
                        report.add(&subject.ended(outcome));
                    }
                }
            }
        }
    }
}

fn panicked() -> Outcome {
    Outcome::Failed { error: "the command failed".into(), error_code: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::batch::arguments::Format;
    use crate::cli::batch::progress::Progress;
    use std::future::pending;

    fn subject(video: &str) -> Subject {
        Subject { video: video.into(), results: None }
    }

    #[tokio::test]
    async fn every_task_is_reported_also_when_a_stop_is_requested() {
        let (stop, mut shutdown) = Shutdown::channel();
        let mut report = Report::new(Format::Quiet, Progress::off(), 2);
        let mut tasks = Tasks::default();
        tasks.start(subject("a"), async { subject("a").ended(Outcome::Skipped) });
        assert_eq!(tasks.follow(&mut shutdown, &mut report).await, Followed::ToTheEnd);

        let mut tasks = Tasks::default();
        tasks.start(subject("b"), pending());
        stop.request();
        assert_eq!(tasks.follow(&mut shutdown, &mut report).await, Followed::Cancelled);
        assert_eq!(report.counts(), "0 of 2 videos processed, 1 skipped, 1 cancelled.");
    }
}
