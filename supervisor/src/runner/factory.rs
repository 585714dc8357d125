//! What all workers share: program, models, cages and the spawner thread.
//!
//! [`WorkerFactory`] checks it once at the start; `attempt` spawns workers with it. It never opens
//! a video and never passes a path to a worker.

use crate::runner::containment::cage::{CageBackend, CageError, CageRequired, Cages, choose};
use crate::runner::containment::orphans;
use crate::runner::containment::spawn::{self, Spawner};
use crate::runner::models::{InstalledModels, ModelError, Models};
use crate::runner::worker_users::{UserIds, WorkerUsers};

use bodyscript_protocol::sandbox_report::Layer;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use procfs::process::Process;
use std::env;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Selects the vector instructions of workers, for tests and measurements.
pub(crate) const SIMD_VARIABLE: &str = "BODYSCRIPT_SIMD";

/// Libraries beside the worker program, preloaded in place of two large ones that a plug-in links
/// but no worker uses, and of a list of all codecs (docs/adr/0017).
const STAND_INS: [&str; 3] = ["libavfilter.so.8", "libavformat.so.59", "libbodyscript-codecs.so"];

/// The supervisor's `oom_score_adj`: the OOM killer picks it late.
const OOM_SCORE_ADJ: i16 = -900;

/// Settings of a [`WorkerFactory`].
#[derive(Debug, Clone)]
pub struct WorkerFactorySettings {
    /// The worker program.
    pub worker_program: PathBuf,
    /// The folder of the model files.
    pub models_dir: PathBuf,
    /// The weakest cage that is accepted.
    pub cage_required: CageRequired,
    /// The sandbox layers that workers apply.
    pub layers: Vec<Layer>,
    /// The sandbox layers without which a worker refuses to start.
    pub layers_required: Vec<Layer>,
    /// The users that workers become if the service runs as root.
    pub user_ids: UserIds,
}

