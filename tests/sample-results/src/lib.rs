//! Small artefacts of every kind that agree with what their worker reports: the fault worker writes them, and the
//! supervisor's checks are tested with them and with damaged copies of them.
//!
//! They have no pictures: what is coded in them is zeros.

mod animation;
mod binary;
mod media;
mod tables;

use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::MarkerUnit;
use bodyscript_protocol::message::{JobParameters, MediaLimits, OnLong, Summary, VideoFacts};
use bodyscript_protocol::pose::{LANDMARKS, Landmark};
use bodyscript_protocol::pose_frame::{PersonPose, PoseFrame};
use bodyscript_protocol::warning::{Warning, Warnings};

/// A run: the job and what its worker reports.
#[derive(Debug, Clone)]
pub struct SampleRun {
    /// The job's id.
    pub job: String,
    /// How its video is processed.
    pub parameters: JobParameters,
    /// The video.
    pub facts: VideoFacts,
    /// The totals.
    pub summary: Summary,
}

impl SampleRun {
    /// The bytes of one artefact.
    pub fn artefact(&self, artefact: Artefact) -> Vec<u8> {
        match artefact {
            Artefact::Video | Artefact::Clean => media::video(self),
            Artefact::Csv => tables::csv(self).into(),
            Artefact::Json => tables::json(self).into(),
            Artefact::Thumbnail => media::thumbnail(self),
            Artefact::Preview => media::preview(self),
            Artefact::Metadata => tables::metadata(self).into(),
            Artefact::OpenPose => binary::openpose(self),
            Artefact::Trc => tables::trc(self).into(),
            Artefact::Parquet => binary::parquet(self),
            Artefact::Angles => tables::angles(self).into(),
            Artefact::C3d => binary::c3d(self),
            Artefact::Mot => tables::mot(self).into(),
            Artefact::Coco => tables::coco(self).into(),
            Artefact::Ndjson => tables::ndjson(self).into(),
            Artefact::Bvh => animation::bvh(self).into(),
            Artefact::Glb => animation::glb(self),
            Artefact::People => tables::people(self).into(),
        }
    }

    /// Whether it has positions in metres.
    fn has_metres(&self) -> bool {
        let is_measured = !self.summary.warnings.contains(Warning::MetresUnknown);
        self.parameters.options.height_m.is_some() && is_measured
    }

    /// The unit of its markers.
    fn marker_unit(&self) -> MarkerUnit {
        if self.has_metres() { MarkerUnit::Metres } else { MarkerUnit::Millimetres }
    }

    /// The size of its pictures, in pixels.
    fn picture_size(&self) -> [u32; 2] {
        let VideoFacts { width, height, .. } = self.facts;
        self.parameters.options.part().picture_size([width, height])
    }

    /// The numbers of the processed frames, and whether the person is found in each: in the first ones.
    fn frames(&self) -> impl Iterator<Item = (u32, bool)> {
        let interval = self.parameters.options.sampling.interval().unwrap_or(1);
        let Summary { first_frame, frames_processed, frames_detected, .. } = self.summary;
        let first = first_frame.div_ceil(interval);
        (0..frames_processed).map(move |n| ((first + n) * interval, n < frames_detected))
    }
}

/// One frame with one person.
pub fn pose_frame(frame_id: u32) -> PoseFrame {
    let strategy = "track".to_owned();
    let landmark =
        Landmark { x: 0.25, y: 0.5, visibility: 0.5, presence: 0.5, ..Landmark::default() };
    let landmarks = vec![landmark; LANDMARKS];
    let person = PersonPose { person_id: 0, strategy: strategy.clone(), track_id: 0, landmarks };
    PoseFrame {
        frame_id,
        time_s: 0.5,
        detected: true,
        strategy: Some(strategy),
        source_time_s: 0.5,
        people: vec![person],
    }
}

/// Limits on the video of a job.
pub const LIMITS: MediaLimits = MediaLimits {
    duration_ms_max: 10_000,
    on_long: OnLong::Trim,
    side_px_max: 4096,
    area_px_max: 4096 * 4096,
    frame_rate_max: 240,
};

/// The totals of a run in which every frame is processed and has one person.
pub fn summary(frames: u32) -> Summary {
    Summary {
        first_frame: 0,
        frames_decoded: frames,
        frames_processed: frames,
        frames_detected: frames,
        mean_visibility: 0.5,
        track_losses: 0,
        jitter: 0.0,
        people: u32::from(frames > 0),
        warnings: Warnings::NONE,
    }
}
