//! Whole messages over standard input and output, checked against the session's rules.
//!
//! Blocking: the worker has nothing else to do while it waits for its job, and a supervisor that
//! does not read has given up on this worker.

use bodyscript_protocol::PROTOCOL_VERSION;
use bodyscript_protocol::codec::{self, CodecError, Decoder};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::limits::TEXT_BYTES_MAX;
use bodyscript_protocol::message::{Failure, Prepare, Start, ToSupervisor, ToWorker};
use bodyscript_protocol::session::{Session, Violation};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use thiserror::Error;

/// Why the channel failed.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// The supervisor closed its end.
    #[error("the supervisor closed the pipe")]
    Closed,
    /// The pipe failed.
    #[error("the pipe failed: {0}")]
    Pipe(#[from] io::Error),
    /// Bytes that are no message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A message that is not legal in this state.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// Another version of the protocol.
    #[error("the supervisor uses version {theirs} of the protocol, this worker {PROTOCOL_VERSION}")]
    Version {
        /// The supervisor's.
        theirs: u32,
    },
}

impl ChannelError {
    /// The fault reported to the supervisor, if it is still there.
    pub const fn fault(&self) -> Fault {
        Fault::Protocol
    }
}

/// The worker's end of the channel.
#[derive(Debug, Default)]
pub struct Channel {
    decoder: Decoder,
    session: Session,
}

/// Raised when the supervisor cancels the job.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Requests the stop.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was requested.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The supervisor's reply to the facts of the video.
#[derive(Debug)]
pub struct Reply(Receiver<ToWorker>);

impl Channel {
    /// Waits for the preparation request.
    pub fn read_prepare(&mut self) -> Result<Prepare, ChannelError> {
        loop {
            // The session accepts nothing else as the first message.
            let ToWorker::Prepare(prepare) = self.read()? else { continue };
            if prepare.version != PROTOCOL_VERSION {
                return Err(ChannelError::Version { theirs: prepare.version });
            }
            return Ok(prepare);
        }
    }

    /// Waits for the job; none if it is cancelled.
    pub fn read_start(&mut self) -> Result<Option<Start>, ChannelError> {
        loop {
            match self.read()? {
                ToWorker::Start(start) => return Ok(Some(start)),
                ToWorker::Cancel => return Ok(None),
                ToWorker::Prepare(_) | ToWorker::Proceed => {}
            }
        }
    }

    fn read(&mut self) -> Result<ToWorker, ChannelError> {
        loop {
            if let Some(message) = self.decoder.next::<ToWorker>()? {
                self.session.on_to_worker(&message)?;
                return Ok(message);
            }
            read_into(&mut self.decoder)?;
        }
    }

    /// Sends a message.
    pub fn send(&mut self, message: &ToSupervisor) -> Result<(), ChannelError> {
        self.session.on_to_supervisor(message)?;
        let frame = codec::encode(message)?;
        let mut out = io::stdout().lock();
        out.write_all(&frame)?;
        out.flush()?;
        Ok(())
    }

    /// Reports that the run failed. The cause is cut to what the protocol allows.
    pub fn send_failure(&mut self, fault: Fault, cause: &str) -> Result<(), ChannelError> {
        let end = cause.floor_char_boundary(TEXT_BYTES_MAX);
        self.send(&ToSupervisor::Failed(Failure { fault, detail: cause[..end].to_owned() }))
    }

    /// Reads further messages in a thread of its own: `Cancel` raises the flag, the first of them is
    /// also the reply to the facts, and the end of the pipe ends the process at once, since the
    /// supervisor is gone.
    pub fn watch_for_messages(&mut self) -> Result<(CancelFlag, Reply), ChannelError> {
        let flag = CancelFlag::default();
        let raised = flag.clone();
        let (sender, reply) = channel();
        let mut sender = Some(sender);
        let mut decoder = std::mem::take(&mut self.decoder);
        std::thread::Builder::new().name("messages".into()).spawn(move || {
            loop {
                match decoder.next::<ToWorker>() {
                    Ok(Some(ToWorker::Cancel)) => {
                        raised.raise();
                        // An error means that the reply is no longer awaited.
                        if let Some(sender) = sender.take() {
                            drop(sender.send(ToWorker::Cancel));
                        }
                    }
                    Ok(Some(ToWorker::Proceed)) => match sender.take() {
                        Some(sender) => drop(sender.send(ToWorker::Proceed)),
                        None => exit(WorkerExit::Protocol),
                    },
                    Ok(Some(ToWorker::Prepare(_) | ToWorker::Start(_))) | Err(_) => {
                        exit(WorkerExit::Protocol)
                    }
                    Ok(None) => match read_into(&mut decoder) {
                        Ok(()) => {}
                        Err(_) => exit(WorkerExit::Orphaned),
                    },
                }
            }
        })?;
        Ok((flag, Reply(reply)))
    }

    /// Waits for the reply to the facts; returns whether the worker is to proceed.
    pub fn await_reply(&mut self, Reply(reply): Reply) -> Result<bool, ChannelError> {
        let message = reply.recv().map_err(|_| ChannelError::Closed)?;
        self.session.on_to_worker(&message)?;
        Ok(message == ToWorker::Proceed)
    }
}

fn read_into(decoder: &mut Decoder) -> Result<(), ChannelError> {
    let mut bytes = [0; 4096];
    match io::stdin().lock().read(&mut bytes) {
        Ok(0) => Err(ChannelError::Closed),
        Ok(read) => {
            decoder.push(&bytes[..read]);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn exit(status: WorkerExit) -> ! {
    std::process::exit(status.code().into())
}
