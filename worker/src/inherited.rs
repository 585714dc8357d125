//! Adopts the descriptors the supervisor left open: the only way anything comes in or goes out.
//!
//! Called once by `main`, before the first thread. Paths are never opened here or anywhere else.

use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::inherited;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use thiserror::Error;

/// Everything a worker owns beyond its frames and its log.
#[derive(Debug)]
pub struct Inherited {
    /// The uploaded video.
    pub video: OwnedFd,
    /// The person detector's model file.
    pub detector_model: File,
    /// The landmark model's file.
    pub landmark_model: File,
    /// Where each artefact goes.
    pub artefacts: Artefacts,
}

/// The artefacts' files, to be taken out one by one.
#[derive(Debug)]
pub struct Artefacts(BTreeMap<Artefact, File>);

/// A descriptor is not there.
#[derive(Debug, Error)]
#[error("descriptor {number} ({what}) was not inherited: {source}")]
pub struct NotInherited {
    number: i32,
    what: &'static str,
    source: Errno,
}

impl NotInherited {
    /// What the supervisor is told.
    pub const fn fault(&self) -> Fault {
        Fault::Protocol
    }
}

impl Inherited {
    /// Takes ownership of all descriptors, in the order the protocol fixes.
    pub fn adopt(artefacts: &[Artefact]) -> Result<Self, NotInherited> {
        let files = artefacts.iter().enumerate().map(|(position, artefact)| {
            let file = adopt(inherited::artefact(position), artefact.file_name())?;
            Ok((*artefact, File::from(file)))
        });
        Ok(Self {
            video: adopt(inherited::VIDEO, "video")?,
            detector_model: adopt(inherited::DETECTOR_MODEL, "detector model")?.into(),
            landmark_model: adopt(inherited::LANDMARK_MODEL, "landmark model")?.into(),
            artefacts: Artefacts(files.collect::<Result<_, NotInherited>>()?),
        })
    }
}

impl Artefacts {
    /// The file of an artefact, if it is wanted and was not taken yet.
    pub fn take(&mut self, artefact: Artefact) -> Option<File> {
        self.0.remove(&artefact)
    }
}

#[allow(unsafe_code)]
fn adopt(number: i32, what: &'static str) -> Result<OwnedFd, NotInherited> {
    // SAFETY: the descriptor is borrowed for this call alone, which fails if it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(|source| NotInherited {
        number,
        what,
        source,
    })?;
    // SAFETY: it is open, as just seen, and only this function, called once for each number,
    // makes an owner of it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
