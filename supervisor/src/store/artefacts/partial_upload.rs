//! An upload on its way into the state folder: complete and on the disk, or gone.
//!
//! Begun by [`crate::store::artefacts::StateDir::begin_upload`]. It must never be seen under its final name half-done.

use crate::store::error::StateError;
use crate::store::error::failed;
use crate::store::failpoint;
use crate::store::fs_atomic::{create_file, remove_file, rename};
use std::fs::File;
use std::path::{Path, PathBuf};

/// An upload on its way in; removed unless it is completed.
#[derive(Debug)]
pub struct PartialUpload {
    part: Option<PathBuf>,
    complete: PathBuf,
}

impl PartialUpload {
    /// Makes the file it is to be received into.
    pub(crate) fn begin(part: PathBuf, complete: PathBuf) -> Result<(Self, File), StateError> {
        let file = create_file(&part)?;
        Ok((Self { part: Some(part), complete }, file))
    }

    /// Where it is, for messages.
    pub fn path(&self) -> &Path {
        self.part.as_deref().unwrap_or(&self.complete)
    }

    /// Puts the upload on the disk for good, under its final name.
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
            tracing::warn!(%error, "an unfinished upload stays behind until the next start");
        }
    }
}
