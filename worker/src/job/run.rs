//! One run: frames in, poses out, in constant memory.
//!
//! ```text
//! decoder -> tracker -> data -> clean.mp4 -> overlay -> output.mp4 (both read the sound themselves)
//!                                                     |-----> preview.mp4 (the first seconds, small)
//!                                                     '-----> thumbnail.jpg (the frame with the clearest pose)
//! ```
//!
//! The tracker holds one picture, or a few where it processes several at a time; the decoder and
//! the encoders, in threads of their own, hold a few each.

use super::area::Area;
use super::background::BackgroundValue;
use super::error::WorkerError;
use super::memory_need;
use super::part::{FrameUse, PartStart};
use super::sampling::{self, Sampler};
use super::skip_report::SkipReport;
use crate::ipc::{CancelFlag, ChannelError};
use crate::output::{
    ArtefactFiles, DataWriters, Statistics, VideoReport, Visuals, WriterContext, draw_pose,
    write_metadata,
};
use crate::picture::Picture;
use crate::pose::{Estimator, Frame, Person, TrackedFrame, Tracker, VideoFrame};
use crate::video::{Decoder, FrameTime, Probe, ProbedVideo, SoundReport, VideoError};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::limits::FRAMES_MAX;
use bodyscript_protocol::message::{Probed, Start, Summary, ToSupervisor, VideoFacts};
use bodyscript_protocol::options::Background;
use bodyscript_protocol::warning::Warning;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

/// The inputs of a run.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The job's description.
    pub start: &'a Start,
    /// The models.
    pub estimator: &'a Estimator,
    /// Raised when the job is cancelled.
    pub cancelled: &'a CancelFlag,
}

/// Sends a message to the supervisor.
type Send<'a> = dyn FnMut(&ToSupervisor) -> Result<(), ChannelError> + 'a;

/// Runs to the end of the video, or of its part that is within the limits; sends progress messages.
pub fn run(
    job: &Job<'_>,
    video: ProbedVideo,
    mut artefacts: ArtefactFiles,
    send: &mut Send<'_>,
) -> Result<Summary, WorkerError> {
    let probe = video.probe().clone();
    let mut decoder = video.decode()?;
    let facts = facts(&probe, job.start);
    let report = VideoReport::new(&facts);
    let context = WriterContext { start: job.start, facts: &facts, report: &report };
    let data = DataWriters::create(&mut artefacts, &context)?;
    let metadata = artefacts.take(Artefact::Metadata);
    let (sound, part) = (decoder.sound(), job.start.parameters.options.part());
    let (area, size) = (Area::of(&part, [probe.width, probe.height]), probe.area);
    thread::scope(|scope| {
        let mut results = Results {
            data,
            // The encoders start while the first frame is processed.
            visuals: BackgroundValue::start(scope, move || {
                Visuals::create(artefacts, (&probe, sound))
            }),
            statistics: Statistics::new(facts.width, facts.height),
            people: Vec::new(),
            background: job.start.parameters.options.background,
            start: part.start,
            area,
            send,
        };
        let limits = (job.start.parameters.threads, size);
        let tracker = Tracker::start(scope, job.estimator, &job.start.parameters.options, limits);
        let frames = track(job, &mut decoder, tracker, &mut results)?;
        results.check_any(job)?;
        let Results { data, visuals, statistics, .. } = results;
        let sound = visuals.take()?.finish()?;
        let mut warnings = decoder.warnings();
        if sound.as_ref().is_some_and(SoundReport::is_dropped) {
            warnings.insert(Warning::SoundDropped);
        }
        data.warnings().for_each(|warning| warnings.insert(warning));
        let summary = statistics.summary(frames, warnings);
        data.finish(&summary)?;
        if let Some(file) = metadata {
            write_metadata(file, job.start, &report, sound.as_ref(), &summary)?;
        }
        Ok(summary)
    })
}

