//! A run in two passes: the first finds the people and records their poses; the second, which knows
//! all of them, writes the results. It decodes the video again if pictures are requested.
//!
//! ```text
//! decoder -> tracker, head search -> recording -> survey
//!                                        '--> replay -> covered frames -> data
//!                                                              |-------> overlay, preview, thumbnail
//!                        decoder ------------------------------'
//! ```

use super::area::Area;
use super::covered_frames::CoveredFrames;
use super::error::WorkerError;
use super::head_search::HeadSearch;
use super::pass::{FrameSink, Job, Send, track};
use super::pose_message::FoundPoses;
use super::recording::{Recorder, Recording};
use super::replay::Replay;
use super::results::Results;
use super::selection::{Candidates, Renumbering};
use super::skip_report::SkipReport;
use super::survey::survey;
use super::video_facts::facts;
use crate::heads::{Cover, Covering};
use crate::ipc::ChannelError;
use crate::motion::MetricScale;
use crate::output::{ArtefactFiles, VideoReport, WriterContext};
use crate::picture::Picture;
use crate::pose::{TrackedFrame, Tracker, VideoFrame};
use crate::video::{Decoder, FrameTime, Probe, ProbedVideo, SoundSource, VideoError};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::{Progress, Summary, ToSupervisor, VideoFacts};
use bodyscript_protocol::options::Blur;
use bodyscript_protocol::warning::{Warning, Warnings};
use std::fs::File;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

/// What two passes need beyond one.
#[derive(Debug)]
pub struct SecondPass {
    /// The file for the recording, empty.
    recording: File,
    /// The video, to be decoded again.
    video: OwnedFd,
}

impl SecondPass {
    /// Records in an empty file, and decodes the video a second time.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn of(recording: File, video: &OwnedFd) -> Result<Self, WorkerError> {
        let video = video.try_clone().map_err(VideoError::Read)?;
        Ok(Self { recording, video })
    }
}

/// What the first pass leaves to the second.
struct FirstPass {
    recording: Recording,
    /// If somebody is chosen.
    renumbering: Option<Renumbering>,
    sound: SoundSource,
    /// The frames of the part that were decoded.
    frames: Range<u32>,
    warnings: Warnings,
}

impl FirstPass {
    /// The scale of positions in metres, if they are asked for and known.
    fn survey(&mut self, job: &Job<'_>, probe: &Probe) -> Result<Option<MetricScale>, WorkerError> {
        let Some(height_m) = job.start.parameters.options.height_m else { return Ok(None) };
        let renumbering = self.renumbering.clone();
        let surveyed = survey((job, probe), &mut self.recording, renumbering, height_m)?;
        if surveyed.scale.is_none() {
            self.warnings.insert(Warning::MetresUnknown);
        }
        if surveyed.depth_changes {
            self.warnings.insert(Warning::DepthChanges);
        }
        Ok(surveyed.scale)
    }
}

/// Runs both passes.
pub(super) fn run(
    job: &Job<'_>,
    video: ProbedVideo,
    (artefacts, second): (ArtefactFiles, SecondPass),
    send: &mut Send<'_>,
) -> Result<Summary, WorkerError> {
    let probe = video.probe().clone();
    let facts = facts(&probe, job.start);
    let mut first = record(job, video.decode()?, (&probe, second.recording), send)?;
    let metres = first.survey(job, &probe)?;
    let parameters = &job.start.parameters;
    let pictures = if has_pictures(&job.start.artefacts) {
        let part = parameters.options.part();
        let video = ProbedVideo::open(second.video, &parameters.limits, part)?;
        Some(Pictures { decoder: video.decode()?, next: 0 })
    } else {
        None
    };
    write(job, (first, metres), (&probe, &facts, pictures), (artefacts, send))
}

/// Whether heads are covered in what the job writes.
fn covers_heads(job: &Job<'_>) -> bool {
    let covers = job.start.parameters.options.blur == Blur::Faces;
    covers && has_pictures(&job.start.artefacts)
}

fn has_pictures(artefacts: &[Artefact]) -> bool {
    let pictures = [
        Artefact::Video,
        Artefact::Preview,
        Artefact::Thumbnail,
        Artefact::Clean,
        Artefact::People,
    ];
    pictures.iter().any(|artefact| artefacts.contains(artefact))
}

/// The first pass. Its decoder is gone at the end.
fn record(
    job: &Job<'_>,
    mut decoder: Decoder,
    (probe, file): (&Probe, File),
    send: &mut Send<'_>,
) -> Result<FirstPass, WorkerError> {
    let parameters = &job.start.parameters;
    let part = parameters.options.part();
    let area = Area::of(&part, [probe.width, probe.height]);
    let mut pass = RecordingPass {
        recorder: Recorder::new(file),
        candidates: parameters.options.person.map(|choice| Candidates::new(choice, area)),
        head_search: covers_heads(job).then(|| HeadSearch::new(job.estimator)),
        start: part.start,
        found: FoundPoses::of(&part, [probe.width, probe.height]),
        progress: Progress { frames_done: 0, frames_detected: 0 },
        send,
    };
    let sound = decoder.sound();
    let frames = thread::scope(|scope| {
        let limits = (parameters.threads, probe.area);
        let tracker = Tracker::start(scope, job.estimator, &parameters.options, limits);
        track(job, &mut decoder, tracker, &mut pass)
    })?;
    let warnings = decoder.warnings();
    let people_max = parameters.options.people_max;
    let renumbering = pass.candidates.map(|people| Renumbering::new(people.chosen(), people_max));
    Ok(FirstPass { recording: pass.recorder.finish()?, renumbering, sound, frames, warnings })
}

