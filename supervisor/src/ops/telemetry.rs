//! Sets up logging: as text or JSON on standard error, or to the systemd journal.
//!
//! Called once, by the command line. File names are logged only as fields, whose control characters
//! are escaped by the formatter and by the protocol of the journal.

use crate::config::LogFormat;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging. Invalid filters have been refused with the configuration.
pub(crate) fn init(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.with_env_filter(filter).init(),
        LogFormat::Json => builder.with_env_filter(filter).json().flatten_event(true).init(),
        LogFormat::Journald => match tracing_journald::layer() {
            Ok(journal) => {
                let journal = journal.with_field_prefix(None);
                tracing_subscriber::registry().with(filter).with(journal).init();
            }
            Err(error) => {
                builder.with_env_filter(filter).init();
                tracing::warn!(%error, "cannot reach the systemd journal; logging as text");
            }
        },
    }
}
