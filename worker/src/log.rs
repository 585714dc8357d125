//! Log lines of the worker: plain lines on standard error, which the supervisor bounds and escapes.

use tracing_subscriber::filter::LevelFilter;

/// Environment variable with the level; the supervisor sets it to its own.
const LEVEL: &str = "BODYSCRIPT_LOG";

/// Sends log lines to standard error.
pub fn init() {
    let level = std::env::var(LEVEL).ok().and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
}
