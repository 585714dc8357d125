//! The status document of a job, for `/api/status`, `/api/events` and `/api/jobs`.
//!
//! Made by the dispatcher from its current state; it contains nothing that clients must not see.

pub(crate) mod numbers;
pub(crate) mod progress;
pub(crate) mod statistics;
pub(crate) mod urls;
pub(crate) mod worker;

use crate::policy::display_name::DisplayName;
use crate::policy::job::{AttemptRecord, Job, JobId, JobState, Revision};
use crate::runner::attempt::Live;
use bodyscript_protocol::message::VideoFacts;
use bodyscript_protocol::options::Thousandths;
use bodyscript_protocol::warning::{self, WarningRow, Warnings};
use jiff::Timestamp;
pub(crate) use numbers::Numbers;
pub(crate) use progress::Place;
use serde::Serialize;
pub(crate) use statistics::Statistics;
use std::borrow::Cow;
pub(crate) use urls::Urls;
use utoipa::ToSchema;
pub(crate) use worker::{LayerReport, WorkerStatus};

/// Bytes in what the interface calls a megabyte.
const MEGABYTE: f64 = (1u64 << 20) as f64;

/// Status of a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Status {
    /// Id of the job.
    #[schema(value_type = String, pattern = "^[0-9a-f]{32}$")]
    pub job_id: JobId,
    /// State of the job.
    #[schema(value_type = StateName)]
    pub status: &'static str,
    /// From 0 to 100; 100 only when completed.
    #[schema(maximum = 100)]
    pub progress: u8,
    /// A message for users.
    pub message: String,
    /// When the job was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its first attempt started.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When the job ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
    /// File name given by the client.
    #[schema(value_type = String)]
    pub filename: DisplayName,
    /// Size of the video in MiB (2^20 bytes), to two places.
    pub file_size_mb: f64,
    /// SHA-256 of the video, in hexadecimal.
    pub sha256: String,
    /// Detection mode.
    pub mode: &'static str,
    /// Every n-th frame is processed, if selected by interval.
    pub interval: Option<u32>,
    /// Frames processed per second, if selected by rate.
    pub fps: Option<f64>,
    /// Maximum number of tracked people.
    pub max_people: u32,
    /// Whether the movement of tracked people is smoothed while frames come in: on or off.
    pub smoothing: &'static str,
    /// How the movement of tracked people is filtered: none, live or offline.
    pub filter: &'static str,
    /// Who is person 0, if somebody is chosen.
    pub person: Option<String>,
    /// What the skeletons are drawn on.
    pub background: &'static str,
    /// What is covered in the videos and pictures: none or faces.
    pub blur: &'static str,
    /// How the filter that knows all frames removes noise.
    pub low_pass: &'static str,
    /// Time of the file from which on frames are processed, in seconds; null for the beginning.
    pub start: Option<f64>,
    /// Time of the file up to which frames are processed, in seconds; null for the end.
    pub end: Option<f64>,
    /// Area of the picture that is processed, `x,y,width,height` as fractions; null for the whole picture.
    pub crop: Option<String>,
    /// How many times slower than life the video plays.
    pub slow_motion: f64,
    /// Landmark model.
    pub model: &'static str,
    /// How tall person 0 is, in metres, if positions in metres are asked for.
    pub height_m: Option<f64>,
    /// Frames processed so far in this attempt.
    pub current_frame: u32,
    /// Total number of frames to process, once known.
    pub total_frames: Option<u32>,
    /// Width of the upright picture in pixels, once known.
    pub width: Option<u32>,
    /// Height of the upright picture in pixels, once known.
    pub height: Option<u32>,
    /// Estimated seconds until the job ends: from the measured speed while processing, from the
    /// durations of other jobs while queued; null if there is no estimate.
    pub eta_s: Option<u64>,
    /// Position in the queue while pending; 1 is first.
    pub queue_position: Option<usize>,
    /// Number of pending jobs.
    pub queue_total: usize,
    /// Reason of the failure, one sentence for users.
    pub error: Option<String>,
    /// Stable error code of the failure.
    pub error_code: Option<Cow<'static, str>>,
    /// Statistics, once completed.
    pub statistics: Option<Statistics>,
    /// What was left out of the results, or assumed; while a job is processed, what is known of that.
    #[schema(value_type = Vec<Warning>)]
    pub warnings: Vec<&'static WarningRow>,
    /// URLs of the results, once completed.
    pub urls: Option<Urls>,
    /// Finished attempts, oldest first.
    pub attempts: Vec<AttemptRecord>,
    /// Worker of the current attempt.
    pub worker: Option<WorkerStatus>,
    /// The latest change of the job.
    #[serde(skip)]
    pub revision: Revision,
    /// Sandbox of the latest attempt.
    #[serde(rename = "posture")]
    pub sandbox: Option<Vec<LayerReport>>,
}

