//! Runs the worker program as the supervisor does, under the recorder.

use super::recorder::{self, Recording};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::codec::{self, Decoder};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::inherited;
use bodyscript_protocol::message::{
    JobParameters, MediaLimits, OnLong, Prepare, Start, ToSupervisor, ToWorker,
};
use bodyscript_protocol::options::{LandmarkModel, Mode, Options, Sampling};
use bodyscript_protocol::sandbox_report::Layer;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socketpair,
};
use std::fs::File;
use std::io::{IoSlice, Read, Seek, Write};
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// One worker's run.
pub(super) struct Run<'a> {
    pub(super) video: &'a Path,
    pub(super) mode: Mode,
    pub(super) supervisor: Supervisor,
    pub(super) warms_up: bool,
}

/// Whether the supervisor's end of the pipe stays open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Supervisor {
    Alive,
    Gone,
}

/// The results of a run.
#[derive(Debug)]
pub(super) struct RunResult {
    pub(super) messages: Vec<ToSupervisor>,
    pub(super) log: String,
    pub(super) recording: Recording,
}

impl RunResult {
    pub(super) fn exit(&self) -> WorkerExit {
        let code = self.recording.status.code();
        let code = code.unwrap_or_else(|| panic!("a worker was killed: {self:?}"));
        WorkerExit::try_from(code).expect("a worker's exit status")
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(video: &'a Path) -> Self {
        Self { video, mode: Mode::Track, supervisor: Supervisor::Alive, warms_up: false }
    }

    /// Runs the worker to its end.
    pub(super) fn record(&self) -> RunResult {
        let (frames_in, mut supervisor) = std::io::pipe().expect("pipes are free");
        supervisor.write_all(&self.messages()).expect("a pipe buffers the messages");
        let supervisor = (self.supervisor == Supervisor::Alive).then_some(supervisor);
        let mut frames_out = tempfile::tempfile().expect("a temporary file");
        let mut log = tempfile::tempfile().expect("a temporary file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_bodyscript-worker"));
        command
            .env_clear()
            .env("LANG", "C.UTF-8")
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(frames_in)
            .stdout(frames_out.try_clone().expect("a second handle"))
            .stderr(log.try_clone().expect("a second handle"));
        let (worker, _socket) = self.descriptors();
        inherit(&mut command, worker);
        let recording = recorder::record(command);
        drop(supervisor);
        let mut decoder = Decoder::default();
        decoder.push(&contents(&mut frames_out));
        let next = || decoder.next().expect("the worker sends frames");
        let messages = std::iter::from_fn(next).collect();
        let log = String::from_utf8_lossy(&contents(&mut log)).into_owned();
        RunResult { messages, log, recording }
    }

    /// All messages of the supervisor.
    fn messages(&self) -> Vec<u8> {
        let prepare = Prepare {
            version: bodyscript_protocol::PROTOCOL_VERSION,
            layers: Layer::ALL.to_vec(),
            layers_required: crate::kernel::provided(),
            user_id: 66_000,
            model: LandmarkModel::default(),
            warms_up: self.warms_up,
        };
        let limits = MediaLimits {
            duration_ms_max: 10_000,
            on_long: OnLong::Trim,
            side_px_max: 1920,
            area_px_max: 1920 * 1080,
            frame_rate_max: 120,
        };
        let start = Start {
            job: "recorded".into(),
            parameters: JobParameters {
                options: Options {
                    mode: self.mode,
                    sampling: Sampling::every(3).expect("an interval"),
                    people_max: 2,
                    ..Options::default()
                },
                limits,
                threads: NonZeroU32::new(2).expect("more than none"),
            },
            artefacts: Artefact::ALL.to_vec(),
        };
        // The reply to the facts waits in the pipe until the worker needs it.
        [ToWorker::Prepare(prepare), ToWorker::Start(start), ToWorker::Proceed]
            .iter()
            .flat_map(|message| codec::encode(message).expect("a message fits in a frame"))
            .collect()
    }

    /// The worker's descriptors in the order of their numbers, with the job's files already sent; and
    /// the other end of the socket.
    fn descriptors(&self) -> (Vec<OwnedFd>, OwnedFd) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let open = |path: &Path| File::open(path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        let artefacts = Artefact::ALL.map(|_| tempfile::tempfile().expect("a temporary file"));
        let files: Vec<_> = [open(self.video)].into_iter().chain(artefacts).collect();
        let numbers: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
        let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
        let pair = socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC);
        let (worker, own) = pair.expect("a pair of sockets");
        let (data, rights) = ([IoSlice::new(&[0])], [ControlMessage::ScmRights(&numbers)]);
        sendmsg::<UnixAddr>(own.as_raw_fd(), &data, &rights, MsgFlags::empty(), None)
            .expect("a packet fits");
        let models = ["pose_detection.onnx", "pose_landmark_full.onnx"];
        let models = models.map(|model| open(&folder.join(model)).into());
        ([worker].into_iter().chain(models).collect(), own)
    }
}

fn contents(file: &mut File) -> Vec<u8> {
    let mut contents = Vec::new();
    file.rewind().expect("a file rewinds");
    file.read_to_end(&mut contents).expect("a file is readable");
    contents
}

/// Makes the program inherit the descriptors, from that of the job's files on.
fn inherit(command: &mut Command, descriptors: Vec<OwnedFd>) {
    // Above all numbers that are used below.
    const TEMPORARY: i32 = 100;
    let temporary: Vec<OwnedFd> = descriptors
        .iter()
        .map(|descriptor| {
            let to = nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(TEMPORARY);
            let copy = nix::fcntl::fcntl(descriptor, to).expect("descriptors are free");
            // SAFETY: the copy is new and has no other owner.
            unsafe { OwnedFd::from_raw_fd(copy) }
        })
        .collect();
    let duplicate = move || {
        for (number, descriptor) in (inherited::FILES_IN..).zip(&temporary) {
            // SAFETY: dup2 takes two integers; both are this child's to use.
            nix::errno::Errno::result(unsafe { libc::dup2(descriptor.as_raw_fd(), number) })?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec there are only system calls, on numbers prepared before.
    unsafe { command.pre_exec(duplicate) };
}
