//! Workers: how they are born, caged, watched and mourned.
//!
//! [`WorkerFactory`] holds what all workers share; `attempt` brings one to life with it. It must
//! never open a video, and never hand a worker a path.

use crate::runner::containment::cage::{CageBackend, CageError, CageRequired, Cages, choose};
use crate::runner::containment::orphans;
use crate::runner::containment::spawn::{self, Spawner};

use bodyscript_protocol::sandbox_report::Layer;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use procfs::process::Process;
use std::env;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// File of the person detector's model, below the models folder.
const DETECTOR_FILE: &str = "pose_detection.onnx";

/// File of the landmark model, below the models folder.
const LANDMARK_FILE: &str = "pose_landmark_full.onnx";

/// Ending of a model file that is ready to run.
const PACKED: &str = "packed";

/// Names the vector instructions that workers use, for tests and measurements.
pub(crate) const SIMD_VARIABLE: &str = "BODYSCRIPT_SIMD";

/// Libraries beside the worker program that take the place of two large ones, which a plug-in
/// names but no worker uses, and of the list of all codecs there are (docs/adr/0017).
const STAND_INS: [&str; 3] = ["libavfilter.so.8", "libavformat.so.59", "libbodyscript-codecs.so"];

/// How unlikely the kernel's OOM killer is to pick the supervisor, where it may say so.
const OOM_SCORE_ADJ: i16 = -900;

/// What a factory is opened with.
#[derive(Debug, Clone)]
pub struct WorkerFactorySettings {
    /// The program workers execute.
    pub worker_program: PathBuf,
    /// Where the model files are.
    pub models_dir: PathBuf,
    /// The weakest cage that is accepted.
    pub cage_required: CageRequired,
    /// The sandbox layers workers put on.
    pub layers: Vec<Layer>,
    /// The sandbox layers without which a worker refuses to start.
    pub layers_required: Vec<Layer>,
}

