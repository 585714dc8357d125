//! Delivers the results of a job from the working folder.

use crate::cli::batch::error::BatchError;
use crate::cli::batch::placement::{Placement, new_file_mode};
use crate::policy::job::JobId;
use crate::store::StateDir;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// From where, to where and how results are delivered.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    state: StateDir,
    placement: Placement,
    mode: u32,
}

impl Delivery {
    /// From the working folder `state`.
    pub(crate) fn new(state: StateDir, placement: Placement) -> Result<Self, BatchError> {
        let mode =
            new_file_mode().map_err(BatchError::output("given its permissions", state.root()))?;
        Ok(Self { state, placement, mode })
    }

    /// Moves the results of a job into their place.
    pub(crate) fn deliver(&self, id: JobId, place: &Path) -> Result<(), BatchError> {
        let new = self.state.root().join(format!("delivery-{id}"));
        self.gather(id, &new).map_err(BatchError::output("written", &new))?;
        self.placement.place(&new, place)
    }

    /// A folder with the results, which others can read as the umask of the user has it.
    fn gather(&self, id: JobId, new: &Path) -> io::Result<()> {
        fs::create_dir(new)?;
        for artefact in self.placement.formats.iter() {
            let from = self.state.result(id, artefact);
            fs::set_permissions(&from, Permissions::from_mode(self.mode))?;
            fs::rename(from, new.join(artefact.file_name()))?;
        }
        Ok(())
    }
}
