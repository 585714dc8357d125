//! The folder of one attempt, and how it becomes the results of a job.
//!
//! Created by [`crate::store::artefacts::StateDir::begin_attempt`]. Only the newest attempt at a
//! job may publish, and what it publishes is on the disk before it is visible.

use crate::store::error::StateError;
use crate::store::error::failed;
use crate::store::failpoint;
use crate::store::fs_atomic::{create_file, create_folder, names, remove_folder, rename, sync};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::formats::Formats;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Prefix of the folder's name, before the number of the attempt.
const ATTEMPT: &str = "attempt-";

/// File name of the attempt's outcome, beside its artefacts.
pub(crate) const OUTCOME: &str = "outcome.json";

/// The folder name of an attempt.
pub(crate) fn name(number: u32) -> String {
    format!("{ATTEMPT}{number}")
}

/// Removes the folder of an attempt, and that of its job if it is then empty.
pub(crate) fn discard(path: &Path) -> Result<(), StateError> {
    remove_folder(path)?;
    // Fails while there is another attempt, as intended.
    let _ = path.parent().map(fs::remove_dir);
    Ok(())
}

/// The folder to which one attempt writes.
#[derive(Debug)]
pub struct AttemptFolder {
    path: PathBuf,
    number: u32,
    published: PathBuf,
    formats: Formats,
}

impl AttemptFolder {
    /// Creates it in the folder of its job, with an empty file for each requested artefact.
    pub(crate) fn create(
        job: &Path,
        number: u32,
        published: PathBuf,
        formats: Formats,
    ) -> Result<(Self, Vec<(Artefact, File)>), StateError> {
        create_folder(job)?;
        let path = job.join(name(number));
        create_folder(&path)?;
        let create = |artefact: Artefact| {
            create_file(&path.join(artefact.file_name())).map(|file| (artefact, file))
        };
        let files = formats.iter().map(create).collect::<Result<_, _>>()?;
        Ok((Self { path, number, published, formats }, files))
    }

    /// Creates a file without a name, on the same disk; its space is free once it is closed.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn create_unnamed(&self) -> Result<File, StateError> {
        tempfile::tempfile_in(&self.path).map_err(failed("written to", &self.path))
    }

    /// Writes the outcome beside the artefacts.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write_outcome(&self, outcome: &[u8]) -> Result<(), StateError> {
        failpoint::reach("attempt_done");
        let path = self.path.join(OUTCOME);
        fs::write(&path, outcome).map_err(failed("written to", &path))?;
        failpoint::reach("outcome_written");
        sync(&path)
    }

    /// Syncs the artefacts and makes them, with the outcome, the job's results.
    ///
    /// # Errors
    /// When the disk fails, or a newer attempt at the job has begun or published.
    pub fn publish(&self) -> Result<(), StateError> {
        self.sync_artefacts()?;
        sync(&self.path)?;
        failpoint::reach("attempt_synced");
        if self.is_stale()? {
            return Err(StateError::Stale(self.path.clone()));
        }
        rename(&self.path, &self.published)?;
        failpoint::reach("attempt_published");
        Ok(())
    }

    /// Removes it, and the folder of its job if that is then empty.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn discard(&self) -> Result<(), StateError> {
        discard(&self.path)
    }

    /// The name and path of each file that will be published.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let names = self.formats.iter().map(Artefact::file_name).chain([OUTCOME]);
        names.map(|name| (name, self.path.join(name)))
    }

    /// Syncs the artefacts as they are now. [`Self::publish`] repeats it, at no cost if nothing has
    /// changed since; an error returned here is not reported by the kernel again.
    pub fn sync_artefacts(&self) -> Result<(), StateError> {
        self.formats.iter().try_for_each(|artefact| sync(&self.path.join(artefact.file_name())))
    }

    fn is_stale(&self) -> Result<bool, StateError> {
        let job = self.path.parent().unwrap_or(&self.path);
        let number = |name: &str| name.strip_prefix(ATTEMPT)?.parse::<u32>().ok();
        Ok(names(job)?.iter().filter_map(|name| number(name)).any(|other| other > self.number))
    }
}
