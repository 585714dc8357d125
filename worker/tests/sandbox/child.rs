//! Runs one attempt in a child process and reports how it ended.
//!
//! The child is this program again, with a specification in its environment; it confines itself as
//! specified, makes the attempt, and prints the outcome to stdout.

use crate::{attempts, kernel, work};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::message::Prepare;
use bodyscript_protocol::options::LandmarkModel;
use bodyscript_protocol::sandbox_report::{Layer, LayerState, SandboxReport};
use bodyscript_worker::sandbox;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{self, Gid, Uid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const VARIABLE: &str = "BODYSCRIPT_SANDBOX_CHILD";
const SUCCEEDED: &str = "outcome: succeeded";
const FAILED: &str = "outcome: errno ";
const NOT_CONFINED: i32 = 66;

/// The task of a child, and the state in which it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChildSpec {
    task: String,
    user: User,
    layers: Vec<Layer>,
    required: Vec<Layer>,
    stage: Stage,
    host: Host,
}

/// How far the sandbox is closed before the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// After `confine_early`.
    Early,
    /// After `lock_down`.
    Closed,
}

/// The kind of host that the child runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Host {
    /// This one.
    Real,
    /// One without Landlock, namespaces, `close_range` and `mseal`.
    Limited,
    /// This one, but with a second thread in the process.
    Threaded,
}

/// The user that the child runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum User {
    /// uid 0 with its capabilities.
    Root,
    /// A user without any.
    Unprivileged,
}

impl User {
    /// The user that this test runs as.
    pub(crate) fn own() -> Self {
        if unistd::geteuid().is_root() { Self::Root } else { Self::Unprivileged }
    }

    /// The users that this test can run as.
    pub(crate) fn available() -> Vec<Self> {
        match Self::own() {
            Self::Root => vec![Self::Root, Self::Unprivileged],
            Self::Unprivileged => vec![Self::Unprivileged],
        }
    }
}

impl Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Unprivileged => "user",
        })
    }
}

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    Failed(i32),
    Killed(i32),
    /// The attempt ended the process with this status of a worker.
    Exited(WorkerExit),
    /// The sandbox could not be closed, so there was no attempt.
    NotConfined,
    /// The child exited without a valid outcome: the test is broken.
    Broken,
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => f.write_str("succeeds"),
            Self::Failed(errno) => write!(f, "{:?}", Errno::from_raw(*errno)),
            Self::Killed(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(signal) => f.write_str(signal.as_str()),
                Err(_) => write!(f, "signal {signal}"),
            },
            Self::Exited(exit) => write!(f, "{exit:?}"),
            Self::NotConfined => f.write_str("not confined"),
            Self::Broken => f.write_str("broken"),
        }
    }
}