/// Why there is no factory; an operator has to solve it.
#[derive(Debug, Error)]
pub enum WorkerFactoryError {
    /// The worker program cannot be executed.
    #[error("cannot execute the worker program {}: {source}", .path.display())]
    Program {
        /// Its path.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// A model cannot be opened.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The host provides no cage of the required kind.
    #[error("no cage as required (cage.required = \"{}\"): {}", .required.name(), reasons(.refused))]
    Cage {
        /// The configured requirement.
        required: CageRequired,
        /// Each acceptable backend, and why it is unavailable.
        refused: Vec<(CageBackend, CageError)>,
    },
    /// The process cannot become a subreaper or be notified of exits.
    #[error("cannot adopt the orphaned processes of workers: {0}")]
    BecomeParent(#[source] Errno),
    /// The spawner thread could not be started.
    #[error("cannot start the spawner thread: {0}")]
    Spawner(#[source] io::Error),
}

fn reasons(refused: &[(CageBackend, CageError)]) -> String {
    let reasons: Vec<_> =
        refused.iter().map(|(backend, error)| format!("{backend}: {error}")).collect();
    reasons.join("; ")
}

/// What is needed to spawn workers. Cheap to clone; dropping the last clone removes the
/// supervisor's cgroups, once running attempts have ended.
#[derive(Debug, Clone)]
pub struct WorkerFactory {
    pub(crate) parts: Arc<FactoryParts>,
}

/// What the clones of a factory share. Fields are dropped in this order: the spawner stops before
/// the cages are removed.
#[derive(Debug)]
pub(crate) struct FactoryParts {
    pub(crate) spawner: Spawner,
    pub(crate) cages: Box<dyn Cages>,
    pub(crate) program: CString,
    pub(crate) environment: Vec<CString>,
    pub(crate) models: Models,
    pub(crate) layers: Vec<Layer>,
    pub(crate) layers_required: Vec<Layer>,
    pub(crate) users: Arc<WorkerUsers>,
}

impl WorkerFactory {
    /// Checks everything that workers need, picks the strongest cage of this host and removes the
    /// cgroups of dead supervisors.
    pub fn open(settings: &WorkerFactorySettings) -> Result<Self, WorkerFactoryError> {
        Self::open_accepting(settings, settings.cage_required.accepts())
    }

    /// As [`WorkerFactory::open`], with this kind of cage only.
    pub fn open_with_backend(
        settings: &WorkerFactorySettings,
        backend: CageBackend,
    ) -> Result<Self, WorkerFactoryError> {
        Self::open_accepting(settings, &[backend])
    }

    fn open_accepting(
        settings: &WorkerFactorySettings,
        accepted: &[CageBackend],
    ) -> Result<Self, WorkerFactoryError> {
        let program = executable(&settings.worker_program)?;
        let models = Models::open(&settings.models_dir)?;
        orphans::become_subreaper().map_err(WorkerFactoryError::BecomeParent)?;
        spawn::enable_child_notification().map_err(WorkerFactoryError::BecomeParent)?;
        let cages = choose(accepted).map_err(|refused| WorkerFactoryError::Cage {
            required: settings.cage_required,
            refused,
        })?;
        protect_from_oom();
        let parts = FactoryParts {
            spawner: Spawner::start().map_err(WorkerFactoryError::Spawner)?,
            cages,
            environment: environment(Path::new(OsStr::from_bytes(program.to_bytes()))),
            program,
            models,
            layers: settings.layers.clone(),
            layers_required: settings.layers_required.clone(),
            users: WorkerUsers::new(settings.user_ids),
        };
        Ok(Self { parts: Arc::new(parts) })
    }

    /// What workers together get less of than the supervisor while it is scarce.
    pub fn shared_by_weight(&self) -> Vec<&'static str> {
        self.parts.cages.shared_by_weight()
    }

    /// The landmark models that jobs can choose.
    pub(crate) fn installed_models(&self) -> InstalledModels {
        self.parts.models.installed()
    }

    /// The kind of cage that workers run in.
    pub fn cage_backend(&self) -> CageBackend {
        self.parts.cages.backend()
    }
}

/// The absolute path of the program, because the child changes its working directory before exec.
fn executable(program: &Path) -> Result<CString, WorkerFactoryError> {
    let error = |source| WorkerFactoryError::Program { path: program.to_owned(), source };
    let path = program.canonicalize().map_err(error)?;
    access(&path, AccessFlags::X_OK).map_err(|errno| error(errno.into()))?;
    CString::new(path.as_os_str().as_bytes()).map_err(|nul| error(nul.into()))
}

/// The whole environment of a worker. Two heaps: glibc's default of eight per processor reserves
/// more address space than a cap allows. A fixed threshold has each large image mapped alone and
/// returned to the kernel when freed; by default glibc raises it and keeps the memory.
fn environment(program: &Path) -> Vec<CString> {
    let log = env::var("BODYSCRIPT_LOG").unwrap_or_else(|_| "warn".into());
    let mut lines = vec![
        "LANG=C.UTF-8".into(),
        "MALLOC_ARENA_MAX=2".into(),
        format!("BODYSCRIPT_LOG={log}"),
        "MALLOC_MMAP_THRESHOLD_=4194304".into(),
    ];
    if let Ok(isa) = env::var(SIMD_VARIABLE) {
        lines.push(format!("{SIMD_VARIABLE}={isa}"));
    }
    let stand_ins = STAND_INS.map(|name| program.with_file_name(name));
    // Colons and blanks separate the names in LD_PRELOAD.
    let is_listable =
        |path: &PathBuf| path.exists() && path.to_str().is_some_and(|it| !it.contains([' ', ':']));
    if stand_ins.iter().all(is_listable) {
        let paths = stand_ins.map(|path| path.display().to_string());
        lines.push(format!("LD_PRELOAD={}", paths.join(":")));
    }
    lines.into_iter().filter_map(|line| CString::new(line).ok()).collect()
}

/// Makes the OOM killer pick the supervisor last. That needs a privilege; without it the service
/// manager may have set the score, and workers raise their own in any case.
fn protect_from_oom() {
    let lowered = Process::myself().and_then(|own| match own.oom_score_adj()? {
        score if score <= OOM_SCORE_ADJ => Ok(()),
        _ => own.set_oom_score_adj(OOM_SCORE_ADJ),
    });
    if let Err(error) = lowered {
        tracing::debug!(%error, "cannot lower the supervisor's own oom_score_adj");
    }
}
