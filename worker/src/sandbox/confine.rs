//! The two steps of the confinement, layer by layer, in the order given in the module's
//! documentation.

use super::error::SandboxError;
use super::{
    capabilities, core_scheduling, descriptors, landlock, mdwe, mseal, namespaces, rlimits, seccomp,
};
use bodyscript_protocol::limits::TEXT_BYTES_MAX;
use bodyscript_protocol::message::Prepare;
use bodyscript_protocol::sandbox_report::{Layer, LayerState, SandboxReport};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{self, Pid};

/// Drops all rights but those that loading the models and the media framework needs.
///
/// To be called with every inherited descriptor still at its number, and one thread in the
/// process.
///
/// # Errors
/// A required layer is not available on this host, or the parent is gone.
pub fn confine_early(prepare: &Prepare, report: &mut SandboxReport) -> Result<(), SandboxError> {
    let parent = unistd::getppid();
    let mut setup = LayerSetup { prepare, report };
    setup.apply(Layer::Rlimits, rlimits::lower)?;
    setup.apply(Layer::Descriptors, descriptors::close_strays)?;
    setup.apply(Layer::NoNewPrivs, forbid_new_privileges)?;
    setup.apply(Layer::Mdwe, mdwe::refuse_exec_gain)?;
    setup.apply(Layer::CoreScheduling, core_scheduling::tag)?;
    // Before the namespaces: the user namespace is owned by the user that creates it.
    let identity = match setup.is_enabled(Layer::Capabilities) {
        true => capabilities::drop_root(prepare.user_id),
        false => capabilities::Identity::Kept,
    };
    setup.apply(Layer::Namespaces, namespaces::enter)?;
    if setup.is_active(Layer::Rlimits) && setup.is_active(Layer::Namespaces) {
        rlimits::limit_threads()?;
    }
    setup.apply(Layer::Capabilities, || capabilities::empty(identity))?;
    if setup.is_enabled(Layer::Landlock) {
        setup.require(Layer::Landlock, landlock::allow_libraries_only())?;
    }
    // Last: a change of credentials clears both.
    die_with(parent)?;
    prctl::set_dumpable(false).map_err(SandboxError::Dumpable)
}

/// Drops the rest: no file, no connection, and no system call that is not allowlisted.
///
/// To be called after [`confine_early`], with one thread in the process; threads started later
/// inherit everything.
///
/// # Errors
/// A required layer is not available on this host.
pub fn lock_down(prepare: &Prepare, report: &mut SandboxReport) -> Result<(), SandboxError> {
    let mut setup = LayerSetup { prepare, report };
    // Before Landlock: the list of mappings is a file.
    setup.apply(Layer::Mseal, mseal::seal_code)?;
    setup.apply(Layer::Landlock, landlock::deny_all)?;
    setup.apply(Layer::Seccomp, seccomp::install)
}

/// The requested layers and the state of each.
struct LayerSetup<'a> {
    prepare: &'a Prepare,
    report: &'a mut SandboxReport,
}

impl LayerSetup<'_> {
    fn is_enabled(&self, layer: Layer) -> bool {
        self.prepare.layers.contains(&layer)
    }

    fn is_active(&self, layer: Layer) -> bool {
        self.report.is_active(layer)
    }

    /// Applies a layer and records its state.
    fn apply(
        &mut self,
        layer: Layer,
        enforce: impl FnOnce() -> Result<String, SandboxError>,
    ) -> Result<(), SandboxError> {
        if !self.is_enabled(layer) {
            self.report.record(layer, LayerState::Off);
            return self.require(layer, Err(SandboxError::SwitchedOff));
        }
        match enforce() {
            Ok(achieved) => self.report.record(layer, LayerState::Active(truncate(achieved))),
            Err(error) => {
                let reason = truncate(error.to_string());
                self.report.record(layer, LayerState::Unavailable(reason));
                self.require(layer, Err(error))?;
            }
        }
        Ok(())
    }

    /// Turns a failure into an error if the layer is required.
    fn require(&self, layer: Layer, outcome: Result<(), SandboxError>) -> Result<(), SandboxError> {
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

/// Makes the kernel kill this process when the thread that started it ends (prctl(2)).
///
/// A parent that died before the call is detected by the changed parent; one that died even earlier
/// by the end of the pipe. So is the death of a parent without permission to signal this process,
/// which the kernel checks here too: root without `CAP_KILL` may not signal the overflow user.
fn die_with(parent: Pid) -> Result<(), SandboxError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(SandboxError::ParentDeath)?;
    if unistd::getppid() == parent { Ok(()) } else { Err(SandboxError::Orphaned) }
}

/// Truncates a text to the limit of a message.
fn truncate(mut text: String) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text.truncate(end);
    text
}
