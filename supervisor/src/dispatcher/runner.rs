//! What the dispatcher needs to run attempts, and nothing of how: the tests have runners without processes.

use crate::runner::attempt::exit_report::ExitReport;
use crate::runner::attempt::{AttemptChannels, WorkerSpec};
use crate::runner::models::InstalledModels;
use std::pin::Pin;
use std::sync::Arc;

/// Runs attempts.
#[derive(Clone)]
pub(crate) struct Runner {
    /// Runs one: [`crate::runner::attempt::run`] with a worker factory.
    pub(crate) run: Arc<dyn Fn(WorkerSpec, AttemptChannels) -> RunningAttempt + Send + Sync>,
    /// The landmark models that its workers can load.
    pub(crate) models: InstalledModels,
}

/// An attempt in progress.
pub(crate) type RunningAttempt = Pin<Box<dyn Future<Output = ExitReport> + Send>>;
