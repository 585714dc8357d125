//! One run: frames in, poses out, in constant memory.
//!
//! ```text
//! decoder -> tracker -> data -> overlay -> output.mp4 (which fetches the sound itself)
//!                                       |-----> preview.mp4 (the first seconds, small)
//!                                       '-----> thumbnail.jpg (the clearest frame)
//! ```
//!
//! The tracker holds one picture, or a few where it looks at several at a time; the decoder and
//! the encoders, in threads of their own, hold a few each.

use crate::channel::{CancelFlag, ChannelError};
use crate::error::WorkerError;
use crate::handover::Artefacts;
use crate::output::data::Data;
use crate::output::metadata::{self, VideoReport};
use crate::output::statistics::Statistics;
use crate::output::{Frame, Person, overlay};
use crate::picture::Picture;
use crate::pose::Estimator;
use crate::pose::track::{Shot, Tracked, Tracker};
use crate::sampling::{self, Sampler};
use crate::upcoming::Upcoming;
use crate::video::{Decoder, FrameTime, Probe};
use crate::visual::Visuals;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::limits::FRAMES_MAX;
use bodyscript_protocol::message::{Start, Summary, ToSupervisor, VideoFacts};
use std::thread;

/// What a run works with.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The order.
    pub start: &'a Start,
    /// The models.
    pub estimator: &'a Estimator,
    /// Whether to stop early.
    pub cancelled: &'a CancelFlag,
}

/// Runs to the end of the video, or of its part that is within the limits; tells how far it has come.
pub fn run(
    job: &Job<'_>,
    (mut decoder, probe): (Decoder, Probe),
    mut artefacts: Artefacts,
    tell: &mut dyn FnMut(&ToSupervisor) -> Result<(), ChannelError>,
) -> Result<Summary, WorkerError> {
    let facts = facts(&probe, job.start);
    tell(&ToSupervisor::Probed(facts.clone()))?;
    let report = VideoReport::new(&facts);
    let duration_ms_max = job.start.limits.duration_ms_max;
    let data = Data::create(&mut artefacts, job.start, &facts, &report)?;
    let metadata = artefacts.take(Artefact::Metadata);
    let (sound, size) = (decoder.sound(), [probe.width, probe.height]);
    thread::scope(|scope| {
        let mut results = Results {
            data,
            // The encoders start while the first frame is looked at.
            visuals: Upcoming::start(scope, move || {
                Visuals::create(artefacts, (&probe, sound), duration_ms_max)
            }),
            statistics: Statistics::new(facts.width, facts.height),
            people: Vec::new(),
            tell,
        };
        let share = (job.start.threads, size);
        let tracker = Tracker::start(scope, job.estimator, &job.start.options, share);
        let frames = track(job, &mut decoder, tracker, &mut results)?;
        let Results { data, visuals, statistics, .. } = results;
        let summary = statistics.summary(frames);
        data.finish(&summary)?;
        let sound = visuals.take()?.finish()?;
        if let Some(file) = metadata {
            metadata::write(file, job.start, &report, sound.as_ref(), &summary)?;
        }
        Ok(summary)
    })
}

/// Takes all frames through the tracker; how many there were.
fn track(
    job: &Job<'_>,
    decoder: &mut Decoder,
    mut tracker: Tracker<'_>,
    results: &mut Results<'_>,
) -> Result<u32, WorkerError> {
    let mut sampler = Sampler::new(job.start.options.sampling);
    // Pictures that are done with, kept for their memory.
    let mut spare = Vec::new();
    let mut picture = Picture::default();
    let mut id = 0;
    while let Some(FrameTime { pts }) = decoder.next(&mut picture)? {
        if job.cancelled.is_raised() {
            return Err(WorkerError::Cancelled);
        }
        let shot = Shot { id, pts, picture };
        if sampler.takes(id, pts) {
            tracker.push(shot)?
        } else {
            tracker.pass(shot)
        }
        while tracker.is_full()
            && let Some(tracked) = tracker.pop()?
        {
            spare.push(results.write(tracked)?);
        }
        picture = spare.pop().unwrap_or_default();
        id += 1;
    }
    while let Some(tracked) = tracker.pop()? {
        results.write(tracked)?;
    }
    Ok(id)
}

/// What is written, frame by frame.
struct Results<'a> {
    data: Data,
    visuals: Upcoming<'a, Visuals, WorkerError>,
    statistics: Statistics,
    /// Those in the last frame that was looked at: they are drawn until the next one.
    people: Vec<Person>,
    tell: &'a mut dyn FnMut(&ToSupervisor) -> Result<(), ChannelError>,
}

impl Results<'_> {
    /// Writes one frame; its picture, for its memory.
    fn write(&mut self, (shot, people): Tracked) -> Result<Picture, WorkerError> {
        let Shot { id, pts, mut picture } = shot;
        let mut clarity = 0.0;
        if let Some(people) = people {
            self.people = people;
            let frame = Frame { id, time: pts, people: &self.people };
            self.data.write(&frame)?;
            clarity = self.statistics.add(&frame);
            (self.tell)(&ToSupervisor::Progress(self.statistics.progress()))?;
        }
        for person in &self.people {
            overlay::draw(&mut picture, &person.pose);
        }
        self.visuals.get()?.write(&picture, pts, clarity)?;
        Ok(picture)
    }
}

fn facts(probe: &Probe, start: &Start) -> VideoFacts {
    let frames = sampling::expected(start.options.sampling, probe);
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
