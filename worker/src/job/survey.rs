//! Measures person 0 in a recording, for positions in metres: their scale depends on all frames. Called by `two_passes`
//! between the passes.

use super::area::Area;
use super::error::WorkerError;
use super::pass::Job;
use super::recording::Recording;
use super::selection::Renumbering;
use crate::motion::{MetresSurvey, Surveyed};
use crate::video::Probe;
use bodyscript_protocol::options::Thousandths;

/// Reads the recording, and goes back to its beginning. The filter changes no median, so poses are as they were recorded.
pub(super) fn survey(
    (job, probe): (&Job<'_>, &Probe),
    recording: &mut Recording,
    mut renumbering: Option<Renumbering>,
    height_m: Thousandths,
) -> Result<Surveyed, WorkerError> {
    let whole = [probe.width, probe.height];
    let area = Area::of(&job.start.parameters.options.part(), whole);
    let mut survey = MetresSurvey::new(whole);
    while let Some(frame) = recording.next()? {
        if job.cancelled.is_raised() {
            return Err(WorkerError::Cancelled);
        }
        let mut people = frame.people.unwrap_or_default();
        if let Some(renumbering) = &mut renumbering {
            people = renumbering.apply(people);
        }
        if let Some(area) = &area {
            people = area.in_whole(&people);
        }
        if let Some(person) = people.first().filter(|person| person.id == 0) {
            survey.add((frame.time.as_secs_f64(), person.track), &person.pose);
        }
    }
    recording.rewind()?;
    Ok(survey.finish(height_m.to_f64()))
}
