//! Writes chunks to a file, outside the threads of the runtime and without a buffer: a chunk is freed once it is written, so
//! that an upload that waits for its client holds none.

use crate::http::blocking::blocking;
use crate::http::problem::ApiError;
use crate::store::failed;
use bytes::Bytes;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that receives chunks.
#[derive(Debug)]
pub(crate) struct FileWriter {
    file: Arc<File>,
    path: PathBuf,
}

impl FileWriter {
    /// Writes to a file from its current position on.
    pub(crate) fn new(file: File, path: &Path) -> Self {
        Self { file: Arc::new(file), path: path.to_owned() }
    }

    /// The file.
    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Appends a chunk.
    pub(crate) async fn write(&self, chunk: Bytes) -> Result<(), ApiError> {
        let file = self.file();
        let written = blocking(move || (&*file).write_all(&chunk)).await?;
        Ok(written.map_err(failed("written to", &self.path))?)
    }

    /// Returns once all chunks are on the disk.
    pub(crate) async fn sync(&self) -> Result<(), ApiError> {
        let file = self.file();
        let synced = blocking(move || file.sync_data()).await?;
        Ok(synced.map_err(failed("written to the disk", &self.path))?)
    }
}
