//! The worker's own confinement: what it gives up, in which order, before it reads the video.
//!
//! Called by `main` alone, in two steps around the loading of the models and of the media
//! framework, both while the process has one thread.
//!
//! ```text
//! confine_early   limits            setrlimit(2)
//!                 descriptors       close_range(2)
//!                 no new privileges prctl(2)
//!                 uid 0             given up for the overflow user
//!                 namespaces        unshare(2); the file tree is the system's libraries, read-only
//!                 capabilities      all sets empty
//!                 Landlock          nothing but the libraries can be read
//!                 parent's death    means the worker's
//!   (models are loaded, the media framework loads its plugins)
//! lock_down       Landlock          no file at all, no TCP, no signal to others
//!                 seccomp           only the listed system calls
//! ```
//!
//! Each layer is complete in itself: what one denies, another does too, so that a hole in one (or
//! a kernel without it) opens nothing. What became of each is recorded in the [`SandboxReport`], and a
//! layer the supervisor requires is an error when it cannot be had. A layer is never taken off.
//!
//! To find out which system call a new library version needs: `strace -f` the worker; the one
//! before SIGSYS is the one refused. The worker's last line on stderr names it too.

mod capabilities;
mod descriptors;
mod error;
mod landlock;
mod namespaces;
pub mod policy;
mod refusal;
mod report;
mod rlimits;
mod seccomp;
mod tree;

pub use error::SandboxError;
pub use refusal::REFUSAL_PREFIX;
pub use report::print_report;

use bodyscript_protocol::limits::TEXT_BYTES_MAX;
use bodyscript_protocol::message::Prepare;
use bodyscript_protocol::sandbox_report::{Layer, LayerState, SandboxReport};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{self, Pid};

/// Gives up everything but what loading the models and the media framework needs.
///
/// To be called with every inherited descriptor still at its number, and one thread in the
/// process.
///
/// # Errors
/// A required layer that this host does not give, or a parent that is gone.
pub fn confine_early(prepare: &Prepare, report: &mut SandboxReport) -> Result<(), SandboxError> {
    let parent = unistd::getppid();
    let mut fitting = Fitting { prepare, report };
    fitting.put_on(Layer::Rlimits, rlimits::lower)?;
    fitting.put_on(Layer::Descriptors, descriptors::close_strays)?;
    fitting.put_on(Layer::NoNewPrivs, forbid_new_privileges)?;
    // Before the namespaces: the user namespace belongs to whoever makes it.
    let identity = match fitting.wants(Layer::Capabilities) {
        true => capabilities::leave_root(),
        false => capabilities::Identity::Kept,
    };
    fitting.put_on(Layer::Namespaces, namespaces::enter)?;
    if fitting.has(Layer::Rlimits) && fitting.has(Layer::Namespaces) {
        rlimits::limit_threads()?;
    }
    fitting.put_on(Layer::Capabilities, || capabilities::empty(identity))?;
    if fitting.wants(Layer::Landlock) {
        fitting.insist(Layer::Landlock, landlock::allow_libraries_only())?;
    }
    // Last: a change of credentials clears both.
    die_with(parent)?;
    prctl::set_dumpable(false).map_err(SandboxError::Dumpable)
}

/// Gives up the rest: no file, no connection, and no system call that is not on the list.
///
/// To be called after [`confine_early`], with one thread in the process; threads started later
/// inherit everything.
///
/// # Errors
/// A required layer that this host does not give.
pub fn lock_down(prepare: &Prepare, report: &mut SandboxReport) -> Result<(), SandboxError> {
    let mut fitting = Fitting { prepare, report };
    fitting.put_on(Layer::Landlock, landlock::deny_all)?;
    fitting.put_on(Layer::Seccomp, seccomp::install)
}

/// What is wished for and what has come of it.
struct Fitting<'a> {
    prepare: &'a Prepare,
    report: &'a mut SandboxReport,
}

impl Fitting<'_> {
    fn wants(&self, layer: Layer) -> bool {
        self.prepare.layers.contains(&layer)
    }

    fn has(&self, layer: Layer) -> bool {
        self.report.is_active(layer)
    }

    /// Tries a layer and records what became of it.
    fn put_on(
        &mut self,
        layer: Layer,
        apply: impl FnOnce() -> Result<String, SandboxError>,
    ) -> Result<(), SandboxError> {
        if !self.wants(layer) {
            self.report.record(layer, LayerState::Off);
            return self.insist(layer, Err(SandboxError::SwitchedOff));
        }
        match apply() {
            Ok(achieved) => self.report.record(layer, LayerState::Active(cut(achieved))),
            Err(error) => {
                let reason = cut(error.to_string());
                self.report.record(layer, LayerState::Unavailable(reason));
                self.insist(layer, Err(error))?;
            }
        }
        Ok(())
    }

    /// Makes a failure an error if the layer is required.
    fn insist(&self, layer: Layer, outcome: Result<(), SandboxError>) -> Result<(), SandboxError> {
        match outcome {
            Err(cause) if self.prepare.layers_required.contains(&layer) => {
                Err(SandboxError::Required { layer: layer.name(), cause: Box::new(cause) })
            }
            _ => Ok(()),
        }
    }
}

fn forbid_new_privileges() -> Result<String, SandboxError> {
    prctl::set_no_new_privs().map_err(SandboxError::NoNewPrivs)?;
    Ok("exec grants nothing".into())
}

/// Has the kernel kill this process when the thread that started it ends (prctl(2)).
///
/// A parent that died before the call is noticed by the change of parents; one that dies earlier
/// than that by the end of its frames. So is one without the right to signal this process, which
/// the kernel asks for even then: root without `CAP_KILL` has none over nobody.
fn die_with(parent: Pid) -> Result<(), SandboxError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(SandboxError::ParentDeath)?;
    if unistd::getppid() == parent { Ok(()) } else { Err(SandboxError::Orphaned) }
}

/// Cuts a text to what one message may carry.
fn cut(mut text: String) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text.truncate(end);
    text
}
