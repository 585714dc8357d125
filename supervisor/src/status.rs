//! A job as clients see it: the document behind `/api/status`, `/api/events` and `/api/jobs`.
//!
//! Made by the dispatcher from what it knows at that moment; everything in it is safe to show.

use crate::attempt::Live;
use crate::job::{AttemptRecord, Job, JobId, JobState};
use crate::name::DisplayName;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::{Progress, Summary};
use bodyscript_protocol::posture::{LayerState, Posture};
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// Bytes in what people are told is a megabyte.
const MEGABYTE: f64 = (1u64 << 20) as f64;

/// Where a waiting job stands: 1 is next.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its position.
    pub position: usize,
    /// How many wait.
    pub total: usize,
    /// How long it will probably be until the job is over, once anything is known of that.
    pub time_left: Option<Duration>,
}

/// The status document.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Status {
    /// Key to the job.
    #[schema(value_type = String, pattern = "^[0-9a-f]{32}$")]
    pub job_id: JobId,
    /// The state of the job.
    #[schema(value_type = StateName)]
    pub status: &'static str,
    /// From 0 to 100; 100 only when completed.
    #[schema(maximum = 100)]
    pub progress: u8,
    /// One sentence for people.
    pub message: String,
    /// When the job was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its first attempt began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
    /// What the client calls the file.
    #[schema(value_type = String)]
    pub filename: DisplayName,
    /// Size of the video in MiB (2^20 bytes), to two places.
    pub file_size_mb: f64,
    /// SHA-256 of the video, in hexadecimal.
    pub sha256: String,
    /// How poses are looked for.
    pub mode: &'static str,
    /// Every how many-th frame is processed, unless they are chosen by time.
    pub interval: Option<u32>,
    /// How many frames a second are processed, if they are chosen by time.
    pub fps: Option<f64>,
    /// How many people are followed at most.
    pub max_people: u32,
    /// Whether the movement of tracked people is smoothed: on or off.
    pub smoothing: &'static str,
    /// Frames processed so far in this attempt.
    pub current_frame: u32,
    /// Frames that will be processed, once it can be told.
    pub total_frames: Option<u32>,
    /// Seconds until the job will probably be over: from the measured pace while it is processed,
    /// from what other jobs took while it waits; none until there is anything to tell it from.
    pub eta_s: Option<u64>,
    /// Place in the queue while pending; 1 is next.
    pub queue_position: Option<usize>,
    /// How many jobs are pending.
    pub queue_total: usize,
    /// Why it failed: one sentence.
    pub error: Option<String>,
    /// Why it failed: a stable code.
    pub error_code: Option<Cow<'static, str>>,
    /// How it went, once completed.
    pub statistics: Option<Statistics>,
    /// Where the results are, once completed.
    pub urls: Option<Urls>,
    /// The attempts that are over, oldest first.
    pub attempts: Vec<AttemptRecord>,
    /// The worker of the present attempt.
    pub worker: Option<WorkerReport>,
    /// The sandbox of the latest attempt.
    pub posture: Option<Vec<LayerReport>>,
}

/// The states of a job, as documents name them.
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

/// How a completed job went.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Statistics {
    /// Share of the processed frames in which a person was found, 0 to 1.
    pub detection_rate: f64,
    /// Mean visibility of the landmarks over the frames with a person, 0 to 1.
    pub average_quality: f64,
    /// Frames decoded.
    pub frames_decoded: u32,
    /// Frames processed.
    pub frames_processed: u32,
    /// Frames in which a person was found.
    pub frames_detected: u32,
    /// How often the person was seen in one processed frame and not in the next.
    pub track_losses: u32,
    /// How much the landmarks tremble: root mean square of the second difference of their
    /// positions, as a fraction of the picture's diagonal.
    pub jitter: f64,
    /// How many people were told apart.
    pub people: u32,
}

/// Where the artefacts of a completed job are: those that were asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Urls {
    #[serde(skip_serializing_if = "Option::is_none")]
    video: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    csv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openpose: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parquet: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    angles: Option<String>,
}

/// A living worker.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct WorkerReport {
    /// Its process.
    pub pid: Option<i32>,
    /// The cap on its memory.
    pub cap_bytes: u64,
    /// Its resident memory.
    pub rss_bytes: u64,
    /// The most it ever had.
    pub peak_bytes: u64,
}

