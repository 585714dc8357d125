//! One neural network, from its file to its outputs.

use super::buffers::{Plan, Workspace};
use super::execute::{self, Execution};
use super::network::Network;
use super::onnx::{self, OnnxError};
use crate::simd::Isa;
use crate::simd::vector::LANES;
use bodyscript_protocol::fault::Fault;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::sync::Mutex;
use thiserror::Error;

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
    /// The file cannot be executed.
    #[error("cannot prepare {file}: {cause}")]
    Prepare {
        /// Which model.
        file: &'static str,
        /// Why.
        cause: OnnxError,
    },
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

/// A network ready to run, by any number of threads at once.
pub struct Model {
    network: Network,
    weights: Vec<u8>,
    plan: Plan,
    isa: Isa,
    /// Memory that no thread uses at the moment.
    idle: Mutex<Vec<Workspace>>,
}

impl Model {
    /// Reads a model, refuses it if it is not the one in the manifest, and prepares it.
    pub fn load(name: ModelName, file: File) -> Result<Self, ModelError> {
        let bytes = read_checked(name, file)?;
        let file = name.file_name();
        let (network, weights) =
            onnx::read(&bytes).map_err(|cause| ModelError::Prepare { file, cause })?;
        let plan = Plan::new(&network, execute::scratch(&network));
        Ok(Self { network, weights, plan, isa: Isa::chosen(), idle: Mutex::default() })
    }

    /// The same model with the given instruction set, or with plain code where there is none such.
    #[must_use]
    pub fn with_isa(self, isa: Isa) -> Self {
        Self { isa, ..self }
    }

    /// Runs the network once on a square of three planes, and reads its outputs.
    ///
    /// # Panics
    /// The square is of another size than the model's input.
    pub fn run<R>(&self, planes: &[f32], read: impl FnOnce(&Outputs<'_>) -> R) -> R {
        assert_eq!(planes.len(), 3 * self.network.side * self.network.side, "the input's size");
        let idle = self.idle.lock().expect("no holder panics").pop();
        let mut workspace = idle.unwrap_or_else(|| self.plan.workspace());
        let mut execution = Execution {
            isa: self.isa,
            network: &self.network,
            weights: &self.weights,
            plan: &self.plan,
            workspace: &mut workspace,
            input: planes,
        };
        execution.run();
        let outputs =
            Outputs { network: &self.network, plan: &self.plan, workspace: &workspace };
        let result = read(&outputs);
        self.idle.lock().expect("no holder panics").push(workspace);
        result
    }
}

/// What a network has computed, in the order of the manifest.
pub struct Outputs<'a> {
    network: &'a Network,
    plan: &'a Plan,
    workspace: &'a Workspace,
}

impl Outputs<'_> {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.network.outputs.len()
    }

    /// All numbers of an output, in the order of the ONNX file.
    ///
    /// # Panics
    /// The model has fewer outputs.
    pub fn values(&self, output: usize) -> Vec<f32> {
        let output = &self.network.outputs[output];
        let mut values = Vec::new();
        for part in &output.parts {
            let shape = self.plan.places[*part].shape;
            let pixels = (0..shape.height).flat_map(|y| (0..shape.width).map(move |x| (y, x)));
            if output.channels_last {
                for (y, x) in pixels {
                    values.extend((0..shape.channels).map(|channel| self.at(*part, channel, y, x)));
                }
            } else {
                for channel in 0..shape.channels {
                    values.extend(pixels.clone().map(|(y, x)| self.at(*part, channel, y, x)));
                }
            }
        }
        values
    }

    /// One number of an output that is a picture.
    ///
    /// # Panics
    /// The picture is smaller, or has fewer channels.
    pub fn value(&self, output: usize, channel: usize, y: usize, x: usize) -> f32 {
        self.at(self.network.outputs[output].parts[0], channel, y, x)
    }

    fn at(&self, picture: usize, channel: usize, y: usize, x: usize) -> f32 {
        let place = self.plan.places[picture];
        let buffer = &self.workspace.buffers[place.buffer];
        let (block, lane) = (channel / LANES, channel % LANES);
        buffer[place.start + block * place.block + y * place.row + x * LANES + lane]
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

/// The logistic function: from a raw score to a probability.
pub fn sigmoid(raw: f32) -> f32 {
    1.0 / (1.0 + (-raw).exp())
}
#[cfg(test)]
mod temporary {
    #[test]
    fn dump() {
        for n in ["pose_landmark_full", "pose_detection"] {
            let bytes = std::fs::read(format!("{}/../models/{n}.onnx", env!("CARGO_MANIFEST_DIR"))).unwrap();
            let t = std::time::Instant::now();
            let (network, weights) = super::onnx::read(&bytes).unwrap();
            println!("{n}: {:?}, {} bytes", t.elapsed(), weights.len());
            std::fs::create_dir_all("/tmp/k2").unwrap();
            std::fs::write(format!("/tmp/k2/{n}.json"), serde_json::to_vec(&network).unwrap()).unwrap();
            std::fs::write(format!("/tmp/k2/{n}.bin"), weights).unwrap();
        }
    }
}
