//! What a worker that stands by does before its job comes: a small job of its own making, on the
//! same path, so that the real one finds code, memory and libraries in use. Called by `main`
//! alone, in the closed sandbox, before `Ready`; reads nothing that anybody else has made.
//!
//! ```text
//! own pictures -> VideoWriter -> clip -> Decoder -> run -> artefacts     all of it in memory
//! ```
//!
//! Nothing is left of it but warm memory: its files are gone when it ends, its messages are heard
//! by nobody, and its threads have ended. It breaks off, between two frames, once the supervisor
//! has said something or `PATIENCE` is over. One that hangs in a library ends the process
//! (`HANGS_AFTER`): it has no job yet that could be harmed.

use crate::channel::CancelFlag;
use crate::error::WorkerError;
use crate::handover::Artefacts;
use crate::picture::{Layout, Picture};
use crate::pose::Estimator;
use crate::pose::roi::Roi;
use crate::run::{self, Job};
use crate::video::{self, Colours, Decoder, EncodeSpec, FrameTime, VideoError, VideoWriter};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::message::{MediaLimits, OnLong, Start};
use bodyscript_protocol::options::Options;
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

/// Longest a rehearsal goes on.
const PATIENCE: Duration = Duration::from_secs(2);
/// When one that does not break off counts as hanging. Sooner than the supervisor's own deadline
/// for a start, so that the log says what it was.
const HANGS_AFTER: Duration = Duration::from_secs(8);
/// How often it is looked whether to break off.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Width and height of the pictures: a few blocks of the codecs each way, and cheap.
const SIZE: [u32; 2] = [320, 240];
/// A key frame and what refers to it.
const FRAMES: u32 = 3;
const FRAMES_PER_S: u32 = 30;

