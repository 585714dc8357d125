//! The cage around one worker: what caps its memory, ends all of it, and proves what happened.
//!
//! `WorkerFactory::open` picks one backend, `attempt` builds one cage for each worker. A backend must
//! never touch a group it did not make, and a counter must never be read after its group is gone.

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
/// threads by the number of processors, a worker on two runs some thirty.
pub(crate) const TASKS_MAX: u64 = 256;

/// What kind of cage workers are put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CageBackend {
    /// A leaf of a delegated cgroup v2 subtree.
    V2,
    /// A group of our own under the memory and pids hierarchies of cgroup v1.
    V1,
    /// Resource limits, and a watch on the resident size.
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
    /// Whatever the host gives.
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

/// Why there is no such cage.
#[derive(Debug, Error)]
pub enum CageError {
    /// The process's own place in the hierarchy is not to be found.
    #[error("{hierarchy} is not mounted, or this process is not in it")]
    NoHierarchy {
        /// Which one.
        hierarchy: &'static str,
    },
    /// The kernel's account of mounts or groups is unreadable.
    #[error("cannot read where the cgroups are: {0}")]
    Locate(#[from] procfs::ProcError),
    /// The process is in the root of the whole hierarchy, which is nobody's to configure.
    #[error(
        "{} is the root cgroup; start the service in a group of its own \
         (systemd: Delegate=yes)", .group.display()
    )]
    NotDelegated {
        /// The group.
        group: PathBuf,
    },
    /// A controller that is needed is not there.
    #[error(
        "{} has no {controller} controller; delegate it (systemd: Delegate=yes)", .group.display()
    )]
    NoController {
        /// The group.
        group: PathBuf,
        /// The controller.
        controller: &'static str,
    },
    /// The kernel has no counter of OOM kills, without which nothing is proved.
    #[error("{} does not count OOM kills; Linux 4.13 or later does", .file.display())]
    NoCounter {
        /// Where it should be.
        file: PathBuf,
    },
    /// A file or group of the hierarchy could not be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    Group {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl CageError {
    fn group(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Group { action, path: path.to_owned(), source: source.into() }
    }
}

/// How a newborn process gets into its cage.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// The group's directory, for `CLONE_INTO_CGROUP`: caged from its first instruction.
    pub(crate) born_into: Option<File>,
    /// `cgroup.procs` files the child writes itself into before exec, if it was not born inside.
    pub(crate) join: Vec<File>,
}

/// What a cage can tell of what went on in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Kills by the OOM killer of processes in the cage, whatever limit was hit.
    pub(crate) oom_kills: u64,
    /// Whether it was the cage's own limit that was hit, and not one of the host or the service.
    pub(crate) limit_was_hit: bool,
    /// Most memory charged at once, in bytes, where it is known.
    pub(crate) peak_bytes: Option<u64>,
}

/// Makes cages of one kind.
pub(crate) trait Cages: Send + Sync + fmt::Debug {
    /// Which kind.
    fn backend(&self) -> CageBackend;

    /// A cage that holds at most `memory_bytes_max`; `name` is unique and a legal file name.
    fn build(&self, name: &str, memory_bytes_max: u64) -> Result<Box<dyn Cage>, CageError>;
}

/// One cage. Its life: `entry`, `kill` until `is_empty`, `counters`, `remove`.
pub(crate) trait Cage: Send + Sync + fmt::Debug {
    /// The way in.
    fn entry(&self) -> Result<Entry, CageError>;

    /// Sends SIGKILL to everything inside. `worker` is given while it is not yet reaped, that
    /// is while its number cannot be another process's.
    fn kill(&self, worker: Option<Pid>) -> Result<(), CageError>;

    /// Whether nothing runs inside any more.
    fn is_empty(&self) -> Result<bool, CageError>;

    /// What the cage can tell; final once it is empty.
    fn counters(&self) -> Result<Counters, CageError>;

    /// Takes the cage away; it must be empty.
    fn remove(&self) -> Result<(), CageError>;
}

/// The strongest backend this host gives among those accepted, or why each was refused.
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

/// Which backends this host gives to this process, each tried for real and undone again.
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

/// Whether a kernel file or group is simply not there.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ENODEV as i32)
}