/// Passes the frames of the part, and those that the tracker needs before it, through the tracker; returns
/// the numbers of those in the part.
fn track(
    job: &Job<'_>,
    decoder: &mut Decoder,
    mut tracker: Tracker<'_>,
    results: &mut Results<'_>,
) -> Result<Range<u32>, WorkerError> {
    let options = &job.start.parameters.options;
    let (part, mut sampler) = (PartStart::of(options), Sampler::new(options));
    let mut skip_report = SkipReport::new(Instant::now());
    // Written pictures, whose memory is reused.
    let mut spare = Vec::new();
    let mut picture = Picture::default();
    let mut frames = 0..0;
    while let Some(FrameTime { pts }) = decoder.advance()? {
        if job.cancelled.is_raised() {
            return Err(WorkerError::Cancelled);
        }
        let id = frames.end;
        frames.end += 1;
        let time = options.time_in_life(pts);
        let (is_selected, frame_use) = (sampler.selects(id, time), part.use_of(pts));
        if frame_use != FrameUse::Written {
            frames.start = frames.end;
            if let Some(skipped) = skip_report.reached(pts, Instant::now()) {
                (results.send)(&ToSupervisor::Skipped(skipped))?;
            }
        }
        if frame_use == FrameUse::Skipped {
            continue;
        }
        decoder.read(&mut picture)?;
        let frame = VideoFrame { id, pts, time, picture };
        if is_selected {
            tracker.push(frame);
        } else {
            tracker.push_skipped(frame);
        }
        while tracker.is_full()
            && let Some(tracked) = tracker.pop()
        {
            spare.push(results.write(tracked)?);
        }
        picture = spare.pop().unwrap_or_default();
    }
    while let Some(tracked) = tracker.pop() {
        results.write(tracked)?;
    }
    Ok(frames)
}

/// The writers that each frame goes to.
struct Results<'a> {
    data: DataWriters,
    visuals: BackgroundValue<'a, Visuals, VideoError>,
    statistics: Statistics,
    /// The people in the last processed frame: they are drawn until the next one.
    people: Vec<Person>,
    background: Background,
    /// Time of the first frame that is written, at the earliest.
    start: Duration,
    /// The area that is processed, if it is not the whole picture.
    area: Option<Area>,
    send: &'a mut Send<'a>,
}

impl Results<'_> {
    /// Writes one frame, unless it is before the part; returns its picture, so that its memory is reused.
    fn write(&mut self, (frame, people): TrackedFrame) -> Result<Picture, WorkerError> {
        let VideoFrame { id, pts, time, mut picture } = frame;
        let mut clarity = 0.0;
        let is_processed = people.is_some();
        if let Some(people) = people {
            self.people = people;
        }
        let Some(since_start) = pts.checked_sub(self.start) else { return Ok(picture) };
        if is_processed {
            let in_whole = self.area.map(|area| area.in_whole(&self.people));
            let people = in_whole.as_deref().unwrap_or(&self.people);
            let frame = Frame { id, time, source_time: pts, people };
            self.data.write(&frame)?;
            clarity = self.statistics.add(&frame);
            (self.send)(&ToSupervisor::Progress(self.statistics.progress()))?;
        }
        let visuals = self.visuals.get()?;
        visuals.write_clean(&picture, since_start)?;
        if let Some(colour) = self.background.colour() {
            picture.fill(colour);
        }
        for person in &self.people {
            draw_pose(&mut picture, &person.pose);
        }
        visuals.write(&picture, since_start, clarity)?;
        Ok(picture)
    }

    /// Checks that a frame was processed: of a short part, the sampling may choose none.
    fn check_any(&self, job: &Job<'_>) -> Result<(), VideoError> {
        let part = job.start.parameters.options.part();
        if self.statistics.progress().frames_done == 0 && !part.is_whole() {
            return Err(VideoError::EmptyPart { start: part.start, last: None });
        }
        Ok(())
    }
}

/// What is reported of a video before it is decoded.
pub fn probed(probe: &Probe, start: &Start) -> Probed {
    Probed { facts: facts(probe, start), memory_need_bytes: memory_need::bytes(probe, start) }
}

fn facts(probe: &Probe, start: &Start) -> VideoFacts {
    let frames = sampling::expected(&start.parameters.options, probe);
    VideoFacts {
        width: probe.width,
        height: probe.height,
        frame_rate: probe.frame_rate,
        duration_ms: probe.duration_ms,
        frames_expected: frames.min(FRAMES_MAX),
        trimmed: probe.trimmed,
        rotation_degrees: probe.rotation_degrees,
        mirrored: probe.mirrored,
        container: probe.container.clone(),
        codec: probe.codec.clone(),
    }
}
