//! The loop around one living worker, and its burial.
//!
//! Used by `attempt` alone. Each turn waits for the first of all things that can happen and
//! deals with it; nothing here waits for one thing only, until the worker is dead.

use crate::runner::attempt::control::{Control, ControlEvent};
use crate::runner::attempt::conversation::{Conversation, ProtocolError};
use crate::runner::attempt::exit_report::{Cause, Deadline, ExitEvidence, ProcessExit};
use crate::runner::attempt::stderr_ring::StderrRing;
use crate::runner::attempt::{Assignment, Deadlines, LogFields};
use crate::runner::containment::cage::CageBackend;
use crate::runner::containment::guard::{ContainedProcess, Teardown};
use crate::runner::containment::rss::{PERIOD, Watch};
use crate::runner::containment::{fd_passing, limits, orphans};
use crate::runner::spawn_worker::Worker;
use bodyscript_protocol::message::{Prepare, Start};
use bodyscript_protocol::session::Phase;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};

/// Most bytes taken from a pipe at once.
const READ_BYTES_MAX: usize = 8 * 1024;

/// Parts of the grace. SIGTERM comes after one, SIGKILL after two, and the third is for the kernel
/// to free the memory: whoever is asked to end is gone within the grace, willing or not.
const GRACE_PARTS: u32 = 3;

/// Between two attempts to end what does not end.
const KILL_PERIOD: Duration = Duration::from_secs(10);

/// How long the rest of a dead worker's pipe may take to be read. Nobody holds the other end any
/// more, so this is never waited for in full.
const DRAIN_PATIENCE: Duration = Duration::from_secs(1);

/// One thing that happened.
enum Event {
    Ended,
    ControlEvent(ControlEvent),
    Frames(io::Result<usize>),
    Log(io::Result<usize>),
    Tick,
    Due,
}

/// How far the supervisor has gone to end a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum KillStage {
    Asked,
    Terminated,
    Killed,
}

/// One end of a pipe that a worker writes to, and room for what comes.
#[derive(Debug)]
struct PipeReader {
    pipe: pipe::Receiver,
    buffer: Box<[u8]>,
    is_open: bool,
}

impl PipeReader {
    fn new(pipe: pipe::Receiver) -> Self {
        Self { pipe, buffer: vec![0; READ_BYTES_MAX].into(), is_open: true }
    }

    /// Cancel-safe: bytes are taken or not.
    async fn read(&mut self) -> io::Result<usize> {
        self.pipe.read(&mut self.buffer).await
    }

    /// What a read brought. Nothing ends the inlet, an error likewise.
    fn taken(&mut self, read: io::Result<usize>) -> &[u8] {
        let bytes = read.unwrap_or(0);
        self.is_open = bytes > 0;
        &self.buffer[..bytes]
    }
}

/// A worker being driven.
#[derive(Debug)]
pub(crate) struct Drive {
    process: ContainedProcess,
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
    frames_in: pipe::Sender,
    frames: PipeReader,
    log: PipeReader,
    ring: StderrRing,
    conversation: Conversation,
    watch: Watch,
    tick: Interval,
    deadlines: Deadlines,
    control: Control,
    handover: OwnedFd,
    born: Instant,
    /// When it was given its job.
    assigned: Option<Instant>,
    /// Since when there is nothing more to expect but the exit.
    finished: Option<Instant>,
    /// How far the end has come, and when the next stage is due.
    stage: Option<(KillStage, Instant)>,
    evidence: ExitEvidence,
}

impl Drive {
    /// Takes over a newborn. `evidence` says what is known before the birth.
    pub(crate) fn new(
        worker: Worker,
        conversation: Conversation,
        deadlines: Deadlines,
        control: Control,
        evidence: ExitEvidence,
    ) -> Self {
        let Worker { process, pid, pidfd, frames_in, handover, frames_out, log } = worker;
        let watch = match evidence.backend {
            CageBackend::Rlimit => Watch::on_tree(pid),
            CageBackend::V1 | CageBackend::V2 => Watch::on(pid),
        };
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        conversation.publish(|live, _| live.pid = Some(pid.as_raw()));
        Self {
            process,
            pid,
            pidfd,
            frames_in,
            frames: PipeReader::new(frames_out),
            log: PipeReader::new(log),
            ring: StderrRing::default(),
            conversation,
            watch,
            tick,
            deadlines,
            control,
            handover,
            born: Instant::now(),
            assigned: None,
            finished: None,
            stage: None,
            evidence: ExitEvidence {
                pid: Some(pid.as_raw()),
                cpu_max: Duration::from_secs(limits::cpu_seconds(deadlines.cpu)),
                ..evidence
            },
        }
    }

