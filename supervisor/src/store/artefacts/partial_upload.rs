//! An upload in progress: afterwards complete and on the disk, or gone.
//!
//! Created by [`crate::store::artefacts::StateDir::begin_upload`]. It is never visible under its
//! final name before it is complete.

use crate::store::error::StateError;
use crate::store::error::failed;
use crate::store::failpoint;
use crate::store::fs_atomic::{create_file, remove_file, rename};
use std::fs::File;
use std::path::{Path, PathBuf};

/// An upload in progress; removed unless it is completed.
#[derive(Debug)]
pub struct PartialUpload {
    part: Option<PathBuf>,
    complete: PathBuf,
}

impl PartialUpload {
    /// Creates the file that receives the upload.
    pub(crate) fn create(part: PathBuf, complete: PathBuf) -> Result<(Self, File), StateError> {
        let file = create_file(&part)?;
        Ok((Self { part: Some(part), complete }, file))
    }

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        self.part.as_deref().unwrap_or(&self.complete)
    }

    /// Syncs the upload and renames it to its final name.
    pub fn complete(mut self, file: &File) -> Result<(), StateError> {
        let part = self.part.take().expect("taken by this method alone, which consumes it");
        let done = file
            .sync_all()
            .map_err(failed("written to the disk", &part))
            .inspect(|()| failpoint::reach("upload_synced"))
            .and_then(|()| rename(&part, &self.complete))
            .inspect(|()| failpoint::reach("upload_renamed"));
        if done.is_err() {
            self.part = Some(part);
        }
        done
    }
}

impl Drop for PartialUpload {
    fn drop(&mut self) {
        if let Some(part) = &self.part
            && let Err(error) = remove_file(part)
        {
            tracing::warn!(%error, "cannot remove an unfinished upload; the next start removes it");
        }
    }
}
