//! The cage of one worker: caps its memory, kills all of it, and proves what happened.
//!
//! `WorkerFactory::open` picks one backend, `spawn_worker` builds one cage for each worker. A
//! backend never touches a group it did not create, and never reads a counter after its group is
//! removed.

pub(crate) mod group;
pub(crate) mod hierarchy;
pub(crate) mod rlimit;
pub(crate) mod v1;
pub(crate) mod v2;

use nix::errno::Errno;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Most processes and threads in one cage, where the pids controller counts them. Codecs start
/// threads by the number of processors; a worker on two runs some thirty.
pub(crate) const TASKS_MAX: u64 = 256;

/// The kind of cage that workers run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CageBackend {
    /// A leaf of a delegated cgroup v2 subtree.
    V2,
    /// Groups below the supervisor's own in the memory and pids hierarchies of cgroup v1.
    V1,
    /// Resource limits, and sampling of the resident size.
    Rlimit,
}

impl CageBackend {
    /// Every backend, the strongest first.
    pub const ALL: [Self; 3] = [Self::V2, Self::V1, Self::Rlimit];
}

impl fmt::Display for CageBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2 => "cgroup v2",
            Self::V1 => "cgroup v1",
            Self::Rlimit => "rlimit",
        })
    }
}

/// The weakest cage with which the service still starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CageRequired {
    /// cgroup v2 and nothing else.
    V2,
    /// cgroup v2 or v1.
    Cgroup,
    /// Whatever the host provides.
    #[default]
    Any,
}

impl CageRequired {
    /// The backends that satisfy it, the strongest first.
    pub const fn accepts(self) -> &'static [CageBackend] {
        match self {
            Self::V2 => &[CageBackend::V2],
            Self::Cgroup => &[CageBackend::V2, CageBackend::V1],
            Self::Any => &CageBackend::ALL,
        }
    }

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::Cgroup => "cgroup",
            Self::Any => "any",
        }
    }
}

/// Why a cage or backend is not available.
#[derive(Debug, Error)]
pub enum CageError {
    /// The process's own group in the hierarchy was not found.
    #[error("{hierarchy} is not mounted, or this process is not in it")]
    NoHierarchy {
        /// The hierarchy.
        hierarchy: &'static str,
    },
    /// The kernel's list of mounts or groups is unreadable.
    #[error("cannot read where the cgroups are: {0}")]
    Locate(#[from] procfs::ProcError),
    /// The process is in the root of the hierarchy, which cannot be configured.
    #[error(
        "{} is the root cgroup; start the service in a group of its own \
         (systemd: Delegate=yes)", .group.display()
    )]
    NotDelegated {
        /// The group.
        group: PathBuf,
    },
    /// A required controller is missing.
    #[error(
        "{} has no {controller} controller; delegate it (systemd: Delegate=yes)", .group.display()
    )]
    NoController {
        /// The group.
        group: PathBuf,
        /// The controller.
        controller: &'static str,
    },
    /// The kernel has no counter of OOM kills, without which they cannot be proved.
    #[error("{} does not count OOM kills; Linux 4.13 or later does", .file.display())]
    NoCounter {
        /// The file that lacks it.
        file: PathBuf,
    },
    /// A resource limit of the worker could not be raised.
    #[error("cannot raise the limit on data: {0}")]
    Limit(#[source] io::Error),
    /// A file or group of the hierarchy could not be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    Group {
        /// The failed step.
        action: &'static str,
        /// Its path.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl CageError {
    fn group(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Group { action, path: path.to_owned(), source: source.into() }
    }
}

/// How a child enters its cage.
#[derive(Debug, Default)]
pub(crate) struct CageEntry {
    /// The group's directory, for `CLONE_INTO_CGROUP`: inside from its first instruction.
    pub(crate) cgroup: Option<File>,
    /// `cgroup.procs` files to which the child writes itself before exec, if it was not cloned
    /// inside.
    pub(crate) join: Vec<File>,
}

/// What a cage has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Kills by the OOM killer of processes in the cage, whichever limit was hit.
    pub(crate) oom_kills: u64,
    /// Whether the cage's own limit was hit, and not one of the host or the service.
    pub(crate) limit_was_hit: bool,
    /// Most memory charged at once, in bytes, if known.
    pub(crate) peak_bytes: Option<u64>,
}

/// Creates cages of one kind.
pub(crate) trait Cages: Send + Sync + fmt::Debug {
    /// The kind.
    fn backend(&self) -> CageBackend;

    /// What workers together get less of than the supervisor while it is scarce.
    fn shared_by_weight(&self) -> Vec<&'static str>;

    /// A cage of at most `memory_bytes_max`; `name` is unique and a legal file name.
    fn build(&self, name: &str, memory_bytes_max: u64) -> Result<Box<dyn Cage>, CageError>;
}

/// One cage. Order of calls: `entry`, `raise` while the worker runs, `kill` until `is_empty`, `counters`, `remove`.
pub(crate) trait Cage: Send + Sync + fmt::Debug {
    /// How the child enters.
    fn entry(&self) -> Result<CageEntry, CageError>;

    /// Raises the cap. `worker` is given until it is reaped.
    fn raise(&self, worker: Option<Pid>, memory_bytes_max: u64) -> Result<(), CageError>;

    /// Sends SIGKILL to everything inside. `worker` is given until it is reaped, because afterwards
    /// its process id may be reused.
    fn kill(&self, worker: Option<Pid>) -> Result<(), CageError>;

    /// Whether no process is inside.
    fn is_empty(&self) -> Result<bool, CageError>;

    /// The counters; final once the cage is empty.
    fn counters(&self) -> Result<Counters, CageError>;

    /// Removes the cage, which must be empty.
    fn remove(&self) -> Result<(), CageError>;
}

/// The strongest available backend among those accepted, or why each is unavailable.
pub(crate) fn choose(
    accepted: &[CageBackend],
) -> Result<Box<dyn Cages>, Vec<(CageBackend, CageError)>> {
    let mut refused = Vec::new();
    for backend in accepted {
        match open(*backend) {
            Ok(cages) => return Ok(cages),
            Err(error) => refused.push((*backend, error)),
        }
    }
    Err(refused)
}

/// Which backends are available to this process; each is opened and closed again.
pub fn survey() -> Vec<(CageBackend, Result<(), CageError>)> {
    CageBackend::ALL.map(|backend| (backend, open(backend).map(drop))).into()
}

fn open(backend: CageBackend) -> Result<Box<dyn Cages>, CageError> {
    Ok(match backend {
        CageBackend::V2 => Box::new(v2::Subtree::open()?),
        CageBackend::V1 => Box::new(v1::Groups::open()?),
        CageBackend::Rlimit => Box::new(rlimit::Limits),
    })
}

/// Whether a kernel file or group does not exist.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ENODEV as i32)
}
