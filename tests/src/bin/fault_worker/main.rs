//! A worker that does what the video tells it to: the bad citizen of the tests.
//!
//! Started in place of `bodyscript-worker` by tests of the supervisor. It speaks the real
//! protocol and puts on no sandbox, whatever it claims, so that what holds it is the cage and the
//! supervisor alone. It must never be installed.
//!
//! A video in MP4 is left to the real worker beside this program, which takes its place: so good
//! and bad citizens run in one service. It looks before it does anything else; where there is no
//! video yet, it is ready and stands by for one that is not in MP4.
//!
//! Otherwise the video is any file with a line `FAULT word word...`; the words are obeyed in
//! order, after `Ready` and `Probed` were sent (from `early` on the line: before `Ready`). After
//! the last word it stays and says nothing.
//!
//! A worker that is to rehearse, because it will stand by, does what a file beside this program
//! says, which has the program's name and the ending `rehearsal`: it `hangs` or `fails`.
//!
//! | word            | what it does                                                             |
//! |-----------------|--------------------------------------------------------------------------|
//! | `ok`            | writes small artefacts, sends `Progress` and `Done`, exits with 0         |
//! | `bad-input`     | sends `Failed(NotAVideo)`, exits with its status                          |
//! | `done`          | sends `Done` and goes on to the next word                                 |
//! | `progress:N`    | sends N times `Progress`                                                  |
//! | `alloc:N`       | reserves N MiB without touching them; exits with 72 if refused            |
//! | `touch:N`       | the same, and touches them                                                |
//! | `hog`           | touches MiB after MiB for ever, and logs the time before each            |
//! | `leak`          | touches 4 MiB after each `Progress`, for ever                             |
//! | `family:N`      | touches N MiB in itself and N in a child                                  |
//! | `panic`, `segv`, `abort`, `sigsys`, `sigkill`, `sigterm` | dies of it                       |
//! | `exit:N`        | exits with N                                                              |
//! | `spin`          | computes for ever                                                         |
//! | `sleep:N`       | sleeps N ms                                                               |
//! | `held`          | waits as long as there is a file `/run/held`                              |
//! | `silent`        | sleeps for ever                                                           |
//! | `deaf`          | ignores `Cancel` and SIGTERM, wherever on the line it stands              |
//! | `garbage`, `oversize`, `half-frame`, `out-of-turn` | breaks the protocol                    |
//! | `close-stdout`  | closes its output                                                         |
//! | `flood-stdout`, `flood-stderr` | writes for ever                                            |
//! | `fork-bomb`, `thread-bomb` | multiplies until it is refused                                 |
//! | `leak-child`    | leaves a process behind, in a session of its own and without a parent     |
//! | `fill-disk`     | writes to the first artefact until it is refused                          |
//! | `kill-parent`   | sends SIGKILL to the supervisor; with this worker it succeeds              |
//! | `inspect`       | writes what it was born with to the first artefact, as `key=value` lines   |

mod video;

use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::codec::{Decoder, encode};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::inherited;
use bodyscript_protocol::limits::{MESSAGE_BYTES_MAX, TEXT_BYTES_MAX};
use bodyscript_protocol::message::{
    Failure, Progress, Start, Summary, ToSupervisor, ToWorker, VideoFacts,
};
use bodyscript_protocol::sandbox_report::{LayerState, SandboxReport};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::socket::MsgFlags;
use nix::unistd::{close, getpgrp, getpid, getppid, getsid, setsid};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::mem::forget;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, exit};
use std::thread;
use std::time::{Duration, SystemTime};
use video::{await_first_word, files_at_hand, is_real_video, script};

const MIB: usize = 1 << 20;
const PAGE: usize = 4096;

/// What a good citizen is called.
const REAL_WORKER: &str = "bodyscript-worker";

fn main() {
    match std::env::args().nth(1).as_deref() {
        None => work(),
        Some("linger") => rest(),
        Some("stray") => stray(),
        Some("bomb") => multiply(),
        Some(touch) => {
            let held = touched(touch.parse().expect("MiB"));
            rest_holding(&held);
        }
    }
}

