//! A factory of fault workers, and checks that no process or cgroup is left.

use bodyscript::ExitReport;
use bodyscript::{Assignment, AttemptChannels, Deadlines, Live, Stop, WorkerSpec, run_attempt};
use bodyscript::{
    CageBackend, CageRequired, CapRequest, WorkerFactory, WorkerFactoryError, WorkerFactorySettings,
};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::{JobParameters, MediaLimits, OnLong};
use bodyscript_protocol::options::{LandmarkModel, Options};
use bodyscript_protocol::session::Phase;
use bodyscript_tests::report::skipped;
use nix::unistd::getsid;
use procfs::process::{Process, all_processes};
use std::fs;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const CAP: u64 = 64 * MIB;

/// One test at a time: each checks that its process has no children and no cgroups left.
static SERIAL: Mutex<()> = Mutex::new(());

pub(crate) fn run_exclusively() -> MutexGuard<'static, ()> {
    SERIAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A factory of fault workers.
pub(crate) struct Harness {
    pub(crate) factory: WorkerFactory,
    pub(crate) files: TempDir,
    _exclusive: MutexGuard<'static, ()>,
}

pub(crate) fn fault_worker() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_fault_worker"))
}

pub(crate) fn settings(files: &TempDir, worker_program: PathBuf) -> WorkerFactorySettings {
    for model in ["pose_detection.onnx", "pose_landmark_full.onnx"] {
        fs::write(files.path().join(model), model).expect("room for a file");
    }
    WorkerFactorySettings {
        worker_program,
        models_dir: files.path().to_owned(),
        cage_required: CageRequired::Any,
        layers: Vec::new(),
        layers_required: Vec::new(),
        user_ids: "66000-66999".parse().expect("a range"),
    }
}

/// A worker to be spawned and its assignment.
pub(crate) struct Task {
    pub(crate) spec: WorkerSpec,
    pub(crate) assignment: Assignment,
    /// Without a receiver there is no more memory.
    pub(crate) cap_requests: mpsc::UnboundedSender<CapRequest>,
}

impl Task {
    /// Runs an attempt whose worker has its assignment from the beginning.
    pub(crate) async fn run_attempt(
        self,
        factory: &WorkerFactory,
        live: watch::Sender<Live>,
        stop: oneshot::Receiver<Stop>,
    ) -> ExitReport {
        let (sender, assignment) = oneshot::channel();
        sender.send(self.assignment).expect("a listener");
        let channels = AttemptChannels { assignment, live, cap_requests: self.cap_requests, stop };
        run_attempt(factory, self.spec, channels).await
    }
}

impl Harness {
    /// With the strongest cage that this host provides.
    pub(crate) fn open() -> Self {
        Self::with(WorkerFactory::open)
    }

    pub(crate) fn rlimit() -> Self {
        Self::with(|settings| WorkerFactory::open_with_backend(settings, CageBackend::Rlimit))
    }

    /// With a cgroup; none, which is counted as a skip, where this host provides none.
    pub(crate) fn cgroup() -> Option<Self> {
        let harness = Self::open();
        if harness.factory.cage_backend() == CageBackend::Rlimit {
            skipped("cgroups", "this user gets none on this host");
            harness.close();
            return None;
        }
        Some(harness)
    }

    /// With a factory opened in some other way.
    pub(crate) fn with(
        open: impl FnOnce(&WorkerFactorySettings) -> Result<WorkerFactory, WorkerFactoryError>,
    ) -> Self {
        Self::of(fault_worker(), open)
    }

    /// With another program.
    pub(crate) fn of(
        program: PathBuf,
        open: impl FnOnce(&WorkerFactorySettings) -> Result<WorkerFactory, WorkerFactoryError>,
    ) -> Self {
        let exclusive = run_exclusively();
        let files = TempDir::new().expect("a folder");
        let factory = open(&settings(&files, program)).expect("a factory");
        Self { factory, files, _exclusive: exclusive }
    }

