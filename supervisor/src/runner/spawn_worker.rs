//! How a worker comes to be: a cage, pipes, descriptors in the agreed order, limits, a process.
//!
//! Called by `attempt`. Whatever fails on the way is undone; a process is never left without the
//! guard that ends it.

use crate::runner::containment::cage::CageError;
use crate::runner::containment::fd_passing;
use crate::runner::containment::guard::ContainedProcess;
use crate::runner::containment::limits;
use crate::runner::containment::spawn::{SpawnError, SpawnPlan, watch_end};
use crate::runner::factory::{FactoryParts, ModelError};
use bodyscript_protocol::inherited;
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

/// Why there is no worker.
#[derive(Debug, Error)]
pub(crate) enum SpawnWorkerError {
    /// No cage.
    #[error(transparent)]
    Cage(#[from] CageError),
    /// No model file.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No pipe or socket.
    #[error("cannot make a pipe: {0}")]
    Pipe(#[source] Errno),
    /// The runtime does not take a descriptor.
    #[error("cannot watch a descriptor: {0}")]
    Watch(#[source] io::Error),
    /// No process.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The runtime is being shut down.
    #[error("the runtime ends")]
    RuntimeEnds,
}

/// What distinguishes one worker from another.
#[derive(Debug)]
pub(crate) struct ProcessSpec {
    /// Whose worker it is, for the cage's name.
    pub(crate) name: String,
    /// Its cap.
    pub(crate) memory_bytes_max: u64,
    /// Its processor time.
    pub(crate) cpu: Duration,
}

/// A living worker and the supervisor's ends of its pipes.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Its cage, and the guard of its life.
    pub(crate) process: ContainedProcess,
    /// Its number.
    pub(crate) pid: Pid,
    /// Readable once it has ended.
    pub(crate) pidfd: AsyncFd<OwnedFd>,
    /// To its standard input.
    pub(crate) frames_in: pipe::Sender,
    /// To where it waits for the files of its job.
    pub(crate) handover: OwnedFd,
    /// From its standard output.
    pub(crate) frames_out: pipe::Receiver,
    /// From its standard error.
    pub(crate) log: pipe::Receiver,
}

/// Brings a worker to life.
pub(crate) async fn spawn_worker(
    shop: &Arc<FactoryParts>,
    spec: ProcessSpec,
) -> Result<Worker, SpawnWorkerError> {
    let preparing = {
        let shop = Arc::clone(shop);
        // Making a cgroup may wait for a lock of the kernel.
        tokio::task::spawn_blocking(move || prepare(&shop, spec))
    };
    let (plan, mut process, [frames_in, frames_out, log, handover]) =
        preparing.await.map_err(|_| SpawnWorkerError::RuntimeEnds)??;
    let newborn = shop.spawner.spawn(plan).await?;
    process.hold(newborn.pid);
    Ok(Worker {
        process,
        pid: newborn.pid,
        pidfd: watch_end(newborn.pidfd).map_err(SpawnWorkerError::Watch)?,
        handover,
        frames_in: pipe::Sender::from_owned_fd(frames_in).map_err(SpawnWorkerError::Watch)?,
        frames_out: pipe::Receiver::from_owned_fd(frames_out).map_err(SpawnWorkerError::Watch)?,
        log: pipe::Receiver::from_owned_fd(log).map_err(SpawnWorkerError::Watch)?,
    })
}

fn prepare(
    shop: &FactoryParts,
    spec: ProcessSpec,
) -> Result<(SpawnPlan, ContainedProcess, [OwnedFd; 4]), SpawnWorkerError> {
    let ProcessSpec { name, memory_bytes_max, cpu } = spec;
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(SpawnWorkerError::Pipe);
    let (worker_in, frames_in) = pipe()?;
    let (frames_out, worker_out) = pipe()?;
    let (log, worker_log) = pipe()?;
    let (handover, worker_handover) = fd_passing::open().map_err(SpawnWorkerError::Pipe)?;
    let mut descriptors = vec![worker_in, worker_out, worker_log, worker_handover];
    for model in [&shop.detector, &shop.landmark] {
        descriptors.push(model.reopen()?.into());
    }
    let cage = shop.cages.build(&cage_name(&name), memory_bytes_max)?;
    let process = ContainedProcess::new(cage);
    let plan = SpawnPlan {
        program: shop.program.clone(),
        name: c"bodyscript-worker".into(),
        environment: shop.environment.clone(),
        descriptors,
        entry: process.cage().entry()?,
        limits: limits::of_worker(shop.cages.backend(), memory_bytes_max, cpu),
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

/// A legal and unique name that tells an operator whose cage it is.
fn cage_name(name: &str) -> String {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    format!("{}-{plain}", SERIAL.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_within_its_group() {
        let name = cage_name("../../x/\0\n");
        assert!(name.ends_with("-x"), "{name}");
        assert_ne!(name, cage_name("../../x/\0\n"));
    }
}
