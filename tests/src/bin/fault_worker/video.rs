//! The files of the job, received without taking them off the socket, and the words in the video.

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

/// Waits for the first message without reading it. If the supervisor has a job by then, the files of
/// the job have arrived too.
pub(super) fn await_first_message() {
    let stdin = io::stdin();
    let mut input = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut input, PollTimeout::NONE).expect("the input can be polled");
}

/// The files of the job, which stay on the socket for the real worker to receive; none if there is
/// no job.
#[allow(unsafe_code)]
pub(super) fn peek_files(how: MsgFlags) -> Vec<File> {
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!([RawFd; inherited::PASSED_FILES_MAX]);
    let flags = how | MsgFlags::MSG_PEEK | MsgFlags::MSG_CMSG_CLOEXEC;
    let packet = recvmsg::<UnixAddr>(inherited::FILES_IN, &mut data, Some(&mut space), flags);
    let packet = match packet {
        Err(Errno::EAGAIN) => return Vec::new(),
        packet => packet.expect("the supervisor sends files"),
    };
    let files = packet.cmsgs().expect("room for them").flat_map(|message| match message {
        ControlMessageOwned::ScmRights(files) => files,
        _ => Vec::new(),
    });
    // SAFETY: the kernel created these descriptors in this call, and nothing else owns them.
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
