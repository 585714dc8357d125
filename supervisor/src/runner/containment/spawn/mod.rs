//! Spawns and reaps workers. With `child` it has all unsafe code of the supervisor.
//!
//! Used by `spawn_worker` and `guard`. One thread spawns all workers and lives as long as the
//! factory, because the kernel binds PR_SET_PDEATHSIG(2const) to the thread that forked, not to its
//! process. The parent never waits for a child without a deadline. Needs Linux 5.11 (close_range(2)
//! with a flag); with cgroup v2, clone3(2) creates the child inside the cgroup.

#![allow(unsafe_code)]

pub(crate) mod child;

use crate::runner::containment::cage::CageEntry;
use crate::runner::containment::limits::Limit;
use crate::runner::containment::orphans;
use crate::runner::containment::process_exit::ProcessExit;
use bodyscript_protocol::inherited;
use child::{Prepared, Step};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc::{self, c_char, c_int, c_long};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::unistd::{Pid, getpid, pipe2};
use procfs::process::Process;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use thiserror::Error;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

/// Lowest number for temporary copies of descriptors, above the final layout. Small, because it has
/// to lie below RLIMIT_NOFILE.
const ABOVE_LAYOUT: RawFd = 32;

const _: () = assert!(inherited::COUNT <= ABOVE_LAYOUT);

/// libc declares the constant of this name too narrow, as zero.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// How long a child may take from clone to exec, in milliseconds. It needs one or two.
const SPAWN_MS_MAX: u16 = 20_000;

