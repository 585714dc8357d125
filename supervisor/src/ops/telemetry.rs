//! Sets up logging: as text or JSON on standard error, or to the systemd journal.
//!
//! Called once, by the command line. File names are logged only as fields, whose control characters
//! are escaped by the formatter and by the protocol of the journal.

use crate::config::LogFormat;
use crate::ops::job_log::JobLog;
use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

/// Starts logging, and keeps the lines of jobs if there is a place for them. Invalid filters have been refused with the
/// configuration.
pub(crate) fn init(filter: &str, format: LogFormat, jobs: Option<JobLog>) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let jobs = jobs.map(|jobs| jobs.with_filter(LevelFilter::INFO));
    let stderr =
        || fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => registry().with(jobs).with(stderr().with_filter(filter)).init(),
        LogFormat::Json => {
            let json = stderr().json().flatten_event(true);
            registry().with(jobs).with(json.with_filter(filter)).init();
        }
        LogFormat::Journald => match tracing_journald::layer() {
            Ok(journal) => {
                let journal = journal.with_field_prefix(None);
                registry().with(jobs).with(journal.with_filter(filter)).init();
            }
            Err(error) => {
                registry().with(jobs).with(stderr().with_filter(filter)).init();
                tracing::warn!(%error, "cannot reach the systemd journal; logging as text");
            }
        },
    }
}
