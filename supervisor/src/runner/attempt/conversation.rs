//! The supervisor's side of the message exchange with one worker.
//!
//! Fed by `drive` with the bytes it reads. No message is published or acted upon before it is
//! decoded within the frame limit and legal in the session.

use crate::runner::attempt::exit_report::FinalMessage;
use crate::runner::attempt::live::{Live, LogFields};
use crate::runner::attempt::pose_log::PoseWriter;
use bodyscript_protocol::codec::{CodecError, Decoder, encode};
use bodyscript_protocol::message::{Prepare, Probed, Progress, Start, ToSupervisor, ToWorker};
use bodyscript_protocol::session::{Phase, Session, Violation};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

/// How a worker broke the protocol.
#[derive(Debug, Error)]
pub(crate) enum ProtocolError {
    /// Bytes that are not a message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A message that is illegal now, or whose values are.
    #[error(transparent)]
    Session(#[from] Violation),
}

/// The supervisor's side of a session.
#[derive(Debug)]
pub(crate) struct Conversation {
    decoder: Decoder,
    session: Session,
    live: watch::Sender<Live>,
    received: Instant,
    /// The memory need of the video, until it is taken.
    memory_need: Option<u64>,
    final_message: Option<FinalMessage>,
    fields: LogFields,
    poses: PoseWriter,
}

impl Conversation {
    /// A session without messages yet. State is published to `live`; log lines carry `fields`.
    pub(crate) fn new(live: watch::Sender<Live>, fields: LogFields) -> Self {
        Self {
            decoder: Decoder::default(),
            session: Session::default(),
            live,
            received: Instant::now(),
            memory_need: None,
            final_message: None,
            fields,
            poses: PoseWriter::default(),
        }
    }

    /// Moves the time of the last message, by time in which none could be received.
    pub(crate) fn postpone(&mut self, lapse: Duration) {
        self.received += lapse;
    }

    /// The same after a time in which no message was read: the next one is expected from now on.
    pub(crate) fn postpone_to_now(&mut self) {
        self.received = Instant::now();
    }

    /// Encodes `Prepare`.
    pub(crate) fn prepare(&mut self, prepare: Prepare) -> Result<Vec<u8>, ProtocolError> {
        self.encode_outgoing(&ToWorker::Prepare(prepare))
    }

    /// Encodes `Start`; from now on log lines carry the fields of the job.
    pub(crate) fn start(
        &mut self,
        start: Start,
        fields: LogFields,
    ) -> Result<Vec<u8>, ProtocolError> {
        self.fields = fields;
        self.encode_outgoing(&ToWorker::Start(start))
    }

    /// Encodes `Proceed`.
    pub(crate) fn proceed(&mut self) -> Result<Vec<u8>, ProtocolError> {
        self.encode_outgoing(&ToWorker::Proceed)
    }

    /// Encodes `Cancel`.
    pub(crate) fn cancel(&mut self) -> Result<Vec<u8>, ProtocolError> {
        self.encode_outgoing(&ToWorker::Cancel)
    }

    fn encode_outgoing(&mut self, message: &ToWorker) -> Result<Vec<u8>, ProtocolError> {
        self.session.on_to_worker(message)?;
        self.received = Instant::now();
        self.publish(|live, phase| live.phase = phase);
        Ok(encode(message)?)
    }

    /// Decodes and handles bytes from the worker.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        self.decoder.push(bytes);
        while let Some(message) = self.decoder.next::<ToSupervisor>()? {
            self.session.on_to_supervisor(&message)?;
            self.received = Instant::now();
            self.handle(message);
        }
        self.poses.flush();
        Ok(())
    }

    fn handle(&mut self, message: ToSupervisor) {
        match message {
            ToSupervisor::Ready(sandbox) => self.publish(|live, phase| {
                live.phase = phase;
                live.sandbox = Some(sandbox);
            }),
            ToSupervisor::Probed(Probed { facts, memory_need_bytes }) => {
                self.memory_need = Some(memory_need_bytes);
                self.publish(|live, phase| {
                    live.phase = phase;
                    live.facts = Some(facts);
                });
            }
            ToSupervisor::Skipped(skipped) => {
                self.publish(|live, _| live.skipped = Some(skipped));
            }
            ToSupervisor::Progress(progress) => self.on_progress(progress),
            ToSupervisor::Written(frames) => self.publish(|live, _| live.frames_written = frames),
            ToSupervisor::Done(summary) => {
                self.log_memory("encoded");
                self.finish(FinalMessage::Done(summary));
            }
            ToSupervisor::Failed(failure) => self.finish(FinalMessage::Failed(failure)),
            ToSupervisor::Poses(frame) => self.poses.add(&frame),
        }
    }

    fn on_progress(&self, progress: Progress) {
        let is_first = self.live.borrow().progress.frames_done == 0 && progress.frames_done > 0;
        self.publish(|live, _| {
            live.progress = progress;
            live.rate.received(progress.frames_done, std::time::Instant::now());
        });
        if is_first {
            self.log_memory("first frame");
        }
    }

    /// Logs the worker's memory, as last sampled, at a step of its job.
    fn log_memory(&self, step: &str) {
        let (live, LogFields { job, attempt, origin }) = (self.live.borrow(), &self.fields);
        let (rss_bytes, peak_bytes) = (live.rss_bytes, live.peak_bytes);
        let (request_id, trace_id) = (origin.request_id(), origin.trace_id());
        tracing::info!(job, attempt, rss_bytes, peak_bytes, request_id, trace_id, "{step}");
    }

    fn finish(&mut self, message: FinalMessage) {
        self.final_message = Some(message);
        self.publish(|live, phase| live.phase = phase);
    }

    /// Changes the published state.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Live, Phase)) {
        let phase = self.session.phase();
        self.live.send_modify(|live| change(live, phase));
    }

    /// The published state.
    pub(crate) fn live(&self) -> Live {
        self.live.borrow().clone()
    }

    /// Whether the worker has a job.
    pub(crate) const fn has_job(&self) -> bool {
        self.session.has_job()
    }

    /// The memory need of the video; none before it is probed, and once it is taken.
    pub(crate) const fn take_memory_need(&mut self) -> Option<u64> {
        self.memory_need.take()
    }

    /// The id of the job, once there is one.
    pub(crate) fn job(&self) -> &str {
        &self.fields.job
    }

    /// The phase of the session.
    pub(crate) const fn phase(&self) -> Phase {
        self.session.phase()
    }

    /// When the last message was sent or received.
    pub(crate) const fn received(&self) -> Instant {
        self.received
    }

    /// Whether bytes of an unfinished frame are left.
    pub(crate) fn has_partial_message(&self) -> bool {
        self.decoder.has_partial_message()
    }

    /// Whether a write of poses is in progress, during which no messages are to be read.
    pub(super) fn is_writing_poses(&self) -> bool {
        self.poses.is_writing()
    }

    /// The writer of the poses.
    pub(super) const fn poses(&mut self) -> &mut PoseWriter {
        &mut self.poses
    }

    /// The worker's final message, if there is one, and the fields of its log lines. No poses follow.
    pub(crate) fn close(self) -> (Option<FinalMessage>, LogFields) {
        self.poses.finish();
        (self.final_message, self.fields)
    }
}
