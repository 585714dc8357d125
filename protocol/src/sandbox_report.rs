//! The layers of a worker's sandbox and the state of each, as the worker reports them.

use serde::{Deserialize, Serialize};

/// One layer of the sandbox a worker enables for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Resource limits (setrlimit(2)).
    Rlimits,
    /// No descriptor beyond the inherited ones.
    Descriptors,
    /// `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivs,
    /// User, PID, network, mount, IPC and UTS namespaces (namespaces(7)).
    Namespaces,
    /// All capability sets empty (capabilities(7)).
    Capabilities,
    /// No file access (landlock(7)).
    Landlock,
    /// System calls restricted (seccomp(2)).
    Seccomp,
    /// No memory becomes executable (`PR_SET_MDWE`).
    Mdwe,
    /// Code and constants stay mapped as they are (mseal(2)).
    Mseal,
    /// No processor core shared with other processes (PR_SCHED_CORE(2const)).
    CoreScheduling,
}

impl Layer {
    /// Every layer, in the order in which they are enabled.
    pub const ALL: [Self; 10] = [
        Self::Rlimits,
        Self::Descriptors,
        Self::NoNewPrivs,
        Self::Mdwe,
        Self::CoreScheduling,
        Self::Namespaces,
        Self::Capabilities,
        Self::Mseal,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// The layers that are applied by default: all but core scheduling, which costs speed.
    pub const DEFAULT: [Self; 9] = [
        Self::Rlimits,
        Self::Descriptors,
        Self::NoNewPrivs,
        Self::Mdwe,
        Self::Namespaces,
        Self::Capabilities,
        Self::Mseal,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// The name in reports and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rlimits => "rlimits",
            Self::Descriptors => "descriptors",
            Self::NoNewPrivs => "no_new_privs",
            Self::Namespaces => "namespaces",
            Self::Capabilities => "capabilities",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Mdwe => "mdwe",
            Self::Mseal => "mseal",
            Self::CoreScheduling => "core_scheduling",
        }
    }
}

/// The state of one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LayerState {
    /// In force, with what was achieved ("ABI 7", "user, net, ipc").
    Active(String),
    /// This host does not provide it, with the reason.
    Unavailable(String),
    /// Switched off by configuration.
    Off,
}

/// The sandbox of one worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// One entry for each configured layer.
    pub layers: Vec<(Layer, LayerState)>,
}

impl SandboxReport {
    /// Records the state of a layer.
    pub fn record(&mut self, layer: Layer, state: LayerState) {
        self.layers.push((layer, state));
    }

    /// Whether the layer is in force.
    pub fn is_active(&self, layer: Layer) -> bool {
        self.layers.iter().any(|(l, s)| *l == layer && matches!(s, LayerState::Active(_)))
    }

    /// The names of the layers in force, for a log line.
    pub fn summary(&self) -> String {
        let active = self.layers.iter().filter(|(layer, _)| self.is_active(*layer));
        let names: Vec<_> = active.map(|(layer, _)| layer.name()).collect();
        if names.is_empty() { "none".into() } else { names.join(", ") }
    }
}
