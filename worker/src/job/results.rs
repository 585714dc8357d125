//! The results of one run: every frame goes to the data, to the statistics and, with heads covered and its
//! skeletons drawn in, to the videos and the thumbnail. Called by the passes that write.

use super::area::Area;
use super::background::BackgroundValue;
use super::error::WorkerError;
use crate::heads::Cover;
use crate::output::{
    ArtefactFiles, DataWriters, FoundPeople, Statistics, Visuals, WriterContext, cover_part,
    draw_pose, write_metadata,
};
use crate::picture::Picture;
use crate::pose::{Frame, Person, TrackedFrame, VideoFrame};
use crate::video::{Probe, SoundReport, SoundSource, VideoError};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::{Progress, Summary};
use bodyscript_protocol::options::Part;
use bodyscript_protocol::warning::{Warning, Warnings};
use std::fs::File;
use std::ops::Range;
use std::thread::Scope;

/// The writers that each frame goes to.
pub(super) struct Results<'scope> {
    data: DataWriters,
    visuals: BackgroundValue<'scope, Visuals, VideoError>,
    statistics: Statistics,
    /// If it is asked who was found.
    found: Option<FoundPeople>,
    /// The people in the last processed frame: they are drawn until the next one.
    people: Vec<Person>,
    part: Part,
    /// The area that is processed, if it is not the whole picture.
    area: Option<Area>,
    metadata: Option<File>,
    context: WriterContext<'scope>,
}

impl<'scope> Results<'scope> {
    /// Starts all requested artefacts; the encoders start while the first frame is processed.
    pub(super) fn create(
        scope: &'scope Scope<'scope, '_>,
        context: WriterContext<'scope>,
        mut artefacts: ArtefactFiles,
        (probe, sound): (&'scope Probe, SoundSource),
    ) -> Result<Self, WorkerError> {
        let options = &context.start.parameters.options;
        let part = options.part();
        let found = artefacts.take(Artefact::People);
        Ok(Self {
            data: DataWriters::create(&mut artefacts, &context)?,
            metadata: artefacts.take(Artefact::Metadata),
            visuals: BackgroundValue::start(scope, move || {
                Visuals::create(artefacts, (probe, sound))
            }),
            statistics: Statistics::new(context.facts.width, context.facts.height),
            found: found.map(|file| FoundPeople::new(file, options)),
            people: Vec::new(),
            part,
            area: Area::of(&part, [probe.width, probe.height]),
            context,
        })
    }

    /// Writes one frame, of which parts are covered, unless it is before the part; returns its picture, so that its
    /// memory is reused.
    pub(super) fn write(
        &mut self,
        (frame, people): TrackedFrame,
        covers: &[Cover],
    ) -> Result<Picture, WorkerError> {
        let clarity = self.write_data(&frame, people)?;
        let VideoFrame { id, pts, mut picture, .. } = frame;
        let Some(since_start) = pts.checked_sub(self.part.start) else { return Ok(picture) };
        // Before anything is written of the picture.
        for part in covers {
            cover_part(&mut picture, *part);
        }
        let visuals = self.visuals.get()?;
        visuals.write_clean(&picture, since_start)?;
        if let Some(colour) = self.context.start.parameters.options.background.colour() {
            picture.fill(colour);
        }
        for person in &self.people {
            draw_pose(&mut picture, &person.pose);
        }
        visuals.write(&picture, since_start, clarity)?;
        if let Some(found) = &mut self.found {
            found.take_pictures(id, &picture, &self.people)?;
        }
        Ok(picture)
    }

    /// Writes the data of one frame, unless it is before the part; returns the mean visibility of the
    /// first person's pose.
    pub(super) fn write_data(
        &mut self,
        frame: &VideoFrame,
        people: Option<Vec<Person>>,
    ) -> Result<f32, WorkerError> {
        let VideoFrame { id, pts, time, .. } = *frame;
        let Some(people) = people else { return Ok(0.0) };
        self.people = people;
        if pts < self.part.start {
            return Ok(0.0);
        }
        let in_whole = self.area.map(|area| area.in_whole(&self.people));
        let people = in_whole.as_deref().unwrap_or(&self.people);
        let frame = Frame { id, time, source_time: pts, people };
        self.data.write(&frame)?;
        if let Some(found) = &mut self.found {
            found.add(&frame);
        }
        Ok(self.statistics.add(&frame))
    }

    /// The counts so far.
    pub(super) const fn progress(&self) -> Progress {
        self.statistics.progress()
    }

    /// Completes everything; the frames with these numbers were decoded.
    pub(super) fn finish(
        self,
        frames: Range<u32>,
        mut warnings: Warnings,
    ) -> Result<Summary, WorkerError> {
        // Of a short part, the sampling may choose no frame.
        if self.progress().frames_done == 0 && !self.part.is_whole() {
            return Err(VideoError::EmptyPart { start: self.part.start, last: None }.into());
        }
        let sound = self.visuals.take()?.finish()?;
        if sound.as_ref().is_some_and(SoundReport::is_dropped) {
            warnings.insert(Warning::SoundDropped);
        }
        self.data.warnings().for_each(|warning| warnings.insert(warning));
        let summary = self.statistics.summary(frames, warnings);
        self.data.finish(&summary)?;
        self.found.map_or(Ok(()), FoundPeople::finish)?;
        if let Some(file) = self.metadata {
            write_metadata(file, &self.context, sound.as_ref(), &summary)?;
        }
        Ok(summary)
    }
}
