//! One run: frames in, poses out, in constant memory.
//!
//! ```text
//! decoder -> tracker -> data -> overlay -> output.mp4 (which fetches the sound itself)
//!                                       |-----> preview.mp4 (the first seconds, small)
//!                                       '-----> thumbnail.jpg (the clearest frame)
//! ```
//!
//! One picture is in this loop at any time; the decoder and the encoders, in threads of their
//! own, hold a few each.

use crate::channel::{CancelFlag, ChannelError};
use crate::error::WorkerError;
use crate::handover::Artefacts;
use crate::output::data::Data;
use crate::output::metadata::{self, VideoReport};
use crate::output::statistics::Statistics;
use crate::output::{Frame, overlay};
use crate::picture::Picture;
use crate::pose::Estimator;
use crate::pose::track::Tracker;
use crate::sampling::{self, Sampler};
use crate::video::{Decoder, FrameTime, Probe};
use crate::visual::Visuals;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::limits::FRAMES_MAX;
use bodyscript_protocol::message::{Start, Summary, ToSupervisor, VideoFacts};

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
    let mut data = Data::create(&mut artefacts, job.start, &facts, &report)?;
    let duration_ms_max = job.start.limits.duration_ms_max;
    let mut visuals = Visuals::create(&mut artefacts, (&decoder, &probe), duration_ms_max)?;

    let options = job.start.options;
    let mut statistics = Statistics::new(probe.width, probe.height);
    let mut sampler = Sampler::new(options.sampling);
    let mut tracker = Tracker::new(&options, job.start.threads);
    let mut picture = Picture::default();
    let mut people = Vec::new();
    let mut frame_id = 0;
    while let Some(FrameTime { pts }) = decoder.next(&mut picture)? {
        if job.cancelled.is_raised() {
            return Err(WorkerError::Cancelled);
        }
        let mut clarity = 0.0;
        if sampler.takes(frame_id, pts) {
            people = tracker.next(job.estimator, &picture, pts)?;
            let frame = Frame { id: frame_id, time: pts, people: &people };
            data.write(&frame)?;
            clarity = statistics.add(&frame);
            tell(&ToSupervisor::Progress(statistics.progress()))?;
        }
        for person in &people {
            overlay::draw(&mut picture, &person.pose);
        }
        visuals.write(&picture, pts, clarity)?;
        frame_id += 1;
    }

    let summary = statistics.summary(frame_id);
    data.finish(&summary)?;
    let sound = visuals.finish()?;
    if let Some(file) = artefacts.take(Artefact::Metadata) {
        metadata::write(file, job.start, &report, sound.as_ref(), &summary)?;
    }
    Ok(summary)
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