/// The outcome of a child, with its output.
#[derive(Debug)]
pub(crate) struct ChildExit {
    pub(crate) outcome: Outcome,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl ChildSpec {
    pub(crate) fn new(task: &str, user: User) -> Self {
        let (layers, required) = (Vec::new(), Vec::new());
        Self { task: task.into(), user, layers, required, stage: Stage::Closed, host: Host::Real }
    }

    pub(crate) fn layers(self, layers: &[Layer]) -> Self {
        Self { layers: layers.to_vec(), ..self }
    }

    /// Every layer, and all that this kernel provides required.
    pub(crate) fn all_layers(self) -> Self {
        self.layers(&Layer::ALL).required(&kernel::provided())
    }

    pub(crate) fn required(self, required: &[Layer]) -> Self {
        Self { required: required.to_vec(), ..self }
    }

    pub(crate) fn until(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }

    pub(crate) fn on(self, host: Host) -> Self {
        Self { host, ..self }
    }

    /// The command of the child, with a folder for its files.
    pub(crate) fn command(&self, folder: &TempDir) -> Command {
        let spec = serde_json::to_string(self).expect("a specification is plain data");
        let anyone = Permissions::from_mode(0o777);
        fs::set_permissions(folder.path(), anyone).expect("the folder is ours");
        let program = std::env::current_exe().expect("a running program has a name");
        let mut command = Command::new(program);
        command
            .env(VARIABLE, spec)
            .env("TMPDIR", folder.path())
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs the child.
    pub(crate) fn run(&self) -> ChildExit {
        let folder = tempfile::tempdir().expect("the folder for temporary files is writable");
        let output = self.command(&folder).output().expect("this program can be run again");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let reported = stdout.lines().find_map(|line| match line.strip_prefix(FAILED) {
            Some(errno) => Some(Outcome::Failed(errno.parse().expect("an errno is a number"))),
            None => (line == SUCCEEDED).then_some(Outcome::Succeeded),
        });
        let outcome = match (output.status.signal(), output.status.code(), reported) {
            (Some(signal), _, _) => Outcome::Killed(signal),
            (None, Some(NOT_CONFINED), None) => Outcome::NotConfined,
            (None, Some(0), Some(outcome)) => outcome,
            (None, Some(code), None) if code == i32::from(WorkerExit::BadInput.code()) => {
                Outcome::Exited(WorkerExit::BadInput)
            }
            _ => Outcome::Broken,
        };
        ChildExit { outcome, stdout, stderr }
    }
}

/// Runs the task in the environment and exits; returns if there is none.
pub(crate) fn run_if_child() {
    let Ok(spec) = std::env::var(VARIABLE) else { return };
    let spec: ChildSpec = serde_json::from_str(&spec).expect("a specification");
    become_user(spec.user);
    let attempt = attempts::prepare(&spec.task).or_else(|| work::prepare(&spec.task));
    let attempt = attempt.unwrap_or_else(|| panic!("there is no task {:?}", spec.task));
    match spec.host {
        Host::Real => {}
        Host::Limited => deny_host_features(),
        Host::Threaded => drop(std::thread::spawn(|| {
            loop {
                std::thread::park()
            }
        })),
    }
    confine(&spec);
    match attempt() {
        Ok(()) => println!("{SUCCEEDED}"),
        Err(errno) => println!("{FAILED}{}", errno as i32),
    }
    std::process::exit(0);
}

fn become_user(user: User) {
    const UNPRIVILEGED_ID: u32 = 61_234;
    if user == User::own() {
        return;
    }
    let change_user = || {
        unistd::setgroups(&[])?;
        let (uid, gid) = (Uid::from_raw(UNPRIVILEGED_ID), Gid::from_raw(UNPRIVILEGED_ID));
        unistd::setresgid(gid, gid, gid)?;
        unistd::setresuid(uid, uid, uid)?;
        // As after exec by an unprivileged user.
        prctl::set_dumpable(true)
    };
    change_user().expect("root may change its user");
}

fn confine(spec: &ChildSpec) {
    let prepare = Prepare {
        version: bodyscript_protocol::PROTOCOL_VERSION,
        layers: spec.layers.clone(),
        layers_required: spec.required.clone(),
        user_id: 66_000,
        model: LandmarkModel::default(),
        warms_up: false,
    };
    let mut report = SandboxReport::default();
    let mut outcome = sandbox::confine_early(&prepare, &mut report);
    if spec.stage == Stage::Closed {
        outcome = outcome.and_then(|()| sandbox::lock_down(&prepare, &mut report));
    }
    for (layer, state) in &report.layers {
        match state {
            LayerState::Active(achieved) => println!("{}: active: {achieved}", layer.name()),
            LayerState::Unavailable(why) => println!("{}: unavailable: {why}", layer.name()),
            LayerState::Off => {}
        }
    }
    if let Err(error) = outcome {
        eprintln!("{error}");
        std::process::exit(NOT_CONFINED);
    }
}

/// Denies this process what an older or stricter host does not support.
fn deny_host_features() {
    let missing = [
        libc::SYS_landlock_create_ruleset,
        libc::SYS_close_range,
        libc::SYS_unshare,
        libc::SYS_mseal,
    ];
    let filter = SeccompFilter::new(
        missing.into_iter().map(|call| (call, Vec::new())).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        std::env::consts::ARCH.try_into().expect("a known architecture"),
    );
    let program = BpfProgram::try_from(filter.expect("a plain filter")).expect("a short filter");
    seccompiler::apply_filter(&program).expect("an unconfined process may confine itself");
}
