//! Receives the files of the job as descriptors over a socket, after the sandbox is closed.
//!
//! Called once by `main`. The socket is closed after the first packet, whatever it contained.

use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::inherited::PASSED_FILES_MAX;
use bodyscript_protocol::message::Start;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use thiserror::Error;

/// The socket on which the files are received.
#[derive(Debug)]
pub struct JobFilesSocket(OwnedFd);

/// The files of one job.
#[derive(Debug)]
pub struct JobFiles {
    /// The uploaded video.
    pub video: OwnedFd,
    /// The file of each artefact.
    pub artefacts: Vec<(Artefact, File)>,
    /// The file for the recording, if the job is recorded.
    pub recording: Option<File>,
}

/// The files were not received as expected.
#[derive(Debug, Error)]
pub enum JobFilesError {
    /// Receiving failed.
    #[error("the files of the job cannot be received: {0}")]
    Receive(#[source] Errno),
    /// Too few or too many files.
    #[error("{received} files were received for a job of {expected}")]
    Count {
        /// How many were received.
        received: usize,
        /// How many the job has.
        expected: usize,
    },
}

impl JobFilesError {
    /// The fault reported to the supervisor.
    pub const fn fault(&self) -> Fault {
        Fault::Protocol
    }
}

impl JobFilesSocket {
    /// Wraps the socket.
    pub const fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Waits for the files of a job.
    pub fn receive(self, start: &Start) -> Result<JobFiles, JobFilesError> {
        let mut files = receive(&self.0).map_err(JobFilesError::Receive)?.into_iter();
        let is_recorded = start.parameters.options.is_recorded();
        let expected = 1 + start.artefacts.len() + usize::from(is_recorded);
        let received = files.len();
        match files.next() {
            Some(video) if received == expected => {
                let mut files = files.map(File::from);
                let artefacts = start.artefacts.iter().copied().zip(files.by_ref()).collect();
                Ok(JobFiles { video, artefacts, recording: files.next() })
            }
            _ => Err(JobFilesError::Count { received, expected }),
        }
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
    // SAFETY: the kernel created these descriptors in this call, for this process alone.
    Ok(files.map(|file| unsafe { OwnedFd::from_raw_fd(file) }).collect())
}
