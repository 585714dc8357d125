//! The errors of the sandbox. Used by every file of this module.

use bodyscript_protocol::fault::Fault;
use nix::errno::Errno;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A layer could not be applied; named for the failed step.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// A limit could not be lowered.
    #[error("cannot lower RLIMIT_{limit}: {source}")]
    Rlimit {
        /// The limit's name.
        limit: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The stray descriptors could not be closed.
    #[error("cannot close the descriptors from {first} on (close_range, Linux 5.9): {source}")]
    Descriptors {
        /// The first one to close.
        first: i32,
        /// The cause.
        source: Errno,
    },
    /// `PR_SET_NO_NEW_PRIVS` failed.
    #[error("cannot set no_new_privs: {0}")]
    NoNewPrivs(Errno),
    /// `PR_SET_MDWE` failed.
    #[error("cannot keep memory from becoming executable (PR_SET_MDWE, Linux 6.3): {0}")]
    Mdwe(Errno),
    /// The process could not be tagged.
    #[error("cannot keep others off its core (PR_SCHED_CORE, Linux 5.14, with SMT enabled): {0}")]
    CoreScheduling(Errno),
    /// The list of mappings could not be read.
    #[error("cannot read /proc/self/maps: {0}")]
    Mappings(io::Error),
    /// Code could not be sealed.
    #[error("cannot seal code (mseal, Linux 6.10): {0}")]
    Seal(Errno),
    /// The host grants no namespaces.
    #[error("cannot enter new namespaces (unshare): {0}")]
    Unshare(Errno),
    /// The user namespace's identity could not be written.
    #[error("cannot write {path}: {source}")]
    IdentityMap {
        /// The file.
        path: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A step of replacing the file tree failed.
    #[error("cannot {step} {}: {source}", path.display())]
    Tree {
        /// The step.
        step: &'static str,
        /// The path it was applied to.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The capability sets could not be emptied.
    #[error("cannot empty the {set} capability set: {source}")]
    Capabilities {
        /// The name of the set.
        set: &'static str,
        /// The cause.
        source: Errno,
    },
    /// The kernel has no Landlock, or it is not enabled.
    #[error("the kernel has no Landlock, or it is not enabled at boot")]
    LandlockAbsent,
    /// Landlock refused the rules.
    #[error("cannot restrict file access: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// Other threads exist, which the layer would not apply to.
    #[error("other threads are already running and would stay unconfined")]
    Threads,
    /// The handler that logs a refused system call could not be installed.
    #[error("cannot handle SIGSYS: {0}")]
    SigsysHandler(Errno),
    /// The filter could not be compiled.
    #[error("cannot compile the system call filter: {0}")]
    Filter(#[from] seccompiler::BackendError),
    /// The filter could not be installed.
    #[error("cannot install the system call filter: {0}")]
    Seccomp(#[from] seccompiler::Error),
    /// This machine's architecture has no policy.
    #[error("there is no system call policy for {0}")]
    Architecture(&'static str),
    /// The parent-death signal could not be set.
    #[error("cannot set the parent-death signal: {0}")]
    ParentDeath(Errno),
    /// The parent is gone.
    #[error("the supervisor is gone")]
    Orphaned,
    /// The process could not be made undumpable.
    #[error("cannot forbid dumps and debuggers: {0}")]
    Dumpable(Errno),
    /// The configuration both requires the layer and switches it off.
    #[error("it is switched off by configuration")]
    SwitchedOff,
    /// A required layer is not active.
    #[error("the sandbox layer {layer} is required but not in force: {cause}")]
    Required {
        /// The layer's name.
        layer: &'static str,
        /// Why it is not active.
        cause: Box<SandboxError>,
    },
}

impl SandboxError {
    /// The fault reported to the supervisor.
    pub const fn fault(&self) -> Fault {
        Fault::Sandbox
    }
}