fn work() {
    await_first_word();
    let mut files = files_at_hand(MsgFlags::MSG_DONTWAIT);
    if files.first_mut().is_some_and(is_real_video) {
        let program = std::env::current_exe().expect("procfs").with_file_name(REAL_WORKER);
        panic!("no real worker: {}", Command::new(program).arg0(REAL_WORKER).exec());
    }
    let mut frames = Decoder::default();
    let Some(ToWorker::Prepare(prepare)) = listen(&mut frames) else {
        exit(WorkerExit::Protocol.code().into())
    };
    if prepare.warms_up {
        rehearse();
    }
    let claimed = |layer| (layer, LayerState::Active("claimed".into()));
    let layers = prepare.layers_required.into_iter().map(claimed).collect();
    let ready = ToSupervisor::Ready(SandboxReport { layers });
    let stands_by = files.is_empty();
    if stands_by {
        say(&ready);
    }
    let start = match listen(&mut frames) {
        Some(ToWorker::Start(start)) => start,
        Some(_) => fail(Fault::Cancelled),
        None => exit(WorkerExit::Orphaned.code().into()),
    };
    if stands_by {
        files = files_at_hand(MsgFlags::empty());
    }
    let mut video = files.remove(0);
    let script = script(&mut video);
    let mut words: Vec<&str> = script.split_whitespace().collect();
    if words.contains(&"deaf") {
        // Before the first thread, so that all threads inherit it.
        SigSet::from(Signal::SIGTERM).thread_block().expect("the mask is ours");
    } else {
        thread::spawn(move || obey(frames));
    }
    let mut culprit = Culprit { start, files, frames_done: 0, held: Vec::new() };
    if let Some(early) = words.iter().position(|word| *word == "early") {
        words.drain(..=early).for_each(drop);
        words.iter().for_each(|word| culprit.commit(word));
        rest();
    }
    if !stands_by {
        say(&ready);
    }
    say(&ToSupervisor::Probed(facts()));
    words.iter().for_each(|word| culprit.commit(word));
    rest();
}

fn rehearse() {
    let file = std::env::current_exe().expect("procfs").with_extension("rehearsal");
    match fs::read_to_string(file).as_deref() {
        Ok("hangs") => rest(),
        Ok("fails") => exit(WorkerExit::Media.code().into()),
        Ok(other) => panic!("no such rehearsal: {other}"),
        Err(_) => {}
    }
}

fn listen(frames: &mut Decoder) -> Option<ToWorker> {
    let mut bytes = [0; 4096];
    loop {
        if let Some(message) = frames.next().expect("the supervisor keeps the protocol") {
            return Some(message);
        }
        match io::stdin().lock().read(&mut bytes) {
            Ok(0) | Err(_) => return None,
            Ok(read) => frames.push(&bytes[..read]),
        }
    }
}

fn obey(mut frames: Decoder) {
    match listen(&mut frames) {
        Some(_) => fail(Fault::Cancelled),
        None => exit(WorkerExit::Orphaned.code().into()),
    }
}

fn say(message: &ToSupervisor) {
    write(&encode(message).expect("a message of ours"));
}

/// The supervisor may have closed its end: then there is nobody to tell.
fn write(bytes: &[u8]) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(bytes).and_then(|()| output.flush());
}

fn fail(fault: Fault) -> ! {
    let status = fault.exit().code();
    say(&ToSupervisor::Failed(Failure { fault, detail: "as told".into() }));
    exit(status.into())
}

fn facts() -> VideoFacts {
    VideoFacts {
        width: 7680,
        height: 4320,
        frame_rate: (30, 1),
        duration_ms: Some(1_000),
        frames_expected: 30,
        trimmed: false,
        rotation_degrees: 0,
        mirrored: false,
        container: "application/x-fault".into(),
        codec: "video/x-fault".into(),
    }
}

struct Culprit {
    start: Start,
    /// To write to, in the order of `start.artefacts`.
    files: Vec<File>,
    frames_done: u32,
    held: Vec<Vec<u8>>,
}

impl Culprit {
    fn commit(&mut self, word: &str) {
        let (name, number) = word.split_once(':').unwrap_or((word, "0"));
        let number: usize = number.parse().expect("a number after the colon");
        match name {
            "deaf" => {}
            "ok" => self.succeed(),
            "bad-input" => fail(Fault::NotAVideo),
            "done" => self.conclude(),
            "progress" => (0..number).for_each(|_| self.progress()),
            "alloc" => self.held.push(reserved(number)),
            "touch" => self.held.push(touched(number)),
            "hog" => self.hog(),
            "leak" => self.leak(),
            "family" => {
                forget(spawn(&number.to_string()).expect("a child"));
                self.held.push(touched(number));
            }
            "exit" => exit(number as i32),
            "sleep" => thread::sleep(Duration::from_millis(number as u64)),
            "held" => {
                while Path::new("/run/held").exists() {
                    thread::sleep(Duration::from_millis(20));
                }
            }
            "fill-disk" => self.fill_disk(),
            "inspect" => self.inspect(),
            "flood-stdout" => loop {
                self.progress();
            },
            _ => crime(name),
        }
    }

    fn progress(&mut self) {
        self.frames_done += 1;
        let frames_done = self.frames_done;
        say(&ToSupervisor::Progress(Progress { frames_done, frames_detected: frames_done }));
    }

    fn conclude(&self) {
        let frames = self.frames_done;
        say(&ToSupervisor::Done(Summary {
            frames_decoded: frames,
            frames_processed: frames,
            frames_detected: frames,
            mean_visibility: 0.5,
            track_losses: 0,
            jitter: 0.0,
            people: u32::from(frames > 0),
        }));
    }

    fn succeed(&mut self) {
        for (artefact, file) in self.start.artefacts.iter().zip(&mut self.files) {
            file.write_all(sample(*artefact)).expect("room for a small file");
        }
        (0..3).for_each(|_| self.progress());
        self.conclude();
        exit(0);
    }

