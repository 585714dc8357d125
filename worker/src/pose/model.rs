//! One neural network, from its file to its outputs. The only file that names the engine.

use bodyscript_protocol::fault::Fault;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use thiserror::Error;
use tract_onnx::prelude::*;

/// The committed description of the models: sizes and hashes.
const MANIFEST: &str = include_str!("../../../models/MANIFEST.toml");

/// The models there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelName {
    /// Person detector.
    Detector,
    /// Landmarks of one person.
    Landmarks,
}

impl ModelName {
    /// File name in `models/`, which is also its key in the manifest.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Detector => "pose_detection.onnx",
            Self::Landmarks => "pose_landmark_full.onnx",
        }
    }
}

/// Why a model cannot be used.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The manifest compiled into this program is not valid.
    #[error("the model manifest is not valid: {0}")]
    Manifest(#[from] toml::de::Error),
    /// The manifest has no entry for a model.
    #[error("the model manifest has no entry for {0}")]
    NotInManifest(&'static str),
    /// The file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// Which model.
        file: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not the one that this program was built for.
    #[error(
        "{file} has sha256 {found}, not {expected}: it was altered; restore it from the package"
    )]
    Altered {
        /// Which model.
        file: &'static str,
        /// Its hash.
        found: String,
        /// The hash in the manifest.
        expected: String,
    },
    /// The engine does not accept the file.
    #[error("cannot prepare {file}: {reason}")]
    Prepare {
        /// Which model.
        file: &'static str,
        /// The engine's words.
        reason: String,
    },
    /// The engine failed on an input.
    #[error("cannot run {file}: {reason}")]
    Run {
        /// Which model.
        file: &'static str,
        /// The engine's words.
        reason: String,
    },
    /// A tensor is not what this program expects.
    #[error("a tensor is not of the expected kind: {0}")]
    Tensor(String),
}

impl ModelError {
    /// What the supervisor is told.
    pub const fn fault(&self) -> Fault {
        Fault::Model
    }
}

#[derive(Deserialize)]
struct Manifest {
    model: Vec<ManifestEntry>,
}

#[derive(Deserialize)]
struct ManifestEntry {
    file: String,
    sha256: String,
    bytes: u64,
}

/// A network ready to run.
pub struct Model {
    file: &'static str,
    plan: Arc<TypedRunnableModel>,
}

impl Model {
    /// Reads a model, refuses it if it is not the one in the manifest, and prepares it.
    pub fn load(name: ModelName, file: File) -> Result<Self, ModelError> {
        let bytes = read_checked(name, file)?;
        let file = name.file_name();
        let prepare =
            |error: TractError| ModelError::Prepare { file, reason: format!("{error:#}") };
        let plan = tract_onnx::onnx()
            .model_for_read(&mut bytes.as_slice())
            .and_then(|model| model.into_optimized())
            .and_then(|model| model.into_runnable())
            .map_err(prepare)?;
        Ok(Self { file, plan })
    }

    /// Runs the network once on a square of three planes; the outputs come in the order of the
    /// manifest.
    pub fn run(&self, planes: &[f32]) -> Result<TVec<TValue>, ModelError> {
        let side = (planes.len() / 3).isqrt();
        Tensor::from_shape(&[1, 3, side, side], planes)
            .and_then(|input| self.plan.run(tvec!(input.into())))
            .map_err(|error| ModelError::Run { file: self.file, reason: format!("{error:#}") })
    }
}

fn read_checked(name: ModelName, file: File) -> Result<Vec<u8>, ModelError> {
    let file_name = name.file_name();
    let manifest: Manifest = toml::from_str(MANIFEST)?;
    let entry = manifest
        .model
        .into_iter()
        .find(|entry| entry.file == file_name)
        .ok_or(ModelError::NotInManifest(file_name))?;
    let mut bytes = Vec::with_capacity(entry.bytes as usize);
    // One byte more than expected is enough to know that it is another file.
    file.take(entry.bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| ModelError::Read { file: file_name, source })?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found != entry.sha256 {
        return Err(ModelError::Altered { file: file_name, found, expected: entry.sha256 });
    }
    Ok(bytes)
}

/// A tensor's numbers.
pub fn values(tensor: &Tensor) -> Result<&[f32], ModelError> {
    tensor
        .try_as_plain_ram()
        .and_then(|plain| plain.as_slice::<f32>())
        .map_err(|error| ModelError::Tensor(format!("{error:#}")))
}

/// The logistic function: from a raw score to a probability.
pub fn sigmoid(raw: f32) -> f32 {
    1.0 / (1.0 + (-raw).exp())
}