    pub(crate) fn task(&self, script: &str) -> Task {
        let spec = WorkerSpec {
            name: "01TEST".into(),
            memory_bytes_max: CAP,
            raised_bytes_max: 4 * CAP,
            deadlines: Deadlines {
                start: Duration::from_secs(20),
                progress: Duration::from_secs(20),
                wall: Duration::from_secs(60),
                cpu: Duration::from_secs(60),
                grace: Duration::from_millis(200),
            },
            model: LandmarkModel::default(),
            warms_up: false,
        };
        let (cap_requests, _) = mpsc::unbounded_channel();
        Task { spec, assignment: self.assignment(script), cap_requests }
    }

    pub(crate) fn assignment(&self, script: &str) -> Assignment {
        let mut video = tempfile::tempfile_in(self.files.path()).expect("a video");
        writeln!(video, "FAULT {script}").expect("room for a line");
        video.rewind().expect("a file");
        let file = || tempfile::tempfile_in(self.files.path()).expect("an artefact");
        Assignment {
            job: "01TEST".into(),
            number: 1,
            origin: bodyscript::Origin::NONE,
            video,
            artefacts: vec![(Artefact::Csv, file()), (Artefact::Json, file())],
            recording: None,
            parameters: JobParameters {
                options: Options::default(),
                limits: MediaLimits {
                    duration_ms_max: 10_000,
                    on_long: OnLong::Trim,
                    side_px_max: 8_192,
                    area_px_max: 8_192 * 4_320,
                    frame_rate_max: 120,
                },
                threads: std::num::NonZeroU32::MIN,
            },
            results_bytes_max: 1 << 30,
            poses: None,
        }
    }

    /// Runs an attempt to its end.
    pub(crate) async fn attempt(&self, task: Task) -> ExitReport {
        let (_stop, stopped) = oneshot::channel();
        task.run_attempt(&self.factory, watch::Sender::new(Live::default()), stopped).await
    }

    pub(crate) async fn run_script(&self, script: &str) -> ExitReport {
        self.attempt(self.task(script)).await
    }

    /// Runs an attempt and calls `interfere` once its worker executes its script.
    pub(crate) async fn interrupt(
        &self,
        script: &str,
        interfere: impl FnOnce(i32, oneshot::Sender<Stop>),
    ) -> ExitReport {
        let (stop, stopped) = oneshot::channel();
        let (sender, mut live) = watch::channel(Live::default());
        let attempt = self.task(script).run_attempt(&self.factory, sender, stopped);
        let interference = async {
            let running = live.wait_for(|live| live.phase == Phase::Running).await;
            let pid = running.expect("it runs").pid.expect("a running worker has a process id");
            interfere(pid, stop);
        };
        tokio::join!(attempt, interference).0
    }

    pub(crate) fn close(self) {
        let Self { factory, files, _exclusive } = self;
        drop(factory);
        drop(files);
        assert_eq!(orphans(), Vec::<String>::new(), "processes are left");
        assert_eq!(own_groups(), Vec::<PathBuf>::new(), "cgroups are left");
    }
}

pub(crate) fn send_stop(sender: oneshot::Sender<Stop>, stop: Stop) {
    sender.send(stop).expect("the attempt is running");
}

/// Processes whose parent is this one and whose session is another: workers and their orphans.
pub(crate) fn orphans() -> Vec<String> {
    let own_session = getsid(None).expect("a session").as_raw();
    let own = std::process::id() as i32;
    let stats =
        all_processes().expect("procfs").flatten().filter_map(|process| process.stat().ok());
    let orphans = stats.filter(|stat| stat.ppid == own && stat.session != own_session);
    orphans.map(|stat| format!("{} ({}) {}", stat.pid, stat.comm, stat.state)).collect()
}

/// Cgroups of this process, in all hierarchies.
pub(crate) fn own_groups() -> Vec<PathBuf> {
    cgroups_of(std::process::id() as i32)
}

pub(crate) fn cgroups_of(pid: i32) -> Vec<PathBuf> {
    let prefix = format!("bodyscript-{pid}-");
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name();
                if name.to_string_lossy().starts_with(&prefix) {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

pub(crate) fn is_alive(pid: i32) -> bool {
    Process::new(pid).is_ok()
}