    /// The last time in the log is that of the kernel's kill, to the time it takes to touch a MiB.
    fn hog(&mut self) {
        loop {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
            eprintln!("touched {} at {}", self.held.len(), now.as_nanos());
            self.held.push(touched(1));
        }
    }

    fn leak(&mut self) {
        loop {
            self.held.push(touched(4));
            self.progress();
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn fill_disk(&mut self) {
        while self.files[0].write_all(&[0; PAGE]).is_ok() {}
    }

    fn inspect(&mut self) {
        let mut descriptors: Vec<_> = fs::read_dir("/proc/self/fd")
            .expect("procfs")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.parse::<u32>().ok())
            .collect();
        descriptors.sort_unstable();
        // The last is the listing's own.
        descriptors.pop();
        let read = |file| fs::read_to_string(format!("/proc/self/{file}")).expect("procfs");
        let report = &mut self.files[0];
        let mut line = |key: &str, value: String| {
            writeln!(report, "{key}={}", value.trim().replace('\n', "|")).expect("room");
        };
        line("descriptors", format!("{descriptors:?}"));
        line("environment", read("environ").replace('\0', ";"));
        line("command", read("cmdline").replace('\0', ";"));
        line("oom_score_adj", read("oom_score_adj"));
        line("limits", read("limits"));
        line("status", read("status"));
        line("cgroup", read("cgroup"));
        line("directory", format!("{:?}", std::env::current_dir()));
        line("leads_session", (getsid(None) == Ok(getpid())).to_string());
        line("leads_group", (getpgrp() == getpid()).to_string());
        line("death_signal", format!("{:?}", nix::sys::prctl::get_pdeathsig()));
    }
}

fn crime(name: &str) {
    match name {
        "panic" => panic!("as told"),
        // The Rust runtime's own handler takes the first for a stack overflow that was none,
        // and steps back.
        "segv" => while raise(Signal::SIGSEGV).is_ok() {},
        "abort" => std::process::abort(),
        "sigsys" => drop(raise(Signal::SIGSYS)),
        "sigkill" => drop(raise(Signal::SIGKILL)),
        "sigterm" => drop(raise(Signal::SIGTERM)),
        "silent" => rest(),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "garbage" => write(&[0xa5; 64]),
        "oversize" => write(&(MESSAGE_BYTES_MAX as u32 + 1).to_le_bytes()),
        "half-frame" => write(&[100, 0, 0, 0, 1, 2, 3]),
        "out-of-turn" => say(&ToSupervisor::Ready(SandboxReport::default())),
        "close-stdout" => drop(close(inherited::MESSAGES_OUT)),
        "flood-stderr" => loop {
            eprintln!("{}", "\u{1b}[31m flood ".repeat(TEXT_BYTES_MAX));
        },
        "fork-bomb" => multiply(),
        "thread-bomb" => while thread::Builder::new().stack_size(64 * 1024).spawn(rest).is_ok() {},
        "leak-child" => drop(spawn("stray").expect("a child").wait()),
        "kill-parent" => eprintln!("kill the parent: {:?}", kill(getppid(), Signal::SIGKILL)),
        unknown => panic!("no such word: {unknown}"),
    }
}

fn reserved(mib: usize) -> Vec<u8> {
    let mut memory = Vec::new();
    match memory.try_reserve_exact(mib * MIB) {
        Ok(()) => memory,
        Err(_) => exit(WorkerExit::Memory.code().into()),
    }
}

fn touched(mib: usize) -> Vec<u8> {
    let mut memory = reserved(mib);
    // Writes within what is reserved; reading it back keeps the writes.
    memory.resize(memory.capacity(), 1);
    std::hint::black_box(memory)
}

fn spawn(role: &str) -> io::Result<std::process::Child> {
    Command::new("/proc/self/exe").arg(role).spawn()
}

/// Leaves a process that has no parent and cannot be found by session or group.
fn stray() {
    setsid().expect("a child leads no group");
    forget(spawn("linger").expect("a child"));
}

/// Doubles until it is refused, then stays.
fn multiply() {
    while spawn("bomb").is_ok() {}
    rest();
}

fn rest() {
    rest_holding(&[]);
}

fn rest_holding(memory: &[u8]) {
    loop {
        thread::park();
        std::hint::black_box(memory);
    }
}

/// A small file of each kind: enough of the format for its kind to be told.
const fn sample(artefact: Artefact) -> &'static [u8] {
    match artefact {
        Artefact::Video | Artefact::Preview => {
            b"\0\0\0\x18ftypisom\0\0\x02\0isommp41\0\0\0\x08mdat\0\0\0\x08moov"
        }
        Artefact::Csv => b"frame_id,landmark_id,x,y,z,visibility,strategy\n",
        Artefact::Json | Artefact::Metadata => b"{}\n",
        Artefact::Thumbnail => b"\xff\xd8\xff\xd9",
        Artefact::OpenPose => b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        Artefact::Trc => b"PathFileType\t4\t(X/Y/Z)\tpose.trc\n",
        Artefact::Parquet => b"PAR1PAR1",
        Artefact::Angles => b"frame_id,person_id,time_s,detected\n",
    }
}
