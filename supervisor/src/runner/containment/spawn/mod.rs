//! Births and reapings: with `newborn`, the only unsafe code of the crate.
//!
//! Used by `birth` and `process`. One thread starts all workers and lives as long as the workshop,
//! because the kernel binds PR_SET_PDEATHSIG(2const) to the thread that forked, not to its
//! process. The parent's side must never wait for a newborn without a deadline. Needs Linux 5.11
//! (close_range(2) with a flag); with cgroup v2, clone3(2) lets a worker be born inside.

#![allow(unsafe_code)]

pub(crate) mod child;

use crate::runner::containment::cage::Entry;
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

/// Where copies of descriptors are put so that none is in the way of the layout. Low, because it
/// has to lie below RLIMIT_NOFILE.
const ABOVE_LAYOUT: RawFd = 32;

const _: () = assert!(inherited::COUNT <= ABOVE_LAYOUT);

/// libc's constant of this name is declared too narrow and is zero.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// How long a newborn may take from clone to exec, in milliseconds. It needs one or two.
const BIRTH_MS_MAX: u16 = 20_000;

/// Why no worker came to be.
#[derive(Debug, Error)]
pub(crate) enum SpawnError {
    /// The thread that starts workers is gone.
    #[error("the spawner thread has ended")]
    ThreadGone,
    /// A descriptor could not be copied or a pipe made.
    #[error("cannot prepare the worker's descriptors: {0}")]
    Prepare(#[source] Errno),
    /// No process.
    #[error("cannot clone a process: {0}")]
    Clone(#[source] Errno),
    /// The newborn could not make itself a worker.
    #[error("the new process cannot {}: {errno}", .step.name())]
    SpawnedProcess {
        /// Where it failed.
        step: Step,
        /// With what.
        errno: Errno,
    },
    /// The newborn did not execute its program, and did not say why.
    #[error("the new process did not become a worker in time")]
    Stuck,
}

/// Everything a worker is made of.
#[derive(Debug)]
pub(crate) struct SpawnPlan {
    /// Its program.
    pub(crate) program: CString,
    /// Its only argument: the name it shows.
    pub(crate) name: CString,
    /// Its whole environment, as `KEY=value`.
    pub(crate) environment: Vec<CString>,
    /// Its descriptors from 0 on; it has no others.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// The way into its cage.
    pub(crate) entry: Entry,
    /// Its resource limits.
    pub(crate) limits: Vec<Limit>,
}

/// A process that executes the worker program.
#[derive(Debug)]
pub(crate) struct SpawnedProcess {
    /// Its number, which is its own until [`reap`] has told its end.
    pub(crate) pid: Pid,
    /// Readable once it has ended (pidfd_open(2)).
    pub(crate) pidfd: OwnedFd,
}

/// How a process ended and what it used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaped {
    /// How it ended.
    pub(crate) exit: ProcessExit,
    /// Processor time, user and system, of all its threads and of the children it waited for.
    pub(crate) cpu: Duration,
    /// Largest resident size, in bytes. At least that of the supervisor at the birth, from
    /// which the kernel goes on counting.
    pub(crate) rss_bytes_max: u64,
}

struct Request {
    plan: SpawnPlan,
    reply: oneshot::Sender<Result<SpawnedProcess, SpawnError>>,
}

/// The thread that starts workers.
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
            thread::Builder::new().name("spawner".into()).spawn(move || serve(incoming))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Starts a worker. Returns once it executes its program.
    pub(crate) async fn spawn(&self, plan: SpawnPlan) -> Result<SpawnedProcess, SpawnError> {
        let (reply, newborn) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(SpawnError::ThreadGone)?;
        requests.send(Request { plan, reply }).map_err(|_| SpawnError::ThreadGone)?;
        newborn.await.map_err(|_| SpawnError::ThreadGone)?
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

fn serve(requests: mpsc::Receiver<Request>) {
    // A signal that reached the child between clone and exec would run the supervisor's handler
    // in it. The child inherits this mask and empties it last.
    if SigSet::all().thread_block().is_err() {
        return;
    }
    for Request { plan, reply } in requests {
        if let Err(Ok(newborn)) = reply.send(spawn(plan)) {
            end(newborn.pid);
        }
    }
}

fn spawn(plan: SpawnPlan) -> Result<SpawnedProcess, SpawnError> {
    let arguments = [plan.name.as_ptr(), ptr::null()];
    let environment = null_terminated(&plan.environment);
    // Owned one by one, so that those before one that fails are closed again.
    let above = |fd: &OwnedFd| fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(ABOVE_LAYOUT)).map(owned);
    let copies = plan.descriptors.iter().map(above).collect::<Result<Vec<OwnedFd>, _>>();
    let copies = copies.map_err(SpawnError::Prepare)?;
    let (told, low) = pipe2(OFlag::O_CLOEXEC).map_err(SpawnError::Prepare)?;
    let tell = above(&low).map_err(SpawnError::Prepare)?;
    drop(low);
    let newborn = Prepared {
        program: &plan.program,
        arguments: &arguments,
        environment: &environment,
        descriptors: &copies,
        join: &plan.entry.join,
        limits: &plan.limits,
        parent: getpid(),
    };
    let mut living = orphans::living();
    let (pid, pidfd) = match clone(plan.entry.born_into.as_ref()).map_err(SpawnError::Clone)? {
        Cloned::Child { is_inside } => newborn.become_worker(is_inside, tell),
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    living.insert(pid);
    drop(living);
    drop(tell);
    match read_failure(told) {
        None => Ok(SpawnedProcess { pid, pidfd }),
        Some(failure) => {
            end(pid);
            Err(failure)
        }
    }
}

fn null_terminated(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: every caller has the descriptor from a system call that has just made it, and
    // keeps no other handle to it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// What the newborn wrote before it gave up: the step and the error. Nothing, if it became a
/// worker, for exec closes the pipe.
fn read_failure(told: OwnedFd) -> Option<SpawnError> {
    let mut words = Vec::new();
    let mut speaks = [PollFd::new(told.as_fd(), PollFlags::POLLIN)];
    if poll(&mut speaks, PollTimeout::from(BIRTH_MS_MAX)) != Ok(1) {
        return Some(SpawnError::Stuck);
    }
    if File::from(told).read_to_end(&mut words).is_err() {
        return Some(SpawnError::Stuck);
    }
    let (step, errno) = words.split_first()?;
    let step = Step::ALL.into_iter().find(|known| *known as u8 == *step);
    let errno = errno.try_into().map(i32::from_le_bytes);
    Some(match (step, errno) {
        (Some(step), Ok(errno)) => {
            SpawnError::SpawnedProcess { step, errno: Errno::from_raw(errno) }
        }
        _ => SpawnError::Stuck,
    })
}

enum Cloned {
    Parent { pid: Pid, pidfd: OwnedFd },
    Child { is_inside: bool },
}

/// Forks, into the cgroup if there is one and the kernel can.
fn clone(born_into: Option<&File>) -> Result<Cloned, Errno> {
    if let Some(group) = born_into {
        match clone_into(group) {
            // A container's seccomp profile may not know clone3 (ENOSYS, EPERM), or the kernel
            // not the flag (E2BIG, EINVAL); the child can still write itself in.
            Err(Errno::ENOSYS | Errno::EPERM | Errno::E2BIG | Errno::EINVAL) => {}
            cloned => return cloned,
        }
    }
    let mut pidfd: c_int = -1;
    let flags = c_long::from(libc::CLONE_PIDFD | libc::SIGCHLD);
    // SAFETY: without CLONE_VM this is fork(2): the child gets a copy of this thread and its
    // stack. The kernel writes the descriptor to `pidfd`, which outlives the call. The child
    // keeps to the rule of this module.
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
    // SAFETY: as in `clone`; `arguments` has the layout and the size the kernel is told.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>())
    };
    cloned(pid, pidfd, true)
}

fn cloned(pid: c_long, pidfd: c_int, is_inside: bool) -> Result<Cloned, Errno> {
    match Errno::result(pid)? {
        0 => Ok(Cloned::Child { is_inside }),
        pid => Ok(Cloned::Parent { pid: Pid::from_raw(pid as i32), pidfd: owned(pidfd) }),
    }
}

/// A parent that was itself started with SIGCHLD ignored is not told how its children end.
pub(crate) fn enable_child_notification() -> nix::Result<()> {
    let status = Process::myself().and_then(|own| own.status());
    let is_ignored = |mask: u64| mask & (1 << (libc::SIGCHLD - 1)) != 0;
    if status.is_ok_and(|status| is_ignored(status.sigign)) {
        // SAFETY: the default action is no function. A handler, if any, is left alone.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    }
    Ok(())
}

/// Kills a process of ours that nobody is to know of, and waits for its end.
fn end(pid: Pid) {
    let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
    let mut living = orphans::living();
    let _ = nix::sys::wait::waitpid(pid, None);
    living.remove(&pid);
}

/// A pidfd as something the runtime can wait for: readable once the process has ended.
pub(crate) fn watch_end(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the runtime gets the only handle, which keeps the descriptor open and never
    // changes which one it is.
    unsafe { AsyncFd::register(pidfd) }.map_err(Into::into)
}

/// Takes note of the end of a worker, if it has ended. From then on its number is free.
pub(crate) fn reap(pid: Pid) -> io::Result<Option<Reaped>> {
    let mut status: c_int = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let mut living = orphans::living();
    // SAFETY: both pointers are to memory of this function, of the types the kernel fills in.
    let reaped =
        unsafe { libc::wait4(pid.as_raw(), &raw mut status, libc::WNOHANG, usage.as_mut_ptr()) };
    if Errno::result(reaped)? == 0 {
        return Ok(None);
    }
    living.remove(&pid);
    // SAFETY: it was zeroed, and all zeroes is a value of this plain struct.
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
