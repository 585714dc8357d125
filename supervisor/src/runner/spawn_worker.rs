//! Spawns one worker: its cage, pipes, descriptors in the agreed order, resource limits and
//! process.
//!
//! Called by `attempt`. A failed step undoes the earlier ones; a process always has a
//! [`ContainedProcess`] that ends it.

use crate::runner::containment::cage::CageError;
use crate::runner::containment::fd_passing;
use crate::runner::containment::guard::ContainedProcess;
use crate::runner::containment::limits;
use crate::runner::containment::spawn::{SpawnError, SpawnPlan, watch_exit};
use crate::runner::factory::FactoryParts;
use crate::runner::models::ModelError;
use bodyscript_protocol::inherited;
use bodyscript_protocol::options::LandmarkModel;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Pid, pipe2};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use thiserror::Error;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;

/// Why no worker could be spawned.
#[derive(Debug, Error)]
pub(crate) enum SpawnWorkerError {
    /// The cage could not be created.
    #[error(transparent)]
    Cage(#[from] CageError),
    /// A model file is not there or could not be opened.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A pipe or socket could not be created.
    #[error("cannot make a pipe: {0}")]
    Pipe(#[source] Errno),
    /// The runtime cannot register a descriptor.
    #[error("cannot watch a descriptor: {0}")]
    Watch(#[source] io::Error),
    /// The process could not be spawned.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The runtime is shutting down.
    #[error("the runtime is shutting down")]
    RuntimeShutDown,
}

/// What differs between workers.
#[derive(Debug)]
pub(crate) struct ProcessSpec {
    /// Becomes part of the cage's name.
    pub(crate) name: String,
    /// The memory cap, and the highest to which it may be raised, in bytes.
    pub(crate) caps: [u64; 2],
    /// The limit on processor time.
    pub(crate) cpu: Duration,
    /// The landmark model.
    pub(crate) model: LandmarkModel,
}

/// A running worker and the supervisor's ends of its pipes.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The cage, and the guard that ends the process.
    pub(crate) process: ContainedProcess,
    /// The process id.
    pub(crate) pid: Pid,
    /// Readable once the process has exited.
    pub(crate) pidfd: AsyncFd<OwnedFd>,
    /// The worker's standard input.
    pub(crate) frames_in: pipe::Sender,
    /// The socket over which the worker receives the files of its job.
    pub(crate) handover: OwnedFd,
    /// The worker's standard output.
    pub(crate) frames_out: pipe::Receiver,
    /// The worker's standard error.
    pub(crate) log: pipe::Receiver,
}

/// Spawns a worker.
pub(crate) async fn spawn_worker(
    parts: &Arc<FactoryParts>,
    spec: ProcessSpec,
) -> Result<Worker, SpawnWorkerError> {
    let prepared = {
        let parts = Arc::clone(parts);
        // Creating a cgroup may wait for a kernel lock.
        tokio::task::spawn_blocking(move || prepare(&parts, spec))
    };
    let (plan, mut process, [frames_in, frames_out, log, handover]) =
        prepared.await.map_err(|_| SpawnWorkerError::RuntimeShutDown)??;
    let child = parts.spawner.spawn(plan).await?;
    process.set_worker(child.pid);
    Ok(Worker {
        process,
        pid: child.pid,
        pidfd: watch_exit(child.pidfd).map_err(SpawnWorkerError::Watch)?,
        handover,
        frames_in: pipe::Sender::from_owned_fd(frames_in).map_err(SpawnWorkerError::Watch)?,
        frames_out: pipe::Receiver::from_owned_fd(frames_out).map_err(SpawnWorkerError::Watch)?,
        log: pipe::Receiver::from_owned_fd(log).map_err(SpawnWorkerError::Watch)?,
    })
}

fn prepare(
    parts: &FactoryParts,
    spec: ProcessSpec,
) -> Result<(SpawnPlan, ContainedProcess, [OwnedFd; 4]), SpawnWorkerError> {
    let ProcessSpec { name, caps, cpu, model } = spec;
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(SpawnWorkerError::Pipe);
    let (worker_in, frames_in) = pipe()?;
    let (frames_out, worker_out) = pipe()?;
    let (log, worker_log) = pipe()?;
    let (handover, worker_handover) = fd_passing::open().map_err(SpawnWorkerError::Pipe)?;
    let mut descriptors = vec![worker_in, worker_out, worker_log, worker_handover];
    let landmark = parts.models.landmark(model).map_err(ModelError::from)?;
    for model in [&parts.models.detector, landmark] {
        descriptors.push(model.reopen()?.into());
    }
    let cage = parts.cages.build(&cage_name(&name), caps[0])?;
    let process = ContainedProcess::new(cage);
    let plan = SpawnPlan {
        program: parts.program.clone(),
        name: c"bodyscript-worker".into(),
        environment: parts.environment.clone(),
        descriptors,
        entry: process.cage().entry()?,
        limits: limits::of_worker(parts.cages.backend(), caps, cpu),
    };
    Ok((plan, process, [frames_in, frames_out, log, handover]))
}

const _: () = assert!(
    inherited::MESSAGES_IN == 0
        && inherited::MESSAGES_OUT == 1
        && inherited::LOG == 2
        && inherited::FILES_IN == 3
        && inherited::DETECTOR_MODEL == 4
        && inherited::LANDMARK_MODEL == 5
        && inherited::COUNT == 6,
    "the order of `descriptors` above"
);

/// A legal, unique cage name from which an operator can tell the job.
fn cage_name(name: &str) -> String {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    format!("{}-{plain}", SERIAL.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_yields_a_legal_and_unique_cage_name() {
        let name = cage_name("../../x/\0\n");
        assert!(name.ends_with("-x"), "{name}");
        assert_ne!(name, cage_name("../../x/\0\n"));
    }
}