/// Why a worker could not be spawned.
#[derive(Debug, Error)]
pub(crate) enum SpawnError {
    /// The spawner thread has ended.
    #[error("the spawner thread has ended")]
    ThreadGone,
    /// A descriptor could not be copied, or a pipe not created.
    #[error("cannot prepare the worker's descriptors: {0}")]
    Prepare(#[source] Errno),
    /// The process could not be cloned.
    #[error("cannot clone a process: {0}")]
    Clone(#[source] Errno),
    /// The child failed before exec.
    #[error("the new process cannot {}: {errno}", .step.name())]
    Child {
        /// The failed step.
        step: Step,
        /// Its error.
        errno: Errno,
    },
    /// The child neither executed its program nor reported a failure.
    #[error("the new process did not become a worker in time")]
    Stuck,
}

/// Everything needed to spawn a worker.
#[derive(Debug)]
pub(crate) struct SpawnPlan {
    /// The program.
    pub(crate) program: CString,
    /// Its only argument: the name shown in process lists.
    pub(crate) name: CString,
    /// Its whole environment, as `KEY=value`.
    pub(crate) environment: Vec<CString>,
    /// Its descriptors from 0 on; it gets no others.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// How it enters its cage.
    pub(crate) entry: CageEntry,
    /// Its resource limits.
    pub(crate) limits: Vec<Limit>,
}

/// A process that executes the worker program.
#[derive(Debug)]
pub(crate) struct SpawnedProcess {
    /// Its process id, which is not reused until [`reap`] has returned its exit.
    pub(crate) pid: Pid,
    /// Readable once it has exited (pidfd_open(2)).
    pub(crate) pidfd: OwnedFd,
}

/// How a process ended and what it used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaped {
    /// How it ended.
    pub(crate) exit: ProcessExit,
    /// Processor time, user and system, of all its threads and of the children it waited for.
    pub(crate) cpu: Duration,
    /// Largest resident size, in bytes. At least the supervisor's size at the spawn, with which the
    /// kernel starts the count.
    pub(crate) rss_bytes_max: u64,
}

struct Request {
    plan: SpawnPlan,
    reply: oneshot::Sender<Result<SpawnedProcess, SpawnError>>,
}

/// The thread that spawns workers.
#[derive(Debug)]
pub(crate) struct Spawner {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Spawner {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (requests, incoming) = mpsc::channel();
        let thread =
            thread::Builder::new().name("spawner".into()).spawn(move || run_spawner(incoming))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Spawns a worker. Returns once it executes its program.
    pub(crate) async fn spawn(&self, plan: SpawnPlan) -> Result<SpawnedProcess, SpawnError> {
        let (reply, spawned) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(SpawnError::ThreadGone)?;
        requests.send(Request { plan, reply }).map_err(|_| SpawnError::ThreadGone)?;
        spawned.await.map_err(|_| SpawnError::ThreadGone)?
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run_spawner(requests: mpsc::Receiver<Request>) {
    // A signal to the child between clone and exec would run the supervisor's handler in it. The
    // child inherits this mask and clears it last.
    if SigSet::all().thread_block().is_err() {
        return;
    }
    for Request { plan, reply } in requests {
        if let Err(Ok(child)) = reply.send(spawn(plan)) {
            kill_and_wait(child.pid);
        }
    }
}

fn spawn(plan: SpawnPlan) -> Result<SpawnedProcess, SpawnError> {
    let arguments = [plan.name.as_ptr(), ptr::null()];
    let environment = null_terminated(&plan.environment);
    // Owned one by one, so that earlier copies are closed if a later one fails.
    let above = |fd: &OwnedFd| fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(ABOVE_LAYOUT)).map(owned);
    let copies = plan.descriptors.iter().map(above).collect::<Result<Vec<OwnedFd>, _>>();
    let copies = copies.map_err(SpawnError::Prepare)?;
    let (failure_reader, low) = pipe2(OFlag::O_CLOEXEC).map_err(SpawnError::Prepare)?;
    let failure_writer = above(&low).map_err(SpawnError::Prepare)?;
    drop(low);
    let prepared = Prepared {
        program: &plan.program,
        arguments: &arguments,
        environment: &environment,
        descriptors: &copies,
        join: &plan.entry.join,
        limits: &plan.limits,
        parent: getpid(),
    };
    let mut workers = orphans::workers();
    let (pid, pidfd) = match clone(plan.entry.cgroup.as_ref()).map_err(SpawnError::Clone)? {
        Cloned::Child { is_in_cgroup } => prepared.become_worker(is_in_cgroup, failure_writer),
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    workers.insert(pid);
    drop(workers);
    drop(failure_writer);
    match read_failure(failure_reader) {
        None => Ok(SpawnedProcess { pid, pidfd }),
        Some(failure) => {
            kill_and_wait(pid);
            Err(failure)
        }
    }
}

fn null_terminated(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: every caller has the descriptor from a system call that has just created it, and
    // keeps no other handle to it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// What the child wrote if it failed: the step and the error. Nothing if exec succeeded, which
/// closes the pipe.
fn read_failure(failure_reader: OwnedFd) -> Option<SpawnError> {
    let mut bytes = Vec::new();
    let mut polled = [PollFd::new(failure_reader.as_fd(), PollFlags::POLLIN)];
    if poll(&mut polled, PollTimeout::from(SPAWN_MS_MAX)) != Ok(1) {
        return Some(SpawnError::Stuck);
    }
    if File::from(failure_reader).read_to_end(&mut bytes).is_err() {
        return Some(SpawnError::Stuck);
    }
    let (step, errno) = bytes.split_first()?;
    let step = Step::ALL.into_iter().find(|known| *known as u8 == *step);
    let errno = errno.try_into().map(i32::from_le_bytes);
    Some(match (step, errno) {
        (Some(step), Ok(errno)) => SpawnError::Child { step, errno: Errno::from_raw(errno) },
        _ => SpawnError::Stuck,
    })
}

enum Cloned {
    Parent { pid: Pid, pidfd: OwnedFd },
    Child { is_in_cgroup: bool },
}

/// Forks, directly into the cgroup if there is one and the kernel supports it.
fn clone(cgroup: Option<&File>) -> Result<Cloned, Errno> {
    if let Some(group) = cgroup {
        match clone_into(group) {
            // A container's seccomp profile may not allow clone3 (ENOSYS, EPERM), or the kernel not
            // know the flag (E2BIG, EINVAL); the child then enters the cgroup itself.
            Err(Errno::ENOSYS | Errno::EPERM | Errno::E2BIG | Errno::EINVAL) => {}
            cloned => return cloned,
        }
    }
    let mut pidfd: c_int = -1;
    let flags = c_long::from(libc::CLONE_PIDFD | libc::SIGCHLD);
    // SAFETY: without CLONE_VM this is fork(2): the child gets a copy of this thread and its stack.
    // The kernel writes the descriptor to `pidfd`, which outlives the call. The child follows the
    // rules of `child`.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone, flags, 0 as c_long, &raw mut pidfd, 0 as c_long, 0 as c_long)
    };
    cloned(pid, pidfd, false)
}

fn clone_into(group: &File) -> Result<Cloned, Errno> {
    let mut pidfd: c_int = -1;
    let arguments = libc::clone_args {
        flags: libc::CLONE_PIDFD as u64 | CLONE_INTO_CGROUP,
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: group.as_raw_fd() as u64,
    };
    // SAFETY: as in `clone`; `arguments` has the layout and the size that are passed to the kernel.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>())
    };
    cloned(pid, pidfd, true)
}

fn cloned(pid: c_long, pidfd: c_int, is_in_cgroup: bool) -> Result<Cloned, Errno> {
    match Errno::result(pid)? {
        0 => Ok(Cloned::Child { is_in_cgroup }),
        pid => Ok(Cloned::Parent { pid: Pid::from_raw(pid as i32), pidfd: owned(pidfd) }),
    }
}

/// A parent that was started with SIGCHLD ignored would not learn how its children exit.
pub(crate) fn enable_child_notification() -> nix::Result<()> {
    let status = Process::myself().and_then(|own| own.status());
    let is_ignored = |mask: u64| mask & (1 << (libc::SIGCHLD - 1)) != 0;
    if status.is_ok_and(|status| is_ignored(status.sigign)) {
        // SAFETY: the default action is no function. A handler, if any, is left alone.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    }
    Ok(())
}

/// Kills a child that no caller receives, and waits for its exit.
fn kill_and_wait(pid: Pid) {
    let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
    let mut workers = orphans::workers();
    let _ = nix::sys::wait::waitpid(pid, None);
    workers.remove(&pid);
}

/// Makes a pidfd awaitable: it is readable once the process has exited.
pub(crate) fn watch_exit(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the runtime gets the only handle, which keeps the descriptor open and never
    // changes which one it is.
    unsafe { AsyncFd::register(pidfd) }.map_err(Into::into)
}

/// Reaps a worker if it has exited. From then on its process id may be reused.
pub(crate) fn reap(pid: Pid) -> io::Result<Option<Reaped>> {
    let mut status: c_int = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let mut workers = orphans::workers();
    // SAFETY: both pointers are to memory of this function, of the types the kernel fills in.
    let reaped =
        unsafe { libc::wait4(pid.as_raw(), &raw mut status, libc::WNOHANG, usage.as_mut_ptr()) };
    if Errno::result(reaped)? == 0 {
        return Ok(None);
    }
    workers.remove(&pid);
    // SAFETY: it was zeroed, and all zeroes are a valid value of this plain struct.
    let usage = unsafe { usage.assume_init() };
    let status = ExitStatus::from_raw(status);
    let exit = match (status.signal(), status.code()) {
        (Some(signal), _) => ProcessExit::Signal(signal),
        (None, code) => ProcessExit::Status(code.unwrap_or_default()),
    };
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    Ok(Some(Reaped { exit, cpu, rss_bytes_max: usage.ru_maxrss.max(0) as u64 * 1024 }))
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec.max(0) as u64)
        + Duration::from_micros(time.tv_usec.max(0) as u64)
}
