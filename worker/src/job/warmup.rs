//! The warm-up of a pooled worker: a small synthetic job on the same code path, so that the real
//! job finds code, memory and libraries already loaded. Called by `main` alone, in the closed
//! sandbox, before `Ready`; reads no data from outside the process.
//!
//! ```text
//! generated pictures -> VideoWriter -> clip -> Decoder -> run -> artefacts     all in memory
//! ```
//!
//! Only warm memory remains of it: its files are dropped when it ends, its messages are not sent,
//! and its threads have ended. It is cancelled, between two frames, once the supervisor sends a
//! message or after `DURATION_MAX`. A warm-up that hangs in a library ends the process
//! (`HANG_TIMEOUT`): there is no job yet that this could harm.

use super::error::WorkerError;
use super::pass::Job;
use super::run::run;
use crate::ipc::CancelFlag;
use crate::output::ArtefactFiles;
use crate::picture::Picture;
use crate::pose::{Estimator, Roi};
use crate::video::{self, ProbedVideo, SyntheticClip, VideoError};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::message::{JobParameters, MediaLimits, OnLong, Start};
use bodyscript_protocol::options::{Options, Part};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Longest duration of a warm-up.
const DURATION_MAX: Duration = Duration::from_secs(2);
/// When a warm-up that does not stop counts as hanging. Shorter than the supervisor's own deadline
/// for a start, so that the log names the cause.
const HANG_TIMEOUT: Duration = Duration::from_secs(8);
/// How often the watchdog checks whether to cancel.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Width and height of the pictures: a few blocks of the codecs each way, and cheap.
const SIZE: [u32; 2] = [320, 240];
/// A key frame and frames that refer to it.
const FRAMES: u32 = 3;
const FRAMES_PER_S: u32 = 30;

