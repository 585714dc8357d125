//! The event loop around one running worker, and its teardown.
//!
//! Used by `attempt` alone. Each iteration handles the first event that occurs; until the worker
//! has exited, nothing waits for a single event only.

mod cap;
mod lapse;
mod sizes;

use crate::runner::attempt::cap_request::{CapReply, CapRequests};
use crate::runner::attempt::control::{Control, ControlEvent};
use crate::runner::attempt::conversation::{Conversation, ProtocolError};
use crate::runner::attempt::exit_report::{Cause, Deadline, ExitEvidence, ProcessExit};
use crate::runner::attempt::pipe_reader::PipeReader;
use crate::runner::attempt::results::Results;
use crate::runner::attempt::stderr_ring::StderrRing;
use crate::runner::attempt::{Assignment, Deadlines, LogFields};
use crate::runner::containment::cage::CageBackend;
use crate::runner::containment::guard::{ContainedProcess, Teardown};
use crate::runner::containment::rss::{PERIOD, Watch};
use crate::runner::containment::{fd_passing, limits, orphans};
use crate::runner::spawn_worker::Worker;
use bodyscript_protocol::message::{Prepare, Start};
use bodyscript_protocol::session::Phase;
use lapse::{LapseWatch, after};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};

/// Parts of the grace period: SIGTERM follows after one, SIGKILL after two, and the third lets the
/// kernel free the memory, so a worker is gone within the grace period in any case.
const GRACE_PARTS: u32 = 3;

/// Time between two SIGKILLs to a worker that does not exit.
const KILL_PERIOD: Duration = Duration::from_secs(10);

/// Longest time for reading the rest of an exited worker's pipes. No process holds the other end
/// any more, so it is never used up.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// What the loop waits for.
enum Event {
    Exited,
    Control(ControlEvent),
    CapReply(CapReply),
    Frames(io::Result<usize>),
    PosesWritten,
    Log(io::Result<usize>),
    Tick,
    DeadlinePassed,
}

/// How far the supervisor has gone to end a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum KillStage {
    Cancel,
    Sigterm,
    Sigkill,
}

/// A running worker.
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
    cap_requests: CapRequests,
    handover: OwnedFd,
    /// The files of the job, once it is sent.
    results: Option<Results>,
    spawned_at: Instant,
    /// When the job was sent. All moments are moved by the time in which the supervisor did not run.
    assigned_at: Option<Instant>,
    /// How much that was since the job was sent.
    lapsed: Duration,
    lapse_watch: LapseWatch,
    /// Since when only the exit is expected.
    finished_at: Option<Instant>,
    /// The stage that was reached, and when the next is due.
    stage: Option<(KillStage, Instant)>,
    evidence: ExitEvidence,
}