    /// Has the worker get ready, sees it through and returns what is known of its life, and what
    /// the log knows it by.
    pub(crate) async fn run_to_exit(mut self, prepare: Prepare) -> (ExitEvidence, LogFields) {
        // Files that are there already go first: whoever has read the first word finds them.
        let (job, stop) = match self.control.at_birth() {
            Some(ControlEvent::Work(assignment)) => (Some(self.equip(assignment)), None),
            Some(ControlEvent::Stop(stop)) => (None, Some(stop)),
            None => (None, None),
        };
        let said = self.conversation.prepare(prepare);
        self.say(said).await;
        if let Some((start, fields)) = job {
            self.begin(start, fields).await;
        }
        if let Some(stop) = stop {
            self.end(Cause::Stop(stop), KillStage::Asked);
        }
        loop {
            match self.event().await {
                Event::Ended => break,
                Event::ControlEvent(ControlEvent::Work(assignment)) => {
                    let (start, fields) = self.equip(assignment);
                    self.begin(start, fields).await;
                }
                Event::ControlEvent(ControlEvent::Stop(stop)) => {
                    self.end(Cause::Stop(stop), KillStage::Asked)
                }
                Event::Frames(read) => {
                    if let Err(broken) = self.receive(read) {
                        // Nothing after this is of interest, and it may be a flood.
                        self.frames.is_open = false;
                        self.end(Cause::Violation(broken.to_string()), KillStage::Killed);
                    }
                }
                Event::Log(read) => self.note(read),
                Event::Tick => self.sample(),
                Event::Due => self.advance(),
            }
        }
        self.tear_down().await
    }

    /// Hands over the files of a job.
    fn equip(&mut self, assignment: Assignment) -> (Start, LogFields) {
        self.assigned = Some(Instant::now());
        let fields = LogFields::of(&assignment);
        let (start, files) = assignment.split();
        if let Err(errno) = fd_passing::send_files(&self.handover, &files) {
            self.end(Cause::Unequipped(errno), KillStage::Killed);
        }
        (start, fields)
    }

    async fn begin(&mut self, start: Start, fields: LogFields) {
        let said = self.conversation.start(start, fields);
        // One that has failed already takes no order; its end tells why.
        if self.conversation.phase() != Phase::Ended {
            self.say(said).await;
        }
    }

    async fn say(&mut self, said: Result<Vec<u8>, ProtocolError>) {
        match said {
            // Frames are shorter than a pipe is wide, so this never waits for the worker; if the
            // worker is dead already, its end tells why.
            Ok(frame) => drop(self.frames_in.write_all(&frame).await),
            Err(broken) => self.end(Cause::Violation(broken.to_string()), KillStage::Killed),
        }
    }

    async fn event(&mut self) -> Event {
        let due = self.due();
        tokio::select! {
            _ = self.pidfd.readable() => Event::Ended,
            wish = self.control.next() => Event::ControlEvent(wish),
            read = self.frames.read(), if self.frames.is_open => Event::Frames(read),
            read = self.log.read(), if self.log.is_open => Event::Log(read),
            _ = self.tick.tick() => Event::Tick,
            () = sleep_until(due) => Event::Due,
        }
    }

    fn receive(&mut self, read: io::Result<usize>) -> Result<(), ProtocolError> {
        let received = self.conversation.receive(self.frames.taken(read));
        if !self.frames.is_open || self.conversation.phase() == Phase::Ended {
            self.finished.get_or_insert_with(Instant::now);
        }
        received
    }

    fn note(&mut self, read: io::Result<usize>) {
        self.ring.push(self.log.taken(read));
        if self.ring.is_flooded() {
            let flood = "wrote more to its log than allowed";
            self.end(Cause::Violation(flood.into()), KillStage::Killed);
        }
    }

    fn sample(&mut self) {
        let sample = self.watch.sample();
        let counters = self.process.cage().counters().unwrap_or_default();
        self.conversation.publish(|live, _| {
            live.rss_bytes = sample.rss_bytes;
            live.peak_bytes = counters.peak_bytes.unwrap_or(sample.peak_bytes);
        });
        if self.evidence.backend == CageBackend::Rlimit {
            orphans::kill_and_reap();
            if sample.rss_bytes > self.evidence.cap_bytes {
                self.end(Cause::RssCap { rss_bytes: sample.rss_bytes }, KillStage::Killed);
            }
        } else if counters.oom_kills > 0 {
            // v1 has no `memory.oom.group`: a cage that lost one process is ended as a whole.
            self.enter(KillStage::Killed);
        }
    }