/// Why there was no rehearsal, or not all of it.
#[derive(Debug, Error)]
pub enum RehearsalError {
    /// The host gives no files in memory.
    #[error("no files in memory: {0}")]
    Files(#[source] io::Error),
    /// Nobody would notice that it hangs.
    #[error("its watch cannot be started: {0}")]
    Watch(#[source] io::Error),
    /// It did not go well.
    #[error(transparent)]
    Job(#[from] WorkerError),
}

/// Files in memory for one rehearsal.
#[derive(Debug)]
pub struct Stage {
    clip: File,
    artefacts: Artefacts,
}

impl Stage {
    /// Makes the files. To be called before the sandbox closes, which forbids it.
    ///
    /// # Errors
    /// [`RehearsalError::Files`].
    pub fn set() -> Result<Self, RehearsalError> {
        let formats = Options::default().formats;
        let artefacts = formats.iter().map(|artefact| Ok((artefact, file_in_memory()?)));
        let artefacts = artefacts.collect::<Result<_, RehearsalError>>()?;
        Ok(Self { clip: file_in_memory()?, artefacts })
    }

    /// Goes through a whole job.
    ///
    /// # Errors
    /// As of a job, or it was broken off ([`WorkerError::Cancelled`]).
    pub fn rehearse(self, estimator: &Estimator) -> Result<(), RehearsalError> {
        let watch = Watch::start([PATIENCE, HANGS_AFTER], hangs).map_err(RehearsalError::Watch)?;
        let rehearsed = self.play(estimator, &watch.break_off);
        drop(watch);
        video::keep_no_threads();
        Ok(rehearsed?)
    }

    fn play(self, estimator: &Estimator, cancelled: &CancelFlag) -> Result<(), WorkerError> {
        let start = start();
        let picture = film(&self.clip)?;
        if cancelled.is_raised() {
            return Err(WorkerError::Cancelled);
        }
        // The second network does not run where nobody is seen.
        let [width, height] = SIZE;
        estimator.landmarks(&picture, &Roi::letterbox(width, height))?;
        let decoder = Decoder::open(self.clip.into(), &start.limits)?;
        let job = Job { start: &start, estimator, cancelled };
        run::run(&job, decoder, self.artefacts, &mut |_| Ok(())).map(drop)
    }
}

fn file_in_memory() -> Result<File, RehearsalError> {
    let file = memfd_create("rehearsal", MFdFlags::MFD_CLOEXEC);
    file.map(File::from).map_err(|errno| RehearsalError::Files(errno.into()))
}

/// The job that is rehearsed.
fn start() -> Start {
    let options = Options::default();
    let [width, height] = SIZE;
    Start {
        job: "rehearsal".into(),
        options,
        limits: MediaLimits {
            duration_ms_max: 1000,
            on_long: OnLong::Trim,
            side_px_max: width.max(height),
            area_px_max: width * height,
            frame_rate_max: FRAMES_PER_S,
        },
        artefacts: options.formats.iter().collect(),
        threads: NonZeroU32::MIN,
    }
}

/// Writes the video of the job; its last picture.
fn film(clip: &File) -> Result<Picture, VideoError> {
    let [width, height] = SIZE;
    let mut picture = Picture::new(Layout { width, height, ..Layout::default() });
    let spec = EncodeSpec {
        width,
        height,
        frame_rate: (FRAMES_PER_S, 1),
        colours: Colours::assumed(height),
        duration_max: Duration::from_secs(1),
    };
    let out = clip.try_clone().map_err(VideoError::Read)?;
    let mut writer = VideoWriter::create(out.into(), &spec)?;
    for frame in 0..FRAMES {
        // Stripes that move: the encoder has something to look for.
        for plane in picture.planes_mut() {
            for (at, sample) in plane.iter_mut().enumerate() {
                *sample = ((at / 5) as u32 * 7 + frame * 21) as u8;
            }
        }
        let pts = Duration::from_secs(frame.into()) / FRAMES_PER_S;
        writer.write(&picture, FrameTime { pts })?;
    }
    writer.finish()?;
    Ok(picture)
}

/// Has a rehearsal break off when it is to, and notices one that does not. Its thread ends with it.
struct Watch {
    break_off: CancelFlag,
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches a rehearsal that goes on for so long at most, and is `late` after the second time.
    fn start(patience: [Duration; 2], late: fn()) -> io::Result<Self> {
        let break_off = CancelFlag::default();
        let flag = break_off.clone();
        let (over, is_over) = channel();
        let watch = move || watch(&is_over, &flag, patience, late);
        let thread = Builder::new().name("rehearsal".into()).spawn(watch)?;
        Ok(Self { break_off, over: Some(over), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.over.take());
        // It does not panic, and there would be nobody to tell.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(is_over: &Receiver<()>, flag: &CancelFlag, patience: [Duration; 2], late: fn()) {
    let begun = Instant::now();
    while is_over.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        if begun.elapsed() > patience[0] || is_spoken_to() {
            flag.raise();
        }
        if begun.elapsed() > patience[1] {
            return late();
        }
    }
}

/// Whether the supervisor has said something, or is gone.
fn is_spoken_to() -> bool {
    let stdin = io::stdin();
    let mut word = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut word, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

fn hangs() {
    tracing::error!("the rehearsal hangs");
    std::process::exit(WorkerExit::Media.code().into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::artefact::Artefact;
    use std::io::Read;
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    fn estimator() -> Estimator {
        video::init().expect("GStreamer initialises");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let open = |name: &str| File::open(folder.join(name)).expect("a model");
        let models = ["pose_detection.onnx", "pose_landmark_full.onnx"].map(open);
        let [detector, landmarks] = models;
        Estimator::load(detector, landmarks).expect("both load")
    }

    /// A stage, and the files of it once more.
    fn stage() -> (Stage, Vec<(Artefact, File)>) {
        let file = || file_in_memory().expect("a file in memory");
        let files: Vec<_> = Options::default().formats.iter().map(|one| (one, file())).collect();
        let again = |(one, file): &(Artefact, File)| (*one, file.try_clone().expect("a handle"));
        (Stage { clip: file(), artefacts: files.iter().map(again).collect() }, files)
    }

    #[test]
    fn a_rehearsal_writes_all_that_a_job_does() {
        let (stage, files) = stage();
        stage.play(&estimator(), &CancelFlag::default()).expect("it goes well");
        for (artefact, file) in files {
            let mut bytes = vec![0; file.metadata().expect("a file").len() as usize];
            file.read_exact_at(&mut bytes, 0).expect("its bytes");
            let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
            match artefact {
                Artefact::Video | Artefact::Preview => assert!(has(b"moov") && has(b"mdat")),
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
    fn a_rehearsal_that_is_to_break_off_does_and_leaves_the_files_unfinished() {
        let (stage, files) = stage();
        let flag = CancelFlag::default();
        flag.raise();
        let broken = stage.play(&estimator(), &flag);
        assert!(matches!(broken, Err(WorkerError::Cancelled)), "{broken:?}");
        for (artefact, mut file) in files {
            let read = file.read(&mut [0]).expect("a file");
            assert_eq!(read, 0, "{artefact:?} was begun");
        }
    }

    #[test]
    fn a_rehearsal_is_told_to_break_off_and_one_that_hangs_is_noticed() {
        static NOTICED: std::sync::Mutex<Option<Instant>> = std::sync::Mutex::new(None);
        let patience = [Duration::from_millis(20), Duration::from_millis(200)];
        let watch = Watch::start(patience, || {
            *NOTICED.lock().expect("nobody panics") = Some(Instant::now());
        });
        let watch = watch.expect("a thread");
        let begun = Instant::now();
        while !watch.break_off.is_raised() {
            std::thread::yield_now();
        }
        assert!(begun.elapsed() >= patience[0] || is_spoken_to());
        while NOTICED.lock().expect("nobody panics").is_none() {
            std::thread::yield_now();
        }
        assert!(begun.elapsed() >= patience[1]);
    }
}
