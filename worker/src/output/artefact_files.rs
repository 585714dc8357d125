//! The files that the artefacts are written to, opened by the supervisor.

use bodyscript_protocol::artefact::Artefact;
use std::collections::BTreeMap;
use std::fs::File;

/// The file of each requested artefact, to be taken out one by one.
#[derive(Debug)]
pub struct ArtefactFiles(BTreeMap<Artefact, File>);

impl FromIterator<(Artefact, File)> for ArtefactFiles {
    fn from_iter<I: IntoIterator<Item = (Artefact, File)>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}

impl ArtefactFiles {
    /// The file of an artefact, if it is requested and was not taken yet.
    pub fn take(&mut self, artefact: Artefact) -> Option<File> {
        self.0.remove(&artefact)
    }
}
