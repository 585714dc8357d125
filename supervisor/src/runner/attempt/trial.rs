//! The trial at the start of the service: one worker without a video shows that workers come to
//! life here, with the models, in the cage and with every layer of the sandbox that is required.
//!
//! Called by `run` once, before the first job: a host that cannot give what the configuration
//! asks for is told at the start, and not to the clients one by one.

use crate::runner::attempt::exit_report::ExitReport;
use crate::runner::attempt::{AttemptChannels, Deadlines, Live, Stop, WorkerSpec, run};
use crate::runner::factory::WorkerFactory;
use bodyscript_protocol::sandbox_report::{Layer, LayerState, SandboxReport};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

/// Why workers would not do.
#[derive(Debug, Error)]
pub enum TrialError {
    /// The worker ended before it was ready.
    #[error("the test worker failed to start: {detail}; run `bodyscript doctor` for details")]
    NotReady {
        /// What is known of its end.
        detail: String,
    },
    /// The worker is ready without what is required.
    #[error(
        "the sandbox layer {} is required (sandbox_required) but not active: {state}",
        .layer.name()
    )]
    NotConfined {
        /// What is missing.
        layer: Layer,
        /// What became of it.
        state: String,
    },
}

/// Brings up one worker and ends it again; tells the sandbox it put on.
///
/// # Errors
/// When it does not become ready, or lacks a layer that is required.
pub(crate) async fn trial(
    factory: &WorkerFactory,
    memory_bytes_max: u64,
    deadlines: Deadlines,
) -> Result<SandboxReport, TrialError> {
    let birth = WorkerSpec { name: "trial".into(), memory_bytes_max, deadlines, warms_up: false };
    let (sender, mut live) = watch::channel(Live::default());
    let (stop, stopped) = oneshot::channel();
    // Never sent, but kept: it waits for its job.
    let (_order, assignment) = oneshot::channel();
    let attempt = run(factory, birth, AttemptChannels { assignment, live: sender, stop: stopped });
    let end_once_ready = async {
        // An error means that it is over already.
        if live.wait_for(|live| live.sandbox.is_some()).await.is_ok() {
            let _ = stop.send(Stop::Cancelled);
        }
    };
    let (exit_report, ()) = tokio::join!(attempt, end_once_ready);
    judge(exit_report, &factory.shop.layers_required)
}

fn judge(exit_report: ExitReport, required: &[Layer]) -> Result<SandboxReport, TrialError> {
    let Some(sandbox) = exit_report.sandbox else {
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
        ExitReport::write(ExitEvidence { sandbox, ..ExitEvidence::blank(CageBackend::V2, 1) })
    }

    #[test]
    fn a_layer_that_is_required_must_be_in_force() {
        let active = (Layer::Seccomp, LayerState::Active("all".into()));
        let missing = (Layer::Landlock, LayerState::Unavailable("no \u{1b}[2J kernel".into()));
        let both = ready(&[active, missing]);
        assert!(judge(both.clone(), &[Layer::Seccomp]).is_ok());
        let refused = judge(both.clone(), &[Layer::Seccomp, Layer::Landlock]).expect_err("missing");
        let said = refused.to_string();
        assert!(said.contains("landlock") && said.contains("no \\u{1b}[2J kernel"), "{said}");
        assert!(judge(both, &[Layer::Namespaces]).is_err(), "never heard of");
    }

    #[test]
    fn a_worker_that_is_never_ready_will_not_do() {
        let dead = ExitEvidence {
            spawn_error: Some("no such program".into()),
            ..ExitEvidence::blank(CageBackend::V2, 1)
        };
        let refused = judge(ExitReport::write(dead), &[]).expect_err("dead");
        assert!(refused.to_string().contains("no such program"), "{refused}");
    }
}
