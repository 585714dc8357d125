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

use super::error::WorkerError;
use super::pass::{FrameSink, Job, Send, track};
use super::pose_message::FoundPoses;
use super::results::Results;
use super::two_passes::{self, SecondPass};
use super::video_facts::facts;
use crate::ipc::ChannelError;
use crate::output::{ArtefactFiles, VideoReport, WriterContext};
use crate::picture::Picture;
use crate::pose::{TrackedFrame, Tracker};
use crate::video::ProbedVideo;
use bodyscript_protocol::message::{Summary, ToSupervisor};
use std::thread;

/// Runs to the end of the video, or of its part that is within the limits; sends progress messages.
/// In two passes, if there is what the second one needs.
pub fn run(
    job: &Job<'_>,
    video: ProbedVideo,
    (artefacts, second): (ArtefactFiles, Option<SecondPass>),
    send: &mut Send<'_>,
) -> Result<Summary, WorkerError> {
    match second {
        Some(second) => two_passes::run(job, video, (artefacts, second), send),
        None => run_once(job, video, artefacts, send),
    }
}

fn run_once(
    job: &Job<'_>,
    video: ProbedVideo,
    artefacts: ArtefactFiles,
    send: &mut Send<'_>,
) -> Result<Summary, WorkerError> {
    let probe = video.probe().clone();
    let mut decoder = video.decode()?;
    let facts = facts(&probe, job.start);
    let report = VideoReport::new(&facts);
    let context = WriterContext { start: job.start, facts: &facts, report: &report, metres: None };
    let sound = decoder.sound();
    thread::scope(|scope| {
        let results = Results::create(scope, context, artefacts, (&probe, sound))?;
        let parameters = &job.start.parameters;
        let found = FoundPoses::of(&parameters.options.part(), [probe.width, probe.height]);
        let mut pass = OnlyPass { results, found, send };
        let limits = (parameters.threads, probe.area);
        let tracker = Tracker::start(scope, job.estimator, &parameters.options, limits);
        let frames = track(job, &mut decoder, tracker, &mut pass)?;
        pass.results.finish(frames, decoder.warnings())
    })
}

/// Writes what the tracker finds.
struct OnlyPass<'scope, 'a> {
    results: Results<'scope>,
    found: FoundPoses,
    send: &'a mut Send<'a>,
}

impl FrameSink for OnlyPass<'_, '_> {
    fn take(&mut self, frame: TrackedFrame) -> Result<Picture, WorkerError> {
        let found = self.found.message(&frame.0, frame.1.as_deref());
        let picture = self.results.write(frame, &[])?;
        if let Some(found) = found {
            self.send(&found)?;
            self.send(&ToSupervisor::Progress(self.results.progress()))?;
        }
        Ok(picture)
    }

    fn send(&mut self, message: &ToSupervisor) -> Result<(), ChannelError> {
        (self.send)(message)
    }
}
