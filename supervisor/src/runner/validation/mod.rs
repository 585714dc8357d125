//! Checks the artefacts of a worker before they are published: they are what the worker said it wrote, and
//! nothing else.
//!
//! Called by `attempt` once the worker has exited with `Done` and no process of it is left, so that the files do
//! not change any more. The checks walk headers, tables and indexes of what a worker wrote; they decode no
//! picture and no sound, and never see the client's file. Each has a bound on its memory (a buffer and one row)
//! and on its work: tables beyond [`SCANNED_BYTES_MAX`] are checked at both ends.
//!
//! A new artefact does not compile without a check.

mod angles;
mod boxes;
mod bvh;
mod c3d;
mod coco;
mod content;
mod csv;
mod entries;
mod glb;
mod invalid;
mod jpeg;
mod json;
mod metadata;
mod mot;
mod mp4;
mod ndjson;
mod openpose;
mod parquet;
mod people;
mod poses;
mod reports;
mod table;
mod text_limit;
mod thrift;
mod trc;

use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::MarkerUnit;
use bodyscript_protocol::message::{JobParameters, Summary, VideoFacts};
use bodyscript_protocol::warning::Warning;
use content::Content;
use invalid::{Invalid, ensure};
use std::fs::File;
use std::io;
use thiserror::Error;

/// Most bytes of one artefact that are read from its beginning.
const SCANNED_BYTES_MAX: u64 = 32 << 20;

/// What a worker said of its job, and what it was told.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// The job's id.
    pub(crate) job: String,
    /// How the video was to be processed.
    pub(crate) parameters: JobParameters,
    /// The video.
    pub(crate) facts: VideoFacts,
    /// The totals of the run.
    pub(crate) summary: Summary,
}

impl Expected {
    /// The size of the pictures that are written, in pixels.
    fn picture_size(&self) -> [u32; 2] {
        let VideoFacts { width, height, .. } = self.facts;
        self.parameters.options.part().picture_size([width, height])
    }

    /// Whether poses of this person have positions in metres, as only those of person 0 can.
    fn has_metres(&self, person: u32) -> bool {
        let is_measured = !self.summary.warnings.contains(Warning::MetresUnknown);
        self.parameters.options.height_m.is_some() && is_measured && person == 0
    }

    /// The unit of markers.
    fn marker_unit(&self) -> MarkerUnit {
        if self.has_metres(0) { MarkerUnit::Metres } else { MarkerUnit::Millimetres }
    }

    /// Checks that a frame was decoded and was to be processed.
    fn check_frame(&self, frame: u32) -> Result<(), Invalid> {
        let is_decoded = self.summary.frames().contains(&frame);
        ensure(is_decoded, "it has a frame that was not decoded")?;
        let interval = self.parameters.options.sampling.interval().unwrap_or(1);
        ensure(frame.is_multiple_of(interval), "it has a frame that was not to be processed")
    }
}

/// Why results are not published.
#[derive(Debug, Error)]
pub(crate) enum ValidationError {
    /// An artefact is not what the worker said.
    #[error("{}: {why}", .artefact.file_name())]
    Invalid {
        /// The artefact.
        artefact: Artefact,
        /// What is wrong with it.
        why: Invalid,
    },
    /// The disk does not return it.
    #[error("{} cannot be read: {source}", .artefact.file_name())]
    Unreadable {
        /// The artefact.
        artefact: Artefact,
        /// The cause.
        source: io::Error,
    },
}

type Check = fn(&Content<'_>, &Expected) -> Result<(), Invalid>;

const fn check_of(artefact: Artefact) -> Check {
    match artefact {
        Artefact::Video | Artefact::Clean => mp4::check_video,
        Artefact::Csv => csv::check,
        Artefact::Json => json::check,
        Artefact::Thumbnail => jpeg::check,
        Artefact::Preview => mp4::check_preview,
        Artefact::Metadata => metadata::check,
        Artefact::OpenPose => openpose::check,
        Artefact::Trc => trc::check,
        Artefact::Parquet => parquet::check,
        Artefact::Angles => angles::check,
        Artefact::C3d => c3d::check,
        Artefact::Mot => mot::check,
        Artefact::Coco => coco::check,
        Artefact::Ndjson => ndjson::check,
        Artefact::Bvh => bvh::check,
        Artefact::Glb => glb::check,
        Artefact::People => people::check,
    }
}

/// Checks all artefacts of a job. Blocks.
pub(crate) fn validate(
    artefacts: &[(Artefact, File)],
    expected: &Expected,
) -> Result<(), ValidationError> {
    artefacts.iter().try_for_each(|(artefact, file)| {
        let artefact = *artefact;
        let unreadable = |source| ValidationError::Unreadable { artefact, source };
        let content = Content::of_file(file).map_err(unreadable)?;
        match check(artefact, &content, expected) {
            Ok(()) => Ok(()),
            Err(Invalid::Unreadable(source)) => Err(unreadable(source)),
            Err(why) => Err(ValidationError::Invalid { artefact, why }),
        }
    })
}

fn check(artefact: Artefact, content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let frames = expected.summary.frames_processed.into();
    let bytes_max = artefact.bytes_max(frames, expected.parameters.options.people_max);
    if content.bytes() > bytes_max {
        return Err(Invalid::TooLarge { bytes: content.bytes(), bytes_max });
    }
    check_of(artefact)(content, expected)
}

#[cfg(test)]
mod metres_tests;
#[cfg(test)]
mod tests;