/// One layer of the sandbox.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LayerReport {
    layer: &'static str,
    state: &'static str,
    detail: Option<String>,
}

impl Status {
    /// The document of a job; `place` while it waits, `live` while it is processed.
    pub fn of(job: &Job, place: Option<Place>, queue_total: usize, live: Option<&Live>) -> Self {
        let state = job.state();
        let options = job.upload.options;
        let (current_frame, total_frames) = frames(job, live);
        let failure = match state {
            JobState::Failed { error, .. } => Some(error),
            _ => None,
        };
        Self {
            job_id: job.id,
            status: state.name(),
            progress: progress(state, current_frame, total_frames),
            message: message(state, place, current_frame, total_frames),
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
            smoothing: options.smoothing.name(),
            current_frame,
            total_frames,
            eta_s: time_left(state, place, live).map(whole_seconds),
            queue_position: place.map(|place| place.position),
            queue_total,
            error: failure.map(|error| error.sentence.clone()),
            error_code: failure.map(|error| error.code.clone()),
            statistics: match state {
                JobState::Completed { summary, .. } => Some(Statistics::of(summary)),
                _ => None,
            },
            urls: matches!(state, JobState::Completed { .. }).then(|| Urls::of(job)),
            attempts: job.attempts.clone(),
            worker: live.and_then(|live| WorkerReport::of(state, live)),
            posture: live
                .and_then(|live| live.posture.as_ref())
                .or(job.posture.as_ref())
                .map(layer_reports),
        }
    }
}

/// Bytes in MiB, to two places.
pub fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / MEGABYTE * 100.0).round() / 100.0
}

fn frames(job: &Job, live: Option<&Live>) -> (u32, Option<u32>) {
    if let JobState::Completed { summary, .. } = job.state() {
        return (summary.frames_processed, Some(summary.frames_processed));
    }
    let Some(Live { facts, progress: Progress { frames_done, .. }, .. }) = live else {
        return (0, None);
    };
    // The container's word on the number of frames can be too low.
    let expected = facts.as_ref().map(|facts| facts.frames_expected.max(*frames_done));
    (*frames_done, expected)
}

fn time_left(state: &JobState, place: Option<Place>, live: Option<&Live>) -> Option<Duration> {
    match (state, live) {
        (JobState::Pending { .. }, _) => place?.time_left,
        (JobState::Processing { .. }, Some(Live { facts, progress, pace, .. })) => {
            let total = facts.as_ref()?.frames_expected;
            pace.time_left(progress.frames_done, total, Instant::now())
        }
        _ => None,
    }
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000) as u64
}

fn progress(state: &JobState, current: u32, total: Option<u32>) -> u8 {
    match state {
        JobState::Completed { .. } => 100,
        _ => match total {
            Some(total) if total > 0 => (u64::from(current) * 100 / u64::from(total)).min(99) as u8,
            _ => 0,
        },
    }
}

fn message(state: &JobState, place: Option<Place>, current: u32, total: Option<u32>) -> String {
    match state {
        JobState::Pending { reason, .. } => {
            let turn = match place {
                Some(Place { position, total, .. }) => format!("Waiting: {position} of {total}."),
                None => "Waiting.".into(),
            };
            reason.as_ref().map_or(turn.clone(), |reason| format!("{reason} {turn}"))
        }
        JobState::Processing { .. } => match total {
            None => "Starting.".into(),
            Some(total) => format!("Processing frame {current} of {total}."),
        },
        JobState::Completed { .. } => "Done.".into(),
        JobState::Failed { error, .. } => error.sentence.clone(),
        JobState::Cancelled { .. } => "Cancelled.".into(),
    }
}

impl Statistics {
    fn of(summary: &Summary) -> Self {
        let processed = f64::from(summary.frames_processed.max(1));
        Self {
            detection_rate: rounded(f64::from(summary.frames_detected) / processed),
            average_quality: rounded(summary.mean_visibility.into()),
            frames_decoded: summary.frames_decoded,
            frames_processed: summary.frames_processed,
            frames_detected: summary.frames_detected,
            track_losses: summary.track_losses,
            jitter: (f64::from(summary.jitter) * 1e6).round() / 1e6,
            people: summary.people,
        }
    }
}

fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

