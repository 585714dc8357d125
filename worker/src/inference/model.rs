//! One neural network, from its file to its outputs.

use super::buffers::{BufferPlan, Workspace};
use super::execute::{self, Execution};
use super::network::Network;
use super::onnx::{self, OnnxError};
use super::packed_model::{self, PackedModelError, Weights};
use crate::simd::Isa;
use crate::simd::vector::LANES;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::options::LandmarkModel;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use thiserror::Error;

/// The committed description of the models: sizes and hashes.
const MANIFEST: &str = include_str!("../../../models/MANIFEST.toml");

/// The models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelName {
    /// Person detector.
    Detector,
    /// Landmarks of one person.
    Landmarks(LandmarkModel),
}

impl ModelName {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Detector,
        Self::Landmarks(LandmarkModel::Full),
        Self::Landmarks(LandmarkModel::Lite),
        Self::Landmarks(LandmarkModel::Heavy),
    ];

    /// File name in `models/`, which is also its key in the manifest.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Detector => "pose_detection.onnx",
            Self::Landmarks(model) => model.file_name(),
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
        /// The cause.
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
    /// The ONNX file cannot be executed.
    #[error("cannot prepare {file}: {cause}")]
    Prepare {
        /// Which model.
        file: &'static str,
        /// The cause.
        cause: OnnxError,
    },
    /// The packed file cannot be used.
    #[error("the packed {file} {cause}")]
    Packed {
        /// Which model.
        file: &'static str,
        /// The cause.
        cause: PackedModelError,
    },
}

impl ModelError {
    /// The fault reported to the supervisor.
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
    weights: Weights,
    plan: BufferPlan,
    isa: Isa,
    /// Workspaces that no thread uses at the moment.
    idle: Mutex<Vec<Workspace>>,
}

impl Model {
    /// Loads a model from its file, packed or ONNX; rejects one that is not in the manifest.
    pub fn load(name: ModelName, file: File) -> Result<Self, ModelError> {
        let entry = manifest_entry(name)?;
        let read = |source| ModelError::Read { file: name.file_name(), source };
        let mut begin = [0; packed_model::MAGIC_BYTES];
        let is_packed =
            file.read_exact_at(&mut begin, 0).is_ok() && packed_model::is_packed(&begin);
        let (network, weights) = if is_packed {
            let cause = |cause| ModelError::Packed { file: name.file_name(), cause };
            packed_model::open(&file, &entry.sha256).map_err(cause)?
        } else {
            let (network, weights) = parse(name, &entry, &read_onnx(&file, &entry).map_err(read)?)?;
            (network, Weights::Owned(weights))
        };
        let plan = BufferPlan::new(&network, execute::scratch(&network));
        Ok(Self { network, weights, plan, isa: Isa::chosen(), idle: Mutex::default() })
    }

    /// Packs an ONNX file.
    pub fn pack(name: ModelName, file: &File) -> Result<Vec<u8>, ModelError> {
        let entry = manifest_entry(name)?;
        let read = |source| ModelError::Read { file: name.file_name(), source };
        let bytes = read_onnx(file, &entry).map_err(read)?;
        let (network, weights) = parse(name, &entry, &bytes)?;
        packed_model::pack(&entry.sha256, network, &weights).map_err(|error| ModelError::Packed {
            file: name.file_name(),
            cause: PackedModelError::Description(error),
        })
    }

    /// Side of the square input, in pixels.
    pub fn side(&self) -> usize {
        self.network.side
    }

    /// The same model with the given instruction set, or with portable code if it is not available.
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
        let outputs = Outputs { network: &self.network, plan: &self.plan, workspace: &workspace };
        let result = read(&outputs);
        self.idle.lock().expect("no holder panics").push(workspace);
        result
    }
}

/// The outputs of a network, in the order of the manifest.
pub struct Outputs<'a> {
    network: &'a Network,
    plan: &'a BufferPlan,
    workspace: &'a Workspace,
}

impl Outputs<'_> {
    /// Number of outputs.
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
            let shape = self.plan.placements[*part].shape;
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
        let placement = self.plan.placements[picture];
        let buffer = &self.workspace.buffers[placement.buffer];
        let (block, lane) = (channel / LANES, channel % LANES);
        buffer[placement.start + block * placement.block + y * placement.row + x * LANES + lane]
    }
}

fn manifest_entry(name: ModelName) -> Result<ManifestEntry, ModelError> {
    let manifest: Manifest = toml::from_str(MANIFEST)?;
    let mut entries = manifest.model.into_iter();
    entries
        .find(|entry| entry.file == name.file_name())
        .ok_or(ModelError::NotInManifest(name.file_name()))
}

/// Reads the file, at most one byte more than the manifest states.
fn read_onnx(file: &File, entry: &ManifestEntry) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(entry.bytes as usize + 1);
    // One byte more than expected is enough to detect another file.
    io::Read::read_to_end(&mut io::Read::take(file, entry.bytes + 1), &mut bytes)?;
    Ok(bytes)
}

fn parse(
    name: ModelName,
    entry: &ManifestEntry,
    bytes: &[u8],
) -> Result<(Network, Vec<u8>), ModelError> {
    let file = name.file_name();
    let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found != entry.sha256 {
        return Err(ModelError::Altered { file, found, expected: entry.sha256.clone() });
    }
    onnx::read(bytes).map_err(|cause| ModelError::Prepare { file, cause })
}

/// The logistic function, from a raw score to a probability.
pub fn sigmoid(raw: f32) -> f32 {
    1.0 / (1.0 + (-raw).exp())
}
