//! The worker's own confinement: which rights it drops, in which order, before it reads the
//! video.
//!
//! Called by `main` alone, in two steps around the loading of the models and of the media
//! framework, both while the process has one thread.
//!
//! ```text
//! confine_early   limits            setrlimit(2)
//!                 descriptors       close_range(2)
//!                 no new privileges prctl(2)
//!                 executable memory none is gained (PR_SET_MDWE)
//!                 core scheduling   no core shared with others, if configured (PR_SCHED_CORE)
//!                 uid 0             replaced by a user of the worker's own
//!                 namespaces        unshare(2); the file tree is the system's libraries, read-only
//!                 capabilities      all sets empty
//!                 Landlock          nothing but the libraries can be read
//!                 parent's death    kills the worker
//!   (models are loaded, the media framework loads its plugins)
//! lock_down       seals             code and constants stay mapped as they are (mseal)
//!                 Landlock          no file at all, no TCP, no signal to others
//!                 seccomp           only the listed system calls
//! ```
//!
//! The layers overlap: what one denies, another denies as well, so that a hole in one (or a kernel
//! without it) opens nothing. The state of each is recorded in the `SandboxReport`, and a layer that
//! the supervisor requires is an error when it is not available. A layer is never removed.
//!
//! To find out which system call a new library version needs: `strace -f` the worker; the call
//! before SIGSYS is the refused one. The worker's last line on stderr names it too.

mod capabilities;
mod confine;
mod core_scheduling;
mod descriptors;
mod error;
mod landlock;
mod mdwe;
mod mseal;
mod namespaces;
pub mod policy;
mod report;
mod rlimits;
mod root_fs;
mod seccomp;
mod sigsys_handler;

pub use confine::{confine_early, lock_down};
pub use error::SandboxError;
pub use report::print_report;
pub use sigsys_handler::REFUSAL_PREFIX;
