//! Adopts the descriptors the supervisor left open: with what is handed over later, the only way
//! anything comes in or goes out.
//!
//! Called once by `main`, before the first thread. Paths are never opened here or anywhere else.

use crate::handover::Handover;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::inherited;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::fs::File;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use thiserror::Error;

/// Everything a worker is born with beyond its frames and its log.
#[derive(Debug)]
pub struct Inherited {
    /// Where the files of the job will come from.
    pub handover: Handover,
    /// The person detector's model file.
    pub detector_model: File,
    /// The landmark model's file.
    pub landmark_model: File,
}

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
    /// Takes ownership of all descriptors, at the numbers the protocol fixes.
    pub fn adopt() -> Result<Self, NotInherited> {
        Ok(Self {
            handover: Handover::new(adopt(inherited::FILES_IN, "handover")?),
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
    // SAFETY: it is open, as just seen, and only this function, called once for each number,
    // makes an owner of it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