/// Something that was left out of the results, or assumed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes [`WarningRow`]")]
struct Warning {
    /// Stable code.
    code: String,
    /// One sentence for users.
    sentence: String,
}

/// The states of a job, as named in documents.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes strings that [`JobState::name`] makes")]
enum StateName {
    Pending,
    Processing,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    /// Makes the document; `place` is given for a queued job, `live` for one in progress.
    pub(crate) fn of(
        job: &Job,
        place: Option<Place>,
        queue_total: usize,
        live: Option<&Live>,
    ) -> Self {
        let state = job.state();
        let options = job.upload.options;
        let (current_frame, total_frames) = progress::frames(job, live);
        let (done, all) = progress::frames_of_passes(job, live, (current_frame, total_frames));
        let facts = live.and_then(|live| live.facts.as_ref()).or(job.facts.as_ref());
        let failure = match state {
            JobState::Failed { error, .. } => Some(error),
            _ => None,
        };
        Self {
            job_id: job.id,
            status: state.name(),
            progress: progress::percent(state, done, all),
            message: progress::message(state, place, live, (current_frame, total_frames)),
            created_at: job.created_at,
            started_at: state.started_at(),
            completed_at: state.completed_at(),
            filename: job.upload.filename.clone(),
            file_size_mb: megabytes(job.upload.bytes),
            sha256: job.upload.sha256.clone(),
            mode: options.mode.name(),
            interval: options.sampling.interval(),
            fps: options.sampling.fps(),
            max_people: options.people_max,
            smoothing: options.filter.smoothing().name(),
            filter: options.filter.name(),
            person: options.person.map(|person| person.to_string()),
            background: options.background.name(),
            blur: options.blur.name(),
            low_pass: options.low_pass.name(),
            start: options.start.map(Thousandths::to_f64),
            end: options.end.map(Thousandths::to_f64),
            crop: options.crop.map(|crop| crop.to_string()),
            slow_motion: options.slow_motion.to_f64(),
            model: options.model.name(),
            height_m: options.height_m.map(Thousandths::to_f64),
            current_frame,
            total_frames,
            width: facts.map(|facts| facts.width),
            height: facts.map(|facts| facts.height),
            eta_s: progress::seconds_left(job, place, live),
            queue_position: place.map(|place| place.position),
            queue_total,
            error: failure.map(|error| error.sentence.clone()),
            error_code: failure.map(|error| error.code.clone()),
            statistics: match state {
                JobState::Completed { summary, .. } => Some(Statistics::of(summary)),
                _ => None,
            },
            warnings: warnings(state, facts).iter().collect(),
            urls: matches!(state, JobState::Completed { .. }).then(|| Urls::of(job)),
            attempts: job.attempts.clone(),
            worker: live.and_then(|live| WorkerStatus::of(state, live)),
            revision: job.revision,
            sandbox: live
                .and_then(|live| live.sandbox.as_ref())
                .or(job.sandbox.as_ref())
                .map(worker::layer_reports),
        }
    }
}

/// All warnings at the end; before, whether the video will be trimmed.
fn warnings(state: &JobState, facts: Option<&VideoFacts>) -> Warnings {
    match state {
        JobState::Completed { summary, .. } => summary.warnings,
        JobState::Processing { .. } if facts.is_some_and(|facts| facts.trimmed) => {
            Warnings::from_iter([warning::Warning::Trimmed])
        }
        _ => Warnings::NONE,
    }
}

