//! What one worker has said, checked word by word.
//!
//! Fed by `attempt` with whatever bytes came. Nothing a worker says is published or believed
//! before it is decoded within the frame cap and legal in the session.

use crate::runner::attempt::exit_report::FinalMessage;
use crate::runner::attempt::live::{Live, LogFields};
use bodyscript_protocol::codec::{CodecError, Decoder, encode};
use bodyscript_protocol::message::{Prepare, Progress, Start, ToSupervisor, ToWorker};
use bodyscript_protocol::session::{Phase, Session, Violation};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

/// What a worker did against the protocol.
#[derive(Debug, Error)]
pub(crate) enum ProtocolError {
    /// Bytes that are no message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A message that may not come now or says what cannot be.
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
    final_message: Option<FinalMessage>,
    fields: LogFields,
}

impl Conversation {
    /// A conversation in which nothing was said; `live` learns all that is, the log some under
    /// this tag.
    pub(crate) fn new(live: watch::Sender<Live>, fields: LogFields) -> Self {
        Self {
            decoder: Decoder::default(),
            session: Session::default(),
            live,
            received: Instant::now(),
            final_message: None,
            fields,
        }
    }

    /// The frame of the wish to get ready.
    pub(crate) fn prepare(&mut self, prepare: Prepare) -> Result<Vec<u8>, ProtocolError> {
        self.say(&ToWorker::Prepare(prepare))
    }

    /// The frame of the job; the log learns it under this tag.
    pub(crate) fn start(
        &mut self,
        start: Start,
        fields: LogFields,
    ) -> Result<Vec<u8>, ProtocolError> {
        self.fields = fields;
        self.say(&ToWorker::Start(start))
    }

    /// The frame of the wish to end.
    pub(crate) fn cancel(&mut self) -> Result<Vec<u8>, ProtocolError> {
        self.say(&ToWorker::Cancel)
    }

    fn say(&mut self, message: &ToWorker) -> Result<Vec<u8>, ProtocolError> {
        self.session.on_to_worker(message)?;
        self.received = Instant::now();
        self.publish(|live, phase| live.phase = phase);
        Ok(encode(message)?)
    }

    /// Takes bytes as they came from the worker.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        self.decoder.push(bytes);
        while let Some(message) = self.decoder.next::<ToSupervisor>()? {
            self.session.on_to_supervisor(&message)?;
            self.received = Instant::now();
            self.note(message);
        }
        Ok(())
    }

    fn note(&mut self, message: ToSupervisor) {
        match message {
            ToSupervisor::Ready(sandbox) => self.publish(|live, phase| {
                live.phase = phase;
                live.sandbox = Some(sandbox);
            }),
            ToSupervisor::Probed(facts) => self.publish(|live, phase| {
                live.phase = phase;
                live.facts = Some(facts);
            }),
            ToSupervisor::Progress(progress) => self.advance(progress),
            ToSupervisor::Done(summary) => {
                self.tell("encoded");
                self.conclude(FinalMessage::Done(summary));
            }
            ToSupervisor::Failed(failure) => self.conclude(FinalMessage::Failed(failure)),
        }
    }

    fn advance(&self, progress: Progress) {
        let is_first = self.live.borrow().progress.frames_done == 0 && progress.frames_done > 0;
        self.publish(|live, _| {
            live.progress = progress;
            live.rate.received(progress.frames_done, std::time::Instant::now());
        });
        if is_first {
            self.tell("first frame");
        }
    }

    /// Logs what memory the worker has at a point of its life, as last sampled.
    fn tell(&self, point: &str) {
        let (live, LogFields { job, attempt, origin }) = (self.live.borrow(), &self.fields);
        let (rss_bytes, peak_bytes) = (live.rss_bytes, live.peak_bytes);
        let (request_id, trace_id) = (origin.request_id(), origin.trace_id());
        tracing::info!(job, attempt, rss_bytes, peak_bytes, request_id, trace_id, "{point}");
    }

    fn conclude(&mut self, word: FinalMessage) {
        self.final_message = Some(word);
        self.publish(|live, phase| live.phase = phase);
    }

    /// Lets watchers know.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Live, Phase)) {
        let phase = self.session.phase();
        self.live.send_modify(|live| change(live, phase));
    }

    /// What watchers know.
    pub(crate) fn live(&self) -> Live {
        self.live.borrow().clone()
    }

    /// Whether it is about a job.
    pub(crate) const fn has_job(&self) -> bool {
        self.session.has_job()
    }

    /// How far it has come.
    pub(crate) const fn phase(&self) -> Phase {
        self.session.phase()
    }

    /// When the last message came or went out.
    pub(crate) const fn received(&self) -> Instant {
        self.received
    }

    /// Whether bytes of an unfinished frame are left.
    pub(crate) fn has_partial_message(&self) -> bool {
        self.decoder.has_partial_message()
    }

    /// The worker's last word, if it came to that, and what the log knows it by.
    pub(crate) fn close(self) -> (Option<FinalMessage>, LogFields) {
        (self.final_message, self.fields)
    }
}
