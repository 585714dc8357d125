//! Sends the files of a job to a running worker (unix(7), SCM_RIGHTS).
//!
//! Called by `drive` once for each job. It never waits: the one packet fits into an empty socket.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socketpair,
};
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};

/// A socket pair: the supervisor's end and the worker's.
pub(crate) fn open() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Sends the files.
pub(crate) fn send_files(socket: &OwnedFd, files: &[&File]) -> Result<(), Errno> {
    let numbers: Vec<_> = files.iter().map(|file| file.as_raw_fd()).collect();
    let (data, rights) = ([IoSlice::new(&[0])], [ControlMessage::ScmRights(&numbers)]);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    match sendmsg::<UnixAddr>(socket.as_raw_fd(), &data, &rights, flags, None) {
        // The worker has exited; its exit report says why.
        Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
        Err(errno) => Err(errno),
    }
}
