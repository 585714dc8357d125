//! The child between clone and exec.
//!
//! Runs in a copy of a multi-threaded process, where other threads may have held locks. It only
//! makes system calls on data prepared before the clone. It must never allocate, lock, format,
//! panic or log.

use crate::runner::containment::limits::Limit;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc::{self, c_char, c_int};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, chdir, getppid, setsid, write};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

/// The OOM killer picks the highest score first; 1000 is the highest.
const OOM_SCORE_ADJ: &[u8] = b"1000";

/// The steps of the child between clone and exec, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    JoinCgroup = 1,
    Session,
    DeathSignal,
    Directory,
    Descriptors,
    Limits,
    Exec,
}

impl Step {
    pub(crate) const ALL: [Self; 7] = [
        Self::JoinCgroup,
        Self::Session,
        Self::DeathSignal,
        Self::Directory,
        Self::Descriptors,
        Self::Limits,
        Self::Exec,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::JoinCgroup => "enter its cgroup",
            Self::Session => "create a session",
            Self::DeathSignal => "set its parent-death signal",
            Self::Directory => "change to the root directory",
            Self::Descriptors => "arrange its descriptors",
            Self::Limits => "set its resource limits",
            Self::Exec => "execute the worker program",
        }
    }
}

/// What the child needs, prepared before the clone.
pub(crate) struct Prepared<'a> {
    pub(crate) program: &'a CStr,
    pub(crate) arguments: &'a [*const c_char],
    pub(crate) environment: &'a [*const c_char],
    pub(crate) descriptors: &'a [OwnedFd],
    pub(crate) join: &'a [File],
    pub(crate) limits: &'a [Limit],
    pub(crate) parent: Pid,
}

impl Prepared<'_> {
    /// Runs the child until exec. From here on nothing may allocate.
    pub(crate) fn become_worker(&self, is_in_cgroup: bool, failure_writer: OwnedFd) -> ! {
        let (step, errno) = self.prepare(is_in_cgroup);
        let [a, b, c, d] = (errno as i32).to_le_bytes();
        let _ = write(&failure_writer, &[step as u8, a, b, c, d]);
        // SAFETY: ends the child at once, without the destructors and exit handlers of the
        // supervisor it is a copy of.
        unsafe { libc::_exit(127) }
    }

    /// Returns only if a step fails.
    fn prepare(&self, is_in_cgroup: bool) -> (Step, Errno) {
        let joined = || self.join.iter().try_for_each(|procs| write(procs, b"0").map(drop));
        if let Err(errno) = if is_in_cgroup { Ok(()) } else { joined() } {
            return (Step::JoinCgroup, errno);
        }
        if let Err(errno) = setsid() {
            return (Step::Session, errno);
        }
        if let Err(errno) = self.set_death_signal() {
            return (Step::DeathSignal, errno);
        }
        umask(Mode::from_bits_truncate(0o077));
        if let Err(errno) = chdir(c"/") {
            return (Step::Directory, errno);
        }
        prefer_for_oom();
        if let Err(errno) = self.arrange_descriptors() {
            return (Step::Descriptors, errno);
        }
        let set = |limit: &Limit| limit.resource.set(limit.soft, limit.hard);
        if self.limits.iter().try_for_each(set).is_err() {
            return (Step::Limits, Errno::last());
        }
        reset_signals();
        // SAFETY: the program is a C string, both lists are of C strings and end with a null
        // pointer, and all of them outlive the call.
        unsafe {
            libc::execve(self.program.as_ptr(), self.arguments.as_ptr(), self.environment.as_ptr())
        };
        (Step::Exec, Errno::last())
    }

    fn set_death_signal(&self) -> Result<(), Errno> {
        set_pdeathsig(Signal::SIGKILL)?;
        // The supervisor may have exited before the call above.
        if getppid() == self.parent { Ok(()) } else { Err(Errno::ESRCH) }
    }

    /// Puts the descriptors at 0, 1, 2... and marks all others close-on-exec.
    fn arrange_descriptors(&self) -> Result<(), Errno> {
        let mut target = 0;
        for source in self.descriptors {
            // SAFETY: the sources lie above all targets, so no target is a source that is still
            // needed; what a target held is the copy of a supervisor's descriptor.
            Errno::result(unsafe { libc::dup2(source.as_raw_fd(), target) })?;
            target += 1;
        }
        let first = target as libc::c_uint;
        let flags = libc::CLOSE_RANGE_CLOEXEC as c_int;
        // SAFETY: sets a flag on descriptors and closes none.
        Errno::result(unsafe { libc::close_range(first, libc::c_uint::MAX, flags) }).map(drop)
    }
}

/// Best effort: without procfs the worker is no likelier to be picked than other processes.
fn prefer_for_oom() {
    let file = nix::fcntl::open(c"/proc/self/oom_score_adj", OFlag::O_WRONLY, Mode::empty());
    let _ = file.map(|file| write(file.as_fd(), OOM_SCORE_ADJ));
}

/// Ignored signals stay ignored over exec, and so does the mask; a worker starts with neither. Not
/// through libc, which refuses the two signals it reserves; they may be inherited as ignored too.
fn reset_signals() {
    const SET_BYTES: usize = 8;
    // Handler, flags, restorer and mask of the kernel's own structure: the default action.
    let default = [0_u64; 4];
    for signal in 1..=64 as c_int {
        // SAFETY: the kernel reads `default` and writes nothing. It refuses what cannot be set.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                ptr::null::<c_int>(),
                SET_BYTES,
            )
        };
    }
    let _ = SigSet::empty().thread_set_mask();
}
