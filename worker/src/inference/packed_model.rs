//! A model ready to run, as a file that all workers map: nothing is parsed or copied at the start,
//! and all workers share the pages of the weights. Written by `bodyscript-worker --pack-model` when
//! the programs are built; called by `model`.
//!
//! ```text
//! "BodyPose", version            16 bytes
//! SHA-256 of all that follows    32 bytes
//! length of the description       8 bytes, little-endian
//! description                    JSON: the ONNX file's SHA-256, the network
//! weights                        from the next multiple of 64 bytes on
//! ```

use super::network::Network;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::ops::Deref;
use thiserror::Error;

/// Magic bytes. The number changes with the layout and with the kernels' order of the weights.
const MAGIC: &[u8; MAGIC_BYTES] = b"BodyPose model 1";
/// Length of the magic bytes.
pub(super) const MAGIC_BYTES: usize = 16;
const DIGEST: usize = 32;
const LENGTH: usize = 8;
/// Alignment of the weights.
const ALIGNMENT: usize = 64;

/// Why a packed model cannot be used.
#[derive(Debug, Error)]
pub enum PackedModelError {
    /// The file cannot be mapped.
    #[error("cannot be mapped: {0}")]
    Map(#[from] io::Error),
    /// The file is damaged.
    #[error("is damaged: its hash is not the one it states")]
    Damaged,
    /// The description is not valid.
    #[error("has a description that is not valid: {0}")]
    Description(#[from] serde_json::Error),
    /// It was packed from another model.
    #[error("was packed from a model with sha256 {found}, not {expected}; build it again")]
    OtherModel {
        /// Its source's hash.
        found: String,
        /// The hash in the manifest.
        expected: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Description {
    /// SHA-256 of the ONNX file.
    source: String,
    network: Network,
}

/// The weights of a network.
#[derive(Debug)]
pub(super) enum Weights {
    /// In the memory of this process.
    Owned(Vec<u8>),
    /// In a mapped file, from this offset on.
    Mapped(Mmap, usize),
}

impl Deref for Weights {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(weights) => weights,
            Self::Mapped(file, start) => &file[*start..],
        }
    }
}

/// Whether these are the first bytes of a packed model.
pub(super) fn is_packed(begin: &[u8]) -> bool {
    begin.starts_with(MAGIC)
}

/// Serializes a network that was read from an ONNX file with this hash.
pub(super) fn pack(
    source: &str,
    network: Network,
    weights: &[u8],
) -> Result<Vec<u8>, serde_json::Error> {
    let description = serde_json::to_vec(&Description { source: source.into(), network })?;
    let mut rest = (description.len() as u64).to_le_bytes().to_vec();
    rest.extend(description);
    let head = MAGIC.len() + DIGEST;
    rest.resize((head + rest.len()).next_multiple_of(ALIGNMENT) - head, 0);
    rest.extend(weights);
    Ok([MAGIC.as_slice(), &Sha256::digest(&rest), &rest].concat())
}

/// Maps a packed model, unless it is damaged or was packed from a file with another hash.
pub(super) fn open(file: &File, source: &str) -> Result<(Network, Weights), PackedModelError> {
    let bytes = map(file)?;
    let body = bytes.get(MAGIC.len()..).and_then(|rest| rest.split_first_chunk::<DIGEST>());
    let (digest, rest) = body.ok_or(PackedModelError::Damaged)?;
    if Sha256::digest(rest).as_slice() != digest {
        return Err(PackedModelError::Damaged);
    }
    let (length, rest) = rest.split_first_chunk::<LENGTH>().ok_or(PackedModelError::Damaged)?;
    let length = u64::from_le_bytes(*length) as usize;
    let description = rest.get(..length).ok_or(PackedModelError::Damaged)?;
    let Description { source: found, network } = serde_json::from_slice(description)?;
    if found != source {
        return Err(PackedModelError::OtherModel { found, expected: source.into() });
    }
    let start = (MAGIC.len() + DIGEST + LENGTH + length).next_multiple_of(ALIGNMENT);
    Ok((network, Weights::Mapped(bytes, start)))
}

#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file is an installed one, which is never modified in place; and the kernels read
    // numbers from it, for which all bytes are valid.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(bytes).expect("takes bytes");
        file
    }

    fn packed() -> (Network, Vec<u8>) {
        let (pictures, layers, outputs) = (Vec::new(), Vec::new(), Vec::new());
        let network = Network { side: 4, pictures, layers, outputs };
        let packed = pack("abc", network.clone(), &[1, 2, 3]).expect("is packed");
        (network, packed)
    }

    #[test]
    fn a_packed_model_is_read_back() {
        let (network, bytes) = packed();
        assert!(is_packed(&bytes));
        let (found, weights) = open(&file(&bytes), "abc").expect("opens");
        assert_eq!(found, network);
        assert_eq!(weights[..], [1, 2, 3]);
        assert_eq!(weights.as_ptr() as usize % ALIGNMENT, 0);
    }

    #[test]
    fn a_damaged_or_truncated_file_or_another_model_is_rejected() {
        let (_, bytes) = packed();
        for at in MAGIC.len()..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(matches!(open(&file(&damaged), "abc"), Err(PackedModelError::Damaged)), "{at}");
        }
        for length in MAGIC.len()..bytes.len() {
            let short = open(&file(&bytes[..length]), "abc");
            assert!(matches!(short, Err(PackedModelError::Damaged)), "{length}");
        }
        assert!(matches!(open(&file(&bytes), "abd"), Err(PackedModelError::OtherModel { .. })));
    }
}