/// Why there is no factory: the operator's to mend.
#[derive(Debug, Error)]
pub enum WorkerFactoryError {
    /// The worker program cannot be executed.
    #[error("cannot execute the worker program {}: {source}", .path.display())]
    Program {
        /// The program.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A model cannot be opened.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The host gives no cage of the kind that is required.
    #[error("no cage as required (cage.required = \"{}\"): {}", .required.name(), reasons(.refused))]
    Cage {
        /// What is required.
        required: CageRequired,
        /// Each backend that would do, and why it does not.
        refused: Vec<(CageBackend, CageError)>,
    },
    /// The process cannot be a parent as it must be.
    #[error("cannot become the parent of what workers leave behind: {0}")]
    Adopt(#[source] Errno),
    /// The thread that starts workers could not be started.
    #[error("cannot start the spawner thread: {0}")]
    Spawner(#[source] io::Error),
}

/// A model file that cannot be opened.
#[derive(Debug, Error)]
#[error("cannot open the model {}: {source}", .path.display())]
pub struct ModelError {
    path: PathBuf,
    source: io::Error,
}

fn reasons(refused: &[(CageBackend, CageError)]) -> String {
    let reasons: Vec<_> = refused.iter().map(|(kind, why)| format!("{kind}: {why}")).collect();
    reasons.join("; ")
}

/// What is needed to start workers. Cheap to clone; the last one dropped removes our cgroups,
/// once the attempts that still run have ended.
#[derive(Debug, Clone)]
pub struct WorkerFactory {
    pub(crate) shop: Arc<FactoryParts>,
}

/// What the clones of a factory share. The order of the fields is the order of their end: no
/// birth may come after the cages are gone.
#[derive(Debug)]
pub(crate) struct FactoryParts {
    pub(crate) spawner: Spawner,
    pub(crate) cages: Box<dyn Cages>,
    pub(crate) program: CString,
    pub(crate) environment: Vec<CString>,
    pub(crate) detector: Model,
    pub(crate) landmark: Model,
    pub(crate) layers: Vec<Layer>,
    pub(crate) layers_required: Vec<Layer>,
}

impl WorkerFactory {
    /// Checks everything workers need, picks the strongest cage this host gives and sweeps what
    /// dead supervisors left of theirs.
    pub fn open(settings: &WorkerFactorySettings) -> Result<Self, WorkerFactoryError> {
        Self::open_accepting(settings, settings.cage_required.accepts())
    }

    /// As [`WorkerFactory::open`], with this kind of cage and no other.
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
        let detector = Model::open(settings.models_dir.join(DETECTOR_FILE))?;
        let landmark = Model::open(settings.models_dir.join(LANDMARK_FILE))?;
        orphans::adopt().map_err(WorkerFactoryError::Adopt)?;
        spawn::enable_child_notification().map_err(WorkerFactoryError::Adopt)?;
        let cages = choose(accepted).map_err(|refused| WorkerFactoryError::Cage {
            required: settings.cage_required,
            refused,
        })?;
        protect_from_oom();
        let shop = FactoryParts {
            spawner: Spawner::start().map_err(WorkerFactoryError::Spawner)?,
            cages,
            environment: environment(Path::new(OsStr::from_bytes(program.to_bytes()))),
            program,
            detector,
            landmark,
            layers: settings.layers.clone(),
            layers_required: settings.layers_required.clone(),
        };
        Ok(Self { shop: Arc::new(shop) })
    }

    /// What kind of cage workers are put in.
    pub fn cage_backend(&self) -> CageBackend {
        self.shop.cages.backend()
    }
}

/// The absolute path of a program, because a newborn leaves the working directory.
fn executable(program: &Path) -> Result<CString, WorkerFactoryError> {
    let error = |source| WorkerFactoryError::Program { path: program.to_owned(), source };
    let path = program.canonicalize().map_err(error)?;
    access(&path, AccessFlags::X_OK).map_err(|errno| error(errno.into()))?;
    CString::new(path.as_os_str().as_bytes()).map_err(|nul| error(nul.into()))
}

/// The whole environment of a worker. Two heaps: glibc's default of eight for each processor
/// reserves more address space than a cap allows. Large pictures are mapped one by one and given back at
/// once: by default glibc keeps ever larger pieces for itself.
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
    // Colons and blanks end a name in that list.
    let can_be_listed =
        |path: &PathBuf| path.exists() && path.to_str().is_some_and(|it| !it.contains([' ', ':']));
    if stand_ins.iter().all(can_be_listed) {
        let paths = stand_ins.map(|path| path.display().to_string());
        lines.push(format!("LD_PRELOAD={}", paths.join(":")));
    }
    lines.into_iter().filter_map(|line| CString::new(line).ok()).collect()
}

/// Asks the kernel to pick the supervisor last. That needs a privilege; without it the service
/// manager may have asked already, and workers volunteer in any case.
fn protect_from_oom() {
    let spared = Process::myself().and_then(|own| match own.oom_score_adj()? {
        score if score <= OOM_SCORE_ADJ => Ok(()),
        _ => own.set_oom_score_adj(OOM_SCORE_ADJ),
    });
    if let Err(error) = spared {
        tracing::debug!(%error, "the supervisor's own oom_score_adj stays as it is");
    }
}

/// A model, held open so that every worker gets the file that was there at the start.
#[derive(Debug)]
pub(crate) struct Model {
    path: PathBuf,
    file: File,
}

impl Model {
    /// The packed file beside an ONNX file, if there is one: workers start sooner with it, and
    /// have its weights in common.
    fn open(onnx: PathBuf) -> Result<Self, ModelError> {
        let packed = onnx.with_extension(PACKED);
        let path = if packed.exists() { packed } else { onnx };
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(ModelError { path, source }),
        }
    }

    /// The same file with an offset of its own: workers that share one would move each other's.
    pub(crate) fn reopen(&self) -> Result<File, ModelError> {
        File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
            .map_err(|source| ModelError { path: self.path.clone(), source })
    }
}
