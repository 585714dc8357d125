//! The trial at the start of the service: one worker without a job shows that workers become ready
//! on this host, with the models, in the cage and with every required sandbox layer.
//!
//! Called once, before the first job: an unsuitable host fails at the start and not job by job.

use crate::runner::attempt::exit_report::ExitReport;
use crate::runner::attempt::{AttemptChannels, Deadlines, Live, Stop, WorkerSpec, run};
use crate::runner::factory::WorkerFactory;
use bodyscript_protocol::options::LandmarkModel;
use bodyscript_protocol::sandbox_report::{Layer, LayerState, SandboxReport};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

/// Why workers are not usable.
#[derive(Debug, Error)]
pub enum TrialError {
    /// The worker exited before it was ready.
    #[error("the test worker failed to start: {detail}; run `bodyscript doctor` for details")]
    NotReady {
        /// From its exit report.
        detail: String,
    },
    /// A required sandbox layer is not active.
    #[error(
        "the sandbox layer {} is required (sandbox_required) but not active: {state}",
        .layer.name()
    )]
    NotConfined {
        /// The layer.
        layer: Layer,
        /// Its state.
        state: String,
    },
}

/// Spawns one worker, ends it once it is ready, and returns its sandbox.
///
/// # Errors
/// If it does not become ready, or lacks a required layer.
pub(crate) async fn trial(
    factory: &WorkerFactory,
    memory_bytes_max: u64,
    deadlines: Deadlines,
) -> Result<SandboxReport, TrialError> {
    let raised_bytes_max = memory_bytes_max;
    let name = "trial".into();
    let model = LandmarkModel::default();
    let warms_up = false;
    let spec = WorkerSpec { name, memory_bytes_max, raised_bytes_max, deadlines, model, warms_up };
    let (sender, mut live) = watch::channel(Live::default());
    let (stop, stopped) = oneshot::channel();
    // Nothing is sent; dropping the sender would end the worker.
    let (_assignment_sender, assignment) = oneshot::channel();
    // Without a job there is nothing to ask for.
    let (cap_requests, _) = mpsc::unbounded_channel();
    let channels = AttemptChannels { assignment, live: sender, cap_requests, stop: stopped };
    let attempt = run(factory, spec, channels);
    let stop_once_ready = async {
        // An error means that the worker has already exited.
        if live.wait_for(|live| live.sandbox.is_some()).await.is_ok() {
            let _ = stop.send(Stop::Cancelled);
        }
    };
    let (exit_report, ()) = tokio::join!(attempt, stop_once_ready);
    check(exit_report, &factory.parts.layers_required)
}

fn check(exit_report: ExitReport, required: &[Layer]) -> Result<SandboxReport, TrialError> {
    let Some(sandbox) = exit_report.evidence.sandbox else {
        return Err(TrialError::NotReady { detail: exit_report.detail });
    };
    match required.iter().find(|layer| !sandbox.is_active(**layer)) {
        None => Ok(sandbox),
        Some(layer) => {
            let found = sandbox.layers.iter().find(|(known, _)| known == layer);
            let state = match found.map(|(_, state)| state) {
                Some(LayerState::Unavailable(why)) => why.escape_debug().to_string(),
                Some(LayerState::Off) => "it is disabled".into(),
                Some(LayerState::Active(_)) | None => "unknown to the worker".into(),
            };
            Err(TrialError::NotConfined { layer: *layer, state })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::attempt::exit_report::ExitEvidence;
    use crate::runner::containment::cage::CageBackend;

    fn ready(layers: &[(Layer, LayerState)]) -> ExitReport {
        let sandbox = Some(SandboxReport { layers: layers.to_vec() });
        ExitReport::from_evidence(ExitEvidence {
            sandbox,
            ..ExitEvidence::blank(CageBackend::V2, 1)
        })
    }

    #[test]
    fn a_required_layer_must_be_active() {
        let active = (Layer::Seccomp, LayerState::Active("all".into()));
        let missing = (Layer::Landlock, LayerState::Unavailable("no \u{1b}[2J kernel".into()));
        let both = ready(&[active, missing]);
        assert!(check(both.clone(), &[Layer::Seccomp]).is_ok());
        let refused = check(both.clone(), &[Layer::Seccomp, Layer::Landlock]).expect_err("missing");
        let message = refused.to_string();
        assert!(
            message.contains("landlock") && message.contains("no \\u{1b}[2J kernel"),
            "{message}"
        );
        assert!(check(both, &[Layer::Namespaces]).is_err(), "unknown layer");
    }

    #[test]
    fn a_worker_that_is_never_ready_is_an_error() {
        let evidence = ExitEvidence {
            spawn_error: Some("no such program".into()),
            ..ExitEvidence::blank(CageBackend::V2, 1)
        };
        let refused = check(ExitReport::from_evidence(evidence), &[]).expect_err("not ready");
        assert!(refused.to_string().contains("no such program"), "{refused}");
    }
}