impl Urls {
    fn of(job: &Job) -> Self {
        let (id, formats) = (job.id, job.upload.options.formats);
        let url = |artefact: Artefact| {
            let is_there = formats.contains(artefact);
            is_there.then(|| format!("/api/serve/{id}/{}", artefact.file_name()))
        };
        Self {
            video: url(Artefact::Video),
            csv: url(Artefact::Csv),
            json: url(Artefact::Json),
            thumbnail: url(Artefact::Thumbnail),
            preview: url(Artefact::Preview),
            metadata: url(Artefact::Metadata),
            openpose: url(Artefact::OpenPose),
            trc: url(Artefact::Trc),
            parquet: url(Artefact::Parquet),
            angles: url(Artefact::Angles),
        }
    }
}

impl WorkerReport {
    fn of(state: &JobState, live: &Live) -> Option<Self> {
        let JobState::Processing { memory_bytes_max, .. } = state else { return None };
        Some(Self {
            pid: live.pid,
            cap_bytes: *memory_bytes_max,
            rss_bytes: live.rss_bytes,
            peak_bytes: live.peak_bytes,
        })
    }
}

/// A posture as people and programs read it.
pub fn layer_reports(posture: &Posture) -> Vec<LayerReport> {
    let report = |(layer, state): &(bodyscript_protocol::posture::Layer, LayerState)| {
        let (state, detail) = match state {
            LayerState::Active(detail) => ("active", Some(printable(detail))),
            LayerState::Unavailable(detail) => ("unavailable", Some(printable(detail))),
            LayerState::Off => ("off", None),
        };
        LayerReport { layer: layer.name(), state, detail }
    };
    posture.layers.iter().map(report).collect()
}

/// A worker's word, made fit for a terminal. A worker says this before it reads its video, but
/// nothing else vouches for that.
fn printable(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Event, JobError, Upload};
    use bodyscript_protocol::options::{Options, Sampling};
    use serde_json::{Value, json};

    const SUMMARY: Summary = Summary {
        frames_decoded: 30,
        frames_processed: 15,
        frames_detected: 12,
        mean_visibility: 0.875,
        track_losses: 2,
        jitter: 0.0015,
        people: 1,
    };

    fn job(events: &[Event]) -> Job {
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
    fn a_waiting_job_tells_its_place() {
        let status = document(
            &job(&[]),
            Some(Place { position: 2, total: 3, time_left: Some(Duration::from_millis(2100)) }),
            None,
        );
        assert_eq!(status["status"], "pending");
        assert_eq!(status["queue_position"], 2);
        assert_eq!(status["message"], "Waiting: 2 of 3.");
        assert_eq!(status["eta_s"], 3);
        assert_eq!(status["created_at"], "1970-01-01T00:00:00Z");
        assert_eq!(status["file_size_mb"], 1.5);
        assert_eq!(status["urls"], Value::Null);
    }

    #[test]
    fn a_completed_job_carries_its_numbers_and_links() {
        let job = job(&[Event::Started, Event::Completed(SUMMARY)]);
        let status = document(&job, None, None);
        assert_eq!(status["progress"], 100);
        assert_eq!(status["current_frame"], 15);
        assert_eq!(
            status["statistics"],
            json!({"detection_rate": 0.8, "average_quality": 0.875, "frames_decoded": 30,
                   "frames_processed": 15, "frames_detected": 12, "track_losses": 2,
                   "jitter": 0.0015, "people": 1})
        );
        assert_eq!(status["urls"]["csv"], format!("/api/serve/{}/pose_data.csv", job.id));
        assert_eq!(status["urls"].get("trc"), None, "not asked for");
    }

    #[test]
    fn a_failed_job_says_why_twice() {
        let error = JobError { code: "no_frames".into(), sentence: "No frames.".into() };
        let status = document(&job(&[Event::Failed(error)]), None, None);
        assert_eq!(status["error_code"], "no_frames");
        assert_eq!(status["error"], "No frames.");
        assert_eq!(status["started_at"], Value::Null);
    }

    #[test]
    fn only_a_completed_job_is_at_a_hundred() {
        let state = job(&[Event::Started]).state().clone();
        assert_eq!(progress(&state, 50, Some(200)), 25);
        assert_eq!(progress(&state, 200, Some(200)), 99);
        assert_eq!(progress(&state, 7, Some(0)), 0);
        assert_eq!(progress(&state, 7, None), 0);
    }
}
