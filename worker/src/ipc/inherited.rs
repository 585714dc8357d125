//! Adopts the descriptors that the supervisor left open. Together with the job's files, which are
//! received later, they are the only input and output.
//!
//! Called once by `main`, before the first thread. Paths are never opened here or anywhere else.

use super::job_files::JobFilesSocket;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::inherited;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::fs::File;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use thiserror::Error;

/// The inherited descriptors besides standard input, output and error.
#[derive(Debug)]
pub struct Inherited {
    /// Receives the files of the job.
    pub job_files: JobFilesSocket,
    /// The person detector's model file.
    pub detector_model: File,
    /// The landmark model's file.
    pub landmark_model: File,
}

/// A descriptor was not inherited.
#[derive(Debug, Error)]
#[error("descriptor {number} ({what}) was not inherited: {source}")]
pub struct NotInherited {
    number: i32,
    what: &'static str,
    source: Errno,
}

impl NotInherited {
    /// The fault reported to the supervisor.
    pub const fn fault(&self) -> Fault {
        Fault::Protocol
    }
}

impl Inherited {
    /// Takes ownership of all descriptors, at the numbers the protocol fixes.
    pub fn adopt() -> Result<Self, NotInherited> {
        Ok(Self {
            job_files: JobFilesSocket::new(adopt(inherited::FILES_IN, "job files")?),
            detector_model: adopt(inherited::DETECTOR_MODEL, "detector model")?.into(),
            landmark_model: adopt(inherited::LANDMARK_MODEL, "landmark model")?.into(),
        })
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
    // SAFETY: it is open, as just checked, and only this function, called once for each number,
    // makes an owner of it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
