//! Tells what the sandbox is worth on this host, by putting it on. Called by `main` for
//! `bodyscript-worker --posture`, which the operator's diagnosis runs; the process must end after.

use super::{confine_early, lock_down};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::message::{MediaLimits, OnLong, Start};
use bodyscript_protocol::options::Options;
use bodyscript_protocol::posture::{Layer, LayerState, Posture};
use std::io::Write;
use std::process::ExitCode;

/// Puts on every layer there is and prints what became of each: one JSON object a line, with
/// `layer`, `state` (active, unavailable, off) and `detail`.
///
/// Ends with [`WorkerExit::Sandbox`] if the report could not be made or printed. A layer this
/// host does not give is a finding, not a failure.
pub fn report_posture() -> ExitCode {
    let mut posture = Posture::default();
    let start = everything();
    let outcome =
        confine_early(&start, &mut posture).and_then(|()| lock_down(&start, &mut posture));
    if let Err(error) = outcome {
        tracing::error!("{error}");
        return ExitCode::from(WorkerExit::Sandbox.code());
    }
    let lines: String = posture.layers.iter().map(line).collect();
    match std::io::stdout().write_all(lines.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("cannot print the posture: {error}");
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

/// An order for every layer and no work.
fn everything() -> Start {
    Start {
        version: bodyscript_protocol::PROTOCOL_VERSION,
        job: "posture".into(),
        options: Options::default(),
        limits: MediaLimits {
            duration_ms_max: 0,
            on_long: OnLong::default(),
            side_px_max: 0,
            area_px_max: 0,
            frame_rate_max: 0,
        },
        artefacts: Vec::new(),
        layers: Layer::ALL.to_vec(),
        layers_required: Vec::new(),
    }
}
