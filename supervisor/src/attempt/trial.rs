//! The trial at the start of the service: one worker without a video shows that workers come to
//! life here, with the models, in the cage and with every layer of the sandbox that is required.
//!
//! Called by `run` once, before the first job: a host that cannot give what the configuration
//! asks for is told at the start, and not to the clients one by one.

use super::{Birth, Deadlines, Lines, Live, Stop, run};
use crate::worker::Workshop;
use crate::worker::obituary::Obituary;
use bodyscript_protocol::sandbox_report::{Layer, LayerState, SandboxReport};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

/// Why workers would not do.
#[derive(Debug, Error)]
pub enum TrialError {
    /// The worker ended before it was ready.
    #[error("no worker comes to life here: {detail}; `bodyscript doctor` tells more")]
    NotReady {
        /// What is known of its end.
        detail: String,
    },
    /// The worker is ready without what is required.
    #[error(
        "the sandbox layer {} is required (sandbox_required) and not in force: {state}",
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
pub async fn trial(
    workshop: &Workshop,
    memory_bytes_max: u64,
    deadlines: Deadlines,
) -> Result<SandboxReport, TrialError> {
    let birth = Birth { name: "trial".into(), memory_bytes_max, deadlines, warms_up: false };
    let (sender, mut live) = watch::channel(Live::default());
    let (stop, stopped) = oneshot::channel();
    // Never sent, but kept: it waits for its job.
    let (_order, order) = oneshot::channel();
    let attempt = run(workshop, birth, Lines { order, live: sender, stop: stopped });
    let end_once_ready = async {
        // An error means that it is over already.
        if live.wait_for(|live| live.sandbox.is_some()).await.is_ok() {
            let _ = stop.send(Stop::Cancelled);
        }
    };
    let (obituary, ()) = tokio::join!(attempt, end_once_ready);
    judge(obituary, &workshop.shop.layers_required)
}

fn judge(obituary: Obituary, required: &[Layer]) -> Result<SandboxReport, TrialError> {
    let Some(sandbox) = obituary.sandbox else {
        return Err(TrialError::NotReady { detail: obituary.detail });
    };
    match required.iter().find(|layer| !sandbox.is_active(**layer)) {
        None => Ok(sandbox),
        Some(layer) => {
            let found = sandbox.layers.iter().find(|(known, _)| known == layer);
            let state = match found.map(|(_, state)| state) {
                Some(LayerState::Unavailable(why)) => why.escape_debug().to_string(),
                Some(LayerState::Off) => "it is switched off".into(),
                Some(LayerState::Active(_)) | None => "the worker does not know it".into(),
            };
            Err(TrialError::NotConfined { layer: *layer, state })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::CageBackend;
    use crate::worker::obituary::Evidence;

    fn ready(layers: &[(Layer, LayerState)]) -> Obituary {
        let sandbox = Some(SandboxReport { layers: layers.to_vec() });
        Obituary::write(Evidence { sandbox, ..Evidence::blank(CageBackend::V2, 1) })
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
        let dead = Evidence {
            spawn_error: Some("no such program".into()),
            ..Evidence::blank(CageBackend::V2, 1)
        };
        let refused = judge(Obituary::write(dead), &[]).expect_err("dead");
        assert!(refused.to_string().contains("no such program"), "{refused}");
    }
}
