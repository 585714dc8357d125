//! The commands of operators, as they arrive by signal or over the control socket.

use serde::{Deserialize, Serialize};

/// A command of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum OperatorCommand {
    /// Report the state of the service.
    Status,
    /// Write the state of the service to the log.
    Report,
    /// Accept no more jobs, finish those in progress, and exit.
    Drain,
    /// Accept and start no more jobs, and finish those in progress.
    Pause,
    /// Accept and start jobs again.
    Resume,
    /// List the hosts that share the journal.
    Hosts,
    /// Stop every worker and retry its job.
    RestartWorkers,
    /// Reload the configuration.
    Reload,
    /// Cancel a job.
    Cancel {
        /// Its id.
        job: String,
    },
    /// Retry a failed job.
    Retry {
        /// Its id.
        job: String,
    },
    /// Report the log lines of a job.
    Log {
        /// Its id.
        job: String,
    },
}
