//! Takes over the files of the job, which come when the sandbox is closed and not before.
//!
//! Called once by `main`. The socket is closed with the first packet, whatever it brought.

use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::inherited::PASSED_FILES_MAX;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use thiserror::Error;

/// The way the files come.
#[derive(Debug)]
pub struct Handover(OwnedFd);

/// The files of one job.
#[derive(Debug)]
pub struct Files {
    /// The uploaded video.
    pub video: OwnedFd,
    /// Where each artefact goes.
    pub artefacts: Artefacts,
}

/// The artefacts' files, to be taken out one by one.
#[derive(Debug)]
pub struct Artefacts(BTreeMap<Artefact, File>);

/// The files did not come as agreed.
#[derive(Debug, Error)]
pub enum HandoverError {
    /// Nothing could be received.
    #[error("the files of the job cannot be received: {0}")]
    Receive(#[source] Errno),
    /// Too few or too many.
    #[error("{received} files were handed over for a job of {expected}")]
    Count {
        /// How many came.
        received: usize,
        /// How many the job has.
        expected: usize,
    },
}

impl HandoverError {
    /// What the supervisor is told.
    pub const fn fault(&self) -> Fault {
        Fault::Protocol
    }
}

impl Handover {
    /// Over this socket.
    pub const fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Waits for the files of a job that writes these artefacts.
    pub fn receive(self, artefacts: &[Artefact]) -> Result<Files, HandoverError> {
        let mut files = receive(&self.0).map_err(HandoverError::Receive)?.into_iter();
        let (received, expected) = (files.len(), 1 + artefacts.len());
        match files.next() {
            Some(video) if received == expected => {
                let files = files.map(File::from);
                Ok(Files { video, artefacts: artefacts.iter().copied().zip(files).collect() })
            }
            _ => Err(HandoverError::Count { received, expected }),
        }
    }
}

impl FromIterator<(Artefact, File)> for Artefacts {
    fn from_iter<I: IntoIterator<Item = (Artefact, File)>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}

impl Artefacts {
    /// The file of an artefact, if it is wanted and was not taken yet.
    pub fn take(&mut self, artefact: Artefact) -> Option<File> {
        self.0.remove(&artefact)
    }
}

#[allow(unsafe_code)]
fn receive(socket: &OwnedFd) -> Result<Vec<OwnedFd>, Errno> {
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!([RawFd; PASSED_FILES_MAX]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let packet = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut data, Some(&mut space), flags)?;
    let files = packet.cmsgs()?.flat_map(|message| match message {
        ControlMessageOwned::ScmRights(files) => files,
        _ => Vec::new(),
    });
    // SAFETY: the kernel has made these descriptors in this call, for this process alone.
    Ok(files.map(|file| unsafe { OwnedFd::from_raw_fd(file) }).collect())
}
