//! The files of the job, looked at and left where they are, and the words in the video.

use bodyscript_protocol::inherited;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use std::fs::File;
use std::io::{self, IoSliceMut, Read, Seek};
use std::os::fd::{AsFd, FromRawFd, RawFd};

/// How much of a video is searched for words.
const SEARCHED_BYTES_MAX: u64 = 1 << 20;

/// Waits until the supervisor has said something, and takes none of it. The files of a job that
/// the supervisor knows by then are there too.
pub(super) fn await_first_word() {
    let stdin = io::stdin();
    let mut word = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut word, PollTimeout::NONE).expect("frames come in");
}

/// The files of the job, which stay where they are for a real worker to receive; none if there is
/// no job.
#[allow(unsafe_code)]
pub(super) fn files_at_hand(how: MsgFlags) -> Vec<File> {
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!([RawFd; inherited::PASSED_FILES_MAX]);
    let flags = how | MsgFlags::MSG_PEEK | MsgFlags::MSG_CMSG_CLOEXEC;
    let packet = recvmsg::<UnixAddr>(inherited::FILES_IN, &mut data, Some(&mut space), flags);
    let packet = match packet {
        Err(Errno::EAGAIN) => return Vec::new(),
        packet => packet.expect("the supervisor hands files over"),
    };
    let files = packet.cmsgs().expect("room for them").flat_map(|message| match message {
        ControlMessageOwned::ScmRights(files) => files,
        _ => Vec::new(),
    });
    // SAFETY: the kernel has made these descriptors in this call, for this process alone.
    files.map(|file| unsafe { File::from_raw_fd(file) }).collect()
}

/// Whether the video begins as an MP4 does.
pub(super) fn is_real_video(video: &mut File) -> bool {
    let mut head = [0; 8];
    let is_read = video.read_exact(&mut head).is_ok();
    video.rewind().expect("the video is a file");
    is_read && head[4..] == *b"ftyp"
}

/// The line of words in the video; empty if there is none.
pub(super) fn script(video: &mut File) -> String {
    let mut start = Vec::new();
    let read = video.take(SEARCHED_BYTES_MAX).read_to_end(&mut start);
    read.expect("the video is readable");
    let text = String::from_utf8_lossy(&start);
    let line = text.lines().find_map(|line| line.split_once("FAULT "));
    line.map(|(_, words)| words.to_owned()).unwrap_or_default()
}
