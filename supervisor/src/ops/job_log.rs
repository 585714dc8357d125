//! The latest log lines of jobs, in memory, for `bodyscript ctl log`. A layer of the log beside the one that writes it: it keeps
//! the lines of level info and above that have a field `job`, up to a number of bytes for all jobs together.

use crate::policy::display_name::visible;
use crate::policy::job::JobId;
use crate::store::wall;
use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Bytes of all lines together; the oldest are dropped.
const BYTES_MAX: usize = 1 << 20;

/// Characters of one line; the rest is left out.
const LINE_CHARS_MAX: usize = 500;

/// The field that says which job a line is about.
const JOB: &str = "job";

/// The lines; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct JobLog(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<(JobId, String)>,
    bytes: usize,
}

impl JobLog {
    /// The lines of a job that are still there, oldest first.
    pub(crate) fn of(&self, job: JobId) -> Vec<String> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.lines.iter().filter(|(of, _)| *of == job).map(|(_, line)| line.clone()).collect()
    }
}

impl<S: Subscriber> Layer<S> for JobLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Some(job) = fields.job else { return };
        let metadata = event.metadata();
        let text =
            format!("{:.3} {} {}:{}", wall(), metadata.level(), metadata.target(), fields.text);
        let line = text.chars().take(LINE_CHARS_MAX).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(job, line);
    }
}

impl Ring {
    fn add(&mut self, job: JobId, line: String) {
        self.bytes += line.len();
        self.lines.push_back((job, line));
        while self.bytes > BYTES_MAX {
            let Some((_, oldest)) = self.lines.pop_front() else { return };
            self.bytes -= oldest.len();
        }
    }
}

/// The fields of one line: the message first, as it comes, then the others by name.
#[derive(Default)]
struct Fields {
    job: Option<JobId>,
    text: String,
}

impl Fields {
    fn add(&mut self, field: &Field, value: &str) {
        let value = visible(value);
        match field.name() {
            JOB => self.job = value.parse().ok(),
            "message" => self.text.insert_str(0, &format!(" {value}")),
            name => write!(self.text, " {name}={value}").expect("writes to a string"),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn lines_are_kept_by_job_and_control_characters_are_escaped() {
        let log = JobLog::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        let (one, other) = (JobId::random(), JobId::random());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(job = %one, frames = 3, name = "\u{1b}[31m", "started");
            tracing::info!(job = other.to_string(), "another one");
            tracing::info!("about no job");
        });
        let lines = log.of(one);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains("INFO") && lines[0].contains(": started frames=3 name="),
            "{lines:?}"
        );
        assert!(!lines[0].contains('\u{1b}'), "{lines:?}");
        assert_eq!(log.of(other).len(), 1);
        assert!(log.of(JobId::random()).is_empty());
    }

    #[test]
    fn memory_is_bounded_and_the_newest_lines_stay() {
        let mut ring = Ring::default();
        let (early, late) = (JobId::random(), JobId::random());
        ring.add(early, "early".into());
        let line = "x".repeat(LINE_CHARS_MAX);
        (0..=BYTES_MAX / LINE_CHARS_MAX).for_each(|_| ring.add(late, line.clone()));
        assert!(ring.bytes <= BYTES_MAX && ring.bytes > BYTES_MAX - 2 * LINE_CHARS_MAX);
        assert!(ring.lines.iter().all(|(job, _)| *job == late));
    }
}
