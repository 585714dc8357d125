//! Writes a received video to its file; limits its size and computes its SHA-256.

use crate::http::problem::ApiError;
use crate::http::upload::file_writer::FileWriter;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A video that is being received.
pub(crate) struct ReceivingFile<'a> {
    file: &'a FileWriter,
    upload_bytes_max: u64,
    bytes: u64,
    digest: Sha256,
}

/// A received video.
#[derive(Debug)]
pub(crate) struct ReceivedFile {
    pub(crate) bytes: u64,
    /// SHA-256 in hexadecimal.
    pub(crate) sha256: String,
}

impl<'a> ReceivingFile<'a> {
    pub(crate) fn new(file: &'a FileWriter, upload_bytes_max: u64) -> Self {
        Self { file, upload_bytes_max, bytes: 0, digest: Sha256::new() }
    }

    /// Appends bytes, up to the size limit.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<(), ApiError> {
        self.bytes += chunk.len() as u64;
        if self.bytes > self.upload_bytes_max {
            return Err(ApiError::UploadTooLarge { upload_bytes_max: self.upload_bytes_max });
        }
        self.digest.update(&chunk);
        self.file.write(chunk).await
    }

    /// The size and digest of the file.
    pub(crate) fn finish(self) -> ReceivedFile {
        ReceivedFile { bytes: self.bytes, sha256: hex(&self.digest.finalize()) }
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
