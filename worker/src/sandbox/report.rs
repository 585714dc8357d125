//! Reports which layers are available on this host, by applying them. Called by `main` for
//! `bodyscript-worker --sandbox-report`, which `bodyscript doctor` runs; the process must exit
//! afterwards.

use super::capabilities::OVERFLOW_ID;
use super::confine::{confine_early, lock_down};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::message::Prepare;
use bodyscript_protocol::options::LandmarkModel;
use bodyscript_protocol::sandbox_report::{Layer, LayerState, SandboxReport};
use std::io::Write;
use std::process::ExitCode;

/// Applies every layer and prints the state of each: one JSON object a line, with `layer`, `state`
/// (active, unavailable, off) and `detail`.
///
/// Exits with [`WorkerExit::Sandbox`] if the report could not be created or printed. A layer that
/// is unavailable on this host is not a failure.
pub fn print_report() -> ExitCode {
    let mut report = SandboxReport::default();
    let prepare = all_layers();
    let outcome =
        confine_early(&prepare, &mut report).and_then(|()| lock_down(&prepare, &mut report));
    if let Err(error) = outcome {
        tracing::error!("{error}");
        return ExitCode::from(WorkerExit::Sandbox.code());
    }
    let lines: String = report.layers.iter().map(line).collect();
    match std::io::stdout().write_all(lines.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("cannot print the report: {error}");
            ExitCode::from(WorkerExit::Sandbox.code())
        }
    }
}

fn line((layer, state): &(Layer, LayerState)) -> String {
    let (state, detail) = match state {
        LayerState::Active(achieved) => ("active", achieved.as_str()),
        LayerState::Unavailable(reason) => ("unavailable", reason.as_str()),
        LayerState::Off => ("off", ""),
    };
    let line = serde_json::json!({ "layer": layer.name(), "state": state, "detail": detail });
    format!("{line}\n")
}

/// A request for every layer, none of them required.
fn all_layers() -> Prepare {
    Prepare {
        version: bodyscript_protocol::PROTOCOL_VERSION,
        layers: Layer::ALL.to_vec(),
        layers_required: Vec::new(),
        user_id: OVERFLOW_ID,
        model: LandmarkModel::default(),
        warms_up: false,
    }
}