/// Records what the tracker finds in the part.
struct RecordingPass<'a, 'b> {
    recorder: Recorder,
    /// If one of the people is to be chosen.
    candidates: Option<Candidates>,
    /// If heads are to be covered.
    head_search: Option<HeadSearch<'a>>,
    start: Duration,
    found: FoundPoses,
    progress: Progress,
    send: &'a mut Send<'b>,
}

impl FrameSink for RecordingPass<'_, '_> {
    fn take(&mut self, (frame, people): TrackedFrame) -> Result<Picture, WorkerError> {
        if frame.pts >= self.start {
            let search = self.head_search.as_mut();
            let heads = search.map(|search| search.heads(&frame, people.as_deref()));
            self.recorder.add(&frame, people.as_deref(), &heads.unwrap_or_default())?;
            if let Some(found) = self.found.message(&frame, people.as_deref()) {
                self.send(&found)?;
            }
            if let Some(people) = people {
                self.progress.frames_done += 1;
                match &mut self.candidates {
                    // Who will be person 0 is not known yet.
                    Some(candidates) => candidates.add(&frame, &people),
                    None => {
                        let has_first = people.iter().any(|person| person.id == 0);
                        self.progress.frames_detected += u32::from(has_first);
                    }
                }
                self.send(&ToSupervisor::Progress(self.progress))?;
            }
        }
        Ok(frame.picture)
    }

    fn send(&mut self, message: &ToSupervisor) -> Result<(), ChannelError> {
        (self.send)(message)
    }
}

/// The second pass.
fn write(
    job: &Job<'_>,
    (first, metres): (FirstPass, Option<MetricScale>),
    (probe, facts, mut pictures): (&Probe, &VideoFacts, Option<Pictures>),
    (artefacts, send): (ArtefactFiles, &mut Send<'_>),
) -> Result<Summary, WorkerError> {
    let report = VideoReport::new(facts);
    let context = WriterContext { start: job.start, facts, report: &report, metres };
    let options = &job.start.parameters.options;
    let replay = Replay::new((first.recording, first.renumbering), options, probe.area);
    let covers_heads = covers_heads(job);
    let mut frames = CoveredFrames::new(replay, covers_heads.then(Covering::default));
    thread::scope(|scope| {
        let mut results = Results::create(scope, context, artefacts, (probe, first.sound))?;
        let mut picture = Picture::default();
        let mut written = 0;
        while let Some((frame, mut covers)) = frames.next()? {
            if job.cancelled.is_raised() {
                return Err(WorkerError::Cancelled);
            }
            let is_processed = frame.people.is_some();
            let shown_at = match &mut pictures {
                Some(pictures) => pictures.read(frame.id, &mut picture, (job, &mut *send))?,
                None => None,
            };
            if covers_heads && shown_at.is_some_and(|pts| pts != frame.pts) {
                // A damaged video may have other frames the second time, and heads are elsewhere in them.
                covers = vec![Cover::EVERYTHING];
            }
            let tracked = (VideoFrame { picture, ..frame.without_picture() }, frame.people);
            picture = match shown_at {
                Some(_) => results.write(tracked, &covers)?,
                // A damaged video may have fewer pictures the second time; its data are complete.
                None => {
                    results.write_data(&tracked.0, tracked.1)?;
                    tracked.0.picture
                }
            };
            if is_processed {
                written += 1;
                send(&ToSupervisor::Written(written))?;
            }
        }
        results.finish(first.frames, first.warnings)
    })
}

/// The pictures of the video, decoded a second time.
struct Pictures {
    decoder: Decoder,
    /// The number of the next frame.
    next: u32,
}

impl Pictures {
    /// Reads the picture of a frame, and returns its time; none if the video has ended before it.
    fn read(
        &mut self,
        id: u32,
        into: &mut Picture,
        (job, send): (&Job<'_>, &mut Send<'_>),
    ) -> Result<Option<Duration>, WorkerError> {
        let mut skip_report = SkipReport::new(Instant::now());
        while let Some(FrameTime { pts }) = self.decoder.advance()? {
            self.next += 1;
            if self.next > id {
                self.decoder.read(into)?;
                return Ok(Some(pts));
            }
            if job.cancelled.is_raised() {
                return Err(WorkerError::Cancelled);
            }
            if let Some(skipped) = skip_report.reached(pts, Instant::now()) {
                send(&ToSupervisor::Skipped(skipped))?;
            }
        }
        Ok(None)
    }
}
