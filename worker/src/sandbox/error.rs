//! What can go wrong while the sandbox closes. Used by every file of this module.

use bodyscript_protocol::fault::Fault;
use nix::errno::Errno;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A layer that could not be put on, named for the step that failed.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// A limit could not be lowered.
    #[error("cannot lower RLIMIT_{limit}: {source}")]
    Rlimit {
        /// The limit's name.
        limit: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The stray descriptors could not be closed.
    #[error("cannot close the descriptors from {first} on (close_range, Linux 5.9): {source}")]
    Descriptors {
        /// The first one to close.
        first: i32,
        /// Why.
        source: Errno,
    },
    /// `PR_SET_NO_NEW_PRIVS` failed.
    #[error("cannot set no_new_privs: {0}")]
    NoNewPrivs(Errno),
    /// The host grants no namespaces.
    #[error("cannot enter namespaces of its own (unshare): {0}")]
    Unshare(Errno),
    /// The user namespace's identity could not be written.
    #[error("cannot write {path}: {source}")]
    IdentityMap {
        /// The file.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A step in the making of the small file tree failed.
    #[error("cannot {step} {}: {source}", path.display())]
    Tree {
        /// What was being done.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The capability sets could not be emptied.
    #[error("cannot empty the {set} capability set: {source}")]
    Capabilities {
        /// Which.
        set: &'static str,
        /// Why.
        source: Errno,
    },
    /// The kernel has no Landlock, or it is not enabled.
    #[error("the kernel has no Landlock, or it is not enabled at boot")]
    LandlockAbsent,
    /// Landlock refused the rules.
    #[error("cannot restrict file access: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// Threads exist that the layer would not bind.
    #[error("other threads are already running and would stay unconfined")]
    Threads,
    /// The handler that names a refused system call could not be installed.
    #[error("cannot handle SIGSYS: {0}")]
    RefusalHandler(Errno),
    /// The filter could not be compiled.
    #[error("cannot compile the system call filter: {0}")]
    Filter(#[from] seccompiler::BackendError),
    /// The filter could not be installed.
    #[error("cannot install the system call filter: {0}")]
    Seccomp(#[from] seccompiler::Error),
    /// This machine's architecture has no policy.
    #[error("there is no system call policy for {0}")]
    Architecture(&'static str),
    /// The death of the parent could not be bound to this process's.
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
    /// A required layer is not there.
    #[error("the sandbox layer {layer} is required but not in force: {cause}")]
    Required {
        /// The layer's name.
        layer: &'static str,
        /// What stood in the way.
        cause: Box<SandboxError>,
    },
}

impl SandboxError {
    /// What it means for the job.
    pub const fn fault(&self) -> Fault {
        Fault::Sandbox
    }
}
