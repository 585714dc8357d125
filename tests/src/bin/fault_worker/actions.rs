//! What the words of a video make the worker do.

use crate::MIB;
use crate::messages::{facts, fail, send, write};
use crate::resources::{multiply, reserved, sleep_forever, spawn, touched};
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::inherited;
use bodyscript_protocol::limits::{MESSAGE_BYTES_MAX, TEXT_BYTES_MAX};
use bodyscript_protocol::message::{Progress, Start, Summary, ToSupervisor};
use bodyscript_protocol::sandbox_report::SandboxReport;
use bodyscript_sample_results::{SampleRun, pose_frame, summary};
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::{close, getpgrp, getpid, getppid, getsid};
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::mem::forget;
use std::path::Path;
use std::process::exit;
use std::thread;
use std::time::{Duration, SystemTime};

const PAGE: usize = 4096;

/// One job whose video asks for faults.
pub(super) struct FaultyJob {
    pub(super) start: Start,
    /// To be written to, in the order of `start.artefacts`.
    pub(super) files: Vec<File>,
    pub(super) frames_done: u32,
    /// Memory that stays allocated.
    pub(super) memory: Vec<Vec<u8>>,
}

impl FaultyJob {
    /// Does what one word of the video says.
    pub(super) fn execute(&mut self, word: &str) {
        let (name, number) = word.split_once(':').unwrap_or((word, "0"));
        let number: usize = number.parse().expect("a number after the colon");
        match name {
            "deaf" | "need" | "need-all" | "probed-twice" | "hasty" | "absurd" => {}
            "ok" => self.succeed(),
            "empty" | "html" | "rows" | "no-moov" | "nan" | "crowd" | "huge" => {
                self.lie(name, number)
            }
            "crowd-poses" | "nan-poses" | "old-poses" => self.lie_about_poses(name),
            "bad-input" => fail(Fault::NotAVideo),
            "done" => self.send_done(),
            "progress" => (0..number).for_each(|_| self.progress()),
            "alloc" => self.memory.push(reserved(number)),
            "touch" => self.memory.push(touched(number)),
            "hog" => self.fill_memory(),
            "leak" => self.leak(),
            "family" => {
                forget(spawn(&number.to_string()).expect("a child"));
                self.memory.push(touched(number));
            }
            "exit" => exit(number as i32),
            "sleep" => thread::sleep(Duration::from_millis(number as u64)),
            "held" => {
                while Path::new("/run/held").exists() {
                    thread::sleep(Duration::from_millis(20));
                }
            }
            "fill-disk" => self.fill_disk(),
            "write" => self.files[0].write_all(&vec![0; number * MIB]).expect("room"),
            "inspect" => self.inspect(),
            "flood-stdout" => loop {
                self.progress();
            },
            _ => fail_by(name),
        }
    }

    pub(super) fn progress(&mut self) {
        send(&ToSupervisor::Poses(pose_frame(self.frames_done * self.interval())));
        self.frames_done += 1;
        let frames_done = self.frames_done;
        send(&ToSupervisor::Progress(Progress { frames_done, frames_detected: frames_done }));
    }

    fn interval(&self) -> u32 {
        self.start.parameters.options.sampling.interval().unwrap_or(1)
    }

    fn send_done(&self) {
        send(&ToSupervisor::Done(self.run().summary));
    }

    /// What an honest worker would report and write.
    pub(super) fn run(&self) -> SampleRun {
        let Start { job, parameters, .. } = self.start.clone();
        let frames_decoded =
            self.frames_done.saturating_sub(1) * self.interval() + self.frames_done.min(1);
        let summary = Summary { frames_decoded, ..summary(self.frames_done) };
        SampleRun { job, parameters, facts: facts(), summary }
    }

    fn succeed(&mut self) {
        (0..3).for_each(|_| self.progress());
        let run = self.run();
        for (artefact, file) in self.start.artefacts.iter().zip(&mut self.files) {
            // In place of what other words have written.
            file.set_len(0).and_then(|()| file.rewind()).expect("a file");
            file.write_all(&run.artefact(*artefact)).expect("room for a small file");
        }
        self.send_done();
        exit(0);
    }

    /// Logs the time before each MiB: the last one in the log is about when the kernel killed the process.
    fn fill_memory(&mut self) {
        loop {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
            eprintln!("touched {} at {}", self.memory.len(), now.as_nanos());
            self.memory.push(touched(1));
        }
    }

    fn leak(&mut self) {
        loop {
            self.memory.push(touched(4));
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
        // The last one belongs to this listing.
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

/// Fails without the use of the job.
fn fail_by(name: &str) {
    match name {
        "panic" => panic!("as requested"),
        // The Rust runtime's handler checks the first for a stack overflow, then restores the default.
        "segv" => while raise(Signal::SIGSEGV).is_ok() {},
        "abort" => std::process::abort(),
        "sigsys" => drop(raise(Signal::SIGSYS)),
        "sigkill" => drop(raise(Signal::SIGKILL)),
        "sigterm" => drop(raise(Signal::SIGTERM)),
        "silent" => sleep_forever(),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "garbage" => write(&[0xa5; 64]),
        "oversize" => write(&(MESSAGE_BYTES_MAX as u32 + 1).to_le_bytes()),
        "half-frame" => write(&[100, 0, 0, 0, 1, 2, 3]),
        "out-of-turn" => send(&ToSupervisor::Ready(SandboxReport::default())),
        "close-stdout" => drop(close(inherited::MESSAGES_OUT)),
        "flood-stderr" => loop {
            eprintln!("{}", "\u{1b}[31m flood ".repeat(TEXT_BYTES_MAX));
        },
        "fork-bomb" => multiply(),
        "thread-bomb" => {
            while thread::Builder::new().stack_size(64 * 1024).spawn(sleep_forever).is_ok() {}
        }
        "leak-child" => drop(spawn("detach").expect("a child").wait()),
        "kill-parent" => eprintln!("kill the parent: {:?}", kill(getppid(), Signal::SIGKILL)),
        unknown => panic!("no such word: {unknown}"),
    }
}
