//! A worker for tests that fails in the way its video asks for.
//!
//! Tests of the supervisor start it in place of `bodyscript-worker`. It speaks the real protocol
//! but enables no sandbox, whatever it reports, so that only the cage and the supervisor limit it.
//! It must never be installed.
//!
//! If the video is an MP4, the program replaces itself by the real worker beside it, so that real
//! and faulty workers run in one service. It checks this first; a worker that is started before
//! there is a video becomes ready and waits for one that is not an MP4.
//!
//! Otherwise the video is any file with a line `FAULT word word...`. The words are executed in
//! order, after `Ready` and `Probed` are sent and `Proceed` is received (those before `early` are
//! ignored, those after it are executed before `Ready`). After the last word the worker sleeps.
//!
//! A worker that is asked to warm up reads the file beside this program that has the program's
//! name and the extension `warm-up`: it `hangs` or `fails` as that says.
//!
//! | word            | what it does                                                             |
//! |-----------------|--------------------------------------------------------------------------|
//! | `ok`            | writes small artefacts, sends `Progress` and `Done`, exits with 0         |
//! | `empty`, `html` | ends like `ok`, but leaves every artefact empty, or writes markup to it     |
//! | `rows`, `no-moov`, `nan` | ends like `ok`, but every table lacks its last frame, the videos have no index, or a number is none |
//! | `crowd`         | ends like `ok`, but reports 500,000 people                                |
//! | `crowd-poses`, `nan-poses`, `old-poses` | tells poses of too many people, that are no numbers, or of an earlier frame |
//! | `huge:N`        | makes every artefact N MiB long, and goes on to the next word             |
//! | `absurd`        | states facts that no video has, at any position in the line               |
//! | `bad-input`     | sends `Failed(NotAVideo)`, exits with its status                          |
//! | `done`          | sends `Done` and goes on to the next word                                 |
//! | `progress:N`    | sends N times `Poses` and `Progress`                                      |
//! | `alloc:N`       | reserves N MiB without touching them; exits with 72 if refused            |
//! | `touch:N`       | the same, and touches them                                                |
//! | `hog`           | touches MiB after MiB for ever, and logs the time before each            |
//! | `leak`          | touches 4 MiB after each `Progress`, for ever                             |
//! | `family:N`      | touches N MiB in itself and N in a child                                  |
//! | `panic`, `segv`, `abort`, `sigsys`, `sigkill`, `sigterm` | ends in this way                  |
//! | `exit:N`        | exits with N                                                              |
//! | `spin`          | computes for ever                                                         |
//! | `sleep:N`       | sleeps N ms                                                               |
//! | `held`          | waits as long as the file `/run/held` exists                              |
//! | `silent`        | sleeps for ever                                                           |
//! | `deaf`          | ignores `Cancel` and SIGTERM, at any position in the line                 |
//! | `need:N`, `need-all` | states a memory need of N MiB, or of the highest number, at any position in the line; else of 0 |
//! | `probed-twice`, `hasty` | sends `Probed` twice, or does not wait for `Proceed`; at any position |
//! | `garbage`, `oversize`, `half-frame`, `out-of-turn` | breaks the protocol                    |
//! | `close-stdout`  | closes its output                                                         |
//! | `flood-stdout`, `flood-stderr` | writes for ever                                            |
//! | `fork-bomb`, `thread-bomb` | creates processes or threads until that fails                  |
//! | `leak-child`    | leaves a process behind, in a session of its own and without a parent     |
//! | `write:N`       | writes N MiB to the first artefact                                       |
//! | `fill-disk`     | writes to the first artefact until that fails                             |
//! | `kill-parent`   | sends SIGKILL to the supervisor; with this worker it succeeds              |
//! | `inspect`       | writes what it inherited to the first artefact, as `key=value` lines       |

mod actions;
mod lies;
mod messages;
mod resources;
mod video;

use actions::FaultyJob;
use bodyscript_protocol::codec::Decoder;
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::message::{ToSupervisor, ToWorker};
use bodyscript_protocol::sandbox_report::{LayerState, SandboxReport};
use messages::{exit_on_message, fail, probe, receive, send};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::MsgFlags;
use resources::{detach, multiply, sleep_forever, sleep_holding, touched};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::thread;
use video::{await_first_message, is_real_video, peek_files, script};

const MIB: usize = 1 << 20;

/// The name of the real worker's process and program.
const REAL_WORKER: &str = "bodyscript-worker";

fn main() {
    match std::env::args().nth(1).as_deref() {
        None => work(),
        Some("linger") => sleep_forever(),
        Some("detach") => detach(),
        Some("bomb") => multiply(),
        Some(touch) => {
            let held = touched(touch.parse().expect("MiB"));
            sleep_holding(&held);
        }
    }
}

fn work() {
    await_first_message();
    let mut files = peek_files(MsgFlags::MSG_DONTWAIT);
    if files.first_mut().is_some_and(is_real_video) {
        let program = std::env::current_exe().expect("procfs").with_file_name(REAL_WORKER);
        panic!(
            "the real worker cannot be started: {}",
            Command::new(program).arg0(REAL_WORKER).exec()
        );
    }
    let mut messages = Decoder::default();
    let Some(ToWorker::Prepare(prepare)) = receive(&mut messages) else {
        exit(WorkerExit::Protocol.code().into())
    };
    if prepare.warms_up {
        warm_up();
    }
    let claimed = |layer| (layer, LayerState::Active("claimed".into()));
    let layers = prepare.layers_required.into_iter().map(claimed).collect();
    let ready = ToSupervisor::Ready(SandboxReport { layers });
    let is_pooled = files.is_empty();
    if is_pooled {
        send(&ready);
    }
    let start = match receive(&mut messages) {
        Some(ToWorker::Start(start)) => start,
        Some(_) => fail(Fault::Cancelled),
        None => exit(WorkerExit::Orphaned.code().into()),
    };
    if is_pooled {
        files = peek_files(MsgFlags::empty());
    }
    let mut video = files.remove(0);
    let script = script(&mut video);
    let mut words: Vec<&str> = script.split_whitespace().collect();
    let is_deaf = words.contains(&"deaf");
    if is_deaf {
        // Before the first thread, so that all threads inherit it.
        SigSet::from(Signal::SIGTERM).thread_block().expect("the mask is ours");
    }
    let mut job = FaultyJob { start, files, frames_done: 0, memory: Vec::new() };
    if let Some(early) = words.iter().position(|word| *word == "early") {
        words.drain(..=early).for_each(drop);
        if !is_deaf {
            thread::spawn(move || exit_on_message(messages));
        }
        words.iter().for_each(|word| job.execute(word));
        sleep_forever();
        return;
    }
    if !is_pooled {
        send(&ready);
    }
    probe(&words, &mut messages);
    if !is_deaf {
        thread::spawn(move || exit_on_message(messages));
    }
    words.iter().for_each(|word| job.execute(word));
    sleep_forever();
}

fn warm_up() {
    let file = std::env::current_exe().expect("procfs").with_extension("warm-up");
    match fs::read_to_string(file).as_deref() {
        Ok("hangs") => sleep_forever(),
        Ok("fails") => exit(WorkerExit::Media.code().into()),
        Ok(other) => panic!("no such warm-up: {other}"),
        Err(_) => {}
    }
}