impl Drive {
    /// Takes over a new worker. `evidence` is what was known before the spawn.
    pub(crate) fn new(
        worker: Worker,
        conversation: Conversation,
        deadlines: Deadlines,
        (control, cap_requests): (Control, CapRequests),
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
            cap_requests,
            handover,
            results: None,
            spawned_at: Instant::now(),
            assigned_at: None,
            lapsed: Duration::ZERO,
            lapse_watch: LapseWatch::new(Instant::now()),
            finished_at: None,
            stage: None,
            evidence: ExitEvidence {
                pid: Some(pid.as_raw()),
                cpu_max: Duration::from_secs(limits::cpu_seconds(deadlines.cpu)),
                ..evidence
            },
        }
    }

    /// Sends `prepare`, handles events until the worker exits, and returns the evidence, the
    /// fields of its log lines, and the files of its job.
    pub(crate) async fn run_to_exit(
        mut self,
        prepare: Prepare,
    ) -> (ExitEvidence, LogFields, Option<Results>) {
        // Files go first: a worker that has read `Start` finds them in its socket.
        let (job, stop) = match self.control.initial_event() {
            Some(ControlEvent::Assign(assignment)) => (Some(self.send_files(*assignment)), None),
            Some(ControlEvent::Stop(stop)) => (None, Some(stop)),
            None => (None, None),
        };
        let frame = self.conversation.prepare(prepare);
        self.send(frame).await;
        if let Some((start, fields)) = job {
            self.send_start(start, fields).await;
        }
        if let Some(stop) = stop {
            self.terminate(Cause::Stop(stop), KillStage::Cancel);
        }
        loop {
            let event = self.event().await;
            self.postpone_after_lapse();
            match event {
                Event::Exited => break,
                Event::Control(ControlEvent::Assign(assignment)) => {
                    let (start, fields) = self.send_files(*assignment);
                    self.send_start(start, fields).await;
                }
                Event::Control(ControlEvent::Stop(stop)) => {
                    self.terminate(Cause::Stop(stop), KillStage::Cancel)
                }
                Event::CapReply(reply) => self.on_cap_reply(reply).await,
                Event::Frames(read) => match self.receive(read) {
                    Ok(()) => self.check_need().await,
                    Err(violation) => {
                        // Further output is not read: it may be a flood.
                        self.frames.is_open = false;
                        self.terminate(Cause::Violation(violation.to_string()), KillStage::Sigkill);
                    }
                },
                Event::Log(read) => self.receive_log(read),
                Event::Tick => self.sample(),
                // What the worker has sent meanwhile is read only now.
                Event::PosesWritten => self.conversation.postpone_to_now(),
                // Not if it was just postponed.
                Event::DeadlinePassed if Instant::now() < self.next_deadline() => {}
                Event::DeadlinePassed => self.on_deadline(),
            }
        }
        self.tear_down().await
    }

    /// Sends the files of a job.
    fn send_files(&mut self, assignment: Assignment) -> (Start, LogFields) {
        self.assigned_at = Some(Instant::now());
        self.lapsed = Duration::ZERO;
        let fields = LogFields::of(&assignment);
        self.conversation.poses().open(assignment.poses.clone());
        let (start, video, results) = Results::of(assignment);
        let files: Vec<_> = std::iter::once(&video).chain(results.files()).collect();
        if let Err(errno) = fd_passing::send_files(&self.handover, &files) {
            self.terminate(Cause::FilesNotSent(errno), KillStage::Sigkill);
        }
        self.results = Some(results);
        (start, fields)
    }

    async fn send_start(&mut self, start: Start, fields: LogFields) {
        let frame = self.conversation.start(start, fields);
        // A worker that has failed already accepts no job; its exit report says why.
        if self.conversation.phase() != Phase::Ended {
            self.send(frame).await;
        }
    }

    async fn send(&mut self, frame: Result<Vec<u8>, ProtocolError>) {
        match frame {
            // Frames are smaller than the capacity of a pipe, so this does not wait for the worker.
            // If the worker has exited, its exit report says why.
            Ok(frame) => drop(self.frames_in.write_all(&frame).await),
            Err(violation) => {
                self.terminate(Cause::Violation(violation.to_string()), KillStage::Sigkill)
            }
        }
    }

    async fn event(&mut self) -> Event {
        let due = self.next_deadline();
        let is_writing = self.conversation.is_writing_poses();
        tokio::select! {
            _ = self.pidfd.readable() => Event::Exited,
            event = self.control.next() => Event::Control(event),
            reply = self.cap_requests.next_reply() => Event::CapReply(reply),
            () = self.conversation.poses().written(), if is_writing => Event::PosesWritten,
            // Not while a slow disk takes poses: they would gather in memory.
            read = self.frames.read(), if self.frames.is_open && !is_writing => Event::Frames(read),
            read = self.log.read(), if self.log.is_open => Event::Log(read),
            _ = self.tick.tick() => Event::Tick,
            () = sleep_until(due) => Event::DeadlinePassed,
        }
    }

    fn receive(&mut self, read: io::Result<usize>) -> Result<(), ProtocolError> {
        let received = self.conversation.receive(self.frames.accept(read));
        if !self.frames.is_open || self.conversation.phase() == Phase::Ended {
            self.finished_at.get_or_insert_with(Instant::now);
        }
        received
    }

    fn receive_log(&mut self, read: io::Result<usize>) {
        self.ring.push(self.log.accept(read));
        if self.ring.is_flooded() {
            let flood = "wrote more to its log than allowed";
            self.terminate(Cause::Violation(flood.into()), KillStage::Sigkill);
        }
    }

    fn sample(&mut self) {
        self.check_sizes();
        let sample = self.watch.sample();
        let counters = self.process.cage().counters().unwrap_or_default();
        self.conversation.publish(|live, _| {
            live.rss_bytes = sample.rss_bytes;
            live.peak_bytes = counters.peak_bytes.unwrap_or(sample.peak_bytes);
        });
        if self.evidence.backend == CageBackend::Rlimit {
            orphans::kill_and_reap();
            if sample.rss_bytes > self.evidence.cap_bytes {
                self.terminate(Cause::RssCap { rss_bytes: sample.rss_bytes }, KillStage::Sigkill);
            }
        } else if counters.oom_kills > 0 {
            // v1 has no `memory.oom.group`: a cage that lost one process is killed as a whole.
            self.enter_stage(KillStage::Sigkill);
        }
    }

    /// A deadline passed: of the current stage, or of the expected event.
    fn on_deadline(&mut self) {
        match self.stage {
            None => self.terminate(Cause::Deadline(self.expectation().1), KillStage::Sigterm),
            Some((KillStage::Cancel, _)) => self.enter_stage(KillStage::Sigterm),
            Some((KillStage::Sigterm, _)) => self.enter_stage(KillStage::Sigkill),
            Some((KillStage::Sigkill, _)) => {
                tracing::error!(pid = self.pid.as_raw(), "a worker does not exit after SIGKILL");
                self.stage = None;
                self.enter_stage(KillStage::Sigkill);
            }
        }
    }

    fn next_deadline(&self) -> Instant {
        self.stage.map_or_else(|| self.expectation().0, |(_, due)| due)
    }

    /// The next event that a worker owes, and its deadline.
    fn expectation(&self) -> (Instant, Deadline) {
        let Deadlines { start, progress, wall, .. } = self.deadlines;
        if let Some(since) = self.finished_at {
            return (after(since, progress), Deadline::ProcessExit);
        }
        match self.conversation.phase() {
            Phase::Created | Phase::Starting => (after(self.spawned_at, start), Deadline::Start),
            Phase::Ready if !self.conversation.has_job() => {
                (after(self.spawned_at, Duration::MAX), Deadline::Start)
            }
            Phase::Ready | Phase::Probed | Phase::Running | Phase::Ended => {
                let next = (after(self.conversation.received(), progress), Deadline::Progress);
                let last = (after(self.started_at(), wall), Deadline::Wall);
                // While the disk takes poses, no message is read.
                let is_read = !self.conversation.is_writing_poses();
                if is_read && next.0 < last.0 { next } else { last }
            }
        }
    }

    /// When the wall time of the attempt began.
    fn started_at(&self) -> Instant {
        self.assigned_at.unwrap_or(self.spawned_at)
    }

    /// Starts to end the worker. The first cause is kept; stages only advance.
    fn terminate(&mut self, cause: Cause, stage: KillStage) {
        self.evidence.cause.get_or_insert(cause);
        self.enter_stage(stage);
    }

    fn enter_stage(&mut self, stage: KillStage) {
        if self.stage.is_some_and(|(reached, _)| reached >= stage) {
            return;
        }
        let stage_time = self.deadlines.grace / GRACE_PARTS;
        let delay = match stage {
            KillStage::Cancel => {
                // If the pipe is full, the worker does not read and SIGTERM comes next.
                if let Ok(frame) = self.conversation.cancel() {
                    let _ = self.frames_in.try_write(&frame);
                }
                stage_time
            }
            KillStage::Sigterm => {
                let _ = kill(self.pid, Signal::SIGTERM);
                stage_time
            }
            KillStage::Sigkill => {
                self.process.kill();
                KILL_PERIOD
            }
        };
        self.stage = Some((stage, after(Instant::now(), delay)));
    }

    /// After the exit: empties and removes the cage, and reads the rest of the pipes.
    async fn tear_down(self) -> (ExitEvidence, LogFields, Option<Results>) {
        let (started_at, lapsed) = (self.started_at(), self.lapsed);
        let Self { process, mut frames, mut log, mut ring, mut conversation, results, .. } = self;
        let mut evidence = self.evidence;
        // An error means that the runtime shuts down; dropping the guard has done the same.
        let torn_down = tokio::task::spawn_blocking(move || process.tear_down()).await;
        let Teardown { reaped, counters } = torn_down.unwrap_or_default();
        evidence.wall = started_at.elapsed() + lapsed;
        let drained = timeout(DRAIN_TIMEOUT, async {
            while log.is_open {
                let read = log.read().await;
                ring.push(log.accept(read));
            }
            let mut received = Ok(());
            while received.is_ok() && frames.is_open {
                let read = frames.read().await;
                received = conversation.receive(frames.accept(read));
            }
            received
        });
        let drained = drained.await;
        evidence.exit = reaped.map(|reaped| reaped.exit);
        if let (Ok(Err(violation)), Some(ProcessExit::Status(_))) = (drained, evidence.exit) {
            evidence.cause.get_or_insert(Cause::Violation(violation.to_string()));
        }
        let live = conversation.live();
        evidence.sandbox = live.sandbox;
        evidence.facts = live.facts;
        evidence.progress = live.progress;
        evidence.oom_kills = counters.oom_kills;
        evidence.limit_was_hit = counters.limit_was_hit;
        evidence.cpu = reaped.map_or(Duration::ZERO, |reaped| reaped.cpu);
        let sampled = live.peak_bytes.max(reaped.map_or(0, |reaped| reaped.rss_bytes_max));
        evidence.peak_bytes = counters.peak_bytes.unwrap_or(sampled);
        evidence.log = ring.lines();
        evidence.has_partial_message = conversation.has_partial_message();
        let (final_message, fields) = conversation.close();
        evidence.final_message = final_message;
        (evidence, fields, results)
    }
}