    /// Time was up for the next stage of the end, or for what was expected.
    fn advance(&mut self) {
        match self.stage {
            None => self.end(Cause::Deadline(self.expectation().1), KillStage::Terminated),
            Some((KillStage::Asked, _)) => self.enter(KillStage::Terminated),
            Some((KillStage::Terminated, _)) => self.enter(KillStage::Killed),
            Some((KillStage::Killed, _)) => {
                tracing::error!(pid = self.pid.as_raw(), "a worker does not exit after SIGKILL");
                self.stage = None;
                self.enter(KillStage::Killed);
            }
        }
    }

    fn due(&self) -> Instant {
        self.stage.map_or_else(|| self.expectation().0, |(_, due)| due)
    }

    /// What is expected next of a worker that is left alone, and until when.
    fn expectation(&self) -> (Instant, Deadline) {
        let Deadlines { start, progress, wall, grace, .. } = self.deadlines;
        if let Some(since) = self.finished {
            return (later(since, grace), Deadline::ProcessExit);
        }
        match self.conversation.phase() {
            Phase::Created | Phase::Starting => (later(self.born, start), Deadline::Start),
            Phase::Ready if !self.conversation.has_job() => {
                (later(self.born, Duration::MAX), Deadline::Start)
            }
            Phase::Ready | Phase::Running | Phase::Ended => {
                let next = (later(self.conversation.received(), progress), Deadline::Progress);
                let last = (later(self.set_out(), wall), Deadline::Wall);
                if next.0 < last.0 { next } else { last }
            }
        }
    }

    /// When the clock of its work began.
    fn set_out(&self) -> Instant {
        self.assigned.unwrap_or(self.born)
    }

    /// Sets out to end the worker. The first cause stands; a stage is never gone back on.
    fn end(&mut self, cause: Cause, stage: KillStage) {
        self.evidence.cause.get_or_insert(cause);
        self.enter(stage);
    }

    fn enter(&mut self, stage: KillStage) {
        if self.stage.is_some_and(|(reached, _)| reached >= stage) {
            return;
        }
        let part = self.deadlines.grace / GRACE_PARTS;
        let patience = match stage {
            KillStage::Asked => {
                // If the pipe is full, the worker does not listen and SIGTERM comes next.
                if let Ok(frame) = self.conversation.cancel() {
                    let _ = self.frames_in.try_write(&frame);
                }
                part
            }
            KillStage::Terminated => {
                let _ = kill(self.pid, Signal::SIGTERM);
                part
            }
            KillStage::Killed => {
                self.process.kill();
                KILL_PERIOD
            }
        };
        self.stage = Some((stage, later(Instant::now(), patience)));
    }

    /// The worker has ended: empties and removes its cage, and hears what it had still said.
    async fn tear_down(self) -> (ExitEvidence, LogFields) {
        let set_out = self.set_out();
        let Self { process, mut frames, mut log, mut ring, mut conversation, .. } = self;
        let mut evidence = self.evidence;
        // An error means that the runtime ends; the guard has then done the same.
        let buried = tokio::task::spawn_blocking(move || process.tear_down()).await;
        let Teardown { reaped, counters } = buried.unwrap_or_default();
        evidence.wall = set_out.elapsed();
        let drained = timeout(DRAIN_PATIENCE, async {
            while log.is_open {
                let read = log.read().await;
                ring.push(log.taken(read));
            }
            let mut received = Ok(());
            while received.is_ok() && frames.is_open {
                let read = frames.read().await;
                received = conversation.receive(frames.taken(read));
            }
            received
        });
        let drained = drained.await;
        evidence.exit = reaped.map(|reaped| reaped.exit);
        if let (Ok(Err(broken)), Some(ProcessExit::Status(_))) = (drained, evidence.exit) {
            evidence.cause.get_or_insert(Cause::Violation(broken.to_string()));
        }
        let live = conversation.live();
        evidence.sandbox = live.sandbox;
        evidence.facts = live.facts;
        evidence.progress = live.progress;
        evidence.oom_kills = counters.oom_kills;
        evidence.limit_was_hit = counters.limit_was_hit;
        evidence.cpu = reaped.map_or(Duration::ZERO, |reaped| reaped.cpu);
        let seen = live.peak_bytes.max(reaped.map_or(0, |reaped| reaped.rss_bytes_max));
        evidence.peak_bytes = counters.peak_bytes.unwrap_or(seen);
        evidence.log = ring.lines();
        evidence.broke_off = conversation.has_partial_message();
        let (final_message, fields) = conversation.close();
        evidence.final_message = final_message;
        (evidence, fields)
    }
}

/// A later moment; the far future where the clock has no such moment.
fn later(moment: Instant, patience: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 86_400);
    moment.checked_add(patience).unwrap_or(moment + FAR)
}