/// Bytes in MiB, to two places.
pub(crate) fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / MEGABYTE * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::job::{JobError, JobEvent, Upload};
    use crate::policy::verdict::tests::facts;
    use bodyscript_protocol::message::Summary;
    use bodyscript_protocol::options::{Filter, Options, Sampling};
    use serde_json::{Value, json};
    use std::time::Duration;

    const SUMMARY: Summary = Summary {
        first_frame: 0,
        frames_decoded: 30,
        frames_processed: 15,
        frames_detected: 12,
        mean_visibility: 0.875,
        track_losses: 2,
        jitter: 0.0015,
        people: 1,
        warnings: bodyscript_protocol::warning::Warnings::NONE,
    };

    fn job(events: &[JobEvent]) -> Job {
        let upload = Upload {
            filename: DisplayName::new("a.mp4"),
            bytes: 1_572_864,
            sha256: "ab".into(),
            options: Options {
                sampling: Sampling::every(2).expect("an interval"),
                ..Options::default()
            },
            idempotency_key: None,
        };
        let mut job = Job::new(JobId::random(), upload, 100, Timestamp::UNIX_EPOCH);
        for event in events {
            job.apply(event.clone(), Timestamp::UNIX_EPOCH).expect("legal");
        }
        job
    }

    fn document(job: &Job, place: Option<Place>, live: Option<&Live>) -> Value {
        serde_json::to_value(Status::of(job, place, 3, live)).expect("serialises")
    }

    #[test]
    fn a_pending_job_reports_its_queue_position() {
        let status = document(
            &job(&[]),
            Some(Place { position: 2, total: 3, time_left: Some(Duration::from_millis(2100)) }),
            None,
        );
        assert_eq!(status["status"], "pending");
        assert_eq!(status["queue_position"], 2);
        assert_eq!(status["message"], "Your video is number 2 of 3 in the queue.");
        assert_eq!(status["eta_s"], 3);
        assert_eq!(status["created_at"], "1970-01-01T00:00:00Z");
        assert_eq!(status["file_size_mb"], 1.5);
        assert_eq!(status["urls"], Value::Null);
    }

    #[test]
    fn between_its_passes_a_recorded_job_has_a_third_left() {
        let mut job = job(&[JobEvent::Started]);
        job.upload.options.filter = Filter::Offline;
        let facts = VideoFacts { frames_expected: 101, ..facts() };
        let mut live = Live { facts: Some(facts), ..Live::default() };
        live.progress.frames_done = 101;
        let begun = std::time::Instant::now().checked_sub(Duration::from_secs(10));
        live.rate.received(1, begun.expect("the host runs for longer"));
        let status = document(&job, None, Some(&live));
        assert_eq!((&status["progress"], &status["current_frame"]), (&json!(66), &json!(101)));
        assert!(status["eta_s"].as_u64() >= Some(5), "{status}");
        live.frames_written = 101;
        assert_eq!(document(&job, None, Some(&live))["eta_s"], 0);
    }

    #[test]
    fn a_completed_job_reports_statistics_and_urls() {
        let job = job(&[JobEvent::Started, JobEvent::Completed(SUMMARY)]);
        let status = document(&job, None, None);
        assert_eq!(status["progress"], 100);
        assert_eq!(status["current_frame"], 15);
        assert_eq!(
            status["statistics"],
            json!({"detection_rate": 0.8, "average_quality": 0.875, "frames_decoded": 30,
                   "frames_processed": 15, "frames_detected": 12, "track_losses": 2,
                   "jitter": 0.0015, "people": 1})
        );
        assert_eq!(status["warnings"], json!([]));
        assert_eq!(status["urls"]["csv"], format!("/api/serve/{}/pose_data.csv", job.id));
        assert_eq!(status["urls"].get("trc"), None, "not requested");
    }

    #[test]
    fn a_completed_job_reports_its_warnings() {
        let warnings = [bodyscript_protocol::warning::Warning::Trimmed].into_iter().collect();
        let summary = Summary { warnings, ..SUMMARY };
        let job = job(&[JobEvent::Started, JobEvent::Completed(summary)]);
        let status = document(&job, None, None);
        assert_eq!(status["warnings"][0]["code"], "video_trimmed");
        let sentence = status["warnings"][0]["sentence"].as_str().expect("a sentence");
        assert!(sentence.starts_with("The video is longer"), "{sentence}");
    }

    #[test]
    fn a_running_job_reports_that_its_video_will_be_trimmed() {
        let job = job(&[JobEvent::Started]);
        for trimmed in [false, true] {
            let live = Live { facts: Some(VideoFacts { trimmed, ..facts() }), ..Live::default() };
            let status = document(&job, None, Some(&live));
            let codes: Vec<_> = status["warnings"].as_array().expect("a list").iter().collect();
            assert_eq!(codes.len(), usize::from(trimmed), "{codes:?}");
            assert!(codes.iter().all(|warning| warning["code"] == "video_trimmed"), "{codes:?}");
        }
    }

    #[test]
    fn a_failed_job_reports_code_and_sentence() {
        let error = JobError { code: "no_frames".into(), sentence: "No frames.".into() };
        let status = document(&job(&[JobEvent::Failed(error)]), None, None);
        assert_eq!(status["error_code"], "no_frames");
        assert_eq!(status["error"], "No frames.");
        assert_eq!(status["started_at"], Value::Null);
    }
}
