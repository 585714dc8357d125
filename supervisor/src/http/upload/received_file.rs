//! Writes a received video to its file; limits its size and computes its SHA-256.

use crate::http::problem::ApiError;
use crate::store::failed;
use sha2::{Digest, Sha256};
use std::path::Path;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

/// Size of the write buffer of a file.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// A video that is being received.
pub(crate) struct ReceivingFile<'a> {
    file: &'a mut File,
    path: &'a Path,
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
    pub(crate) fn new((file, path): (&'a mut File, &'a Path), upload_bytes_max: u64) -> Self {
        file.set_max_buf_size(WRITE_BYTES_MAX);
        Self { file, path, upload_bytes_max, bytes: 0, digest: Sha256::new() }
    }

    /// Appends bytes, up to the size limit.
    pub(crate) async fn write(&mut self, chunk: &[u8]) -> Result<(), ApiError> {
        self.bytes += chunk.len() as u64;
        if self.bytes > self.upload_bytes_max {
            return Err(ApiError::UploadTooLarge { upload_bytes_max: self.upload_bytes_max });
        }
        self.digest.update(chunk);
        let written = self.file.write_all(chunk).await;
        Ok(written.map_err(failed("written to", self.path))?)
    }

    /// Flushes the file and returns its size and digest.
    pub(crate) async fn finish(self) -> Result<ReceivedFile, ApiError> {
        self.file.flush().await.map_err(failed("written to", self.path))?;
        Ok(ReceivedFile { bytes: self.bytes, sha256: hex(&self.digest.finalize()) })
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
