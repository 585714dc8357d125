//! Packs a model when the programs are built: `bodyscript-worker --pack-model FROM TO`. Called by
//! `main`; the process must exit afterwards.
//!
//! Before the file is written, the results are compared with those of tract, which reads, checks
//! and runs the ONNX file independently.

use super::model::{Model, ModelError, ModelName};
use bodyscript_protocol::exit::WorkerExit;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::ExitCode;
use thiserror::Error;
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, Tensor, TractError, TractResult, tvec,
};

/// Largest difference from tract's results, as a share of the output's range.
const DIFFERENCE_MAX: f32 = 1e-3;

/// Why the model was not packed.
#[derive(Debug, Error)]
enum PackError {
    #[error("{0} is not a known model")]
    UnknownModel(String),
    #[error("cannot read or write {0}: {1}")]
    File(String, #[source] io::Error),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("tract cannot run the model: {0:#}")]
    Tract(TractError),
    #[error("output {output} differs from tract's by {difference:.1e} of its range")]
    Difference { output: usize, difference: f32 },
}

/// Reads an ONNX file and writes the packed one.
pub fn pack_model(from: &str, to: &str) -> ExitCode {
    match pack(from, to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("cannot pack {from}: {error}");
            ExitCode::from(WorkerExit::Model.code())
        }
    }
}

fn pack(from: &str, to: &str) -> Result<(), PackError> {
    let file_name = Path::new(from).file_name();
    let name = ModelName::ALL.into_iter().find(|name| file_name == Some(name.file_name().as_ref()));
    let name = name.ok_or_else(|| PackError::UnknownModel(from.into()))?;
    let open = || File::open(from).map_err(|error| PackError::File(from.into(), error));
    check(&Model::load(name, open()?)?, from)?;
    let packed = Model::pack(name, &open()?)?;
    // Renamed when complete: workers may be started meanwhile.
    let unfinished = format!("{to}.unfinished");
    let written = fs::write(&unfinished, packed).and_then(|()| fs::rename(&unfinished, to));
    written.map_err(|error| PackError::File(to.into(), error))
}

/// Compares one run with tract.
fn check(model: &Model, path: &str) -> Result<(), PackError> {
    let side = model.side();
    // Smooth waves in all directions, so that no layer gets only zeros.
    let wave = |at: usize| {
        let (plane, y, x) = (at / side / side, at / side % side, at % side);
        ((x * (plane + 2)) as f32 / 37.0).sin().mul_add(0.3, ((x + 2 * y) as f32 / 53.0).cos())
    };
    let planes: Vec<f32> = (0..3 * side * side).map(wave).collect();
    let expected = run_by_tract(path, &planes, side).map_err(PackError::Tract)?;
    let found = model.run(&planes, |outputs| {
        (0..outputs.count()).map(|output| outputs.values(output)).collect::<Vec<_>>()
    });
    for (output, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let largest = expected.iter().copied().fold(f32::MIN, f32::max);
        let least = expected.iter().copied().fold(f32::MAX, f32::min);
        // At least one: an output of one number has no range.
        let range = (largest - least).max(1.0);
        let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / range);
        let difference = differences.fold(0.0, f32::max);
        if found.len() != expected.len() || difference.is_nan() || difference > DIFFERENCE_MAX {
            return Err(PackError::Difference { output, difference });
        }
    }
    Ok(())
}

fn run_by_tract(path: &str, planes: &[f32], side: usize) -> TractResult<Vec<Vec<f32>>> {
    let plan = tract_onnx::onnx().model_for_path(path)?.into_optimized()?.into_runnable()?;
    let input = Tensor::from_shape(&[1, 3, side, side], planes)?;
    let outputs = plan.run(tvec!(input.into()))?;
    outputs
        .iter()
        .map(|output| Ok(output.try_as_plain_ram()?.as_slice::<f32>()?.to_vec()))
        .collect()
}