/// Why a warm-up did not complete.
#[derive(Debug, Error)]
pub enum WarmupError {
    /// The host does not support files in memory.
    #[error("cannot create files in memory: {0}")]
    Files(#[source] io::Error),
    /// The thread that detects a hang cannot be started.
    #[error("cannot start the watchdog: {0}")]
    Watchdog(#[source] io::Error),
    /// The job failed.
    #[error(transparent)]
    Job(#[from] WorkerError),
}

/// The in-memory files of one warm-up.
#[derive(Debug)]
pub struct Warmup {
    clip: File,
    artefacts: ArtefactFiles,
}

impl Warmup {
    /// Creates the files. To be called before the sandbox closes, which forbids it.
    ///
    /// # Errors
    /// [`WarmupError::Files`].
    pub fn prepare() -> Result<Self, WarmupError> {
        let formats = Options::default().formats;
        let artefacts = formats.iter().map(|artefact| Ok((artefact, file_in_memory()?)));
        let artefacts = artefacts.collect::<Result<_, WarmupError>>()?;
        Ok(Self { clip: file_in_memory()?, artefacts })
    }

    /// Runs a whole job.
    ///
    /// # Errors
    /// Those of a job, and [`WorkerError::Cancelled`] if it was cancelled.
    pub fn run(self, estimator: &Estimator) -> Result<(), WarmupError> {
        let watchdog = Watchdog::start([DURATION_MAX, HANG_TIMEOUT], on_hang)
            .map_err(WarmupError::Watchdog)?;
        let result = self.run_job(estimator, &watchdog.cancel);
        drop(watchdog);
        video::stop_idle_threads();
        Ok(result?)
    }

    fn run_job(self, estimator: &Estimator, cancelled: &CancelFlag) -> Result<(), WorkerError> {
        let start = start();
        let picture = write_clip(&self.clip)?;
        if cancelled.is_raised() {
            return Err(WorkerError::Cancelled);
        }
        // The pipeline does not run the second network where no person is detected.
        let [width, height] = SIZE;
        estimator.landmarks(&picture, &Roi::letterbox(width, height));
        let video = ProbedVideo::open(self.clip.into(), &start.parameters.limits, Part::default())?;
        let job = Job { start: &start, estimator, cancelled };
        run(&job, video, (self.artefacts, None), &mut |_| Ok(())).map(drop)
    }
}

fn file_in_memory() -> Result<File, WarmupError> {
    let file = memfd_create("warm-up", MFdFlags::MFD_CLOEXEC);
    file.map(File::from).map_err(|errno| WarmupError::Files(errno.into()))
}

/// The description of the warm-up job.
fn start() -> Start {
    let options = Options::default();
    let [width, height] = SIZE;
    Start {
        job: "warm-up".into(),
        parameters: JobParameters {
            options,
            limits: MediaLimits {
                duration_ms_max: 1000,
                on_long: OnLong::Trim,
                side_px_max: width.max(height),
                area_px_max: width * height,
                frame_rate_max: FRAMES_PER_S,
            },
            threads: NonZeroU32::MIN,
        },
        artefacts: options.formats.iter().collect(),
    }
}

/// Writes the video of the job; returns its last picture.
fn write_clip(file: &File) -> Result<Picture, VideoError> {
    let clip = SyntheticClip { size: SIZE, frame_rate: FRAMES_PER_S, frames: FRAMES };
    let out = file.try_clone().map_err(VideoError::Read)?;
    clip.write(out.into(), |picture, frame| {
        // Moving stripes, so that the encoder searches for motion.
        for plane in picture.planes_mut() {
            for (at, sample) in plane.iter_mut().enumerate() {
                *sample = ((at / 5) as u32 * 7 + frame * 21) as u8;
            }
        }
    })
}

/// Cancels a warm-up in time, and detects one that does not stop. Its thread ends when dropped.
struct Watchdog {
    cancel: CancelFlag,
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Cancels after the first timeout, and calls `on_hang` after the second.
    fn start(timeouts: [Duration; 2], on_hang: fn()) -> io::Result<Self> {
        let cancel = CancelFlag::default();
        let flag = cancel.clone();
        let (done, is_done) = channel();
        let watch = move || watch(&is_done, &flag, timeouts, on_hang);
        let thread = Builder::new().name("watchdog".into()).spawn(watch)?;
        Ok(Self { cancel, done: Some(done), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.done.take());
        // The thread does not panic, and an error could not be reported here.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(is_done: &Receiver<()>, flag: &CancelFlag, timeouts: [Duration; 2], on_hang: fn()) {
    let start = Instant::now();
    while is_done.recv_timeout(POLL_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        if start.elapsed() > timeouts[0] || has_input() {
            flag.raise();
        }
        if start.elapsed() > timeouts[1] {
            return on_hang();
        }
    }
}

/// Whether the supervisor has sent a message, or closed its end.
fn has_input() -> bool {
    let stdin = io::stdin();
    let mut input = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut input, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

fn on_hang() {
    tracing::error!("the warm-up hangs");
    std::process::exit(WorkerExit::Media.code().into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::artefact::Artefact;
    use bodyscript_protocol::options::LandmarkModel;
    use std::io::Read;
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    fn estimator() -> Estimator {
        video::init().expect("GStreamer initialises");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let open = |name: &str| File::open(folder.join(name)).expect("a model");
        let models = ["pose_detection.onnx", "pose_landmark_full.onnx"].map(open);
        let [detector, landmarks] = models;
        Estimator::load(detector, (LandmarkModel::Full, landmarks)).expect("both load")
    }

    /// A warm-up, and second handles on its files.
    fn warmup() -> (Warmup, Vec<(Artefact, File)>) {
        let file = || file_in_memory().expect("a file in memory");
        let files: Vec<_> = Options::default().formats.iter().map(|one| (one, file())).collect();
        let again = |(one, file): &(Artefact, File)| (*one, file.try_clone().expect("a handle"));
        (Warmup { clip: file(), artefacts: files.iter().map(again).collect() }, files)
    }

    #[test]
    fn a_warm_up_writes_every_artefact() {
        let (warmup, files) = warmup();
        warmup.run_job(&estimator(), &CancelFlag::default()).expect("it succeeds");
        for (artefact, file) in files {
            let mut bytes = vec![0; file.metadata().expect("a file").len() as usize];
            file.read_exact_at(&mut bytes, 0).expect("its bytes");
            let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
            match artefact {
                Artefact::Video | Artefact::Clean | Artefact::Preview => {
                    assert!(has(b"moov") && has(b"mdat"))
                }
                Artefact::Thumbnail => assert!(has(b"\xff\xd8\xff")),
                Artefact::Csv => {
                    let rows = bytes.iter().filter(|byte| **byte == b'\n').count();
                    assert_eq!(rows, 1 + FRAMES as usize * 33);
                }
                _ => assert!(has(b"frames"), "{artefact:?}"),
            }
        }
    }

    #[test]
    fn a_cancelled_warm_up_stops_and_writes_nothing() {
        let (warmup, files) = warmup();
        let flag = CancelFlag::default();
        flag.raise();
        let result = warmup.run_job(&estimator(), &flag);
        assert!(matches!(result, Err(WorkerError::Cancelled)), "{result:?}");
        for (artefact, mut file) in files {
            let read = file.read(&mut [0]).expect("a file");
            assert_eq!(read, 0, "{artefact:?} was written");
        }
    }

    #[test]
    fn the_watchdog_cancels_after_the_first_timeout_and_reports_a_hang_after_the_second() {
        static REPORTED: std::sync::Mutex<Option<Instant>> = std::sync::Mutex::new(None);
        let timeouts = [Duration::from_millis(20), Duration::from_millis(200)];
        let watchdog = Watchdog::start(timeouts, || {
            *REPORTED.lock().expect("no holder panics") = Some(Instant::now());
        });
        let watchdog = watchdog.expect("a thread");
        let start = Instant::now();
        while !watchdog.cancel.is_raised() {
            std::thread::yield_now();
        }
        assert!(start.elapsed() >= timeouts[0] || has_input());
        while REPORTED.lock().expect("no holder panics").is_none() {
            std::thread::yield_now();
        }
        assert!(start.elapsed() >= timeouts[1]);
    }
}
